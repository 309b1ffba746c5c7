"""Do codes follow a prior? Tests per latent, per pair and jointly, beside the same numbers for a sample of the prior itself."""

import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from sculptlab.columns import constant_columns, standardize, varies_less
from sculptlab.drawing import draw
from sculptlab.evaluation.two_samples import LEAST_ROWS, coverage_gap, two_sample_tests
from sculptlab.independence.dependence import correlation, distance_correlation
from sculptlab.mmd.kernels import IMQ
from sculptlab.priors import Prior, as_prior
from sculptlab.threads import one_thread
from sculptlab.validation import as_seed, choice, describe, finite, named_codes, whole

INACTIVE_BELOW = 0.05  # of the prior's spread (`varies_less`): a latent that varies less is inactive, as in FactorVAE's score
LEVEL = 0.05 / 3  # of significance in the verdict, which combines three families of tests
PRIOR_ROW = "prior"
LEGEND = (
    "mmd2: unbiased MMD² to the prior, about 0 without a difference; mmd2_95: exceeded in 5 % by chance; mmd_p: its p-value",
    "c2st: C2ST accuracy, codes against prior on held-out rows, 0.5 by chance; c2st_p: its p-value",
    "coverage_gap: share of the prior's draws that lie far from every code, 0.05 by chance",
    "prior: the same numbers for a sample of the prior itself, what they are without any difference",
)


@dataclass(frozen=True)
class Diagnosis:
    """How codes differ from a prior; what `diagnose` returns.

    Parameters
    ----------
    per_dimension : pandas.DataFrame
        A row for each set of codes and latent: mean, std, skew, kurtosis (excess: 0 for a Gaussian), ks (Kolmogorov-Smirnov
        distance to the prior), ks_p (its p-value), dead (whether the latent is inactive, `columns.varies_less` than 5 % of the
        prior's).
    per_pair : pandas.DataFrame
        A row for each set and pair of latents: correlation, distance_correlation (squared, bias-corrected).
    joint : pandas.DataFrame
        A row for each set: mmd2 (unbiased), mmd2_95 (the 95 % quantile of its permutation null), mmd_p; c2st (accuracy, 0.5 is
        chance), c2st_p; coverage_gap (0.05 is chance); of pairs of active latents largest_correlation (absolute) and the mean
        distance_correlation; dead (how many latents are inactive); rows in the joint tests. Its last row, "prior", has the
        same numbers for a sample of the prior.
    dead : dict of str to list
        The inactive latents of each set.
    prior, codes : Prior, dict of str to ndarray of shape (n, d)
        What was compared.
    """

    per_dimension: pd.DataFrame
    per_pair: pd.DataFrame
    joint: pd.DataFrame
    dead: dict[str, list[Any]]
    prior: Prior
    codes: dict[str, np.ndarray] = field(repr=False)

    def verdict(self, name: str) -> str:
        """The differences of the set `name` from the prior at p < 0.05 / 3, and the C2ST accuracy, in words."""
        inactive = self.dead[choice("name", name, self.dead)]
        row, p_values = self.joint.loc[name], self.per_dimension.loc[name, "ks_p"]
        accuracy = f"C2ST accuracy {row['c2st']:.0%} (50% is chance)"
        off = [latent for latent in p_values.index[p_values * len(p_values) < LEVEL] if latent not in inactive]
        seen = [test for test, column in (("MMD", "mmd_p"), ("C2ST", "c2st_p")) if row[column] < LEVEL]
        parts = [f"{len(inactive)} of {len(p_values)} latents inactive: {_listed(inactive)}"] if inactive else []
        parts += [f"marginals differ (Kolmogorov-Smirnov): {_listed(off)}"] if off else []
        parts += [f"joint distribution differs ({' and '.join(seen)})"] if seen else []
        if not parts:
            return f"no test finds a difference from the prior at {row['rows']:.0f} rows; {accuracy}."
        return f"differs from the prior. {'; '.join(parts)}; {accuracy}."

    def plot(self, kind: str = "overview") -> Any:
        """Draw codes and prior: `kind` "overview", "marginals", "pairs" (the most dependent ones) or "corner"."""
        choice("kind", kind, ("overview", "marginals", "pairs", "corner"))
        codes = {name: pd.DataFrame(z, columns=self.per_dimension.loc[name].index) for name, z in self.codes.items()}
        if kind in ("marginals", "corner"):
            return draw(kind, codes, self.prior)
        first, second = np.triu_indices(self.prior.dim, 1)
        dependence = self.per_pair["distance_correlation"].to_numpy().reshape(len(self.codes), -1)  # a row for each set
        if kind == "pairs":
            order = pd.DataFrame(dependence).max().sort_values(ascending=False).index
            return draw("pairs", codes, self.prior, list(zip(first[order], second[order], strict=True)))
        matrices = {name: np.full((self.prior.dim, self.prior.dim), np.nan) for name in self.codes}
        for matrix, values in zip(matrices.values(), dependence, strict=True):
            matrix[first, second] = matrix[second, first] = values
        return draw("overview", codes, self.prior, matrices)

    def __repr__(self) -> str:
        verdicts = [f"{name}: {self.verdict(name)}" for name in self.dead]
        return "\n".join([*verdicts, "", self.joint.round(4).T.to_string(), "", *LEGEND])

    def _repr_html_(self) -> str:
        verdicts = "".join(f"<p>{name}: {self.verdict(name)}</p>" for name in self.dead)
        legend = f"<p><small>{'<br>'.join(LEGEND)}</small></p>"
        return f"{verdicts}{self.joint.round(4).T.to_html()}{legend}{self.per_dimension.round(3).to_html(max_rows=24)}"


