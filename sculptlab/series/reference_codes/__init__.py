"""Codes whose dependence is known, by formula or quadrature: what a score of independence must find on them."""

from sculptlab.series.reference_codes.cases import *  # noqa: F403
from sculptlab.series.reference_codes.cases import __all__ as __all__
