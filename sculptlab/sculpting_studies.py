"""Studies of sculpted autoencoders: independence against the price in reconstruction, and what each choice contributes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
import torch
from sklearn.neighbors import NearestNeighbors
from torch import Tensor
from tqdm.auto import tqdm

from sculptlab.autoencoders import build_autoencoder
from sculptlab.dependence import correlation, distance_correlation, distance_correlation_to_rest, permuted_columns
from sculptlab.kernels import IMQ, RBF, Laplace
from sculptlab.mmd import mmd2
from sculptlab.objectives import KL, MMD, EnergyDistance, Objective, Predictability, Reconstruction, SlicedWasserstein
from sculptlab.predictability import lps
from sculptlab.principal import PrincipalComponents
from sculptlab.priors import Gaussian
from sculptlab.results import Recorded, write
from sculptlab.runs import Run
from sculptlab.studies import train_and_test
from sculptlab.training import fit
from sculptlab.validation import choice
from sculptlab.weights import find_weight

COMPONENTS = 384
WEIGHT, SHAPE, GAME = 100.0, 1.0, 1.0  # nats: of joint MMD^2, of marginal MMD^2 per latent, of the game
VIEWS = 16  # marginal views compared at a step
# lines of the judge: regressor and target
LINES: dict[str, tuple[str, str]] = {
    "mlp": ("mlp", "mean"),
    "boosting": ("boosting", "mean"),
    "squares": ("mlp", "square"),
    "squares boosting": ("boosting", "square"),
}
JUDGES, QUICK = ("mlp", "boosting", "squares", "squares boosting"), ("mlp", "squares")


@dataclass(frozen=True)
class Setting:
    """What all models of a study share: data set, latents, principal components of the images, steps, width, batch."""

    data: str
    dim: int
    components: int = COMPONENTS
    steps: int = 2000
    width: int = 256
    batch_size: int = 256
    rows: int | None = None  # training images; None: all
    betas: tuple[float, ...] = (0.01, 0.03, 0.1)  # of the KL methods: from about the plain reconstruction to 1.1 times it
    judged: int = 4000  # held-out codes that are judged
    kl_only: bool = False  # the plain autoencoder and the betas alone


@dataclass(frozen=True, eq=False)
class Prepared:
    """Training and held-out images of a setting, as principal components of the training images."""

    setting: Setting
    basis: PrincipalComponents
    training: Tensor
    held_out: Tensor
    lost: float

    @classmethod
    def of(cls, setting: Setting) -> Prepared:
        training, held_out = train_and_test(setting.data)
        images = training.images[: setting.rows]
        basis = PrincipalComponents.fit(images, setting.components)
        return cls(setting, basis, basis.project(images), basis.project(held_out.images), basis.lost(held_out.images))

    def train(self, objective: Objective, seed: int, **changes: Any) -> Run:
        """An mlp autoencoder on the components; `changes` replace parts of the setting (dim, steps, width, batch_size)."""
        at = replace(self.setting, **changes)
        model = build_autoencoder(
            "mlp", image_shape=(at.components,), dim=at.dim, width=at.width, output="linear", seed=seed,
            stochastic=objective.needs_posterior,
        )  # fmt: skip
        return fit(model, self.training, objective, steps=at.steps, batch_size=at.batch_size, seed=seed, progress=False)

    def error(self, run: Run) -> float:
        """The mean squared error per pixel of held-out images, what the components lose included."""
        share = self.setting.components / self.basis.pixels
        return run.reconstruction_error(self.held_out) * share + self.lost


def judge(z: Tensor, *, lines: Iterable[str] = JUDGES, seed: int = 0) -> dict[str, float]:
    """How independent and how Gaussian codes z (n, d) are, measured by what took no part in training, beside floors.

    mlp, boosting: LPS of means; squares, squares boosting: of squares (`LINES`); no floors: the score of independent
    codes is 0 by construction (page 02). correlation: the largest |r| of a pair. dcor: distance correlation, the mean over
    pairs and dcor_rest that of each latent to all others, and the same of codes whose columns were permuted apart
    (dcor_floor, dcor_rest_floor). std_min, std_max, kurtosis (3 for a Gaussian); mmd2 and mmd2_marginal to N(0, I).
    """
    found: dict[str, float] = {"n": len(z)}
    for name in lines:
        regressor, target = LINES[name]
        found[name] = lps(z, regressor, target, permutations=0, seed=seed).score
    apart = permuted_columns(z, torch.Generator().manual_seed(seed))
    off = ~torch.eye(z.shape[1], dtype=torch.bool)
    for suffix, codes in (("", z), ("_floor", apart)):
        found[f"dcor{suffix}"] = distance_correlation(codes, seed=seed)[off].mean().item()
        found[f"dcor_rest{suffix}"] = distance_correlation_to_rest(codes, seed=seed).mean().item()
    centred = (z - z.mean(0)) / z.std(0)
    drawn = Gaussian(z.shape[1]).sample(len(z), generator=torch.Generator().manual_seed(seed))
    return {
        **found,
        "correlation": correlation(z)[off].abs().max().item(),
        "std_min": z.std(0).min().item(), "std_max": z.std(0).max().item(),
        "kurtosis": centred.pow(4).mean().item(),
        "mmd2": mmd2(z, drawn).item(), "mmd2_marginal": mmd2(z[:1000], drawn[:1000], views="marginal").item(),
    }  # fmt: skip


def rivals(dim: int, betas: Iterable[float]) -> dict[str, Objective]:
    """The objectives that the frontier compares at `dim` latents, by the names they get in its table."""
    prior = Gaussian(dim)
    return {
        "no regulariser": Reconstruction(),
        **{f"beta {beta:g}": KL(beta=beta) for beta in betas},
        "MMD": MMD(prior, WEIGHT),
        "game": Predictability(GAME),
        "MMD + game": MMD(prior, WEIGHT) + Predictability(GAME),
        "marginal MMD + game": marginal(dim) + Predictability(GAME),
    }


def marginal(dim: int, weight: float = SHAPE) -> MMD:
    """MMD of every latent alone to N(0, 1), a few latents at a step: with independence it is the whole of N(0, I)."""
    return MMD(Gaussian(dim), weight, views="marginal", subset=min(VIEWS, dim))


def frontier(
    setting: Setting,
    objectives: Mapping[str, Objective],
    seeds: Iterable[int],
    *,
    lines: Iterable[str] = JUDGES,
    progress: bool = True,
    prepared: Prepared | None = None,
) -> pd.DataFrame:
    """Train every objective and seed on `setting`; a row for each kind of code, judged on held-out images."""
    prepared = prepared or Prepared.of(setting)
    rows = []
    for seed, name in tqdm([(s, o) for s in seeds for o in objectives], disable=not progress, unit="model"):
        run = prepared.train(objectives[name], seed)
        common = {
            "data": setting.data,
            "dim": setting.dim,
            "objective": name,
            "seed": seed,
            "reconstruction_mse": prepared.error(run),
        }
        for kind, z in run.codes(prepared.held_out[: setting.judged], seed=seed).items():
            asked = QUICK if kind == "samples" else lines  # means are what people use, and what the claims are about
            rows.append({**common, "codes": kind, **judge(z, lines=asked, seed=seed)})
    frame = pd.DataFrame(rows)
    frame["ratio"] = frame["reconstruction_mse"] / frame.loc[frame["objective"] == "no regulariser", "reconstruction_mse"].mean()
    return frame


def intrinsic_dimension(rows: Any, most: int = 5000, seed: int = 0) -> float:
    """The number of directions in which rows (n, p) spread locally, by the two nearest neighbours of each: n / sum ln(r2 / r1).

    An underestimate where the true dimension is above ten or so; `most` rows are drawn. Rows that occur twice are left out.
    Source: Facco et al. 2017, Scientific Reports 7.
    """
    x = torch.as_tensor(rows).flatten(1).numpy()
    x = x[np.random.default_rng(seed).permutation(len(x))[:most]]
    distances = NearestNeighbors(n_neighbors=3).fit(x).kneighbors(x)[0]
    first, second = distances[:, 1], distances[:, 2]
    apart = first > 0
    return float(apart.sum() / np.log(second[apart] / first[apart]).sum())


def ablations(dim: int) -> list[tuple[str, str, Objective, dict[str, Any]]]:
    """(knob, value, regulariser, changes of the setting) of the ablation: each knob alone is moved away from the base."""
    prior = Gaussian(dim)
    kernels: dict[str, Objective] = {
        "IMQ, one scale": MMD(prior, 7 * WEIGHT, IMQ(scales=(1.0,))),
        "RBF": MMD(prior, 7 * WEIGHT, RBF()),
        "Laplace": MMD(prior, 7 * WEIGHT, Laplace()),
        "energy": EnergyDistance(prior),
        "sliced Wasserstein": SlicedWasserstein(prior),
    }
    median = RBF().fit(prior).width
    return [
        ("base", "", MMD(prior, WEIGHT), {}),
        *(("kernel", name, term, {}) for name, term in kernels.items()),
        *(("bandwidth", f"{f:g}", MMD(prior, 7 * WEIGHT, RBF(f * median)), {}) for f in (0.25, 4.0)),
        *(("weight", f"{w:g}", MMD(prior, w), {}) for w in (3.0, 30.0, 1000.0)),
        *(("batch", str(b), MMD(prior, WEIGHT), {"batch_size": b}) for b in (64, 1024)),
        *(("dim", str(d), MMD(Gaussian(d), WEIGHT), {"dim": d}) for d in (4, 8, 32)),
    ]


def ablate(
    setting: Setting, seeds: Iterable[int], *, knobs: Sequence[str] | None = None, progress: bool = True,
    prepared: Prepared | None = None,
) -> pd.DataFrame:  # fmt: skip
    """Every row of `ablations`, without and with the game; columns knob, value, arm ("MMD", "MMD + game"), and the judge's.

    For the base and each dim also "no regulariser" and, for the base, "game" and "game, squared". Kernels of one term weigh seven
    times as much as IMQ's sum of seven, so that k(x, x) agrees.
    """
    prepared = prepared or Prepared.of(setting)
    grid: list[tuple[str, str, str, Objective, dict[str, Any], int]] = []
    for knob, value, term, changes in ablations(setting.dim):
        arms: dict[str, Objective] = {"MMD": term, "MMD + game": term + Predictability(GAME)}
        if knob in ("base", "dim"):
            arms["no regulariser"] = Reconstruction()
        if knob == "base":
            squared = Predictability(GAME, "square")
            arms |= {"game": Predictability(GAME), "game, squared": squared, "MMD + game, squared": term + squared}
        if knobs is None or knob in knobs:
            grid += [(knob, value, arm, goal, changes, seed) for arm, goal in arms.items() for seed in seeds]
    rows = []
    for knob, value, arm, goal, changes, seed in tqdm(grid, disable=not progress, unit="model"):
        run = prepared.train(goal, seed, **changes)
        z = run.encode(prepared.held_out[: setting.judged])
        rows.append({"data": setting.data, "dim": z.shape[1], "knob": knob, "value": value, "arm": arm, "seed": seed,
                     "reconstruction_mse": prepared.error(run), **judge(z, lines=QUICK, seed=seed)})  # fmt: skip
    return pd.DataFrame(rows)


FRONTIERS: dict[str, Setting] = {
    "cifar10_16": Setting("cifar10", 16),
    "cifar10_64": Setting("cifar10", 64, betas=(0.003, 0.01), judged=2000),
    "tiny_imagenet_32": Setting("tiny_imagenet", 32, betas=(0.003, 0.01, 0.03)),
    # stronger betas, up to the price of the others and beyond; at 64 latents 0.01 is there already
    "cifar10_16_kl": Setting("cifar10", 16, betas=(0.2, 0.4, 1.0), kl_only=True),
    "tiny_imagenet_32_kl": Setting("tiny_imagenet", 32, betas=(0.1, 0.3, 1.0), kl_only=True),
}
ABLATIONS: dict[str, Setting] = {
    "cifar10": Setting("cifar10", 16, components=128, steps=700, width=128, rows=20_000, judged=2000),
    "fashion_mnist": Setting("fashion_mnist", 16, components=128, steps=700, width=128, rows=20_000, judged=2000),
}


def joined(frames: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Frontiers of one setting as one frame; the plain autoencoder, which each of them trained alike, is kept once."""
    first, *others = frames
    return pd.concat([first, *(frame[frame["objective"] != "no regulariser"] for frame in others)], ignore_index=True)


