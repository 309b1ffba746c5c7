"""MMD: the tiled engine against the plain matrix-product expression and against its floor; time and memory when large.

python tests/benchmarks/bench_mmd.py            ratios, forward + backward, seven IMQ scales; every kernel and view
python tests/benchmarks/bench_mmd.py fused      the same ratios with the scales of IMQ in one compiled pass
python tests/benchmarks/bench_mmd.py memory     seconds and extra memory at n = m = 65,536, d = 16
python tests/benchmarks/bench_mmd.py test       mmd_test with 200 permutations at n = m = 20,000
python tests/benchmarks/bench_mmd.py peers      geomloss, ignite, torchmetrics and pythae, those that are installed

Times are the least of several, of calls that take turns, so that other work on the machine matters less.
"""

import resource
import sys
import time

import torch

import sculptlab as sl
from sculptlab.mmd.kernels import IMQ, RBF, Energy, Laplacian, RationalQuadratic, fuse

SIZES = ((2048, 64), (4096, 16))
TURNS = 7


def rows(n, d, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(n, d, generator=generator).requires_grad_(), torch.randn(n, d, generator=generator)


def plain(x, y, base):
    """The unbiased MMD^2 under seven IMQ scales, by matrix products and autograd."""

    def kernel(a, b):
        squared = (a.square().sum(1)[:, None] + b.square().sum(1)[None, :] - 2 * a @ b.T).clamp_min(0)
        return sum(s * base / (s * base + squared) for s in IMQ().scales)

    def within(a):
        k = kernel(a, a)
        return (k.sum() - k.diagonal().sum()) / (len(a) * (len(a) - 1))

    return within(x) + within(y) - 2 * kernel(x, y).mean()


def floor(x, y, base):
    """What no way around is known to: a product, a pass of the kernel and its slope, a product back, in tiles that fit.

    Of half of (x, x), all of (x, y) and, without the slope and the way back, half of (y, y).
    """
    with torch.no_grad():
        tile = 1024
        kernel, room = IMQ(base=base), [torch.empty(tile, tile) for _ in range(3)]
        count = len(x) // tile
        for slopes in [True] * (count * count + count * (count + 1) // 2) + [False] * (count * (count + 1) // 2):
            torch.mm(x[:tile], y[:tile].T, out=room[0])
            for _ in kernel.terms(room[0].abs_(), room[1], room[2] if slopes else None):
                pass
            if slopes:
                room[2] @ y[:tile]


def seconds_of(calls, turns=TURNS):
    """The least of each call's times, in turns."""
    taken = {name: [] for name in calls}
    for turn in range(turns + 1):  # the first one warms up
        for name, call in calls.items():
            started = time.perf_counter()
            call()
            if turn:
                taken[name].append(time.perf_counter() - started)
    return {name: min(times) for name, times in taken.items()}


def gradient(x, value):
    (found,) = torch.autograd.grad(value, x)
    return found


def ratios():
    for n, d in SIZES:
        (x, y), base = rows(n, d), 2.0 * d
        kernel = IMQ(base=base)
        a, b = gradient(x, plain(x, y, base)), gradient(x, sl.mmd2(x, y, kernel))
        seconds = seconds_of({
            "plain": lambda x=x, y=y, base=base: gradient(x, plain(x, y, base)),
            "tiled": lambda x=x, y=y, kernel=kernel: gradient(x, sl.mmd2(x, y, kernel)),
            "chance": lambda x=x, y=y, base=base: floor(x, y, base),
        })  # fmt: skip
        times, (plainly, tiled, least) = ", ".join(f"{name} {1e3 * s:.0f} ms" for name, s in seconds.items()), seconds.values()
        difference = ((a - b).abs().max() / a.abs().max()).item()
        print(f"n = m = {n}, d = {d}, {torch.get_num_threads()} thread(s): {times}; plain / tiled {plainly / tiled:.1f}, "
              f"tiled / floor {tiled / least:.2f}; gradients differ by {difference:.0e}", flush=True)  # fmt: skip
    x, y = rows(2048, 16)
    kernels = (IMQ(base=32.0), RBF(4.0), RationalQuadratic(4.0), Laplacian(4.0), Energy())
    seconds = seconds_of({str(k): lambda k=k: gradient(x, sl.mmd2(x, y, k)) for k in kernels})
    print("n = m = 2048, d = 16: " + ", ".join(f"{name.split('(')[0]} {1e3 * s:.0f} ms" for name, s in seconds.items()))
    x, y = rows(256, 32)
    views = [(v, r) for v in ("joint", "marginal", "pairs") for r in ("mean", "max")][1:]
    seconds = seconds_of(
        {f"{v} {r}": lambda v=v, r=r: gradient(x, sl.mmd2(x, y, views=v, reduction=r)) for v, r in views}, turns=3
    )
    print("n = m = 256, d = 32: " + ", ".join(f"{name} {1e3 * s:.1f} ms" for name, s in seconds.items()))


def fused():
    print(f"compiled: {fuse()}")
    ratios()


def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20  # GiB on Linux


def memory(n=65_536, d=16):
    gradient(*(lambda x, y: (x, sl.mmd2(x, y)))(*rows(1000, d)))  # what the libraries load on first use
    x, y = rows(n, d)
    before, started = peak(), time.perf_counter()
    gradient(x, sl.mmd2(x, y, IMQ(base=2.0 * d)))
    print(f"n = m = {n}, d = {d}: {time.perf_counter() - started:.0f} s, {peak() - before:.3f} GiB extra")


def permuted(n=20_000, d=16):
    x, y = rows(n, d)
    before, started = peak(), time.perf_counter()
    found = sl.mmd_test(x, y, permutations=200)
    seconds = time.perf_counter() - started
    print(f"mmd_test, n = m = {n}, d = {d}: {seconds:.0f} s, {peak() - before:.2f} GiB extra, p = {found.p_value:.2f}")


def peers(n=1024, d=16):
    (x, y), base = rows(n, d), 2.0 * d
    calls = {
        "ours, RBF": lambda: gradient(x, sl.mmd2(x, y, RBF(1.0), "biased")),
        "ours, Energy": lambda: gradient(x, sl.mmd2(x, y, Energy(), "biased")),
        "ours, IMQ": lambda: gradient(x, sl.mmd2(x, y, IMQ(base=base))),
        "ours, RBF, value alone": lambda: sl.mmd2(x.detach(), y, RBF(1.0)),
    }
    for peer in (_geomloss, _ignite, _torchmetrics, _pythae):
        try:
            calls |= peer(x, y)
        except ImportError as error:
            print(f"left out: {error}")
    for name, seconds in seconds_of(calls, turns=3).items():
        print(f"{name:32s} {1e3 * seconds:8.1f} ms")


def _geomloss(x, y):
    from geomloss import SamplesLoss

    gaussian, energy = (SamplesLoss(name, blur=1.0, backend="tensorized") for name in ("gaussian", "energy"))
    return {"geomloss, gaussian": lambda: gradient(x, gaussian(x, y)), "geomloss, energy": lambda: gradient(x, energy(x, y))}


def _ignite(x, y):
    from ignite.metrics import MaximumMeanDiscrepancy

    def value():
        metric = MaximumMeanDiscrepancy(var=1.0)
        metric.update((x.detach(), y))
        return metric.compute()

    return {"ignite, RBF, value alone": value}


def _torchmetrics(x, y):
    from torchmetrics.image.kid import poly_mmd

    return {"torchmetrics, cubic": lambda: gradient(x, poly_mmd(x, y))}


def _pythae(x, y):
    from pythae.models import WAE_MMD, WAE_MMD_Config

    shape = (1, 4, 4)
    model = WAE_MMD(WAE_MMD_Config(input_dim=shape, latent_dim=x.shape[1], kernel_choice="imq", kernel_bandwidth=1.0))
    images = torch.zeros(len(x), *shape)
    return {"pythae, IMQ": lambda: gradient(x, model.loss_function(images, images, x, y)[2])}


if __name__ == "__main__":
    {"fused": fused, "memory": memory, "test": permuted, "peers": peers}.get(sys.argv[1] if len(sys.argv) > 1 else "", ratios)()
