"""What a model is trained to do: reconstruct, plus regularizers; every term in nats per image, averaged over the batch.

reconstruction, likelihood "gaussian":   1/2 sum_pixels (x - x_hat)^2, the negative log-likelihood with unit variance,
                                         without its constant (pixels / 2) log(2 pi)
reconstruction, likelihood "bernoulli":  -sum_pixels x log x_hat + (1 - x) log(1 - x_hat), the cross-entropy
KL and its relatives:                    nats per image
MMD and the other distances to a prior:  weight * distance, the weight in nats per unit of it
Copying, Anchors:                        weight * distance to another model's codes; to the places of a few of them
LabeledMMD:                             weight * distance of labeled images' codes to the prior given their labels
Isometry:                                weight * relative variance of the decoder's stretch
Predictability:                          weight * sum_latents -1/2 ln(1 - corr^2), nats against nats

Nothing is divided by pixels, dimensions or batch size, so a weight of 1 is one nat against one nat at every size, and
KL(beta=1) is the negative evidence lower bound. A Gaussian decoder of variance s^2 instead of 1 is beta = s^2 here.
"""

from dataclasses import dataclass

from sculptlab.training.objectives.base import Custom, Objective, SumObjective, as_objective
from sculptlab.training.objectives.copying import Anchors, Copying
from sculptlab.training.objectives.isometry import Isometry
from sculptlab.training.objectives.labeled import LabeledMMD
from sculptlab.training.objectives.predictability import Predictability
from sculptlab.training.objectives.prior_distances import MMD, EnergyDistance, Ramp, SlicedWasserstein
from sculptlab.training.objectives.variational import DIP, KL, BetaTC, FactorVAE, InfoVAE

__all__ = [
    "DIP", "KL", "MMD", "Anchors", "BetaTC", "Copying", "Custom", "EnergyDistance", "FactorVAE", "InfoVAE", "Isometry",
    "LabeledMMD", "Objective", "Predictability", "Ramp", "Reconstruction", "SlicedWasserstein", "SumObjective", "as_objective",
]  # fmt: skip


@dataclass(frozen=True)
class Reconstruction(Objective):
    """Reconstruction alone: a plain autoencoder, whose latent space takes whatever shape it takes."""
