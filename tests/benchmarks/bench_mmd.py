"""MMD^2 and its gradient under seven IMQ scales: the library against a short form with whole matrices and plain autograd.

python tests/benchmarks/bench_mmd.py

Ratios are of times within one run, each the least of several calls that take turns, so that other work on the machine matters
less.
"""

import time

import torch

from sculptlab.mmd.distance import discrepancies
from sculptlab.mmd.kernels import IMQ

SMALL = [(n, d) for n in (64, 128, 256) for d in (2, 16, 64)]
LARGE = [(2048, 64), (4096, 16)]


class ShortForm(torch.autograd.Function):
    """The unbiased MMD^2 of x (n, d) from y (m, d) and its gradient in x, one scale after the other."""

    @staticmethod
    def forward(ctx, x, y, base):
        n, m = len(x), len(y)

        def matrices(a, b):
            squared = (a.square().sum(1)[:, None] + b.square().sum(1) - 2 * a @ b.T).clamp_min_(0)
            values, slopes = torch.zeros_like(squared), torch.zeros_like(squared)
            for scale in IMQ().scales:
                inverse = (squared + scale * base).reciprocal_()
                values.add_(inverse, alpha=scale * base)
                slopes.addcmul_(inverse, inverse, value=-scale * base)
            return values, slopes

        (k_x, s_x), (k_y, _), (k_xy, s_xy) = matrices(x, x), matrices(y, y), matrices(x, y)
        gradient = 4 / (n * (n - 1)) * (s_x.sum(1, keepdim=True) * x - s_x @ x)
        gradient -= 4 / (n * m) * (s_xy.sum(1, keepdim=True) * x - s_xy @ y)
        ctx.save_for_backward(gradient)
        return (k_x.sum() - k_x.trace()) / (n * (n - 1)) + (k_y.sum() - k_y.trace()) / (m * (m - 1)) - 2 * k_xy.mean()

    @staticmethod
    def backward(ctx, upstream):
        return upstream * ctx.saved_tensors[0], None, None


def plain(x, y, base):
    """The same by autograd."""

    def kernel(a, b):
        squared = (a.square().sum(1)[:, None] + b.square().sum(1) - 2 * a @ b.T).clamp_min(0)
        return sum(s * base / (s * base + squared) for s in IMQ().scales)

    def within(a):
        k = kernel(a, a)
        return (k.sum() - k.trace()) / (len(a) * (len(a) - 1))

    return within(x) + within(y) - 2 * kernel(x, y).mean()


def compare(n, d, turns):
    """The least seconds of the library and of the reference, for calls that take turns."""
    generator = torch.Generator().manual_seed(0)
    x, y = torch.randn(n, d, generator=generator).requires_grad_(), torch.randn(n, d, generator=generator)
    base, kernel = 2.0 * d, IMQ(base=2.0 * d)
    reference = plain if n > 256 else ShortForm.apply
    calls = (lambda: discrepancies(x, y, kernel, True), lambda: reference(x, y, base))
    best = [float("inf")] * 2
    for _ in range(turns):
        for i, call in enumerate(calls):
            started = time.perf_counter()
            torch.autograd.grad(call(), x)
            best[i] = min(best[i], time.perf_counter() - started)
    return best


def main(sizes=(*SMALL, (2048, 64))):
    """Rows (name, ratio): for small samples library / short form, for large ones plain PyTorch / library."""
    for n, d in sizes:
        library, reference = compare(n, d, turns=60 if n <= 256 else 3)
        if n <= 256:
            yield f"library / short form, n = m = {n}, d = {d}", library / reference
        else:
            yield f"plain PyTorch / library, n = m = {n}, d = {d}", reference / library


if __name__ == "__main__":
    for name, ratio in main((*SMALL, *LARGE)):
        print(f"{name:50s} {ratio:6.2f}", flush=True)