def diagnose(z: Any, prior: Any, *, max_rows: int = 2000, permutations: int = 200, seed: int = 0) -> Diagnosis:
    """Compare codes with the prior that they should follow.

    The draws of the prior depend on `seed` and on a checksum of the codes: equal inputs give equal results, and different codes
    are compared with different draws. The verdict on true draws of a prior finds a difference in about 7 %, not 5 %, because the
    p-value of `c2st` is slightly too small.

    Parameters
    ----------
    z : array_like of shape (n, d), or mapping of str to array_like
        At least 20 codes, or several sets of them, such as the "means" and "samples" of a stochastic encoder. The tables name
        the latents of a DataFrame as it does.
    prior : prior_like
        Anything that `priors.as_prior` takes, also "gaussian" or "uniform". Of an array of samples at least 60 are needed:
        the joint tests compare disjoint thirds, since repeated rows would be recognized by a classifier.
    max_rows : int
        Rows of codes and prior in the joint tests. Distance correlation uses at most 1,000. Moments and Kolmogorov-Smirnov
        (against 20,000 draws) use all.
    permutations : int
        Of the MMD test (IMQ kernel of the prior's scale), whose least p-value is 1 / (1 + permutations): with fewer than 60 it is
        never below the verdict's level of 0.05 / 3.
    seed : int
        Seed of every random draw.

    Returns
    -------
    Diagnosis

    Raises
    ------
    ValueError
        For wrong shapes, values that are not finite or beyond 1e15, too few rows, or a prior of another dimension.
    """
    seed = as_seed("seed", seed)
    whole("max_rows", max_rows, least=LEAST_ROWS)
    given = _named_codes(z)
    checksum = zlib.crc32(b"".join(rows.numpy().tobytes() for rows, _ in given.values()))
    generator = torch.Generator().manual_seed((seed * 1_000_003 + checksum) % 2**63)
    dim = len(next(iter(given.values()))[1])
    prior = as_prior(prior, dim)
    reference, control, fresh, limit = _samples_of(prior, max(len(rows) for rows, _ in given.values()), max_rows, generator)
    kernel = IMQ().fit(reference)
    first, second = np.triu_indices(dim, 1)
    per_dimension, per_pair, joint = {}, {}, {}
    with one_thread():
        for name, (rows, latents) in {**given, PRIOR_ROW: (control, range(dim))}.items():
            per_dimension[name], per_pair[name] = _per_dimension(rows, latents, reference), _per_pair(rows, latents, seed)
            shown = rows[torch.randperm(len(rows), generator=generator, device="cpu")[:limit]]
            target, other = fresh(len(shown))
            active = ~per_dimension[name]["dead"].to_numpy()
            pairs = per_pair[name][active[first] & active[second]]
            joint[name] = {
                **two_sample_tests(shown, target, kernel, permutations, seed),
                "coverage_gap": coverage_gap(shown, target, other),
                "largest_correlation": pairs["correlation"].abs().max(),
                "distance_correlation": pairs["distance_correlation"].mean(),
                "dead": (~active).sum(),
            }
    return Diagnosis(
        per_dimension=pd.concat({name: per_dimension[name] for name in given}, names=["codes", "dimension"]),
        per_pair=pd.concat({name: per_pair[name] for name in given}, names=["codes", "first", "second"]),
        joint=pd.DataFrame(joint.values(), index=pd.Index(joint, name="codes")),
        dead={name: per_dimension[name].index[per_dimension[name]["dead"]].tolist() for name in given},
        prior=prior,
        codes={name: rows.numpy() for name, (rows, _) in given.items()},
    )


