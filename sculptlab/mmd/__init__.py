"""The maximum mean discrepancy: how different are two samples, where, and is it more than chance?"""

from sculptlab.mmd.distance import MMDTestResult, mmd2, mmd_test, witness

__all__ = ["MMDTestResult", "mmd2", "mmd_test", "witness"]
