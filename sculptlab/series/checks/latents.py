"""Checks of the exercises of pages 00 to 02."""

from typing import Any

import numpy as np
import torch

from sculptlab.independence.lps import lps
from sculptlab.series.checks.feedback import Answer, call, call_for_codes, exercise, require, require_value
from sculptlab.training.models import Posterior
from sculptlab.training.objectives.divergences import kl_to_standard_normal


@exercise("00-1")
def check_target(answer: Answer) -> str:
    """Page 00, a target of your own: answer() -> (n, 2) with n >= 500, center within 1 of the origin, std from 0.3 to 3."""
    points = call_for_codes(answer, shape=(None, 2))
    require(len(points) >= 500, f"the shape should be (n, 2) with n >= 500, yours is {points.shape}")
    center, width = points.mean(0), points.std(0)
    require(np.abs(center).max() <= 1, f"its center is {center.round(1)}: subtract the mean, so that it lies near the origin")
    require(0.3 <= width.min() <= width.max() <= 3, f"its width (std) is {width.round(2)}: scale it to about 1 each way")
    return f"{len(points)} points, {width.round(2)} wide: anything that can be sampled can be a target"


@exercise("01-1")
def check_kl(answer: Answer) -> str:
    """Page 01, the KL term by hand: answer(mean, std) -> (n,), KL(N(mean, std^2) || N(0, I)) of each row, in nats."""
    generator = torch.Generator().manual_seed(1)
    mean = torch.randn(6, 3, generator=generator, device="cpu", dtype=torch.float32)
    std = 0.2 + torch.rand(6, 3, generator=generator, device="cpu", dtype=torch.float32)
    right = _kl(mean, std)
    slips = {
        "you take the mean over the latents: the KL of independent latents is their *sum*": right / mean.shape[1],
        "you read std as the log-variance: it is the standard deviation, so the variance is std**2": _kl(mean, (std / 2).exp()),
        "you read std as the variance: the variance is std**2, in both terms": _kl(mean, std.sqrt()),
        "the half is missing: the whole bracket is divided by 2": 2 * right,
        "the term is the logarithm of the *variance*: log(std**2), not log(std)": right + 0.5 * std.log().sum(1),
        "std enters squared: the variance is std**2": right + 0.5 * (std - std**2).sum(1),
        "the sign is wrong: a divergence is never negative": -right,
    }
    require_value(call(answer, mean, std), right, slips)
    return "it is zero only where the mean is 0 and the std is 1, for every image"


@exercise("01-2")
def check_aggregate_variance(answer: Answer) -> str:
    """Page 01, the variance of the aggregate posterior: answer(mean, std) -> (d,), the variance of q(z) in each dimension."""
    generator = torch.Generator().manual_seed(2)
    mean = 2 * torch.randn(50, 3, generator=generator, device="cpu", dtype=torch.float32)
    std = 0.2 + torch.rand(50, 3, generator=generator, device="cpu", dtype=torch.float32)
    between, within = mean.var(0, correction=0), std.square().mean(0)
    forgotten = "the noise is forgotten: that is the variance of the means alone, and each image also adds its own variance"
    squared = "std is not squared: average the *variances* (std**2), not the standard deviations"
    slips = {
        forgotten: between,
        f"{forgotten}; for it, take correction=0": mean.var(0),
        "that is the mean of the images' own variances alone: the means differ from image to image as well": within,
        squared: between + std.mean(0),
        f"{squared}; for the means, take correction=0": mean.var(0) + std.mean(0),
        "square before averaging: the mean of std**2, not the square of the mean std": between + std.mean(0).square(),
        "use the population variance, correction=0: divide by the number of images": mean.var(0) + within,
    }
    require_value(call(answer, mean, std), between + within, slips)
    return "the variance of the means plus the mean of the variances: two very different latents can have the same sum"


@exercise("01-3")
def check_same_sum(answer: Answer) -> str:
    """Page 01, a small KL term and dependent latents: answer() -> (mean, std), each (n, 2) with n >= 100.

    Every image's KL is at most 1 nat, and the two columns of the means have a correlation above 0.9.
    """

    def read(pair: Any) -> tuple[torch.Tensor, torch.Tensor]:
        mean, std = (torch.as_tensor(part, dtype=torch.float64, device="cpu") for part in pair)
        return mean, std

    mean, std = call(answer, read=read, wanted="two tensors, (mean, std)")
    shapes = f"mean and std should both have shape (n, 2) with n >= 100, yours are {tuple(mean.shape)} and {tuple(std.shape)}"
    require(mean.ndim == 2 and mean.shape == std.shape and mean.shape[1] == 2 and len(mean) >= 100, shapes)
    require((std > 0).all(), "every std must be above 0")
    worst, correlation = _kl(mean, std).max().item(), torch.corrcoef(mean.T)[0, 1].abs().item()
    require(worst <= 1, f"the largest KL of an image is {worst:.2f} nats: shrink the means or bring the stds nearer to 1")
    require(correlation > 0.9, f"the means' correlation is {correlation:.2f}: make the second column follow the first")
    return f"at most {worst:.2f} nats an image, and the means' correlation is {correlation:.2f}: it is not in the KL term"


