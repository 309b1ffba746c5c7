"""The frontier of page 04: independence of the latents against reconstruction error, for regularizers and KL baselines."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import pandas as pd

from sculptlab.priors import Gaussian
from sculptlab.series.results import Recorded, record_result
from sculptlab.series.studies.evaluators import FRONTIER_LPS, QUICK_LPS, independence_measures
from sculptlab.series.studies.runner import compare_objectives
from sculptlab.series.studies.settings import Objectives, PreparedImages, Setting
from sculptlab.training.objectives import KL, MMD, Objective, Predictability, Reconstruction
from sculptlab.training.run import Run
from sculptlab.validation import choice

# weights, in nats: of the joint MMD^2, of the marginal MMD^2 of each latent, of the predictability penalty
JOINT_WEIGHT, MARGINAL_WEIGHT, PENALTY_WEIGHT = 100.0, 1.0, 1.0
FRONTIERS: dict[str, Setting] = {
    "cifar10_16": Setting("cifar10", 16),
    "cifar10_64": Setting("cifar10", 64, betas=(0.003, 0.01), evaluated=2000),
    "tiny_imagenet_32": Setting("tiny_imagenet", 32, betas=(0.003, 0.01, 0.03)),
    # betas up to the reconstruction error of the other objectives and beyond; with 64 latents 0.01 is there already
    "cifar10_16_kl": Setting("cifar10", 16, betas=(0.2, 0.4, 1.0), kl_only=True),
    "tiny_imagenet_32_kl": Setting("tiny_imagenet", 32, betas=(0.1, 0.3, 1.0), kl_only=True),
}


def frontier_objectives(dim: int, betas: Iterable[float]) -> dict[str, Objective]:
    """The objectives that the frontier compares at `dim` latents, by the names they get in its table."""
    mmd, penalty = MMD(Gaussian(dim), JOINT_WEIGHT), Predictability(PENALTY_WEIGHT, width=64, rounds=2)
    return {
        "no regularizer": Reconstruction(),
        **{f"beta {beta:g}": KL(beta=beta) for beta in betas},
        "MMD": mmd,
        "predictability": penalty,
        "MMD + predictability": mmd + penalty,
        "marginal MMD + predictability": marginal_mmd(dim) + penalty,
    }


def marginal_mmd(dim: int) -> MMD:
    """MMD^2 of each latent to N(0, 1), of at most 16 latents per step; with independence this is the whole of N(0, I)."""
    return MMD(Gaussian(dim), MARGINAL_WEIGHT, views="marginal", subset=min(16, dim))


def frontier(
    images: PreparedImages, objectives: Objectives, seeds: Iterable[int], *, names: Iterable[str] = FRONTIER_LPS, **options: Any
) -> pd.DataFrame:
    """Train every objective and seed; a row for each kind of code of the held-out images.

    `names` are the LPS scores of means and of deterministic codes; samples get `QUICK_LPS`.
    """

    def evaluate(_: Objective, run: Run, seed: int) -> list[dict[str, Any]]:
        error, evaluated = images.error(run), images.held_out[: images.setting.evaluated]
        return [
            {"codes": kind, "reconstruction_mse": error,
             **independence_measures(z, names=QUICK_LPS if kind == "samples" else names, seed=seed)}
            for kind, z in run.codes(evaluated, seed=seed).items()
        ]  # fmt: skip

    return compare_objectives(images, objectives, seeds, evaluate, **options)


def record_frontier(name: str, seeds: Sequence[int] = range(5)) -> Recorded:
    """Run page 04's frontier `name` (of `FRONTIERS`) and record it."""
    setting = FRONTIERS[choice("name", name, list(FRONTIERS))]
    objectives = frontier_objectives(setting.dim, setting.betas)
    if setting.kl_only:
        objectives = {key: goal for key, goal in objectives.items() if key == "no regularizer" or goal.needs_posterior}
    frame = frontier(PreparedImages.of(setting), objectives, seeds)
    return record_result(f"frontier_{name}", frame, seeds=seeds, settings=recorded_settings(setting))


def recorded_settings(setting: Setting) -> dict[str, Any]:
    """What a recorded result says about its setting."""
    weights = {"weight": JOINT_WEIGHT, "marginal_weight": MARGINAL_WEIGHT, "predictability_weight": PENALTY_WEIGHT}
    return {**vars(setting), **weights}
