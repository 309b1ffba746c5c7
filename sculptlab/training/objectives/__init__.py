"""Objectives: reconstruct, and regularize the codes. Every term is in nats per image, averaged over the batch.

Nothing is divided by pixels, dimensions or batch size. So a weight of 1 is one nat against one nat at every size, and KL(beta=1)
is the negative evidence lower bound. A Gaussian decoder of variance s^2 instead of 1 corresponds to beta = s^2.
"""

from sculptlab.training.objectives.base import Custom, Objective, Reconstruction, SumObjective, as_objective
from sculptlab.training.objectives.companion import Batch, Companion, Term
from sculptlab.training.objectives.isometry import Isometry
from sculptlab.training.objectives.labeled import Anchors, LabeledMMD
from sculptlab.training.objectives.mmd import MMD, Copying, EnergyDistance
from sculptlab.training.objectives.predictability import Predictability
from sculptlab.training.objectives.prior_distances import Ramp, SIGReg, SlicedMMD, SlicedWasserstein
from sculptlab.training.objectives.regularizer import Regularizer
from sculptlab.training.objectives.variational import DIP, KL, BetaTC, FactorVAE, InfoVAE

__all__ = [
    "DIP", "KL", "MMD", "Anchors", "Batch", "BetaTC", "Companion", "Copying", "Custom", "EnergyDistance", "FactorVAE", "InfoVAE",
    "Isometry", "LabeledMMD", "Objective", "Predictability", "Ramp", "Reconstruction", "Regularizer", "SIGReg", "SlicedMMD",
    "SlicedWasserstein", "SumObjective", "Term", "as_objective",
]  # fmt: skip
