"""Sprites with known factors, the priors that mirror the distribution of those factors, and objectives that use labels."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property, reduce
from operator import mul
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from sculptlab.data import sprites
from sculptlab.factors.alignment import alignment
from sculptlab.priors import Gaussian, Grid, Prior, Ring, Tied, Uniform
from sculptlab.series.studies.principal_components import PrincipalComponents
from sculptlab.training.objectives import Anchors, LabeledMMD, Objective, SumObjective
from sculptlab.training.run import Run
from sculptlab.validation import SEEDS

RING_NOISE = 0.1  # of the ring that mirrors orientation, as a share of its radius
TRAINING, HELD_OUT = 6000, 2000
LABEL_CORRELATION = 0.99  # of a latent with its label, in the copula of `Tied`
LABEL_REACH = 0.3  # labels closer than this share codes in `LabeledMMD`, in standard deviations


@dataclass(frozen=True)
class SpriteCase:
    """Which factors of sprites vary, in the order of the mirror prior's latents, and how large the images are.

    factors      names of `sprites.FACTOR_NAMES`; orientation takes two latents, every other factor one
    fixed        values of the other factors. An ellipse (shape 2) repeats after half a turn, so its orientation is drawn
                 from [0, pi) and counted twice on the ring; a heart repeats after a whole turn
    middle       the part of the frame, around its center, in which positions lie
    size         height and width of the images in pixels
    components   number of principal components the autoencoder is trained on
    """

    factors: tuple[str, ...]
    fixed: Mapping[str, float] = field(default_factory=dict, hash=False)
    middle: float = 1.0
    size: int = 32
    components: int = 100

    @property
    def dim(self) -> int:
        """The number of latents."""
        return len(self.factors) + ("orientation" in self.factors)

    @property
    def turns(self) -> int:
        """How often the images repeat in a whole turn: 2 for ellipses."""
        return 2 if self.fixed.get("shape") == 2 else 1

    @property
    def mirror(self) -> Prior:
        """The prior with the distribution of the factors: a ring for orientation, three points for shape, else uniform."""
        special: dict[str, Prior] = {"orientation": Ring(noise=RING_NOISE), "shape": Grid(1, levels=3)}
        return reduce(mul, (special.get(name, Uniform(1)) for name in self.factors))

    @property
    def priors(self) -> dict[str, Prior]:
        """The priors that are compared: Gaussian, uniform, and the mirror; for positions a rotated square as the third."""
        third = ("uniform, turned", Uniform(2).rotated(math.pi / 4)) if self.factors == ("x", "y") else ("mirror", self.mirror)
        return {"gaussian": Gaussian(self.dim), "uniform": Uniform(self.dim), **dict([third])}

    def values(self, n: int, seed: int) -> Tensor:
        """Factor values (n, 5) as in `sprites.sample`, all continuous but the shape."""
        values = sprites.sample(n, seed, fixed=self.fixed, continuous=True)
        values[:, 3:] = 0.5 + self.middle * (values[:, 3:] - 0.5)
        if "orientation" in self.factors:
            values[:, 2] = values[:, 2] / self.turns
        return values

    def images(self, values: Tensor) -> Tensor:
        """The sprites with these factor values (n, 5)."""
        return sprites.render(values, self.size, antialias=True)

    def varying(self, values: Tensor) -> pd.DataFrame:
        """The varying factors of values (n, 5), a column each."""
        return pd.DataFrame({name: values[:, sprites.FACTOR_NAMES.index(name)].numpy() for name in self.factors})

    def on_ring(self, values: Tensor) -> Tensor:
        """Cosine and sine (n, 2) of the orientation, scaled so that images repeat after one turn."""
        angle = self.turns * values[:, 2]
        return torch.stack([angle.cos(), angle.sin()], 1)

    def bounds(self, name: str) -> tuple[float, float]:
        """The least and greatest value of a factor."""
        if name in ("x", "y"):
            return 0.5 - self.middle / 2, 0.5 + self.middle / 2
        return sprites.GRID[name][0].item(), sprites.GRID[name][-1].item()

    def ideal(self, values: Tensor) -> Tensor:
        """Codes (n, dim) that express every factor as the mirror prior would, with variance 1 and without noise."""

        def latents(name: str) -> Tensor:
            if name == "orientation":
                return Ring(noise=RING_NOISE).scale * self.on_ring(values)
            low, high = self.bounds(name)
            plain = (values[:, sprites.FACTOR_NAMES.index(name), None] - low) / (high - low)
            return (2 * plain - 1) * (1.5**0.5 if name == "shape" else 3**0.5)

        return torch.cat([latents(name) for name in self.factors], 1)


POSITION = SpriteCase(("x", "y"), {"shape": 2, "scale": 1.0, "orientation": 0.0}, size=16, components=64)
ELLIPSE = SpriteCase(("x", "y", "scale", "orientation"), {"shape": 2}, middle=0.5)
ALL = SpriteCase(("x", "y", "scale", "orientation", "shape"))
CASES = {"position": POSITION, "ellipse": ELLIPSE, "all": ALL}


@dataclass(frozen=True, eq=False)
class SpriteSet:
    """Sprites of a case: training components (n, components), held-out images and their factor values (n, 5)."""

    case: SpriteCase
    basis: PrincipalComponents
    training: Tensor
    images: Tensor
    values: Tensor

    @classmethod
    def of(cls, case: SpriteCase, rows: int = TRAINING, held_out: int = HELD_OUT) -> SpriteSet:
        """Draw training and held-out sprites and fit the principal components to the training images."""
        training, values = case.images(case.values(rows, 1000)), case.values(held_out, 1001)
        basis = PrincipalComponents.fit(training, case.components)
        return cls(case, basis, basis.project(training), case.images(values), values)

    @cached_property
    def held_out(self) -> Tensor:
        """The components of the held-out images."""
        return self.basis.project(self.images)

    def error(self, run: Run) -> float:
        """Mean squared error of held-out images over their variance: 0 is perfect, 1 is as good as the mean image."""
        return self.basis.error(run, self.images) / self.images.var(0, correction=0).mean().item()

    def alignment(self, z: Tensor) -> dict[str, float]:
        """Alignment of codes of the held-out images: the mean over factors ("aligned") and each ("aligned x", ...)."""
        factors = self.case.varying(self.values)
        if "orientation" in factors:
            factors["orientation"] *= self.case.turns
        angles = [i for i, name in enumerate(factors) if name == "orientation"]
        found = alignment(z, factors.to_numpy(), angles=angles)
        each = {f"aligned {name}": value for name, value in zip(factors, found.tolist(), strict=True)}
        return {"aligned": float(np.mean(found)), **each}

    def folds(self, run: Run, cells: int = 24) -> float:
        """The share of a grid of positions that is folded in the codes (`folded`); NaN if other factors vary, too."""
        if self.case.factors != ("x", "y"):
            return math.nan
        values = self.case.values(cells**2, 0)
        side = torch.linspace(*self.case.bounds("x"), cells)
        values[:, 3:] = torch.cartesian_prod(side, side)
        z = run.encode(self.basis.project(self.case.images(values)))
        return folded(z.reshape(cells, cells, 2).numpy())

    def labeled(self, n: int, seed: int) -> tuple[Tensor, Tensor]:
        """Components and factor values of `n` further sprites, whose factors serve as labels."""
        values = self.case.values(n, (5000 + seed) % SEEDS)
        return self.basis.project(self.case.images(values)), values


def folded(grid: np.ndarray) -> float:
    """Share of a grid of positions (h, w, 2) that codes map with the rarer of the two orientations; 1/2 if folded in two."""
    corner, right, down, far = grid[:-1, :-1], grid[:-1, 1:], grid[1:, :-1], grid[1:, 1:]
    triangles = (right - corner, down - corner), (down - far, right - far)  # of each cell, by the sign of their areas
    signs = np.stack([u[..., 0] * v[..., 1] > u[..., 1] * v[..., 0] for u, v in triangles])
    return float(min(signs.mean(), 1 - signs.mean()))


def labeled_prior(case: SpriteCase, images: Tensor, values: Tensor, weight: float) -> Objective:
    """A `LabeledMMD` for each factor: the codes of labeled images follow the mirror prior given their labels."""
    parts: list[Objective] = []
    latent, options = 0, dict[str, Any](weight=weight, reach=LABEL_REACH)
    for name in case.factors:
        if name == "orientation":
            parts.append(LabeledMMD(ring_given, images, case.on_ring(values), latents=[latent, latent + 1], **options))
        else:
            labels = values[:, sprites.FACTOR_NAMES.index(name)]
            prior = Tied(Uniform(1), *case.bounds(name), correlation=LABEL_CORRELATION)
            parts.append(LabeledMMD(prior, images, labels, latents=[latent], **options))
        latent += 1 + (name == "orientation")
    return SumObjective(tuple(parts))


def ring_given(labels: Any, generator: torch.Generator | None) -> Tensor:
    """Draws of the mirror prior's ring given directions (n, 2) of length 1."""
    directions = torch.as_tensor(np.asarray(labels), dtype=torch.float32)
    noise = torch.randn(directions.shape, generator=generator)
    return Ring(noise=RING_NOISE).scale * (directions + RING_NOISE * noise)


def labeled_distance(case: SpriteCase, images: Tensor, values: Tensor, weight: float) -> Objective:
    """The baseline of `labeled_prior`: the squared distance of the codes of labeled images from their `ideal` codes."""
    return Anchors(images, case.ideal(values), weight)
