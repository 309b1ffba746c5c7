"""A report on independence: six measures side by side, each with its chance level and p-value."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from sculptlab.columns import draw_rows, permute_columns, standardize
from sculptlab.drawing import draw
from sculptlab.independence.dependence import distance_correlations, hsics, total_correlation
from sculptlab.independence.lps import active_columns, lps
from sculptlab.independence.many_latents import MANY, choose
from sculptlab.independence.regressors import REGRESSORS, LatentPredictor
from sculptlab.progress import Progress
from sculptlab.threads import one_thread
from sculptlab.validation import as_float64, as_seed, choice, named_codes, whole

if TYPE_CHECKING:
    import pandas as pd

MEASURES: dict[str, tuple[Any, str, str]] = {  # name: target of an LPS or measure of standardized columns, unit, what it detects
    "LPS of means": ("mean", "share of variance", "whether the others shift its mean; blind to a ring or a rotated square"),
    "LPS of squares": ("square", "share of variance", "whether they change its spread; blind where only the sign depends"),
    "LPS of the distribution": ("distribution", "bits", "whatever the regressor can learn: a lower bound on information"),
    "distance correlation": (
        distance_correlations,
        "squared correlation",
        "any dependence of one latent on all others, given enough rows; weak if it oscillates or if there are many latents",
    ),
    "HSIC": (hsics, "kernel alignment", "any dependence at about the median distance; weak on finer structure or many latents"),
    "Gaussian total correlation": (total_correlation, "nats", "linear dependence only: 0 if there is none, infinite for a copy"),
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

    def to_frame(self) -> pd.DataFrame:
        """A copy of `table`."""
        return self.table.copy()

    def verdict(self) -> str:
        """Which measures detect dependence."""
        found, total = self.detected_by, len(self.table)
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
    latents: int | None = None,
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
    latents : int, optional
        How many latents are drawn by `seed` for all measures but the total correlation; each is compared with all others. By
        default all, and 32 of more than 32, but all for what "linear" predicts in closed form: LPS of means and of squares.
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
    predictor = LatentPredictor("mlp" if regressor is None else choice("regressor", regressor, REGRESSORS), "distribution")
    whole("max_rows", max_rows, least=20)
    rows, names = named_codes("z", z, rows=20)
    rows = rows.detach()
    everyone, active, dead = active_columns(rows, names, least=2)
    few = standardize(as_float64(draw_rows(rows, max_rows, seed)[:, active]))
    most = MANY if latents is None and len(active) > MANY else latents
    predictor, chosen, notes = choose(regressor, predictor, most, len(rows), len(active), torch.Generator().manual_seed(seed))
    lines, null = [], {}
    for k, (name, (measure, unit, detects)) in enumerate(MEASURES.items(), 1):
        label, used = f"{k} of {len(MEASURES)}: {name}", len(chosen)
        if isinstance(measure, str):
            if latents is None and replace(predictor, target=measure).closed_form:
                used = len(active)
            of = used if used < len(active) else None
            found = lps(
                rows, predictor.name, measure, latents=of, permutations=permutations, seed=seed, progress=progress and label
            )
            value, p_value, count, null[name] = found.score, found.p_value, len(rows), found.null
        else:
            data, within = (everyone, None) if measure is total_correlation else (few, chosen)
            if len(within or active) == len(active):
                used, within = len(active), None
            generator, count = torch.Generator().manual_seed(seed + 1), len(data)
            with one_thread(), Progress(label, 1 + permutations, progress) as bar:
                values = []
                for copy in range(1 + permutations):
                    values.append(float(measure(permute_columns(data, generator) if copy else data, within).mean()))
                    bar.advance(1)
            value, null[name] = values[0], np.array(values[1:])
            # The tolerance makes a copy that equals the codes count as a tie in spite of rounding.
            reached = null[name] >= value - (1e-9 * max(1.0, abs(value)) if np.isfinite(value) else 0)
            p_value = float((1 + reached.sum()) / (1 + permutations))
        lines.append((name, value, float(null[name].mean()), p_value, unit, count, used, detects))
    columns = ["measure", "value", "chance", "p_value", "unit", "rows", "latents", "detects"]
    drawn = [names[active[i]] for i in chosen]
    table = pd.DataFrame(lines, columns=columns).set_index("measure")
    return IndependenceReport(table, null, dead, len(rows), rows.shape[1], permutations, drawn, notes)
