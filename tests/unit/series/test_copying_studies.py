"""The study of copied latent spaces: its conditions, its record, and its figures."""

import pandas as pd
import pytest
import torch

from sculptlab.series.figures import copying as copying_plots
from sculptlab.series.studies import copying as copying_studies
from sculptlab.series.studies.copying import Copy


def normal(n, d, seed=0):
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed))


def test_pictures_of_places_and_turns():
    images = torch.rand(5, 1, 8, 8, generator=torch.Generator().manual_seed(1))
    picture = copying_plots.exchanged({"shown": images, "decoded": images}, title="said")
    assert [ax.get_title(loc="left") for ax in picture.axes] == ["shown", "decoded"]
    z = normal(300, 2)
    picture = copying_plots.classes({"A": z, "B": -z}, torch.arange(300) % 3, z, title="said")
    assert [ax.get_title() for ax in picture.axes] == ["A", "B"]
    assert picture.axes[0].get_xlim() == picture.axes[1].get_xlim()  # that of the outline
    curves = {"round": [0.0, 0.1, 0.0], "other": [0.0, 2.0, 0.0]}
    left, right = copying_plots.turned(-z, z, curves, (0, 180, 360), 180, title="said").axes
    assert left.get_title() == "turned by 180°"
    assert left.get_xlim() == left.get_ylim()
    assert left.get_xlim()[1] > z.abs().max()  # the whole cloud, wherever it is turned to
    assert [line.get_label() for line in right.lines][:2] == list(curves)
    assert right.lines[2].get_xdata()[0] == 180  # where we are


def test_affine_map_through_anchors_is_exact():
    z, turn = normal(40, 3), normal(3, 2, 1)
    assert copying_studies.affine(z[:6], z[:6] @ turn + 4, z) == pytest.approx(z @ turn + 4, abs=1e-4)


def test_a_study_has_every_arm_and_pairs_only_where_images_are_shared():
    same = Copy("digits", "digits", dim=2, steps=3, widths=(8, 8), judged=100)
    other = Copy("digits", "patches", dim=2, steps=3, widths=(8, 8), judged=60, rows=150)
    other_small = {"same": same, "other": other}
    frame = copying_studies.copies(other_small, [0], anchors=(5,), progress=False)
    arms = ["second half", "independent", "copied", "copied, 5 anchors", "5 anchors alone", "affine, 5 anchors"]
    assert list(frame.loc[frame["case"] == "same", "condition"]) == [*arms, "relative, 5 anchors", "relative centered, 5 anchors"]
    assert list(frame.loc[frame["case"] == "other", "condition"]) == arms[:3]
    best = frame[(frame["case"] == "same") & (frame["condition"] == "second half")].iloc[0]
    assert (best["alignment_error"], best["mrr"], best["decoded_mse"]) == (0, 1, pytest.approx(best["reconstruction_mse"]))
    assert frame.loc[frame["case"] == "other", "alignment_error"].isna().all()
    picture = copying_plots.arms(frame)
    assert {ax.get_ylim() for ax in picture.axes} == {(-0.5, 7.5)}  # a line of one arm is a line of it in every panel
    assert [text.get_text() for text in picture.legends[0].get_texts()] == ["same", "other"]


def test_a_recorded_study_says_what_was_done(monkeypatch):
    kept = {}
    monkeypatch.setattr(copying_studies, "write", lambda name, frame, **what: kept.update(name=name, frame=frame, **what))
    monkeypatch.setattr(copying_studies, "copies", lambda cases, seeds: pd.DataFrame({"case": list(cases)}))
    copying_studies.record_copies(range(2))
    assert (kept["name"], kept["seeds"]) == ("copies", [0, 1])
    assert list(kept["frame"]["case"]) == list(copying_studies.COPIES)
    assert kept["settings"]["another seed"]["dim"] == 4
    assert copying_studies.live("digits", 5)["another seed"].steps == 5
