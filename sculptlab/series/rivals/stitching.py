"""Zero-shot stitching: the decoder of one model for the encoder of another, through relative representations."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, nn

from sculptlab.evaluation.copy_measures import relative
from sculptlab.training.encodings import encoded_means
from sculptlab.training.loop import fit_to_the_end
from sculptlab.training.models import build_autoencoder
from sculptlab.training.objectives import Reconstruction
from sculptlab.training.run import Run


class RelativeModel(nn.Module):
    """The encoder of a trained model with codes relative to those of anchor images, and a decoder (n, k) -> images."""

    def __init__(self, model: nn.Module, anchors: Tensor, decoder: nn.Module) -> None:
        super().__init__()
        self.model, self.decoder = copy.deepcopy(model).requires_grad_(False), decoder
        self.anchors = nn.Buffer(anchors)

    def encode(self, images: Tensor) -> Tensor:
        """The cosines (n, k) of the codes of images with those of the k anchors; without a gradient."""
        with torch.no_grad():
            return relative(encoded_means(self.model, images), encoded_means(self.model, self.anchors))

    def decode(self, codes: Tensor) -> Tensor:
        """The images of relative codes (n, k)."""
        return self.decoder(codes)


def stitching_errors(
    source: Run, other: Run, training: Tensor, held_out: Tensor, *, anchors: int = 64, steps: int = 1000, seed: int = 0
) -> dict[str, float]:
    """Mean squared errors per entry of `held_out` images whose codes one model makes and another model's decoder reads.

    A decoder learns to read the codes of `source`, relative to `anchors` of the training images. It then reads the relative codes
    of `other`, which it has not seen. Relative codes are the same under rotations of a latent space, so two models that differ by
    a rotation lose nothing. Compare "relative" with `decoded_mse` of `sculptlab.copy_latents`.

    Parameters
    ----------
    source, other : Run
        Two models of the same images.
    training, held_out : Tensor of shape (n, features)
    anchors, steps, seed : int
        Number of anchors; steps of the decoder's training; seed of both.

    Returns
    -------
    dict of str to float
        "own": the source's relative codes, read by that decoder. "relative": those of the other model. "absolute": the other
        model's own codes, read by the source's own decoder. "mean": the mean training image in the place of all.

    References
    ----------
    Moschella et al. 2023, arXiv 2209.15430, who compare labels that a classifier reads.
    """
    generator = torch.Generator().manual_seed(seed)
    chosen = training[torch.randperm(len(training), generator=generator, device="cpu")[:anchors]]
    shape: Any = tuple(training.shape[1:])
    decoder = build_autoencoder("mlp", image_shape=shape, dim=anchors, output="linear", seed=seed).decoder
    model = RelativeModel(source.model, chosen, decoder)
    read = fit_to_the_end(model, training, Reconstruction(), steps=steps, seed=seed, progress=False)
    stitched = Run(RelativeModel(other.model, chosen, decoder).eval(), Reconstruction(), [], seed, steps)

    def error(made: Tensor) -> float:
        return (made - held_out).square().mean().item()

    return {
        "own": read.reconstruction_error(held_out),
        "relative": stitched.reconstruction_error(held_out),
        "absolute": error(source.decode(other.encode(held_out))),
        "mean": error(training.mean(0)),
    }
