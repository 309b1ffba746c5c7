"""Sample quality: decoded draws of N(0, I) against held-out images, for codes shaped in training and after it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import pandas as pd
import torch
from torch import Tensor, nn

from sculptlab.evaluation.two_samples import c2st, precision_recall
from sculptlab.priors import Gaussian
from sculptlab.reshaping.flows import SplineFlow
from sculptlab.reshaping.maps import Chain, Columns, Linear
from sculptlab.reshaping.models import ReshapedModel
from sculptlab.series.results import Recorded, read_result, record_result
from sculptlab.series.studies.evaluators import lps_scores
from sculptlab.series.studies.runner import run_study
from sculptlab.series.studies.settings import PreparedImages, Setting, train_autoencoder
from sculptlab.training.objectives import KL, MMD, Objective, Reconstruction, as_objective
from sculptlab.training.run import Run

SETTING = Setting("fashion_mnist", 16, components=64, steps=1000, width=128)
ROWS = 2500  # images of each sample
LEADING = 16  # principal components of the images, the leading ones, in which samples are compared: as many as latents
# Chosen with seed 0 and 1,500 steps, as the value whose samples had the least C2ST accuracy against training images that were
# held out: the weight of the KL term of a VAE (of 0.03, 0.1, 0.3, 1), of that of the second VAE (of 0.03, 0.1, 0.3), and of
# MMD^2 (of 100, 1000).
BETA, SECOND_BETA, WEIGHT = 0.3, 0.1, 100.0
MAX_ITER = 300  # steps of `Reshaper`
SAMPLED = ("plain", "VAE", "MMD")
Wrap = Callable[[nn.Module], nn.Module] | None  # what becomes of an untrained model


def sample_conditions(dim: int) -> dict[str, tuple[Objective, Wrap]]:
    """How the models that are drawn from are trained, by the names they get in the table."""
    return {
        "plain": (Reconstruction(), None),
        "VAE": (KL(beta=BETA), None),
        "MMD": (MMD(Gaussian(dim), WEIGHT), None),
        "MMD, map inside": (as_objective(through_map(MMD(Gaussian(dim), WEIGHT))), with_map),
    }


def sample_study(
    images: PreparedImages, conditions: Mapping[str, tuple[Objective, Wrap]], seeds: Iterable[int], **options: Any
) -> pd.DataFrame:
    """Train every condition with every seed; a row for each way to draw images.

    Half of the held-out images are the reference. From the other half come the controls "other images" and "reconstructions" (by
    the plain autoencoder); every other condition decodes as many draws of N(0, I). A plain autoencoder is drawn from in three
    ways: through a linear map that gives the draws the mean and covariance of its training codes ("plain, linear"), through a
    second VAE of its codes ("plain, second VAE"), and through the inverse map of `Reshaper` ("plain, reshaped").

    Columns: `sample_quality`; and where the model has codes of held-out images that should follow N(0, I), c2st and LPS of them.
    """

    def train(name: str, seed: int) -> Run:
        objective, wrap = conditions[name]
        return images.train(objective, seed, wrap)

    def evaluate(name: str, run: Run, seed: int) -> list[dict[str, Any]]:
        reference, others = images.held_out[: 2 * ROWS].chunk(2)
        drawn = Gaussian(images.setting.dim).sample(len(others), torch.Generator().manual_seed(seed))
        error = images.error(run)
        made: dict[str, Tensor] = {name: run.decode(drawn)}
        codes = {name: run.codes(others, seed=seed)}
        if name == "plain":
            reshaped = run.reshape("gaussian", images.training, seed=seed, max_iter=MAX_ITER)
            z = run.encode(images.training)
            made = {
                "other images": others,
                "reconstructions": run.reconstruct(others),
                "plain, linear": run.decode(drawn @ torch.linalg.cholesky(z.T.cov()).T + z.mean(0)),
                "plain, second VAE": run.decode(second_stage(z, images.setting, seed)(drawn)),
                "plain, reshaped": reshaped.decode(drawn),
            }
            codes = {"reconstructions": codes["plain"], "plain, reshaped": reshaped.codes(others)}
        return [
            {
                "condition": condition, "rows": len(others), **sample_quality(x, reference, seed),
                "reconstruction_mse": math.nan if condition == "other images" else error,
                **code_quality(codes.get(condition), seed),
            }
            for condition, x in made.items()
        ]  # fmt: skip

    constant = {"data": images.setting.data, "dim": images.setting.dim}
    frame = run_study(list(conditions), seeds, train, evaluate, constant=constant, **options)
    plain = frame[frame["condition"] == "reconstructions"].set_index("seed")["reconstruction_mse"]
    return frame.assign(relative_error=frame["reconstruction_mse"] / frame["seed"].map(plain))


def sample_quality(made: Tensor, reference: Tensor, seed: int = 0) -> dict[str, float]:
    """C2ST accuracy, precision and recall of components of images (n, k) against those of real images, in the leading ones."""
    x, y = made[:, :LEADING], reference[:, :LEADING]
    precision, recall = precision_recall(x, y)
    return {"samples_c2st": c2st(x, y, seed).accuracy, "precision": precision, "recall": recall}


def code_quality(codes: Mapping[str, Tensor] | None, seed: int = 0) -> dict[str, float]:
    """C2ST accuracy against N(0, I) and LPS of codes: of a stochastic encoder, of its samples."""
    if codes is None:
        return {}
    z = codes["samples" if "samples" in codes else "codes"]
    drawn = Gaussian(z.shape[1]).sample(len(z), torch.Generator().manual_seed(1000 + seed))
    return {"c2st": c2st(z, drawn, seed).accuracy, **lps_scores(z, ("mlp",), seed=seed), "evaluated": len(z)}


def second_stage(codes: Tensor, setting: Setting, seed: int, beta: float = SECOND_BETA) -> Callable[[Tensor], Tensor]:
    """A VAE of standardized codes (n, d), with d latents (Dai and Wipf 2019); returns draws of N(0, I) -> draws of codes.

    beta is the variance of its Gaussian decoder, whose noise is added.
    """
    mean, std = codes.mean(0), codes.std(0)
    run = train_autoencoder(
        (codes - mean) / std, KL(beta=beta), dim=codes.shape[1], steps=setting.steps, width=setting.width, seed=seed,
        output="linear", stochastic=True,
    )  # fmt: skip

    def draw(drawn: Tensor) -> Tensor:
        noise = torch.randn(drawn.shape, generator=torch.Generator().manual_seed(seed), dtype=drawn.dtype, device="cpu")
        return mean + std * (run.decode(drawn) + beta**0.5 * noise)

    return draw


def with_map(model: Any) -> ReshapedModel:
    """An untrained autoencoder with an untrained spline flow after its encoder, and the flow's inverse before its decoder."""
    dim = model.dim
    none, identity = torch.zeros(dim, 0, dtype=torch.float32, device="cpu"), torch.eye(dim, dtype=torch.float32, device="cpu")
    flow = SplineFlow(dim, layers=4, hidden_size=64, seed=0)
    found = ReshapedModel(model, Chain([Columns([*range(dim)], [], none, none[0]), flow]), Linear(identity[0] * 0, identity))
    for part in (found.map, found.prior_map):
        part.float()
    return found


