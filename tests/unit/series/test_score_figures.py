"""The figures of page 02: what is drawn is what the table says."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.patches import Rectangle

from sculptlab.series.figures import scores as score_figures
from sculptlab.series.studies import scores as score_studies

MIXING_COLUMNS = (
    "|correlation|", "distance correlation", "HSIC", "linear", "boosting", "mlp", "squares", "bits", "MIG", "SAP (continuous)",
)  # fmt: skip


@pytest.fixture
def frame():
    rng = np.random.default_rng(0)
    rows = [
        {"objective": name, "codes": kind, "seed": seed, "linear": rng.random(), "boosting": rng.random(), "mlp": rng.random(),
         "linear_chance": 0.0, "boosting_chance": 0.01, "mlp_chance": 0.02}
        for name in ("a", "b") for kind in ("means", "samples") for seed in range(3)
    ]  # fmt: skip
    return pd.DataFrame(rows)


def test_dots_are_means_in_the_order_asked_for(frame):
    picture = score_figures.model_scores(frame, ["b", "a"], title="a finding")
    left, right = picture.axes
    mlp = next(line for line in left.lines if line.get_marker() == score_figures.REGRESSORS["mlp"][1] and len(line.get_xdata()))
    expected = frame[frame["codes"] == "means"].groupby("objective")["mlp"].mean()
    assert mlp.get_xdata() == pytest.approx([expected["b"], expected["a"]])
    assert np.diff(mlp.get_ydata())[0] == 1
    assert left.get_ylim()[0] > left.get_ylim()[1]  # the first on top
    assert [tick.get_text() for tick in left.get_yticklabels()] == ["b", "a"]
    assert left.get_title() == "means (chance level at most 0.020)"
    assert right.get_title().startswith("samples")
    assert picture.get_suptitle() == "a finding"


def test_agreement_has_a_row_for_every_kind_of_codes():
    rows = [("made", "aligned", 0, 0.9), ("made", "noise", 0, 0), ("model", "beta 1", 0.4, 0.1), ("model", "beta 1", 0.6, 0.3)]
    frame = pd.DataFrame(rows, columns=["kind", "codes", "mlp", "MIG"])
    left, right = score_figures.agreement(frame, {"mlp": "LPS", "MIG": "MIG"}).axes
    assert [label.get_text() for label in left.get_yticklabels()] == ["each factor, Gaussian", "noise", "VAE, β = 1"]
    assert [ax.get_xlabel() for ax in (left, right)] == ["LPS", "MIG"]
    drawn = [line.get_xdata() for line in right.lines if line.get_marker() == "o"]
    assert 0.2 in np.round(np.concatenate(drawn), 3)  # the mean over seeds of the trained model


def test_sensitivity():
    rows = [
        {"hyperparameter": name, "value": value, "codes": "xor", "regressor": regressor, "seed": seed, "raw": value / 9000,
         "raw_truth": 0.6}
        for name, values in (("n", (250, 8000)), ("d", (3, 48)))
        for value in values for regressor in score_figures.REGRESSORS for seed in (0, 1)
    ]  # fmt: skip
    picture = score_figures.sensitivity(pd.DataFrame(rows), "xor", title="t")
    assert picture.axes[0].lines[0].get_ydata() == pytest.approx([250 / 9000, 8000 / 9000])
    assert [ax.get_xlabel() for ax in picture.axes] == list(score_figures.HYPERPARAMETERS.values())


def test_codes_have_their_scores_below():
    sets = {"one": np.zeros((5, 2)), "two": np.ones((5, 2))}
    scores = pd.DataFrame({"mean": [0.0, 0.3], "bits": [0.5, 1.2]}, index=["one", "two"])
    axes = score_figures.codes_with_scores(sets, scores, title="t").axes
    assert [text.get_text() for text in axes[3].texts] == ["0.30", "1.20"]
    assert axes[3].get_xlim()[1] >= 1.2


def test_the_panel_of_the_mixing_slider():
    rows = [{"source": s, "angle": a, "bend": b, "seed": i, **dict.fromkeys(MIXING_COLUMNS, 0.1 * i + a / 100)}
            for s in score_studies.SOURCES for a in (0, 45) for b in (0.0, 1.0) for i in range(2)]  # fmt: skip
    draw = score_figures.MixingPanel(pd.DataFrame(rows), n=50)
    shown = []
    draw.backdrop.png = shown.extend
    draw({"source": "laplace", "angle": 45, "bend": 1.0})
    widths = [artist.get_width() for artist in shown if isinstance(artist, Rectangle)]
    named = dict(zip(reversed(score_figures.BARS), widths, strict=True))
    assert [tick.get_text() for tick in draw.bars.get_yticklabels()] == list(named)
    assert named["LPS mlp"] == pytest.approx(0.5)
    assert named["LPS mlp, bits / 3"] == pytest.approx(0.5 / 3)
    assert named["correlation²"] == pytest.approx((0.45**2 + 0.55**2) / 2)
    with pytest.raises(ValueError, match="settings must be one of"):
        draw({"source": "laplace", "angle": 44, "bend": 1.0})


def test_the_panel_leaves_nothing_of_the_last_setting_behind():
    rows = [
        {"source": "uniform", "angle": a, "bend": 0.0, "seed": i, **dict.fromkeys(MIXING_COLUMNS, a / 50)}
        for a in (0, 45)
        for i in (0, 1)
    ]
    draw = score_figures.MixingPanel(pd.DataFrame(rows), n=50)
    first, other, again = (draw({"source": "uniform", "angle": a, "bend": 0.0}) for a in (0, 45, 0))
    assert first == again
    assert first != other
    assert first.startswith(b"\x89PNG")
