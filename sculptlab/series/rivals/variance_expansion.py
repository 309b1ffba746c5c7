"""Variance expansion: a loss that keeps the variances of the posteriors large, in the place of a KL term."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from sculptlab.series.rivals.method import of_objective
from sculptlab.training.objectives import Batch, Objective, Term
from sculptlab.training.objectives.companion import Companions
from sculptlab.validation import number, parameter


@dataclass(frozen=True)
class VarianceExpansion(Objective):
    """Reconstruction + weight * E_x sum_j 1 / (variance_j + delta), of the posteriors' variances.

    Reconstruction alone would lower the variances to 0. Nothing pulls the codes to a distribution or a scale: the method is for
    latent spaces in which a diffusion model is trained afterwards. Scaling codes and variances up together lowers the loss, as
    far as the optimizer comes. It declares no distribution. In the history: "expansion".

    The paper trains image tokenizers with perceptual and adversarial losses besides, which are left out. `delta` and the
    weights are ours.

    Parameters
    ----------
    weight : float, at least 0
    delta : float
        Bounds the loss at a variance of 0, above 0.
    likelihood : as in `Reconstruction`

    References
    ----------
    Li et al. 2026, "Taming sampling perturbations with variance expansion loss", arXiv 2603.21085.
    """

    weight: float = parameter(number, 1.0, least=0)
    delta: float = parameter(number, 0.1, above=0)
    needs_posterior = True

    def regularizers(self, batch: Batch, companions: Companions) -> Iterable[Term]:
        yield Term("expansion", self.weight, (1 / (batch.posterior.log_variance.exp() + self.delta)).sum(1).mean())


VARIANCE_EXPANSION = of_objective(
    "variance expansion", "variational", "Li et al. 2026, arXiv 2603.21085", None, (0.01, 0.03, 0.1, 0.3, 1.0, 3.0),
    lambda w: VarianceExpansion(weight=w),
)  # fmt: skip
