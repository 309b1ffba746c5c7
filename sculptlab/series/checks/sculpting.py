"""Checks of page 04's exercises."""

from typing import Any

import torch
from torch import Tensor

from sculptlab.mmd.distance import mmd2
from sculptlab.series.checks.feedback import Answer, as_array, call, exercise, require, require_value, same
from sculptlab.training.models import build_autoencoder


@exercise
def check_mmd_objective(answer: Answer) -> str:
    """Page 04, write the objective: answer(model, images, y) -> half the squared error in nats per image + 100 MMD^2."""
    generator = torch.Generator().manual_seed(3)
    model = build_autoencoder("mlp", image_shape=(1, 4, 4), dim=2, width=8, seed=0)
    images = torch.rand(12, 1, 4, 4, generator=generator, device="cpu", dtype=torch.float32)
    y = torch.randn(12, 2, generator=generator, device="cpu", dtype=torch.float32)
    z = model.encode(images)
    squares = (model.decode(z) - images).square()
    error, term = 0.5 * squares.sum() / len(images), 100 * mmd2(z, y)
    averaged, biased = 0.5 * squares.mean(), 100 * mmd2(z, y, estimator="biased")
    slips = {
        "the squared error is summed over pixels and averaged over images: yours is averaged over both": averaged + term,
        "the squared error is averaged over images: divide the sum by their number": 0.5 * squares.sum() + term,
        "the half is missing: 1/2 |x - x_hat|^2 is the negative log-likelihood of a Gaussian": 2 * error + term,
        "the weight of 100 is missing": error + term / 100,
        "take the unbiased estimate (the default): the biased one changes with the batch size": error + biased,
        "MMD² is added: the loss must fall as the codes come nearer to the prior": error - term,
    }
    found = call(answer, model, images, y)
    require_value(found, error + term, slips)
    near = z.detach().flip(0)  # the draws are the codes themselves: the estimate is negative
    negative = same(as_array(answer(model, images, near)), as_array(error + 100 * mmd2(z, near)))
    require(negative, "where codes and draws agree the estimate is negative: do not clamp it, or noise alone moves the codes")
    _require_gradient(found, error + term, list(model.parameters()))
    return "one sum over the batch's images, one over its codes as a sample: no posterior, no density of the prior"


@exercise
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
