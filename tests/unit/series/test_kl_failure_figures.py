"""The figures of page 01: what is drawn is what was recorded."""

import io

import numpy as np
import pytest
from matplotlib.image import imread

from sculptlab.series import results
from sculptlab.series.figures import kl_failure as kl_figures
from sculptlab.series.studies import kl_failure as studies


@pytest.fixture(scope="module")
def recorded():
    return results.read_result("kl_failure_digits")


def pixels(png):
    return imread(io.BytesIO(png))


def test_the_panel_shows_each_beta_over_the_same_background(recorded):
    panel = kl_figures.CodesPanel(recorded, dim=2)
    first, other, again = (pixels(panel.png(beta)) for beta in (0.1, 10.0, 0.1))
    assert np.array_equal(first, again)  # nothing of the last beta is left behind
    assert not np.array_equal(first, other)
    fresh = pixels(kl_figures.CodesPanel(recorded, dim=2).png(0.1))
    assert np.array_equal(first, fresh)


def test_every_recorded_setting_can_be_drawn(recorded):
    for dim in (2, 10):
        panel = kl_figures.CodesPanel(recorded, dim=dim)
        assert all(pixels(panel.png(beta)).std() > 0 for beta in studies.BETAS)


def test_lines_are_the_means_over_seeds(recorded):
    picture = kl_figures.metrics_over_beta(recorded.frame, dim=10, title="a finding")
    rows = kl_figures.beta_rows(recorded.frame, 10).query("codes == 'means'")
    line = picture.axes[0].lines[0]
    assert np.allclose(line.get_xdata(), studies.BETAS)
    assert np.allclose(line.get_ydata(), rows.groupby("beta")["reconstruction_mse"].mean())
    assert picture.get_suptitle() == "a finding"


def test_an_unknown_dimension_is_named(recorded):
    with pytest.raises(ValueError, match=r"dim must be one of \[2, 10\], got 3"):
        kl_figures.beta_rows(recorded.frame, 3)
