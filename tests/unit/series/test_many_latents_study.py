"""The study of regularizers at many latents: how weights are chosen, and what its table holds."""

import pytest

from sculptlab.series.studies import many_latents
from sculptlab.series.studies.many_latents import PLAIN, choose_weights, compare_regularizers, regularizers
from sculptlab.series.studies.settings import PreparedImages, Setting

TINY = Setting("digits", 3, components=20, steps=20, width=16)


@pytest.fixture(scope="module")
def images():
    return PreparedImages.of(TINY)


def test_the_largest_weight_within_the_tolerance_is_chosen(images, monkeypatch):
    errors = {0.0: 1.0, 1.0: 1.03, 10.0: 1.04, 100.0: 1.05, 1000.0: 1.2}
    seen = []

    def train(self, objective, seed):
        seen.append((seed, len(self.training), len(self.held_out)))
        return getattr(objective, "weight", 0.0)

    monkeypatch.setattr(PreparedImages, "train", train)
    monkeypatch.setattr(PreparedImages, "error", lambda self, weight: errors[weight])
    monkeypatch.setattr(many_latents, "regularizers", lambda dim: {"MMD": regularizers(dim)["MMD"]})
    assert choose_weights(images, tolerance=0.05) == {"MMD": 100.0}
    assert choose_weights(images, tolerance=0.3) == {"MMD": 1000.0}
    assert choose_weights(images, tolerance=0.01) == {"MMD": 1.0}  # none is within: the smallest
    n = len(images.training)
    assert {seed for seed, *_ in seen} == {0}
    assert {sum(sizes) for _, *sizes in seen} == {n}  # the held-out images of the study are not looked at


def test_a_row_for_each_model_and_evaluator(images, monkeypatch):
    monkeypatch.setattr(many_latents, "EVALUATED", 200)
    monkeypatch.setattr(many_latents, "PREDICTED", 1)
    weights = {"SIGReg": 1.0, "predictability": 0.1}
    table = compare_regularizers(images, weights, [1, 2], progress=False)
    assert len(table) == 2 * 2 * (1 + len(weights))
    plain = table[table["objective"] == PLAIN]
    assert plain["relative_error"].mean() == pytest.approx(1)
    assert plain["weight"].isna().all()
    assert table.dropna(subset="weight").set_index("objective")["weight"].to_dict() == weights
    assert (table["seconds"] > 0).all()
    assert table["c2st"].between(0.4, 1).all()
    assert table.groupby("regressor")["n"].unique().explode().unique().tolist() == [len(images.training)]


def test_every_regularizer_takes_the_weights_that_are_tried():
    for objective, weights in regularizers(5).values():
        assert [objective(weight).weight for weight in weights] == list(weights) == sorted(weights)


def test_only_sizes_of_the_study_are_recorded():
    with pytest.raises(ValueError, match="dim must be one of"):
        many_latents.record_many_latents(65)
