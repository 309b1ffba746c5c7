"""Evaluators of codes (n, d), none of which takes part in training: independence, agreement with a prior, support."""

from collections.abc import Iterable

import torch
from torch import Tensor

from sculptlab.columns import permute_columns
from sculptlab.evaluation.diagnosis import PRIOR_ROW, diagnose
from sculptlab.evaluation.two_samples import off_support
from sculptlab.independence import lps
from sculptlab.independence.dependence import correlation, distance_correlation, distance_correlation_to_rest
from sculptlab.independence.regressors import REGRESSORS
from sculptlab.mmd import mmd2
from sculptlab.priors import Gaussian, Prior

LPS_COLUMNS: dict[str, tuple[str, str]] = {  # column of a table -> (regressor, target) of `lps`
    **{regressor: (regressor, "mean") for regressor in REGRESSORS},
    "squares": ("mlp", "square"),
    "squares boosting": ("boosting", "square"),
    "bits": ("mlp", "distribution"),
}
FRONTIER_LPS = ("mlp", "boosting", "squares", "squares boosting")
QUICK_LPS = ("mlp", "squares")


def lps_scores(z: Tensor, names: Iterable[str], *, permutations: int = 0, seed: int = 0) -> dict[str, float]:
    """LPS of codes z (n, d) by each of `names` (keys of `LPS_COLUMNS`), with its chance level if there are permutations."""
    found: dict[str, float] = {}
    for name in names:
        result = lps(z, *LPS_COLUMNS[name], permutations=permutations, seed=seed, progress=False)
        found[name] = result.score
        if permutations:
            found[f"{name}_chance"] = result.floor
    return found


def independence_measures(z: Tensor, *, names: Iterable[str] = FRONTIER_LPS, seed: int = 0) -> dict[str, float]:
    """How independent and how Gaussian codes z (n, d) are.

    `names` are the LPS scores to compute; 0 is their value for independent codes. The other columns are described in
    `results.COLUMNS`. Columns that end in "_chance" are of the same codes with every column permuted by itself.
    """
    found: dict[str, float] = {"evaluated": len(z), **lps_scores(z, names, seed=seed)}
    permuted = permute_columns(z, torch.Generator().manual_seed(seed))
    pairs = ~torch.eye(z.shape[1], dtype=torch.bool, device="cpu")
    for suffix, columns in (("", z), ("_chance", permuted)):
        found[f"dcor{suffix}"] = distance_correlation(columns, seed=seed)[pairs].mean().item()
        found[f"dcor_rest{suffix}"] = distance_correlation_to_rest(columns, seed=seed).mean().item()
    std, drawn = z.std(0), Gaussian(z.shape[1]).sample(len(z), generator=torch.Generator().manual_seed(seed))
    return {
        **found,
        "largest_correlation": correlation(z)[pairs].abs().max().item(),
        "std_min": std.min().item(), "std_max": std.max().item(), "kurtosis": mean_kurtosis(z),
        "mmd2": mmd2(z, drawn).item(), "mmd2_marginal": mmd2(z[:1000], drawn[:1000], views="marginal").item(),
    }  # fmt: skip


def mean_kurtosis(z: Tensor) -> float:
    """The kurtosis of the columns of z (n, d), averaged: 3 for a Gaussian, 1.8 for a uniform distribution."""
    return ((z - z.mean(0)) / z.std(0).clamp_min(1e-12)).pow(4).mean().item()


def prior_measures(z: Tensor, prior: Prior, seed: int = 0) -> dict[str, float]:
    """Codes z (n, d) against a prior, and in columns chance_... the same of a second sample of the prior.

    The tests are those of `diagnose`, on at most 2,000 rows; off_support is the share of z where the prior has no mass.
    """
    joint = diagnose(z, prior, seed=seed).joint
    second = prior.sample(len(z), torch.Generator().manual_seed(seed + 1))
    columns = ("mmd2", "mmd2_95", "mmd_p", "c2st", "c2st_p", "coverage_gap")
    return {
        **{name: float(joint.loc["codes", name]) for name in columns},
        **{f"chance_{name}": float(joint.loc[PRIOR_ROW, name]) for name in columns},
        "off_support": off_support(z, prior, seed).double().mean().item(),
        "chance_off_support": off_support(second, prior, seed).double().mean().item(),
        "rows": int(joint.loc["codes", "rows"]),
    }
