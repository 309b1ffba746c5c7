"""Scores against known factors before and after reshaping, and after rotations: independence does not decide the axes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import pandas as pd
import torch
from scipy.stats import ortho_group
from torch import Tensor

from sculptlab import factors
from sculptlab.independence import lps
from sculptlab.reshaping import Reshaper
from sculptlab.series.results import Recorded, record_result
from sculptlab.series.studies.alignment_cases import CASES, HELD_OUT, TRAINING, SpriteSet
from sculptlab.series.studies.alignment_recipe import continue_training, warm_started
from sculptlab.series.studies.runner import run_study
from sculptlab.training.objectives import Reconstruction
from sculptlab.training.run import Run

STEPS = 800  # of the plain autoencoder, after its warm start
MAX_ITER = 300  # steps of `Reshaper`
ROTATIONS = 4  # of the reshaped codes, at random
RECORDED = ("position", "ellipse")


def rotation_study(
    sprites: SpriteSet, seeds: Iterable[int], *, steps: int, max_iter: int, rotations: int, **options: Any
) -> pd.DataFrame:
    """Train a plain autoencoder with every seed; a row for its codes of held-out images, the reshaped ones, and each rotation.

    The autoencoder starts at the leading components, rotated at random (`warm_started`). `Reshaper(max_iter=...)` maps its codes
    to N(0, I), which every rotation keeps.
    """

    def evaluate(_: Any, run: Run, seed: int) -> list[dict[str, Any]]:
        z = run.encode(sprites.held_out)
        reshaper = Reshaper("gaussian", random_state=seed, max_iter=max_iter).fit(run.encode(sprites.training))
        after = torch.from_numpy(reshaper.transform(z))
        rows: list[tuple[str, int, Tensor]] = [("plain", 0, z), ("reshaped", 0, after)]
        for k in range(1, rotations + 1):
            matrix = torch.from_numpy(ortho_group.rvs(z.shape[1], random_state=1000 * seed + k)).to(after)
            rows.append(("reshaped, rotated", k, after @ matrix))
        error = sprites.error(run)
        return [
            {"condition": name, "rotation": k, "error": error, **factor_scores(sprites, codes, seed)} for name, k, codes in rows
        ]

    def train(_: Any, seed: int) -> Run:
        return continue_training(sprites, warm_started(sprites, seed), Reconstruction(), steps, seed)

    return run_study(["plain"], seeds, train, evaluate, **options)


def factor_scores(sprites: SpriteSet, z: Tensor, seed: int = 0) -> dict[str, float]:
    """MIG, DCI by random forests and InfoMEC of codes of the held-out images, and their LPS by networks."""
    known = sprites.case.varying(sprites.values)
    options: dict[str, Any] = {"baselines": False, "seed": seed}
    return {
        "mlp": lps(z, permutations=0, seed=seed, progress=False).score,
        "MIG": factors.mig(z, known, **options).score,
        **{f"DCI {name}": value for name, value in factors.dci(z, known, estimator="forest", **options).parts.items()},
        **factors.info_mec(z, known, prune=0.0, **options).parts,
        "evaluated": len(z),
    }


def record_rotations(seeds: Sequence[int] = range(1, 6)) -> Recorded:
    """Run the study for the cases `RECORDED` and record it as "rotations"."""
    options = {"steps": STEPS, "max_iter": MAX_ITER, "rotations": ROTATIONS}
    frames = [
        rotation_study(SpriteSet.of(CASES[name]), seeds, constant={"case": name, "dim": CASES[name].dim}, **options)
        for name in RECORDED
    ]
    settings = {**options, "training": TRAINING, "held_out": HELD_OUT}
    return record_result("rotations", pd.concat(frames, ignore_index=True), seeds=seeds, settings=settings)
