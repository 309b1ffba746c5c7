"""The questions at a page's end with their checked answers, and a reader's prediction shown again beside the result."""

import html
import tomllib
from dataclasses import dataclass
from pathlib import Path

from sculptlab.names import suggestion
from sculptlab.series import scores
from sculptlab.series.claims import BROKEN, HOLDS

QUIZZES = Path(__file__).with_name("quizzes")
LETTERS = "abcdef"


@dataclass(frozen=True)
class Question:
    """A question, its options, the letter of the right one, and for each option why it is right or wrong."""

    text: str
    options: tuple[str, ...]
    answer: str
    reasons: tuple[str, ...]

    def feedback(self, letter: str) -> str:
        """The sentence for a reader who gave this letter; "" where it is none of the options."""
        found = LETTERS.find(letter) if letter else -1
        if not 0 <= found < len(self.options):
            return ""
        return f"{'✓ right' if letter == self.answer else '✗ not yet'}: {self.reasons[found]}"


@dataclass(frozen=True)
class Quiz:
    """The questions of a page with the letters that a reader gave; it is shown with feedback for each given letter."""

    questions: tuple[Question, ...]
    letters: tuple[str, ...]

    @property
    def passed(self) -> bool:
        """Whether every question has its right answer."""
        return all(question.answer == letter for question, letter in zip(self.questions, self.letters, strict=True))

    @property
    def message(self) -> str:
        """How many answers are right, or how to answer."""
        right = sum(question.answer == letter for question, letter in zip(self.questions, self.letters, strict=True))
        if not any(question.feedback(letter) for question, letter in zip(self.questions, self.letters, strict=True)):
            return f"not answered yet: replace {'?' * len(self.questions)} by {len(self.questions)} letters, such as abc"
        return f"{right} of {len(self.questions)} right"

    def __str__(self) -> str:
        lines = []
        for number, (question, letter) in enumerate(zip(self.questions, self.letters, strict=True), 1):
            lines.append(f"{number}. {question.text}")
            lines += [f"   ({name}) {option}" for name, option in zip(LETTERS, question.options, strict=False)]
            lines += [f"   {question.feedback(letter)}"] if question.feedback(letter) else []
        return "\n".join([*lines, self.message])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        parts = []
        for question, letter in zip(self.questions, self.letters, strict=True):
            options = "".join(f"<li>{html.escape(option)}</li>" for option in question.options)
            said = question.feedback(letter)
            color = HOLDS if letter == question.answer else BROKEN
            below = f'<div style="color:{color}"><b>{html.escape(said)}</b></div>' if said else ""
            shown = f'<ol type="a" style="margin:0">{options}</ol>{below}'
            parts.append(f'<li style="margin-bottom:.8em">{html.escape(question.text)}{shown}</li>')
        return f'<ol style="max-width:46em">{"".join(parts)}</ol><div><b>{html.escape(self.message)}</b></div>'


def questions_of(page: str) -> tuple[Question, ...]:
    """The questions of a page, given by its number such as "04"."""
    known = sorted(path.stem for path in QUIZZES.glob("*.toml"))
    if page not in known:
        raise ValueError(f"page must be one of {known}, got {page!r}{suggestion(page, known)}")
    text = (QUIZZES / f"{page}.toml").read_text(encoding="utf-8")
    return tuple(
        Question(entry["text"], tuple(entry["options"]), entry["answer"], tuple(entry["reasons"]))
        for entry in tomllib.loads(text)["question"]
    )


def quiz(page: str, answers: str) -> Quiz:
    """The quiz of a page; `answers` has one letter for each question, "?" where there is none yet.

    Raises ValueError for an unknown page and for another number of letters.
    """
    questions = questions_of(page)
    letters = tuple(answers.lower()) if isinstance(answers, str) else ()
    allowed = LETTERS[: max(len(question.options) for question in questions)] + "?"
    if len(letters) != len(questions) or not set(letters) <= set(allowed):
        want = f"{len(questions)} characters, each one of {', '.join(allowed)}"
        raise ValueError(f"answers must have {want}, got {answers!r}")
    made = Quiz(questions, letters)
    if set(letters) != {"?"}:
        scores.note(f"quiz {page}", made.passed, letters)
    return made


@dataclass(frozen=True)
class Prediction:
    """What a reader predicted, what was measured, both as letters, and the result in one sentence."""

    predicted: str
    measured: str
    words: str

    def __str__(self) -> str:
        sign = "" if not self.predicted else "✓ " if self.predicted == self.measured else "✗ "
        yours = f"You predicted ({self.predicted})." if self.predicted else "You wrote no prediction in the cell above."
        return f"{sign}{yours} Measured: ({self.measured}). {self.words}"

    __repr__ = __str__

    def _repr_html_(self) -> str:
        color = "inherit" if not self.predicted else HOLDS if self.predicted == self.measured else BROKEN
        return f'<div style="color:{color}"><b>{html.escape(str(self))}</b></div>'


def show_prediction(prediction: str, outcome: str, words: str) -> None:
    """Show what the reader predicted beside what was measured.

    `prediction` is the reader's letter or "" where none was written; `outcome` is the measured letter, and `words` says it
    in one sentence.
    """
    from IPython.display import display

    for name, value in (("prediction", prediction), ("outcome", outcome), ("words", words)):
        if not isinstance(value, str):
            raise TypeError(f"{name} must be a string, got {type(value).__name__}")
    display(Prediction(prediction.strip(" ()").lower(), outcome.strip(" ()").lower(), words))
