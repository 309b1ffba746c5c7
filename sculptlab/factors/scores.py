"""A score of codes against known factors, beside what perfect codes and pure noise score under the same protocol."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import NamedTuple

import numpy as np
import pandas as pd

from sculptlab.factors.rows import Rows
from sculptlab.threads import one_thread


class Measured(NamedTuple):
    """What one set of codes scored: named numbers, the headline first; the table behind them; dimensions not counted."""

    parts: dict[str, float]
    details: pd.DataFrame
    dead: list[int]


@dataclass(frozen=True)
class FactorScore:
    """A score against known factors; `float(it)` is its headline.

    name: which score. parts: all its numbers, the headline first. details: the table behind them (a row per dimension, a
    column per factor, unless the function says otherwise). estimator: how it was estimated, in words. n: the rows (and
    votes) that entered. dead: the dimensions that never move or were pruned; pruned: the latter alone, whose
    spread is small beside the widest one's. binned: the continuous factors, cut into bins; left_out: the factors that take
    one value only and were not scored. perfect, noise: the parts for codes that are the factors themselves and for
    independent Gaussian noise, under the same protocol on the same factors; None where `baselines` was off. The first is
    what a perfect code scores, not a bound: no code must stay below it.
    """

    name: str
    parts: dict[str, float]
    details: pd.DataFrame = field(repr=False)
    estimator: str
    n: dict[str, int]
    dead: list[int]
    pruned: list[int]
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
        """The headline of perfect codes: each factor as one dimension, filler in the others.

        Of codes with fewer dimensions than factors, that of codes with one dimension per factor.
        """
        return None if self.perfect is None else next(iter(self.perfect.values()))

    @property
    def floor(self) -> float | None:
        """The headline of independent Gaussian noise with as many dimensions as the codes."""
        return None if self.noise is None else next(iter(self.noise.values()))

    def __float__(self) -> float:
        return self.score

    def to_frame(self) -> pd.DataFrame:
        """A row for the codes, and one for perfect codes and for noise where they were scored; a column per part."""
        rows = {"codes": self.parts, "perfect": self.perfect, "noise": self.noise}
        return pd.DataFrame.from_dict({name: parts for name, parts in rows.items() if parts is not None}, orient="index")

    def __repr__(self) -> str:
        """A line per part, the headline's with the protocol, then what was left out."""
        lines: list[str] = []
        for part, value in self.parts.items():
            beside = ", ".join(f"{word} {parts[part]:.2f}" for word, parts in self._known() if parts)
            notes = "; ".join(filter(None, [beside, "" if lines else self._protocol()]))
            lines.append(f"{'  ' if lines else self._label()}{part} {value:.2f}{f' ({notes})' if notes else ''}")
        return "\n".join([*lines, *self._remarks()])

    def _repr_html_(self) -> str:
        words = "".join(f"<p>{escape(line)}</p>" for line in [f"{self.name} ({self._protocol()})", *self._remarks()])
        return f"{words}{self.to_frame().round(3).to_html()}{self.details.round(3).to_html(max_rows=24)}"

    def _known(self) -> list[tuple[str, dict[str, float] | None]]:
        return [("noise", self.noise), ("perfect", self.perfect)]

    def _label(self) -> str:
        return "" if len(self.parts) == 1 or self.name.lower() in self.parts else f"{self.name} "

    def _protocol(self) -> str:
        return f"{self.estimator}; {', '.join(f'{what} = {count:,}' for what, count in self.n.items())}"

    def _remarks(self) -> list[str]:
        said: list[tuple[str, Sequence[object]]] = [
            ("dead dimensions, which never move", [i for i in self.dead if i not in self.pruned]),
            ("dead dimensions, pruned as they spread too little beside the widest (prune=0 keeps them)", self.pruned),
            ("continuous factors, in bins", self.binned),
            ("left out, as it takes one value only", self.left_out),
        ]
        return [f"  {words}: {', '.join(map(str, found))}" for words, found in said if found]


def scored(
    name: str,
    rows: Rows,
    measure: Callable[[Rows], Measured],
    *,
    estimator: str,
    n: dict[str, int],
    baselines: bool,
    seed: int,
    filler: str = "noise",
    numbers: bool = False,
) -> FactorScore:
    """`measure` of the rows and, if `baselines`, of perfect codes and of noise; `filler` and `numbers` as in `Rows.perfect`."""
    if not isinstance(baselines, bool):
        raise TypeError(f"baselines must be True or False, got {baselines!r}")
    with one_thread():
        found = measure(rows)
        perfect = measure(rows.perfect(seed, filler, numbers=numbers)).parts if baselines else None
        noise = measure(rows.noise(seed)).parts if baselines else None
    return FactorScore(
        name=name,
        parts=found.parts,
        details=found.details,
        estimator=estimator,
        n=n,
        dead=found.dead,
        pruned=[i for i in found.dead if i not in rows.dead],
        binned=rows.binned,
        left_out=rows.left_out,
        perfect=perfect,
        noise=noise,
    )


def table(matrix: np.ndarray, rows: Rows) -> pd.DataFrame:
    """A (d, k) matrix with its dimensions and factors named."""
    return pd.DataFrame(matrix, columns=pd.Index(rows.names, name="factor")).rename_axis("dimension")
