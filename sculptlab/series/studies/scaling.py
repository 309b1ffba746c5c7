"""What training in several processes costs: CPU time and bytes received in a step, for a global batch that stays the same."""

import json
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any

import torch
from torch import distributed

from sculptlab.data import load
from sculptlab.series.results import Recorded, record_result
from sculptlab.series.studies.runner import run_study
from sculptlab.training.distributed import process_group
from sculptlab.training.models import build_autoencoder
from sculptlab.training.objectives import MMD, Objective, Predictability, Reconstruction, SlicedMMD
from sculptlab.training.state import Training
from sculptlab.validation import whole

RANKS, SEEDS, BATCH, DIM, WIDTH, WARM, STEPS = (1, 2, 4), (1, 2, 3, 4, 5), 512, 16, 256, 3, 12
OBJECTIVES: dict[str, Objective] = {
    "no regularizer": Reconstruction(),
    "MMD": MMD("gaussian"),
    "sliced MMD": SlicedMMD("gaussian"),
    "MMD + predictability": MMD("gaussian") + Predictability(),
}


def bytes_received(objective: str, ranks: int, *, batch: int = BATCH, dim: int = DIM, weights: int = 0) -> int:
    """Bytes that a process receives in a step, in a ring of `ranks`: codes of the others, and two passes over the gradient.

    A ring passes on all but a process's own part, (ranks - 1) / ranks of it; the gradient goes round twice.
    """
    ranks, gathers = whole("ranks", ranks), {"no regularizer": 0, "MMD + predictability": 2}.get(objective, 1)
    return round((ranks - 1) / ranks * 4 * (gathers * batch * dim + 2 * weights))


def measure(seeds: Iterable[int] = SEEDS) -> list[dict[str, Any]]:
    """In a process of torchrun: rows of the CPU time of a step, the mean over ranks, of each objective and seed."""
    images, rows = load("fashion_mnist_small").images, []
    with process_group() as ranks:
        for name, objective in OBJECTIVES.items():
            for seed in seeds:
                model = build_autoencoder("mlp", image_shape=(1, 28, 28), dim=DIM, width=WIDTH, seed=seed)
                training = Training(model, images, objective, batch_size=BATCH, seed=seed, device="cpu")
                training.start()
                for _ in range(WARM):
                    training.advance()
                started = time.process_time()
                for _ in range(STEPS):
                    training.advance()
                spent = torch.tensor((time.process_time() - started) / STEPS, dtype=torch.float64, device="cpu")
                if ranks is not None:
                    distributed.all_reduce(spent)
                    spent /= ranks.size
                count, weights = (1 if ranks is None else ranks.size), sum(w.numel() for w in model.parameters())
                received = bytes_received(name, count, weights=weights)
                rows.append({"objective": name, "seed": seed, "cpu_ms": 1000 * spent.item(), "received": received / 1e6})
        return rows if ranks is None or ranks.rank == 0 else []


@cache
def launched(ranks: int) -> tuple[Mapping[str, Any], ...]:
    """What `measure` finds in `ranks` processes of one thread each."""
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={ranks}"]
    done = subprocess.run([*torchrun, "-m", __name__], capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"torchrun with {ranks} processes failed: {done.stderr[-1000:]}")
    return tuple(json.loads(done.stdout.strip().splitlines()[-1]))


def record_scaling() -> Recorded:
    """Record "scaling": milliseconds of CPU and megabytes received, by process and step, for 1, 2 and 4 processes."""
    frame = run_study(
        RANKS, SEEDS, lambda ranks, seed: [row for row in launched(ranks) if row["seed"] == seed], lambda _, rows, __: rows,
        columns="ranks",
    )  # fmt: skip
    settings = {"batch": BATCH, "dim": DIM, "width": WIDTH, "steps": STEPS, "threads": 1, "data": "fashion_mnist_small"}
    return record_result("scaling", frame, seeds=SEEDS, settings=settings)


if __name__ == "__main__":
    torch.set_num_threads(1)
    if found := measure():
        print(json.dumps(found))