def live_setting(data: str, steps: int) -> Setting:
    """What page 04 trains while it is read: 6,000 images of CIFAR-10 and 16 latents, or the bundled digits and 4."""
    if choice("data", data, ("cifar10", "digits")) == "digits":
        return Setting(data, 4, components=40, steps=steps, width=128, judged=599)
    return Setting(data, 16, components=128, steps=steps, width=128, rows=6000, judged=1000)


def record_frontier(name: str, seeds: Sequence[int] = range(5)) -> Recorded:
    """Run page 04's frontier `name` (of `FRONTIERS`) and record it: every objective, five seeds, all judges."""
    setting = FRONTIERS[choice("name", name, list(FRONTIERS))]
    goals = rivals(setting.dim, setting.betas)
    if setting.kl_only:
        goals = {name: goal for name, goal in goals.items() if name == "no regulariser" or goal.needs_posterior}
    frame = frontier(setting, goals, seeds)
    return write(f"frontier_{name}", frame, seeds=list(seeds), settings=_settings(setting))


def record_ablations(name: str, seeds: Sequence[int] = range(5), knobs: Sequence[str] | None = None) -> Recorded:
    """Run page 04's ablation on the data set `name` (of `ABLATIONS`) and record it; `knobs`: None for all."""
    setting = ABLATIONS[choice("name", name, list(ABLATIONS))]
    frame = ablate(setting, seeds, knobs=knobs)
    return write(f"ablations_{name}", frame, seeds=list(seeds), settings=_settings(setting))


