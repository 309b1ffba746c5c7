"""A joint embedding of digits: two crops of an image get one code, and without a decoder SIGReg alone prevents the collapse."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Generator, Tensor, nn

from sculptlab.data import load
from sculptlab.series.results import Recorded, record_result
from sculptlab.series.studies.ablations import effective_rank
from sculptlab.series.studies.runner import run_study
from sculptlab.training.initialization import Initialization
from sculptlab.training.objectives import SIGReg

DIM, STEPS = 16, 300


@dataclass(frozen=True)
class Embedding:
    """How one joint embedding is trained: weight of SIGReg, batch normalization of the hidden units, crops shifted by a pixel."""

    weight: float = 2.0
    normalized: bool = True
    shifted: bool = True


# the weight, the learning rate and the normalization were chosen with seed 0
EMBEDDINGS: dict[str, Embedding] = {
    "no SIGReg": Embedding(weight=0.0),
    "SIGReg": Embedding(),
    "SIGReg, not normalized": Embedding(normalized=False),
    "SIGReg, crops not shifted": Embedding(shifted=False),
}


def crops(pixels: Tensor, shifted: bool, generator: Generator) -> Tensor:
    """A crop of each of pixels (b, 8, 8), as (b, 64): moved by up to a pixel in each direction if `shifted`, with noise."""
    if shifted:
        windows = nn.functional.pad(pixels, (1, 1, 1, 1)).unfold(1, 8, 1).unfold(2, 8, 1)  # (b, 3, 3, 8, 8)
        down, right = torch.randint(3, (2, len(pixels)), generator=generator, device="cpu")
        pixels = windows[torch.arange(len(pixels), device="cpu"), down, right]
    noise = torch.randn(pixels.shape, generator=generator, device="cpu", dtype=torch.float32)
    return (pixels + 0.2 * noise).flatten(1)


def train_embedding(pixels: Tensor, how: Embedding, seed: int, *, steps: int = STEPS) -> nn.Module:
    """An encoder of pixels (n, 8, 8) that gives two crops of an image equal codes (b, 16), in evaluation mode."""
    with Initialization(seed):
        hidden: list[nn.Module] = [nn.Linear(64, 128), nn.ReLU(), *([nn.BatchNorm1d(128)] if how.normalized else [])]
        model = nn.Sequential(*hidden, nn.Linear(128, DIM))
    generator = torch.Generator().manual_seed(seed)
    term = SIGReg(weight=how.weight, directions=32, knots=17).regularizer(DIM)
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    for _ in range(steps):
        batch = pixels[torch.randint(len(pixels), (256,), generator=generator, device="cpu")]
        one, two = (model(crops(batch, how.shifted, generator)) for _ in range(2))
        loss = (one - two).square().sum(1).mean() + term(one) + term(two)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        term.update(one.detach())
    return model.eval()


def compare_embeddings(embeddings: Mapping[str, Embedding], seeds: Iterable[int], **options: Any) -> pd.DataFrame:
    """Train each embedding on every second digit; the columns are measured on the others."""
    from sklearn.linear_model import LogisticRegression  # scikit-learn takes a second to import

    digits = load("digits")
    pixels, labels = digits.images.reshape(-1, 8, 8), np.asarray(digits.labels)

    def evaluate(how: Embedding, model: nn.Module, seed: int) -> list[dict[str, Any]]:
        generator = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            z = model(pixels.flatten(1))
            one, two = (model(crops(pixels[1::2], how.shifted, generator)) for _ in range(2))
        fitted, scored = z[::2], z[1::2]
        probe = LogisticRegression(max_iter=500).fit(fitted, labels[::2]).score(scored, labels[1::2])
        apart = (one - two).square().sum(1).mean() / (2 * one.var(0).sum())
        spread = {"std_min": scored.std(0).min().item(), "std_max": scored.std(0).max().item()}
        return [{**spread, "rank": effective_rank(scored), "crop_distance": apart.item(), "probe": probe}]

    return run_study(embeddings, seeds, lambda how, seed: train_embedding(pixels[::2], how, seed), evaluate, **options)


def record_joint_embedding(seeds: Sequence[int] = range(1, 6)) -> Recorded:
    """Compare `EMBEDDINGS` and record "joint_embedding"."""
    settings = {"dim": DIM, "steps": STEPS, **{name: asdict(how) for name, how in EMBEDDINGS.items()}}
    return record_result("joint_embedding", compare_embeddings(EMBEDDINGS, seeds), seeds=seeds, settings=settings)
