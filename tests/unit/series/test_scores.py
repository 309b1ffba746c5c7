import json

import pytest

import sculptlab as sl
from sculptlab.series import questions, scores
from sculptlab.series.checks.feedback import call, exercise, require


@exercise("99-1")
def check_answer(answer):
    require(call(answer) == 42, "it is not 42")
    return "it is 42"


@pytest.fixture(autouse=True)
def one_kernel(monkeypatch, tmp_path):
    monkeypatch.setattr(scores, "_kept", {})
    monkeypatch.setattr(scores, "_last", {})
    monkeypatch.chdir(tmp_path)


def test_nothing_is_written_without_a_name(tmp_path):
    check_answer(lambda: 42)
    assert list(tmp_path.iterdir()) == []


def test_tries_are_counted_until_an_exercise_is_passed():
    sl.series.keep_score("Ada", "ada.json")
    for source in ("...", "1", "1", "2", "42", "3"):  # no answer yet, then three of which one is checked twice
        check_answer(eval(f"lambda: {source}"))
    score = scores.read_score("ada.json")
    assert score["name"] == "Ada"
    assert score["exercises"]["99-1"]["passed"] is True
    assert score["exercises"]["99-1"]["tries"] == 3
    assert score["exercises"]["99-1"]["time"].endswith("+00:00")


def test_a_quiz_counts_once_it_is_answered(monkeypatch, tmp_path):
    monkeypatch.setattr(questions, "QUIZZES", tmp_path)
    (tmp_path / "07.toml").write_text('[[question]]\ntext = "?"\noptions = ["x", "y"]\nanswer = "b"\nreasons = ["no", "yes"]\n')
    sl.series.keep_score("Ada", "ada.json")
    sl.series.quiz("07", "?")
    assert scores.read_score("ada.json")["exercises"] == {}
    sl.series.quiz("07", "a"), sl.series.quiz("07", "b")
    assert scores.read_score("ada.json")["exercises"]["quiz 07"]["tries"] == 2


def test_a_later_kernel_goes_on_with_the_file(monkeypatch):
    sl.series.keep_score("Ada", "ada.json")
    check_answer(lambda: 1)
    monkeypatch.setattr(scores, "_kept", {})
    sl.series.keep_score("Ada", "ada.json")
    check_answer(lambda: 42)
    assert scores.read_score("ada.json")["exercises"]["99-1"]["tries"] == 2


def test_the_file_of_another_is_refused():
    sl.series.keep_score("Ada", "one.json")
    with pytest.raises(ValueError, match=r"path must be a file of 'Bob' or a new one: one\.json is that of 'Ada'"):
        sl.series.keep_score("Bob", "one.json")


def test_the_same_answer_counts_in_the_file_of_another_student():
    answer = eval("lambda: 42")
    for name in ("Ada", "Bob"):
        sl.series.keep_score(name, f"{name}.json")
        check_answer(answer)
    assert scores.read_score("Bob.json")["exercises"]["99-1"]["tries"] == 1


@pytest.mark.parametrize("name", ["", "  ", None, 3])
def test_a_name_is_a_text(name):
    with pytest.raises(ValueError, match="name must be a text that is not empty"):
        sl.series.keep_score(name)


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"name": 1, "exercises": {}}', '{"name": "a", "exercises": []}'])
def test_another_file_is_named(tmp_path, text):
    (tmp_path / "other.json").write_text(text)
    with pytest.raises(ValueError, match=r"path must be a file that keep_score wrote, got other\.json"):
        scores.read_score("other.json")


def test_the_table_of_a_class(capsys):
    for name, passed, tries in (("Ada", True, 3), ("Bob", False, 2)):
        entry = {"01-1": {"passed": passed, "tries": tries, "time": "2026-11-28T10:00:00+00:00"}}
        (sl.names.as_path("path", f"{name}.json")).write_text(json.dumps({"name": name, "exercises": entry}))
    from sculptlab import cli

    assert cli.main(["scores", "Ada.json", "Bob.json"]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert lines[:3] == [["01-1"], ["Ada", "3"], ["Bob", "-2"]]
    assert cli.main(["scores", "*.json"]) == 0  # a shell of Windows leaves the star to the program
    assert capsys.readouterr().out.splitlines()[1].split() == ["Ada", "3"]
    assert cli.main(["scores", "nobody.json"]) == 1
