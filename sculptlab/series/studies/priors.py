"""Studies of page 05: does an autoencoder of real images reach a prior, and what happens where the prior is disconnected?"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from sculptlab.mmd.kernels import IMQ
from sculptlab.priors import Prior, Ring, Uniform
from sculptlab.series.results import Recorded, record_result
from sculptlab.series.studies.evaluators import prior_measures
from sculptlab.series.studies.prior_gallery import gallery_priors, ring_with_hand, two_squares
from sculptlab.series.studies.runner import run_study
from sculptlab.series.studies.settings import PreparedImages, Setting, train_and_test
from sculptlab.training.objectives import MMD, Reconstruction
from sculptlab.training.run import Run
from sculptlab.validation import choice

# Chosen with seed 100 on training images that were held out, for a ring and a checkerboard. Scales finer than the default
# seven resolve the edges of a shape; a high learning rate needs few steps.
KERNEL = IMQ(scales=(0.01, 0.1, 1.0))
SETTINGS: dict[str, Setting] = {
    "fashion_mnist": Setting("fashion_mnist", 2, components=64, steps=400, width=128, batch_size=512, learning_rate=1e-2),
    "digits": Setting("digits", 2, components=40, steps=400, width=128, batch_size=512, learning_rate=1e-2),
}
WEIGHT = {"fashion_mnist": 500.0, "digits": 20.0}  # nats per unit of MMD^2; digits have fewer pixels
WEIGHT_FACTORS = (0.1, 1.0, 10.0)
TARGETS: dict[str, Prior] = {"square": Uniform(2), "ring": Ring(), "two squares": two_squares()}
SHARES, TURNS = (0.0, 0.25, 0.5, 0.75, 1.0), (0, 45, 90, 135)  # of the bar in `ring_with_hand`; turns in degrees
RECORDED_CODES = 1000  # held-out codes of each model that are recorded for figures
SIDE, EDGE = 7, 2.1  # images to a side of a decoded grid; the grid's largest code


def train_to_priors(
    priors: Mapping[str, Prior],
    setting: Setting,
    seeds: Iterable[int],
    *,
    weight: float | None = None,
    plain: bool = True,
    prepared: PreparedImages | None = None,
    **options: Any,
) -> pd.DataFrame:
    """Train an autoencoder to each prior and seed, by a joint MMD^2; a row for each, evaluated on held-out images.

    weight    of MMD^2, in nats per unit; None: that of `WEIGHT`
    plain     add the column relative_error: the error over that of a plain autoencoder with the same seed
    options   those of `run_study`, such as keep
    """
    images, weight = prepared or PreparedImages.of(setting), WEIGHT[setting.data] if weight is None else weight

    def evaluate(prior: Prior, run: Run, seed: int) -> list[dict[str, Any]]:
        measures = prior_measures(run.encode(images.held_out), prior, seed)
        return [{"weight": weight, "reconstruction_mse": images.error(run), **measures}]

    options |= {"columns": "prior", "constant": {"data": setting.data, "dim": setting.dim}}
    frame = run_study(priors, seeds, lambda prior, seed: images.train(MMD(prior, weight, KERNEL), seed), evaluate, **options)
    return over_plain(frame, images) if plain else frame


def over_plain(frame: pd.DataFrame, images: PreparedImages) -> pd.DataFrame:
    """`frame` with the column relative_error: reconstruction_mse over that of a plain autoencoder with the same seed."""
    seeds = frame["seed"].unique().tolist()

    def evaluate(_: str, run: Run, seed: int) -> list[dict[str, Any]]:
        return [{"reconstruction_mse": images.error(run)}]

    plain = run_study(["plain"], seeds, lambda _, seed: images.train(Reconstruction(), seed), evaluate, progress=False)
    return frame.assign(
        relative_error=frame["reconstruction_mse"] / frame["seed"].map(plain.set_index("seed")["reconstruction_mse"])
    )


def decoded_grid(run: Run, prepared: PreparedImages, side: int = SIDE, edge: float = EDGE) -> Tensor:
    """Decoded images (side^2, h, w) in [0, 1] of side x side codes from -edge to edge, the top row first."""
    at, across = torch.linspace(-edge, edge, side, device="cpu", dtype=torch.float32), round(prepared.basis.pixels**0.5)
    places = torch.stack([at.repeat(side), at.flip(0).repeat_interleave(side)], 1)
    return prepared.basis.restore(run.decode(places)).clamp(0, 1).reshape(-1, across, across)


def _images(name: str) -> PreparedImages:
    return PreparedImages.of(SETTINGS[choice("name", name, list(SETTINGS))])


def record_priors(name: str = "fashion_mnist", seeds: Sequence[int] = range(5)) -> Recorded:
    """Train to every prior of `gallery_priors` on the data set `name`; record the scores and the first seed's codes."""
    images = _images(name)
    arrays: dict[str, np.ndarray] = {}

    def keep(prior: str, seed: int, run: Run) -> dict[str, np.ndarray]:
        return {prior: run.encode(images.held_out[:RECORDED_CODES]).numpy().astype(np.float16)} if seed == seeds[0] else {}

    frame = train_to_priors(gallery_priors(), images.setting, seeds, keep=keep, arrays=arrays, prepared=images)
    return record_result(f"priors_{name}", frame, seeds=seeds, settings=_settings(images.setting), arrays=arrays)


def record_topology(name: str = "fashion_mnist", seeds: Sequence[int] = range(5)) -> Recorded:
    """Train to `TARGETS` (connected, with a hole, disconnected) with weights times `WEIGHT_FACTORS` and record the scores."""
    images = _images(name)
    weights = [factor * WEIGHT[name] for factor in WEIGHT_FACTORS]
    frames = [train_to_priors(TARGETS, images.setting, seeds, weight=weight, plain=False, prepared=images) for weight in weights]
    frame = over_plain(pd.concat(frames, ignore_index=True), images)
    settings = {**_settings(images.setting), "weights": weights}
    return record_result(f"priors_topology_{name}", frame, seeds=seeds, settings=settings)


def record_hands(name: str = "fashion_mnist", seed: int = 0) -> Recorded:
    """Train to `ring_with_hand` at each of `SHARES` and `TURNS` and record scores, codes and decoded images.

    Array names: "<share>|<turn>|codes", "...|grid" (uint8), and "labels" of the held-out images.
    """
    images = _images(name)
    hands = {f"{share:g}|{turn}": ring_with_hand(share, np.deg2rad(turn)) for share in SHARES for turn in TURNS}
    arrays = {"labels": np.asarray(train_and_test(images.setting.data)[1].labels, dtype=np.uint8)[:RECORDED_CODES]}

    def keep(hand: str, seed: int, run: Run) -> dict[str, np.ndarray]:
        codes, grid = run.encode(images.held_out[:RECORDED_CODES]), (255 * decoded_grid(run, images)).round()
        return {f"{hand}|codes": codes.numpy().astype(np.float16), f"{hand}|grid": grid.numpy().astype(np.uint8)}

    frame = train_to_priors(hands, images.setting, [seed], keep=keep, arrays=arrays, prepared=images)
    return record_result(f"priors_hands_{name}", frame, seeds=[seed], settings=_settings(images.setting), arrays=arrays)


def _settings(setting: Setting) -> dict[str, Any]:
    return {**vars(setting), "weight": WEIGHT[setting.data], "kernel": repr(KERNEL)}
