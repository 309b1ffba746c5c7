"""A report on independence: six measures side by side, each with its chance level and p-value."""

from __future__ import annotations

from dataclasses import dataclass, field
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from sculptlab.columns import constant_columns, draw_rows, permute_columns, standardize
from sculptlab.drawing import draw
from sculptlab.independence.dependence import distance_correlations, hsics, total_correlation
from sculptlab.independence.lps import lps
from sculptlab.independence.regressors import REGRESSORS
from sculptlab.threads import one_thread
from sculptlab.validation import choice, named_codes, whole

if TYPE_CHECKING:
    import pandas as pd

LPS_MEASURES = {  # target: name, unit, what it sees
    "mean": (
        "LPS of means",
        "share of variance",
        "whether the others shift its mean; blind to a ring or a rotated square",
    ),
    "square": ("LPS of squares", "share of variance", "whether they change its spread; blind where only the sign depends"),
    "distribution": ("LPS of the distribution", "bits", "whatever the regressor can learn: a lower bound on information"),
}
JOINT_MEASURES = {  # name: measure of standardized columns, unit, what it sees
    "distance correlation": (
        lambda data: float(distance_correlations(data).mean()),
        "squared correlation",
        "any dependence of one latent on all others, given enough rows; weak if it oscillates or if there are many latents",
    ),
    "HSIC": (
        lambda data: float(hsics(data).mean()),
        "kernel alignment",
        "any dependence at about the median distance; weak on finer structure or with many latents",
    ),
    "Gaussian total correlation": (
        total_correlation,
        "nats",
        "linear dependence only: 0 for uncorrelated latents, infinite for a copy",
    ),
}


@dataclass(frozen=True)
class IndependenceReport:
    """Six measures of dependence among the latents of one sample of codes.

    Attributes
    ----------
    table : DataFrame
        A row per measure: value, chance (mean of `null`), p_value, unit, rows (how many were used), sees (what the measure
        can and cannot see).
    null : dict of arrays of shape (permutations,)
        For each measure, its values on copies of the codes with permuted columns.
    dead : list
        Inactive latents, those without variance, by name or number. They are left out.
    n, dim, permutations : int
        Rows and latents of the codes, and number of permuted copies.
    """

    table: pd.DataFrame
    null: dict[str, np.ndarray] = field(repr=False)
    dead: list[Any]
    n: int
    dim: int
    permutations: int

    @property
    def seen_by(self) -> list[str]:
        """Measures with a p-value of at most 0.05."""
        return list(self.table.index[self.table["p_value"] <= 0.05])

    def to_frame(self) -> pd.DataFrame:
        """Table of the measures.

        Returns
        -------
        DataFrame
            A copy of `table`.
        """
        return self.table.copy()

    def verdict(self) -> str:
        """Say which measures detect dependence.

        Returns
        -------
        str
            One sentence.
        """
        seen = self.seen_by
        if not seen:
            return "no measure detects dependence."
        count = "every measure detects" if len(seen) == len(self.table) else f"{len(seen)} of {len(self.table)} measures detect"
        return f"{count} dependence: {', '.join(seen)}."

    def plot(self) -> Any:
        """Draw each measure on its own scale, beside its range over permuted copies.

        Returns
        -------
        Picture
            A figure with one strip per measure.
        """
        return draw("independence_strips", self)

    def __repr__(self) -> str:
        return "\n".join([*self._lines(), "", self._rounded().drop(columns="sees").to_string()])

    def _repr_html_(self) -> str:
        return "".join(f"<p>{escape(line)}</p>" for line in self._lines()) + self._rounded().to_html()

    def _rounded(self) -> pd.DataFrame:
        return self.table.round({"value": 4, "chance": 4})

    def _lines(self) -> list[str]:
        left_out = f" Inactive, left out: {', '.join(map(str, self.dead))}." if self.dead else ""
        return [
            f"{self.dim - len(self.dead)} latents, {self.n:,} rows: {self.verdict()}{left_out}",
            f"chance: mean over {self.permutations} copies with each column permuted; p is at least "
            f"{1 / (1 + self.permutations):.2g}. On independent codes each measure has p <= 0.05 in up to 5 % of samples, at "
            "least one of the six in up to 30 %; more permutations or new rows decide.",
        ]


def independence_report(
    z: Any, *, regressor: str = "mlp", permutations: int = 19, max_rows: int = 1000, seed: int = 0
) -> IndependenceReport:
    """Test the independence of the latents by six measures, each with its chance level and p-value.

    The measures are LPS of means, of squares and of the distribution (see `lps`), on all rows; distance correlation and HSIC
    of each latent with all others jointly, averaged over the active latents; and the Gaussian total correlation. Each is
    computed again on copies whose columns are permuted independently, and p = (1 + #{copy >= value}) / (1 + permutations)
    is exact for independent rows. Permuting one column at a time would be cheaper, but its average varies too little: it
    rejected independent codes in 10 % of samples at the level of 5 %.

    Parameters
    ----------
    z : array_like of shape (n, d)
        Codes, samples first, at least 20 rows, of which at least 2 columns vary.
    regressor : {"mlp", "linear", "boosting"}
        Regressor of the three LPS.
    permutations : int
        Number of permuted copies.
    max_rows : int
        Distance correlation and HSIC use at most so many rows, since their work grows with the square.
    seed : int
        Decides the rows drawn, the permutations and the regressors.

    Returns
    -------
    IndependenceReport
        A table with a row per measure; `.verdict()`, `.plot()`.

    Raises
    ------
    ValueError
        As `lps` does, for fewer than 20 rows, and for fewer than 2 columns that vary.
    """
    import pandas as pd

    choice("regressor", regressor, REGRESSORS)
    permutations = whole("permutations", permutations)
    whole("max_rows", max_rows, least=20)
    whole("seed", seed, least=0)
    rows, names = named_codes("z", z, rows=20)
    rows = rows.detach()
    varying = int((~constant_columns(rows)).sum())
    if varying < 2:
        raise ValueError(f"z must have at least 2 columns that vary, got {varying} of {rows.shape[1]}")
    lines, null = {}, {}
    for target, (name, unit, sees) in LPS_MEASURES.items():
        found = lps(rows, regressor, target, permutations=permutations, seed=seed)
        null[name] = np.asarray(found.null)
        lines[name] = (float(found.score), float(found.p_value), unit, len(rows), sees)
    active = [i for i in range(rows.shape[1]) if i not in found.dead]
    everyone, few = (standardize(part[:, active].double()) for part in (rows, draw_rows(rows, max_rows, seed)))
    with one_thread():
        for name, (measure, unit, sees) in JOINT_MEASURES.items():
            data = everyone if name == "Gaussian total correlation" else few
            generator = torch.Generator().manual_seed(seed + 1)
            value = measure(data)
            null[name] = np.array([measure(permute_columns(data, generator)) for _ in range(permutations)])
            # The tolerance makes a copy that equals the codes count as a tie in spite of rounding.
            reached = null[name] >= value - (1e-9 * max(1.0, abs(value)) if np.isfinite(value) else 0)
            lines[name] = (value, float((1 + reached.sum()) / (1 + permutations)), unit, len(data), sees)
    table = pd.DataFrame.from_dict(lines, orient="index", columns=["value", "p_value", "unit", "rows", "sees"])
    table.insert(1, "chance", [float(null[name].mean()) for name in table.index])
    dead = [names[i] for i in found.dead]
    return IndependenceReport(table.rename_axis("measure"), null, dead, len(rows), rows.shape[1], permutations)
