"""What a model is trained to do: reconstruct, plus regularisers; every term in nats per image, averaged over the batch.

reconstruction, likelihood "gaussian":   1/2 sum_pixels (x - x_hat)^2, the negative log-likelihood with unit variance,
                                         without its constant (pixels / 2) log(2 pi)
reconstruction, likelihood "bernoulli":  -sum_pixels x log x_hat + (1 - x) log(1 - x_hat), the cross-entropy
KL and its relatives:                    nats per image
MMD and the other distances to a prior:  weight * distance, the weight in nats per unit of it
Copying, Anchors:                        weight * distance to another model's codes; to the places of a few of them
LabelledMMD:                             weight * distance of labelled images' codes to the prior given their labels
Isometry:                                weight * relative variance of the decoder's stretch
Predictability:                          weight * sum_latents -1/2 ln(1 - corr^2), nats against nats

Nothing is divided by pixels, dimensions or batch size, so a weight of 1 is one nat against one nat at every size, and
KL(beta=1) is the negative evidence lower bound. A Gaussian decoder of variance s^2 instead of 1 is beta = s^2 here.
"""

from dataclasses import dataclass

from sculptlab.objectives.base import Custom, Objective, Sum, as_objective
from sculptlab.objectives.copying_objectives import Anchors, Copying
from sculptlab.objectives.isometry import Isometry
from sculptlab.objectives.labelled_objectives import LabelledMMD
from sculptlab.objectives.predictability_game import Predictability
from sculptlab.objectives.prior_objectives import MMD, EnergyDistance, Ramp, SlicedWasserstein
from sculptlab.objectives.variational_objectives import DIP, KL, BetaTC, FactorVAE, InfoVAE

__all__ = [
    "DIP", "KL", "MMD", "Anchors", "BetaTC", "Copying", "Custom", "EnergyDistance", "FactorVAE", "InfoVAE", "Isometry",
    "LabelledMMD", "Objective", "Predictability", "Ramp", "Reconstruction", "SlicedWasserstein", "Sum", "as_objective",
]  # fmt: skip


@dataclass(frozen=True)
class Reconstruction(Objective):
    """Reconstruction alone: a plain autoencoder, whose latent space takes whatever shape it takes."""
