"""What an objective adds to a training step: CPU time divided by that of a plain autoencoder's step, on one thread.

Random images of the digits' shape, an MLP of width 128, batches of 256. Settings take turns; the ratio is the median of rounds.
The aims are 1.15 for marginal MMD, 1.7 for MMD at 16 latents and 4 for the adversarial penalty at 64.
"""

import statistics
import time

import torch

import sculptlab as sl
from sculptlab.threads import one_thread
from sculptlab.training.objectives import MMD, Predictability, Reconstruction
from sculptlab.training.state import Training

STEPS, ROUNDS = 10, 5
OBJECTIVES = {
    "MMD": lambda: MMD("gaussian"),
    "marginal MMD": lambda: MMD("gaussian", views="marginal"),
    "penalty": lambda: Predictability(),
    "penalty, width 64, 2 rounds": lambda: Predictability(width=64, rounds=2),
}


def started(objective, dim):
    """A training after a few steps."""
    images = torch.rand(1797, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    model = sl.build_autoencoder("mlp", image_shape=(1, 8, 8), dim=dim, width=128)
    training = Training(model, images, objective, device="cpu")
    training.start()
    for _ in range(3):
        training.advance()
    return training


def seconds(training):
    """CPU time of a few steps."""
    start = time.process_time()
    for _ in range(STEPS):
        training.advance()
    return time.process_time() - start


def main():
    """Rows (name, ratio)."""
    with one_thread():
        for dim in (2, 16, 64):
            plain = started(Reconstruction(), dim)
            others = {name: started(make(), dim) for name, make in OBJECTIVES.items()}
            rounds = [(seconds(plain), {name: seconds(one) for name, one in others.items()}) for _ in range(ROUNDS)]
            for name in others:
                yield f"step with {name} / plain step, {dim} latents", statistics.median(r[name] / base for base, r in rounds)


if __name__ == "__main__":
    for name, ratio in main():
        print(f"{name:60} {ratio:6.2f}", flush=True)
