"""Checks of the exercises of pages 00 to 02."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from sculptlab.independence.lps import lps
from sculptlab.series.checks.feedback import Feedback, judge
from sculptlab.training.models import Posterior
from sculptlab.training.objectives.divergences import kl_to_standard_normal


def check_kl(answer: Callable[[torch.Tensor, torch.Tensor], Any]) -> Feedback:
    """Exercise "the KL term by hand": answer(mean, std) -> (n,), KL(N(mean, std^2) || N(0, I)) of each row, in nats."""
    generator = torch.Generator().manual_seed(1)
    mean = torch.randn(6, 3, generator=generator)
    std = 0.2 + torch.rand(6, 3, generator=generator)
    right = kl_to_standard_normal(Posterior(mean, 2 * std.log())).sum(1).numpy().astype(float)
    slips = {
        "half is missing: the whole bracket is divided by 2": 2 * right,
        "the term is the logarithm of the *variance*: log(std**2), not log(std)": (
            0.5 * (mean**2 + std**2 - std.log() - 1).sum(1)
        )
        .numpy()
        .astype(float),
        "std enters squared: the variance is std**2": (0.5 * (mean**2 + std - 2 * std.log() - 1).sum(1)).numpy().astype(float),
        "the sign is turned round: a divergence is never negative": -right,
    }
    return judge(answer, (mean, std), right, slips, "zero only where the mean is 0 and the std is 1, for every image")


def check_aggregate_variance(answer: Callable[[torch.Tensor, torch.Tensor], Any]) -> Feedback:
    """Exercise "the variance of the aggregate": answer(mean, std) -> (d,), the variance of q(z) in each dimension."""
    generator = torch.Generator().manual_seed(2)
    mean = 2 * torch.randn(50, 3, generator=generator)
    std = 0.2 + torch.rand(50, 3, generator=generator)
    between, within = mean.var(0, correction=0).numpy().astype(float), std.square().mean(0).numpy().astype(float)
    slips = {
        "that is the spread of the means alone: each image also brings its own variance": between,
        "that is the images' own variance alone: the means differ from image to image as well": within,
        "average the *variances* (std**2), not the standard deviations": between + std.mean(0).numpy().astype(float),
        "averaging first and squaring then loses the spread of the stds": between + std.mean(0).square().numpy().astype(float),
        "use the population variance: correction=0, the average over the images that are there": mean.var(0).numpy().astype(float)
        + within,
    }
    praise = "spread of the means + mean of the variances: two very different latents can share this sum"
    return judge(answer, (mean, std), between + within, slips, praise)


def check_same_sum(answer: Callable[[], Any]) -> Feedback:
    """Exercise "fool the KL term": answer() -> (mean, std), each (n, 2) with n >= 100, every image's KL at most 1 nat, yet the
    two columns of the means correlated above 0.9."""
    try:
        given = answer()
        if given is None or given is Ellipsis:
            return Feedback(False, "the function returns nothing yet: fill in the line with the dots")
        mean, std = (torch.as_tensor(part, dtype=torch.float64) for part in given)
    except Exception as error:
        return Feedback(False, f"it should return two tensors, (mean, std); {type(error).__name__}: {error}")
    if mean.ndim != 2 or mean.shape != std.shape or mean.shape[1] != 2 or len(mean) < 100:
        return Feedback(
            False,
            f"mean and std should both have shape (n, 2) with n >= 100, yours are {tuple(mean.shape)} and {tuple(std.shape)}",
        )
    if not bool((std > 0).all()):
        return Feedback(False, "every std must be above 0")
    worst = kl_to_standard_normal(Posterior(mean, 2 * std.log())).sum(1).max().item()
    correlation = torch.corrcoef(mean.T)[0, 1].abs().item()
    if worst > 1:
        return Feedback(False, f"the largest KL of an image is {worst:.2f} nats: shrink the means or bring the stds nearer to 1")
    if not correlation > 0.9:
        return Feedback(False, f"the means' correlation is {correlation:.2f}: make the second column follow the first")
    return Feedback(
        True, f"at most {worst:.2f} nats an image, and the means are correlated {correlation:.2f}: the term saw nothing"
    )


def check_target(answer: Callable[[], Any]) -> Feedback:
    """Exercise "your own shape": answer() -> (n, 2) with n >= 500, finite, within 1 of the origin, between 0.3 and 3 wide."""
    points = _codes(answer, rows=500)
    if isinstance(points, Feedback):
        return points
    center, width = points.mean(0), points.std(0)
    if np.abs(center).max() > 1:
        return Feedback(False, f"its center is {center.round(1)}: subtract the mean, so that it lies near the origin")
    if width.min() < 0.3 or width.max() > 3:
        return Feedback(False, f"its width (std) is {width.round(2)}: scale it to about 1 in both directions")
    return Feedback(True, f"{len(points)} points, {width.round(2)} wide: any cloud you can sample can be a target")


def check_score(answer: Callable[[np.ndarray, np.ndarray], Any]) -> Feedback:
    """Exercise "write LPS": answer(z, predicted) -> the score, from codes and held-out predictions of them, both (n, d)."""
    rng = np.random.default_rng(3)
    z = rng.normal(size=(60, 4)) * [1, 5, 0.2, 1] + [3, -2, 0, 0]
    predicted = z.mean(0) + (z - z.mean(0)) * [0.9, 0.5, -0.8, 0.1] + 0.1 * rng.normal(size=z.shape)
    lost, spread = ((z - predicted) ** 2).sum(0), ((z - z.mean(0)) ** 2).sum(0)
    each = 1 - lost / spread
    slips = {
        "clip each dimension at 0 first, then average: here one dimension is predicted worse than by its mean": each.mean(),
        "clip before averaging, not after: a bad dimension must not hide a good one": max(each.mean(), 0.0),
        "average R² over the dimensions; pooled sums let the dimension with the largest unit decide": 1
        - lost.sum() / spread.sum(),
        "that is the share left over, not the share explained: 1 minus it": (lost / spread).mean(),
        "the spread is around the mean of the column, not around 0": (1 - lost / (z**2).sum(0)).clip(0).mean(),
        "return one number, the mean; the sum grows with the number of dimensions": each.clip(0).sum(),
    }
    slips = {words: np.asarray(value) for words, value in slips.items()}
    praise = "free of units, 0 for what is no better than the mean, 1 for a dimension that the others give away"
    return judge(answer, (z, predicted), np.asarray(each.clip(0).mean()), slips, praise)


def check_blind_spot(answer: Callable[[], Any]) -> Feedback:
    """Exercise "break it": answer() -> codes (n, 2), n >= 1000, with an LPS of means below 0.02 by a line and by a network, and
    yet more than 0.2 bits that one latent tells of the other."""
    z = _codes(answer, rows=1000)
    if isinstance(z, Feedback):
        return z
    for regressor in ("linear", "mlp"):
        found = lps(z, regressor, permutations=0)
        if not found.score < 0.02:
            seen = f"LPS of means is {found.score:.3f} with regressor={regressor!r}"
            return Feedback(False, f"{seen}: given one latent, the other must have the same mean everywhere")
    bits = lps(z, target="distribution", permutations=0).score
    if not bits > 0.2:
        return Feedback(
            False, f"LPS is blind, but there is little to see: {bits:.2f} bits; let one latent decide the other's size"
        )
    return Feedback(True, f"LPS of means says independent, and each latent tells {bits:.2f} bits of the other")


def puzzle() -> torch.Tensor:
    """Codes (3000, 5) for the exercise "find what it misses": two of the five depend on each other."""
    rng = np.random.default_rng(11)
    z = rng.normal(size=(3000, 5))
    size = np.where(rng.random(3000) < 0.5, 0.3, 1.38)
    z[:, 1], z[:, 4] = size * z[:, 1], size * z[:, 4]
    return torch.from_numpy(z)


def check_puzzle(answer: Callable[[torch.Tensor], Any]) -> Feedback:
    """Exercise "find what it misses": answer(z) -> the numbers of the two dimensions of `puzzle()` that depend on each other."""
    try:
        given = answer(puzzle())
        if given is None or given is Ellipsis:
            return Feedback(False, "the function returns nothing yet: fill in the line with the dots")
        chosen = {int(i) for i in given}
    except Exception as error:
        return Feedback(False, f"it should return two whole numbers, such as (0, 3); {type(error).__name__}: {error}")
    if not chosen <= set(range(5)):
        return Feedback(False, f"the five dimensions are numbered 0 to 4, you named {sorted(chosen)}")
    if len(chosen) != 2:
        return Feedback(False, f"two dimensions depend on each other, you named {sorted(chosen)}")
    if chosen != {1, 4}:
        return Feedback(False, f"not {sorted(chosen)}: which target sees a dependence that leaves the mean where it is?")
    return Feedback(True, "rows are wide or narrow in both latents at once: their means know nothing of it, their squares do")


def _codes(answer: Callable[[], Any], *, rows: int) -> np.ndarray | Feedback:
    """The learner's codes (n, 2) with at least `rows` finite rows, or what is wrong with them."""
    try:
        given = answer()
        points = None if given is None or given is Ellipsis else np.asarray(given, dtype=float)
    except Exception as error:
        return Feedback(False, f"your code raised {type(error).__name__}: {error}")
    if points is None:
        return Feedback(False, "the function returns nothing yet: fill in the line with the dots")
    if points.ndim != 2 or points.shape[1] != 2 or len(points) < rows:
        return Feedback(False, f"the shape should be (n, 2) with n >= {rows}, yours is {points.shape}")
    if not np.isfinite(points).all():
        return Feedback(False, "some values are NaN or infinite")
    return points
