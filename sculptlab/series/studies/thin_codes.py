"""Reshaping codes that lie on curves or sheets of fewer dimensions than there are latents, and what a little noise changes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import pandas as pd
import torch

from sculptlab.reshaping import Reshaper
from sculptlab.reshaping.dimension import intrinsic_dimension
from sculptlab.series.results import Recorded, record_result
from sculptlab.series.studies.evaluators import lps_scores
from sculptlab.series.studies.runner import run_study
from sculptlab.series.studies.scorecard import SCORECARDS
from sculptlab.series.studies.settings import PreparedImages
from sculptlab.series.studies.tables import pulses
from sculptlab.training.objectives import Reconstruction
from sculptlab.training.run import Run

SETTING = SCORECARDS["pulses"]
WHOLE, ANY = "whole frequencies", "any frequency"
CASES = ((WHOLE, 2), (WHOLE, 3), (WHOLE, 4), (ANY, 4))  # the factor, and the number of latents
NOISES = (0.0, 0.01, 0.03)


def pulse_images(case: tuple[str, int]) -> PreparedImages:
    """The pulse trains of the scorecard with whole or any frequencies, for a model of so many latents."""
    frequencies, dim = case
    return PreparedImages.of(replace(SETTING, dim=dim), pulses(whole=frequencies == WHOLE)[:2])


def thin_codes_study(
    images: Mapping[tuple[str, int], PreparedImages], seeds: Iterable[int], *, noises: Sequence[float] = NOISES,
    progress: bool = True, **options: Any,
) -> pd.DataFrame:  # fmt: skip
    """Train a plain autoencoder on each data with every seed; a row for each standard deviation of noise added to its codes.

    The noise is normal and in units of each latent's standard deviation over the training codes. `Reshaper(**options)` is fitted
    to training codes with noise. Of held-out codes with noise of their own: their intrinsic dimension, LPS after the map, and the
    error of the data decoded from them, which the map does not change.
    """

    def train(prepared: PreparedImages, seed: int) -> tuple[PreparedImages, Run]:
        return prepared, prepared.train(Reconstruction(), seed)

    def evaluate(_: Any, trained: tuple[PreparedImages, Run], seed: int) -> list[dict[str, Any]]:
        prepared, run = trained
        clean = [run.encode(part).double() for part in (prepared.training, prepared.held_out)]
        spread, generator, found = clean[0].std(0), torch.Generator().manual_seed(seed), []
        for noise in noises:
            z, held_out = (
                rows + noise * spread * torch.randn(rows.shape, generator=generator, dtype=rows.dtype, device="cpu")
                for rows in clean
            )
            reshaper = Reshaper("gaussian", random_state=seed, **options).fit(z.numpy())
            after = torch.from_numpy(reshaper.transform(held_out.numpy())).float()
            decoded = run.decode(held_out.float()).view_as(prepared.held_out)
            error = prepared.error_per_pixel((decoded - prepared.held_out).square().mean().item())
            found.append(
                {
                    "noise": noise, "dimension": intrinsic_dimension(held_out / spread), "evaluated": len(after),
                    "reconstruction_mse": error, **lps_scores(after, ("mlp", "boosting"), seed=seed),
                }
            )  # fmt: skip
        plain = found[0]["reconstruction_mse"]
        return [{**row, "relative_error": row["reconstruction_mse"] / plain} for row in found]

    constant = {"data": SETTING.data}
    return run_study(images, seeds, train, evaluate, columns=("case", "dim"), constant=constant, progress=progress)


def record_thin_codes(seeds: Sequence[int] = range(1, 6)) -> Recorded:
    """Run the study and record it as "thin_codes"."""
    frame = thin_codes_study({case: pulse_images(case) for case in CASES}, seeds)
    return record_result("thin_codes", frame, seeds=seeds, settings={**vars(SETTING), "dim": [dim for _, dim in CASES]})
