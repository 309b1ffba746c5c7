"""A page's claims: a statement, what was measured for it over seeds, and the bound it must keep."""

import html
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from IPython.display import display

MIME = "application/vnd.sculptlab.claim+json"  # how `sculptlab run` finds claims among a page's outputs
EXACT = 17  # significant digits that write a double without loss
HOLDS, BROKEN = "#00684a", "#a33b00"  # both readable on white; the sign before the text tells them apart without color


@dataclass(frozen=True)
class Claim:
    """A statement of a page with what was measured for it, and whether the mean over seeds keeps the stated bound."""

    statement: str
    values: tuple[float, ...]
    above: float | None
    below: float | None

    @property
    def mean(self) -> float:
        return float(np.mean(self.values))

    @property
    def spread(self) -> float:
        """Sample standard deviation over seeds."""
        return float(np.std(self.values, ddof=1)) if len(self.values) > 1 else 0.0

    @property
    def holds(self) -> bool:
        """Whether the mean lies within the bounds."""
        return (self.above is None or self.mean > self.above) and (self.below is None or self.mean < self.below)

    @property
    def bound(self) -> str:
        return " and ".join(f"{sign} {_bound(limit, self._digits)}" for sign, limit in self._limits)

    @property
    def shown(self) -> str:
        """The mean, to three digits or as many as it takes to see on which side of its bounds it lies."""
        return f"{self.mean:.{self._digits}g}"

    @property
    def _limits(self) -> list[tuple[str, float]]:
        return [(sign, limit) for sign, limit in ((">", self.above), ("<", self.below)) if limit is not None]

    @property
    def _digits(self) -> int:
        def tell(digits: int) -> bool:
            mean = float(f"{self.mean:.{digits}g}")
            printed = [float(_bound(limit, digits)) for _, limit in self._limits]
            return all(
                (mean > near) == (self.mean > limit) and (mean < near) == (self.mean < limit)
                for near, (_, limit) in zip(printed, self._limits, strict=True)
            )

        return next((digits for digits in range(3, EXACT) if tell(digits)), EXACT)

    def __str__(self) -> str:
        sign = "✓" if self.holds else "✗ DOES NOT HOLD"
        numbers = f"{self.shown} ± {self.spread:.2g} over {len(self.values)} seed(s), claimed {self.bound}"
        return f"{sign}  {self.statement}: {numbers}"

    def _repr_mimebundle_(self, **kwargs: Any) -> dict[str, Any]:
        facts = {
            "statement": self.statement, "holds": self.holds, "mean": self.mean, "spread": self.spread,
            "n": len(self.values), "bound": self.bound, "shown": self.shown,
        }  # fmt: skip
        color = HOLDS if self.holds else BROKEN
        page = f'<div style="color:{color}">{html.escape(str(self))}</div>'
        return {"text/plain": str(self), "text/html": page, MIME: facts}


def _bound(limit: float, digits: int) -> str:
    return f"{limit:.{max(digits, 6)}g}"


def claim(statement: str, values: Sequence[float], *, above: float | None = None, below: float | None = None) -> None:
    """Show what was measured for `statement`, one value a seed, and raise an AssertionError if its mean breaks the bound."""
    if above is None and below is None:
        raise ValueError("claim needs a bound: above=… or below=…")
    numbers = tuple(float(v) for v in values)
    if not numbers or not all(math.isfinite(v) for v in numbers):
        raise ValueError(f"values must be finite numbers, one for each seed, got {values!r}")
    made = Claim(statement, numbers, above, below)
    display(made)
    assert made.holds, str(made)
