"""What a check says to a reader, and how an answer is compared with the right one and with what the usual slips give."""

import html
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from sculptlab.series.claims import BROKEN, HOLDS


@dataclass(frozen=True)
class Feedback:
    """What a check says to the reader: passed or not, and why; a stub that is not filled in does not stop the page."""

    passed: bool
    message: str

    def __str__(self) -> str:
        return f"{'✓ right' if self.passed else '✗ not yet'}: {self.message}"

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        return f'<div style="color:{HOLDS if self.passed else BROKEN}"><b>{html.escape(str(self))}</b></div>'


def answered(answer: Callable[..., Any], *arguments: Any) -> Any:
    """The learner's value, as a float64 array, or None if there is none yet."""
    value = answer(*arguments)
    return None if value is None or value is Ellipsis else np.asarray(torch.as_tensor(value).detach(), dtype=float)


def judge(
    answer: Callable[..., Any], arguments: tuple[Any, ...], right: np.ndarray, slips: dict[str, np.ndarray], praise: str
) -> Feedback:
    """Compare an answer with the right value, and where it is wrong with the values that the usual slips give."""
    try:
        value = answered(answer, *arguments)
    except Exception as error:
        return Feedback(False, f"your code raised {type(error).__name__}: {error}")
    if value is None:
        return Feedback(False, "the function returns nothing yet: fill in the line with the dots")
    if value.shape != right.shape:
        return Feedback(
            False, f"the shape should be {right.shape}, yours is {value.shape}: over which axis do you sum or average?"
        )
    if np.allclose(value, right, rtol=1e-4, atol=1e-6):
        return Feedback(True, praise)
    for slip, wrong in slips.items():
        if wrong.shape == value.shape and np.allclose(value, wrong, rtol=1e-4, atol=1e-6):
            return Feedback(False, slip)
    return Feedback(False, f"expected about {np.round(right.ravel()[:3], 4)}, got {np.round(value.ravel()[:3], 4)}")
