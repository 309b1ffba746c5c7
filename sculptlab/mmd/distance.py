"""The squared maximum mean discrepancy (MMD) between two samples, with its exact gradient.

`whole_matrices` holds whole kernel matrices, for samples as small as training batches; `tiles` computes larger ones in parts;
`grid` interpolates the kernel between single columns.
"""

from typing import Any

import torch
from torch import Tensor

from sculptlab.mmd.grid import grid_points, on_grid
from sculptlab.mmd.inputs import pair_of_codes
from sculptlab.mmd.kernel_base import Kernel, squared_distances
from sculptlab.mmd.kernels import as_kernel
from sculptlab.mmd.precision import centered, recompute_small, without_autocast
from sculptlab.mmd.tiles import pull, tiled, tiled_share
from sculptlab.mmd.views import VIEWS, views_of
from sculptlab.validation import choice, widest_dtype

WHOLE = 2**17  # pairs of rows of x and y, over all views, up to which whole matrices are faster than tiles
MOST_PAIRS = 2**25  # for a second derivative, which holds whole matrices: a few GB


def whole_matrices(
    x: Tensor, y: Tensor, kernel: Kernel, unbiased: bool, wants: tuple[bool, bool]
) -> tuple[Tensor, Tensor | None, Tensor | None]:
    """MMD^2 (v,) between x (v, n, p) and y (v, m, p) in each of v views, and its gradients in x and y where `wants` says so.

    MMD^2 = mean k(x, x') + mean k(y, y') - 2 mean k(x, y), and d k(|a - b|^2) / da = 2 k'(|a - b|^2) (a - b).
    """

    def side(own: Tensor, other: Tensor, between: bool, slopes: bool) -> tuple[Tensor, Tensor | None]:
        """Row sums of k between all rows (only `own` unless `between`) and `own`, and the gradient of MMD^2 in `own`."""
        rows = torch.cat([own, other], 1) if between else own
        n, m = own.shape[1], other.shape[1]
        norms = rows.square().sum(-1)
        squared = torch.baddbmm(norms[:, :, None] + norms[:, None, :n], rows, own.mT, alpha=-2)
        if not kernel.smooth:
            recompute_small(squared, rows, own)
        squared.diagonal(dim1=1, dim2=2).zero_()
        sums, slope = kernel.row_sums_and_slopes(squared, slopes)
        if slope is None:
            return sums, None
        slope[:, :n] *= 4 / (n * (n - unbiased))
        slope[:, n:] *= -4 / (n * m)
        return sums, pull(slope, own, rows)

    n, m = x.shape[1], y.shape[1]
    in_x, in_y = 1 / (n * (n - unbiased)), 1 / (m * (m - unbiased))
    sums_x, gradient_x = side(x, y, True, wants[0])
    sums_y, gradient_y = side(y, x, wants[1], wants[1])
    xx, yx, yy = (sums.sum(1, dtype=widest_dtype(x.device)) for sums in (sums_x[:, :n], sums_x[:, n:], sums_y[:, :m]))
    value = in_x * xx + in_y * yy - 2 / (n * m) * yx
    return value - unbiased * kernel.peak * (n * in_x + m * in_y), gradient_x, gradient_y


class _Discrepancy(torch.autograd.Function):
    """MMD^2 as one node of autograd's graph. `forward` also returns the gradients in x and y that it saves for `backward`."""

    @staticmethod
    def forward(x: Tensor, y: Tensor, kernel: Kernel, unbiased: bool, wants: tuple[bool, bool]) -> tuple[Tensor | None, ...]:
        with without_autocast(x.device):
            a, b = (rows if rows.ndim == 3 else rows[None] for rows in (x, y))
            if (points := grid_points(a, b, kernel)) is not None:
                found = on_grid(a, b, kernel, unbiased, wants, points)
            else:
                a, b = centered(kernel, a, b)
                engine = whole_matrices if len(a) * a.shape[1] * b.shape[1] <= WHOLE else tiled
                found = engine(a, b, kernel, unbiased, wants)
        shape = x.shape[:-2]
        value, *gradients = (None if part is None else part.to(x.dtype).reshape(shape + part.shape[1:]) for part in found)
        return value, *gradients

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Any, ...]) -> None:
        x, y, ctx.kernel, ctx.unbiased, ctx.wants = inputs
        ctx.set_materialize_grads(False)
        ctx.mark_non_differentiable(*(gradient for gradient in output[1:] if gradient is not None))
        ctx.save_for_backward(x, y, *output[1:])

    @staticmethod
    def backward(ctx: Any, *upstream: Tensor) -> tuple[Tensor | None, ...]:
        x, y, *gradients = ctx.saved_tensors
        if upstream[0] is None:
            return (None,) * 5
        if torch.is_grad_enabled():  # create_graph=True: for a second derivative
            value = _differentiable(x, y, ctx.kernel, ctx.unbiased)
            inputs = [rows for rows, want in zip((x, y), ctx.wants, strict=True) if want]
            found = iter(torch.autograd.grad(value, inputs, upstream[0], create_graph=True))
            return *(next(found) if want else None for want in ctx.wants), None, None, None
        return *(None if g is None else upstream[0][..., None, None] * g for g in gradients), None, None, None


def discrepancies(x: Tensor, y: Tensor, kernel: Kernel, unbiased: bool) -> Tensor:
    """MMD^2, 0-d, between x (n, d) and y (m, d); or (v,) between x (v, n, p) and y (v, m, p) in v views. Differentiable twice."""
    wanted = torch.is_grad_enabled()
    return _Discrepancy.apply(x, y, kernel, unbiased, (wanted and x.requires_grad, wanted and y.requires_grad))[0]


