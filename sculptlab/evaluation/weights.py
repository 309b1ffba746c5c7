"""How large should a regularizer's weight be? Short runs at several weights, evaluated on held-out images."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import nn
from tqdm.auto import tqdm

from sculptlab.drawing import draw
from sculptlab.evaluation.two_samples import LEAST_ROWS, hold_out
from sculptlab.independence.lps import lps
from sculptlab.mmd import mmd2
from sculptlab.training.loop import fit, fit_to_the_end
from sculptlab.training.objectives import Objective, Reconstruction, as_objective
from sculptlab.training.run import Run
from sculptlab.training.sources import Source, as_source
from sculptlab.validation import as_seed, describe, flag, known_options, number, whole


@dataclass(frozen=True, eq=False)
class WeightCurve:
    """Reconstruction error and independence for each weight; what `find_weight` returns.

    Parameters
    ----------
    frame : pandas.DataFrame
        A row for each weight and seed: weight (0 for the plain autoencoder), seed, reconstruction_mse, relative_error (over the
        plain autoencoder's mean), lps, mmd2 (NaN without a prior).
    tolerance : float
        The largest relative_error - 1 that `best` may have.
    """

    frame: pd.DataFrame
    tolerance: float

    @property
    def means(self) -> pd.DataFrame:
        """The mean over seeds for each weight."""
        return self.frame.groupby("weight")[["reconstruction_mse", "relative_error", "lps", "mmd2"]].mean()

    @property
    def best(self) -> float | None:
        """The weight of least mean LPS among those whose mean relative error is at most 1 + tolerance; None if there is none.

        Of weights whose LPS agrees to 0.001, the one nearest to the prior by MMD^2.
        """
        rows = self.means.drop(index=0.0)
        within = rows[(rows["relative_error"] <= 1 + self.tolerance) & rows["lps"].notna()]
        ranked = within.assign(lps=within["lps"].round(3)).sort_values(["lps", "mmd2"])
        return None if ranked.empty else float(ranked.index[0])

    def __repr__(self) -> str:
        """The means, the best weight, and reasons to distrust it."""
        best, weights = self.best, self.means.index[1:]
        reach = f"within {1 + self.tolerance:.2f}x of the plain autoencoder's"
        if self.means["lps"].drop(index=0.0).isna().all():
            found = ["no best weight: one latent, or none that varies, has no LPS"]
        elif best is None:
            found = [f"no weight keeps the reconstruction error {reach}: try smaller ones"]
        else:
            lps, error = self.means.loc[best, ["lps", "relative_error"]]
            found = [f"best weight: {best:g} (of those whose reconstruction error is {reach}, the least LPS)"]
            if len(weights) > 1 and best in (weights.min(), weights.max()):
                found += [f"it is at the edge of the sweep: try {'smaller' if best == weights.min() else 'larger'} ones too"]
            if lps > 0.1:
                remedy = "more steps, fewer latents or a stronger Predictability()"
                found += [f"its latents are still entangled (LPS {lps:.2f}): {remedy}"]
            if error < 0.95:  # a plain autoencoder that has finished training is hardly ever worse
                found += [f"the plain autoencoder is worse ({error:.2f}x): more steps will change these ratios"]
        return f"{self.means.round(4)}\n" + "\n- ".join(found)

    def plot(self) -> Any:
        """Draw relative reconstruction error and LPS over the weight: means and ranges."""
        return draw("weight_curve", self)


def find_weight(
    objective: Callable[[float], Objective],
    build: Callable[[int], nn.Module],
    data: Any,
    *,
    weights: Sequence[float] = (1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1000.0),
    tolerance: float = 0.1,
    steps: int = 1000,
    seeds: Sequence[int] = (0, 1, 2),
    held_out: float = 0.2,
    progress: bool = True,
    **options: Any,
) -> WeightCurve:
    """Train short runs at several weights, and plain autoencoders beside them, and evaluate all on held-out images.

    By default that is 24 models: seven weights and none, three seeds each. Fewer weights, seeds or steps take less time.

    Parameters
    ----------
    objective : callable
        weight -> Objective, such as `lambda w: MMD(prior, weight=w) + Predictability()`.
    build : callable
        seed -> an untrained model.
    data : Dataset or array_like
        The *training* set; part of it is held out. A test set has no place here.
    weights, seeds : sequence of float > 0, sequence of int
        A run is trained for each weight and seed.
    tolerance : float
        The relative increase of the reconstruction error that is acceptable.
    held_out : float
        Share of the images that are not trained on, the same ones throughout.
    progress : bool
        Whether a progress bar is shown.
    steps, **options : Any
        Of `fit`, such as batch_size, learning_rate or device; a checkpoint is not among them.

    Returns
    -------
    WeightCurve
        LPS ("mlp") of up to 2,000 held-out codes (means of a stochastic encoder) and their MMD^2 to the objective's prior.

    Raises
    ------
    ValueError
        For a share that leaves fewer than 20 rows on either side, or a `build` that returns the same model again.
    """
    all_seeds = [as_seed("seeds", seed) for seed in np.atleast_1d(seeds)]
    known_options(find_weight, options, fit, taken=("seed", "checkpoint"))  # each of the models has its own
    if not callable(objective) or not callable(build) or isinstance(build, nn.Module):
        raise TypeError(
            "objective must be a function of the weight and build one of the seed that makes a new model, such as "
            "lambda w: MMD(prior, w) and lambda seed: build_autoencoder(..., seed=seed); got "
            f"{describe(objective)} and {describe(build)}"
        )
    all_weights = [number("weights", weight, above=0) for weight in np.atleast_1d(weights)]
    whole("number of weights", len(all_weights))
    whole("number of seeds", len(all_seeds))
    tolerance = number("tolerance", tolerance, least=0)
    images = as_source(data)
    kept, aside = hold_out(images.rows or 0, held_out)
    training, unseen = images.subset(kept), images.subset(aside)
    if min(len(kept), len(aside)) < LEAST_ROWS:
        raise ValueError(
            f"held_out must leave at least {LEAST_ROWS} rows of data on either side, got {held_out:g}, which leaves "
            f"{len(kept)} to train on and {len(aside)} to evaluate: take another share, or more rows"
        )
    first = as_objective(objective(all_weights[0]))
    probe = build(all_seeds[0])
    first.check(probe)  # before the plain autoencoder is trained in vain
    if build(all_seeds[0]) is probe:  # each run would continue the one before it
        raise ValueError("build must make a new model at each call, got the same one twice")
    plain = Reconstruction(likelihood=first.likelihood)
    rows = []
    grid = [(weight, seed) for weight in (0.0, *sorted(all_weights)) for seed in all_seeds]
    for weight, seed in tqdm(grid, disable=not flag("progress", progress), unit="model"):
        goal = plain if weight == 0 else objective(weight)
        run = fit_to_the_end(build(seed), training, goal, steps=steps, seed=seed, progress=False, **options)
        rows.append({"weight": weight, "seed": seed, **_evaluate(run, unseen, first)})
    frame = pd.DataFrame(rows)
    frame["relative_error"] = frame["reconstruction_mse"] / frame.loc[frame["weight"] == 0, "reconstruction_mse"].mean()
    return WeightCurve(frame, tolerance)


def _evaluate(run: Run, images: Source, objective: Objective) -> dict[str, float]:
    codes = run.encode(images.subset(torch.arange(min(2000, images.rows or 0), device="cpu")))
    found = {"reconstruction_mse": run.reconstruction_error(images), "lps": float("nan"), "mmd2": float("nan")}
    if codes.shape[1] > 1:
        found["lps"] = lps(codes, "mlp", permutations=0, seed=run.seed).score
    if (prior := objective.prior_for(codes.shape[1])) is not None:
        found["mmd2"] = mmd2(codes, prior.sample(len(codes), generator=torch.Generator().manual_seed(0))).item()
    return found
