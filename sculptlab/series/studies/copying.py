"""Studies of latent copying: across seeds, architectures and data sets, without and with anchors, beside its rivals."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
import torch
from torch import Tensor
from tqdm.auto import tqdm

from sculptlab.evaluation.copy_measures import alignment_error, compare, relative, retrieval
from sculptlab.evaluation.copying import ANCHOR_WEIGHT, LEARNING_RATE, WEIGHT, copying_objective
from sculptlab.priors import Gaussian
from sculptlab.series.results import Recorded, write
from sculptlab.series.studies.kl_failure import train_and_test
from sculptlab.training.latent_units import Units
from sculptlab.training.loop import fit
from sculptlab.training.models import build_autoencoder
from sculptlab.training.objectives import MMD, Anchors, Objective, Reconstruction
from sculptlab.training.run import Run

B_SEEDS = 1000  # added to a seed for B, whose weights and batches are not to be A's


@dataclass(frozen=True)
class Copy:
    """One pair of models: A, whose codes are copied, and B; both plain autoencoders trained alike.

    shaped: A's codes are drawn to N(0, I) by MMD, a cloud that looks the same after any rotation; else they lie as they lie.
    """

    source_data: str
    data: str
    source_kind: str = "mlp"
    kind: str = "mlp"
    dim: int = 4
    steps: int = 2000
    widths: tuple[int, int] = (128, 128)  # of A and B
    rows: int | None = None  # training images; None: all
    judged: int = 2000  # held-out images, half of them to compare with
    shaped: bool = False


@dataclass(frozen=True, eq=False)
class _Pair:
    """What the arms of one seed share: training images, A and its codes, held-out images of B's and A's codes."""

    copy: Copy
    seed: int
    images: Tensor
    shown: Tensor  # B's held-out images
    source: Run
    bank: Tensor
    own: Tensor  # A's codes of one half of its held-out images
    target: Tensor  # and of the other
    paired: bool  # whether both models know the same images: then `own` are A's codes of `shown`

    @classmethod
    def of(cls, copy: Copy, seed: int) -> _Pair:
        theirs, their_test = train_and_test(copy.source_data)
        ours, our_test = train_and_test(copy.data)
        half = min(copy.judged, len(their_test), len(our_test)) // 2
        aside, shown = (held_out.images[_order(len(held_out), seed)] for held_out in (their_test, our_test))
        known = theirs.images[: copy.rows]
        objective = MMD(Gaussian(copy.dim), 100.0) if copy.shaped else Reconstruction()
        source = _trained(copy, 0, known, objective, seed)
        own, target = source.encode(aside[:half]), source.encode(aside[half : 2 * half])
        paired = copy.data == copy.source_data
        return cls(copy, seed, ours.images[: copy.rows], shown[:half], source, source.encode(known), own, target, paired)

    def anchors(self, count: int) -> tuple[Tensor, Tensor]:
        """`count` training images, drawn by the seed, and A's codes of them."""
        order = _order(len(self.images), self.seed)[:count]
        return self.images[order], self.source.encode(self.images[order])

    def train(self, objective: Objective) -> Run:
        """B, its codes in A's units unless it is on its own."""
        units = None if isinstance(objective, Reconstruction) else Units.of(self.bank)
        return _trained(self.copy, 1, self.images, objective, self.seed + B_SEEDS, units)

    def judge(self, z: Tensor) -> dict[str, float]:
        """The distribution of codes z of `shown`, and where A knows these images too, their places and what A decodes."""
        found = compare(z, self.target, seed=self.seed)
        if not self.paired:
            return found
        decoded = float((self.source.decode(z) - self.shown).square().mean())
        return {**found, "alignment_error": alignment_error(z, self.own), "decoded_mse": decoded, **retrieval(z, self.own)}


def _order(n: int, seed: int) -> Tensor:
    """The halves of a held-out set as it comes are of other writers: A's own codes of the two would be told apart."""
    return torch.randperm(n, generator=torch.Generator().manual_seed(seed))


def _trained(copy: Copy, which: int, images: Tensor, objective: Objective, seed: int, units: Units | None = None) -> Run:
    model: Any = build_autoencoder(
        (copy.source_kind, copy.kind)[which],
        image_shape=images.shape[1:],
        dim=copy.dim,
        width=copy.widths[which],
        seed=seed,
    )
    model = model if units is None else units.wrap(model)
    return fit(model, images, objective, steps=copy.steps, learning_rate=LEARNING_RATE, seed=seed, progress=False)


