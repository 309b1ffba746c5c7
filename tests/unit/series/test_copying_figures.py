"""The figures of page 06: what is drawn is what was given."""

import pandas as pd
import pytest
import torch

from sculptlab.series.figures import copying as copying_figures


def normal(seed):
    return torch.randn(300, 2, generator=torch.Generator().manual_seed(seed))


def test_images_have_a_row_for_each_name():
    images = torch.rand(5, 1, 8, 8, generator=torch.Generator().manual_seed(1))
    picture = copying_figures.image_rows({"shown": images, "decoded": images}, title="a finding")
    assert [ax.get_title(loc="left") for ax in picture.axes] == ["shown", "decoded"]


def test_codes_lie_in_the_window_of_the_source():
    z = normal(0)
    picture = copying_figures.codes_by_class({"A": z, "B": -z}, torch.arange(300) % 3, z, title="a finding")
    assert [ax.get_title() for ax in picture.axes] == ["A", "B"]
    assert picture.axes[0].get_xlim() == picture.axes[1].get_xlim()


def test_conditions_are_rows_in_every_panel():
    rows = [
        {"case": case, "condition": condition, "seed": seed, "c2st": 0.5 + seed / 10, "alignment_error": error, "mrr": error,
         "decoded_mse": error}
        for case, error in (("same", 0.1), ("other", None)) for condition in ("copied", "independent") for seed in (0, 1)
    ]  # fmt: skip
    picture = copying_figures.copies_by_condition(pd.DataFrame(rows))
    assert {ax.get_ylim() for ax in picture.axes} == {(1.5, -0.5)}
    assert [label.get_text() for label in picture.axes[0].get_yticklabels()] == ["copied", "independent"]
    assert [text.get_text() for text in picture.legends[0].get_texts()] == ["same", "other"]
    assert picture.axes[0].lines[0].get_xdata() == pytest.approx([0.55, 0.55])
    assert not copying_figures.copies_by_condition(pd.DataFrame(rows[:4])).legends  # of a single case
