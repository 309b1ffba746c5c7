"""Independence by six measures side by side, each beside what truly independent codes of this size would score."""

from collections.abc import Callable
from dataclasses import dataclass, field
from html import escape
from typing import Any

import numpy as np
import pandas as pd
import torch

from sculptlab.drawing import draw
from sculptlab.independence.dependence import (
    distance_correlations,
    drawn,
    hsics,
    permuted_columns,
    standardized,
    total_correlation,
)
from sculptlab.independence.lps import lps
from sculptlab.independence.regressors import REGRESSORS
from sculptlab.threads import one_thread
from sculptlab.validation import choice, codes, whole

LEVEL = 0.05
FEWEST_ROWS = 20
SHARE, NATS = "share of variance", "nats"
LPS_LINES = {
    "mean": ("LPS of means", SHARE, "whether the others shift a dimension's mean; blind to a ring or a turned square"),
    "square": ("LPS of squares", SHARE, "whether they change its size; blind where only the sign depends"),
    "distribution": ("LPS of the distribution", "bits", "whatever the regressor can learn of it: a lower bound on information"),
}
JOINT_LINES: dict[str, tuple[Callable[[torch.Tensor], float], str, str]] = {
    "distance correlation": (
        lambda data: float(distance_correlations(data).mean()),
        "squared correlation",
        "any dependence of one on all others, given rows enough; weak on what oscillates or hides among many",
    ),
    "HSIC": (
        lambda data: float(hsics(data).mean()),
        "kernel alignment",
        "any dependence at about the median distance; weak on what is finer or hides among many",
    ),
    "Gaussian total correlation": (total_correlation, NATS, "lines alone: 0 for all that is uncorrelated, infinite for a copy"),
}


@dataclass(frozen=True)
class IndependenceReport:
    """What `independence` found: `.table` has a line for each measure, `.null` its values on the permuted codes.

    Columns of the table: value, floor (the mean of `.null`), p_value, unit, rows (how many were used), sees (what the
    measure can and cannot see). dead: the dimensions without variance, left out. n: the rows given.
    """

    table: pd.DataFrame
    null: dict[str, np.ndarray] = field(repr=False)
    dead: list[int]
    n: int
    dim: int
    permutations: int

    @property
    def seen_by(self) -> list[str]:
        """The measures whose p-value is at most 0.05."""
        return list(self.table.index[self.table["p_value"] <= LEVEL])

    def to_frame(self) -> pd.DataFrame:
        """The table, as a copy."""
        return self.table.copy()

    def verdict(self) -> str:
        """In plain words, which measures see a dependence."""
        seen = self.seen_by
        if not seen:
            return "no measure here tells these codes from independent ones."
        count = "every measure sees" if len(seen) == len(self.table) else f"{len(seen)} of {len(self.table)} measures see"
        return f"{count} dependence: {', '.join(seen)}."

    def plot(self) -> Any:
        """A strip for each measure, on its own scale: the value as a dot, the range of the permuted codes as a gray bar."""
        return draw("independence_strips", self)

    def __repr__(self) -> str:
        return "\n".join([*self._lines(), "", self._shown().drop(columns="sees").to_string()])

    def _repr_html_(self) -> str:
        words = "".join(f"<p>{escape(line)}</p>" for line in self._lines())
        return words + self._shown().to_html()

    def _shown(self) -> pd.DataFrame:
        return self.table.assign(value=self.table["value"].round(4), chance=self.table["chance"].round(4))

    def _lines(self) -> list[str]:
        left_out = f" Dead, left out: {', '.join(map(str, self.dead))}." if self.dead else ""
        return [
            f"{self.dim - len(self.dead)} dimensions, {self.n:,} rows: {self.verdict()}{left_out}",
            f"floor: the mean over {self.permutations} copies with each column permuted; p is at least "
            f"{1 / (1 + self.permutations):.2g}. On independent codes each measure has p <= 0.05 by chance in up to 5 %, "
            "one of the six in up to 30 %: more permutations or new rows settle it.",
        ]


def independence_report(
    z: Any, *, regressor: str = "mlp", permutations: int = 19, max_rows: int = 1000, seed: int = 0
) -> IndependenceReport:
    """Are the dimensions of `z` (n, d) independent? Six measures, each with its floor and p-value.

    LPS of means, of squares and of the distribution by `regressor` ("mlp", "linear" or "boosting"), as in `lps`, on all
    rows; the squared distance correlation and the normalized HSIC of each dimension with all others jointly, averaged over
    the live ones, on at most `max_rows` rows drawn by `seed`, for their work grows with the square; and the Gaussian total
    correlation.
    Each is computed anew on `permutations` copies whose columns are permuted independently of each other: these are
    independent, with the same marginals. p = (1 + #{copy >= value}) / (1 + permutations) is exact for independent rows.
    Nothing cheaper is: each z_i permuted against unpermuted others spreads the average too little, and was measured to
    reject independent codes in 10 % where it should in 5 %.
    Raises ValueError as `lps` does, and for fewer than 20 rows or fewer than two dimensions that vary.
    """
    choice("regressor", regressor, REGRESSORS)
    permutations = whole("permutations", permutations)
    whole("max_rows", max_rows, least=FEWEST_ROWS)
    whole("seed", seed, least=0)
    rows = codes("z", z, rows=FEWEST_ROWS).detach()
    varying = int((rows.amax(0) > rows.amin(0)).sum())
    if varying < 2:
        raise ValueError(f"z must have at least 2 columns that vary, got {varying} of {rows.shape[1]}")
    lines, null = {}, {}
    for target, (name, unit, sees) in LPS_LINES.items():
        found = lps(rows, regressor, target, permutations=permutations, seed=seed)
        null[name] = np.asarray(found.null)
        lines[name] = _line(float(found.score), null[name], float(found.p_value), unit, len(rows), sees)
    live = [i for i in range(rows.shape[1]) if i not in set(found.dead)]
    few = standardized(drawn(rows, max_rows, seed)[:, live])[0]
    everyone = standardized(rows[:, live])[0]
    with one_thread():
        for name, (measure, unit, sees) in JOINT_LINES.items():
            data = everyone if name == "Gaussian total correlation" else few
            value, null[name] = measure(data), _permuted(measure, data, permutations, seed)
            lines[name] = _line(value, null[name], _p_value(value, null[name]), unit, len(data), sees)
    table = pd.DataFrame.from_dict(lines, orient="index").rename_axis("measure")
    return IndependenceReport(table, null, list(found.dead), len(rows), rows.shape[1], permutations)


def _permuted(measure: Callable[[torch.Tensor], float], data: torch.Tensor, permutations: int, seed: int) -> np.ndarray:
    """The measure of copies whose columns are permuted, each by itself."""
    generator = torch.Generator().manual_seed(seed + 1)
    return np.array([measure(permuted_columns(data, generator)) for _ in range(permutations)])


def _p_value(value: float, null: np.ndarray) -> float:
    # a copy that equals the codes must count as a tie, whatever the rounding
    reached = null >= value - 1e-9 * max(1.0, abs(value)) if np.isfinite(value) else null >= value
    return float((1 + reached.sum()) / (1 + len(null)))


def _line(value: float, null: np.ndarray, p_value: float, unit: str, rows: int, sees: str) -> dict[str, Any]:
    return {"value": value, "chance": float(null.mean()), "p_value": p_value, "unit": unit, "rows": rows, "sees": sees}
