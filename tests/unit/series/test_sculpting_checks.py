"""Page 04's exercises: the right answer passes, each usual slip is named."""

import pytest
import torch

from sculptlab import mmd2
from sculptlab.series import checks
from sculptlab.training.objectives.predictability import gaussian_information, squared_prediction_correlations


def plain_error(model, images):
    return 0.5 * (model.decode(model.encode(images)) - images).square().sum() / len(images)


def each_latent(z, y, **options):
    return sum(mmd2(z[:, [i]], y[:, [i]], **options) for i in range(z.shape[1]))


def right_objective(model, images, y):
    return plain_error(model, images) + 10 * each_latent(model.encode(images), y)


def averaged_over_pixels(model, images, y):
    return plain_error(model, images) / images[0].numel() + 10 * each_latent(model.encode(images), y)


def test_the_right_objective_passes():
    assert checks.check_mmd_objective(right_objective).passed


def test_the_marginal_view_is_the_mean_over_latents():
    feedback = checks.check_mmd_objective(lambda m, x, y: plain_error(m, x) + 30 * mmd2(m.encode(x), y, views="marginal"))
    assert "expected about" in feedback.message  # its width is in standard deviations: another kernel


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (averaged_over_pixels, "averaged over both"),
        (lambda m, x, y: plain_error(m, x) + 10 * each_latent(m.encode(x), y, estimator="biased"), "unbiased"),
        (lambda m, x, y: plain_error(m, x) + 10 * mmd2(m.encode(x), y), "all latents at once"),
        (lambda m, x, y: plain_error(m, x) + 10 / 3 * each_latent(m.encode(x), y), "mean over them"),
        (lambda m, x, y: plain_error(m, x) + each_latent(m.encode(x), y), "weight"),
        (lambda m, x, y: 2 * right_objective(m, x, y), "expected"),
        (lambda m, x, y: right_objective(m, x, y).item(), "gradient"),
        (lambda m, x, y: right_objective(m, x, y).detach(), "gradient"),
        (lambda m, x, y: plain_error(m, x) + 10 * each_latent(m.encode(x).detach(), y), "gradient"),
        (lambda m, x, y: plain_error(m, x) + 10 * each_latent(m.encode(x), y).clamp_min(0), "negative"),
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
def test_a_slip_in_the_penalty_is_named(answer, words):
    feedback = checks.check_predictability_penalty(answer)
    assert feedback.passed == (words is None), feedback
    assert words is None or words in feedback.message


def test_the_objectives_penalty_is_the_one_of_the_exercise():
    z = torch.randn(50, 3, generator=torch.Generator().manual_seed(0))
    g = z + torch.randn(50, 3, generator=torch.Generator().manual_seed(1))
    asked = -0.5 * (1 - squared_correlations(z, g)).log().sum()
    ours = gaussian_information(squared_prediction_correlations(z, g)).sum()  # finite for copies too
    assert ours.item() == pytest.approx(asked.item(), rel=1e-3)
