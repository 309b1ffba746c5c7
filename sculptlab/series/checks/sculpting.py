"""Checks of page 04's exercises."""

from typing import Any

import torch
from torch import Tensor

from sculptlab.mmd.distance import mmd2
from sculptlab.series.checks.feedback import Answer, as_array, call, exercise, require, require_value, same
from sculptlab.training.models import build_autoencoder


@exercise("04-1")
def check_mmd_objective(answer: Answer) -> str:
    """Page 04, write the objective: answer(model, images, y) -> half the squared error in nats per image + 10 sum_i MMD^2_i.

    MMD^2_i compares latent i alone with column i of the draws `y`.
    """
    generator = torch.Generator().manual_seed(3)
    model = build_autoencoder("mlp", image_shape=(1, 4, 4), dim=3, width=8, seed=0)
    images = torch.rand(12, 1, 4, 4, generator=generator, device="cpu", dtype=torch.float32)
    y = torch.randn(12, 3, generator=generator, device="cpu", dtype=torch.float32)
    z = model.encode(images)
    squares = (model.decode(z) - images).square()
    error, term = 0.5 * squares.sum() / len(images), 10 * _of_each_latent(z, y)
    slips = {
        "the squared error is summed over pixels and averaged over images: yours is averaged over both": 0.5 * squares.mean()
        + term,
        "the squared error is averaged over images: divide the sum by their number": 0.5 * squares.sum() + term,
        "the half is missing: 1/2 |x - x_hat|^2 is the negative log-likelihood of a Gaussian": 2 * error + term,
        "yours compares all latents at once: compare column i of z with column i of y, for each latent alone": (
            error + 10 * mmd2(z, y)
        ),
        "MMD² is summed over latents: yours is the mean over them": error + term / 3,
        "the weight of 10 is missing": error + term / 10,
        "take the unbiased estimate (the default): the biased one changes with the batch size": (
            error + 10 * _of_each_latent(z, y, estimator="biased")
        ),
        "MMD² is added: the loss must fall as the codes come nearer to the prior": error - term,
    }
    found = call(answer, model, images, y)
    require_value(found, error + term, slips)
    near = z.detach().flip(0)  # the draws are the codes themselves: the estimate is negative
    negative = same(as_array(answer(model, images, near)), as_array(error + 10 * _of_each_latent(z, near)))
    require(negative, "where codes and draws agree the estimate is negative: do not clamp it, or noise alone moves the codes")
    _require_gradient(found, error + term, list(model.parameters()))
    return "an error for each image, and a distance of the whole batch to the prior, latent by latent"


def _of_each_latent(z: Tensor, y: Tensor, estimator: str = "unbiased") -> Tensor:
    return torch.stack([mmd2(z[:, [i]], y[:, [i]], estimator=estimator) for i in range(z.shape[1])]).sum()


@exercise("04-2")
def check_predictability_penalty(answer: Answer) -> str:
    """Page 04, write the penalty: answer(z, g) -> sum_i -1/2 ln(1 - corr(z_i, g_i)^2) of codes and predictions (n, d)."""
    generator = torch.Generator().manual_seed(4)
    z = (2 + 3 * torch.randn(40, 3, generator=generator, dtype=torch.float64, device="cpu")).requires_grad_()
    g = 0.5 * z.detach() + torch.randn(40, 3, generator=generator, dtype=torch.float64, device="cpu")
    uncentered = (z * g).sum(0) / (z.square().sum(0) * g.square().sum(0)).sqrt()
    r = torch.stack([torch.corrcoef(torch.stack(pair))[0, 1] for pair in zip(z.T, g.T, strict=True)])
    nats = -0.5 * (1 - r**2).log()
    slips = {
        "center both first: a correlation does not see the means": -0.5 * (1 - uncentered**2).log().sum(),
        "that is the mean over latents: sum over them": nats.mean(),
        "the half is missing": 2 * nats.sum(),
        "the sign is wrong: the penalty is never negative": -nats.sum(),
        "that is the sum of r²: now as nats, -1/2 ln(1 - r²)": (r**2).sum(),
        "r enters squared": -0.5 * (1 - r.abs()).log().sum(),
    }
    found = call(answer, z, g)
    require_value(found, nats.sum(), slips)
    _require_gradient(found, nats.sum(), [z])
    return "it does not depend on the units of z or g, and grows without bound as r goes to 1"


def _require_gradient(found: Any, right: Tensor, weights: list[Tensor]) -> None:
    """Require that the gradient of the answer in every one of `weights` is that of the right value."""
    broken = "the value is right, but its gradient is not: keep tensors all the way, without .item(), .detach() or NumPy"
    require(isinstance(found, Tensor) and found.requires_grad, broken)
    gradients, expected = (torch.autograd.grad(loss, weights, allow_unused=True) for loss in (found, right))
    for gradient, wanted in zip(gradients, expected, strict=True):
        agree = wanted is None or (gradient is not None and torch.allclose(gradient, wanted, rtol=1e-3, atol=1e-6))
        require(agree, broken)
