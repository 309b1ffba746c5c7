"""What the checks of the exercises share: they call the answer, compare it with the right value, and name the mistake."""

import functools
import html
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from sculptlab.series import scores
from sculptlab.series.claims import BROKEN, HOLDS

Answer = Callable[..., Any]
NUMBERS: dict[str, str] = {}  # name of a check -> number of its exercise


class Mistake(Exception):
    """What is wrong with an answer, in one sentence for the reader."""


class Unanswered(Mistake):
    """The exercise is as it was: nothing has been tried yet."""


@dataclass(frozen=True)
class Feedback:
    """The result of a check. It is shown and raises nothing, so that an open exercise does not stop the page."""

    passed: bool
    message: str

    def __str__(self) -> str:
        return f"{'✓ right' if self.passed else '✗ not yet'}: {self.message}"

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return f'<div style="color:{HOLDS if self.passed else BROKEN}"><b>{html.escape(str(self))}</b></div>'


def exercise(number: str) -> Callable[[Callable[[Answer], str]], Callable[[Answer], Feedback]]:
    """A check of the reader's function, as feedback: it returns a sentence for a right answer and raises `Mistake` otherwise.

    `number` names the exercise in a file of scores: "01-2" is the second one of page 01.
    """

    def checked(check: Callable[[Answer], str]) -> Callable[[Answer], Feedback]:
        NUMBERS[check.__name__] = number

        @functools.wraps(check)
        def run(answer: Answer) -> Feedback:
            try:
                feedback = Feedback(True, check(answer))
            except Unanswered as mistake:
                return Feedback(False, str(mistake))
            except Mistake as mistake:
                feedback = Feedback(False, str(mistake))
            scores.note(number, feedback.passed, getattr(answer, "__code__", None))
            return feedback

        return run

    return checked


def require(condition: Any, mistake: str) -> None:
    """Raise the mistake unless the condition holds."""
    if not condition:
        raise Mistake(mistake)


def call(answer: Answer, *arguments: Any, read: Callable[[Any], Any] = lambda value: value, wanted: str = "") -> Any:
    """What the answer returns, after `read`; `wanted` says in the message what can be read."""
    try:
        value = answer(*arguments)
        if value is not None and value is not Ellipsis:
            return read(value)
    except Exception as error:
        start = f"it should return {wanted};" if wanted else "your code raised"
        raise Mistake(f"{start} {type(error).__name__}: {error}") from None
    raise Unanswered("the function returns nothing yet: fill in the line with the dots")


def as_array(value: Any) -> np.ndarray:
    """A tensor, array or number as a float64 array."""
    return np.asarray(value.detach() if isinstance(value, torch.Tensor) else value, dtype=float)


def call_for_codes(answer: Answer, *arguments: Any, shape: tuple[int | None, int]) -> np.ndarray:
    """The finite codes (n, d) that the answer returns; shape (None, d) leaves the number of rows free."""
    value = call(answer, *arguments, read=as_array)
    rows, columns = shape
    fits = value.ndim == 2 and value.shape[1] == columns and rows in (None, len(value))
    require(fits, f"the shape should be ({'n' if rows is None else rows}, {columns}), yours is {value.shape}")
    require(np.isfinite(value).all(), "some values are NaN or infinite")
    return value


def require_value(value: Any, right: Any, slips: Mapping[str, Any]) -> None:
    """Raise a mistake unless the value is the right one; a value that equals that of a slip is answered by the slip's name."""
    found, expected = as_array(value), as_array(right)
    shapes = f"the shape should be {expected.shape}, yours is {found.shape}: over which axis do you sum or average?"
    require(found.shape == expected.shape, shapes)
    if same(found, expected):
        return
    for slip, wrong in slips.items():
        require(not same(found, as_array(wrong)), slip)
    raise Mistake(f"expected about {np.round(expected.ravel()[:3], 4)}, got {np.round(found.ravel()[:3], 4)}")


def same(one: np.ndarray, other: np.ndarray) -> bool:
    """Whether two arrays agree up to the rounding of float32."""
    return one.shape == other.shape and np.allclose(one, other, rtol=1e-4, atol=1e-6)
