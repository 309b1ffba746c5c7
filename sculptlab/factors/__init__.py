"""Scores of codes against known factors, each beside what perfect codes and pure noise score on the same factors.

Every function takes `codes` (n, d) and `factors` (n, k) as arrays, tensors or DataFrames, whose column names then name the
factors, and returns a `FactorScore`. Rows are drawn by `seed`, never from a grid: any n rows with their factors will do.
A value that recurs is a class of its own, and values closer than a millionth of the factor"s range are one (whole numbers
stay apart); a continuous factor is cut into `bins` bins and named in `.binned`. Continuous are the factors that `continuous`
lists, by name (a DataFrame"s column) or number from 0, and no others; by default (None), those with more than `bins` values
and, of fractions, more than 100 values or fewer than five rows for each, of whole numbers, both, or fewer than two rows for
each. Where a factor has far more classes than `bins` even perfect codes score low: see the ceiling, or list the factor. One
that takes one value only is left out and named in `.left_out`; a dimension that never moves counts as uninformative and is
named in `.dead`. `baselines=False` saves the two further runs for `.ceiling` and `.floor`. Of fewer than train + test rows,
two thirds train and one third tests.

All raise ValueError for wrong shapes, fewer than 20 rows, row counts that differ, values that are masked or not finite,
fewer varying factors than the score needs and unknown names in `continuous`; TypeError for what is not numbers.
"""

from sculptlab.factors.metrics import beta_vae, dci, factor_vae, info_mec, mig, modularity, sap

__all__ = ["beta_vae", "dci", "factor_vae", "info_mec", "mig", "modularity", "sap"]
