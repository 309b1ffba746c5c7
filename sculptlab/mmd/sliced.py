"""The sliced MMD: the mean over random directions of the one-dimensional MMD^2 between projections, in a time linear in n.

For the energy kernel a sort, in n log n, gives the exact value. A smooth kernel is a short sum of cosines on the range of the
projections, k(r) = sum_j w_j cos(j h r), so that MMD^2 = sum_j w_j |phi_x(j h) - phi_y(j h)|^2 with the empirical characteristic
functions phi.
"""

import math
from typing import Any, cast

import torch
from torch import Tensor
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from sculptlab.mmd.distance import discrepancies
from sculptlab.mmd.inputs import pair_of_codes
from sculptlab.mmd.kernel_base import FIT_ROWS, Kernel
from sculptlab.mmd.kernels import Energy, as_kernel
from sculptlab.mmd.precision import without_autocast
from sculptlab.mmd.views import fitted
from sculptlab.priors import Gaussian, as_prior
from sculptlab.priors.base import drawing_device
from sculptlab.validation import as_seed, choice, whole, widest_dtype

MOST_COSINES = 4096
PART = 2**23  # numbers in the largest intermediate tensor; more directions are taken in parts, recomputed for the gradient


def unit_directions(dim: int, directions: int, generator: torch.Generator | None) -> Tensor:
    """Random unit vectors (dim, directions), float32, uniform on the sphere."""
    device = drawing_device(generator, None)
    return functional.normalize(torch.randn(dim, directions, generator=generator, device=device, dtype=torch.float32), dim=0)


def sliced_mmd2(
    x: Any, y: Any, directions: int = 256, kernel: Kernel | None = None, estimator: str = "unbiased", seed: int = 0
) -> Tensor:
    """Sliced MMD^2: the mean over random unit directions u of the MMD^2 between u . x and u . y, differentiable in both.

    E_u [mean k(u.x, u.x') + mean k(u.y, u.y') - 2 mean k(u.x, u.y)].

    Under `kernels.Energy()` the value is exact, by a sort. Under a smooth kernel (RBF, IMQ, RationalQuadratic, sums of them) the
    kernel is replaced by a sum of cosines, within 1e-6 of the kernel's peak over the range of the projections (1e-9 in double
    precision). The number of cosines grows with this range in kernel widths. Where more than (n + m) / 8 are needed, and for
    other kernels, all pairs are computed, in a time quadratic in n. A Gaussian target enters by its formula, without draws.

    Parameters
    ----------
    x : array_like of shape (n, d)
        Codes, samples first.
    y : array_like of shape (m, d) or prior
        The target, as in `mmd2`. Of a prior that is no `priors.Gaussian`, n rows are drawn with `seed`.
    directions : int
        How many directions. The value varies with them as 1 / sqrt(directions), and time and memory grow with them.
    kernel : Kernel, optional
        A kernel of one dimension. None is `kernels.Energy()`, which has no width and takes least time. An open width is set by
        the projections of `y`.
    estimator : {"unbiased", "biased"}
        As in `mmd2`.
    seed : int
        Of the directions and, before them, of the draws of a prior. In a training loop, give another one at each step.

    Returns
    -------
    Tensor
        0-d.

    Raises
    ------
    ValueError, TypeError
        As `mmd2`; and where x is farther from a Gaussian target than 4,096 cosines can reach.

    References
    ----------
    Bonneel et al. 2015, Sliced and Radon Wasserstein barycenters, JMIV 51. Balestriero and LeCun 2025, LeJEPA, arXiv 2511.08544:
    its SIGReg is sqrt(2 pi) n times the biased value under RBF(1) with the target N(0, I).

    Examples
    --------
    >>> x = torch.randn(500, 8, generator=torch.Generator().manual_seed(0))
    >>> bool(sliced_mmd2(x + 1.0, "gaussian") > 10 * sliced_mmd2(x, "gaussian").abs())
    True
    """
    generator = torch.Generator().manual_seed(as_seed("seed", seed))
    directions = whole("directions", directions)
    unbiased = choice("estimator", estimator, ("unbiased", "biased")) == "unbiased"
    kernel = as_kernel(Energy() if kernel is None else kernel)
    given, (x, y) = y, pair_of_codes(x, y, rows=2 if unbiased else 1, generator=generator)
    u = unit_directions(x.shape[1], directions, generator)
    prior = as_prior(given, x.shape[1]) if isinstance(given, str) else given
    target = prior if isinstance(prior, Gaussian) and by_formula(kernel) else y
    return sliced(x, target, u, fitted_to_projections(kernel, y, u), unbiased)


