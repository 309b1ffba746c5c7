"""Checks of page 09's exercises."""

import math

import numpy as np
import torch

from sculptlab.series.checks.feedback import Answer, as_array, call, exercise, require, require_value


@exercise
def check_entropy(answer: Answer) -> str:
    """Page 09, the entropy of symbols: answer(symbols) -> bits per row of symbols (n, d), each column by its own frequencies."""
    generator = np.random.default_rng(0)
    symbols = np.stack([generator.choice([0, 1, 2, 5], 64, p=[0.5, 0.25, 0.15, 0.1]), generator.choice([0, 3], 64)], 1)
    shares = [np.unique(column, return_counts=True)[1] / len(column) for column in symbols.T]
    each = np.array([-(share * np.log2(share)).sum() for share in shares])
    pooled = np.unique(symbols, return_counts=True)[1] / symbols.size
    slips = {
        "that is in nats: bits need the logarithm to base 2": each.sum() * math.log(2),
        "the sign is wrong: the logarithm of a share is negative, an entropy is not": -each.sum(),
        "that is the mean over the latents: an image needs the bits of all its latents, the sum": each.mean(),
        "each latent has frequencies of its own: yours counts the symbols of all latents together": [
            scale * -(pooled * np.log2(pooled)).sum() for scale in (1, symbols.shape[1])
        ],
        "that is the number of bits of a fixed length, log2 of the number of symbols: how often does each occur?": sum(
            math.log2(len(share)) for share in shares
        ),
        "weight each logarithm by the share of its symbol": sum(-np.log2(share).mean() for share in shares),
    }
    found = call(answer, torch.from_numpy(symbols), read=as_array, wanted="a number")
    missing = "symbols that never occur have the share 0, and 0 * log(0) is NaN: leave them out"
    require(found.shape != () or not np.isnan(found), missing)
    alike = {words: wrong for words, values in slips.items() for wrong in np.ravel(values) if np.allclose(found, wrong)}
    require_value(found, each.sum(), alike)
    return "no code without memory can use fewer bits on average (Shannon); an entropy coder comes within a few bits a file"


@exercise
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
