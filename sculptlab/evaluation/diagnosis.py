"""Do codes follow a prior? How far, in which latents, and what to try; beside the same numbers for a sample of the prior."""

import zlib
from dataclasses import dataclass, field
from html import escape
from typing import Any

import numpy as np
import pandas as pd
import torch

from sculptlab.columns import warn_of_repeats
from sculptlab.drawing import draw
from sculptlab.evaluation.code_sets import PRIOR_ROW, check_order, named_sets
from sculptlab.evaluation.effects import Target, effect_table, normalizing_constants
from sculptlab.evaluation.latents import latents as latents_of
from sculptlab.evaluation.remedies import Advice, advise
from sculptlab.evaluation.set_tables import INACTIVE_BELOW, dependence, duplicated, per_dimension, per_pair
from sculptlab.evaluation.two_samples import LEAST_ROWS, WIDE, coverage_gap, prior_samples, two_sample_tests
from sculptlab.evaluation.verdicts import LEGEND, headline, verdict
from sculptlab.mmd.kernels import IMQ
from sculptlab.priors import Prior, as_prior
from sculptlab.progress import Progress
from sculptlab.threads import one_thread
from sculptlab.validation import as_seed, choice, whole


@dataclass(frozen=True)
class Diagnosis:
    """How codes differ from a prior; what `diagnose` returns.

    Parameters
    ----------
    per_dimension : pandas.DataFrame
        A row for each set of codes and latent: mean, std, skew, kurtosis (excess: 0 for a Gaussian), ks (Kolmogorov-Smirnov
        distance to the prior), ks_p (its p-value), dead (whether the latent is inactive: `columns.varies_less` than 5 % of the
        prior's). With their 95 % intervals (..._low, ..._high): shift (difference of means in units of the prior's std), scale
        (ratio of stds) and shape (what remains after both: half the root of the chi-square divergence over ten bins, 0 by
        chance).
    per_pair : pandas.DataFrame
        A row for each set and pair of latents: correlation, excess_correlation (less that of the prior), distance_correlation
        (squared, bias-corrected). Of more than 64 latents the last is computed among the 64 with the largest correlations only,
        else NaN.
    joint : pandas.DataFrame
        A row for each set: mmd2 (unbiased), mmd2_95 (the 95 % quantile of its permutation null), mmd_p; c2st (accuracy, 0.5 is
        chance), its 95 % interval c2st_low and c2st_high, c2st_p; coverage_gap (0.05 is chance); of pairs of active latents
        largest_correlation (absolute) and the mean distance_correlation; dead (how many latents are inactive); rows in the
        joint tests; effective_rank (exp of the entropy of the covariance's spectrum); duplicates (how many latents have a
        correlation of 0.95 or more with an earlier one, or are a linear function of earlier ones, where the prior's are not).
        Its last row, "prior", has the same numbers for a sample of the prior.
    dead, duplicates : dict of str to list
        The inactive latents of each set; those that repeat others.
    effects : pandas.DataFrame
        For each set the effects that the verdict weighs, the largest in units of its margin first: effect ("shift", "scale",
        "shape", "excess correlation", "c2st"), where (latent, pair or "all"), value, low, high (95 % interval), state ("close",
        "undecided" or "far") and rows_needed (about how many rows would decide).
    constants : pandas.DataFrame
        For each set and latent the shift and the scale with which (z - shift) * scale has the prior's mean and std, with their
        95 % intervals; in the row "all" one shift and one scale for all latents, the "scaling factor" of latent diffusion.
    prior, codes : Prior, dict of str to ndarray of shape (n, d)
        What was compared.
    max_rows, seed : as given to `diagnose`

    Notes
    -----
    The margins say from which size on a difference matters. They were chosen before any example was seen. A latent at its margin
    (shift 0.1, scale 10 %, shape 0.05, excess correlation 0.15) differs from a Gaussian by a total variation distance of 0.04 to
    0.05, and a C2ST accuracy of 55 % is a distance of 0.1. An effect is "far" if its value is beyond the margin and chance does
    not explain it (level 0.05 for all effects together); "undecided" if neither chance nor the margin is excluded (the margin by
    a one-sided 95 % bound); else "close". Where mean or standard deviation may not exist (prior draws with a kurtosis above 12),
    median and interquartile range replace them.
    """

    per_dimension: pd.DataFrame
    per_pair: pd.DataFrame
    joint: pd.DataFrame
    dead: dict[str, list[Any]]
    duplicates: dict[str, list[Any]]
    effects: pd.DataFrame
    constants: pd.DataFrame
    prior: Prior
    codes: dict[str, np.ndarray] = field(repr=False)
    max_rows: int
    seed: int
    _advice: dict[str, Advice] = field(default_factory=dict, repr=False, compare=False)

    def verdict(self, name: str | None = None) -> str:
        """How far the set `name` (needless if there is one) is from the prior, and in what: effects beside p-values, in words."""
        name = self._set(name)
        effects, latents, row = self.effects.loc[name], self.per_dimension.loc[name], self.joint.loc[name]
        return verdict(effects, latents, row, self.dead[name], self.duplicates[name])

    def headline(self, name: str | None = None) -> str:
        """The verdict in a few words, such as "far from the prior in scale, shape"."""
        return headline(self.effects.loc[self._set(name)])

    def _set(self, name: str | None) -> str:
        return choice("name", next(iter(self.dead)) if name is None and len(self.dead) == 1 else name, self.dead)

    def advice(self, name: str | None = None) -> Advice:
        """What to try with the set `name`: the mildest remedy that suffices, found by testing them, once, when this is called."""
        name = self._set(name)
        if name not in self._advice:
            latents = self.per_dimension.loc[name]
            inactive = latents["dead"] & (latents["scale"] < INACTIVE_BELOW * latents["scale"].max())  # not if all are small
            unused = inactive | (latents["std"] == 0) | latents.index.isin(self.duplicates[name])
            z, kept = torch.from_numpy(self.codes[name]), torch.from_numpy(~unused.to_numpy(dtype=bool))
            effects, names = self.effects.loc[name], list(latents.index)
            self._advice[name] = advise(z, names, self.prior, effects, kept, self.max_rows, self.seed)
        return self._advice[name]

    def plot(self, kind: str = "effects") -> Any:
        """Draw the "effects" with intervals and margins; or codes and prior: "overview", "marginals", "pairs", "corner"."""
        choice("kind", kind, ("effects", "overview", "marginals", "pairs", "corner"))
        codes = {name: pd.DataFrame(z, columns=self.per_dimension.loc[name].index) for name, z in self.codes.items()}
        if kind == "effects":
            return draw("effects", self)
        if kind in ("marginals", "corner"):
            return draw(kind, codes, self.prior)
        first, second = np.triu_indices(self.prior.dim, 1)
        values = self.per_pair["distance_correlation"].to_numpy().reshape(len(self.codes), -1)  # a row for each set
        if kind == "pairs":
            order = pd.DataFrame(values).max().sort_values(ascending=False).index
            return draw("pairs", codes, self.prior, list(zip(first[order], second[order], strict=True)))
        matrices = {name: np.full((self.prior.dim, self.prior.dim), np.nan) for name in self.codes}
        for matrix, row in zip(matrices.values(), values, strict=True):
            matrix[first, second] = matrix[second, first] = row
        return draw("overview", codes, self.prior, matrices)

    def __repr__(self) -> str:
        return "\n".join([*self._lines(), "", self.joint.round(4).T.to_string(), "", *LEGEND])

    def _repr_html_(self) -> str:
        lines = "".join(f"<p>{escape(line)}</p>" for line in self._lines())
        legend = f"<p><small>{'<br>'.join(map(escape, LEGEND))}</small></p>"
        return f"{lines}{self.joint.round(4).T.to_html()}{legend}{self.per_dimension.round(3).to_html(max_rows=24)}"

    def _lines(self) -> list[str]:
        """The verdict and the advice for each set, and what was left out."""
        lines = [line for name in self.dead for line in (f"{name}: {self.verdict(name)}", f"  try: {self.advice(name)}.")]
        if {"means", "samples"} <= self.dead.keys() and len(self.dead["means"]) == self.prior.dim:
            lines.append(
                "All means are inactive: the encoder ignores its input, the samples are noise, and their distance to the prior "
                "says nothing. A smaller weight of the KL term or of the prior helps."
            )
        if self.prior.dim > WIDE:
            lines.append(f"Of {self.prior.dim} latents, the {WIDE} with the largest correlations have distance correlations.")
        return lines


