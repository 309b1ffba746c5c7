"""Latent copying: a model whose codes are distributed like another model's, and the proof that they are."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from sculptlab.drawing import draw
from sculptlab.evaluation.copy_measures import compare, neighbor_overlap, places, relative, retrieval
from sculptlab.training.batches import as_images, as_unit_floats
from sculptlab.training.latent_units import Units
from sculptlab.training.loop import fit
from sculptlab.training.models import as_model, count_latents
from sculptlab.training.objectives import Anchors, Copying, Objective, Ramp
from sculptlab.training.run import Run
from sculptlab.training.state import BATCH_SIZE
from sculptlab.validation import choice, number, whole
from sculptlab.validation import codes as valid_codes

__all__ = ["CopyResult", "Copying", "compare", "copy_latents", "neighbor_overlap", "places", "relative", "retrieval"]

WEIGHT, ANCHOR_WEIGHT, LEARNING_RATE = 300.0, 100.0, 3e-3
LEAST_JUDGED = 20  # codes on either side of a comparison
FEW = 0.1  # of the rows: a latent with no more distinct values than that is not continuous
ROWS = ("second half", "before", "copy")


@dataclass(frozen=True, eq=False)
class CopyResult:
    """What `copy_latents` returns.

    run      the trained model B, its codes in the source's own units: `run.encode`, `run.decode`, `run.sample` (the source).
    report   a row for each of "second half" (other held-out codes of the source: the best there can be), "before" (B untrained)
             and "copy", all against the same held-out codes of the source; columns as in `compare`, and with a Run as source
             also `place` (`places`: 1 where who sits where is chance) and `decoded_mse` (of the images against what the source's
             decoder makes of these codes; of "second half": of its own). A stochastic model's samples are judged.
    units    mean and std of each of the source's latents, which training took off and `run` puts back.
    codes    held out: "source", "second half", "before", "copy", each (n, d).
    warning  of latents of the source that take few values, which no continuous code matches; empty where there are none.
    """

    run: Run
    report: pd.DataFrame
    units: pd.DataFrame
    codes: dict[str, np.ndarray] = field(repr=False)
    warning: str = field(default="", repr=False)

    def plot(self, kind: str = "codes") -> Any:
        """Source, B before and B after, side by side: "codes" (of two latents), or "correlations" (all pairs of latents)."""
        choice("kind", kind, ("codes", "correlations"))
        return draw("copy_clouds" if kind == "codes" else "copy_correlations", self.codes)

    def __repr__(self) -> str:
        return f"{self.verdict()}\n\n{self.report.round(4).T.to_string()}"

    def _repr_html_(self) -> str:
        return f"<p>{self.verdict()}</p>{self.report.round(4).T.to_html()}"

    def verdict(self) -> str:
        """In plain words, what was copied."""
        copy, best = self.report.loc["copy"], self.report.loc["second half"]
        apart = [words for words, p in (("MMD", "mmd_p"), ("a classifier", "c2st_p")) if copy[p] < 0.05 / 2]
        words = f"told from the source's by {' and '.join(apart)}" if apart else "told from the source's by neither test"
        said = (
            f"The copy's codes are {words} ({copy['rows']:.0f} codes each): a classifier is right on {copy['c2st']:.1%} of them, "
            f"on {best['c2st']:.1%} of the source's own second half."
        )
        said = f"{said} But {self.warning}." if self.warning else said
        if "alignment_error" not in copy:
            return said
        error = copy["alignment_error"]
        return f"{said} An image lies {error:.2f} times as far from its own place at the source as from another image's."


def copy_latents(
    source: Any,
    model: nn.Module,
    data: Any,
    *,
    anchors: tuple[Any, Any] | None = None,
    weight: float = WEIGHT,
    anchor_weight: float = ANCHOR_WEIGHT,
    objective: Objective | None = None,
    held_out: float = 0.25,
    steps: int = 2000,
    seed: int = 0,
    **options: Any,
) -> CopyResult:
    """Train `model` on `data` so that its codes, as a whole, are distributed like those of another model, jointly.

    source         codes (n, d) of any other model, of any images, in no order; or a Run: then its codes (means, if stochastic) of
                   `data`, and since the images are the same, places are compared too.
    model          an untrained autoencoder of d latents, trained in place (`fit`): there its codes are in standard deviations of
                   the source's latents; those of the result's `run` are in the source's own units.
    data           a Dataset or images for `model`; what `held_out` (a share) of them the report judges, training does not see.
                   The same share of the source's codes is kept from it, half of them to compare with, half to say what is best.
    anchors        (images, codes): a few images and the places that their codes are to have, in the source's units; the report
                   judges no anchor. Without them nothing says which image sits where. With them the weight of the distribution
                   grows from 0 to its full size half-way: once a cloud has its shape, anchors cannot turn it any more.
    weight         nats per image for an MMD^2 of 1 (`objectives.Copying`); anchor_weight: for |code - place|^2 = 2, in squared
                   standard deviations of the source (`objectives.Anchors`).
    objective      what else to train for, such as a game; added.
    options        go to `fit`; learning_rate is 0.003 where none is given.
    Warns of latents of the source that take few values: codes come near them, never onto them, and a classifier sees that.
    Raises ValueError for a source that is no (n, d) of finite numbers, of another d than the model's, with fewer training rows
    than a batch, or constant; for a share that leaves fewer than 20 codes on either side of a comparison; for anchors that do
    not pair up. Source: the paper calls it latent space copying; arXiv 2510.11953.

    >>> import sculptlab as sl
    >>> data = sl.load("digits")
    >>> a, b = (sl.build_autoencoder("mlp", image_shape=(1, 8, 8), dim=2, width=32, seed=seed) for seed in (0, 1))
    >>> first = sl.fit(a, data, sl.objectives.Reconstruction(), steps=50, progress=False)
    >>> copied = copy_latents(first.encode(data), b, data, steps=50, progress=False)
    >>> copied.run.encode(data).shape
    torch.Size([1797, 2])
    """
    if isinstance(source, Run) and source.model is model:
        raise ValueError("model must be another one than the source's, which it would train anew")
    parts = _Parts.of(source, model, data, anchors, held_out, seed, options.get("batch_size"))
    warning = few_valued(parts.bank.numpy())
    if warning:
        warnings.warn(warning, stacklevel=2)
    full = goal(parts.bank, anchors, weight=weight, anchor_weight=anchor_weight, steps=steps)
    units = Units.of(parts.bank)
    wrapped = units.wrap(model).eval()
    before = _codes(Run(wrapped, full, [], seed=seed, steps=0), parts.judged)
    full = full if objective is None else full + objective
    run = fit(wrapped, parts.images, full, steps=steps, seed=seed, **{"learning_rate": LEARNING_RATE, **options})
    pairs = {"second half": parts.second, "before": before, "copy": _codes(run, parts.judged)}
    codes = {name: rows[: len(parts.target)].numpy() for name, rows in {"source": parts.target, **pairs}.items()}
    report = pd.DataFrame({name: compare(codes[name], codes["source"], seed=seed) for name in ROWS}).T
    if isinstance(source, Run):
        pairs["second half"] = source.encode(parts.judged)
        report = report.join(_on_pairs(pairs, source, parts.judged))
    table = pd.DataFrame({"mean": units.mean, "std": units.std}).rename_axis("latent")
    return CopyResult(run, report.rename_axis("codes"), table, codes, warning)


@dataclass(frozen=True, eq=False)
class _Parts:
    """What training sees (images, bank) and what the report is made of: judged images, two sets of the source's codes."""

    images: Tensor
    judged: Tensor
    bank: Tensor
    second: Tensor
    target: Tensor  # as many rows as are compared; of a Run, none of an image whose code it is compared with

    @classmethod
    def of(
        cls, source: Any, model: nn.Module, data: Any, anchors: Any, held_out: float, seed: int, batch_size: int | None
    ) -> _Parts:
        whole("seed", seed, least=0)
        images = as_images(data, as_model(model)).cpu()
        both = isinstance(source, Run)
        bank = valid_codes("source", _codes_of(source, images), dim=count_latents(model, images) or None).detach().cpu().float()
        if number("held_out", held_out, above=0) >= 1:
            raise ValueError(f"held_out must be a share below 1, got {held_out:g}")
        train, judged = _split(len(images), held_out, seed)
        kept, spare = _split(len(bank), held_out, seed)
        if anchors is not None:
            known = as_unit_floats(as_images(_checked(anchors)[0], model, name="anchors' images"))
            judged = judged[~_among(as_unit_floats(images[judged]), known)]
            spare = judged if both else spare
        batch = BATCH_SIZE if batch_size is None else whole("batch_size", batch_size)
        _enough(bank, len(kept), min(batch, len(train)), held_out)
        half = len(spare) // 2
        _enough_to_judge(half, len(judged), held_out)
        target = spare[half:][: min(half, len(judged))]
        return cls(images[train], images[judged], bank[kept], bank[spare[:half]], bank[target])


