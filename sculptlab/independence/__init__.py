"""Can one latent be predicted from the others?"""

from sculptlab.independence.curve import LPSCurve, lps_curve
from sculptlab.independence.lps import LPSResult, lps
from sculptlab.independence.report import IndependenceReport, independence_report

__all__ = ["IndependenceReport", "LPSCurve", "LPSResult", "independence_report", "lps", "lps_curve"]
