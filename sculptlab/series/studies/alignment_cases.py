"""Sprites whose factors are uniform and known, the priors that mirror those factors or do not, and codes tied to labels."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from sculptlab.data import sprites
from sculptlab.factors.alignment import alignment, folded
from sculptlab.priors import Gaussian, Grid, Prior, Ring, Tied, Uniform
from sculptlab.training.objectives import Anchors, LabeledMMD, Objective, SumObjective
from sculptlab.training.principal_components import PrincipalComponents
from sculptlab.training.run import Run

NOISE = 0.1  # across the ring
TRAINING, HELD_OUT = 6000, 2000
TIE, REACH = 0.99, 0.3  # of a latent to its label, as a copula's correlation; labels that count as alike, in standard deviations


@dataclass(frozen=True)
class Case:
    """A set of sprites: which factors vary, in what order of the mirror prior's latents, and how large the images are.

    factors    names of `sprites.FACTOR_NAMES`; orientation takes two latents, every other factor one.
    fixed      values of the others. An ellipse comes back to itself after half a turn, so where the shape is fixed to it the
               orientation is in [0, pi) and its place on the ring is twice the angle; a heart, after a whole turn.
    middle     the share of the frame's travel in which positions lie, around its center.
    """

    factors: tuple[str, ...]
    fixed: Mapping[str, float] = field(default_factory=dict, hash=False)
    middle: float = 1.0
    size: int = 32
    components: int = 100

    @property
    def dim(self) -> int:
        return len(self.factors) + ("orientation" in self.factors)

    @property
    def turns(self) -> int:
        """How often the pictures repeat in a whole turn: 2 for ellipses."""
        return 2 if self.fixed.get("shape") == 2 else 1

    @property
    def mirror(self) -> Prior:
        """The prior whose latents are distributed as the factors: a box, a ring for orientation, three points for shape."""
        parts: list[Prior] = []
        for name in self.factors:
            parts.append(Ring(noise=NOISE) if name == "orientation" else Grid(1, levels=3) if name == "shape" else Uniform(1))
        prior = parts[0]
        for part in parts[1:]:
            prior = prior * part
        return prior

    @property
    def priors(self) -> dict[str, Prior]:
        """What is compared: the Gaussian, the uniform box, and the mirror where it is not that box; positions: a turned box."""
        found: dict[str, Prior] = {"gaussian": Gaussian(self.dim), "uniform": Uniform(self.dim)}
        if self.factors == ("x", "y"):
            return {**found, "uniform, turned": Uniform(2).rotated(math.pi / 4)}
        return {**found, "mirror": self.mirror}

    def values(self, n: int, seed: int) -> Tensor:
        """Factor values (n, 5) as `sprites.sample`, continuous but for the shape."""
        values = sprites.sample(n, seed, fixed=self.fixed, continuous=True)
        values[:, 3:] = 0.5 + self.middle * (values[:, 3:] - 0.5)
        if "orientation" in self.factors:
            values[:, 2] = values[:, 2] / self.turns
        return values

    def of(self, values: Tensor) -> pd.DataFrame:
        """The varying factors of values (n, 5), a column each."""
        return pd.DataFrame({name: values[:, sprites.FACTOR_NAMES.index(name)].numpy() for name in self.factors})

    def on_ring(self, values: Tensor) -> Tensor:
        """(n, 2): cosine and sine of the orientation, so counted that one round of the ring is one of the pictures."""
        angle = self.turns * values[:, 2]
        return torch.stack([angle.cos(), angle.sin()], 1)

    def bounds(self, name: str) -> tuple[float, float]:
        """The least and greatest value of a factor."""
        if name in ("x", "y"):
            return 0.5 - self.middle / 2, 0.5 + self.middle / 2
        return sprites.GRID[name][0].item(), sprites.GRID[name][-1].item()

    def ideal(self, values: Tensor) -> Tensor:
        """Codes (n, dim) that say every factor as the mirror would: standardized, without noise."""
        columns = []
        for name in self.factors:
            if name == "orientation":
                columns.append(Ring(noise=NOISE).scale * self.on_ring(values))
                continue
            low, high = self.bounds(name)
            plain = (values[:, sprites.FACTOR_NAMES.index(name), None] - low) / (high - low)
            columns.append((2 * plain - 1) * (1.5**0.5 if name == "shape" else 3**0.5))
        return torch.cat(columns, 1)


POSITION = Case(("x", "y"), {"shape": 2, "scale": 1.0, "orientation": 0.0}, size=16, components=64)
ELLIPSE = Case(("x", "y", "scale", "orientation"), {"shape": 2}, middle=0.5)
ALL = Case(("x", "y", "scale", "orientation", "shape"))
CASES = {"position": POSITION, "ellipse": ELLIPSE, "all": ALL}


@dataclass(frozen=True, eq=False)
class Sprites:
    """Training and held-out sprites of a case, as principal components of the training images."""

    case: Case
    basis: PrincipalComponents
    training: Tensor
    images: Tensor
    values: Tensor

    @classmethod
    def of(cls, case: Case, rows: int = TRAINING, held_out: int = HELD_OUT) -> Sprites:
        drawn = {seed: case.values(n, seed) for seed, n in ((1000, rows), (1001, held_out))}
        images = {seed: sprites.render(values, case.size, antialias=True) for seed, values in drawn.items()}
        basis = PrincipalComponents.fit(images[1000], case.components)
        return cls(case, basis, basis.project(images[1000]), images[1001], drawn[1001])

    @cached_property
    def held_out(self) -> Tensor:
        return self.basis.project(self.images)

    def error(self, run: Run) -> float:
        """Mean squared error of whole held-out images over their variance: 0 perfect, 1 as good as the mean image."""
        return self.basis.error(run, self.images) / self.images.var(0, correction=0).mean().item()

    def aligned(self, z: Tensor) -> dict[str, float]:
        """`alignment` of codes of the held-out images with each factor."""
        factors = self.case.of(self.values)
        if "orientation" in factors:
            factors["orientation"] *= self.case.turns
        angles = [i for i, name in enumerate(factors) if name == "orientation"]
        return dict(zip(factors, alignment(z, factors.to_numpy(), angles=angles).tolist(), strict=True))

    def folds(self, run: Run, cells: int = 24) -> float:
        """`folded` over a grid of positions, where position is all that varies; else NaN."""
        if self.case.factors != ("x", "y"):
            return math.nan
        values = self.case.values(cells**2, 0)
        side = torch.linspace(*self.case.bounds("x"), cells)
        values[:, 3:] = torch.cartesian_prod(side, side)
        z = run.encode(self.basis.project(sprites.render(values, self.case.size, antialias=True)))
        return folded(z.reshape(cells, cells, 2).numpy())

    def labeled(self, n: int, seed: int) -> tuple[Tensor, Tensor]:
        """`n` further sprites whose factors are known: components and values."""
        values = self.case.values(n, 5000 + seed)
        return self.basis.project(sprites.render(values, self.case.size, antialias=True)), values


def tied(case: Case, images: Tensor, values: Tensor, weight: float) -> Objective:
    """The mirror prior given labels, a `LabeledMMD` for each factor: numbers by `Tied`, orientation by its place on the ring."""
    parts: list[Objective] = []
    latent = 0
    for name in case.factors:
        options: dict[str, Any] = {"weight": weight, "reach": REACH}
        if name == "orientation":
            parts.append(LabeledMMD(around, images, case.on_ring(values), latents=[latent, latent + 1], **options))
        else:
            labels = values[:, sprites.FACTOR_NAMES.index(name)]
            prior = Tied(Uniform(1), *case.bounds(name), correlation=TIE)
            parts.append(LabeledMMD(prior, images, labels, latents=[latent], **options))
        latent += 1 + (name == "orientation")
    return SumObjective(tuple(parts))


def around(labels: Any, generator: torch.Generator | None) -> Tensor:
    """Draws of `Ring` given directions (n, 2) of length 1."""
    directions = torch.as_tensor(np.asarray(labels), dtype=torch.float32)
    noise = torch.randn(directions.shape, generator=generator)
    return Ring(noise=NOISE).scale * (directions + NOISE * noise)


def anchored(case: Case, images: Tensor, values: Tensor, weight: float) -> Objective:
    """The rival: the squared distance of labeled codes from their `ideal` places."""
    return Anchors(images, case.ideal(values), weight)
