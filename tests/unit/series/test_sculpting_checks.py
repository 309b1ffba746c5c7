"""Page 04's exercises: the right answer passes, each usual slip is named."""

import pytest
import torch

from sculptlab import mmd2
from sculptlab.series import checks
from sculptlab.training.objectives.predictability import gaussian_information, squared_prediction_correlations


def right_objective(model, images, y):
    z = model.encode(images)
    return 0.5 * (model.decode(z) - images).square().sum() / len(images) + 100 * mmd2(z, y)


def plain_error(model, images):
    return 0.5 * (model.decode(model.encode(images)) - images).square().sum() / len(images)


def averaged_over_pixels(model, images, y):
    z = model.encode(images)
    return 0.5 * (model.decode(z) - images).square().mean() + 100 * mmd2(z, y)


def biased(model, images, y):
    z = model.encode(images)
    return 0.5 * (model.decode(z) - images).square().sum() / len(images) + 100 * mmd2(z, y, estimator="biased")


def test_the_right_objective_passes():
    assert checks.check_mmd_objective(right_objective).passed


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (averaged_over_pixels, "averaged over both"),
        (biased, "unbiased"),
        (lambda m, x, y: 2 * right_objective(m, x, y), "expected"),
        (lambda m, x, y: right_objective(m, x, y).item(), "gradient"),
        (lambda m, x, y: right_objective(m, x, y).detach(), "gradient"),
        (lambda m, x, y: plain_error(m, x) + 100 * mmd2(m.encode(x).detach(), y), "gradient"),
        (lambda m, x, y: plain_error(m, x) + 100 * mmd2(m.encode(x), y).clamp_min(0), "negative"),
    ],
)
def test_a_slip_in_the_objective_is_named(answer, words):
    feedback = checks.check_mmd_objective(answer)
    assert not feedback.passed
    assert words in feedback.message


def squared_correlations(z, g):
    z, g = z - z.mean(0), g - g.mean(0)
    return (z * g).sum(0) ** 2 / ((z**2).sum(0) * (g**2).sum(0))


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (lambda z, g: -0.5 * (1 - squared_correlations(z, g)).log().sum(), None),
        (lambda z, g: -0.5 * (1 - squared_correlations(z, g)).log().mean(), "mean over latents"),
        (lambda z, g: -(1 - squared_correlations(z, g)).log().sum(), "half"),
        (lambda z, g: squared_correlations(z, g).sum(), "sum of r²"),
        (lambda z, g: -0.5 * (1 - squared_correlations(z, g)).log(), "shape"),
        (lambda z, g: -0.5 * (1 - (z * g).sum(0) ** 2 / ((z**2).sum(0) * (g**2).sum(0))).log().sum(), "center"),
        (lambda z, g: ..., "returns nothing yet"),
        (lambda z, g: (-0.5 * (1 - squared_correlations(z.detach(), g)).log().sum()).numpy(), "gradient"),
    ],
)
def test_the_penalty_of_the_game(answer, words):
    feedback = checks.check_game(answer)
    assert feedback.passed == (words is None), feedback
    assert words is None or words in feedback.message


def test_the_game_charges_what_the_exercise_asks_for():
    z = torch.randn(50, 3, generator=torch.Generator().manual_seed(0))
    g = z + torch.randn(50, 3, generator=torch.Generator().manual_seed(1))
    asked = -0.5 * (1 - squared_correlations(z, g)).log().sum()
    ours = gaussian_information(squared_prediction_correlations(z, g)).sum()  # finite for copies too
    assert ours.item() == pytest.approx(asked.item(), rel=1e-3)
