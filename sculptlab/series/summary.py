"""RESULTS.md, and the lines of README.md on claims, from the recorded results; made by `python -m sculptlab.series.summary`."""

import math
import tomllib
from collections.abc import Sequence
from typing import Any

import pandas as pd

from sculptlab.files import write_file
from sculptlab.series.results import COLUMNS, PACKAGE, base_column, read_result, recorded_names, results_folder
from sculptlab.series.verdicts import shown, statements

PAGE, README = PACKAGE.parent / "RESULTS.md", PACKAGE.parent / "README.md"
BEGIN, END = "<!-- measured -->\n", "<!-- /measured -->"
HEAD = """# Recorded results

Made from `data/results/` by `python -m sculptlab.series.summary`; do not edit by hand. Each number is the mean over training
seeds, ± the standard deviation. Small networks; evaluated on images that training did not see. LPS: latent predictability score.
C2ST: classifier two-sample test; "at chance level" is the same between two samples of the prior. Evaluators: "mlp" is a network,
"boosting" boosted trees, "squares" LPS of squared deviations. "not turned": the start was not rotated. All columns:
[columns.csv](data/results/columns.csv). Some of the commits named here are not in the published history.
"""
WORDS = {
    "mlp": "LPS, networks", "boosting": "LPS, trees", "squares": "LPS of squares", "squares boosting": "LPS of squares, trees",
    "linear": "LPS, linear", "score": "LPS", "chance": "LPS, permuted codes", "c2st": "C2ST accuracy", "dim": "latents",
    "dcor": "distance correlation", "rank": "effective rank", "relative_error": "relative error", "mmd2": "MMD²",
    "reconstruction_mse": "squared error", "mmd2_marginal": "marginal MMD²", "coded": "bits per image", "mse": "squared error",
    "rate": "rejected", "regressor": "evaluator", "mmd_p": "p of the MMD test", "kl": "KL", "dead": "inactive latents",
    "active": "active latents", "n": "rows", "top1": "nearest image right",
    "samples_c2st": "C2ST accuracy of draws",
}  # fmt: skip


def summary() -> str:
    """The text of RESULTS.md."""
    tables = tomllib.loads((results_folder() / "tables.toml").read_text(encoding="utf-8"))["table"]
    return "\n".join([HEAD, *filter(None, map(section, tables))])


def verdict_lines() -> str:
    """The lines of README.md: claims of the paper with our verdicts and the numbers behind them."""
    return "".join(
        f"- {one.text[:-1]}: ***{one.verdict}***. {one.readme.format(*map(shown, one.evidence))} [{one.page}]\n"
        for one in statements("claim")
        if one.readme
    )


def section(table: dict[str, Any]) -> str:
    """One table of RESULTS.md with where its results come from; "" while none of them is recorded."""
    found = [read_result(name) for name in table["results"] if name in recorded_names()]
    if not found:
        return ""
    frames = [result.frame.query(table["rows"]) if "rows" in table else result.frame for result in found]
    shown = summarize(pd.concat(frames).drop_duplicates(), table["conditions"], table["numbers"])
    meanings = [f"- *{_word(name)}*: {COLUMNS[base_column(name)]}" for name in shown if name in table["numbers"]]
    sources = [f"- `{result.name}`: {result}" for result in found]
    return "\n".join(
        [f"## {table['title']}\n\nPage {table['page']}.\n", *sources, f"\n<details><summary>{len(shown)} rows</summary>\n",
         _markdown(shown), "", *meanings, "\n</details>\n"]
    )  # fmt: skip


def summarize(frame: pd.DataFrame, conditions: Sequence[str], numbers: Sequence[str]) -> pd.DataFrame:
    """A row for each condition, in the order of `frame`, and each number as text: mean ± standard deviation over the rows.

    "data" and "dim" are conditions too where they have several values.
    """
    several = [name for name in ("data", "dim") if name in frame and frame[name].nunique() > 1]
    kept = [*several, *(name for name in conditions if name in frame and frame[name].notna().any() and name not in several)]
    groups = frame.groupby(kept, sort=False, dropna=False)
    text = {
        name: [number(*values) for values in groups[name].agg(["mean", "std"]).itertuples(index=False)]
        for name in numbers
        if name in frame and frame[name].notna().any()
    }
    return pd.concat([groups.size().reset_index()[kept], pd.DataFrame(text)], axis=1)


def number(mean: float, spread: float) -> str:
    """A mean in three significant digits and its standard deviation in as many decimals: "0.0431 ± 0.0020"; "" for none."""
    if math.isnan(mean):
        return ""
    largest = max(abs(mean), 0.0 if math.isnan(spread) else spread)
    decimals = 0 if largest == 0 else min(max(0, 2 - math.floor(math.log10(largest))), 6)
    return f"{mean:.{decimals}f}" if math.isnan(spread) or spread == 0 else f"{mean:.{decimals}f} ± {spread:.{decimals}f}"


def _word(column: str) -> str:
    """A column's name for readers."""
    base = base_column(column)
    return WORDS.get(column, column.replace("_", " ")) if base == column else f"{_word(base)} at chance level"


def _markdown(frame: pd.DataFrame) -> str:
    rows = [[_word(str(column)) for column in frame], ["---"] * frame.shape[1], *frame.to_numpy(dtype=object).tolist()]
    return "\n".join(f"| {' | '.join(map(_cell, row))} |" for row in rows)


def _cell(value: object) -> str:
    if isinstance(value, float):
        return "" if math.isnan(value) else f"{value:g}"
    return str(value).replace("|", "\\|")


if __name__ == "__main__":
    write_file(PAGE, summary())
    before, after = README.read_text(encoding="utf-8").split(BEGIN)
    write_file(README, before + BEGIN + verdict_lines() + END + after.split(END)[1])
