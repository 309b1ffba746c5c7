"""Checks of page 06's exercises."""

import numpy as np
import torch
from torch import Tensor

from sculptlab.evaluation.copy_measures import alignment_error, relative
from sculptlab.independence.dependence import distance_correlation
from sculptlab.mmd import mmd_test
from sculptlab.series.checks.feedback import Answer, call, call_for_codes, exercise, require, require_value
from sculptlab.validation import as_seed


def crescent(n: int = 600, seed: int = 6) -> Tensor:
    """Codes (n, 3) that depend on each other: the second column follows the square of the first, the third the first."""
    z = torch.randn(n, 3, generator=torch.Generator().manual_seed(as_seed("seed", seed)), device="cpu", dtype=torch.float32)
    return torch.stack([z[:, 0], z[:, 0] ** 2 + 0.3 * z[:, 1], z[:, 0] + 0.5 * z[:, 2]], 1)


@exercise("06-1")
def check_same_marginals(answer: Answer) -> str:
    """Page 06, keep the marginals: answer(z) -> (n, d), the values of each column as before, the columns independent."""
    z = crescent()
    found = call_for_codes(answer, z.clone(), shape=(len(z), 3))
    kept = np.allclose(np.sort(found, 0), np.sort(z.numpy(), 0), atol=1e-5)
    require(kept, "the values of a column have changed: the marginals stay only if each column keeps all its values")
    left = distance_correlation(torch.from_numpy(found)).fill_diagonal_(0).max().item()
    ordered, before = (rows[np.lexsort(rows.T)] for rows in (found, z.numpy()))
    whole = np.allclose(ordered, before, atol=1e-5)
    why = "you permuted whole rows, and each code stayed together" if whole else "each column needs an order of its own"
    require(left <= 0.05, f"the columns still depend on each other (distance correlation {left:.2f}): {why}")
    return f"every histogram is as it was, and the columns are independent (distance correlation {left:.2f})"


def moved_codes(z: Tensor) -> Tensor:
    """Codes (n, 2) that are turned by a quarter of a circle: a sample of N(0, I) stays one."""
    return torch.stack([-z[:, 1], z[:, 0]], 1)


@exercise("06-2")
def check_moved(answer: Answer) -> str:
    """Page 06, move every code, keep the distribution: answer(z) -> (n, 2), for z drawn from N(0, I)."""
    z, fresh = torch.randn(2, 1000, 2, generator=torch.Generator().manual_seed(7), device="cpu", dtype=torch.float32)
    moved = torch.from_numpy(call_for_codes(answer, z.clone(), shape=(1000, 2))).float()
    error = alignment_error(moved, z)
    require(error >= 0.5, f"the alignment error is {error:.2f}, and chance is 1: most codes have hardly moved")
    p = mmd_test(moved, fresh, permutations=200).p_value
    mean, std = moved.mean(0).numpy().round(2), moved.std(0).numpy().round(2)
    require(p >= 0.02, f"the distribution has changed (p = {p:.3f} against fresh draws): its mean is {mean}, its std {std}")
    return f"p = {p:.2f} against fresh draws, alignment error {error:.2f}: a distribution does not determine single codes"


@exercise("06-3")
def check_relative(answer: Answer) -> str:
    """Page 06, relative representations: answer(z, anchors) -> (n, k), the cosine of every code with every anchor."""
    generator = torch.Generator().manual_seed(8)
    z, anchors = (2 * torch.randn(n, 3, generator=generator, dtype=torch.float64, device="cpu") + 0.5 for n in (6, 4))
    products, lengths, anchor_lengths = z @ anchors.T, z.norm(dim=1, keepdim=True), anchors.norm(dim=1)
    cosines, over_codes = products / (lengths * anchor_lengths), (z / z.norm(dim=0)) @ (anchors / anchors.norm(dim=0)).T
    slips = {
        "that is the dot product: divide by the lengths of both, or the scale still matters": products,
        "you divide by the lengths of the codes; divide by those of the anchors, too": products / lengths,
        "you divide by the lengths of the anchors; divide by those of the codes, too": products / anchor_lengths,
        "a length belongs to a row: take the norm over the latents (dim=1), not over the codes": over_codes,
        "the lengths enter as they are, not squared": products / (lengths * anchor_lengths) ** 2,
        "that is the distance; the cosine is 1 where code and anchor have the same direction": torch.cdist(z, anchors),
        "1 where they have the same direction: the similarity, not 1 minus it": 1 - cosines,
    }
    require_value(call(answer, z, anchors), relative(z, anchors), slips)
    return "a rotation or a change of scale leaves them unchanged; a shift of the origin changes them all"
