"""Checks of page 07's exercises."""

from typing import Any

import numpy as np
import torch
from scipy.stats import spearmanr
from torch import Tensor

from sculptlab.evaluation.two_samples import c2st
from sculptlab.mmd import mmd_test
from sculptlab.series.checks.copying import crescent
from sculptlab.series.checks.feedback import Answer, as_array, call, call_for_codes, exercise, require
from sculptlab.validation import as_tensor

ROWS = 1000


def same_quantiles(x: Any, target: Any) -> Tensor:
    """The values (n,) of the sample `target` (m,) at the levels of x (n,): the increasing map between two distributions."""
    values, sample = as_tensor("x", x), as_tensor("target", target)
    levels = (values.argsort().argsort() + 0.5) / len(values)
    return sample.quantile(levels.to(sample))


@exercise("07-1")
def check_to_target(answer: Answer) -> str:
    """Page 07, Darmois in one dimension: answer(x, target) -> (n,), x (n,) with the distribution of the sample target (m,)."""
    generator = torch.Generator().manual_seed(9)
    x = torch.randn(ROWS, generator=generator, device="cpu", dtype=torch.float32)
    target = torch.rand(1500, generator=generator, device="cpu", dtype=torch.float32).square() * 6 + 1
    found = call(answer, x.clone(), target.clone(), read=as_array, wanted="a tensor (n,)")
    require(found.shape == (ROWS,), f"the shape should be ({ROWS},), one value for each of x, yours is {found.shape}")
    require(np.isfinite(found).all(), "some values are NaN or infinite")
    order = x.argsort().numpy()
    steps = np.diff(found[order])
    levels = np.searchsorted(np.sort(target.numpy()), np.sort(found), side="right") / len(target)
    fits = np.abs(levels - (np.arange(ROWS) + 0.5) / ROWS).max() <= 0.02
    if (steps >= 0).all() and not fits:
        mistake = "the order is right, the distribution is not the target's"
        if found.min() >= 0 and found.max() <= 1:
            mistake = "these are the levels between 0 and 1: read the target's quantiles at them"
        elif abs(np.corrcoef(found, x)[0, 1]) > 0.9999:
            mistake = "a shift and a scale give x the target's mean and standard deviation, not its shape"
        require(False, mistake)
    require(fits, "the distribution is not the target's: level 0.5, for example, should become the target's median")
    ascending = (np.diff(found) >= 0).all()
    require(not ascending, "the values are sorted: row i of the result belongs to row i of x, so rank x instead of sorting it")
    require(not (steps <= 0).all(), "the map is decreasing: the largest x should become the largest value")
    require((steps >= 0).all(), "the values are the target's, but not in the order of x: a larger x needs a larger value")
    return "an increasing map, so it is invertible, and x has the distribution of the target"


@exercise("07-2")
def check_another_representation(answer: Answer) -> str:
    """Page 07, another representation: answer(z) -> (n, 2), again N(0, I), for z from N(0, I), by a map that is not linear."""
    z, fresh = torch.randn(2, ROWS, 2, generator=torch.Generator().manual_seed(10), device="cpu", dtype=torch.float32)
    found = call_for_codes(answer, z.clone(), shape=(ROWS, 2))
    half = call_for_codes(answer, z[: ROWS // 2].clone(), shape=(ROWS // 2, 2))
    single = "the result for a code changes with the other codes: a representation maps each code by itself, without new noise"
    require(np.allclose(half, found[: ROWS // 2], atol=1e-5), single)
    require(not np.allclose(found, z, atol=1e-5), "these are the codes as they were")
    moved = torch.from_numpy(found).float()
    correlation, scale = np.corrcoef(found.T)[0, 1], found.std(0).round(2)
    require(abs(correlation) <= 0.15, f"the two columns are correlated ({correlation:.2f}): N(0, I) has changed")
    require((np.abs(scale - 1) <= 0.1).all(), f"the standard deviations are {scale}, and should be 1: N(0, I) has changed")
    p = mmd_test(moved, fresh, permutations=200).p_value
    require(p >= 0.02, f"the distribution has changed (p = {p:.3f} against fresh draws of N(0, I))")
    ranks = np.abs(spearmanr(np.column_stack([found, z])).statistic[:2, 2:]).max(1)
    axes = "each column is still a function of one old column: swaps, signs and bends of one latent give the same axes"
    require((ranks <= 0.98).all(), axes)
    linear = z.numpy() @ np.linalg.lstsq(z.numpy(), found, rcond=None)[0]
    turned = "that is a rotation or a reflection, the same for all codes: its angle may differ from code to code"
    require(np.square(found - linear).mean() > 0.01, turned)
    return f"independent as before (p = {p:.2f} against fresh draws), and each new latent mixes both old ones"


@exercise("07-3")
def check_broken_copy(answer: Answer) -> str:
    """Page 07, break the copy: answer(z) -> (n, d), the values of each column as before, the joint distribution another."""
    z, fresh = crescent(), crescent(seed=11)
    found = call_for_codes(answer, z.clone(), shape=(len(z), 3))
    kept = np.allclose(np.sort(found, 0), np.sort(z.numpy(), 0), atol=1e-5)
    require(kept, "the values of a column have changed, and its histogram shows it: reorder them only")
    ordered, before = (rows[np.lexsort(rows.T)] for rows in (found, z.numpy()))
    whole = "whole rows were reordered, so every code is still there: a sample has no order"
    require(not np.allclose(ordered, before, atol=1e-5), whole)
    accuracy = c2st(torch.from_numpy(found).float(), fresh).accuracy
    require(accuracy >= 0.6, f"a classifier hardly sees a difference (C2ST accuracy {accuracy:.0%}): reorder a whole column")
    return f"every histogram is as before, and a classifier detects the difference: C2ST accuracy {accuracy:.0%}"
