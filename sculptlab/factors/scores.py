"""A score of codes against known factors, beside the scores of perfect codes and of noise under the same protocol."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from sculptlab.factors.rows import FactorRows
from sculptlab.threads import one_thread
from sculptlab.validation import flag


class Measurement(NamedTuple):
    """Named scores of one set of codes, the headline first; the matrix (d, k) behind them; which dimensions counted, (d,)."""

    parts: dict[str, float]
    matrix: np.ndarray
    used: np.ndarray


@dataclass(frozen=True)
class FactorScore:
    """A score of codes against known factors; `float(score)` is its headline.

    Attributes
    ----------
    name : str
        Which score.
    parts : dict of float
        All its numbers, the headline first.
    table : DataFrame
        The table behind them, a row per dimension and a column per factor.
    method : str
        How it was estimated.
    n : dict of int
        Numbers of rows (and votes) used.
    dead : list
        Inactive dimensions, which do not vary, and pruned ones, by name or number.
    pruned : list
        Dimensions left out because they spread too little beside the widest one.
    binned : list of str
        Continuous factors, which were cut into bins.
    left_out : list of str
        Factors with a single value, which were not scored.
    perfect, noise : dict of float, optional
        The parts for codes that are the factors themselves and for independent Gaussian noise, on the same factors; None if
        `baselines` was False. The former is what perfect codes score, not an upper bound.
    """

    name: str
    parts: dict[str, float]
    table: pd.DataFrame = field(repr=False)
    method: str
    n: dict[str, int]
    dead: list[Any]
    pruned: list[Any]
    binned: list[str]
    left_out: list[str]
    perfect: dict[str, float] | None = None
    noise: dict[str, float] | None = None

    @property
    def score(self) -> float:
        """The headline."""
        return next(iter(self.parts.values()))

    @property
    def ceiling(self) -> float | None:
        """The headline of perfect codes: one dimension per factor, and filler in the others if there are any."""
        return None if self.perfect is None else next(iter(self.perfect.values()))

    @property
    def floor(self) -> float | None:
        """Chance level: the headline of independent Gaussian noise with as many dimensions as the codes."""
        return None if self.noise is None else next(iter(self.noise.values()))

    def __float__(self) -> float:
        return self.score

    def to_frame(self) -> pd.DataFrame:
        """Table of the scores.

        Returns
        -------
        DataFrame
            A row for the codes and, if they were scored, one for perfect codes and one for noise; a column per part.
        """
        rows = {"codes": self.parts, "perfect": self.perfect, "noise": self.noise}
        return pd.DataFrame.from_dict({name: parts for name, parts in rows.items() if parts is not None}, orient="index")

    def __repr__(self) -> str:
        lines: list[str] = []
        label = "" if len(self.parts) == 1 or self.name.lower() in self.parts else f"{self.name} "
        for part, value in self.parts.items():
            known = {"noise": self.noise, "perfect": self.perfect}
            beside = ", ".join(f"{word} {parts[part]:.2f}" for word, parts in known.items() if parts)
            notes = "; ".join(filter(None, [beside, "" if lines else self._protocol()]))
            lines.append(f"{'  ' if lines else label}{part} {value:.2f}{f' ({notes})' if notes else ''}")
        return "\n".join([*lines, *self._remarks()])

    def _repr_html_(self) -> str:
        words = "".join(f"<p>{escape(line)}</p>" for line in [f"{self.name} ({self._protocol()})", *self._remarks()])
        return f"{words}{self.to_frame().round(3).to_html()}{self.table.round(3).to_html(max_rows=24)}"

    def _protocol(self) -> str:
        return f"{self.method}; {', '.join(f'{what} = {count:,}' for what, count in self.n.items())}"

    def _remarks(self) -> list[str]:
        remarks: list[tuple[str, Sequence[Any]]] = [
            ("inactive dimensions, which do not vary", [i for i in self.dead if i not in self.pruned]),
            ("dimensions pruned because they spread too little beside the widest (prune=0 keeps them)", self.pruned),
            ("continuous factors, in bins", self.binned),
            ("left out, with a single value", self.left_out),
        ]
        return [f"  {words}: {', '.join(map(str, found))}" for words, found in remarks if found]


def score_with_baselines(
    name: str,
    rows: FactorRows,
    measure: Callable[[FactorRows], Measurement],
    *,
    method: str,
    n: dict[str, int],
    baselines: bool,
    seed: int,
    filler: str = "noise",
    as_values: bool = False,
) -> FactorScore:
    """Apply `measure` to the rows and, if `baselines`, to perfect codes (see `FactorRows.perfect`) and to noise."""
    flag("baselines", baselines)
    with one_thread():
        found = measure(rows)
        perfect = measure(rows.perfect(seed, filler, as_values=as_values)).parts if baselines else None
        noise = measure(rows.noise(seed)).parts if baselines else None
    table = pd.DataFrame(found.matrix, pd.Index(rows.dimensions, name="dimension"), pd.Index(rows.names, name="factor"))
    return FactorScore(
        name=name,
        parts=found.parts,
        table=table,
        method=method,
        n=n,
        dead=[name for name, used in zip(rows.dimensions, found.used, strict=True) if not used],
        pruned=[name for name, used, active in zip(rows.dimensions, found.used, rows.active, strict=True) if active and not used],
        binned=rows.binned,
        left_out=rows.left_out,
        perfect=perfect,
        noise=noise,
    )