def copies(
    cases: Mapping[str, Copy], seeds: Iterable[int], *, anchors: Sequence[int] = (10, 50), progress: bool = True
) -> pd.DataFrame:
    """Train and judge every arm of every pair and seed on held-out images; a row for each.

    arm       "second half": A itself, the best there can be. "independent": B on its own. "copied": B with A's codes as source.
              Where both models know the same images, for k of `anchors`: "copied, k anchors"; "k anchors alone": tied without a
              distribution; "affine, k anchors": the independent B's codes under the affine map that takes its anchors to A's,
              by least squares; "relative, k anchors": the codes of A and of the independent B as cosine similarities to those of
              the anchors, and "relative centered, k anchors", to which the anchors' mean is the origin.
    columns   those of `compare`, against A's codes of other held-out images; place (`places`), top1, mrr, rank (`retrieval`);
              decoded_mse: the held-out images against what A's decoder makes of B's codes; reconstruction_mse: against what B's
              own makes of them; baseline_mse: against their mean. NaN where a column has no meaning.
    """
    rows = []
    for seed, (name, copy) in tqdm([(s, c) for s in seeds for c in cases.items()], disable=not progress, unit="pair"):
        pair = _Pair.of(copy, seed)
        blank = pair.shown.var(0, correction=0).mean().item()
        common = {
            "case": name,
            "seed": seed,
            "data": copy.data,
            "dim": copy.dim,
            "judged": len(pair.shown),
            "baseline_mse": blank,
        }
        rows += [{**common, **row} for row in _arms(pair, anchors)]
    return pd.DataFrame(rows)


def _arms(pair: _Pair, anchors: Sequence[int]) -> Iterable[dict[str, Any]]:
    yield {"condition": "second half", "anchors": 0, **_best(pair)}
    alone = pair.train(Reconstruction())
    yield _row(pair, "independent", 0, alone)
    yield _row(pair, "copied", 0, pair.train(copying_objective(pair.bank)))
    if not pair.paired:
        return
    for count in anchors:
        images, codes = pair.anchors(count)
        tied = copying_objective(pair.bank, (images, codes), steps=pair.copy.steps)
        yield _row(pair, f"copied, {count} anchors", count, pair.train(tied))
        yield _row(
            pair, f"{count} anchors alone", count, pair.train(Anchors(images, codes, ANCHOR_WEIGHT, Units.of(pair.bank).std))
        )
        at, z = alone.encode(images), alone.encode(pair.shown)
        yield {"condition": f"affine, {count} anchors", "anchors": count, **pair.judge(affine(at, codes, z))}
        for name, a, b in (("relative", 0 * codes[0], 0 * at[0]), ("relative centered", codes.mean(0), at.mean(0))):
            found = retrieval(relative(z - b, at - b), relative(pair.own - a, codes - a))
            yield {"condition": f"{name}, {count} anchors", "anchors": count, **found}


def affine(anchors: Tensor, places: Tensor, z: Tensor) -> Tensor:
    """Codes z (n, d) under the affine map that takes `anchors` (k, d) to `places` (k, e), by least squares of least norm."""
    ones = torch.ones(len(anchors), 1, dtype=torch.float64)
    inner = torch.cat([anchors.double(), ones], 1)
    found = torch.linalg.pinv(inner) @ places.double()
    return (z.double() @ found[:-1] + found[-1]).to(z.dtype)


def _row(pair: _Pair, arm: str, count: int, run: Run) -> dict[str, Any]:
    error = run.reconstruction_error(pair.shown)
    return {"condition": arm, "anchors": count, "reconstruction_mse": error, **pair.judge(run.encode(pair.shown))}


def _best(pair: _Pair) -> dict[str, float]:
    if not pair.paired:
        return compare(pair.own, pair.target, seed=pair.seed)
    return {"reconstruction_mse": pair.source.reconstruction_error(pair.shown), **pair.judge(pair.own)}


COPIES: dict[str, Copy] = {
    "another seed": Copy("fashion_mnist", "fashion_mnist"),
    "another seed, a Gaussian source": Copy("fashion_mnist", "fashion_mnist", shaped=True),
    "another architecture": Copy("fashion_mnist", "fashion_mnist", kind="conv", widths=(128, 8)),  # wider takes hours on a CPU
    "another data set": Copy("mnist", "fashion_mnist"),
}


def live(data: str, steps: int, dim: int = 4) -> dict[str, Copy]:
    """What a page trains while it is read: two seeds on up to 6,000 images."""
    return {"another seed": Copy(data, data, dim=dim, steps=steps, rows=6000)}


def record_copies(seeds: Sequence[int] = range(5), cases: Mapping[str, Copy] | None = None) -> Recorded:
    """Run page 06's study, all of `COPIES` unless others are given, and record it as "copies"."""
    chosen = COPIES if cases is None else cases
    settings = {
        **{name: vars(copy) for name, copy in chosen.items()},
        "weight": WEIGHT,
        "anchor_weight": ANCHOR_WEIGHT,
        "learning_rate": LEARNING_RATE,
    }
    return write("copies", copies(chosen, seeds), seeds=list(seeds), settings=settings)
