"""How LPS grows with the number of codes that its regressors learn from: is a low score independence, or too few codes?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from sculptlab.drawing import draw
from sculptlab.independence.dependence import permuted_columns
from sculptlab.independence.lps import UNITS, live_columns
from sculptlab.independence.regressors import TARGETS, Predictor, checked
from sculptlab.validation import choice, codes, whole

FEWEST, FACTOR = 500, 4  # codes of the first fit, and how many times as many the next one has
SET_ASIDE, MOST_SET_ASIDE = 0.2, 10_000  # of the codes, for scoring, where no others are given
FLAT = 0.01  # R^2 or bits: what the last step may add before the curve is called rising


@dataclass(frozen=True)
class LPSCurve:
    """What `lps_curve` found.

    frame    a row per number of codes: n (fitted to), score (mean over latents of max(0, R^2), or bits), worst (the most
             predictable latent's), floor (the score of copies whose columns were permuted apart; NaN without any)
    scored   how many other codes the scores are taken on
    latents  the latents that were predicted
    """

    frame: pd.DataFrame
    scored: int
    latents: tuple[int, ...]
    regressor: str
    target: str
    dead: list[int] = field(default_factory=list)

    @property
    def unit(self) -> str:
        return UNITS[self.target]

    def plot(self, ax: Any = None) -> Any:
        """Score and floor against the number of codes; on `ax`, or as a new picture."""
        return draw("lps_against_codes", self, ax)

    def verdict(self) -> str:
        """In plain words: would more codes show more?"""
        if len(self.frame) < 2:
            return "one size: no curve"
        before, last = self.frame["score"].iloc[-2:]
        if last - before > FLAT:
            return "still rising: more codes would show more"
        return "no longer rising"

    def __repr__(self) -> str:
        table = self.frame.to_string(index=False, formatters={"n": "{:,}".format}, float_format="{:.4f}".format)
        head = f"LPS ({self.regressor}, {self.target}) on {self.scored:,} other codes: {self.verdict()}"
        tail = f"{len(self.latents)} latent(s) predicted from all others, {self.unit}"
        return "\n".join([head, table, tail, *([f"dead: {', '.join(map(str, self.dead))}"] if self.dead else [])])


def lps_curve(
    z: Any,
    held_out: Any = None,
    regressor: Any = "boosting",
    target: str = "mean",
    *,
    rows: Sequence[int] | None = None,
    latents: int | None = None,
    permutations: int = 1,
    seed: int = 0,
) -> LPSCurve:
    """LPS against the number of codes: each latent predicted from all others by regressors fitted to n rows of z (N, d) and
    scored on `held_out` (t, d), for a growing n.

    score(n) = mean_i max(0, R_i^2(n)), R_i^2(n) = 1 - sum_r (y_ri - f_i^n(z_r,-i))^2 / sum_r (y_ri - mean y_i)^2 over the rows r
    of `held_out`. A regressor with few codes misses what one with many finds, so a score near 0 is independence only as far as
    its n goes; a curve that still rises at its end says that it is not the end.

    held_out      other codes of the same encoder; None sets aside a fifth of z, at most 10,000, drawn by `seed`
    regressor, target  as in `lps`
    rows          the numbers n; None: 500, 2,000, 8,000 … and all of z. Fewer codes are a part of more
    latents       how many are predicted, drawn by `seed` (each from all the others): for trees on many latents; None: all
    permutations  copies of codes and held_out with columns permuted apart, for the floor; 0 goes without
    Raises ValueError for shapes that do not fit, rows outside 20 … N, values that are not finite; TypeError as `lps`.

    >>> z = torch.randn(4000, 3, generator=torch.Generator().manual_seed(0))
    >>> z[:, 1] += z[:, 0]
    >>> lps_curve(z, regressor="linear", rows=(20, 3000)).frame["score"].round(2).tolist()
    [0.22, 0.32]
    """
    choice("target", target, TARGETS)
    checked(regressor, target)
    permutations, seed = whole("permutations", permutations, least=0), whole("seed", seed, least=0)
    given = codes("z", z).detach()
    generator = torch.Generator().manual_seed(seed)
    order = torch.randperm(len(given), generator=generator).to(given.device)
    if held_out is None:
        aside = min(MOST_SET_ASIDE, max(1, round(SET_ASIDE * len(given))))
        fitted, scored = given[order[aside:]], given[order[:aside]]
    else:
        fitted, scored = given[order], codes("held_out", held_out, dim=given.shape[1]).detach().to(given)
    predictor = Predictor(regressor, target, 2)
    sizes = _sizes(rows, len(fitted), predictor.least_rows(given.shape[1]))
    columns, dead = live_columns(torch.cat([fitted, scored]))
    if columns.shape[1] < 2:
        raise ValueError(f"z must have at least 2 columns that vary, got {columns.shape[1]}")
    fitted, scored = columns[: len(fitted)], columns[len(fitted) :]
    chosen = _drawn(latents, fitted.shape[1], generator)
    found = [_score(predictor, fitted[:n], scored, seed, chosen) for n in sizes]
    permuted = [(permuted_columns(fitted, generator), permuted_columns(scored, generator)) for _ in range(permutations)]
    floors = [[_score(predictor, a[:n], b, seed, chosen)[0] for a, b in permuted] for n in sizes]
    frame = pd.DataFrame(
        {
            "n": sizes,
            "score": [score for score, _ in found],
            "worst": [worst for _, worst in found],
            "chance": [float(np.mean(f)) if f else np.nan for f in floors],
        }
    )
    names = [i for i in range(given.shape[1]) if i not in dead]
    return LPSCurve(frame, len(scored), tuple(names[i] for i in chosen), predictor.name, target, dead)


def _sizes(rows: Sequence[int] | None, most: int, least: int) -> list[int]:
    """The numbers of codes to fit to, rising; a ValueError for one below `least` or above `most`."""
    if most < least:
        raise ValueError(f"z must have at least {least} rows to fit to, got {most}")
    if rows is not None:
        asked = sorted({whole("rows", n, least=least) for n in rows})
        if not asked or asked[-1] > most:
            raise ValueError(f"rows must be numbers between {least} and the {most} that are there to fit to, got {list(rows)}")
        return asked
    grown = [max(FEWEST, least)]
    while grown[-1] * FACTOR < most:
        grown.append(grown[-1] * FACTOR)
    return [*(n for n in grown if n < most), most]


def _drawn(latents: int | None, dim: int, generator: torch.Generator) -> list[int]:
    if latents is None:
        return list(range(dim))
    if whole("latents", latents) > dim:
        raise ValueError(f"latents must be at most the {dim} that vary, got {latents}")
    return sorted(torch.randperm(dim, generator=generator)[:latents].tolist())


def _score(predictor: Predictor, fitted: Tensor, scored: Tensor, seed: int, chosen: list[int]) -> tuple[float, float]:
    """The mean and the largest of max(0, R^2) over the chosen latents."""
    raw = predictor.transfer(torch.cat([fitted, scored]), len(fitted), seed, chosen).raw().clip(0)
    return float(raw.mean()), float(raw.max())