def through_map(objective: MMD) -> Callable[..., dict[str, Tensor]]:
    """The loss of `objective` with the codes of a `ReshapedModel`, for training it from the start.

    The map and its inverse cancel between encoder and decoder, so the reconstruction is computed without them.
    """

    def loss(model: Any, images: Tensor, generator: torch.Generator | None) -> dict[str, Tensor]:
        inner = model.model.encode(images)
        reconstruction = 0.5 * (model.model.decode(inner) - images).square().sum() / len(images)
        codes = model.map(inner)[0]
        drawn = objective.prior_for(codes.shape[1]).sample(len(codes), generator)
        name, distance = objective.distance(codes, drawn, generator)
        return {"loss": reconstruction + objective.weight * distance, "reconstruction": reconstruction, name: distance}

    return loss


def record_samples(seeds: Sequence[int] = range(1, 6)) -> Recorded:
    """Run the study of `SAMPLED` on Fashion-MNIST and record it as "samples_fashion_mnist"."""
    conditions = sample_conditions(SETTING.dim)
    frame = sample_study(PreparedImages.of(SETTING), {name: conditions[name] for name in SAMPLED}, seeds)
    return record_result("samples_fashion_mnist", frame, seeds=seeds, settings=_settings())


def record_map_inside(seeds: Sequence[int] = range(1, 6)) -> Recorded:
    """Run the other condition, training with the map inside, and record it as "map_inside_fashion_mnist".

    relative_error is relative to the plain autoencoders of `record_samples` with the same seeds.
    """
    conditions = sample_conditions(SETTING.dim)
    others = {name: condition for name, condition in conditions.items() if name not in SAMPLED}
    frame = sample_study(PreparedImages.of(SETTING), others, seeds)
    plain = read_result("samples_fashion_mnist").frame.query("condition == 'reconstructions'").set_index("seed")
    relative = frame["reconstruction_mse"] / frame["seed"].map(plain["reconstruction_mse"])
    return record_result("map_inside_fashion_mnist", frame.assign(relative_error=relative), seeds=seeds, settings=_settings())


def _settings() -> dict[str, Any]:
    chosen = {"beta": BETA, "second_beta": SECOND_BETA, "weight": WEIGHT, "max_iter": MAX_ITER, "leading": LEADING}
    return {**vars(SETTING), **chosen}
