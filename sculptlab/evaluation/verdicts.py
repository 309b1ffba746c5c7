"""The verdict of `diagnose` in words."""

from typing import Any

import pandas as pd

from sculptlab.evaluation.effects import MARGINS, overall_state

LEGEND = (
    "far: a difference beyond its margin (shift 0.1 std, scale 10 %, shape 0.05, excess correlation 0.15, C2ST accuracy 55 %) "
    "that is not chance; undecided: neither chance nor the margin is excluded; close: the rest",
    "mmd2: unbiased MMD² to the prior, about 0 without a difference; mmd2_95: exceeded in 5 % by chance; mmd_p: its p-value",
    "c2st: C2ST accuracy, codes against prior on held-out rows, 0.5 by chance, with its 95 % interval; c2st_p: its p-value",
    "coverage_gap: share of the prior's draws that lie far from every code, 0.05 by chance",
    "effective_rank: about how many directions the codes use; duplicates: latents that repeat others",
    "prior: the same numbers for a sample of the prior itself, what they are without any difference",
)

WORDS = {"undecided": "no difference found"}  # the other states are words of a sentence as they are


def verdict(effects: pd.DataFrame, latents: pd.DataFrame, row: pd.Series, inactive: list[Any], repeated: list[Any]) -> str:
    """How far one set of codes is from the prior, and in what, by its rows of the tables of a `Diagnosis`."""
    state = overall_state(effects)
    parts = [f"{len(inactive)} of {len(latents)} latents inactive: {_listed(inactive)}"] if inactive else []
    parts += [f"latents that repeat others: {_listed(repeated)}"] if repeated else []
    scales = latents["scale"][~latents["dead"]]
    common, agree = scales.median(), (scales > 1).all() or (scales < 1).all()
    if len(scales) and (state != "far" or (abs(common - 1) > MARGINS["scale"] and agree)):
        parts += [f"scale {_scale_in_words(common)}" + (f", the median of {len(latents)} latents" if len(latents) > 1 else "")]
    shown = effects[(effects["state"] == state) & ~effects["where"].isin(inactive)].groupby("effect")
    found = {effect: shown.get_group(effect) for effect in MARGINS if effect in shown.groups}
    if state == "undecided":
        parts += [f"too few rows to exclude one that matters in {', '.join(found)}"]
    for effect, lines in found.items() if state == "far" else ():
        places = [_place(effect, *line) for line in zip(lines["where"], lines["value"], strict=True)]
        parts += ["joint distribution" if effect == "c2st" else f"{effect}: {_listed(places)}"]
    accuracy = f"C2ST accuracy {row['c2st']:.0%}, {row['c2st_low']:.0%} to {row['c2st_high']:.0%}; 50% is chance"
    values = f"p = {row['mmd_p']:.2g} (MMD), {max(row['c2st_p'], 1e-16):.2g} (C2ST)"
    return f"{WORDS.get(state, state)}: {'; '.join(parts)} ({accuracy}); {values}."


def headline(effects: pd.DataFrame) -> str:
    """The verdict in a few words, such as "far from the prior in scale, shape"."""
    state = overall_state(effects)
    kinds = [kind for kind in MARGINS if ((effects["effect"] == kind) & (effects["state"] == state)).any()]
    named = ", ".join("the joint distribution" if kind == "c2st" else kind for kind in kinds)
    return {
        "close": "close to the prior",
        "undecided": f"no difference from the prior found, too few rows to exclude one in {named}",
        "far": f"far from the prior in {named}",
    }[state]


def _scale_in_words(scale: float) -> str:
    return "right" if abs(scale - 1) < 0.005 else f"{abs(scale - 1):.0%} {'wide' if scale > 1 else 'narrow'}"


def _place(effect: str, where: Any, value: float) -> str:
    """A latent or a pair with the size of an effect there, such as "3 (+0.31)" or "0 and 1 (-0.40)"."""
    label = " and ".join(map(str, where)) if effect == "excess correlation" else str(where)
    size = _scale_in_words(value) if effect == "scale" else f"{value:.2f}" if effect == "shape" else f"{value:+.2f}"
    return f"{label} ({size})"


def _listed(latents: list[Any]) -> str:
    shown = ", ".join(str(i) for i in latents[:8])
    return f"{shown} and {len(latents) - 8} more" if len(latents) > 8 else shown