def diagnose(z: Any, prior: Any, data: Any = None, *, max_rows: int = 2000, permutations: int = 200, seed: int = 0) -> Diagnosis:
    """Compare codes with the prior that they should follow: how far, in which latents, and what to try.

    "Is my VAE's latent space Gaussian?" is answered by the verdict on "samples", draws of the aggregate posterior, which the
    decoder sees in training; the means alone are narrower even where the samples follow the prior.

    The draws of the prior depend on `seed` and on a checksum of the codes: equal inputs give equal results, and different codes
    are compared with different draws. Rows must be independent: of feature maps one place an image, which is what `latents` takes
    by default; correlated rows make every interval too narrow. Repeated rows give a warning. 10,000 rows of 384 latents take
    about 25 s on one CPU core, their advice 15 s; what takes more than 5 s shows its progress and the time left.

    Parameters
    ----------
    z : array_like of shape (n, d), mapping of str to array_like, tuple (mu, logvar), or model
        At least 20 codes, or several sets of them, such as the "means" and "samples" of a stochastic encoder. A tuple of two
        arrays (n, d) is read as the means and log-variances of a VAE, whose "means" and "samples" are compared. The tables name
        the latents of a DataFrame as it does. With `data`, a model, whose codes `evaluation.latents.latents` finds.
    prior : prior_like
        Anything that `priors.as_prior` takes, also "gaussian" or "uniform". Of an array of samples at least 60 are needed:
        the joint tests compare disjoint thirds, since repeated rows would be recognized by a classifier.
    data : optional
        What the model `z` encodes.
    max_rows : int
        Rows of codes and prior in the joint tests. Distance correlation uses at most 1,000. Moments, Kolmogorov-Smirnov (against
        20,000 draws) and the effects of single latents and pairs use all.
    permutations : int
        Of the MMD test (IMQ kernel of the prior's scale), whose least p-value is 1 / (1 + permutations).
    seed : int
        Seed of every random draw.

    Returns
    -------
    Diagnosis

    Raises
    ------
    ValueError, TypeError
        For wrong shapes, values that are not finite or beyond 1e15, too few rows, a prior of another dimension, or a model
        without `data`.

    Examples
    --------
    >>> z = 1.6 * torch.randn(1500, 2, generator=torch.Generator().manual_seed(0))
    >>> found = diagnose(z, "gaussian")
    >>> found.verdict("codes").split(",")[0], found.advice("codes").action
    ('far: scale 60% wide', 'rescale')
    """
    seed = as_seed("seed", seed)
    whole("max_rows", max_rows, least=LEAST_ROWS)
    whole("permutations", permutations)
    check_order(z, prior, data)
    given = named_sets(z if data is None else latents_of(z, data, seed=seed), seed)
    checksum = zlib.crc32(b"".join(rows.numpy().tobytes() for rows, _ in given.values()))
    generator = torch.Generator().manual_seed((seed * 1_000_003 + checksum) % 2**63)
    dim = len(next(iter(given.values()))[1])
    prior = as_prior(prior, dim)
    reference, control, fresh, limit = prior_samples(prior, max(len(rows) for rows, _ in given.values()), max_rows, generator)
    for name, (rows, _) in given.items():
        warn_of_repeats(f"z[{name!r}]", rows, "a classifier recognizes them, which looks like a difference from the prior")
    kernel, target = IMQ().fit(reference), Target.of(reference, prior)
    sets, found = {**given, PRIOR_ROW: (control, list(range(dim)))}, {}
    with one_thread(), Progress("diagnose", 3 * len(sets)) as bar:
        for name, (rows, latents) in sets.items():
            single = per_dimension(rows, latents, target)
            bar.advance(1)
            pairs = per_pair(rows, latents, target, seed)
            bar.advance(1)
            shown = rows[torch.randperm(len(rows), generator=generator, device="cpu")[:limit]]
            drawn, other = fresh(len(shown))
            tests = two_sample_tests(shown, drawn, kernel, permutations, seed)
            tests["coverage_gap"] = coverage_gap(shown, drawn, other)
            dead = single["dead"].to_numpy()
            repeated = duplicated(rows, reference, torch.from_numpy(~dead))
            found[name] = {
                "per_dimension": single,
                "per_pair": pairs,
                "joint": tests | dependence(rows, dead, pairs, repeated),
                "effects": effect_table(rows, target, tests["c2st"], len(shown), latents),
                "constants": normalizing_constants(rows, target, latents),
                "dead": single.index[dead].tolist(),
                "duplicates": [latents[i] for i in repeated.nonzero()[:, 0].tolist()],
            }
            bar.advance(1)

    def stacked(table: str, *levels: str) -> pd.DataFrame:
        return pd.concat({name: found[name][table] for name in given}, names=["codes", *levels])

    return Diagnosis(
        per_dimension=stacked("per_dimension", "dimension"),
        per_pair=stacked("per_pair", "first", "second"),
        joint=pd.DataFrame([one["joint"] for one in found.values()], index=pd.Index(found, name="codes")),
        dead={name: found[name]["dead"] for name in given},
        duplicates={name: found[name]["duplicates"] for name in given},
        effects=stacked("effects", "rank"),
        constants=stacked("constants", "dimension"),
        prior=prior,
        codes={name: rows.numpy() for name, (rows, _) in given.items()},
        max_rows=max_rows,
        seed=seed,
    )