def _samples_of(prior: Prior, most: int, max_rows: int, generator: torch.Generator) -> tuple[Tensor, Tensor, Callable, int]:
    """Reference (for kernel and moments), control (the row "prior"), a function n -> (target, second), the most rows n.

    Control, target and second sample are independent: fresh draws, or of a prior that is an array of samples disjoint parts.
    """

    def sample(n: int) -> Tensor:
        return finite("prior's draws", prior.sample(n, generator)).cpu().double()

    bank = getattr(prior, "bank", None)
    if bank is None:
        return sample(20_000), sample(most), lambda n: (sample(n), sample(n)), max_rows
    third = len(bank) // 3
    if third < LEAST_ROWS:
        raise ValueError(f"prior must hold at least {3 * LEAST_ROWS} points where it is an array of them, got {len(bank)}")
    points = bank[torch.randperm(len(bank), generator=generator, device="cpu")].double()
    control, target, second = points[: 3 * third].split(third)
    return points, control[:most], lambda n: (target[:n], second[:n]), min(max_rows, third)


def _named_codes(z: Any) -> dict[str, tuple[Tensor, list[Any]]]:
    """A mapping from the name of each set, "codes" if there is one, to its codes, float64 on the CPU, and its latents' names."""
    if callable(z) or (hasattr(z, "sample") and not hasattr(z, "__array__")):
        raise TypeError(
            f"z must be codes (n, d), or a mapping from names to them, got {describe(z)}; the order is diagnose(codes, prior)"
        )
    given = dict(z) if isinstance(z, Mapping) else {"codes": z}
    if not given or PRIOR_ROW in given:
        raise ValueError(f"z must hold at least one set of codes, and none called {PRIOR_ROW!r}, got sets {list(given)}")
    named: dict[str, tuple[Tensor, list[Any]]] = {}
    for name, rows in given.items():
        label = f"z[{name!r}]" if isinstance(z, Mapping) else "z"
        dim = len(next(iter(named.values()))[1]) if named else None
        found, latents = named_codes(label, rows, dim=dim, rows=LEAST_ROWS)
        if (size := found.abs().max().item()) > 1e15:  # squared distances must stay finite in float32
            raise ValueError(f"{label} must stay within 1e+15, got a value of size {size:.3g}")
        named[str(name)] = found.detach().cpu().double().contiguous(), latents
    return named


def _per_dimension(z: Tensor, latents: Sequence[Any], reference: Tensor) -> pd.DataFrame:
    from scipy.stats import ks_2samp

    constant = constant_columns(z)
    spread = torch.where(constant, 0, z.std(0, correction=0))
    shape = torch.where(constant, torch.nan, standardize(z))
    tests = [ks_2samp(column, target, method="asymp") for column, target in zip(z.T.numpy(), reference.T.numpy(), strict=True)]
    columns = {
        "mean": z.mean(0), "std": spread, "skew": shape.pow(3).mean(0), "kurtosis": shape.pow(4).mean(0) - 3,
        "ks": [test.statistic for test in tests], "ks_p": [test.pvalue for test in tests],
        "dead": varies_less(z, reference, INACTIVE_BELOW),
    }  # fmt: skip
    return pd.DataFrame({name: np.asarray(values) for name, values in columns.items()}, index=pd.Index(latents))


def _per_pair(z: Tensor, latents: Sequence[Any], seed: int) -> pd.DataFrame:
    first, second = np.triu_indices(len(latents), 1)
    matrices = {"correlation": correlation(z), "distance_correlation": distance_correlation(z, seed=seed)}
    pairs = pd.MultiIndex.from_arrays([pd.Index(latents)[of] for of in (first, second)], names=["first", "second"])
    return pd.DataFrame({name: matrix.numpy()[first, second] for name, matrix in matrices.items()}, index=pairs)


def _listed(latents: list[Any]) -> str:
    shown = ", ".join(str(i) for i in latents[:8])
    return f"{shown} and {len(latents) - 8} more" if len(latents) > 8 else shown