def by_formula(kernel: Kernel) -> bool:
    """Whether `sliced` compares codes with a Gaussian itself under `kernel`, not with draws of it."""
    return kernel.smooth or isinstance(kernel, Energy)


def fitted_to_projections(kernel: Kernel, y: Tensor, u: Tensor) -> Kernel:
    """The kernel with an open width set by up to 10,000 projections of y (m, d) onto directions u (d, k), from all rows."""
    chosen = torch.arange(min(FIT_ROWS, len(y) * u.shape[1]), device=y.device)
    rows, columns = chosen % len(y), (chosen + chosen // len(y)) % u.shape[1]
    return fitted(kernel, torch.linalg.vecdot(y.detach()[rows], u.to(y).T[columns])[:, None], len(y))


def sliced(x: Tensor, target: Tensor | Gaussian, u: Tensor, kernel: Kernel, unbiased: bool) -> Tensor:
    """`sliced_mmd2`, 0-d, of x (n, d) from a sample (m, d), or from a Gaussian if `by_formula`, along directions u (d, k)."""
    wide = widest_dtype(x.device)  # products in single precision may be rounded to fewer bits
    gaussian = isinstance(target, Gaussian)
    center = (cast(Tensor, target.mean) if isinstance(target, Gaussian) else target.detach().to(wide).mean(0)).to(x.device, wide)
    rows = x.to(wide) - center
    others = None if isinstance(target, Gaussian) else target.to(wide) - center
    u = u.to(x.device, wide)
    # of each row and direction about 16 cosines and sines are computed, in two precisions
    size = max(1, PART // ((len(x) if others is None else len(x) + len(others)) * (64 if kernel.smooth else 1)))

    def part(p: Tensor, second: Tensor) -> Tensor:
        return one_dimensional(p, second, gaussian, kernel, unbiased, x.dtype).sum()

    with without_autocast(x.device):
        projected = u.T @ rows.T
        if isinstance(target, Gaussian):
            second = (u * (cast(Tensor, target.covariance).to(u) @ u)).sum(0).sqrt()[:, None]
        else:
            second = u.T @ cast(Tensor, others).T
        parts = list(zip(projected.split(size), second.split(size), strict=True))
        if len(parts) > 1 and torch.is_grad_enabled():
            values = [checkpoint(part, *one, use_reentrant=False, preserve_rng_state=False) for one in parts]
        else:
            values = [part(*one) for one in parts]
        return (torch.stack(values).sum() / u.shape[1]).to(x.dtype)


def one_dimensional(p: Tensor, q: Tensor, gaussian: bool, kernel: Kernel, unbiased: bool, dtype: torch.dtype) -> Tensor:
    """MMD^2 (k,) of projections p (k, n) from q (k, m), or from N(0, q^2) with q (k, 1) if `gaussian`; both near the origin."""
    if isinstance(kernel, Energy):
        return energy_distances(p, q, gaussian, unbiased)
    if kernel.smooth:
        ends = torch.cat([p, p.new_zeros(1, 1).expand(len(p), 1), *(() if gaussian else (q,))], dim=1).detach()
        reach = (ends.amax() - ends.amin()).item() + (9 * q.max().item() if gaussian else 0)  # 9 deviations hold all but 1e-18
        found = cosines(kernel, reach, 1e-9 if dtype == torch.float64 else 1e-7)
        if found is not None and (gaussian or len(found[0]) <= (p.shape[1] + q.shape[1]) / 8):
            frequencies, weights = (values.to(p) for values in found)
            return characteristic_distances(p.to(dtype), q.to(dtype), gaussian, frequencies, weights, unbiased)
    if gaussian:
        raise ValueError(f"x is too far from the prior for {kernel!r}: divide x by its standard deviation, or use Energy()")
    return discrepancies(p[:, :, None], q[:, :, None], kernel, unbiased)


def energy_distances(p: Tensor, q: Tensor, gaussian: bool, unbiased: bool) -> Tensor:
    """`one_dimensional` under -|r|, by one sort.

    Of a weight w_i at each z_i, -sum_ij w_i w_j |z_i - z_j| has the slope -2 w_i sum_j w_j sign(z_i - z_j) in z_i, and is the sum
    of z_i times slope. Signs between equal values are 0.
    """
    n = p.shape[1]
    ordered, order = (p if gaussian else torch.cat([p, q], dim=1)).sort(dim=1)
    with torch.no_grad():
        places = torch.arange(ordered.shape[1], device=p.device)
        below, upto = places, places + 1
        tied = bool((ordered[:, 1:] == ordered[:, :-1]).any())
        if tied:
            below, upto = (torch.searchsorted(ordered, ordered, right=right) for right in (False, True))

        def slopes(weights: Tensor) -> Tensor:
            sums = functional.pad(weights.cumsum(dim=1), (1, 0))  # of integers, so that equal samples give exactly 0
            low, high = (sums.gather(1, at) if tied else sums[:, at] for at in (below, upto))
            return -2 * weights.to(p) * (low + high - sums[:, -1:]).to(p)

        own = order < n
        if gaussian:
            slope = slopes(own.long()) / (n * (n - unbiased))
        else:
            m = q.shape[1]
            slope = slopes(own * (n + m) - n) / float(n * m) ** 2
            if unbiased:
                slope += slopes(own.long()) / (n**2 * (n - 1)) + slopes((~own).long()) / (m**2 * (m - 1))
    value = (ordered * slope).sum(dim=1)
    if not gaussian:
        return value
    r = p / q
    means = q * ((2 / math.pi) ** 0.5 * torch.exp(-r.square() / 2) + r * torch.erf(r / 2**0.5))  # E |p - Y|, Y ~ N(0, q^2)
    return value + 2 * means.mean(dim=1) - 2 / math.pi**0.5 * q[:, 0]


def cosines(kernel: Kernel, reach: float, tolerance: float) -> tuple[Tensor, Tensor] | None:
    """Frequencies and weights (t,), float64, of k(r) = sum_j weight_j cos(frequency_j r) for |r| <= `reach`; None if too many.

    The largest error is `tolerance` times the sum of the weights. Beyond `reach` the distance is bent smoothly until it stays
    constant, so that the periodic continuation has no kink, and the weights, from a fast Fourier transform, fall fast.
    """
    reach = max(reach, 1e-6)
    step = 4 * reach / (4 * MOST_COSINES)
    distances = step * torch.arange(4 * MOST_COSINES, device="cpu", dtype=torch.float64)
    distances = torch.minimum(distances, 4 * reach - distances)
    v = distances / (0.1 * reach) - 15
    bent = 0.1 * reach * (0.5 * (v * torch.erfc(v) - torch.exp(-v.square()) / math.pi**0.5) + 15)
    weights = torch.fft.rfft(kernel.values(bent.square())).real / len(distances)
    weights[1:] *= 2
    tails = weights.abs().flip(0).cumsum(0).flip(0)
    count = int((tails > tolerance * tails[0]).sum())
    if count > MOST_COSINES:
        return None
    return math.pi / (2 * reach) * torch.arange(count, device="cpu", dtype=torch.float64), weights[:count]


def characteristic_distances(
    p: Tensor, q: Tensor, gaussian: bool, frequencies: Tensor, weights: Tensor, unbiased: bool
) -> Tensor:
    """`one_dimensional` under k(r) = sum_j weights_j cos(frequencies_j r), from mean cosines and sines.

    The frequencies are 0, h, 2h, ... With j = s a + b, exp(i j h z) is a product of exp(i s a h z) and exp(i b h z), so that the
    means of all t of them are one matrix product of 2 sqrt(t) cosines and sines of each z.
    """
    count = len(frequencies)
    step = math.isqrt(count - 1) + 1

    def means(z: Tensor) -> tuple[Tensor, Tensor]:
        coarse, fine = (z[:, None, :] * part.to(z)[:, None] for part in (frequencies[::step], frequencies[:step]))
        left, right = (torch.cat([a.cos(), a.sin()], dim=1).to(weights.dtype) for a in (coarse, fine))
        (cc, cs), (sc, ss) = (half.split(step, dim=2) for half in (left @ right.mT / z.shape[1]).chunk(2, dim=1))
        return (cc - ss).flatten(1)[:, :count], (sc + cs).flatten(1)[:, :count]

    cosine, sine = means(p)
    if gaussian:
        other_cosine, other_sine = torch.exp(-0.5 * (q * frequencies).square()), torch.zeros_like(sine)
    else:
        other_cosine, other_sine = means(q)
    value = ((cosine - other_cosine).square() + (sine - other_sine).square()) @ weights
    if unbiased:  # leave out the pairs of a point with itself
        value = value + ((cosine.square() + sine.square()) @ weights - weights.sum()) / (p.shape[1] - 1)
        if not gaussian:
            value = value + ((other_cosine.square() + other_sine.square()) @ weights - weights.sum()) / (q.shape[1] - 1)
    return value
