"""What a teacher gets from an executed page: its figures as files, and the answers to its predictions and its quiz."""

import base64
import re
from pathlib import Path
from typing import Any

from sculptlab.files import write_file
from sculptlab.series.questions import LETTERS, questions_of


def answers(notebook: Any) -> str:
    """For a teacher, in Markdown: the predictions of an executed page with what was measured, and the answers of its quiz."""
    first = (line for cell in notebook.cells for line in cell.source.splitlines() if line.strip())
    lines = [f"# Answers: {next(first, '').lstrip('# ')}", "", "## Predictions", ""]
    question, number = "", ""
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            asked = [part for part in cell.source.split("\n\n") if part.startswith("**Predict")]
            question = asked[-1] if asked else question
            continue
        shown = [output.get("data", {}).get("text/plain", "") for output in cell.get("outputs", [])]
        for found in filter(None, (re.search(r"Measured: (\(\w\).*)", text) for text in shown)):
            lines += [f"- {question}", f"  Measured: **{found[1]}**"]
        if used := re.search(r"series\.quiz\(\s*[\"'](\d+)", cell.source):
            number = used[1]
    lines += ["", "## Quiz", ""]
    for one in questions_of(number) if number else ():
        options = [
            f"  ({letter}) {option.rstrip('.')}: {reason}"
            for letter, option, reason in zip(LETTERS, one.options, one.reasons, strict=False)
        ]
        lines += [f"- {one.text} **({one.answer})**", *options]
    return "\n".join(lines) + "\n"


def write_figures(notebook: Any, folder: Path, name: str) -> None:
    """Write the figures of an executed page as PNG files, in their order: NAME_1.png and so on."""
    folder.mkdir(exist_ok=True)
    for old in folder.glob(f"{name}_*.png"):
        old.unlink()
    outputs = [output.get("data", {}) for cell in notebook.cells for output in cell.get("outputs", [])]
    pictures = [data["image/png"] for data in outputs if "image/png" in data]
    for number, picture in enumerate(pictures, 1):
        write_file(folder / f"{name}_{number}.png", base64.b64decode(picture))
