"""A report on independence: six measures side by side, each with its chance level and p-value."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from functools import partial
from html import escape
from itertools import count
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from sculptlab.columns import draw_rows, permute_columns, standardize, warn_of_repeats
from sculptlab.drawing import draw
from sculptlab.independence.dependence import distance_correlations, hsics, total_correlation
from sculptlab.independence.lps import REPEATS, active_columns
from sculptlab.independence.many_latents import MANY, choose
from sculptlab.independence.regressors import REGRESSORS, UNITS, LatentPredictor
from sculptlab.progress import Progress
from sculptlab.threads import on_all_cores, one_thread
from sculptlab.validation import as_float64, as_seed, choice, flag, named_codes, whole

if TYPE_CHECKING:
    import pandas as pd

MEASURES = {  # name: unit, what it detects
    "LPS of means": ("share of variance", "whether the others shift its mean; blind to a ring or a rotated square"),
    "LPS of squares": ("share of variance", "whether they change its spread; blind where only the sign depends"),
    "LPS of the distribution": ("bits", "whatever the regressor can learn: a lower bound on information"),
    "distance correlation": (
        "squared correlation",
        "any dependence of one latent on all others, given enough rows; weak if it oscillates or if there are many latents",
    ),
    "HSIC": ("kernel alignment", "any dependence at about the median distance; weak on finer structure or many latents"),
    "Gaussian total correlation": ("nats", "linear dependence only: 0 if there is none, infinite for a copy"),
}


@dataclass(frozen=True)
class IndependenceReport:
    """Six measures of dependence among the latents of one sample of codes.

    Attributes
    ----------
    table : DataFrame
        A row per measure, with the columns value, chance (the mean of `null`), p_value, unit, rows and latents (the numbers
        used), detects (what the measure can and cannot detect).
    null : dict of arrays of shape (permutations,)
        For each measure, its values on copies of the codes with permuted columns.
    dead : list
        Names or numbers of the inactive latents, those with a single value, which all measures leave out.
    n, dim, permutations : int
        Numbers of rows, of latents (inactive ones too), and of permuted copies.
    latents, notes : list
        Names or numbers of the latents that were drawn, or all active ones; and what was chosen by default because there are
        many, and what to pass instead.
    """

    table: pd.DataFrame
    null: dict[str, np.ndarray] = field(repr=False)
    dead: list[Any]
    n: int
    dim: int
    permutations: int
    latents: list[Any] = field(default_factory=list, repr=False)
    notes: list[str] = field(default_factory=list)

    @property
    def detected_by(self) -> list[str]:
        """Measures with a p-value of at most 0.05."""
        return list(self.table.index[self.table["p_value"] <= 0.05])

    @property
    def enough_permutations(self) -> bool:
        """Whether a p-value of at most 0.05 is possible: the least one is 1 / (1 + permutations)."""
        return 1 / (1 + self.permutations) <= 0.05

    def to_frame(self) -> pd.DataFrame:
        """A copy of `table`."""
        return self.table.copy()

    def verdict(self) -> str:
        """Which measures detect dependence."""
        found, total = self.detected_by, len(self.table)
        if not self.enough_permutations:
            return f"undecided, as p <= 0.05 needs at least 19 permutations, got {self.permutations}."
        if not found:
            return "no measure detects dependence."
        count = "every measure detects" if len(found) == total else f"{len(found)} of {total} measures detect"
        return f"{count} dependence: {', '.join(found)}."

    def plot(self) -> Any:
        """Draw each measure on its own scale, beside its range over permuted copies, as a new figure."""
        return draw("independence_strips", self)

    def __repr__(self) -> str:
        lines, table = self._shown()
        return "\n".join([*lines, "", table.drop(columns="detects").to_string()])

    def _repr_html_(self) -> str:
        lines, table = self._shown()
        return "".join(f"<p>{escape(line)}</p>" for line in lines) + table.to_html()

    def _shown(self) -> tuple[list[str], pd.DataFrame]:
        left_out = f" Inactive, left out: {', '.join(map(str, self.dead))}." if self.dead else ""
        return [
            f"{self.dim - len(self.dead)} latents, {self.n:,} rows: {self.verdict()}{left_out}",
            f"chance: mean over {self.permutations} copies with each column permuted; p is at least "
            f"{1 / (1 + self.permutations):.2g}. On independent codes each measure has p <= 0.05 in up to 5 % of samples, at "
            "least one of the six in up to 30 %; to be sure, repeat with more permutations or new rows.",
            *self.notes,
        ], self.table.round({"value": 4, "chance": 4})


def independence_report(
    z: Any,
    *,
    regressor: str | None = None,
    latents: int | str | None = None,
    group_size: int = 1,
    permutations: int = 19,
    max_rows: int = 1000,
    seed: int = 0,
    progress: bool = True,
) -> IndependenceReport:
    """Test the independence of the latents by six measures, each with its chance level and p-value.

    The measures are LPS of means, of squares and of the distribution (see `lps`), on all rows; distance correlation and HSIC
    of each latent with all others jointly, averaged over the active latents; and the Gaussian total correlation. Each is
    computed again on copies whose columns are permuted independently, and p = (1 + #{copy >= value}) / (1 + permutations)
    is exact for independent rows.

    Parameters
    ----------
    z : array_like of shape (n, d)
        Codes, samples first, at least 20 rows, of which at least 2 columns vary.
    regressor : {"mlp", "linear", "boosting"}, optional
        Regressor of the three LPS; by default "mlp", and "linear" for more than 32 active latents.
    latents : int or "all", optional
        How many latents are drawn by `seed` for all measures but the total correlation; each is compared with all others. By
        default all, and 32 of more than 32, but all for what "linear" predicts in closed form: LPS of means and of squares.
    group_size : int
        As in `lps`: folds, drawn rows and permutations take whole groups of so many consecutive rows.
    max_rows : int
        Distance correlation and HSIC use at most so many rows, since their work grows with the square.
    permutations, seed : int
        Number of permuted copies; the seed decides the rows and latents drawn, the permutations and the regressors.
    progress : bool
        Whether to show a progress bar for each measure that takes more than 5 seconds.

    Returns
    -------
    IndependenceReport

    Raises
    ------
    ValueError, TypeError
        As `lps` does, for fewer than 20 rows, and for fewer than 2 columns that vary.
    """
    import pandas as pd

    seed, permutations = as_seed("seed", seed), whole("permutations", permutations)
    name = "mlp" if regressor is None else choice("regressor", regressor, REGRESSORS)
    predictor = LatentPredictor(name, "distribution", group_size=group_size)
    whole("max_rows", max_rows, least=20)
    rows, names = named_codes("z", z, rows=20)
    rows, n, group_size = rows.detach(), len(rows), predictor.group_size
    everyone, active, dead = active_columns(rows, names, least=2)
    most = MANY if latents is None and len(active) > MANY else latents
    predictor, chosen, notes = choose(regressor, predictor, most, n, len(active), torch.Generator().manual_seed(seed))
    predictors = [replace(predictor, target=target) for target in UNITS]
    for one in predictors:
        one.check_rows(n, len(active))
    warn_of_repeats("z", everyone, REPEATS)
    few = standardize(as_float64(draw_rows(rows, max(max_rows, 20 * group_size), seed, group_size)[:, active]))
    every = list(range(len(active)))
    predicted = [every if latents is None and one.closed_form else chosen for one in predictors]
    within = None if chosen == every else chosen
    tasks = list(zip(predictors, predicted, strict=True))

    def scores(data: Tensor, copy: int, *, advance: Callable[[int], None]) -> list[float]:
        losses = (replace(one, advance=advance).cross_fitted(data, seed + copy, each) for one, each in tasks)
        return [float(one.gain(loss).clip(0).mean()) for one, loss in zip(predictors, losses, strict=True)]

    def to_rest(data: Tensor, copy: int, *, advance: Callable[[int], None]) -> list[float]:
        advance(1)
        return [float(measure(data, within).mean()) for measure in (distance_correlations, hsics)]

    def total(data: Tensor, copy: int, *, advance: Callable[[int], None]) -> list[float]:
        advance(1)
        return [float(total_correlation(data))]

    values: list[tuple[float, ...]] = []  # for each measure, of the codes and of each permuted copy
    for label, data, start, work, measures in (
        (f"1 of 3: LPS ({predictor.name})", everyone, seed, sum(len(each) * one.fits for one, each in tasks), scores),
        ("2 of 3: distance correlation and HSIC", few, seed + 1, 1, to_rest),
        ("3 of 3: Gaussian total correlation", everyone, seed + 1, 1, total),
    ):
        generator = torch.Generator().manual_seed(start)
        with (
            nullcontext() if measures is scores else one_thread(),
            Progress(label, work * (1 + permutations), flag("progress", progress)) as bar,
        ):
            copies = (permute_columns(data, generator, group_size) if copy else data for copy in range(1 + permutations))
            evaluate = partial(measures, advance=bar.advance)
            scored = on_all_cores(evaluate, copies) if len(active) > MANY else map(evaluate, copies, count())
            values += zip(*scored, strict=True)
    table = pd.DataFrame(MEASURES, index=["unit", "detects"]).T.rename_axis("measure")
    found, copied = np.array(values)[:, 0], np.array(values)[:, 1:]
    # The tolerance makes a copy that equals the codes count as a tie in spite of rounding.
    tolerance = np.where(np.isfinite(found), 1e-9 * np.maximum(1, np.abs(found)), 0)
    reached = copied >= (found - tolerance)[:, None]
    columns = {
        "value": found, "chance": copied.mean(1), "p_value": (1 + reached.sum(1)) / (1 + permutations), "unit": table["unit"],
        "rows": [n] * 3 + [len(few)] * 2 + [n], "latents": [*map(len, predicted)] + [len(chosen)] * 2 + [len(active)],
        "detects": table["detects"],
    }  # fmt: skip
    null, drawn = dict(zip(MEASURES, copied, strict=True)), [names[active[i]] for i in chosen]
    return IndependenceReport(table.assign(**columns)[[*columns]], null, dead, n, rows.shape[1], permutations, drawn, notes)
