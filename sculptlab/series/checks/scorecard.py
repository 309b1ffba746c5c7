"""Checks of page 10's exercises."""

import numpy as np
import pandas as pd

from sculptlab.series.checks.feedback import Answer, Mistake, call, exercise, require


@exercise("10-1")
def check_chosen_weight(answer: Answer) -> str:
    """Page 10, the rule: answer(tried, tolerance) -> the weight of least LPS among those whose relative error is allowed."""
    tried = pd.DataFrame(
        {"weight": [1.0, 3.0, 10.0, 30.0], "relative_error": [1.00, 1.04, 1.10, 1.40], "mlp": [0.5, 0.2, 0.3, 0.01]}
    )
    slips = {
        30.0: "that weight has the least LPS of all, but its error is over the tolerance",
        1.0: "that is the weight of the least error: among the allowed ones the least LPS is asked for",
        10.0: "that is the largest allowed weight; a smaller one has a lower LPS",
    }
    found = call(answer, tried, 1.10, read=float, wanted="one weight, a number")
    require(found == 3.0, slips.get(found, f"expected 3.0, the weight with LPS 0.2, got {found:g}"))
    edge = call(answer, tried, 1.0, read=float, wanted="one weight, a number")
    require(edge == 1.0, "an error that equals the tolerance is allowed: use <=")
    return "one rule for all methods, fixed before the held-out images are looked at"


@exercise("10-2")
def check_front(answer: Answer) -> str:
    """Page 10, the Pareto front: answer(errors, scores) -> a mask (n,) of the points that no other point beats in both."""
    errors = np.array([1.00, 1.02, 1.05, 1.05, 1.20, 1.00])
    scores = np.array([0.50, 0.20, 0.10, 0.30, 0.10, 0.60])
    right = [True, True, True, False, False, False]
    found = call(answer, errors, scores, read=lambda value: [bool(x) for x in np.asarray(value).ravel()], wanted="a mask (n,)")
    if found == right:
        return "these methods are the ones to choose from; every other one is beaten by one of them"
    require(len(found) == 6, f"the mask should have one entry for each of the 6 points, yours has {len(found)}")
    require(any(found), "no point is left: does a point beat itself? It is as good in both, and better in none")
    if found[4] or found[5]:
        raise Mistake("a point that is equal in one and worse in the other is beaten: better in one, no worse in the other")
    raise Mistake(f"expected {right}, got {found}")
