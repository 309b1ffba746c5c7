"""The paper's claims, its reviewers' questions and what it leaves open, each beside recorded numbers and the bounds they keep."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from typing import Any

import pandas as pd

from sculptlab.series.claims import Claim
from sculptlab.series.results import read_result, recorded_names, results_folder
from sculptlab.validation import choice

# A trait is free anyway if an invertible map gives it to a trained model, at no loss of reconstruction.
VERDICTS = ("holds", "in part", "does not hold", "free anyway", "answered", "unknown")
KINDS = ("claim", "review", "open")


@dataclass(frozen=True)
class Statement:
    """A claim or question, our verdict, the page that shows it, and the numbers behind it."""

    id: str
    text: str
    verdict: str
    page: str
    note: str
    evidence: tuple[Claim, ...]
    readme: str = ""  # its sentence in README.md; {0} is the first number

    def __post_init__(self) -> None:
        choice("verdict", self.verdict, VERDICTS)

    @property
    def broken(self) -> list[str]:
        """The numbers that break the bound that the verdict rests on."""
        return [str(claim) for claim in self.evidence if not claim.holds]


def statements(kind: str) -> list[Statement]:
    """The statements of `results_folder()`/verdicts.toml of a kind: claim, review or open."""
    choice("kind", kind, KINDS)
    text = (results_folder() / "verdicts.toml").read_text(encoding="utf-8")
    return [
        Statement(
            entry["id"], entry["text"], entry["verdict"], entry.get("page", ""), entry.get("note", ""),
            tuple(_claim(given) for given in entry.get("evidence", []) if given["result"] in recorded_names()),
            entry.get("readme", ""),
        )
        for entry in tomllib.loads(text)[kind]
    ]  # fmt: skip


def table(kind: str) -> pd.DataFrame:
    """A row for each statement: what it says, the numbers, the verdict, the page."""
    rows = []
    for one in statements(kind):
        numbers = "; ".join(f"{claim.statement} {shown(claim)}" for claim in one.evidence)
        rows.append(
            {"": one.id, "statement": one.text, "verdict": one.verdict, "measured": numbers, "note": one.note, "page": one.page}
        )
    return pd.DataFrame(rows)


def shown(claim: Claim) -> str:
    """The mean and standard deviation over seeds; the mean alone where there is one value."""
    return f"{claim.mean:.3f}" + (f" ± {claim.spread:.3f}" if len(claim.values) > 1 else "")


def _claim(given: dict[str, Any]) -> Claim:
    """Recorded numbers with their bounds.

    The mean of a column for each seed, of the rows that a query finds. With `over`, another query, it is divided by that of
    its rows. With `noise`, it is the spread over seeds of the column over that between the groups of that column.
    """
    frame = read_result(given["result"]).frame
    column = given["column"]
    rows = frame.query(given["rows"])
    if "noise" in given:
        groups = rows.groupby(given["noise"])[column]
        values = [float((groups.var().mean() ** 0.5) / groups.mean().std())]
    else:
        means = rows.groupby("seed")[column].mean()
        if "over" in given:
            means = means / frame.query(given["over"]).groupby("seed")[column].mean()
        values = [float(value) for value in means.dropna()]
    if not values:
        raise ValueError(f"verdicts.toml: {given['rows']!r} finds no {column} in {given['result']}")
    return Claim(given["words"], tuple(values), given.get("above"), given.get("below"))