def goal(
    bank: Any,
    anchors: tuple[Any, Any] | None = None,
    *,
    weight: float = WEIGHT,
    anchor_weight: float = ANCHOR_WEIGHT,
    steps: int = 2000,
) -> Objective:
    """What `copy_latents` trains for, with all of `bank` (n, d) as the source; arguments as there."""
    whole("steps", steps)
    if anchors is None:
        return Copying(bank, weight)
    images, places_of = _checked(anchors)
    shape = Copying(bank, weight, schedule=Ramp(max(1, steps // 2)))
    places_of = valid_codes("anchors' codes", places_of, dim=shape.source.dim, rows=1)
    return shape + Anchors(images, places_of, anchor_weight, unit=shape.units.std)


def few_valued(codes: np.ndarray) -> str:
    """What to say of those latents of codes (n, d) that take few values, one or whole numbers, say; empty if none does."""
    found = {f"z{j}": len(np.unique(column)) for j, column in enumerate(codes.T)}
    few = {name: values for name, values in found.items() if values <= FEW * len(codes)}
    if not few:
        return ""
    listed = ", ".join(f"{name} ({values})" for name, values in few.items())
    return (
        f"some of the source's latents take few values among {len(codes)} codes: {listed}; a continuous code comes near such a "
        "value, never onto it, and a classifier tells the copy by that alone: judge by the other latents"
    )


def _codes_of(source: Any, images: Tensor) -> Any:
    """The codes that `source` stands for: itself, or a Run's of `images`."""
    if isinstance(source, Run):
        shape = getattr(source.model, "image_shape", images.shape[1:])
        if tuple(shape) != tuple(images.shape[1:]):
            raise ValueError(
                f"source, a Run on images {tuple(shape)}, cannot encode data of shape {tuple(images.shape[1:])}: "
                "give its codes of its own images, source.encode(…)"
            )
        return source.encode(images)
    if isinstance(source, nn.Module) or (hasattr(source, "sample") and not hasattr(source, "shape")):
        raise TypeError(
            f"source must be codes (n, d) or a Run, got {type(source).__name__}: a model's codes are run.encode(images); "
            "for any other target train with objectives.MMD(prior)"
        )
    return source


def _checked(anchors: Any) -> tuple[Any, Any]:
    if not isinstance(anchors, tuple | list) or len(anchors) != 2:
        raise TypeError(f"anchors must be a pair (images, codes), got {type(anchors).__name__}")
    return anchors[0], anchors[1]


def _among(images: Tensor, known: Tensor) -> Tensor:
    """Which of `images` are among those known, to the last bit."""
    seen = {image.numpy().tobytes() for image in known.cpu()}
    return torch.tensor([image.numpy().tobytes() in seen for image in images.cpu()], dtype=torch.bool)


def _split(n: int, share: float, seed: int) -> tuple[Tensor, Tensor]:
    """Indices (training, held out) of n rows in an order drawn by `seed`."""
    order = torch.randperm(n, generator=torch.Generator().manual_seed(seed))
    held = round(share * n)
    return order[held:], order[:held]


def _enough(bank: Tensor, rows: int, batch: int, share: float) -> None:
    if rows < batch:
        raise ValueError(
            f"source must have at least as many rows as a batch has images, {batch}, after {share:g} of them are held out; got "
            f"{rows} of {len(bank)}: give more codes, or a smaller batch_size"
        )


def _enough_to_judge(codes: int, images: int, share: float) -> None:
    if min(codes, images) < LEAST_JUDGED:
        raise ValueError(
            f"held_out must leave at least {2 * LEAST_JUDGED} codes of the source and {LEAST_JUDGED} images to judge by, got "
            f"{share:g}, which leaves {2 * codes} and {images}"
        )


def _codes(run: Run, images: Tensor) -> Tensor:
    """What `Copying` shapes: a stochastic encoder's samples, a deterministic one's codes."""
    found = run.codes(images)
    return found["samples"] if "samples" in found else found["codes"]


def _on_pairs(codes: dict[str, Tensor], source: Run, images: Tensor) -> pd.DataFrame:
    target, shown = codes["second half"], as_unit_floats(images)
    rows = {
        name: {"alignment_error": places(z, target), "decoded_mse": float((source.decode(z) - shown).square().mean())}
        for name, z in codes.items()
    }
    return pd.DataFrame(rows).T
