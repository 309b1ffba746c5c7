"""A score of codes against known factors, beside the scores of perfect codes and of noise under the same protocol."""

import functools
import inspect
import warnings
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from html import escape
from typing import Any, TypedDict, TypeVar, cast

import numpy as np
import pandas as pd
from sklearn.exceptions import ConvergenceWarning

from sculptlab.factors.rows import FactorRows, draw_factor_rows
from sculptlab.threads import Shared, one_thread
from sculptlab.validation import flag

Score = Callable[[FactorRows], "FactorScore"]
Function = TypeVar("Function", bound=Callable[..., Any])


@dataclass(frozen=True)
class FactorScore:
    """A score of codes against known factors; `float(score)` is its main number, the first of `parts`.

    Attributes
    ----------
    name, method : str
        Name of the score, and how it was estimated.
    parts : dict of float
        All its numbers by name, the main one first.
    table : DataFrame
        What `parts` are computed from, a row per dimension and a column per factor.
    n : dict of int
        Numbers of rows (and votes) used.
    dead, pruned : list
        Names or numbers of all dimensions left out; of those among them that vary, but too little beside the widest one.
    binned, left_out : list of str
        Names of continuous factors, which were cut into bins; of factors with a single value, which were not scored.
    perfect, noise : dict of float, optional
        `parts` of codes that are the factors themselves, and of independent Gaussian noise, on the same factors; None if
        `baselines` was False. Codes may score above `perfect`.
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
        """The main number."""
        return next(iter(self.parts.values()))

    @property
    def ceiling(self) -> float | None:
        """The main number of perfect codes, no upper bound: one dimension per factor, and filler in any others."""
        return None if self.perfect is None else next(iter(self.perfect.values()))

    @property
    def floor(self) -> float | None:
        """Chance level: the main number of independent Gaussian noise with as many dimensions as the codes."""
        return None if self.noise is None else next(iter(self.noise.values()))

    def __float__(self) -> float:
        return self.score

    def to_frame(self) -> pd.DataFrame:
        """Table with a column per part and a row for the codes and, if they were scored, for perfect codes and noise."""
        rows = {"codes": self.parts, "perfect": self.perfect, "noise": self.noise}
        return pd.DataFrame.from_dict({name: parts for name, parts in rows.items() if parts is not None}, orient="index")

    def __repr__(self) -> str:
        start = "" if len(self.parts) == 1 or self.name.lower() in self.parts else f"{self.name} "
        lines: list[str] = []
        for part, value in self.parts.items():
            beside = [f"{word} {parts[part]:.2f}" for word, parts in (("noise", self.noise), ("perfect", self.perfect)) if parts]
            notes = "; ".join(filter(None, [", ".join(beside), "" if lines else self._protocol()]))
            lines.append(f"{'  ' if lines else start}{part} {value:.2f}{f' ({notes})' if notes else ''}")
        return "\n".join([*lines, *self._remarks()])

    def _repr_html_(self) -> str:
        words = "".join(f"<p>{escape(line)}</p>" for line in [f"{self.name} ({self._protocol()})", *self._remarks()])
        return f"{words}{self.to_frame().round(3).to_html()}{self.table.round(3).to_html(max_rows=24)}"

    def _protocol(self) -> str:
        return f"{self.method}; {', '.join(f'{what} = {count:,}' for what, count in self.n.items())}"

    def _remarks(self) -> list[str]:
        remarks = {
            "inactive dimensions, which do not vary": [i for i in self.dead if i not in self.pruned],
            "dimensions pruned because they spread too little beside the widest (prune=0 keeps them)": self.pruned,
            "continuous factors, in bins": self.binned,
            "left out, with a single value": self.left_out,
        }
        return [f"  {words}: {', '.join(map(str, found))}" for words, found in remarks.items() if found]


def one_score(
    name: str, rows: FactorRows, parts: dict[str, float], table: np.ndarray, used: np.ndarray, method: str, n: dict[str, int]
) -> FactorScore:
    """The result for one set of codes, without baselines; `used` (d,) marks the dimensions that count."""
    return FactorScore(
        name=name,
        parts=parts,
        table=pd.DataFrame(table, rows.dimensions, pd.Index(rows.names, name="factor")),
        method=method,
        n=n,
        dead=rows.dimensions[~used].tolist(),
        pruned=rows.dimensions[rows.active & ~used].tolist(),
        binned=rows.names[rows.continuous].tolist(),
        left_out=rows.left_out,
    )


def score_with_baselines(
    measure: Score, codes: Any, factors: Any, *, baselines: bool = True, filler: str = "noise", by_value: bool = False, **how: Any
) -> FactorScore:
    """Apply `measure` to rows that `draw_factor_rows` draws and, if `baselines`, to perfect codes and to noise in their place."""
    rows = draw_factor_rows(codes, factors, **how)
    with one_thread(), _ignoring_convergence:
        found = measure(rows)
        if not flag("baselines", baselines):
            return found
        return replace(found, perfect=measure(rows.perfect(filler, by_value)).parts, noise=measure(rows.noise()).parts)


@contextmanager
def _ignore_convergence() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # the numbers of steps are limited on purpose
        yield


_ignoring_convergence = Shared(_ignore_convergence)  # warning filters belong to the whole process


class Protocol(TypedDict, total=False):
    """Arguments that all scores take, as the package docstring describes them; `draw_factor_rows` has their defaults."""

    bins: int
    continuous: Collection[Any] | None
    baselines: bool
    seed: int


class Split(Protocol, total=False):
    """`Protocol` for scores that fit to some rows and test on others."""

    train: int
    test: int


def explicit(score: Function) -> Function:
    """Give `score` a signature that lists the arguments it takes as `**protocol`, with their defaults; others raise TypeError."""
    *own, protocol = inspect.signature(score).parameters.values()
    known = {**inspect.signature(draw_factor_rows).parameters, **inspect.signature(score_with_baselines).parameters}
    shared = [known[name] for name in protocol.annotation.__args__[0].__annotations__]
    signature = inspect.Signature([*own, *shared], return_annotation=FactorScore)

    @functools.wraps(score)
    def checked(*arguments: Any, **options: Any) -> FactorScore:
        try:
            signature.bind(*arguments, **options)
        except TypeError as error:
            raise TypeError(f"{score.__name__}{signature.replace(return_annotation=inspect.Signature.empty)}: {error}") from None
        return score(*arguments, **options)

    vars(checked)["__signature__"] = signature
    return cast(Function, checked)
