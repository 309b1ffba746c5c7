"""Page 10's figure and tables."""

import pandas as pd
from matplotlib.text import Text

from sculptlab.series import checks
from sculptlab.series.figures import scorecard

FRAME = pd.DataFrame(
    {"method": ["a", "a", "b", "b", "<c>", "<c>"], "weight": [1.0, 1.0, 3.0, 3.0, 0.0, 0.0], "seed": [1, 2] * 3,
     "relative_error": [1.0, 1.1, 1.2, 1.2, 1.3, 1.3], "mlp": [0.5, 0.5, 0.1, 0.2, 0.3, 0.3]}
)  # fmt: skip
FAMILIES = {"a": "one", "b": "two", "<c>": "two"}


def test_the_figure_has_a_point_for_each_method_and_a_color_for_each_family():
    (ax,) = scorecard.error_against_lps(FRAME, FAMILIES, title="x").axes
    assert [text.get_text() for text in ax.texts] == ["1 a", "2 b", "3 <c>"]
    assert ax.get_legend_handles_labels()[1] == ["one", "two"]
    front = ax.lines[0]
    assert front.get_xdata().tolist() == [1.05, 1.2]


def test_no_text_covers_another_and_the_unbeaten_keep_their_names():
    names = [f"method {i}" for i in range(20)]
    errors = [1 + 0.001 * i for i in range(18)] + [1.5, 2.0]
    scores = [0.99 - 0.0001 * i for i in range(4)] + [0.995] * 14 + [0.6, 0.2]
    rows = [
        {"method": n, "seed": s, "relative_error": e, "mlp": m}
        for n, e, m in zip(names, errors, scores, strict=True)
        for s in (1, 2)
    ]
    picture = scorecard.error_against_lps(pd.DataFrame(rows), dict.fromkeys(names, "one"))
    (ax,) = picture.axes
    picture.draw_without_rendering()
    boxes = [Text.get_window_extent(text) for text in ax.texts]  # without their lines
    assert not [(a, b) for i, a in enumerate(boxes) for b in boxes[:i] if covered(a, b) > 0.1]
    assert {text.get_text().partition(" ")[2] for text in ax.texts} >= {
        "method 0",
        "method 1",
        "method 2",
        "method 3",
        "method 18",
        "method 19",
    }


def covered(a, b):
    """The share of the smaller box that the other covers."""
    width, height = min(a.x1, b.x1) - max(a.x0, b.x0), min(a.y1, b.y1) - max(a.y0, b.y0)
    return max(width, 0) * max(height, 0) / min(a.width * a.height, b.width * b.height)


def test_a_table_is_sorted_by_a_click_and_hides_no_markup():
    table = scorecard.means_table(FRAME, {"mlp": "LPS", "absent": "other"}, FAMILIES, "a & b")
    page = table._repr_html_()
    assert page.count("onclick=") == 6
    assert "&lt;c&gt;" in page
    assert "<c>" not in page
    assert "a &amp; b" in page
    assert "0.150 ± 0.071" in page
    assert "0.150 ± 0.071" in repr(table)


def right_weight(tried, tolerance):
    return tried[tried["relative_error"] <= tolerance].sort_values("mlp")["weight"].iloc[0]


def test_a_mistake_in_the_rule_is_named():
    slips = {
        "over the tolerance": lambda t, _: t.loc[t["mlp"].idxmin(), "weight"],
        "least error": lambda t, _: t.loc[t["relative_error"].idxmin(), "weight"],
        "largest allowed": lambda t, tolerance: t.loc[t["relative_error"] <= tolerance, "weight"].max(),
        "use <=": lambda t, tolerance: 3.0 if tolerance > 1 else 0.0,
        "one weight, a number": lambda t, _: t,
        "returns nothing yet": lambda t, _: ...,
    }
    assert checks.check_chosen_weight(right_weight).passed
    for words, answer in slips.items():
        assert words in checks.check_chosen_weight(answer).message, words


def test_a_mistake_in_the_front_is_named():
    def front(x, y):
        no_worse = (x[None] <= x[:, None]) & (y[None] <= y[:, None])
        return ~(no_worse & ((x[None] < x[:, None]) | (y[None] < y[:, None]))).any(1)

    slips = {
        "beat itself": lambda x, y: ~((x[None] <= x[:, None]) & (y[None] <= y[:, None])).any(1),
        "no worse in the other": lambda x, y: ~((x[None] < x[:, None]) & (y[None] < y[:, None])).any(1),
        "one entry for each": lambda x, y: [True],
        "expected": lambda x, y: [True, False, True, False, False, False],
    }
    assert checks.check_front(front).passed
    for words, answer in slips.items():
        assert words in checks.check_front(answer).message, words
