"""Sliced MMD^2 and its gradient against `mmd2`: ratios of CPU time within one run.

python -m tests.benchmarks.bench_sliced    # a table of CPU seconds, up to 65,536 rows and 512 dimensions
"""

import time

import torch

import sculptlab as sl

DIRECTIONS = 64
QUICK = [(256, 2), (256, 64), (1024, 64)]
LONG = [(256, 2), (256, 512), (1024, 64), (4096, 2), (4096, 512), (16384, 64), (65536, 2), (65536, 512)]
LARGEST = 4096  # rows for `mmd2`, whose time grows with their square
KINDS = {  # name -> (kernel, target: draws or the Gaussian itself)
    "energy, draws": (None, "draws"),
    "RBF, draws": (sl.kernels.RBF(1.0), "draws"),
    "RBF, formula": (sl.kernels.RBF(1.0), "gaussian"),
}


def seconds(call, x, turns):
    """The least seconds of CPU time of a value and its gradient."""
    best = float("inf")
    for _ in range(turns):
        started = time.process_time()
        torch.autograd.grad(call(), x)
        best = min(best, time.process_time() - started)
    return best


def measure(n, d):
    """Seconds of `mmd2` (None where there are more than LARGEST rows) and of each of KINDS, by name."""
    generator = torch.Generator().manual_seed(0)
    x, y = torch.randn(n, d, generator=generator).requires_grad_(), torch.randn(n, d, generator=generator)
    turns = 5 if n <= 1024 else 2  # the first use of a checkpoint imports for seconds
    found = {"mmd2": seconds(lambda: sl.mmd2(x, y), x, turns) if n <= LARGEST else None}
    for name, (kernel, target) in KINDS.items():
        against = y if target == "draws" else target
        found[name] = seconds(lambda k=kernel, t=against: sl.sliced_mmd2(x, t, DIRECTIONS, k), x, turns)
    return found


def main():
    """Rows (name, ratio): `mmd2` over `sliced_mmd2`, and how the time of `sliced_mmd2` grows with four times the rows."""
    for n, d in QUICK:
        found = measure(n, d)
        for name in KINDS:
            yield f"mmd2 / sliced_mmd2 ({name}), n = m = {n}, d = {d}", found["mmd2"] / found[name]
    few, many = measure(2048, 8), measure(8192, 8)
    for name in KINDS:
        yield f"sliced_mmd2 ({name}): n = 8,192 / n = 2,048, d = 8 (4: linear)", many[name] / few[name]


if __name__ == "__main__":
    torch.set_num_threads(1)
    print(f"CPU seconds of value and gradient, {DIRECTIONS} directions")
    print(f"{'n = m':>8s} {'d':>4s}", *(f"{name:>14s}" for name in ["mmd2", *KINDS]))
    for n, d in LONG:
        cells = ("-" if s is None else f"{s:.4f}" for s in measure(n, d).values())
        print(f"{n:8,d} {d:4d}", *(f"{cell:>14s}" for cell in cells), flush=True)
