"""Images as their principal components: a fixed linear first and last layer that makes training cheap."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from sculptlab.training.images import as_unit_floats
from sculptlab.training.loop import fit_to_the_end
from sculptlab.training.sources import as_images
from sculptlab.validation import as_seed, codes, whole


@dataclass(frozen=True, eq=False)
class PrincipalComponents:
    """The mean (pixels,) of images and an orthonormal basis (components, pixels) of the directions in which they vary most.

    An autoencoder trained on the components minimizes the same squared error as one on the pixels whose first and last layers are
    this basis, frozen; `lost` is what the basis leaves out.
    """

    mean: Tensor
    basis: Tensor

    @classmethod
    def fit(cls, images: Any, components: int, seed: int = 0) -> PrincipalComponents:
        """The basis of `images` (n, ...), floats or uint8 (divided by 255), by randomized PCA with `seed`."""
        from sklearn.decomposition import PCA  # scikit-learn takes a second to import

        seed, rows = as_seed("seed", seed), _as_rows(images)
        if whole("components", components) > (most := min(rows.shape)):
            raise ValueError(f"components must be at most {most}, the smaller of rows and pixels, got {components}")
        found = PCA(components, svd_solver="randomized", random_state=seed).fit(rows.cpu().numpy())
        return cls(torch.from_numpy(found.mean_).float(), torch.from_numpy(found.components_).float())

    @property
    def pixels(self) -> int:
        """Number of pixels, times channels, of an image."""
        return self.basis.shape[1]

    def project(self, images: Any) -> Tensor:
        """The components (n, k) of `images` (n, ...), in units of a pixel's value."""
        return self._centered(images) @ self.basis.T

    def restore(self, components: Tensor) -> Tensor:
        """The flat images (n, pixels) of components (n, k)."""
        return components @ self.basis + self.mean

    def lost(self, images: Any) -> float:
        """The mean squared error per pixel of images that are projected and restored."""
        centered = self._centered(images)
        return float((centered.square().sum(1) - (centered @ self.basis.T).square().sum(1)).mean() / self.pixels)

    def error(self, run: Any, images: Any) -> float:
        """The mean squared error per pixel of images reconstructed by `run`, which was trained on their components."""
        kept = self.project(images)
        return run.reconstruction_error(kept) * kept.shape[1] / self.pixels + self.lost(images)

    def _centered(self, images: Any) -> Tensor:
        rows = _as_rows(images)
        if rows.shape[1] != self.pixels:
            raise ValueError(f"images must have {self.pixels} pixels as those of the basis, got {rows.shape[1]}")
        return rows - self.mean


def warm_start(
    model: Any, images: Any, *, turn: Any = None, steps: int = 200, learning_rate: float = 1e-3, seed: int = 0
) -> PrincipalComponents:
    """Train `model` in place towards principal component analysis: its d codes to the d leading components, each of variance 1.

    A randomly initialized encoder may map two distant groups of images to the same codes, and no regularizer undoes such a fold.
    The leading components are a smooth map to start from; for images of one moving object it has no folds. The encoder is trained
    to yield the components and the decoder to restore the images from them; train the model with `fit` afterwards.

    `turn` is an orthogonal matrix (d, d) that is applied to the components, so that a restart begins at another angle.
    """
    components = PrincipalComponents.fit(images, model.dim, seed=seed)
    identity = torch.eye(model.dim, device="cpu", dtype=torch.float32)
    turn = identity if turn is None else codes("turn", turn, dim=model.dim).float()
    if turn.shape != identity.shape or not torch.allclose(turn @ turn.T, identity, atol=1e-4):
        raise ValueError(f"turn must be an orthogonal matrix ({model.dim}, {model.dim}), got {turn.tolist()}")
    spread = components.project(images).std(0)
    basis = (components.basis.T / torch.where(spread > 0, spread, 1)) @ turn

    def towards_components(model: Any, batch: Tensor, generator: torch.Generator | None) -> dict[str, Tensor]:
        target = (batch.flatten(1) - components.mean.to(batch)) @ basis.to(batch)
        encoding = 0.5 * (model.encode(batch) - target).square().sum() / len(batch)
        decoding = 0.5 * (model.decode(target) - batch).square().sum() / len(batch)
        loss = 10 * encoding + decoding  # an image has more nats than a code
        return {"loss": loss, "encoding": encoding, "decoding": decoding}

    fit_to_the_end(model, images, towards_components, steps=steps, learning_rate=learning_rate, seed=seed, progress=False)
    return components


def _as_rows(images: Any) -> Tensor:
    return as_unit_floats(as_images(images)).detach().flatten(1)
