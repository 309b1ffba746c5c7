"""Checks of page 09's exercises."""

import math

import numpy as np

from sculptlab.series.checks.feedback import Answer, as_array, call, exercise, require_value, same


def rate_at_error(rates: np.ndarray, errors: np.ndarray, target: float) -> float:
    """The rate at which a curve of `rates`, which rise, and `errors`, which fall, has the error `target`."""
    return float(np.interp(-math.log(target), -np.log(errors), rates))


@exercise("09-2")
def check_rate_at(answer: Answer) -> str:
    """Page 09, the rate at equal distortion: answer(rates, errors, target) -> the rate at which the curve has that error."""
    rates, errors, target = np.array([8.0, 14.0, 25.0, 33.0]), np.array([2.6, 1.4, 1.1, 1.02]), 1.7
    right = rate_at_error(rates, errors, target)
    slips = {
        "np.interp needs its second argument to rise, and the errors fall: reverse both arrays": [
            np.interp(math.log(target), np.log(errors), rates),
            np.interp(target, errors, rates),
        ],
        "reverse the rates as well: each belongs to its error": np.interp(math.log(target), np.log(errors)[::-1], rates),
        "errors fall by factors: interpolate over their logarithm": np.interp(-target, -errors, rates),
        "take the logarithm of the target as well": np.interp(target, np.log(errors)[::-1], rates[::-1]),
        "the rate enters as it is, without a logarithm": [
            math.exp(np.interp(-math.log(target), -np.log(errors), np.log(rates))),
            np.interp(-math.log(target), -np.log(errors), np.log(rates)),
        ],
        "that is one of the measured rates: interpolate between the two that enclose the target": rates,
        "that is the error at a rate; the rate at an error is asked for": np.interp(target, rates, errors),
    }
    found = call(answer, rates, errors, target)
    named = {
        words: value for words, values in slips.items() for value in np.ravel(values) if same(as_array(found), as_array(value))
    }
    require_value(found, right, named)
    return "now two curves can be compared by one number: the bits that each needs for the same error"


@exercise("09-1")
def check_quantization(answer: Answer) -> str:
    """Page 09, the error of quantization: answer(low, high, k) -> the mean squared error of 2^k equal steps, uniform latent."""
    low, high, k = -1.7, 2.3, 3
    width = high - low
    step = width / 2**k
    slips = {
        "/12 is forgotten: step² is far more than the error, since a code is at most half a step from its level": step**2,
        "k bits give 2^k steps, not k": (width / k) ** 2 / 12,
        "2^k steps, not 2^k - 1: the levels are the middles of the steps, not their edges": (width / (2**k - 1)) ** 2 / 12,
        "/3 is for a uniform variable of *half* the width: one of width w has variance w²/12": step**2 / 3,
        "that is the standard deviation: square it": step / math.sqrt(12),
        "that is the square of the largest error; the mean is asked for": (step / 2) ** 2,
        "that is the variance of the whole latent: how wide is one step?": width**2 / 12,
        "the width of the step enters squared": step / 12,
    }
    require_value(call(answer, low, high, k), step**2 / 12, slips)
    return "each further bit divides it by four, until only the error of the autoencoder itself is left"
