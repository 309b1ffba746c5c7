"""The decoder's stretch: closed forms of linear decoders, an objective that straightens one, a start without folds."""

import numpy as np
import pytest
import torch
from torch import nn

import sculptlab as sl
from sculptlab.series.studies.principal_components import warm_start
from sculptlab.training.objectives import isometry
from sculptlab.training.objectives.isometry import Isometry


class Linear(nn.Module):
    """Codes (n, 2) to images (n, 1, 1, 3), stretched by two factors."""

    dim, image_shape, stochastic, output = 2, (1, 1, 3), False, "linear"

    def __init__(self, *factors):
        super().__init__()
        self.stretches = nn.Parameter(torch.tensor(factors))
        self.register_buffer("turned", torch.linalg.qr(torch.randn(3, 3, generator=torch.Generator().manual_seed(0)))[0])

    def encode(self, images):
        return (images.flatten(1) @ self.turned.T)[:, :2]

    def decode(self, z):
        return ((z * self.stretches) @ self.turned[:2]).view(-1, 1, 1, 3)


def normal_codes(n=20_000, seed=0):
    return torch.randn(n, 2, generator=torch.Generator().manual_seed(seed))


def distortion(model, codes):
    return isometry.distortion(model, codes, generator=torch.Generator().manual_seed(0)).item()


@pytest.mark.parametrize(("a", "b"), [(1.0, 1.0), (3.0, 1.0), (2.0, 0.0), (1e-3, 2e-3)])
def test_distortion_of_linear_decoders_has_a_closed_form(a, b):
    known = (a * a - b * b) ** 2 / (2 * (a * a + b * b) ** 2)
    assert distortion(Linear(a, b), normal_codes()) == pytest.approx(known, abs=0.01)


def test_distortion_knows_no_unit():
    assert distortion(Linear(3.0, 1.0), 100 * normal_codes()) == pytest.approx(
        distortion(Linear(3.0, 1.0), normal_codes()), rel=1e-3
    )
    assert distortion(Linear(3e3, 1e3), normal_codes()) == pytest.approx(distortion(Linear(3.0, 1.0), normal_codes()), rel=1e-3)


def test_a_decoder_that_ignores_its_codes_has_no_distortion():
    assert distortion(Linear(0.0, 0.0), normal_codes(50)) == 0


def test_the_objective_straightens_the_decoder_and_leaves_the_encoder_alone():
    model = Linear(3.0, 1.0)
    generator = torch.Generator().manual_seed(1)
    batch = Isometry().batch(model, torch.randn(64, 1, 1, 3, generator=generator), 64, generator)
    (term,) = Isometry(2.0).regularizers(batch, {})
    assert (term.name, term.weight) == ("isometry", 2.0)
    (slope,) = torch.autograd.grad(term.value, model.stretches)
    assert slope[0] > 0 > slope[1]  # towards equal factors
    assert not batch.codes.requires_grad


def test_it_adds_up_and_is_in_the_history():
    images = torch.rand(64, 1, 4, 4, generator=torch.Generator().manual_seed(0))
    model = sl.build_autoencoder("mlp", image_shape=(1, 4, 4), dim=2, width=8)
    goal = sl.objectives.MMD(sl.priors.Uniform(2)) + sl.objectives.Isometry(1.0)
    history = sl.fit(model, images, goal, steps=3, progress=False).history
    assert np.isfinite(history[["mmd2", "isometry"]]).all(axis=None)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Isometry(-1.0), "weight must be"),
        (lambda: Isometry(reach=0.0), "reach must be"),
    ],
)
def test_bad_input_is_named(make, words):
    with pytest.raises(ValueError, match=words):
        make()


@pytest.fixture(scope="module")
def positions():
    """Discs at uniform positions."""
    values = sl.data.sprites.sample(1500, 0, fixed={"shape": 2, "scale": 1.0, "orientation": 0.0}, continuous=True)
    return sl.data.sprites.render(values, size=12, antialias=True)


def test_a_warm_start_is_near_the_components_and_turns_as_asked(positions):
    images = positions
    straight, turned = (sl.build_autoencoder("mlp", image_shape=(1, 12, 12), dim=2, width=64, seed=0) for _ in range(2))
    components = warm_start(straight, images, steps=150)
    with torch.no_grad():
        codes = straight.encode(images)
    target = components.project(images)
    agreement = np.corrcoef(codes.T, target.T)[:2, 2:].diagonal()
    assert agreement.min() > 0.9
    assert codes.std(0).numpy() == pytest.approx([1, 1], abs=0.25)
    quarter = torch.tensor([[0.0, -1.0], [1.0, 0.0]])
    warm_start(turned, images, turn=quarter, steps=150)
    with torch.no_grad():
        assert np.corrcoef(turned.encode(images)[:, 0], target[:, 1])[0, 1] > 0.9


@pytest.mark.parametrize("turn", [torch.ones(2, 2), torch.eye(3), 2 * torch.eye(2)])
def test_a_turn_must_be_orthogonal(positions, turn):
    model = sl.build_autoencoder("mlp", image_shape=(1, 12, 12), dim=2, width=8)
    with pytest.raises(ValueError, match="turn must"):
        warm_start(model, positions, turn=turn, steps=1)
