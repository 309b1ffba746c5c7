"""Studies of semantic alignment: do latents follow the factors of sprites under a prior that mirrors them, or with labels?"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from tqdm.auto import tqdm

from sculptlab.series.results import Recorded, write
from sculptlab.series.studies import alignment_recipe as recipe
from sculptlab.series.studies.alignment_cases import CASES, HELD_OUT, REACH, TIE, TRAINING, Case, Sprites, anchored, tied
from sculptlab.series.studies.alignment_recipe import judged, limits, restarts, scores, started, train, traversals
from sculptlab.training.loop import fit
from sculptlab.training.objectives import MMD, Objective
from sculptlab.training.run import Run

FINISH, LONG = 500, 800  # steps without Isometry after the restarts; steps where no restarts are compared
LABELS = (10, 50, 200)
PULLS = (3.0, 30.0)  # nats of the labeled MMD^2, or of the rival's squared distance, to choose from
TUNED_ON, TUNED_WITH = 100, 50  # a seed and a number of labels that no result is reported on
SHOWN = 1000  # codes kept for pictures


def align_positions(sprites: Sprites, seed: int) -> tuple[pd.DataFrame, pd.DataFrame, dict[str, np.ndarray]]:
    """Case "position" at one seed: (a row for each model, a row for each restart, codes of the chosen by arm).

    Arms: each prior with the whole recipe (warm start, restarts, Isometry, the least distortion, then trained on without
    Isometry); the uniform box with one start, without Isometry, and from random starts (the least reconstruction error).
    """
    priors = sprites.case.priors
    arms: dict[str, dict[str, Any]] = {
        **{name: {"prior": name} for name in priors},
        "uniform, no isometry": {"prior": "uniform", "even": 0.0},
        "uniform, random start": {"prior": "uniform", "warm": False},
    }
    rows: list[dict[str, Any]] = []
    tried, kept = [], {}
    for arm, options in arms.items():
        prior = priors[options.pop("prior")]
        runs, table = restarts(sprites, prior, seed, **options)
        by = "training error" if options.get("warm") is False else "distortion"
        chosen = int(table[by].idxmin())
        tried.append(table.assign(arm=arm, seed=seed, chosen=table.index == chosen))
        picks = {arm: chosen} if arm != "uniform" else {arm: chosen, "uniform, one start": 0}
        for name, k in picks.items():
            if name != arm and k == chosen:
                rows.append({**rows[-1], "condition": name})
                continue
            run = train(sprites, runs[k].model, MMD(prior, recipe.WEIGHT), FINISH, seed, recipe.RATE / 2)
            rows.append({"condition": name, "seed": seed, **judged(sprites, run, prior, seed=seed)})
            kept[name] = run.encode(sprites.held_out[:SHOWN]).numpy()
    return pd.DataFrame(rows), pd.concat(tried, ignore_index=True), kept


def align_more(sprites: Sprites, seed: int) -> tuple[pd.DataFrame, dict[str, Run]]:
    """A case of more factors at one seed: its priors, each trained once from turned components and once from them as they are.

    The start that is not turned is tried in the case of the ellipse alone.
    """
    rows, runs = [], {}
    priors = sprites.case.priors
    starts = {name: (prior, True) for name, prior in priors.items()}
    starts |= {f"{name}, not turned": (priors[name], False) for name in ("gaussian", "mirror") if sprites.case.middle < 1}
    for arm, (prior, turned) in starts.items():
        runs[arm] = train(sprites, started(sprites, seed, turned=turned), MMD(prior, recipe.WEIGHT), LONG, seed)
        rows.append({"condition": arm, "seed": seed, **judged(sprites, runs[arm], prior, seed=seed)})
    return pd.DataFrame(rows), runs


TIES: dict[str, Callable[[Case, Tensor, Tensor, float], Objective]] = {"prior": tied, "distance": anchored}


def train_tied(sprites: Sprites, arm: str, n: int, pull: float, seed: int) -> Run:
    """The mirror prior with `n` labels, tied by `arm` of TIES with a weight of `pull`."""
    goal = MMD(sprites.case.mirror, recipe.WEIGHT) + TIES[arm](sprites.case, *sprites.labeled(n, seed), pull)
    return train(sprites, started(sprites, seed), goal, LONG, seed)


def tune(sprites: Sprites, seed: int = TUNED_ON) -> pd.DataFrame:
    """Alignment and error of each tie and weight with 50 labels, at a seed that is not reported: a row for each."""
    rows = []
    for arm in TIES:
        for pull in PULLS:
            run = train_tied(sprites, arm, TUNED_WITH, pull, seed)
            found = sprites.aligned(run.encode(sprites.held_out))
            rows.append({"condition": arm, "pull": pull, "seed": seed, "labels": TUNED_WITH, "error": sprites.error(run),
                         "aligned": float(np.mean(list(found.values())))})  # fmt: skip
    return pd.DataFrame(rows)


def with_labels(
    sprites: Sprites, pulls: Mapping[str, float], seed: int, labels: Sequence[int] | None = None
) -> tuple[pd.DataFrame, dict[str, Run]]:
    """The mirror prior with a few labels, at one seed; `pulls`: the weight of each tie.

    Arms: "prior" (MMD + LabeledMMD), "distance" (MMD + Anchors), "regression" (the encoder alone, fitted to labeled images).
    """
    rows, runs = [], {}
    for n in LABELS if labels is None else labels:
        for arm in TIES:
            run = runs[f"{arm} {n}"] = train_tied(sprites, arm, n, pulls[arm], seed)
            rows.append({"condition": arm, "labels": n, "seed": seed, **judged(sprites, run, sprites.case.mirror, seed=seed)})
        images, values = sprites.labeled(n, seed)
        z = regressed(sprites, images, sprites.case.ideal(values), seed)
        rows.append({"condition": "regression", "labels": n, "seed": seed, **scores(sprites, z, seed)})
    return pd.DataFrame(rows), runs


def regressed(sprites: Sprites, images: Tensor, places: Tensor, seed: int) -> Tensor:
    """Codes of the held-out images by the same encoder, trained on labeled images and their places alone."""
    model = recipe.network(sprites, seed)

    def off(model: Any, batch: Tensor, generator: torch.Generator | None) -> Tensor:
        images, wanted = batch[:, : -places.shape[1]], batch[:, -places.shape[1] :]
        return 0.5 * (model.encode(images) - wanted).square().sum(1).mean()

    model.image_shape = (sprites.case.components + places.shape[1],)  # the batch carries the places beside the components
    run = fit(model, torch.cat([images, places], 1), off, steps=recipe.STEPS, seed=seed, progress=False)
    with torch.no_grad():
        return run.model.encode(sprites.held_out)


def record_alignment(seeds: Sequence[int] = range(5), *, progress: bool = True) -> Recorded:
    """Run all three cases, the ablation and the labels, and record them: five seeds; codes and traversals of the first.

    The weights of the ties are those with the best alignment in `tune`, which is recorded too (kind "search"). What is done is
    written after each seed.
    """
    prepared = {name: Sprites.of(case) for name, case in CASES.items()}
    tuned = tune(prepared["ellipse"])
    pulls = tuned.loc[tuned.groupby("condition")["aligned"].idxmax()].set_index("condition")["pull"].to_dict()
    settings = {
        "width": recipe.WIDTH, "weight": recipe.WEIGHT, "even": recipe.EVEN, "warm": recipe.WARM, "steps": recipe.STEPS,
        "finish": FINISH, "long": LONG, "rate": recipe.RATE, "turns": recipe.TURNS,
        "labels": LABELS, "pulls": pulls, "tie": TIE, "reach": REACH, "training": TRAINING, "held_out": HELD_OUT,
    }  # fmt: skip
    frames = [tuned.assign(case="ellipse", kind="search")]
    arrays: dict[str, np.ndarray] = {}
    for seed in tqdm(list(seeds), disable=not progress, unit="seed"):
        for name, sprites in prepared.items():
            runs: dict[str, Run] = {}
            if name == "position":
                table, tried, kept = align_positions(sprites, seed)
                frames.append(tried.assign(case=name, kind="restart"))
                if seed == seeds[0]:
                    arrays |= {f"codes {arm}": z.astype(np.float16) for arm, z in kept.items()}
                    arrays["positions"] = sprites.case.of(sprites.values[:SHOWN]).to_numpy(np.float16)
            else:
                table, runs = align_more(sprites, seed)
            if name == "ellipse":
                labeled, more = with_labels(sprites, pulls, seed)
                table, runs = pd.concat([table.assign(labels=0), labeled]), runs | more
            frames.append(table.assign(case=name, kind="model"))
            frames.append(limits(sprites, seed).assign(case=name, kind="model"))
            if seed == seeds[0]:
                arrays |= {f"{name} {arm}": _bytes(traversals(sprites, run)) for arm, run in runs.items()}
        done = list(seeds)[: list(seeds).index(seed) + 1]
        recorded = write("alignment", pd.concat(frames, ignore_index=True), seeds=done, settings=settings, arrays=arrays)
    return recorded


def _bytes(images: np.ndarray) -> np.ndarray:
    return (255 * images).round().astype(np.uint8)


def chosen_of(frame: pd.DataFrame, case: str, arms: Iterable[str] | None = None) -> pd.DataFrame:
    """The models of a recorded case, one row for each arm and seed."""
    found = frame[(frame["case"] == case) & (frame["kind"] == "model")]
    return found if arms is None else found[found["condition"].isin(list(arms))]
