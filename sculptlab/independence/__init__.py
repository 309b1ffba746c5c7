"""Can one latent be predicted from the others?"""

from sculptlab.independence.curve import LPSCurve, lps_curve
from sculptlab.independence.dependence import (
    correlation,
    distance_correlation,
    distance_correlation_to_rest,
    gaussian_total_correlation,
    hsic_to_rest,
)
from sculptlab.independence.lps import LPSResult, lps
from sculptlab.independence.report import IndependenceReport, independence_report

__all__ = [
    "IndependenceReport", "LPSCurve", "LPSResult", "correlation", "distance_correlation", "distance_correlation_to_rest",
    "gaussian_total_correlation", "hsic_to_rest", "independence_report", "lps", "lps_curve",
]  # fmt: skip
