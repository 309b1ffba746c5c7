"""What `fit` costs beyond the loop that one would write by hand: digits, a stochastic MLP of 64-64-64 units, one CPU.

    python tests/benchmarks/bench_training.py

Both loops train the same model on the same batches, with one order per epoch and fused Adam. Rounds alternate; the ratio is the
median of the rounds' ratios. The aim is below 1.10.
"""

import math
import statistics
import time

import torch
from torch import Tensor

import sculptlab as sl
from sculptlab.training import Autoencoder

STEPS, BATCH, ROUNDS = 300, 128, 7


def seconds_by_hand(model: Autoencoder, images: Tensor) -> float:
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, fused=True)
    generator = torch.Generator().manual_seed(0)
    step, started = 0, time.perf_counter()
    while step < STEPS:
        order = torch.randperm(len(images), generator=generator)
        for rows in order[: len(images) // BATCH * BATCH].split(BATCH):
            if step == STEPS:
                break
            optimizer.param_groups[0]["lr"] = 1e-3 * 0.5 * (1 + math.cos(math.pi * step / STEPS))
            x = images[rows]
            mean, log_variance = model.encoder(x).chunk(2, 1)
            z = mean + (0.5 * log_variance).exp() * torch.randn(mean.shape, generator=generator)
            reconstruction = 0.5 * (model.decoder(z).sigmoid() - x).square().sum() / BATCH
            kl = 0.5 * (mean.square() + log_variance.exp() - log_variance - 1).sum() / BATCH
            loss = reconstruction + kl
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            if not math.isfinite(loss.item()):
                raise RuntimeError("diverged")
            step += 1
    return time.perf_counter() - started


def seconds_by_fit(model: Autoencoder, images: Tensor) -> float:
    started = time.perf_counter()
    sl.fit(model, images, sl.objectives.KL(), steps=STEPS, batch_size=BATCH, device="cpu", progress=False)
    return time.perf_counter() - started


def main() -> list[tuple[str, float]]:
    """The rows (name, ratio) of the table of benchmarks."""
    images = sl.load("digits").images

    def ratio() -> float:
        one, two = (sl.build_autoencoder("mlp", image_shape=(1, 8, 8), dim=2, stochastic=True, width=64) for _ in range(2))
        return seconds_by_fit(one, images) / seconds_by_hand(two, images)

    ratio()  # warms up
    return [("fit / a loop by hand", statistics.median(ratio() for _ in range(ROUNDS)))]


if __name__ == "__main__":
    for name, ratio in main():
        print(f"{name:40} {ratio:.3f}")
