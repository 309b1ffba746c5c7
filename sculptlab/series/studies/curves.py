"""LPS against the number of codes that its regressor is fitted to: how much dependence do larger samples reveal?"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import pandas as pd

from sculptlab.independence import lps_curve
from sculptlab.series.results import Recorded, record_result
from sculptlab.series.studies.runner import compare_objectives
from sculptlab.series.studies.sculpting import FRONTIERS, PENALTY_WEIGHT, frontier_objectives, marginal_mmd, recorded_settings
from sculptlab.series.studies.settings import Objectives, PreparedImages
from sculptlab.training.objectives import Objective, Predictability
from sculptlab.training.run import Run
from sculptlab.validation import choice

# 8 predictor steps for each step of the autoencoder; chosen on training images with another seed, among 2, 8 and 16 rounds
EIGHT_ROUNDS = Predictability(PENALTY_WEIGHT, width=64, rounds=8)
# with MMD alone and with KL 2,000 codes already show an LPS above 0.6
THREE = ("no regularizer", "marginal MMD + predictability", "marginal MMD + predictability, 8 rounds")
# frontier whose models are trained again -> the beta that reconstructs about as well as the other objectives, the numbers of
# codes that LPS is fitted to, and which of `curve_objectives` are trained (all, where `only` is not given)
CURVES: dict[str, dict[str, Any]] = {
    "cifar10_16": {"beta": 0.2, "rows": (1000, 4000, 16_000, 50_000)},
    "cifar10_64": {"beta": 0.01, "rows": (1000, 4000, 16_000, 50_000), "only": THREE},
    "tiny_imagenet_32": {"beta": 0.1, "rows": (1000, 2000, 4000, 6667)},
}


def curve_objectives(dim: int, beta: float) -> dict[str, Objective]:
    """The objectives that are compared at `dim` latents, by the names they get in the table."""
    objectives = frontier_objectives(dim, [beta])
    del objectives["predictability"]
    return {**objectives, "marginal MMD + predictability, 8 rounds": marginal_mmd(dim) + EIGHT_ROUNDS}


def lps_curves(
    images: PreparedImages, objectives: Objectives, rows: Sequence[int], seeds: Iterable[int], **options: Any
) -> pd.DataFrame:
    """Train every objective and seed; a row for each regressor and each number n of training codes it is fitted to.

    Codes are a VAE's means. All held-out images are scored; trees predict at most 16 latents, each from all the others.
    Columns score, worst and chance are those of `lps_curve`.
    """

    def evaluate(_: Objective, run: Run, seed: int) -> list[dict[Any, Any]]:
        z, held_out = run.encode(images.training), run.encode(images.held_out)
        common = {"reconstruction_mse": images.error(run), "evaluated": len(held_out)}
        found: list[dict[Any, Any]] = []
        for regressor, latents in (("mlp", None), ("boosting", min(16, z.shape[1]))):
            frame = lps_curve(z, held_out, regressor, rows=rows, latents=latents, seed=seed).frame
            found += frame.assign(regressor=regressor, **common).to_dict("records")
        return found

    return compare_objectives(images, objectives, seeds, evaluate, **options)


def record_curves(name: str, seeds: Sequence[int] = range(5)) -> Recorded:
    """Run page 04's study `name` (of `CURVES`) and record it as "curves_NAME"."""
    plan = CURVES[choice("name", name, list(CURVES))]
    setting = FRONTIERS[name]
    objectives = curve_objectives(setting.dim, plan["beta"])
    chosen = {key: objectives[key] for key in plan.get("only", objectives)}
    frame = lps_curves(PreparedImages.of(setting), chosen, plan["rows"], seeds)
    settings = {**recorded_settings(setting), **plan, "eight_rounds": repr(EIGHT_ROUNDS)}
    return record_result(f"curves_{name}", frame, seeds=seeds, settings=settings)
