"""VampPrior: a VAE whose prior is the mean of the posteriors of pseudo-inputs, which are learned with the model."""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from sculptlab.priors import GaussianMixture, Prior
from sculptlab.series.rivals.method import Method
from sculptlab.training.batches import held_images
from sculptlab.training.encodings import encoded
from sculptlab.training.models import Posterior
from sculptlab.training.objectives import Batch, Companion, Objective, Term
from sculptlab.training.objectives.companion import Companions
from sculptlab.training.run import Run
from sculptlab.validation import number, parameter

if TYPE_CHECKING:
    from sculptlab.series.studies.settings import PreparedImages

COMPONENTS = 50
LEAST_VARIANCE = 1e-6  # of a component that is drawn from


class PseudoInputs(Companion):
    """Images (k, *image_shape) that the model's optimizer changes."""

    joins_model = True

    def __init__(self, images: Tensor) -> None:
        super().__init__()
        self.images = nn.Parameter(images.clone())


def log_normal(codes: Tensor, posterior: Posterior) -> Tensor:
    """ln N(z_i; mean_k, diag variance_k) without its constant -dim/2 ln(2 pi), (n, k), of codes (n, dim) and k posteriors."""
    mean, log_variance = posterior.mean, posterior.log_variance
    return -0.5 * ((codes[:, None] - mean).square() * (-log_variance).exp() + log_variance).sum(2)


@dataclass(frozen=True, eq=False)
class VampPrior(Objective):
    """Reconstruction + beta * E (ln q(z|x) - ln 1/K sum_k q(z|u_k)), of one draw z from each posterior q(z|x).

    The K pseudo-inputs u_k are learned together with the model. In the history: "kl".

    The paper has K = 500 for MNIST, beta = 1, a second layer of latents in its best model, and pixels in [0, 1]: it keeps the
    pseudo-inputs there. Here K is 50 in the scorecard, and pseudo-inputs are not bounded, as principal components are not. They
    start from given images, which the paper's code offers as an option.

    Parameters
    ----------
    images : array_like of shape (k, *image_shape)
        From which the pseudo-inputs start: training images, as many as there are to be pseudo-inputs.
    beta : float, at least 0
    likelihood : as in `Reconstruction`

    References
    ----------
    Tomczak and Welling 2018, arXiv 1705.07120.
    """

    images: Any
    beta: float = parameter(number, 1.0, least=0)
    needs_posterior = needs_model = True

    def __post_init__(self) -> None:
        super().__post_init__()
        vars(self)["images"] = held_images("images", self.images)

    def __repr__(self) -> str:
        return (
            f"VampPrior(<{len(self.images)} images, crc32 {zlib.crc32(self.images.numpy().tobytes()):08x}>, beta={self.beta:g})"
        )

    def companions(self, dim: int) -> dict[str, Companion]:
        return {"pseudo_inputs": PseudoInputs(self.images)}

    def regularizers(self, batch: Batch, companions: Companions) -> Iterable[Term]:
        mean, log_variance = batch.posterior.mean, batch.posterior.log_variance
        own = -0.5 * ((batch.codes - mean).square() * (-log_variance).exp() + log_variance).sum(1)
        components = log_normal(batch.codes, _posterior(batch.model, companions))
        mixture = components.logsumexp(1) - torch.log(components.new_tensor(float(components.shape[1])))
        yield Term("kl", self.beta, (own - mixture).mean())

    def sampling_prior(self, dim: int, model: Any, companions: Companions) -> Prior:
        with torch.no_grad():
            found = _posterior(model, companions)
        return GaussianMixture(found.mean, found.log_variance.exp().clamp_min(LEAST_VARIANCE).diag_embed())


def _posterior(model: Any, companions: Companions) -> Posterior:
    inputs: Any = companions["pseudo_inputs"]
    found = encoded(model, inputs.images)
    assert isinstance(found, Posterior)  # `needs_posterior`
    return found


def trained(images: PreparedImages, weight: float, seed: int) -> Run:
    """A VAE with this prior, whose pseudo-inputs start from training images that are drawn by `seed`."""
    chosen = torch.randperm(len(images.training), generator=torch.Generator().manual_seed(seed), device="cpu")[:COMPONENTS]
    return images.train(VampPrior(images.training[chosen], beta=weight), seed)


VAMP_PRIOR = Method(
    "VampPrior", "learned prior", "Tomczak and Welling 2018, arXiv 1705.07120", None, (0.1, 0.3, 1.0, 2.0, 4.0, 8.0), trained
)
