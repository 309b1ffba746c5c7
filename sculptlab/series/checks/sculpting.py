"""Checks of page 04's exercises."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sculptlab.mmd import mmd2
from sculptlab.series.checks.feedback import Feedback, answered, judge
from sculptlab.training.models import build_autoencoder

DEAD_END = "the value is right, but its gradient is not: keep tensors all the way, without .item(), .detach() or NumPy"


def check_mmd_objective(answer: Callable[[Any, Tensor, Tensor], Any]) -> Feedback:
    """Exercise "write the objective": answer(model, images, y) -> half the squared error in nats per image + 100 MMD^2."""
    generator = torch.Generator().manual_seed(3)
    model = build_autoencoder("mlp", image_shape=(1, 4, 4), dim=2, width=8, seed=0)
    images, y = torch.rand(12, 1, 4, 4, generator=generator), torch.randn(12, 2, generator=generator)
    with torch.no_grad():
        z = model.encode(images)
        squares = (model.decode(z) - images).square()
        far, biased = mmd2(z, y), mmd2(z, y, estimator="biased")
    error = 0.5 * squares.sum() / len(images)
    slips = {
        "the squared error is summed over pixels and averaged over images: yours is averaged over both": (
            0.5 * squares.mean() + 100 * far
        ),
        "the squared error is averaged over images: divide the sum by their number": 0.5 * squares.sum() + 100 * far,
        "the half is missing: 1/2 |x - x_hat|^2 is the negative log-likelihood of a Gaussian": 2 * error + 100 * far,
        "the weight of 100 is missing": error + far,
        "take the unbiased estimate (the default): the biased one changes with the batch size": error + 100 * biased,
        "MMD² is added: the loss falls as the codes come nearer to the prior": error - 100 * far,
    }
    praise = "one sum over the batch's images, one over its codes as a cloud: no posterior, no density of the prior"
    right = (error + 100 * far).double().numpy()
    found = judge(answer, (model, images, y), right, {slip: value.double().numpy() for slip, value in slips.items()}, praise)
    near = z.flip(0)  # draws that agree with the codes: the estimate is negative
    if found.passed and not np.allclose(answered(answer, model, images, near), (error + 100 * mmd2(z, near)).item(), rtol=1e-4):
        return Feedback(False, "where codes and draws agree the estimate is negative: leave it so, a clamped one pulls on noise")
    if found.passed and not _same_slopes(answer(model, images, y), _objective(model, images, y), list(model.parameters())):
        return Feedback(False, DEAD_END)
    return found


def _objective(model: Any, images: Tensor, y: Tensor) -> Tensor:
    z = model.encode(images)
    return 0.5 * (model.decode(z) - images).square().sum() / len(images) + 100 * mmd2(z, y)


def _same_slopes(given: Any, right: Tensor, weights: list[Tensor]) -> bool:
    """Whether the two losses pull alike on every one of `weights`."""
    if not isinstance(given, Tensor) or not given.requires_grad:
        return False
    theirs, ours = (torch.autograd.grad(loss, weights, allow_unused=True) for loss in (given, right))
    return all(
        own is None or (other is not None and torch.allclose(other, own, rtol=1e-3, atol=1e-6))
        for other, own in zip(theirs, ours, strict=True)
    )


def check_game(answer: Callable[[Tensor, Tensor], Any]) -> Feedback:
    """Exercise "write the penalty": answer(z, g) -> sum_i -1/2 ln(1 - corr(z_i, g_i)^2) of codes and guesses (n, d)."""
    generator = torch.Generator().manual_seed(4)
    z = 2 + 3 * torch.randn(40, 3, generator=generator, dtype=torch.float64)
    g = 0.5 * z + torch.randn(40, 3, generator=generator, dtype=torch.float64)
    r = _correlations(z, g)
    raw = (z * g).sum(0) / ((z**2).sum(0) * (g**2).sum(0)).sqrt()
    slips = {
        "center both first: a correlation does not see the means": -0.5 * (1 - raw**2).log().sum(),
        "that is the mean over latents: each pays for itself, so sum": -0.5 * (1 - r**2).log().mean(),
        "the half is missing": -(1 - r**2).log().sum(),
        "the sign is turned round: a price is not negative": 0.5 * (1 - r**2).log().sum(),
        "that is the sum of r²: now as nats, -1/2 ln(1 - r²)": (r**2).sum(),
        "r enters squared": -0.5 * (1 - r.abs()).log().sum(),
    }
    praise = "no unit of z or g matters, and copies (r = 1) would cost without bound"
    right = -0.5 * (1 - r**2).log().sum()
    found = judge(answer, (z, g), right.numpy(), {slip: value.numpy() for slip, value in slips.items()}, praise)
    played = z.clone().requires_grad_()
    price = -0.5 * (1 - _correlations(played, g) ** 2).log().sum()
    if found.passed and not _same_slopes(answer(played, g), price, [played]):
        return Feedback(False, DEAD_END)
    return found


def _correlations(z: Tensor, g: Tensor) -> Tensor:
    z, g = z - z.mean(0), g - g.mean(0)
    return (z * g).sum(0) / ((z**2).sum(0) * (g**2).sum(0)).sqrt()
