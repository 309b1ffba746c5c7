"""The study of labels: what the contrast is given, how weights are chosen, and what a row holds."""

import math

import pandas as pd
import pytest
import torch

from sculptlab.series.results import COLUMNS, base_column, read_result
from sculptlab.series.studies import labels
from sculptlab.series.studies.settings import Setting

TINY = Setting("sprites", 3, components=64, steps=5, width=16, batch_size=64, evaluated=200)
SCORES = {"relative_error", "mlp", "aligned", "aligned x", "aligned scale", "MIG", "DCI disentanglement", "SAP"}


@pytest.fixture(scope="module")
def sets():
    return labels.LabeledSprites.of(TINY, training=400, held_out=200)


def test_bins_have_equal_width_and_their_ends_belong_to_the_first_and_the_last():
    values = torch.zeros(5, 5)
    values[:, 1] = torch.tensor([0.5, 0.549, 0.551, 0.999, 1.0])  # scale
    values[:, 3:] = torch.tensor([0.25, 0.5, 0.74, 0.75, 0.3])[:, None]  # x and y
    assert labels.binned(labels.CASE, values).tolist() == [[0, 0, 0], [5, 5, 0], [9, 9, 1], [9, 9, 9], [1, 1, 9]]


def test_values_belong_to_their_training_images_also_when_some_are_set_aside(sets):
    part = sets.set_aside(0.25)
    for one, count in ((sets, 400), (part, 300)):
        images = sets.sprites.basis.project(labels.CASE.images(one.values))
        torch.testing.assert_close(images, one.card.images.training, atol=1e-4, rtol=0)
        assert len(images) == count
    torch.testing.assert_close(
        part.sprites.basis.project(part.sprites.images), part.card.images.held_out, atol=1e-4, rtol=0
    )  # and those set aside to their images


def test_a_row_for_each_cell_and_seed_with_recorded_columns(sets):
    cells = [("contrast", 50, 1.0, 10.0), ("tied prior", 50, 10.0, 10.0)]
    table = labels.label_study(sets, cells, [1], "chosen", progress=False)
    assert table["method"].tolist() == ["plain", "contrast", "tied prior"]
    assert set(table) >= SCORES | {"labels", "weight", "label_weight", "c2st"}
    assert all(base_column(column) in COLUMNS for column in table)
    assert table["c2st"].isna().tolist() == [True, False, False]  # a plain autoencoder declares no target


def test_all_methods_have_the_same_labeled_images(sets, monkeypatch):
    seen = []

    def note(case, images, values, *weights):
        seen.append(values)
        return labels.tied(case, images, values, *weights)

    for name, one in labels.LABELINGS.items():
        monkeypatch.setitem(labels.LABELINGS, name, labels.replace(one, objective=note))
        sets.train((name, 50, 1.0, 1.0), 3)
    assert seen[0].shape == (50, 5)
    assert torch.equal(*seen)


@pytest.mark.parametrize(
    ("errors", "scores", "weight"),
    [
        ([1.0, 1.1, 1.5], [0.2, 0.5, 0.9], 2.0),  # over the tolerance
        ([1.3, 1.2, 1.5], [0.2, 0.1, 0.9], 2.0),  # none is within: the least error
        ([1.0, math.nan, 1.0], [0.2, 0.5, 0.1], 1.0),  # diverged
    ],
)
def test_the_weight_of_greatest_dci_within_the_tolerance_is_chosen(errors, scores, weight):
    frame = pd.DataFrame({"method": "contrast", "labels": 50, "weight": 1.0, "label_weight": [1.0, 2.0, 3.0],
                          "relative_error": errors, "DCI disentanglement": scores})  # fmt: skip
    assert labels.chosen_cells(frame) == [("contrast", 50, 1.0, weight)]


def test_the_record_has_every_method_number_of_labels_and_seed_and_the_weights_of_the_rule():
    found = read_result("labels")
    kinds = dict(list(found.frame.groupby("kind")))
    chosen = kinds["chosen"]
    assert set(chosen) >= SCORES
    expected = [("plain", 0), *[(name, n) for name in labels.LABELINGS for n in labels.LABELS]]
    assert chosen.groupby(["method", "labels"], sort=False)["seed"].apply(list).to_dict() == dict.fromkeys(
        expected, found.provenance["seeds"]
    )
    assert not set(kinds["tried"]["seed"]) & set(found.provenance["seeds"])
    used = chosen[chosen["method"] != "plain"].drop_duplicates(["method", "labels"])
    assert labels.chosen_cells(kinds["tried"]) == list(
        used[["method", "labels", "weight", "label_weight"]].itertuples(index=False, name=None)
    )
    assert set(kinds["reference"]["method"]) == {"ideal", "noise"}
