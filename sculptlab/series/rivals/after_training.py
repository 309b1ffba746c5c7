"""Plain autoencoders whose codes are changed after training by an invertible map, which leaves the reconstruction as it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from sculptlab.priors import Gaussian
from sculptlab.reshaping.maps import Chain, Columns, Linear
from sculptlab.reshaping.models import ReshapedModel, ReshapedObjective
from sculptlab.series.rivals.method import Method
from sculptlab.training.objectives import Reconstruction
from sculptlab.training.run import Run

if TYPE_CHECKING:
    from sculptlab.series.studies.settings import PreparedImages


def whitened(images: PreparedImages, weight: float, seed: int) -> Run:
    """A plain autoencoder whose codes have mean 0 and covariance I on the training images, by a linear map."""
    run = images.train(Reconstruction(), seed)
    z = run.encode(images.training).double()
    columns = Columns.independent(z)
    kept = columns(z)[0]
    identity = torch.eye(kept.shape[1], dtype=torch.float64, device="cpu")
    none = Linear(identity.new_zeros(len(identity)), identity)
    model = ReshapedModel(run.model, Chain([columns, Linear.whitening(kept)]), none).eval()
    objective = ReshapedObjective(run.objective, Gaussian(model.dim))
    return Run(model, objective, run.rows, run.seed, run.steps, dim=model.dim)


def reshaped(images: PreparedImages, weight: float, seed: int) -> Run:
    """A plain autoencoder whose codes have the distribution N(0, I), by a spline flow."""
    return images.train(Reconstruction(), seed).reshape("gaussian", images.training, seed=seed)


WHITENING = Method(
    "plain + whitening", "after training", "Kessy et al. 2018, arXiv 1512.00809 (ZCA-cor)", Gaussian, (0.0,), whitened
)
RESHAPER = Method(
    "plain + Reshaper", "after training", "here: `sculptlab.Reshaper`; Dai and Wipf 2019, arXiv 1903.05789", Gaussian, (0.0,),
    reshaped,
)  # fmt: skip
