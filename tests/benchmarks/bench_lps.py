"""LPS: the batched networks against scikit-learn's MLPRegressor in a loop, and hand-written gradients against autograd."""

import statistics
import time
import warnings

import numpy as np
import torch
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPRegressor

import sculptlab as sl
from sculptlab.independence.networks import BETAS, LEARNING_RATE, Networks, losses, output_gradients


def entangled(n, d, seed=0):
    """Codes (n, d) that share 20 uniform sources through a random layer, with noise."""
    rng = np.random.default_rng(seed)
    sources = rng.uniform(-(3**0.5), 3**0.5, (n, 20))
    return np.tanh(sources @ rng.normal(0, 0.3, (20, 100))) @ rng.normal(0, 0.1, (100, d)) + 0.3 * rng.normal(size=(n, d))


def seconds(call, repeats=1):
    started = time.perf_counter()
    for _ in range(repeats):
        call()
    return (time.perf_counter() - started) / repeats


def by_scikit_learn(z, columns):
    """Two-fold predictions of `columns` by networks of the same layers, one after the other."""
    for i in columns:
        rest = np.delete(z, i, 1)
        for part in (slice(0, None, 2), slice(1, None, 2)):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ConvergenceWarning)
                MLPRegressor(hidden_layer_sizes=(64, 64), early_stopping=True, random_state=0).fit(
                    rest[part], z[part, i]
                ).predict(rest)


def training_steps(d, rows=128):
    """One step of d networks with hand-written gradients, and with autograd and torch's Adam."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(d, rows, generator=generator)
    ours, theirs = (Networks((64, 64), torch.zeros(d, 1), generator) for _ in range(2))
    for parameter in theirs.parameters():
        parameter.requires_grad_()
    others = 1 - torch.eye(d)[:, None, :]
    optimizer = torch.optim.Adam(theirs.parameters(), lr=LEARNING_RATE, betas=BETAS)

    def by_hand():
        values = ours.layers(x)
        ours.step(ours.gradients(values, output_gradients(values[-1], x)))

    def by_autograd():
        optimizer.zero_grad()
        value = x
        for level, (weight, bias) in enumerate(zip(theirs.weights, theirs.biases, strict=True)):
            value = (weight if level else weight * others) @ value + bias
            value = value.relu() if level < 2 else value
        losses(value, x).sum().backward()
        optimizer.step()

    return by_hand, by_autograd


def main(n=2000, d=16, timed=2):
    """Rows (name, ratio): how many times longer the reference takes."""
    z = entangled(n, d)
    ours = seconds(lambda: sl.lps(z, permutations=0))
    loop = seconds(lambda: by_scikit_learn(z / z.std(0), range(timed))) * d / timed
    rows = [(f"LPS, {n} x {d}: loop of MLPRegressor / batched networks", loop / ours)]
    for d in (2, 10, 64):
        by_hand, by_autograd = training_steps(d)
        by_hand(), by_autograd()
        ratios = [seconds(by_autograd, 20) / seconds(by_hand, 20) for _ in range(5)]
        rows.append((f"a training step of {d} networks: autograd and torch's Adam / by hand", statistics.median(ratios)))
    return rows


if __name__ == "__main__":
    for name, ratio in main():
        print(f"{ratio:8.2f}  {name}")
