"""The teaching material names the exercises as the pages do."""

import json
import re

from sculptlab.series import pages

TEACHING = pages.notebooks_folder().parent / "teaching"


def test_the_list_of_misconceptions_has_every_exercise_with_the_name_of_its_check():
    text = (TEACHING / "misconceptions.md").read_text(encoding="utf-8")
    listed = set(re.findall(r"^\| (\d\d)[^|]*\(`(\w+)`\) \|", text, re.MULTILINE))
    used = {
        (page.name[:2], name)
        for page in pages.every()
        for cell in json.loads(page.read_text(encoding="utf-8"))["cells"]
        for name in re.findall(r"checks\.check_(\w+)\(", "".join(cell["source"]))
    }
    assert listed == used


def test_the_plans_name_sections_that_the_pages_have():
    for name in ("plan_90_minutes.md", "plan_four_lessons.md"):
        text = (TEACHING / name).read_text(encoding="utf-8")
        for page, first, last in re.findall(r"\b(\d\d) \(sections (\d)(?:[^)]*?(\d))?", text):
            sections = re.findall(r'"## (\d) ·', pages.find(page).read_text(encoding="utf-8"))
            assert {first, last or first} <= set(sections), f"{name}: page {page} has the sections {sections}"
