"""Latent copying: train a model whose codes are distributed like another model's, and measure whether they are."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from sculptlab.drawing import draw
from sculptlab.evaluation.copy_measures import alignment_error, compare
from sculptlab.evaluation.two_samples import LEAST_ROWS, hold_out
from sculptlab.training.batches import as_model, count_latents, first_codes, of_shape
from sculptlab.training.encodings import CHUNK
from sculptlab.training.images import as_unit_floats
from sculptlab.training.latent_units import Units
from sculptlab.training.loop import fit, fit_to_the_end
from sculptlab.training.models import Posterior
from sculptlab.training.objectives import Anchors, Copying, Objective, Ramp
from sculptlab.training.run import Run
from sculptlab.training.sources import Source, as_images, as_source
from sculptlab.validation import as_seed, choice, known_options, named_codes, whole
from sculptlab.validation import codes as valid_codes

WEIGHT, ANCHOR_WEIGHT, LEARNING_RATE = 300.0, 100.0, 3e-3
FEW_VALUES = 0.1  # of the rows: a latent with no more distinct values is not continuous


@dataclass(frozen=True, eq=False)
class CopyResult:
    """A copied latent space and how well it was copied; what `copy_latents` returns.

    Parameters
    ----------
    run : Run
        The trained model B, whose codes are in the source's own units. `run.sample` decodes codes of the source.
    report : pandas.DataFrame
        Columns as in `copy_measures.compare`, against held-out codes of the source. Rows: "second half" (other held-out codes of
        the source: the best possible), "before" (B untrained) and "copy". Of a stochastic model, samples are compared.
        With a Run as source also alignment_error (1 is chance) and decoded_mse: the error of what the source's decoder makes of
        these codes; in the row "second half", of the source's own codes.
    units : pandas.DataFrame
        Mean and std of each of the source's latents.
    codes : dict of str to ndarray of shape (n, d)
        The compared codes: "source", "second half", "before", "copy".
    warning : str
        Names latents of the source that take few values, which no continuous code matches; empty if there are none.
    """

    run: Run
    report: pd.DataFrame
    units: pd.DataFrame
    codes: dict[str, np.ndarray] = field(repr=False)
    warning: str = field(default="", repr=False)

    def plot(self, kind: str = "codes") -> Any:
        """Draw source, B before and B after: the two most dependent latents, or matrices of all with kind="correlations"."""
        choice("kind", kind, ("codes", "correlations"))
        named = {name: pd.DataFrame(z, columns=self.units.index) for name, z in self.codes.items()}
        return draw("copy_densities" if kind == "codes" else "copy_correlations", named)

    def __repr__(self) -> str:
        return f"{self.verdict()}\n\n{self.report.round(4).T.to_string()}"

    def _repr_html_(self) -> str:
        return f"<p>{self.verdict()}</p>{self.report.round(4).T.to_html()}"

    def verdict(self) -> str:
        """The tests that find a difference at p < 0.025, the C2ST accuracy, the warning and the alignment error, in words."""
        copy, best = self.report.loc["copy"], self.report.loc["second half"]
        seen = [test for test, p in (("MMD", "mmd_p"), ("C2ST", "c2st_p")) if copy[p] < 0.05 / 2]
        found = f"{' and '.join(seen)} find" if len(seen) > 1 else f"{''.join(seen) or 'No test'} finds"
        parts = [
            f"{found} a difference between the copy's codes and the source's ({copy['rows']:.0f} each): C2ST accuracy "
            f"{copy['c2st']:.1%}, {best['c2st']:.1%} for other codes of the source."
        ]
        parts += [f"But {self.warning}."] if self.warning else []
        if "alignment_error" in copy:
            parts.append(f"The alignment error is {copy['alignment_error']:.2f} (0 is exact, 1 is chance).")
        return " ".join(parts)


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
    """Train a model so that its codes have the joint distribution of another model's codes (arXiv 2510.11953).

    Warns of latents of the source that take few values: continuous codes come near these, never onto them. Ctrl-C raises
    KeyboardInterrupt, so that no half-trained copy is compared; the model keeps what it learned.

    Parameters
    ----------
    source : array_like of shape (n, d), or Run
        Codes of any other model, of any images, in any order. Of a Run its codes of `data` (means, if stochastic); the images
        are then the same, so that their alignment is measured too.
    model : torch.nn.Module
        An untrained autoencoder with d latents, trained in place. Its own codes are in standard deviations of the source's
        latents; those of the result's `run` are in the source's units.
    data : Dataset or array_like
        Images for `model`: an array, or a data set with a length whose items are read when needed. Streams are refused.
    anchors : tuple (images, codes), optional
        A few images and the codes they should have, in the source's units; they are left out of the report. Without anchors
        nothing decides which image gets which code. With them, `weight` grows from 0 until half-way: anchors cannot turn a
        distribution that has its shape already.
    weight, anchor_weight : float
        Nats per image for an MMD^2 of 1, and per anchor for |z - code|^2 = 2 in squared standard deviations of the source.
    objective : Objective, optional
        Added to the training objective, such as a predictability penalty.
    held_out : float
        Share of images and of source codes that training does not see. Half of these codes are compared with the copy, the
        other half shows the best possible.
    steps, seed : int
        Of training. The seed also decides the split and the tests.
    **options : Any
        Of `fit`; learning_rate is 0.003 by default.

    Returns
    -------
    CopyResult

    Raises
    ------
    ValueError
        If `source` is constant or has fewer training rows than a batch; if fewer than 20 codes could be compared.

    Examples
    --------
    >>> import sculptlab as sl
    >>> data = sl.load("digits")
    >>> model = sl.build_autoencoder("mlp", image_shape=(1, 8, 8), dim=2, width=32, seed=1)
    >>> codes = sl.priors.Ring().sample(2000)  # of any other model
    >>> copied = copy_latents(codes, model, data, steps=50, progress=False)
    >>> copied.run.encode(data).shape
    torch.Size([1797, 2])
    """
    seed = as_seed("seed", seed)
    known_options(copy_latents, options, fit)
    if isinstance(source, Run) and source.model is model:
        raise ValueError("model must be another one than the source's, which it would train anew")
    images = as_source(data, as_model(model)).to(torch.device("cpu"))
    given, names = _source_codes(source, model, images)
    training, evaluation = hold_out(images.rows or 0, held_out, seed)
    seen, unseen = images.subset(training), images.subset(evaluation)
    kept, aside = hold_out(len(given), held_out, seed)
    full = copying_objective(given[kept], anchors, weight=weight, anchor_weight=anchor_weight, steps=steps)
    if anchors is not None:
        known = as_images(anchors[0], model, name="anchors' images").cpu()
        evaluation = evaluation[_differ(unseen, known)]
        unseen = images.subset(evaluation)
    if isinstance(source, Run):
        aside = evaluation
    half = len(aside) // 2
    rows = min(half, len(evaluation))
    if rows < LEAST_ROWS:
        raise ValueError(
            f"held_out must leave at least {2 * LEAST_ROWS} codes of the source and {LEAST_ROWS} images, got {held_out:g}, "
            f"which leaves {2 * half} and {len(evaluation)}: take another share, or give more codes and images"
        )
    if warning := few_valued(given[kept].numpy(), names):
        warnings.warn(warning, stacklevel=2)
    units = Units.of(given[kept])

    def shaped(run: Run) -> Tensor:
        return list(run.codes(unseen).values())[-1]  # what `Copying` shapes: a stochastic encoder's samples

    wrapped = units.wrap(model, isinstance(first_codes(model, images.first), Posterior)).eval()
    before = shaped(Run(wrapped, full, [], seed=seed, steps=0))
    full = full if objective is None else full + objective
    run = fit_to_the_end(wrapped, seen, full, steps=steps, seed=seed, **{"learning_rate": LEARNING_RATE, **options})
    found = {"second half": given[aside[:half]], "before": before, "copy": shaped(run)}
    # Of a Run, these codes of the source belong to other images than the copy's: the tests need independent rows.
    codes = {name: z[:rows].numpy() for name, z in {"source": given[aside[half:]], **found}.items()}
    report = pd.DataFrame({name: compare(codes[name], codes["source"], seed=seed) for name in found}).T.rename_axis("codes")
    if isinstance(source, Run):
        shown, own = as_unit_floats(as_images(unseen)), source.encode(unseen)
        found["second half"] = own
        report["alignment_error"] = [alignment_error(z, own) for z in found.values()]
        made = (of_shape(source.decode(z), shown, source.model) for z in found.values())
        report["decoded_mse"] = [float((images - shown).square().mean()) for images in made]
    table = pd.DataFrame({"mean": units.mean, "std": units.std}, index=pd.Index(names, name="latent"))
    return CopyResult(run, report, table, codes, warning)


def _source_codes(source: Any, model: nn.Module, images: Source) -> tuple[Tensor, list[Any]]:
    """The codes (n, d) of the source, float32 on the CPU, and the names of its latents."""
    given = source
    if isinstance(source, Run):
        given = source.encode(as_source(images, source.model, name="data for a source that is a Run"))
    elif isinstance(source, nn.Module) or (hasattr(source, "sample") and not hasattr(source, "shape")):
        raise TypeError(
            f"source must be codes (n, d) or a Run, got {type(source).__name__}: a model's codes are run.encode(images); "
            "for any other target train with objectives.MMD(prior)"
        )
    codes, names = named_codes("source", given, dim=count_latents(model, images.first) or None)
    return codes.detach().cpu().float(), names


def _differ(images: Source, known: Tensor) -> Tensor:
    """Whether each image of a source is none of the images `known`, bool (n,)."""
    held = {image.numpy().tobytes() for image in as_unit_floats(known)}
    new = [image.numpy().tobytes() not in held for part in images.chunks(CHUNK) for image in as_unit_floats(part)]
    return torch.tensor(new, dtype=torch.bool, device="cpu")


def copying_objective(
    source: Any, anchors: Any = None, *, weight: float = WEIGHT, anchor_weight: float = ANCHOR_WEIGHT, steps: int = 2000
) -> Objective:
    """What `copy_latents` trains for, with all of the codes `source` (n, d); other arguments as there."""
    if anchors is None:
        return Copying(source, weight)
    if not isinstance(anchors, tuple | list) or len(anchors) != 2:
        raise TypeError(f"anchors must be a pair (images, codes), got {type(anchors).__name__}")
    shape = Copying(source, weight, schedule=Ramp(max(1, whole("steps", steps) // 2)))
    targets = valid_codes("anchors' codes", anchors[1], dim=shape.source.dim, rows=1)
    return shape + Anchors(anchors[0], targets, anchor_weight, unit=shape.units.std)


def few_valued(codes: np.ndarray, names: Sequence[Any] | None = None) -> str:
    """A warning of those latents of codes (n, d), by `names`, that take few values, such as whole numbers; empty if none does."""
    names = range(codes.shape[1]) if names is None else names
    counts = [(f"z{name}" if isinstance(name, int) else name, len(np.unique(z))) for name, z in zip(names, codes.T, strict=True)]
    listed = ", ".join(f"{name} ({count})" for name, count in counts if count <= FEW_VALUES * len(codes))
    return listed and (
        f"some of the source's latents take few values among {len(codes)} codes: {listed}; a continuous code comes near such a "
        "value, never onto it, and a classifier sees that alone: evaluate the other latents"
    )
