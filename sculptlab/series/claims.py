"""A page's claims: a statement, what was measured for it over seeds, and the bound that the mean must keep."""

import html
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import fmean, stdev
from typing import Any

MIME = "application/vnd.sculptlab.claim+json"  # of a claim among a cell's outputs
HOLDS, BROKEN = "#00684a", "#a33b00"  # text colors, readable on white


@dataclass(frozen=True)
class Claim:
    """A statement of a page, the values measured for it, one for each seed, and the bounds of their mean."""

    statement: str
    values: tuple[float, ...]
    above: float | None = None
    below: float | None = None

    @property
    def mean(self) -> float:
        """Mean over seeds."""
        return fmean(self.values)

    @property
    def spread(self) -> float:
        """Sample standard deviation over seeds; 0 for one seed."""
        return stdev(self.values) if len(self.values) > 1 else 0.0

    @property
    def holds(self) -> bool:
        """Whether the mean lies within the bounds."""
        return (self.above is None or self.mean > self.above) and (self.below is None or self.mean < self.below)

    @property
    def shown(self) -> str:
        """The mean to three digits, or to as many as show on which side of its bounds it lies."""
        return f"{self.mean:.{self._digits}g}"

    @property
    def bound(self) -> str:
        """The bounds, such as "> 0.9 and < 1.1"."""
        bounds = ((">", self.above), ("<", self.below))
        return " and ".join(f"{sign} {_printed(limit, self._digits)}" for sign, limit in bounds if limit is not None)

    @property
    def _digits(self) -> int:
        limits = [limit for limit in (self.above, self.below) if limit is not None]
        for digits in range(3, 17):
            mean = float(f"{self.mean:.{digits}g}")
            printed = [(limit, float(_printed(limit, digits))) for limit in limits]
            if all((mean > near, mean < near) == (self.mean > limit, self.mean < limit) for limit, near in printed):
                return digits
        return 17  # writes a double without loss

    def __str__(self) -> str:
        sign = "✓" if self.holds else "✗ DOES NOT HOLD"
        numbers = f"{self.shown} ± {self.spread:.2g} over {len(self.values)} seed(s), claimed {self.bound}"
        return f"{sign}  {self.statement}: {numbers}"

    def _repr_mimebundle_(self, **kwargs: Any) -> dict[str, Any]:
        page = f'<div style="color:{HOLDS if self.holds else BROKEN}">{html.escape(str(self))}</div>'
        return {"text/plain": str(self), "text/html": page, MIME: asdict(self)}


def _printed(limit: float, digits: int) -> str:
    return f"{limit:.{max(digits, 6)}g}"


def claim(statement: str, values: Sequence[float], *, above: float | None = None, below: float | None = None) -> None:
    """Show a statement and the values measured for it, one for each seed; AssertionError if their mean breaks a bound.

    `above` and `below` bound the mean; one is needed. Raises ValueError without a bound and for values that are not finite.
    """
    from IPython.display import display

    from sculptlab.validation import describe, items, number

    if above is None and below is None:
        raise ValueError("claim needs a bound: above=… or below=…")
    numbers = tuple(number("values", v.item() if getattr(v, "ndim", None) == 0 else v) for v in items("values", values))
    if not numbers:
        raise ValueError(f"values must be finite numbers, one for each seed, got {describe(values)}")
    above, below = (None if b is None else number(name, b) for name, b in (("above", above), ("below", below)))
    made = Claim(str(statement), numbers, above, below)
    display(made)
    assert made.holds, str(made)


def claims_of(notebook: Any) -> tuple[Claim, ...]:
    """What an executed notebook's cells claim, in their order; a claim that is shown twice counts once."""
    outputs = [output.get("data", {}) for cell in notebook.cells for output in cell.get("outputs", [])]
    shown = [data[MIME] for data in outputs if MIME in data]
    return tuple(dict.fromkeys(Claim(**{**fields, "values": tuple(fields["values"])}) for fields in shown))
