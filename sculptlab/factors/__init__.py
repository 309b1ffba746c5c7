"""Scores of codes against known factors, each beside what perfect codes and noise score on the same factors.

Every score takes `codes` (n, d) and `factors` (n, k) as arrays, tensors or DataFrames, whose column names then name the
dimensions and factors, and returns a `FactorScore`. Any n >= 20 rows with their factors will do; no grid is needed.

train, test    numbers of rows to fit to and to test on, drawn by `seed`; of fewer rows, all in the same proportion.
bins           number of bins into which a continuous factor is cut; each value of another factor is a class.
continuous     names (of a DataFrame's columns), else numbers of the continuous factors. By default those with more than `bins`
               values and, of fractions, more than 100 values or fewer than five rows for each; of whole numbers, both, or
               fewer than two rows for each. Fractions closer than a millionth of the factor's range are one value.
baselines      False leaves out perfect codes and noise, that is, two further runs. Even perfect codes score low where a
               factor has far more classes than `bins`: compare with the ceiling, or list the factor in `continuous`.
seed           decides which rows are drawn, and all randomness of the score.

A factor with a single value is left out and named in `.left_out`; a dimension that does not vary is named in `.dead`. All
raise ValueError for wrong shapes, too few rows or varying factors, values that are masked or not finite, and unknown names
in `continuous`, and TypeError for what is not numbers.
"""

from sculptlab.factors.alignment import alignment
from sculptlab.factors.information import info_mec, mig, modularity
from sculptlab.factors.prediction import dci, sap
from sculptlab.factors.scores import FactorScore
from sculptlab.factors.votes import beta_vae, factor_vae

__all__ = ["FactorScore", "alignment", "beta_vae", "dci", "factor_vae", "info_mec", "mig", "modularity", "sap"]
