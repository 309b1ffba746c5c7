"""What the statistics choose by default for codes with many latents, and the notes in which their results say so."""

from dataclasses import replace
from typing import Any

import torch

from sculptlab.columns import random_rows
from sculptlab.independence.regressors import LatentPredictor
from sculptlab.validation import choice, whole

MANY = 32  # latents; for up to so many, the 20 fits of "mlp" to 10,000 codes take at most 2 minutes on one core


def choose(
    regressor: Any,
    predictor: LatentPredictor,
    latents: int | str | None,
    rows: int,
    active: int,
    generator: torch.Generator,
) -> tuple[LatentPredictor, list[int], list[str]]:
    """The predictor, the latents that it predicts as places among the `active` ones, and notes for the result.

    Where `regressor` is None and there are more than 32 latents, the predictor becomes "linear", if there are rows enough; and
    unless it is then fitted in closed form, 32 latents are drawn.
    """
    notes: list[str] = []
    linear = replace(predictor, regressor="linear")
    if regressor is None and active > MANY and rows < linear.least_rows(active):
        notes.append(f"{predictor.name}, because linear needs {linear.least_rows(active)} rows for {active} latents")
        latents = MANY if latents is None else latents
    elif regressor is None and active > MANY:
        notes.append(
            f"linear, because of {active} latents, and blind to what is not linear; regressor={predictor.name!r}, "
            f"latents={MANY} takes minutes"
        )
        predictor = linear
        latents = MANY if latents is None and not predictor.closed_form else latents
    if latents is None or (isinstance(latents, str) and choice("latents", latents, ("all",))):
        return predictor, list(range(active)), notes
    number = whole("latents", latents)
    if number > active:
        raise ValueError(f"latents must be 'all' or at most the {active} that vary, got {number}")
    chosen = sorted(random_rows(active, generator)[:number].tolist())
    if number < active:
        notes.append(f"{number} of {active} latents, drawn by the seed, each against all others; latents='all' uses all")
    return predictor, chosen, notes
