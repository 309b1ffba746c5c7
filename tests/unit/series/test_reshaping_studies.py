"""The studies of sculpting after training: what their tables hold, and that the maps change the codes and not the images."""

import pytest

from sculptlab import priors
from sculptlab.series.studies import reshaping
from sculptlab.series.studies.settings import PreparedImages, Setting

IMAGES = PreparedImages.of(Setting("digits", 2, components=20, steps=60, width=32))


@pytest.fixture(scope="module")
def independence():
    return reshaping.independence_study(IMAGES, [0, 1], evaluators=("boosting",), max_iter=150, progress=False)


def test_a_row_for_each_seed_and_kind_of_codes(independence):
    assert len(independence) == 2 * 3
    assert (independence["evaluated"] == 599).all()
    assert (independence["n"] == 1198).all()


def test_reshaped_codes_are_more_independent_at_the_same_error(independence):
    table = independence.groupby("condition")[["score", "c2st", "relative_error"]].mean()
    assert table.loc["plain", "score"] > 0.05
    assert table.loc["reshaped", "score"] < 0.5 * table.loc["plain", "score"]
    assert table.loc["reshaped", "c2st"] < table.loc["whitened", "c2st"] < table.loc["plain", "c2st"]
    assert table.loc["reshaped", "relative_error"] == pytest.approx(1, abs=1e-4)


def test_a_row_for_each_prior_and_seed():
    chosen = {"ring": priors.Ring(), "uniform": priors.Uniform(2)}
    table = reshaping.planar_study(IMAGES, chosen, [0], max_iter=150, progress=False)
    assert table["prior"].tolist() == ["ring", "uniform"]
    assert (table["c2st"] < 0.6).all()
    assert (table["off_support"] < 0.05).all()


def test_an_unknown_setting_is_named():
    with pytest.raises(ValueError, match="name must be one of"):
        reshaping.record_independence("mnist_16")
