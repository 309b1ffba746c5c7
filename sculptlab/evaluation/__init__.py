"""Did it work, and on what evidence? Codes of any model against a prior, copied latent spaces, weights, compression."""

from sculptlab.evaluation.copy_measures import alignment_error
from sculptlab.evaluation.copying import CopyResult, copy_latents
from sculptlab.evaluation.diagnosis import Diagnosis, diagnose
from sculptlab.evaluation.latents import latents
from sculptlab.evaluation.relevance import relevance
from sculptlab.evaluation.remedies import Advice
from sculptlab.evaluation.two_samples import C2STResult, c2st, coverage_gap, off_support, precision_recall
from sculptlab.evaluation.weights import WeightCurve, find_weight

__all__ = [
    "Advice", "C2STResult", "CopyResult", "Diagnosis", "WeightCurve", "alignment_error", "c2st", "copy_latents", "coverage_gap",
    "diagnose", "find_weight", "latents", "off_support", "precision_recall", "relevance",
]  # fmt: skip
