"""The study of copied latent spaces: its conditions and its record."""

import pandas as pd
import pytest
import torch

from sculptlab.series.studies import copying as copying_studies
from sculptlab.series.studies.copying import CopySetting, retrieval


def normal(n, d, seed=0):
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed))


def test_affine_map_through_anchors_is_exact():
    z, rotation = normal(40, 3), normal(3, 2, 1)
    assert copying_studies.affine_map(z[:6], z[:6] @ rotation + 4, z) == pytest.approx(z @ rotation + 4, abs=1e-4)


def test_retrieval_finds_everything_nothing_or_shares_ties():
    z = normal(50, 2)
    assert retrieval(z, z) == {"top1": 1, "mrr": 1, "mean_rank": 0}
    line = torch.arange(3.0)[:, None]
    assert retrieval(line.flip(0), line) == pytest.approx({"top1": 1 / 3, "mrr": 5 / 9, "mean_rank": 2 / 3})  # ranks 3, 1, 3
    circle = torch.tensor([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0], [0.0, -1.0]])
    assert retrieval(0 * circle, circle) == pytest.approx({"top1": 0, "mrr": 1 / 2.5, "mean_rank": 0.5})  # four at one distance


def test_a_study_has_every_condition_and_pairs_only_where_images_are_shared():
    same = CopySetting("digits", "digits", dim=2, steps=3, widths=(8, 8), evaluated=100)
    other = CopySetting("digits", "patches", dim=2, steps=3, widths=(8, 8), evaluated=60, rows=150)
    frame = copying_studies.copy_study({"same": same, "other": other}, [0], anchors=(5,), progress=False)
    conditions = ["second half", "independent", "copied", "copied, 5 anchors", "5 anchors alone", "affine, 5 anchors"]
    relative = ["relative, 5 anchors", "relative centered, 5 anchors"]
    assert list(frame.loc[frame["case"] == "same", "condition"]) == [*conditions, *relative]
    assert list(frame.loc[frame["case"] == "other", "condition"]) == conditions[:3]
    best = frame[(frame["case"] == "same") & (frame["condition"] == "second half")].iloc[0]
    assert (best["alignment_error"], best["mrr"], best["decoded_mse"]) == (0, 1, pytest.approx(best["reconstruction_mse"]))
    assert frame.loc[frame["case"] == "other", "alignment_error"].isna().all()


def test_a_recorded_study_states_its_settings(monkeypatch):
    kept = {}
    monkeypatch.setattr(copying_studies, "record_result", lambda name, frame, **what: kept.update(name=name, frame=frame, **what))
    monkeypatch.setattr(copying_studies, "copy_study", lambda cases, seeds: pd.DataFrame({"case": list(cases)}))
    copying_studies.record_copies(range(2))
    assert (kept["name"], list(kept["seeds"])) == ("copies", [0, 1])
    assert list(kept["frame"]["case"]) == list(copying_studies.COPIES)
    assert kept["settings"]["another seed"]["dim"] == 4
