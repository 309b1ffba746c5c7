"""Does it pay to shape codes before they are quantized? Priors, a VAE and plain codes, compared at equal coded rates."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd
from torch import Tensor, nn

from sculptlab.evaluation.compression import LEVELS, rate_distortion
from sculptlab.priors import Gaussian, Prior, Uniform
from sculptlab.series.results import Recorded, order_columns, record_result
from sculptlab.series.studies.evaluators import mean_kurtosis
from sculptlab.series.studies.runner import run_study
from sculptlab.series.studies.settings import PreparedImages, Setting
from sculptlab.training.objectives import KL, MMD, Objective, Predictability, Reconstruction
from sculptlab.training.run import Run
from sculptlab.validation import choice, number, whole

# weights in nats: of the marginal MMD^2 of each latent, large enough for the kurtosis of a uniform distribution; of the
# predictability penalty, small enough to leave the marginals as they are
MARGINAL_WEIGHT, PENALTY_WEIGHT = 10.0, 0.1
BITS = tuple(range(1, 9))
TRAINED_BITS = (1, 2, 3)  # of the models that are trained with quantized codes
COMPRESSIONS: dict[str, Setting] = {
    "fashion_mnist": Setting("fashion_mnist", 10, components=128, betas=(0.01, 0.03, 0.1)),
}
RATES = (12, 20, 30, 40, 50, 60)  # bits per image
AWARE = ", quantization-aware"  # ends the names of models that are trained with quantized codes


class RoundedCodes(nn.Module):
    """A model whose decoder first rounds codes to 2^bits equal steps over [low, high], for quantization-aware training.

    Rounding has slope 0 nearly everywhere, so gradients pass straight through it: inside the range as if codes were not rounded,
    outside they are 0 (the straight-through estimator, Bengio et al. 2013, arXiv 1308.3432). Objectives see the codes before
    rounding. Measure the result by `rate_distortion` with levels="box" and the same bits.

    Parameters
    ----------
    model : torch.nn.Module
        An autoencoder with a deterministic encoder: the noise of a stochastic one already has the effect of rounding.
    bits : int
        At least 1.
    low, high : float
        The range, low < high.
    """

    stochastic = False

    def __init__(self, model: Any, bits: int, low: float, high: float) -> None:
        super().__init__()
        if getattr(model, "stochastic", False):
            raise ValueError("model must have a deterministic encoder: build_autoencoder(..., stochastic=False)")
        self.model, self.dim = model, model.dim
        for name in ("image_shape", "output"):  # what the model says of its images
            if hasattr(model, name):
                setattr(self, name, getattr(model, name))
        self.size = 2 ** whole("bits", bits)
        self.low, self.high = number("low", low), number("high", high, above=number("low", low))

    def encode(self, images: Tensor) -> Tensor:
        """The codes (n, d) of images (n, *image_shape), not rounded."""
        return self.model.encode(images)

    def decode(self, codes: Tensor) -> Tensor:
        """The images (n, *image_shape) of codes (n, d) rounded to the nearest levels, with the gradient of clamped codes."""
        step = (self.high - self.low) / self.size
        symbols = ((codes.detach() - self.low) / step).floor().clamp(0, self.size - 1)
        within = codes.clamp(self.low, self.high)
        return self.model.decode(within + (self.low + step * (symbols + 0.5) - within).detach())


def shaped_objective(prior: Prior) -> Objective:
    """Marginal MMD of each latent to a prior of independent latents, and the predictability penalty."""
    return MMD(prior, MARGINAL_WEIGHT, views="marginal") + Predictability(PENALTY_WEIGHT)


def compression_objectives(dim: int, betas: Iterable[float]) -> dict[str, Objective]:
    """The objectives that are compared at `dim` latents, by the names they get in the table."""
    return {
        "uniform": shaped_objective(Uniform(dim)),
        "gaussian": shaped_objective(Gaussian(dim)),
        **{f"beta {beta:g}": KL(beta=beta) for beta in betas},
        "predictability": Predictability(PENALTY_WEIGHT),
        "no regularizer": Reconstruction(),
    }


def compression_study(
    images: PreparedImages, seeds: Sequence[int], *, bits: Sequence[int], trained_bits: Sequence[int], **options: Any
) -> pd.DataFrame:
    """Train every objective and seed; rows of `rate_distortion` for each rule for the levels and number of bits.

    The rule "box" is for uniform codes alone. The conditions "uniform, quantization-aware" and "no regularizer,
    quantization-aware" are trained with codes rounded in that box (`RoundedCodes`), a model for each of `trained_bits`.
    Errors are per pixel of whole images, what the principal components lose included.
    """
    setting, box = images.setting, Uniform(images.setting.dim)
    objectives = compression_objectives(setting.dim, setting.betas)

    def curve(run: Run, bits: Sequence[int], levels: str) -> list[dict[Any, Any]]:
        support = (box.low, box.high) if levels == "box" else None
        frame = rate_distortion(run, images.training, images.held_out, bits, levels=levels, support=support)
        errors = {column: images.error_per_pixel(frame[column]) for column in ("mse", "unquantized")}
        return frame.assign(**errors, kurtosis=mean_kurtosis(run.encode(images.held_out))).to_dict("records")

    def evaluate(name: str, run: Run, _: int) -> list[dict[Any, Any]]:
        return [row for levels in LEVELS if levels != "box" or name == "uniform" for row in curve(run, bits, levels)]

    def train_aware(condition: tuple[str, int], seed: int) -> Run:
        name, k = condition
        return images.train(objectives[name], seed, wrap=lambda model: RoundedCodes(model, k, box.low, box.high))

    options["constant"] = {"data": setting.data, "dim": setting.dim}
    plain = run_study(list(objectives), seeds, lambda name, seed: images.train(objectives[name], seed), evaluate, **options)
    grid = {(name + AWARE, k): (name, k) for name in ("uniform", "no regularizer") for k in trained_bits}
    options["columns"] = ("condition", "bits")
    aware = run_study(grid, seeds, train_aware, lambda condition, run, _: curve(run, [condition[1]], "box"), **options)
    return order_columns(pd.concat([plain, aware], ignore_index=True))


def at_rates(frame: pd.DataFrame, rates: Sequence[float] | np.ndarray = RATES, *, rate: str = "coded") -> pd.DataFrame:
    """The least error of each condition and seed at given rates: a row for each, with the error `mse` and its curve.

    A curve is one objective and one rule for the levels. Between two of its rates log mse is interpolated linearly; outside
    its rates it has no value. The condition "KL" takes the best of all betas. `rate` is the column of rates; symbols of
    fixed length ("nominal") leave out the rule "step", whose many levels are made for an entropy coder.
    """
    choice("rate", rate, ("nominal", "coded", "stream", "entropy"))
    used = frame[frame["levels"] != "step"] if rate == "nominal" else frame
    rows = []
    for (name, levels, seed), curve in used.groupby(["condition", "levels", "seed"], sort=False):
        ordered = curve.sort_values(rate)
        x, y = ordered[rate].to_numpy(), np.log(ordered["mse"].to_numpy())
        kind, words = "KL" if name.startswith("beta ") else name, f"{name}, {levels}"
        rows += [(kind, seed, words, r, float(np.exp(np.interp(r, x, y)))) for r in rates if x[0] <= r <= x[-1]]
    found = pd.DataFrame(rows, columns=["condition", "seed", "curve", "rate", "mse"])
    return found.loc[found.groupby(["condition", "seed", "rate"], sort=False)["mse"].idxmin()].reset_index(drop=True)


def record_compression(name: str = "fashion_mnist", seeds: Sequence[int] = range(5)) -> Recorded:
    """Run the compression study `name` (of `COMPRESSIONS`) and record it: every objective, all levels, 1 to 8 bits."""
    setting = COMPRESSIONS[choice("name", name, list(COMPRESSIONS))]
    weights = {"marginal_weight": MARGINAL_WEIGHT, "predictability_weight": PENALTY_WEIGHT}
    bits: dict[str, Any] = {"bits": BITS, "trained_bits": TRAINED_BITS}
    frame = compression_study(PreparedImages.of(setting), seeds, **bits)
    return record_result(f"compression_{name}", frame, seeds=seeds, settings={**vars(setting), **weights, **bits})
