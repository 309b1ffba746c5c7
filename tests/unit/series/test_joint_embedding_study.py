"""The joint embedding without a decoder: what its crops are, and what SIGReg and the normalization do."""

import pytest
import torch

from sculptlab.series.studies.joint_embedding import EMBEDDINGS, compare_embeddings, crops


def test_crops_are_moved_by_at_most_a_pixel():
    generator = torch.Generator().manual_seed(0)
    dots = torch.zeros(4000, 8, 8)
    dots[:, 4, 4] = 100
    places = crops(dots, True, generator).argmax(1)
    assert set(places.tolist()) == {8 * (4 + down) + 4 + right for down in (-1, 0, 1) for right in (-1, 0, 1)}
    still = crops(dots, False, generator)
    assert (still.argmax(1) == 36).all()
    assert (still - dots.flatten(1)).std().item() == pytest.approx(0.2, abs=0.01)


def test_sigreg_prevents_the_collapse_and_the_normalization_raises_the_rank():
    chosen = {name: EMBEDDINGS[name] for name in ("no SIGReg", "SIGReg", "SIGReg, not normalized")}
    table = compare_embeddings(chosen, [0], progress=False).set_index("condition")
    assert table.loc["SIGReg", "std_min"] > 10 * table.loc["no SIGReg", "std_max"]
    assert table.loc["SIGReg", "probe"] > table.loc["no SIGReg", "probe"] + 0.1
    assert table.loc["SIGReg", "rank"] > table.loc["SIGReg, not normalized", "rank"] + 1
    assert table["rank"].between(1, 16).all()
