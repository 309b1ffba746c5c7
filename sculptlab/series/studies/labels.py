"""Labels in training: XFactors' contrast of labeled images beside a prior that is tied to the labels, with one budget."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

import pandas as pd
import torch
from torch import Tensor

from sculptlab.data import sprites as drawn_sprites
from sculptlab.evaluation.two_samples import hold_out
from sculptlab.priors import Gaussian, Prior
from sculptlab.series.results import Recorded, record_result
from sculptlab.series.rivals import METHODS, PLAIN, Method
from sculptlab.series.rivals.labeled_contrast import LabeledContrast
from sculptlab.series.studies.alignment_cases import LABEL_CORRELATION, LABEL_REACH, SpriteCase, SpriteSet, labeled_prior
from sculptlab.series.studies.alignment_recipe import alignment_scores, reference_scores
from sculptlab.series.studies.runner import run_study
from sculptlab.series.studies.scorecard import ASIDE, TOLERANCE, Scorecard, relative_to_plain
from sculptlab.series.studies.settings import PreparedImages, Setting
from sculptlab.training.objectives import MMD, Objective
from sculptlab.training.run import Run

CASE = SpriteCase(("x", "y", "scale"), {"shape": 2, "orientation": 0.0}, middle=0.5, size=16, components=64)  # an ellipse
SETTING = Setting("sprites", 3, components=64, steps=400, width=128, batch_size=128, evaluated=1500, learning_rate=2e-3)
TRAINING, HELD_OUT = 3000, 1500
LABELS = (200, 2250)  # few, and all that are left while weights are chosen
BINS = 10  # the values of a factor in the contrast; the tied prior takes the numbers themselves
CHOICE = "DCI disentanglement"  # it ignores the order of a factor's values along its latent, which the contrast leaves open
SEARCH_SEED = 0  # no model of this seed is reported

Weights = tuple[float, float]  # of the KL term or of MMD^2; of the term that uses the labels
Cell = tuple[str, int, float, float]  # method, number of labels, and the two weights


@dataclass(frozen=True)
class Labeling:
    """A method that uses labels: its declared target, the weights that are tried, and its objective.

    `objective` takes the case, labeled images, their factor values (n, 5), and the two weights.
    """

    source: str
    prior: Callable[[int], Prior]
    tried: tuple[Weights, ...]
    objective: Callable[[SpriteCase, Tensor, Tensor, float, float], Objective]


def binned(case: SpriteCase, values: Tensor, bins: int = BINS) -> Tensor:
    """Factor values (n, 5) as whole numbers 0 to bins - 1, (n, k), a column for each factor that varies."""
    columns = []
    for name in case.factors:
        low, high = case.bounds(name)
        share = (values[:, drawn_sprites.FACTOR_NAMES.index(name)] - low) / (high - low)
        columns.append((share * bins).long().clamp(0, bins - 1))
    return torch.stack(columns, 1)


def contrast(case: SpriteCase, images: Tensor, values: Tensor, beta: float, weight: float) -> Objective:
    """`LabeledContrast` with one latent for each factor."""
    return LabeledContrast(images, binned(case, values), [(k,) for k in range(len(case.factors))], weight=weight, beta=beta)


def tied(case: SpriteCase, images: Tensor, values: Tensor, weight: float, label_weight: float) -> Objective:
    """MMD^2 of all codes to the mirror prior, and of each latent of labeled images to the prior given the label."""
    return MMD(case.mirror, weight) + labeled_prior(case, images, values, label_weight)


LABELINGS = {
    "contrast": Labeling("XFactors, 2026, arXiv 2601.21688", Gaussian, tuple(product((0.3, 1.0), (10.0, 30.0, 100.0))), contrast),
    "tied prior": Labeling(
        "here: `LabeledMMD`", lambda _: CASE.mirror, tuple(product((10.0, 100.0), (10.0, 30.0, 100.0))), tied
    ),
}  # fmt: skip


@dataclass(frozen=True, eq=False)
class LabeledSprites:
    """Training and held-out sprites with the factor values (n, 5) of both."""

    card: Scorecard
    sprites: SpriteSet
    values: Tensor

    @classmethod
    def of(cls, setting: Setting = SETTING, training: int = TRAINING, held_out: int = HELD_OUT) -> LabeledSprites:
        """Draw the sprites of `CASE`; the decoder variance is that of `Scorecard.with_decoder_variance`."""
        sprites = SpriteSet.of(CASE, training, held_out)
        values = CASE.values(training, 1000)  # as `SpriteSet.of` draws them
        images = PreparedImages(setting, sprites.basis, sprites.training, sprites.held_out, sprites.basis.lost(sprites.images))
        return cls(Scorecard(images).with_decoder_variance(progress=False), sprites, values)

    def set_aside(self, share: float) -> LabeledSprites:
        """The same with a share of the training images in place of the held-out ones."""
        kept, aside = hold_out(len(self.values), share)
        sprites = replace(
            self.sprites, training=self.sprites.training[kept], images=CASE.images(self.values[aside]), values=self.values[aside]
        )
        return LabeledSprites(replace(self.card, images=self.card.images.set_aside(share)), sprites, self.values[kept])

    def train(self, cell: Cell, seed: int) -> Run:
        """Train a method; its labeled images are drawn from the training images with the seed, the same for every method."""
        name, labels, weight, label_weight = cell
        images = self.card.images
        if name == PLAIN:
            return METHODS[PLAIN].train(images, 0.0, seed)
        rows = torch.randperm(len(self.values), generator=torch.Generator().manual_seed(seed), device="cpu")[:labels]
        return images.train(LABELINGS[name].objective(CASE, images.training[rows], self.values[rows], weight, label_weight), seed)

    def measures(self, cell: Cell, run: Run, seed: int) -> list[dict[str, Any]]:
        """A row: error, LPS by networks and C2ST as in the scorecard, and alignment, MIG, DCI and SAP of the means."""
        name = cell[0]
        prior = None if name == PLAIN else LABELINGS[name].prior
        own = (
            METHODS[PLAIN]
            if prior is None
            else Method(name, "labels", LABELINGS[name].source, prior, (0.0,), METHODS[PLAIN].train)
        )
        scores = alignment_scores(self.sprites, run.encode(self.card.images.held_out), seed)
        return [{**self.card.measures(own, run, seed, quick=True), **scores}]


def label_study(sets: LabeledSprites, cells: Sequence[Cell], seeds: Sequence[int], kind: str, **options: Any) -> pd.DataFrame:
    """Train every cell with every seed; a row of `LabeledSprites.measures` for each, relative to the plain autoencoder."""
    plain: Cell = (PLAIN, 0, 0.0, 0.0)
    options |= {"columns": ("method", "labels", "weight", "label_weight"), "constant": {"kind": kind, **sets.card.constant}}
    return relative_to_plain(
        run_study({cell: cell for cell in (plain, *cells)}, seeds, sets.train, sets.measures, may_diverge=True, **options)
    )


def chosen_cells(tried: pd.DataFrame, tolerance: float = TOLERANCE) -> list[Cell]:
    """For each method and number of labels, of the weights whose error is within the tolerance, those of the greatest DCI.

    Where none is within, those of the least error.
    """
    cells: list[Cell] = []
    for (name, labels), rows in tried[tried["method"] != PLAIN].groupby(["method", "labels"], sort=False):
        rows = rows.dropna(subset=["relative_error", CHOICE])
        within = rows[rows["relative_error"] <= tolerance]
        if len(rows):
            best = within.loc[within[CHOICE].idxmax()] if len(within) else rows.loc[rows["relative_error"].idxmin()]
            cells.append((str(name), int(labels), float(best["weight"]), float(best["label_weight"])))
    return cells


def record_labels(seeds: Sequence[int] = range(1, 6)) -> Recorded:
    """Choose the weights on training images that are set aside, compare with other seeds on held-out ones, and record both.

    Rows of kind "reference" are what the factors themselves ("ideal") and noise get from the scores.
    """
    sets = LabeledSprites.of()
    grid = [(name, n, *pair) for name, one in LABELINGS.items() for n in LABELS for pair in one.tried]
    tried = label_study(sets.set_aside(ASIDE), grid, [SEARCH_SEED], "tried")
    chosen = label_study(sets, chosen_cells(tried), seeds, "chosen")
    references = pd.DataFrame([row for seed in seeds for row in reference_scores(sets.sprites, seed)])
    references = references.rename(columns={"condition": "method"}).assign(kind="reference", **sets.card.constant)
    settings: Mapping[str, Any] = {
        **vars(SETTING), "training": TRAINING, "held_out": HELD_OUT, "case": vars(CASE), "bins": BINS, "choice": CHOICE,
        "tolerance": TOLERANCE, "aside": ASIDE, "decoder_variance": sets.card.images.decoder_variance,
        "label_correlation": LABEL_CORRELATION, "label_reach": LABEL_REACH,
        "sources": {name: one.source for name, one in LABELINGS.items()},
    }  # fmt: skip
    return record_result("labels", pd.concat([tried, chosen, references], ignore_index=True), seeds=seeds, settings=settings)
