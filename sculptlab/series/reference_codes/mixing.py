"""Independent sources, mixed by a rotation and a curvature: two sliders that lead from independent to determined codes."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from sculptlab.validation import as_seed, choice, number, whole

MARGINALS = ("gaussian", "uniform", "student", "two modes")
SOURCES = ("uniform", "gaussian", "laplace")
KURTOSIS = {"uniform": -1.2, "gaussian": 0.0, "laplace": 3.0}  # excess
STUDENT = 5  # degrees of freedom: the smallest whole number with which squares have a finite variance
MODE = 0.95  # the two modes are at +-MODE and have width sqrt(1 - MODE^2)


class Mixed(NamedTuple):
    """Codes (n, dim) and the independent sources (n, dim) they were mixed from, both float32."""

    codes: Tensor
    sources: Tensor


def mixed(
    source: str | Sequence[str] = "uniform", angle: float = 0.0, bend: float = 0.0, *, n: int = 1000, dim: int = 2, seed: int = 0
) -> Mixed:
    """Independent sources, rotated by `angle` degrees in the plane of each two neighboring axes, then bent.

    y = R s; z_0 = y_0, z_i = sqrt(1 - bend^2) y_i + bend (y_(i-1)^2 - 1) / std. With `bend` 1, z_i is a parabola of its
    neighbor. Mean 0 and variance 1 hold throughout. `source` is "uniform", "gaussian" or "laplace", or one of them for each
    dimension. The seed fixes the sources, so that a slider moves the same points. For two normal sources R^2 of the means is
    bend^2 for z_1 and 0 for z_0, at any angle.
    Raises ValueError for an unknown source, a list of them that is not `dim` long, or a bend outside [0, 1].
    """
    names = [source] * whole("dim", dim, least=2) if isinstance(source, str) else list(source)
    for name in names:
        choice("source", name, SOURCES)
    if len(names) != dim:
        raise ValueError(f"source must be one name or dim = {dim} of them, got {len(names)}")
    if not 0 <= number("bend", bend) <= 1:
        raise ValueError(f"bend must lie in [0, 1], got {bend}")
    rng = torch.Generator().manual_seed(as_seed("seed", seed))
    s = torch.cat([draw_marginal(name, whole("n", n), 1, rng) for name in names], 1)
    radians = np.deg2rad(number("angle", angle))
    cos, sin = float(np.cos(radians)), float(np.sin(radians))
    rotation = torch.eye(dim, dtype=torch.float64)
    for i in range(dim - 1):
        first, second = rotation[i].clone(), rotation[i + 1].clone()
        rotation[i], rotation[i + 1] = cos * first - sin * second, sin * first + cos * second
    y = s @ rotation.T
    kurtosis = rotation**4 @ torch.tensor([KURTOSIS[name] for name in names], dtype=torch.float64)
    parabolas = (y.square() - 1) / (2 + kurtosis).sqrt()  # Var y^2 = 2 + excess kurtosis
    z = y.clone()
    z[:, 1:] = (1 - bend**2) ** 0.5 * y[:, 1:] + bend * parabolas[:, :-1]
    return Mixed(z.float(), s.float())


def normal(n: int, dim: int, rng: torch.Generator) -> Tensor:
    """(n, dim) standard normal, float64."""
    return torch.randn(n, dim, generator=rng, dtype=torch.float64)


def draw_marginal(name: str, n: int, dim: int, rng: torch.Generator) -> Tensor:
    """(n, dim) independent draws of one of `MARGINALS` or `SOURCES`, with mean 0 and variance 1, float64."""
    if name == "uniform":
        return 3**0.5 * (2 * torch.rand(n, dim, generator=rng, dtype=torch.float64) - 1)
    if name == "laplace":  # the difference of two exponential variables of variance 1/2
        return torch.rand(2, n, dim, generator=rng, dtype=torch.float64).neg().log1p().diff(dim=0)[0] / 2**0.5
    z = normal(n, dim, rng)
    if name == "student":  # sqrt(nu / chi^2) z has variance nu / (nu - 2)
        chi2 = torch.randn(n, dim, STUDENT, generator=rng, dtype=torch.float64).square().sum(-1)
        return z * ((STUDENT - 2) / chi2).sqrt()
    if name == "two modes":
        signs = 2 * torch.randint(2, (n, dim), generator=rng) - 1
        return MODE * signs + (1 - MODE**2) ** 0.5 * z
    return z
