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
from sculptlab.series.studies.alignment_cases import SpriteCase
from sculptlab.series.studies.principal_components import PrincipalComponents
from sculptlab.series.studies.runner import run_study

HEART = SpriteCase(("x", "y"), {"shape": 3, "scale": 1.0, "orientation": 0.3}, size=16)  # page 07's moving heart
TRAINING, HELD_OUT = 2000, 2000
MAX_ITER = 100  # steps of `Reshaper`
ROTATIONS = 3  # of the reshaped codes, at random


def rotation_study(
    case: SpriteCase, seeds: Iterable[int], *, training: int, held_out: int, max_iter: int, rotations: int, **options: Any
) -> pd.DataFrame:
    """Draw sprites with every seed; a row for their plain codes, for the reshaped ones, and for each rotation of these.

    Plain codes are the leading principal components of the training images, as many as the case has latents.
    `Reshaper(max_iter=...)` maps them to N(0, I), which every rotation keeps. All scores are of held-out images.
    """

    def encode(_: Any, seed: int) -> tuple[Tensor, Tensor, pd.DataFrame]:
        values = case.values(training + held_out, seed)
        images = case.images(values)
        z = PrincipalComponents.fit(images[:training], case.dim, seed=seed).project(images)
        return z[:training], z[training:], case.varying(values[training:])

    def evaluate(_: Any, drawn: tuple[Tensor, Tensor, pd.DataFrame], seed: int) -> list[dict[str, Any]]:
        known, z, values = drawn
        after = torch.from_numpy(Reshaper("gaussian", random_state=seed, max_iter=max_iter).fit(known).transform(z))
        rows: list[tuple[str, int, Tensor]] = [("plain", 0, z), ("reshaped", 0, after)]
        for k in range(1, rotations + 1):
            matrix = torch.from_numpy(ortho_group.rvs(case.dim, random_state=1000 * seed + k)).to(after)
            rows.append(("reshaped, rotated", k, after @ matrix))
        return [{"condition": name, "rotation": k, **factor_scores(codes, values, seed)} for name, k, codes in rows]

    return run_study(["plain"], seeds, encode, evaluate, **options)


def factor_scores(z: Tensor, values: pd.DataFrame, seed: int = 0) -> dict[str, float]:
    """MIG, DCI by random forests and InfoMEC of codes z (n, d) against factor values (n, k), and LPS by networks."""
    options: dict[str, Any] = {"baselines": False, "seed": seed}
    dci = factors.dci(z, values, estimator="forest", **options).parts
    return {
        "mlp": lps(z, permutations=0, seed=seed, progress=False).score,
        "MIG": factors.mig(z, values, **options).score,
        **{f"DCI {name}": value for name, value in dci.items()},
        **factors.info_mec(z, values, prune=0.0, **options).parts,
        "evaluated": len(z),
    }


def record_rotations(seeds: Sequence[int] = range(1, 6)) -> Recorded:
    """Run the study of the moving heart and record it as "rotations"."""
    settings = {"training": TRAINING, "held_out": HELD_OUT, "max_iter": MAX_ITER, "rotations": ROTATIONS}
    frame = rotation_study(HEART, seeds, constant={"data": "sprites", "case": "moving heart", "dim": HEART.dim}, **settings)
    return record_result("rotations", frame, seeds=seeds, settings={**settings, **vars(HEART)})
