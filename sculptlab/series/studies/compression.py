"""Does it pay to shape codes before they are quantized? Priors, a VAE and no shape at all, at equal real rates."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from tqdm.auto import tqdm

from sculptlab.evaluation.compression import LEVELS, RoundedCodes, rate_distortion
from sculptlab.priors import Gaussian, Prior, Uniform
from sculptlab.series.results import Recorded, write
from sculptlab.series.studies.sculpting import Prepared, Setting
from sculptlab.training.loop import fit
from sculptlab.training.models import build_autoencoder
from sculptlab.training.objectives import KL, MMD, Objective, Predictability, Reconstruction
from sculptlab.training.run import Run
from sculptlab.validation import choice

SHAPE, GAME = 10.0, 0.1  # nats: of marginal MMD^2 per latent, enough for a uniform's kurtosis; of the game, which bends shapes
BITS = tuple(range(1, 9))
AWARE = (1, 2, 3)  # bits of the models that are trained with rounded codes, each for its own
COMPRESSIONS: dict[str, Setting] = {
    "fashion_mnist": Setting("fashion_mnist", 10, components=128, betas=(0.01, 0.03, 0.1)),
    "digits": Setting("digits", 4, components=40, width=128, betas=(0.01, 0.03, 0.1)),
}
RATES = (12, 20, 30, 40, 50, 60)  # bits per image


def shaped(prior: Prior) -> Objective:
    """Each latent alone to its place in a prior of independent latents, by MMD, and the game that makes them independent."""
    return MMD(prior, SHAPE, views="marginal") + Predictability(GAME)


def arms(dim: int, betas: Iterable[float]) -> dict[str, Objective]:
    """The objectives that are compared at `dim` latents, by name; "independent" is the shaped ones' game without a shape."""
    return {
        "uniform": shaped(Uniform(dim)),
        "gaussian": shaped(Gaussian(dim)),
        **{f"beta {beta:g}": KL(beta=beta) for beta in betas},
        "independent": Predictability(GAME),
        "none": Reconstruction(),
    }


def compress(
    setting: Setting,
    seeds: Iterable[int],
    *,
    bits: Sequence[int] = BITS,
    aware: Sequence[int] = AWARE,
    progress: bool = True,
    prepared: Prepared | None = None,
) -> pd.DataFrame:
    """Train every arm and seed; the columns of `rate_distortion` beside arm, seed and kurtosis of the held-out codes (mean).

    Every arm is read with all of `LEVELS`, the box only if it was shaped uniform. "uniform, aware" and "none, aware" are trained
    with codes rounded in that box (`RoundedCodes`), a model for each of `aware`. Errors are per pixel of whole images, what the
    principal components lose included.
    """
    prepared = prepared or Prepared.of(setting)
    goals = arms(setting.dim, setting.betas)
    frames = []
    for seed in tqdm(list(seeds), disable=not progress, unit="seed"):
        for name, objective in goals.items():
            run = prepared.train(objective, seed)
            for levels in LEVELS if name == "uniform" else LEVELS[1:]:
                frames.append(_curve(prepared, run, bits, levels).assign(arm=name, seed=seed))
        for name, k in [(name, k) for name in ("uniform", "none") for k in aware]:
            run = _train_aware(prepared, goals[name], k, seed)
            frames.append(_curve(prepared, run, [k], "box").assign(arm=f"{name}, aware", seed=seed))
    return pd.concat(frames, ignore_index=True)


def _train_aware(prepared: Prepared, objective: Objective, bits: int, seed: int) -> Run:
    at, box = prepared.setting, Uniform(prepared.setting.dim)
    model = build_autoencoder(
        "mlp", image_shape=(at.components,), dim=at.dim, width=at.width, output="linear", seed=seed
    )  # fmt: skip
    rounded = RoundedCodes(model, bits, box.low, box.high)
    return fit(rounded, prepared.training, objective, steps=at.steps, batch_size=at.batch_size, seed=seed, progress=False)


def _curve(prepared: Prepared, run: Run, bits: Sequence[int], levels: str) -> pd.DataFrame:
    box = Uniform(prepared.setting.dim)
    support = (box.low, box.high) if levels == "box" else None
    frame = rate_distortion(run, prepared.training, prepared.held_out, bits, levels=levels, support=support)
    share = prepared.setting.components / prepared.basis.pixels
    for column in ("mse", "unquantized"):
        frame[column] = frame[column] * share + prepared.lost
    z = run.encode(prepared.held_out)
    centered = (z - z.mean(0)) / z.std(0).clamp_min(1e-12)
    return frame.assign(kurtosis=centered.pow(4).mean().item())


def family(arm: str) -> str:
    """The arm that a name belongs to: every beta is "KL"."""
    return "KL" if arm.startswith("beta ") else arm


def at_rates(frame: pd.DataFrame, rates: Iterable[float] = RATES, *, rate: str = "coded") -> pd.DataFrame:
    """The least error of each arm and seed at given rates: a row per arm, seed and rate, with the error `mse` and its curve.

    Between two measured rates of a curve (one objective, one kind of levels) log mse is taken as a line; where no curve of an arm
    reaches a rate there is no row. Every arm takes the best of its curves: kinds of levels and, for the VAE, betas as well.
    rate: the column of rates. Fixed lengths ("nominal") leave "step" out, whose many levels are meant for a coder.
    """
    choice("rate", rate, ("nominal", "coded", "stream", "entropy"))
    wanted = list(rates)
    used = frame[frame["levels"] != "step"] if rate == "nominal" else frame
    rows = []
    for (name, levels, seed), curve in used.groupby(["condition", "levels", "seed"], sort=False):
        ordered = curve.sort_values(rate)
        x, y = ordered[rate].to_numpy(), np.log(ordered["mse"].to_numpy())
        common = {"condition": family(str(name)), "seed": seed, "curve": f"{name}, {levels}"}
        rows += [{**common, "rate": r, "mse": float(np.exp(np.interp(r, x, y)))} for r in wanted if x[0] <= r <= x[-1]]
    found = pd.DataFrame(rows, columns=["condition", "seed", "curve", "rate", "mse"])
    return found.loc[found.groupby(["condition", "seed", "rate"], sort=False)["mse"].idxmin()].reset_index(drop=True)


def against(frame: pd.DataFrame, arm: str, rates: Iterable[float] = RATES, *, rate: str = "coded") -> pd.DataFrame:
    """Error over that of `arm` at the same seed and rate (1: as good), a row for each arm and rate: mean, min, max over seeds."""
    table = at_rates(frame, rates, rate=rate).pivot(index=["condition", "rate"], columns="seed", values="mse")
    base = table.loc[choice("condition", arm, sorted(set(table.index.get_level_values("condition"))))]
    ratio = table.div(base.reindex(table.index.get_level_values("rate")).to_numpy())
    return ratio.agg(["mean", "min", "max"], axis=1).dropna()


def record_compression(name: str = "fashion_mnist", seeds: Sequence[int] = range(5)) -> Recorded:
    """Run the compression study `name` (of `COMPRESSIONS`) and record it: every arm, all levels, 1 to 8 bits."""
    setting = COMPRESSIONS[choice("name", name, list(COMPRESSIONS))]
    return write(f"compression_{name}", compress(setting, seeds), seeds=list(seeds), settings=_settings(setting))


def _settings(setting: Setting) -> Mapping[str, Any]:
    return {**vars(setting), "shape": SHAPE, "predictability": GAME, "bits": BITS, "aware": AWARE}
