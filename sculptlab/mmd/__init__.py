"""The maximum mean discrepancy: how different are two samples, where, and is it more than chance?"""

from sculptlab.mmd.distance import mmd2
from sculptlab.mmd.sliced import sliced_mmd2
from sculptlab.mmd.tests import MMDTestResult, mmd_test
from sculptlab.mmd.witness import witness

__all__ = ["MMDTestResult", "mmd2", "mmd_test", "sliced_mmd2", "witness"]
