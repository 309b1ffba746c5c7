"""The tables of one set of codes beside a prior: each latent, each pair of latents, the joint distribution."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from sculptlab.columns import constant_columns, standardize, varies_less
from sculptlab.evaluation.effects import Target, latent_effects
from sculptlab.evaluation.two_samples import WIDE
from sculptlab.independence.dependence import correlation, distance_correlation

INACTIVE_BELOW = 0.05  # of the prior's spread (`varies_less`): a latent that varies less is inactive, as in FactorVAE's score
DUPLICATE = 0.95  # absolute correlation from which on one of two latents is a duplicate: it shares 90 % of its variance
RESIDUAL = 0.05  # of its standard deviation: a latent that earlier ones leave less of is a linear function of them


def per_dimension(z: Tensor, latents: Sequence[Any], target: Target) -> pd.DataFrame:
    """A row for each latent of codes z (n, d); columns as in `Diagnosis.per_dimension`."""
    from scipy.stats import ks_2samp

    constant, draws = constant_columns(z), target.draws
    shape = torch.where(constant, torch.nan, standardize(z))
    tests = [ks_2samp(column, drawn, method="asymp") for column, drawn in zip(z.T.numpy(), draws.T.numpy(), strict=True)]
    columns = {
        "mean": z.mean(0), "std": torch.where(constant, 0, z.std(0, correction=0)),
        "skew": shape.pow(3).mean(0), "kurtosis": shape.pow(4).mean(0) - 3,
        "ks": [test.statistic for test in tests], "ks_p": [test.pvalue for test in tests],
        "dead": varies_less(z, draws, INACTIVE_BELOW),
    }  # fmt: skip
    for name, effect in latent_effects(z, target).items():
        columns |= effect.table(name)
    return pd.DataFrame({name: np.asarray(values) for name, values in columns.items()}, index=pd.Index(latents))


def per_pair(z: Tensor, latents: Sequence[Any], target: Target, seed: int) -> pd.DataFrame:
    """A row for each pair of latents of codes z (n, d); columns as in `Diagnosis.per_pair`."""
    first, second = np.triu_indices(len(latents), 1)
    linear = correlation(z)
    largest = linear.nan_to_num().fill_diagonal_(0).abs().amax(0).argsort(descending=True, stable=True)[:WIDE].sort().values
    nonlinear = torch.full_like(linear, torch.nan)
    nonlinear[largest[:, None], largest] = distance_correlation(z[:, largest], seed=seed)
    pairs = pd.MultiIndex.from_arrays([pd.Index(latents)[of] for of in (first, second)], names=["first", "second"])
    table = pd.DataFrame({"correlation": linear.numpy()[first, second]}, index=pairs)
    table["excess_correlation"] = table["correlation"] - target.correlations[0].numpy()
    return table.assign(distance_correlation=nonlinear.numpy()[first, second])


def dependence(z: Tensor, dead: np.ndarray, pairs: pd.DataFrame, repeated: Tensor) -> dict[str, float]:
    """What `Diagnosis.joint` says of inactive, repeated and dependent latents of z (n, d), by the table of their `pairs`."""
    first, second = np.triu_indices(len(dead), 1)
    among = pairs[~dead[first] & ~dead[second]]
    return {
        "largest_correlation": among["correlation"].abs().max(),
        "distance_correlation": among["distance_correlation"].mean(),
        "dead": dead.sum(),
        "effective_rank": effective_rank(z),
        "duplicates": repeated.sum().item(),
    }


def effective_rank(z: Tensor) -> float:
    """exp of the entropy of the covariance's eigenvalues, divided by their sum (Roy and Vetterli 2007); 0 if all is constant."""
    spectrum = torch.linalg.eigvalsh(torch.cov(z.T / z.abs().max().clamp_min(1e-300)).reshape(z.shape[1], -1)).clamp_min(0)
    shares = spectrum / spectrum.sum()
    return float(torch.special.entr(shares).sum().exp()) if spectrum.sum() > 0 else 0.0


def duplicated(z: Tensor, draws: Tensor, active: Tensor) -> Tensor:
    """Active latents (d,) that repeat an earlier one, or are a linear function of earlier ones, where the prior's are not."""

    def repeats(rows: Tensor) -> Tensor:
        n, d = rows.shape
        found = ((rows.T @ rows / n).tril(-1).abs() >= DUPLICATE).any(1)
        if n > 2 * d:
            left = torch.linalg.qr(rows, mode="r").R.diagonal().square() / (n - torch.arange(d, device="cpu"))
            found |= left < RESIDUAL**2
        return found

    result = torch.zeros_like(active)
    if active.any():
        result[active] = repeats(standardize(z[:, active])) & ~repeats(standardize(draws[:, active]))
    return result
