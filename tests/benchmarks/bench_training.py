"""What `fit` costs beyond the loop a good engineer writes by hand: ratios within one run, on digits with a small MLP.

    python tests/benchmarks/bench_training.py

Both train the same stochastic autoencoder (64-64-64 units) on the same batches; rounds alternate, and the ratio is the median
of the rounds' ratios. The loop by hand is written with what `fit` uses too: one order per epoch, fused Adam.
"""

import math
import statistics
import time

import torch

import sculptlab as sl

STEPS, BATCH, ROUNDS = 1500, 128, 9


def by_hand(model: sl.training.models.Autoencoder, images: torch.Tensor) -> float:
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


def by_fit(model: sl.training.models.Autoencoder, images: torch.Tensor) -> float:
    started = time.perf_counter()
    sl.fit(model, images, sl.objectives.KL(), steps=STEPS, batch_size=BATCH, device="cpu", progress=False)
    return time.perf_counter() - started


def main() -> None:
    images = sl.load("digits").images

    def fresh() -> sl.training.models.Autoencoder:
        return sl.build_autoencoder("mlp", image_shape=(1, 8, 8), dim=2, stochastic=True, width=64)

    by_hand(fresh(), images), by_fit(fresh(), images)
    ratios, seconds = [], []
    for _ in range(ROUNDS):
        hand, fit = by_hand(fresh(), images), by_fit(fresh(), images)
        ratios.append(fit / hand)
        seconds.append(hand)
    per_step = statistics.median(seconds) / STEPS
    print(f"by hand: {1e6 * per_step:.0f} us a step; fit / by hand: median {statistics.median(ratios):.3f}, ", end="")
    print(f"range {min(ratios):.3f}-{max(ratios):.3f} over {ROUNDS} rounds (aim: below 1.10)")


if __name__ == "__main__":
    main()
