"""Scores against known factors before and after reshaping, and after rotations: independence does not decide the axes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch
from scipy.stats import ortho_group
from torch import Tensor

from sculptlab import factors
from sculptlab.data import sprites
from sculptlab.independence import lps
from sculptlab.priors import Uniform
from sculptlab.reshaping import Reshaper
from sculptlab.series.results import Recorded, record_result
from sculptlab.series.studies import alignment_recipe as recipe
from sculptlab.series.studies.alignment_cases import POSITION, SpriteCase, SpriteSet
from sculptlab.series.studies.principal_components import PrincipalComponents
from sculptlab.series.studies.runner import run_study
from sculptlab.series.studies.scorecard import SCORECARDS, Scorecard, active_columns
from sculptlab.training.objectives import BetaTC, Objective, Reconstruction

HEART = SpriteCase(("x", "y"), {"shape": 3, "scale": 1.0, "orientation": 0.3}, size=16)  # page 07's moving heart
TRAINING, HELD_OUT = 2000, 2000
MAX_ITER = 100  # steps of `Reshaper`
ROTATIONS = 3  # of the reshaped codes, at random
MAX_ITER_TRAINED = 1000  # of the codes of trained models

Drawn = tuple[Tensor, Tensor, pd.DataFrame]  # codes that the map is fitted to, held-out codes, and the factors of the latter


def rotation_study(
    case: SpriteCase, seeds: Iterable[int], *, training: int, held_out: int, max_iter: int, rotations: int, **options: Any
) -> pd.DataFrame:
    """Draw sprites with every seed; a row for their plain codes, for the reshaped ones, and for each rotation of these.

    Plain codes are the leading principal components of the training images, as many as the case has latents.
    `Reshaper(max_iter=...)` maps them to N(0, I), which every rotation keeps. All scores are of held-out images.
    """

    def encode(_: Any, seed: int) -> Drawn:
        values = case.values(training + held_out, seed)
        images = case.images(values)
        z = PrincipalComponents.fit(images[:training], case.dim, seed=seed).project(images)
        return z[:training], z[training:], case.varying(values[training:])

    def evaluate(_: Any, drawn: Drawn, seed: int) -> list[dict[str, Any]]:
        return scores_of_rotations(drawn, seed, max_iter=max_iter, rotations=rotations)

    return run_study(["plain"], seeds, encode, evaluate, **options)


def trained_models_study(
    models: Mapping[str, Callable[[int], Drawn]], seeds: Iterable[int], *, max_iter: int, rotations: int, **options: Any
) -> pd.DataFrame:
    """Train models of sprites with every seed; rows as in `rotation_study`, "case" is the name of the model."""

    def evaluate(_: Any, drawn: Drawn, seed: int) -> list[dict[str, Any]]:
        return scores_of_rotations(drawn, seed, max_iter=max_iter, rotations=rotations)

    return run_study(models, seeds, lambda model, seed: model(seed), evaluate, columns="case", **options)


def trained_models() -> dict[str, Callable[[int], Drawn]]:
    """Functions of a seed: two autoencoders on sprites with all factors, and one that its prior aligns with the position."""
    position, card = SpriteSet.of(POSITION), Scorecard.of("sprites").with_decoder_variance()
    count = card.images.setting.evaluated
    known = pd.DataFrame(np.asarray(card.known)[:count], columns=list(sprites.FACTOR_NAMES))

    def all_factors(objective: Objective) -> Callable[[int], Drawn]:
        def train(seed: int) -> Drawn:
            run = card.images.train(objective, seed)
            training, z = run.encode(card.images.training), run.encode(card.images.held_out[:count])
            active = active_columns(training)  # a map to N(0, I) would enlarge the noise of the others
            return training[:, active], z[:, active], known

        return train

    def aligned(seed: int) -> Drawn:
        runs, table = recipe.restarts(position, Uniform(2), seed)
        run = runs[int(table["distortion"].idxmin())]
        return run.encode(position.training), run.encode(position.held_out), POSITION.varying(position.values)

    return {
        "position, uniform prior": aligned,
        "all factors, plain autoencoder": all_factors(Reconstruction()),
        "all factors, beta-TCVAE": all_factors(BetaTC(6.0)),  # beta as in its paper
    }


def scores_of_rotations(drawn: Drawn, seed: int, *, max_iter: int, rotations: int) -> list[dict[str, Any]]:
    """Scores of plain codes, of the reshaped ones, and of each rotation of these; see `Drawn`."""
    known, z, values = drawn
    after = torch.from_numpy(Reshaper("gaussian", random_state=seed, max_iter=max_iter).fit(known).transform(z))
    rows: list[tuple[str, int, Tensor]] = [("plain", 0, z), ("reshaped", 0, after)]
    for k in range(1, rotations + 1):
        matrix = torch.from_numpy(ortho_group.rvs(z.shape[1], random_state=1000 * seed + k)).to(after)
        rows.append(("reshaped, rotated", k, after @ matrix))
    common = {"active_latents": z.shape[1]}
    return [{"condition": name, "rotation": k, **common, **factor_scores(codes, values, seed)} for name, k, codes in rows]


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
    """Run the studies of the moving heart and of trained models, and record both as "rotations"."""
    settings: dict[str, Any] = {"training": TRAINING, "held_out": HELD_OUT, "max_iter": MAX_ITER, "rotations": ROTATIONS}
    heart = rotation_study(HEART, seeds, constant={"data": "sprites", "case": "moving heart"}, **settings)
    options: dict[str, Any] = {"max_iter": MAX_ITER_TRAINED, "rotations": ROTATIONS, "constant": {"data": "sprites"}}
    trained = trained_models_study(trained_models(), seeds, **options)
    settings |= {**vars(HEART), "trained models": {**vars(SCORECARDS["sprites"]), "max_iter": MAX_ITER_TRAINED}}
    return record_result("rotations", pd.concat([heart, trained], ignore_index=True), seeds=seeds, settings=settings)
