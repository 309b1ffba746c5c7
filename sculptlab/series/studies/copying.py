"""Studies of latent copying: across seeds, architectures and data sets, with and without anchors, beside its baselines."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import pandas as pd
import torch
from torch import Tensor

from sculptlab.evaluation.copy_measures import alignment_error, compare, paired_distances, relative
from sculptlab.evaluation.copying import ANCHOR_WEIGHT, LEARNING_RATE, WEIGHT, copying_objective
from sculptlab.priors import Gaussian
from sculptlab.series.results import Recorded, record_result
from sculptlab.series.studies.runner import run_study
from sculptlab.series.studies.settings import train_and_test, train_autoencoder
from sculptlab.training.latent_units import Units
from sculptlab.training.objectives import MMD, Anchors, Objective, Reconstruction
from sculptlab.training.run import Run
from sculptlab.validation import SEEDS


@dataclass(frozen=True)
class CopySetting:
    """Two plain autoencoders: model A, whose codes are copied, and model B.

    source_data, source_kind   data set and network of A; data and kind are those of B
    widths                     of A and of B
    rows                       number of training images; None: all
    evaluated                  number of held-out images: half for B, half as the sample of A's codes to compare with
    gaussian_source            A's codes are matched to N(0, I) by MMD, which no rotation changes
    """

    source_data: str
    data: str
    source_kind: str = "mlp"
    kind: str = "mlp"
    dim: int = 4
    steps: int = 2000
    widths: tuple[int, int] = (128, 128)
    rows: int | None = None
    evaluated: int = 2000
    gaussian_source: bool = False


COPIES: dict[str, CopySetting] = {
    "another seed": CopySetting("fashion_mnist", "fashion_mnist"),
    "another seed, a Gaussian source": CopySetting("fashion_mnist", "fashion_mnist", gaussian_source=True),
    # more than 8 channels take hours on a CPU
    "another architecture": CopySetting("fashion_mnist", "fashion_mnist", kind="conv", widths=(128, 8)),
    "another data set": CopySetting("mnist", "fashion_mnist"),
}


def copy_study(
    cases: Mapping[str, CopySetting], seeds: Iterable[int], *, anchors: Sequence[int] = (10, 50), **options: Any
) -> pd.DataFrame:
    """Train and evaluate every condition of every case and seed on held-out images, a row for each.

    second half                     A itself: the best possible values
    independent                     B trained without A
    copied                          B with A's codes as source (`copy_latents`)
    Where A and B have the same images, for k of `anchors`, images whose codes in A are known:
    copied, k anchors               B with source and anchors
    k anchors alone                 B with anchors and no source
    affine, k anchors               the independent B's codes after the affine map from its anchors to A's
    relative, k anchors             codes of A and of the independent B as cosine similarities to the anchors' codes
    relative centered, k anchors    the same after subtracting the anchors' mean
    """
    return run_study(
        cases, seeds, lambda *_: None, lambda setting, _, seed: _conditions(setting, seed, anchors), columns="case", **options
    )


def _conditions(setting: CopySetting, seed: int, counts: Sequence[int]) -> Iterator[dict[str, Any]]:
    (a_training, a_test), (b_training, b_test) = (train_and_test(name) for name in (setting.source_data, setting.data))
    # held-out images are shuffled: the two halves of MNIST's are by different writers
    half = min(setting.evaluated, len(a_test), len(b_test)) // 2
    a_held_out, b_held_out = a_test.images[_order(len(a_test), seed)], b_test.images[_order(len(b_test), seed)][:half]
    a_images, b_images = a_training.images[: setting.rows], b_training.images[: setting.rows]
    options: dict[str, Any] = {"dim": setting.dim, "steps": setting.steps, "learning_rate": LEARNING_RATE}
    objective = MMD(Gaussian(setting.dim), 100.0) if setting.gaussian_source else Reconstruction()
    a = train_autoencoder(a_images, objective, seed=seed, kind=setting.source_kind, width=setting.widths[0], **options)
    bank, own, target = a.encode(a_images), a.encode(a_held_out[:half]), a.encode(a_held_out[half : 2 * half])
    units = Units.of(bank)
    same_images = setting.data == setting.source_data  # then `own` are A's codes of B's held-out images

    in_units = partial(units.wrap, stochastic=False)

    def train(objective: Objective, wrap: Any = in_units) -> Run:
        network: dict[str, Any] = {"kind": setting.kind, "width": setting.widths[1], "wrap": wrap}
        return train_autoencoder(b_images, objective, seed=(seed + 1000) % SEEDS, **network, **options)

    def row(condition: str, z: Tensor, run: Run | None = None, count: int = 0) -> dict[str, Any]:
        found = {**common, "condition": condition, "anchors": count, **compare(z, target, seed=seed)}
        if same_images:
            decoded = float((a.decode(z) - b_held_out).square().mean())
            found |= {"alignment_error": alignment_error(z, own), "decoded_mse": decoded, **retrieval(z, own)}
        return found if run is None else {"reconstruction_mse": run.reconstruction_error(b_held_out), **found}

    def trained(condition: str, run: Run, count: int = 0) -> dict[str, Any]:
        return row(condition, run.encode(b_held_out), run, count)

    baseline = b_held_out.var(0, correction=0).mean().item()
    common = {"data": setting.data, "dim": setting.dim, "evaluated": half, "baseline_mse": baseline}
    yield row("second half", own, a if same_images else None)
    independent = train(Reconstruction(), wrap=None)
    yield trained("independent", independent)
    yield trained("copied", train(copying_objective(bank)))
    for count in counts if same_images else ():
        images = b_images[_order(len(b_images), seed)[:count]]
        codes, at, z = a.encode(images), independent.encode(images), independent.encode(b_held_out)
        yield trained(f"copied, {count} anchors", train(copying_objective(bank, (images, codes), steps=setting.steps)), count)
        yield trained(f"{count} anchors alone", train(Anchors(images, codes, ANCHOR_WEIGHT, units.std)), count)
        yield row(f"affine, {count} anchors", affine_map(at, codes, z), count=count)
        for name, a_origin, b_origin in (("relative", 0, 0), ("relative centered", codes.mean(0), at.mean(0))):
            found = retrieval(relative(z - b_origin, at - b_origin), relative(own - a_origin, codes - a_origin))
            yield {**common, "condition": f"{name}, {count} anchors", "anchors": count, **found}


def _order(n: int, seed: int) -> Tensor:
    return torch.randperm(n, generator=torch.Generator().manual_seed(seed), device="cpu")


def retrieval(z: Tensor, target: Tensor) -> dict[str, float]:
    """How well an image's code z_i finds the target t_i of the same image, by distance; both (n, d), in the same order.

    From the rank of t_i among all t by distance from z_i (ties share a rank): top1, the share of rank 1 (chance: 1 / n); mrr,
    mean 1 / rank (chance: about ln n / n); mean_rank, mean (rank - 1) / (n - 1) (chance: 0.5).
    """
    distances = paired_distances(z, target)
    own = distances.diagonal()[:, None]
    rank = 1 + (distances < own).sum(1) + ((distances == own).sum(1) - 1) / 2
    return {
        "top1": float((rank == 1).double().mean()),
        "mrr": float((1 / rank).mean()),
        "mean_rank": float(((rank - 1) / (len(rank) - 1)).mean()),
    }


def affine_map(x: Tensor, y: Tensor, z: Tensor) -> Tensor:
    """Codes z (n, d) under the affine map from x (k, d) to y (k, e), fitted by least squares of least norm."""
    ones = torch.ones(len(x), 1, dtype=torch.float64, device="cpu")
    found = torch.linalg.pinv(torch.cat([x.double(), ones], 1)) @ y.double()
    return (z.double() @ found[:-1] + found[-1]).to(z.dtype)


def record_copies(seeds: Sequence[int] = range(5)) -> Recorded:
    """Run page 06's study of `COPIES` and record it as "copies"."""
    settings: dict[str, Any] = {name: vars(setting) for name, setting in COPIES.items()}
    settings |= {"weight": WEIGHT, "anchor_weight": ANCHOR_WEIGHT, "learning_rate": LEARNING_RATE}
    return record_result("copies", copy_study(COPIES, seeds), seeds=seeds, settings=settings)
