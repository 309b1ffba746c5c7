"""The study of MNIST in pixels: its errors, its rows, and the images that a choice of weights sees."""

import math

import pandas as pd
import pytest
import torch

import sculptlab as sl
from sculptlab.series import results
from sculptlab.series.results import COLUMNS, base_column
from sculptlab.series.studies import standard_vae

TINY = {"dim": 3, "steps": 5, "width": 16, "progress": False}


@pytest.fixture(scope="module")
def digits():
    images = sl.load("digits")
    return standard_vae.Digits(images.subset(range(300)), images.subset(range(300, 500)))


def test_errors_of_a_known_image():
    images = torch.tensor([[0, 255, 255, 0], [255, 0, 0, 0]], dtype=torch.uint8)
    made = torch.tensor([[0.5, 0.5, 1.0, 0.0], [1.0, 0.0, 0.0, 0.0]])
    found = standard_vae.errors(made, images, "")
    assert found == pytest.approx({"reconstruction_mse": 2 * 0.25 / 8, "cross_entropy": 2 * math.log(2) / 2})
    assert set(standard_vae.errors(made, images.float() / 255, "drawn_")) == {"drawn_mse", "drawn_cross_entropy"}


def test_a_row_for_each_cell_and_one_for_the_map(digits, monkeypatch):
    monkeypatch.setattr(standard_vae, "EVALUATED", 100)
    monkeypatch.setattr(standard_vae, "lps_scores", lambda z, names, seed: dict.fromkeys(names, 0.5))  # 100 times as fast
    cells = [("plain", 0.0), ("standard VAE", 1.0), ("MMD + predictability", 1.0)]
    table = standard_vae.compare(digits, cells, [1], "chosen", **TINY)
    assert table["method"].tolist() == ["plain", standard_vae.RESHAPED, "standard VAE", "MMD + predictability"]
    assert all(base_column(column) in COLUMNS for column in table)
    rows = table.set_index("method")
    assert rows.loc[standard_vae.RESHAPED, "reconstruction_mse"] == pytest.approx(
        rows.loc["plain", "reconstruction_mse"], rel=1e-4
    )
    deterministic = rows.drop("standard VAE")
    assert deterministic["drawn_mse"].tolist() == deterministic["reconstruction_mse"].tolist()
    assert rows.loc["standard VAE", "drawn_mse"] > rows.loc["standard VAE", "reconstruction_mse"]


def test_errors_are_those_of_the_run(digits):
    run = digits.train(("plain", 0.0), 1, dim=3, steps=5, width=16)
    made, images = run.reconstruct(digits.held_out.images), digits.held_out.images
    assert run.reconstruction_error(digits.held_out) == pytest.approx(standard_vae.errors(made, images, "")["reconstruction_mse"])


def test_images_are_set_aside_from_the_training_images_alone(digits):
    part = digits.set_aside(0.25)
    assert (len(part.training), len(part.held_out)) == (225, 75)
    both = torch.cat([part.training.images, part.held_out.images]).flatten(1)
    expected = digits.training.images.flatten(1)
    assert torch.equal(torch.tensor(sorted(both.tolist())), torch.tensor(sorted(expected.tolist())))


def test_weights_are_chosen_without_the_held_out_images_and_seeds(digits, monkeypatch, tmp_path):
    calls = []

    def compare(sets, cells, seeds, kind, **options):
        calls.append((kind, sets, list(seeds)))
        rows = [{"kind": kind, "method": name, "weight": w, "seed": seeds[0], "relative_error": 1.0, "mlp": 1 / (1 + w)}
                for name, w in cells]  # fmt: skip
        return pd.DataFrame(rows)

    monkeypatch.setattr(standard_vae, "compare", compare)
    monkeypatch.setattr(standard_vae, "train_and_test", lambda name: (digits.training, digits.held_out))
    monkeypatch.setattr(standard_vae, "ROWS", len(digits.training))
    monkeypatch.setattr(results, "results_folder", lambda: tmp_path)
    found = standard_vae.record_standard_vae([4, 5]).frame
    (tried, part, first), (chosen, whole, others) = calls
    assert (tried, first, chosen, others) == ("tried", [0], "chosen", [4, 5])
    assert (len(part.training), len(part.held_out)) == (225, 75)
    held_out = {tuple(row) for row in digits.held_out.images.flatten(1).tolist()}
    seen = torch.cat([part.training.images, part.held_out.images]).flatten(1).tolist()
    assert len(held_out & {tuple(row) for row in seen}) < 5  # two digits may be alike
    assert torch.equal(whole.held_out.images, digits.held_out.images)
    taken = found[found["kind"] == "chosen"].set_index("method")["weight"]
    assert taken.to_dict() == {"plain": 0.0, "standard VAE": 1.0, "MMD": 1000.0, "MMD + predictability": 100.0}


def test_every_weight_is_in_nats_of_a_bernoulli_decoder():
    for weights, objective in standard_vae.OBJECTIVES.values():
        assert {objective(weight).likelihood for weight in weights} == {"bernoulli"}
    assert standard_vae.OBJECTIVES["standard VAE"][0] == (1.0,)
