"""Studies of semantic alignment: do latents follow the factors of sprites, by a prior that mirrors them, or by labels?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product
from typing import Any

import pandas as pd
import torch
from torch import Tensor

from sculptlab.priors import Prior
from sculptlab.series.results import Recorded, record_result
from sculptlab.series.studies import alignment_cases as cases
from sculptlab.series.studies import alignment_recipe as recipe
from sculptlab.series.studies.alignment_cases import CASES, SpriteSet, labeled_distance, labeled_prior
from sculptlab.series.studies.alignment_recipe import continue_training, warm_started
from sculptlab.series.studies.runner import run_study
from sculptlab.training.loop import fit_to_the_end
from sculptlab.training.objectives import MMD
from sculptlab.training.run import Run

FINAL_STEPS = 500  # without the isometry penalty, after the restarts
SINGLE_STEPS = 800  # where there are no restarts
LABELS = (10, 50, 200)
LABEL_WEIGHTS = (3.0, 30.0)  # candidates, in nats per unit of the labeled MMD^2 or of the squared distance
SEARCH_SEED, SEARCH_LABELS = 100, 50  # no result is reported with this seed
LABEL_TERMS = {"prior": labeled_prior, "distance": labeled_distance}


def align_positions(sprites: SpriteSet, seeds: Sequence[int], **options: Any) -> pd.DataFrame:
    """Case "position": a row for each restart and for each final model.

    Conditions: each prior with the whole recipe (warm start, restarts, isometry penalty, choice of the least distortion,
    final training without the penalty); and for the uniform prior one start, no isometry penalty, and random starts, of
    which the least training error is chosen.
    """
    special = {"uniform, no isometry": {"isometry": False}, "uniform, random start": {"warm": False}}

    def prior_of(name: str) -> Prior:
        return sprites.case.priors["uniform" if name in special else name]

    def train(name: str, seed: int) -> tuple[list[Run], pd.DataFrame]:
        return recipe.restarts(sprites, prior_of(name), seed, **special.get(name, {}))

    def evaluate(name: str, trained: tuple[list[Run], pd.DataFrame], seed: int) -> list[dict[Any, Any]]:
        (runs, table), prior = trained, prior_of(name)
        chosen = int(table["training error" if name == "uniform, random start" else "distortion"].idxmin())
        rows = table.assign(kind="restart", chosen=table.index == chosen).to_dict("records")
        finals = {name: chosen, "uniform, one start": 0} if name == "uniform" else {name: chosen}
        measures: dict[int, dict[str, float]] = {}
        for condition, k in finals.items():
            if k not in measures:  # the first start may be the chosen one
                objective, rate = MMD(prior, recipe.MMD_WEIGHT), recipe.LEARNING_RATE / 2
                run = continue_training(sprites, runs[k].model, objective, FINAL_STEPS, seed, rate)
                z = run.encode(sprites.held_out)
                measures[k] = {**recipe.fit_measures(sprites, run, z, prior), **recipe.alignment_scores(sprites, z, seed)}
            rows.append({"condition": condition, "kind": "model", **measures[k]})
        return rows

    return run_study([*sprites.case.priors, *special], seeds, train, evaluate, **options)


def align_more(
    sprites: SpriteSet, seeds: Sequence[int], label_weights: Mapping[str, float], labels: Sequence[int] = (), **options: Any
) -> pd.DataFrame:
    """A case of more factors: a row for each condition, number of labels and seed.

    Without labels: each prior, trained once from rotated components; in the case "ellipse" the Gaussian and the mirror also
    from components that are not rotated. With each number of `labels`: "prior" (MMD + LabeledMMD) and "distance" (MMD +
    Anchors) with their `label_weights`, and "regression" (the encoder alone, fitted to labeled images).
    """
    case = sprites.case
    starts = {name: (prior, True) for name, prior in case.priors.items()}
    if case.middle < 1:
        starts |= {f"{name}, not turned": (case.priors[name], False) for name in ("gaussian", "mirror")}
    grid = [*product(starts, [0]), *product((*label_weights, "regression"), labels)]

    def train(condition: tuple[str, int], seed: int) -> tuple[Prior, Run | None, Tensor]:
        name, n = condition
        if name == "regression":
            return case.mirror, None, regression_codes(sprites, *sprites.labeled(n, seed), seed)
        prior, rotate = starts.get(name, (case.mirror, True))
        if n:
            run = train_with_labels(sprites, name, n, label_weights[name], seed)
        else:
            model = warm_started(sprites, seed, rotate=rotate)
            run = continue_training(sprites, model, MMD(prior, recipe.MMD_WEIGHT), SINGLE_STEPS, seed)
        return prior, run, run.encode(sprites.held_out)

    def evaluate(_: Any, trained: tuple[Prior, Run | None, Tensor], seed: int) -> list[dict[str, float]]:
        prior, run, z = trained
        scores = recipe.alignment_scores(sprites, z, seed)
        return [scores if run is None else {**scores, **recipe.fit_measures(sprites, run, z, prior)}]

    options |= {"columns": ("condition", "labels"), "constant": {"kind": "model"}}
    return run_study(grid, seeds, train, evaluate, **options)


def train_with_labels(sprites: SpriteSet, term: str, n: int, weight: float, seed: int) -> Run:
    """Train to the mirror prior and a term of `LABEL_TERMS` for `n` labeled images."""
    labels = LABEL_TERMS[term](sprites.case, *sprites.labeled(n, seed), weight)
    objective = MMD(sprites.case.mirror, recipe.MMD_WEIGHT) + labels
    return continue_training(sprites, warm_started(sprites, seed), objective, SINGLE_STEPS, seed)


def search_label_weights(sprites: SpriteSet, seed: int = SEARCH_SEED, **options: Any) -> pd.DataFrame:
    """Alignment and error of each label term and weight with 50 labels, a row for each."""

    def train(condition: tuple[str, float], seed: int) -> Run:
        return train_with_labels(sprites, condition[0], SEARCH_LABELS, condition[1], seed)

    def evaluate(_: Any, run: Run, seed: int) -> list[dict[str, Any]]:
        return [{"error": sprites.error(run), "aligned": sprites.alignment(run.encode(sprites.held_out))["aligned"]}]

    options |= {"columns": ("condition", "label_weight"), "constant": {"kind": "search", "labels": SEARCH_LABELS}}
    return run_study(product(LABEL_TERMS, LABEL_WEIGHTS), [seed], train, evaluate, **options)


def regression_codes(sprites: SpriteSet, images: Tensor, values: Tensor, seed: int) -> Tensor:
    """Codes of the held-out images by an encoder that is fitted to labeled images alone; `values` (n, 5) are their factors."""
    targets = sprites.case.ideal(values)
    model = recipe.alignment_network(sprites, seed)

    def squared_distance(model: Any, batch: Tensor, generator: torch.Generator | None) -> Tensor:
        images, wanted = batch[:, : -targets.shape[1]], batch[:, -targets.shape[1] :]
        return 0.5 * (model.encode(images) - wanted).square().sum(1).mean()

    # `fit` passes one tensor: the components of an image with its target beside them
    model.image_shape = (sprites.case.components + targets.shape[1],)
    run = fit_to_the_end(model, torch.cat([images, targets], 1), squared_distance, steps=recipe.STEPS, seed=seed, progress=False)
    with torch.no_grad():
        return run.model.encode(sprites.held_out)


def record_alignment(seeds: Sequence[int] = range(5), **options: Any) -> Recorded:
    """Run all cases, ablations and labels and record them.

    The weight of each label term is the one with the best alignment in `search_label_weights`, which is recorded, too.
    """
    prepared = {name: SpriteSet.of(case) for name, case in CASES.items()}
    search = search_label_weights(prepared["ellipse"], **options)
    best = search.loc[search.groupby("condition")["aligned"].idxmax()]
    weights = best.set_index("condition")["label_weight"].to_dict()
    frames = [search.assign(case="ellipse")]
    for name, sprites in prepared.items():
        if name == "position":
            table = align_positions(sprites, seeds, **options)
        else:
            table = align_more(sprites, seeds, weights, LABELS if name == "ellipse" else (), **options)
        references = pd.DataFrame([row for seed in seeds for row in recipe.reference_scores(sprites, seed)])
        frames += [table.assign(case=name), references.assign(case=name, kind="model")]
    settings = {
        "width": recipe.WIDTH, "learning_rate": recipe.LEARNING_RATE, "weight": recipe.MMD_WEIGHT,
        "isometry_weight": recipe.ISOMETRY_WEIGHT, "warm_steps": recipe.WARM_STEPS, "steps": recipe.STEPS,
        "final_steps": FINAL_STEPS, "single_steps": SINGLE_STEPS, "restarts": recipe.RESTARTS, "labels": LABELS,
        "label_weights": weights, "label_correlation": cases.LABEL_CORRELATION, "label_reach": cases.LABEL_REACH,
        "training": cases.TRAINING, "held_out": cases.HELD_OUT,
    }  # fmt: skip
    frame = pd.concat(frames, ignore_index=True)
    return record_result("alignment", frame, seeds=seeds, settings=settings)


def final_models(frame: pd.DataFrame, case: str) -> pd.DataFrame:
    """The final models of a recorded case, one row for each condition and seed."""
    return frame[(frame["case"] == case) & (frame["kind"] == "model")]
