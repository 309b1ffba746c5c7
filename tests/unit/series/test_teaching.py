"""The teaching material names the exercises as the pages do."""

import json
import re

from sculptlab.series import checks, pages

TEACHING = pages.notebooks_folder().parent / "teaching"


def exercises_of(page):
    """The number and the check of each exercise of a page, in their order on the page."""
    cells = json.loads(page.read_text(encoding="utf-8"))["cells"]
    tagged = [cell for cell in cells if any(tag.startswith("exercise") for tag in cell["metadata"].get("tags", []))]
    used = [re.findall(r"checks\.(check_\w+)\(", "".join(cell["source"])) for cell in tagged]
    return [(f"{page.name[:2]}-{number}", name) for number, (name,) in enumerate(used, 1)]


def test_an_exercise_has_one_number_on_its_page_in_its_score_and_in_the_list_of_misconceptions():
    text = (TEACHING / "misconceptions.md").read_text(encoding="utf-8")
    on_pages = dict(exercise for page in pages.every() for exercise in exercises_of(page))
    assert list(dict.fromkeys(re.findall(r"^\| (\d\d-\d) ", text, re.MULTILINE))) == list(on_pages)
    assert {number: name for number, name in on_pages.items() if checks.feedback.NUMBERS[name] != number} == {}
    for page in pages.every():
        cells = json.loads(page.read_text(encoding="utf-8"))["cells"]
        said = re.findall(r"\*\*Exercise (\d):", "".join("".join(cell["source"]) for cell in cells))
        numbers = [number[-1] for number, _ in exercises_of(page)]
        assert said in ([], numbers)
        assert said or len(numbers) == 1


def test_the_plans_name_sections_that_the_pages_have():
    for name in ("plan_90_minutes.md", "plan_four_lessons.md"):
        text = (TEACHING / name).read_text(encoding="utf-8")
        for page, first, last in re.findall(r"\b(\d\d) \(sections (\d)(?:[^)]*?(\d))?", text):
            sections = re.findall(r'"## (\d) ·', pages.find(page).read_text(encoding="utf-8"))
            assert {first, last or first} <= set(sections), f"{name}: page {page} has the sections {sections}"
