"""Checks of page 06's exercises."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sculptlab.evaluation.copy_measures import alignment_error, relative
from sculptlab.independence.dependence import distance_correlation
from sculptlab.mmd import mmd_test
from sculptlab.series.checks.feedback import Feedback, answered, judge

STILL = 0.5  # of the way to another image's place: who has gone less far has stayed


def _asked(answer: Callable[[Tensor], Any], z: Tensor) -> np.ndarray | Feedback:
    """The learner's cloud of the shape of z, or what is wrong with it."""
    try:
        value = answered(answer, z.clone())
    except Exception as error:
        return Feedback(False, f"your code raised {type(error).__name__}: {error}")
    if value is None:
        return Feedback(False, "the function returns nothing yet: fill in the line with the dots")
    if value.shape != tuple(z.shape):
        return Feedback(False, f"the shape should be {tuple(z.shape)}, as many codes as before; yours is {value.shape}")
    if not np.isfinite(value).all():
        return Feedback(False, "some values are NaN or infinite")
    return value


def crescent(n: int = 600, seed: int = 6) -> Tensor:
    """Codes (n, 3) that depend on each other: the second column follows the square of the first, the third the first."""
    z = torch.randn(n, 3, generator=torch.Generator().manual_seed(seed))
    return torch.stack([z[:, 0], z[:, 0] ** 2 + 0.3 * z[:, 1], z[:, 0] + 0.5 * z[:, 2]], 1)


def check_same_marginals(answer: Callable[[Tensor], Any]) -> Feedback:
    """Exercise "the same marginals, another cloud": answer(z) -> (n, d), each column's values as before, columns independent."""
    z = crescent()
    found = _asked(answer, z)
    if isinstance(found, Feedback):
        return found
    if not np.allclose(np.sort(found, 0), np.sort(z.numpy(), 0), atol=1e-5):
        return Feedback(False, "the values of a column have changed: the marginals stay only if each column keeps all its values")
    left = distance_correlation(torch.from_numpy(found)).fill_diagonal_(0).max().item()
    if left > 0.05:
        same = np.allclose(found[np.lexsort(found.T)], z.numpy()[np.lexsort(z.numpy().T)], atol=1e-5)
        why = "whole rows were moved, so that each code stayed together" if same else "each column needs an order of its own"
        return Feedback(False, f"the columns still depend on each other (distance correlation {left:.2f}): {why}")
    return Feedback(True, f"every histogram is as it was, and the dependence is gone (distance correlation {left:.2f})")


def check_moved(answer: Callable[[Tensor], Any]) -> Feedback:
    """Exercise "move everybody, change nothing": answer(z) -> (n, 2) of draws z of N(0, I), distributed alike, all elsewhere."""
    z, fresh = torch.randn(2, 1000, 2, generator=torch.Generator().manual_seed(7))
    found = _asked(answer, z)
    if isinstance(found, Feedback):
        return found
    moved = torch.from_numpy(found).float()
    away = alignment_error(moved, z)
    if away < STILL:
        return Feedback(False, f"{away:.2f} times as far from its own place as from another's: most have hardly moved")
    p = mmd_test(moved, fresh, permutations=200).p_value
    if p < 0.02:
        spread, center = moved.std(0).numpy().round(2), moved.mean(0).numpy().round(2)
        return Feedback(False, f"the cloud has changed (p = {p:.3f} against fresh draws): its mean is {center}, its std {spread}")
    words = f"p = {p:.2f} against fresh draws, and codes lie {away:.2f} times as far from their places as from others'"
    return Feedback(True, f"{words}: the cloud says nothing of who sits where")


def check_relative(answer: Callable[[Tensor, Tensor], Any]) -> Feedback:
    """Exercise "relative representations": answer(z, anchors) -> (n, k), the cosine of every code with every anchor's."""
    generator = torch.Generator().manual_seed(8)
    z, anchors = (2 * torch.randn(n, 3, generator=generator, dtype=torch.float64) + 0.5 for n in (6, 4))
    products, lengths, theirs = z @ anchors.T, z.norm(dim=1, keepdim=True), anchors.norm(dim=1)
    columns = (z / z.norm(dim=0)) @ (anchors / anchors.norm(dim=0)).T
    slips = {
        "that is the dot product: divide by the lengths of both, or the scale still shows": products,
        "the codes' lengths are divided out, those of the anchors are not": products / lengths,
        "the anchors' lengths are divided out, those of the codes are not": products / theirs,
        "a length belongs to a row: take the norm over the latents (dim=1), not over the codes": columns,
        "the lengths enter as they are, not squared": products / (lengths * theirs) ** 2,
        "that is the distance; the cosine is 1 where code and anchor point the same way": torch.cdist(z, anchors),
        "1 where they point the same way: the similarity, not 1 minus it": 1 - products / (lengths * theirs),
    }
    right = relative(z, anchors).numpy()
    praise = "the same numbers after any rotation or change of scale; a shift of the origin changes them all"
    return judge(answer, (z, anchors), right, {slip: value.numpy() for slip, value in slips.items()}, praise)
