"""Sliced MMD^2 and its gradient against `mmd2`: ratios of seconds within one run.

python -m tests.benchmarks.bench_sliced    # the longer mode, up to 65,536 rows and 512 dimensions
"""

import time

import torch

import sculptlab as sl

QUICK = [(256, 2), (256, 64), (2048, 64)]
LONG = [(n, d) for n in (256, 1024, 4096, 16384, 65536) for d in (2, 64, 512)]


def seconds(call, x, turns):
    """The least seconds of a value and its gradient."""
    best = float("inf")
    for _ in range(turns):
        started = time.perf_counter()
        torch.autograd.grad(call(), x)
        best = min(best, time.perf_counter() - started)
    return best


def main(sizes=QUICK):
    """Rows (name, seconds of `mmd2` / seconds of `sliced_mmd2`), with 256 directions."""
    for n, d in sizes:
        generator = torch.Generator().manual_seed(0)
        x, y = torch.randn(n, d, generator=generator).requires_grad_(), torch.randn(n, d, generator=generator)
        turns = 5 if n <= 1024 else 1
        reference = seconds(lambda x=x, y=y: sl.mmd2(x, y), x, turns)
        for name, kernel, target in (("energy", None, y), ("RBF, Gaussian by formula", sl.kernels.RBF(1.0), "gaussian")):
            sliced = seconds(lambda x=x, t=target, k=kernel: sl.sliced_mmd2(x, t, kernel=k), x, turns)
            yield f"mmd2 / sliced_mmd2 ({name}), n = m = {n}, d = {d}", reference / sliced


if __name__ == "__main__":
    for name, ratio in main(LONG):
        print(f"{name:70s} {ratio:8.3f}", flush=True)