class _Share(torch.autograd.Function):
    """`discrepancy_share` as one node of autograd's graph, with the gradient in the rows `own` of x alone."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, y: Tensor, kernel: Kernel, unbiased: bool, own: slice) -> Tensor:
        with without_autocast(x.device):
            a, b = (rows if rows.ndim == 3 else rows[None] for rows in centered(kernel, x.detach(), y.detach()))
            value, gradient = tiled_share(a, b, kernel, unbiased, own)
        whole = torch.zeros_like(x)
        whole[..., own, :] = gradient.to(x.dtype).reshape(whole[..., own, :].shape)
        ctx.save_for_backward(whole)
        return value.to(x.dtype).reshape(x.shape[:-2])

    @staticmethod
    def backward(ctx: Any, *upstream: Tensor) -> tuple[Tensor | None, ...]:
        return upstream[0][..., None, None] * ctx.saved_tensors[0], None, None, None, None


def discrepancy_share(x: Tensor, y: Tensor, kernel: Kernel, unbiased: bool, own: slice) -> Tensor:
    """One process's part of `discrepancies`, of x and y with equally many rows, of which the rows `own` are this process's.

    The values of all processes add up to MMD^2. The gradient is that of MMD^2 in the own rows of x, and 0 elsewhere.
    """
    return _Share.apply(x, y, kernel, unbiased, own)


def _differentiable(x: Tensor, y: Tensor, kernel: Kernel, unbiased: bool) -> Tensor:
    """The definition of MMD^2 in operations that autograd can differentiate any number of times."""
    pairs = x.shape[:-2].numel() * (x.shape[-2] + y.shape[-2]) ** 2
    if pairs > MOST_PAIRS:
        raise RuntimeError(
            f"a second derivative of mmd2 holds whole kernel matrices, of at most {MOST_PAIRS:,} pairs of rows; got {pairs:,}: "
            "take fewer rows, or views"
        )

    def mean_within(rows: Tensor) -> Tensor:
        k, n = kernel.values(squared_distances(rows, rows)), rows.shape[-2]
        return (k.sum((-2, -1)) - unbiased * k.diagonal(dim1=-2, dim2=-1).sum(-1)) / (n * (n - unbiased))

    a, b = centered(kernel, x, y)
    value = mean_within(a) + mean_within(b) - 2 * kernel.values(squared_distances(a, b)).mean((-2, -1))
    return value.to(x.dtype)


def mmd2(
    x: Any, y: Any, kernel: Kernel | None = None, estimator: str = "unbiased", views: str = "joint", reduction: str = "mean"
) -> Tensor:
    """Squared maximum mean discrepancy between two samples, differentiable in both.

    MMD^2 = mean k(x, x') + mean k(y, y') - 2 mean k(x, y).

    Value and gradient are exact, to rounding. Between single columns in float32 under an analytic kernel (RBF, IMQ,
    RationalQuadratic, sums of them) they are interpolated, in a time linear in n and m: the value is within 1e-6 of the kernel's
    peak, the gradient within 1e-5 of its length. Memory is O((n + m) d), for pairs of dimensions O((n + m) d^2); a second
    derivative needs whole kernel matrices, O((n + m)^2).

    Parameters
    ----------
    x : array_like of shape (n, d)
        Codes, samples first.
    y : array_like of shape (m, d) or prior
        The target. Of a prior (anything that `priors.as_prior` takes, or its name), n rows are drawn with seed 0.
    kernel : Kernel, optional
        None is `kernels.IMQ()`. The width of a kernel made without one is estimated from `y` at each call and treated as constant
        in the gradient; `kernel.fit(prior)` returns a kernel with a fixed width.
    estimator : {"unbiased", "biased"}
        "unbiased" leaves out the pairs of a point with itself. Its mean is 0 when the two distributions agree, and about half of
        its values are then negative. "biased" keeps those pairs and is never negative.
    views : {"joint", "marginal", "pairs"}
        What is compared: all dimensions at once, each dimension alone, or each two dimensions. With many dimensions the joint
        kernel sees neither the shape of a single one nor the dependence of two. For "marginal" and "pairs", an
        estimated width is in units of each dimension's standard deviation in `y`; a given width is in units of the codes.
    reduction : {"mean", "max", "none"}
        How the d marginal or d (d - 1) / 2 pair values become one: their mean, or the largest, which detects one deviation among
        hundreds and has a gradient in that view alone. "none" returns them all, pairs in the order of `itertools.combinations`.

    Returns
    -------
    Tensor
        0-d, or of shape (views,) with reduction "none".

    Raises
    ------
    ValueError, TypeError
        For shapes or devices that differ, values that are not finite, fewer than two rows (one for "biased"), or integers.

    References
    ----------
    Gretton et al. 2012, A kernel two-sample test, JMLR 13.

    Examples
    --------
    >>> from sculptlab.mmd.kernels import RBF
    >>> round(mmd2([[0.0], [1.0]], [[3.0], [4.0]], RBF(bandwidth=1.0), "biased").item(), 4)
    1.5276
    """
    choice("estimator", estimator, ("unbiased", "biased"))
    choice("views", views, VIEWS)
    choice("reduction", reduction, ("mean", "max", "none"))
    unbiased = estimator == "unbiased"
    x, y = pair_of_codes(x, y, rows=2 if unbiased else 1)
    x, y, kernel = views_of(x, y, as_kernel(kernel), views)
    if reduction == "max" and views != "joint":
        worst = discrepancies(x.detach(), y.detach(), kernel, unbiased).argmax()
        x, y = x[worst], y[worst]
    values = discrepancies(x, y, kernel, unbiased)
    return values if reduction == "none" or not values.ndim else values.mean()
