"""Studies of sculpted autoencoders: independence against the price in reconstruction."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd
import torch
from torch import Tensor
from tqdm.auto import tqdm

from sculptlab.columns import permute_columns
from sculptlab.independence.dependence import correlation, distance_correlation, distance_correlation_to_rest
from sculptlab.independence.lps import lps
from sculptlab.mmd import mmd2
from sculptlab.priors import Gaussian
from sculptlab.series.results import Recorded, write
from sculptlab.series.studies.kl_failure import train_and_test
from sculptlab.training.loop import fit
from sculptlab.training.models import build_autoencoder
from sculptlab.training.objectives import KL, MMD, Objective, Predictability, Reconstruction
from sculptlab.training.principal_components import PrincipalComponents
from sculptlab.training.run import Run
from sculptlab.validation import choice

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
    learning_rate: float = 1e-3


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
        return fit(
            model, self.training, objective, steps=at.steps, batch_size=at.batch_size, learning_rate=at.learning_rate, seed=seed,
            progress=False,
        )  # fmt: skip

    def error(self, run: Run) -> float:
        """The mean squared error per pixel of held-out images, what the components lose included."""
        share = self.setting.components / self.basis.pixels
        return run.reconstruction_error(self.held_out) * share + self.lost


def judge(z: Tensor, *, lines: Iterable[str] = JUDGES, seed: int = 0) -> dict[str, float]:
    """How independent and how Gaussian codes z (n, d) are, measured by what took no part in training, beside floors.

    mlp, boosting: LPS of means; squares, squares boosting: of squares (`LINES`); no floors: the score of independent
    codes is 0 by construction (page 02). correlation: the largest |r| of a pair. dcor: distance correlation, the mean over
    pairs and dcor_rest that of each latent to all others, and the same of codes whose columns were permuted apart
    (dcor_chance, dcor_rest_chance). std_min, std_max, kurtosis (3 for a Gaussian); mmd2 and mmd2_marginal to N(0, I).
    """
    found: dict[str, float] = {"n": len(z)}
    for name in lines:
        regressor, target = LINES[name]
        found[name] = lps(z, regressor, target, permutations=0, seed=seed).score
    apart = permute_columns(z, torch.Generator().manual_seed(seed))
    off = ~torch.eye(z.shape[1], dtype=torch.bool)
    for suffix, codes in (("", z), ("_chance", apart)):
        found[f"dcor{suffix}"] = distance_correlation(codes, seed=seed)[off].mean().item()
        found[f"dcor_rest{suffix}"] = distance_correlation_to_rest(codes, seed=seed).mean().item()
    centered = (z - z.mean(0)) / z.std(0)
    drawn = Gaussian(z.shape[1]).sample(len(z), generator=torch.Generator().manual_seed(seed))
    return {
        **found,
        "correlation": correlation(z)[off].abs().max().item(),
        "std_min": z.std(0).min().item(), "std_max": z.std(0).max().item(),
        "kurtosis": centered.pow(4).mean().item(),
        "mmd2": mmd2(z, drawn).item(), "mmd2_marginal": mmd2(z[:1000], drawn[:1000], views="marginal").item(),
    }  # fmt: skip


def rivals(dim: int, betas: Iterable[float]) -> dict[str, Objective]:
    """The objectives that the frontier compares at `dim` latents, by the names they get in its table."""
    prior = Gaussian(dim)
    return {
        "no regularizer": Reconstruction(),
        **{f"beta {beta:g}": KL(beta=beta) for beta in betas},
        "MMD": MMD(prior, WEIGHT),
        "predictability": Predictability(GAME),
        "MMD + predictability": MMD(prior, WEIGHT) + Predictability(GAME),
        "marginal MMD + predictability": marginal(dim) + Predictability(GAME),
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
    frame["relative_error"] = (
        frame["reconstruction_mse"] / frame.loc[frame["objective"] == "no regularizer", "reconstruction_mse"].mean()
    )
    return frame


FRONTIERS: dict[str, Setting] = {
    "cifar10_16": Setting("cifar10", 16),
    "cifar10_64": Setting("cifar10", 64, betas=(0.003, 0.01), judged=2000),
    "tiny_imagenet_32": Setting("tiny_imagenet", 32, betas=(0.003, 0.01, 0.03)),
    # stronger betas, up to the price of the others and beyond; at 64 latents 0.01 is there already
    "cifar10_16_kl": Setting("cifar10", 16, betas=(0.2, 0.4, 1.0), kl_only=True),
    "tiny_imagenet_32_kl": Setting("tiny_imagenet", 32, betas=(0.1, 0.3, 1.0), kl_only=True),
}


def joined(frames: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Frontiers of one setting as one frame; the plain autoencoder, which each of them trained alike, is kept once."""
    first, *others = frames
    return pd.concat([first, *(frame[frame["objective"] != "no regularizer"] for frame in others)], ignore_index=True)


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
        goals = {name: goal for name, goal in goals.items() if name == "no regularizer" or goal.needs_posterior}
    frame = frontier(setting, goals, seeds)
    return write(f"frontier_{name}", frame, seeds=list(seeds), settings=described(setting))


def described(setting: Setting) -> dict[str, Any]:
    """What a recorded result says of its setting."""
    return {**vars(setting), "weight": WEIGHT, "shape": SHAPE, "predictability": GAME}