def _kl(mean: torch.Tensor, std: torch.Tensor) -> torch.Tensor:
    return kl_to_standard_normal(Posterior(mean, 2 * std.log())).sum(1)


@exercise("02-1")
def check_score(answer: Answer) -> str:
    """Page 02, write LPS: answer(z, predicted) -> the score, from codes (n, d) and held-out predictions of them (n, d)."""
    rng = np.random.default_rng(3)
    z = rng.normal(size=(60, 4)) * [1, 5, 0.2, 1] + [3, -2, 0, 0]
    predicted = z.mean(0) + (z - z.mean(0)) * [0.9, 0.5, -0.8, 0.1] + 0.1 * rng.normal(size=z.shape)
    lost, spread = ((z - predicted) ** 2).sum(0), ((z - z.mean(0)) ** 2).sum(0)
    r2 = 1 - lost / spread
    correlation = np.array([np.corrcoef(pair)[0, 1] for pair in zip(z.T, predicted.T, strict=True)])
    slips = {
        "that is the squared correlation, which forgives a wrong sign, scale or offset; R² does not": (correlation**2).mean(),
        "clip each dimension at 0 first, then average: here one dimension is predicted worse than by its mean": r2.mean(),
        "clip before averaging, not after: a bad dimension must not hide a good one": max(r2.mean(), 0.0),
        "average R² over the dimensions; in pooled sums the largest unit decides": 1 - lost.sum() / spread.sum(),
        "that is the unexplained share of variance, not the explained one: 1 minus it": (lost / spread).mean(),
        "the spread is around the mean of the column, not around 0": (1 - lost / (z**2).sum(0)).clip(0).mean(),
        "return one number, the mean; the sum grows with the number of dimensions": r2.clip(0).sum(),
    }
    require_value(call(answer, z, predicted), r2.clip(0).mean(), slips)
    return "it has no unit; 0: no better than the mean; 1: the other latents determine the dimension"


@exercise("02-2")
def check_blind_spot(answer: Answer) -> str:
    """Page 02, codes that LPS of means misses: answer() -> codes (n, 2) with n >= 1000.

    LPS of means is below 0.02 with a line and with a network, and one latent tells more than 0.2 bits of the other.
    """
    z = call_for_codes(answer, shape=(None, 2))
    require(len(z) >= 1000, f"the shape should be (n, 2) with n >= 1000, yours is {z.shape}")
    for regressor in ("linear", "mlp"):
        score = lps(z, regressor, permutations=0).score
        seen = f"LPS of means is {score:.3f} with regressor={regressor!r}"
        require(score < 0.02, f"{seen}: whatever one latent is, the mean of the other must stay the same")
    bits = lps(z, target="distribution", permutations=0).score
    little = f"LPS of means is near 0, but there is little to see: {bits:.2f} bits; let one latent set the other's spread"
    require(bits > 0.2, little)
    return f"LPS of means says independent, and each latent tells {bits:.2f} bits of the other"


def puzzle() -> torch.Tensor:
    """Codes (3000, 5) for an exercise of page 02: two of the five depend on each other."""
    rng = np.random.default_rng(11)
    z = rng.normal(size=(3000, 5))
    size = np.where(rng.random(3000) < 0.5, 0.3, 1.38)
    z[:, 1], z[:, 4] = size * z[:, 1], size * z[:, 4]
    return torch.from_numpy(z)


@exercise("02-3")
def check_puzzle(answer: Answer) -> str:
    """Page 02, find the dependence: answer(z) -> the numbers of the two dimensions of `puzzle()` that depend on each other."""
    wanted = "two whole numbers, such as (0, 3)"
    chosen = call(answer, puzzle(), read=lambda pair: {int(i) for i in pair}, wanted=wanted)
    require(chosen <= set(range(5)), f"the five dimensions are numbered 0 to 4, you named {sorted(chosen)}")
    require(len(chosen) == 2, f"two dimensions depend on each other, you named {sorted(chosen)}")
    require(chosen == {1, 4}, f"not {sorted(chosen)}: which target of LPS sees a dependence that does not move the mean?")
    return "the two latents are wide or narrow in the same rows: their squares predict each other, their means do not"