def record_weights(seeds: Sequence[int] = range(3), *, dims: Sequence[int] = (16, 64), steps: int = 1000) -> Recorded:
    """What the weight of the joint MMD does, on held-out *training* images of CIFAR-10: record the curves of `find_weight`."""
    frames = []
    for dim in dims:
        prepared = Prepared.of(replace(FRONTIERS["cifar10_16"], dim=dim))
        curve = find_weight(
            lambda weight, dim=dim: MMD(Gaussian(dim), weight) + Predictability(GAME),  # type: ignore[misc]
            lambda seed, dim=dim: build_autoencoder(  # type: ignore[misc]
                "mlp", image_shape=(COMPONENTS,), dim=dim, width=256, output="linear", seed=seed
            ),
            prepared.training, weights=(3.0, 10.0, 30.0, 100.0, 300.0, 1000.0), steps=steps, seeds=seeds, progress=False,
        )  # fmt: skip
        frames.append(curve.frame.assign(dim=dim))
    settings = {"data": "cifar10", "components": COMPONENTS, "steps": steps, "width": 256, "batch_size": 256, "game": GAME}
    return write("weights_cifar10", pd.concat(frames), seeds=list(seeds), settings=settings)


def _settings(setting: Setting) -> dict[str, Any]:
    return {**vars(setting), "weight": WEIGHT, "shape": SHAPE, "game": GAME}
