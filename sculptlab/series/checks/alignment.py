"""Check of page 08's exercise."""

import numpy as np
import torch

from sculptlab.series.checks.feedback import Answer, call, exercise, require_value


@exercise("08-1")
def check_alignment(answer: Answer) -> str:
    """Page 08, the alignment score: answer(z, factors) -> mean |r| of two factors (n, 2) with a latent of its own each."""
    generator = np.random.default_rng(0)
    factors = generator.random((200, 2))
    first, second = (factors - factors.mean(0)).T
    noise = generator.standard_normal((200, 2))
    z = np.stack(
        [second + 0.3 * noise[:, 0], 0.1 * noise[:, 1] - 0.6 * first - second], 1
    )  # the second latent goes to the first factor
    table = np.corrcoef(z.T, factors.T)[:2, 2:]
    size = np.abs(table)

    def best(values: np.ndarray) -> float:
        return float(max(values[0, 0] + values[1, 1], values[0, 1] + values[1, 0]) / 2)

    slips = {
        "the sign of a latent is arbitrary: take the absolute correlation": best(table),
        "both factors may take the same latent: compare the two ways to give each a latent of its own": size.max(0).mean(),
        "yours lets a latent take the factor that it follows best, so a factor may be left out": size.max(1).mean(),
        "yours takes the two other latents: the better one of the two ways counts": 2 * size.mean() - best(size),
        "that is the mean over all pairs: each factor counts with one latent": size.mean(),
        "that is the squared correlation": best(table**2),
        "that is the sum over the factors: take the mean": 2 * best(size),
    }
    require_value(call(answer, torch.from_numpy(z), torch.from_numpy(factors)), best(size), slips)
    return "1 is a latent for each factor, in any order and with any sign; noise is near 0"
