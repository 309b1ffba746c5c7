import pytest

import sculptlab as sl
from sculptlab.series import questions
from sculptlab.series.questions import questions_of, quiz, show_prediction

PAGE = """
[[question]]
text = "Is 1 < 2?"
options = ["no", "yes"]
answer = "b"
reasons = ["1 is less", "of course"]
[[question]]
text = "Is it an a, a b or a c?"
options = ["first", "second", "third"]
answer = "c"
reasons = ["not the first", "not the second", "the last"]
"""


@pytest.fixture(autouse=True)
def page(monkeypatch, request, tmp_path):
    if "shipped" not in request.fixturenames:
        monkeypatch.setattr(questions, "QUIZZES", tmp_path)
        (tmp_path / "42.toml").write_text(PAGE)


@pytest.mark.parametrize(
    ("answers", "passed", "shown"),
    [
        ("??", False, ["Is 1 < 2?", "(a) no", "(c) third", "not answered yet: replace ?? by 2 letters"]),
        ("BC", True, ["✓ right: of course", "✓ right: the last", "2 of 2 right"]),
        ("b?", False, ["✓ right: of course", "1 of 2 right"]),
        ("aa", False, ["✗ not yet: 1 is less", "✗ not yet: not the first", "0 of 2 right"]),
    ],
)
def test_a_reason_for_each_answer(answers, passed, shown):
    found = sl.series.quiz("42", answers)
    assert found.passed is passed
    for words in shown:
        assert words in str(found)
    assert str(found).count("right: ") + str(found).count("not yet: ") == sum(letter != "?" for letter in answers)


def test_the_page_of_html_is_escaped_and_says_the_same():
    page = quiz("42", "b?")._repr_html_()
    assert "Is 1 &lt; 2?" in page
    assert page.count("<li>") == 5
    assert "✓ right: of course" in page
    assert "1 of 2 right" in page
    assert "the last" not in page


@pytest.mark.parametrize("answers", ["", "b", "bcb", "bd", "b ", None, 3])
def test_answers_of_another_form_are_named(answers):
    with pytest.raises(ValueError, match=r"answers must have 2 characters, each one of a, b, c, \?"):
        quiz("42", answers)


def test_an_unknown_page_is_named():
    with pytest.raises(ValueError, match=r"page must be one of \['42'\], got '43'"):
        quiz("43", "??")


@pytest.mark.parametrize(
    ("prediction", "shown"),
    [
        ("", "You wrote no prediction in the cell above. Measured: (c). The means shrink."),
        ("b", "✗ You predicted (b). Measured: (c). The means shrink."),
        ("(C) ", "✓ You predicted (c). Measured: (c). The means shrink."),
    ],
)
def test_a_prediction_is_shown_beside_the_result(prediction, shown, capsys):
    show_prediction(prediction, "c", "The means shrink.")
    assert capsys.readouterr().out.strip() == shown


def test_a_prediction_is_a_string():
    with pytest.raises(TypeError, match="prediction must be a string, got int"):
        show_prediction(1, "c", "The means shrink.")


@pytest.fixture
def shipped():
    return sorted(questions.QUIZZES.glob("*.toml"))


def test_the_quizzes_of_the_pages_are_complete(shipped):
    for path in shipped:
        found = questions_of(path.stem)
        assert len(found) == 3, path
        for question in found:
            assert len(question.options) == len(question.reasons) >= 2, question
            assert question.answer in questions.LETTERS[: len(question.options)], question
        assert len({question.answer for question in found}) > 1, f"{path}: the same letter is right everywhere"
