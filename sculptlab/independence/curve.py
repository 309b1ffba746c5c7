"""LPS against the number of codes that the regressors are fitted to: a low score can mean independence, or too few codes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from sculptlab.columns import permute_columns, random_rows
from sculptlab.drawing import draw
from sculptlab.independence.lps import active_columns
from sculptlab.independence.many_latents import choose
from sculptlab.independence.regressors import UNITS, LatentPredictor
from sculptlab.progress import Progress
from sculptlab.validation import as_group_size, as_seed, codes, describe, flag, items, named_codes, whole

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class LPSCurve:
    """LPS against the number of codes.

    Attributes
    ----------
    frame : DataFrame
        A row per number of codes: n (fitted to), score (mean over latents of max(0, R^2), or bits), worst (score of the most
        predictable latent), chance (mean score of permuted copies; NaN without any).
    scored : int
        Number of other codes on which the scores are computed.
    latents, dead : tuple, list
        Latents that were predicted, and inactive ones, those without variance; by name or number.
    regressor, target : str
        As in `lps`.
    notes : list of str
        What was chosen by default because there are many latents, and what to pass instead.
    """

    frame: pd.DataFrame
    scored: int
    latents: tuple[Any, ...]
    dead: list[Any]
    regressor: str
    target: str
    notes: list[str] = field(default_factory=list)

    @property
    def unit(self) -> str:
        """Unit of the scores."""
        return UNITS[self.target]

    def plot(self, ax: Any = None) -> Any:
        """Draw score and chance level against the number of codes, on `ax` or a new figure."""
        return draw("lps_against_codes", self, ax)

    def verdict(self) -> str:
        """Whether the score is "still rising": the last step of the curve added more than 0.01 (R^2 or bits)."""
        if len(self.frame) < 2:
            return "one number of codes: no curve"
        before, last = self.frame["score"].iloc[-2:]
        return "still rising: more codes would give a higher score" if last - before > 0.01 else "no longer rising"

    def __repr__(self) -> str:
        table = self.frame.to_string(index=False, formatters={"n": "{:,}".format}, float_format="{:.4f}".format)
        head = f"LPS ({self.regressor}, {self.target}) on {self.scored:,} other codes: {self.verdict()}"
        tail = f"{len(self.latents)} latent(s) predicted from all others, {self.unit}"
        dead = [f"inactive: {', '.join(map(str, self.dead))}"] if self.dead else []
        return "\n".join([head, table, tail, *dead, *self.notes])


def lps_curve(
    z: Any,
    held_out: Any = None,
    regressor: Any = None,
    target: str = "mean",
    *,
    rows: Sequence[int] | None = None,
    latents: int | str | None = None,
    group_size: int = 1,
    permutations: int = 1,
    seed: int = 0,
    progress: bool | str = True,
) -> LPSCurve:
    """LPS of regressors fitted to a growing number of codes and scored on other codes.

    score(n) = mean_i max(0, R_i^2(n)), where f_i^n is fitted to n rows of `z`, and over the rows r of `held_out`
    R_i^2(n) = 1 - sum_r (y_ri - f_i^n(z_r,-i))^2 / sum_r (y_ri - mean y_i)^2.
    A score near 0 shows independence only as far as n codes allow; a curve that still rises at its end calls for more codes.

    Parameters
    ----------
    z : array_like of shape (N, d)
        Codes, samples first.
    held_out : array_like of shape (t, d), optional
        Other codes of the same encoder. By default a fifth of `z`, at most 10,000 rows, is drawn by `seed` and set aside.
    regressor, target, permutations, seed, progress
        As in `lps`, but "boosting" is the default regressor for up to 32 latents. The seed also decides which rows are set
        aside, and the order of the codes.
    rows : sequence of int, optional
        The numbers n; by default 500, 2,000, 8,000, ... and all of `z`. Smaller samples are parts of larger ones.
    latents : int or "all", optional
        How many latents are predicted, drawn by `seed`, each from all others; by default as in `lps`.
    group_size : int
        As in `lps`: whole groups of rows are set aside, drawn and permuted, and the numbers n are rounded up to them.

    Returns
    -------
    LPSCurve

    Raises
    ------
    ValueError, TypeError
        As `lps` does, and for `rows` that are too small or too large.

    Examples
    --------
    >>> z = torch.randn(4000, 3, generator=torch.Generator().manual_seed(0))
    >>> z[:, 1] += z[:, 0]
    >>> lps_curve(z, regressor="linear", rows=(20, 3000)).frame["score"].round(2).tolist()
    [0.22, 0.32]
    """
    import pandas as pd

    seed, permutations = as_seed("seed", seed), whole("permutations", permutations, least=0)
    predictor = LatentPredictor("boosting" if regressor is None else regressor, target, folds=2, group_size=group_size)
    given, names = named_codes("z", z)
    generator = torch.Generator().manual_seed(seed)
    group_size = as_group_size(group_size, len(given))
    fitted = given.detach()[random_rows(len(given), generator, group_size).to(given.device)]
    if held_out is None:
        aside = max(1, min(10_000, round(0.2 * len(given))) // group_size) * group_size
        fitted, scored = fitted[aside:], fitted[:aside]
    else:
        scored = codes("held_out", held_out, dim=given.shape[1]).detach().to(fitted)
        as_group_size(group_size, len(scored))
    columns, active, dead = active_columns(torch.cat([fitted, scored]), names, least=2)
    predictor, chosen, notes = choose(regressor, predictor, latents, len(fitted), len(active), generator)
    most, least = len(fitted), predictor.least_rows(given.shape[1])
    predictor.check_rows(most, given.shape[1])
    if rows is None:
        sizes = [*(n for n in (max(500, least) * 4**k for k in range(20)) if n < most), most]
    else:
        sizes = [whole("rows", n, least=least) for n in items("rows", rows)]
    sizes = sorted({n + -n % group_size for n in sizes})
    if not sizes or sizes[-1] > most:
        raise ValueError(f"rows must be numbers between {least} and the {most} that are there to fit to, got {describe(rows)}")
    parts = columns.split([len(fitted), len(scored)])
    scores = []  # of the codes and of each permuted copy, for each number of codes and each latent
    fits, label = (1 + permutations) * len(sizes) * len(chosen), f"LPS ({predictor.name})"
    shown = isinstance(progress, str) or flag("progress", progress)
    with Progress(progress if isinstance(progress, str) else label, fits, shown) as bar:
        predictor = replace(predictor, advance=bar.advance)
        for copy in range(1 + permutations):
            fitted, scored = (permute_columns(part, generator, group_size) for part in parts) if copy else parts
            losses = (predictor.held_out(torch.cat([fitted[:n], scored]), n, seed, chosen) for n in sizes)
            scores.append([predictor.gain(loss).clip(0) for loss in losses])
    mean = np.mean(scores, 2)
    chance = mean[1:].mean(0) if permutations else np.nan
    frame = pd.DataFrame({"n": sizes, "score": mean[0], "worst": np.max(scores[0], 1), "chance": chance})
    return LPSCurve(frame, len(scored), tuple(names[active[i]] for i in chosen), dead, predictor.name, target, notes)
