"""How large a weight? A short sweep of a regularizer's weight, judged on images that were held out from the training set."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import pandas as pd
import torch
from torch import nn
from tqdm.auto import tqdm

from sculptlab.drawing import draw
from sculptlab.independence.lps import lps
from sculptlab.mmd.distance import mmd2
from sculptlab.training.batches import as_images
from sculptlab.training.loop import fit
from sculptlab.training.objectives import Objective, Reconstruction, as_objective
from sculptlab.validation import number, whole

WEIGHTS = (1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1000.0)
ENTANGLED, UNFINISHED = 0.1, 0.95  # an LPS that is said aloud; a ratio that a finished plain autoencoder hardly leaves room for
ROWS, LEAST_ROWS = 2000, 20  # held-out codes that are judged: the most, and what LPS needs


@dataclass(frozen=True, eq=False)
class WeightCurve:
    """What each weight costs and gives: a row per weight and seed, the plain autoencoder's rows at weight 0.

    frame      columns weight, seed, reconstruction_mse, ratio (to the plain autoencoder's mean), lps, mmd2 (NaN without prior)
    tolerance  the largest ratio - 1 that `best` may have
    """

    frame: pd.DataFrame
    tolerance: float

    @property
    def means(self) -> pd.DataFrame:
        """The mean over seeds for each weight."""
        return self.frame.groupby("weight")[["reconstruction_mse", "relative_error", "lps", "mmd2"]].mean()

    @property
    def best(self) -> float | None:
        """The weight of the least mean LPS among those whose mean ratio is at most 1 + tolerance; None if there is none.

        Of weights whose LPS agrees to 0.001, it is the one nearest to the prior by MMD^2.
        A weight without an LPS (one latent, or none that varies) is not among them.
        """
        rows = self.means.drop(index=0.0)
        within = rows[(rows["relative_error"] <= 1 + self.tolerance) & rows["lps"].notna()]
        ranked = within.assign(lps=within["lps"].round(3)).sort_values(["lps", "mmd2"])
        return None if ranked.empty else float(ranked.index[0])

    def __repr__(self) -> str:
        reach = f"within {1 + self.tolerance:.2f}x of the plain autoencoder's"
        if self.best is not None:
            words = f"best weight: {self.best:g} (of those whose reconstruction error is {reach}, the least LPS)"
            words += self._caveats(self.best)
        elif self.means["lps"].drop(index=0.0).isna().all():
            words = "no best weight: one latent, or none that varies, has no LPS"
        else:
            words = f"no weight keeps the reconstruction error {reach}: try smaller ones"
        return f"{self.means.round(4)}\n{words}"

    def _caveats(self, best: float) -> str:
        """What the best weight does not say of itself."""
        weights, row = self.means.index[1:], self.means.loc[best]
        edge = {weights.min(): "smaller", weights.max(): "larger"}.get(best) if len(weights) > 1 else None
        found = [f"it is at the edge of the sweep: try {edge} ones too"] if edge else []
        if row["lps"] > ENTANGLED:
            remedy = "more steps, fewer latents or a stronger Predictability()"
            found.append(f"its latents are still entangled (LPS {row['lps']:.2f}): {remedy}")
        if row["relative_error"] < UNFINISHED:
            found.append(f"the plain autoencoder is worse ({row['relative_error']:.2f}x): more steps will change the ratios")
        return "".join(f"\n- {words}" for words in found)

    def plot(self) -> Any:
        """Two panels over the weight: the price (ratio of reconstruction errors) and the gain (LPS), means and ranges."""
        return draw("weight_curve", self)


def find_weight(
    objective: Callable[[float], Objective],
    build: Callable[[int], nn.Module],
    data: Any,
    *,
    weights: Iterable[float] = WEIGHTS,
    tolerance: float = 0.1,
    steps: int = 1000,
    seeds: Iterable[int] = (0, 1, 2),
    held_out: float = 0.2,
    progress: bool = True,
    **options: Any,
) -> WeightCurve:
    """Train a short run at every weight and seed, and the plain autoencoder beside them, and judge all on held-out rows.

    By default that is 24 models: seven weights and none, three seeds each. Fewer `weights`, `seeds` or `steps` take less time.

    objective  weight -> Objective, such as `lambda w: MMD(prior, weight=w) + Predictability()`
    build      seed -> an untrained model
    data       a Dataset or images: the *training* set; `held_out` of it (a share, the same rows throughout) is not trained on. A
               test set has no place here.
    weights    > 0, in any order. tolerance: how much worse the reconstruction may get, as a share of the plain one.
    options    go to `fit` (batch_size, learning_rate, device …)
    LPS is that of up to 2,000 held-out codes (a stochastic encoder's means), "mlp"; MMD^2 theirs to the objective's prior.
    Raises ValueError for no weights or none above 0, no seeds, a share that leaves fewer than 20 rows on either side, or a
    `build` that returns one model again.
    """
    if not callable(objective) or not callable(build) or isinstance(build, nn.Module):
        raise TypeError(
            "objective must be a function of the weight and build one of the seed that makes a new model, such as "
            f"lambda w: MMD(prior, w) and lambda seed: build_autoencoder(..., seed=seed); got {objective!r} and {build!r}"
        )
    chosen = [number("weights", weight, above=0) for weight in _several("weights", weights, "numbers")]
    every_seed = [whole("seeds", seed, least=0) for seed in _several("seeds", seeds, "whole numbers")]
    total, allowed = whole("steps", steps), number("tolerance", tolerance, least=0)
    images, judged = _parts(data, number("held_out", held_out, above=0))
    sought = as_objective(objective(chosen[0]))
    probe = build(every_seed[0])
    sought.check(probe)  # before the plain autoencoder trains for nothing
    if build(every_seed[0]) is probe:  # every run would go on where the one before it stopped
        raise ValueError("build must make a new model at each call, got the same one twice")
    plain = Reconstruction(likelihood=sought.likelihood)
    grid = [(weight, seed) for weight in (0.0, *sorted(chosen)) for seed in every_seed]
    rows = []
    for weight, seed in tqdm(grid, disable=not progress, unit="model"):
        goal = plain if weight == 0 else objective(weight)
        run = fit(build(seed), images, goal, steps=total, seed=seed, progress=False, **options)
        rows.append({"weight": weight, "seed": seed, **_judged(run, judged, sought)})
    frame = pd.DataFrame(rows)
    frame["relative_error"] = frame["reconstruction_mse"] / frame.loc[frame["weight"] == 0, "reconstruction_mse"].mean()
    return WeightCurve(frame, allowed)


def _several(name: str, values: Any, words: str) -> list[Any]:
    """`values` as a list of one or more."""
    if not isinstance(values, Iterable):
        raise TypeError(f"{name} must be one or more {words}, such as ({values!r},), got {values!r}")
    found = list(values)
    if not found:
        raise ValueError(f"{name} must be one or more {words}, got none")
    return found


def _parts(data: Any, share: float) -> tuple[torch.Tensor, torch.Tensor]:
    images = as_images(data)
    aside = round(share * len(images))
    if len(images) < 2 * LEAST_ROWS:
        raise ValueError(f"data must have at least {2 * LEAST_ROWS} rows, {LEAST_ROWS} of them held out, got {len(images)}")
    if not LEAST_ROWS <= aside <= len(images) - LEAST_ROWS:
        least = LEAST_ROWS / len(images)
        raise ValueError(
            f"held_out must leave at least {LEAST_ROWS} of the {len(images)} rows on either side, got {share:g}: "
            f"take a share from {least:.3g} to {1 - least:.3g}"
        )
    order = torch.randperm(len(images), generator=torch.Generator().manual_seed(0))
    return images[order[aside:]], images[order[:aside]]


def _judged(run: Any, images: torch.Tensor, objective: Objective) -> dict[str, float]:
    codes = run.encode(images[:ROWS])
    prior = objective.prior_for(codes.shape[1])
    far = float("nan")
    if prior is not None:
        far = mmd2(codes, prior.sample(len(codes), generator=torch.Generator().manual_seed(0))).item()
    score = lps(codes, permutations=0, seed=run.seed).score if codes.shape[1] > 1 else float("nan")
    return {"reconstruction_mse": run.reconstruction_error(images), "lps": score, "mmd2": far}
