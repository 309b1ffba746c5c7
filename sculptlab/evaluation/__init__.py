"""Did it work, and on what evidence? Codes against a prior, copied latent spaces, weights, compression."""

from sculptlab.evaluation.copying import CopyResult, copy_latents
from sculptlab.evaluation.diagnosis import Diagnosis, diagnose
from sculptlab.evaluation.weights import WeightCurve, find_weight

__all__ = ["CopyResult", "Diagnosis", "WeightCurve", "copy_latents", "diagnose", "find_weight"]
