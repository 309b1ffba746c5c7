"""Measures of dependence without a regressor: between pairs of latents, and of each latent on all others jointly."""

from collections.abc import Callable
from itertools import combinations_with_replacement
from typing import Any

import torch
from torch import Tensor

from sculptlab.columns import constant_columns, draw_rows, standardize
from sculptlab.validation import codes, only_array, whole

WIDTH_ROWS = 300  # rows from which HSIC takes its median distance: 45,000 pairs are enough
BLOCK_NUMBERS = 200_000  # of one distance array held at once, so that a few such arrays fit into the processor's cache


def correlation(z: Any) -> Any:
    """Pearson's correlation of every pair of columns of `z` (n, d), as (d, d); NaN beside a constant column.

    It sees linear dependence only: between z and z^2 of a symmetric z it is 0. Like all functions of this module it returns
    a tensor for a tensor, a DataFrame or Series with the column names for a DataFrame, else an array.
    """
    rows = codes("z", z)
    data = standardize(rows.double())
    return _as_given(_matrix((data.T @ data) / len(data), constant_columns(rows)), z)


def distance_correlation(z: Any, max_rows: int = 1000, seed: int = 0) -> Any:
    """Squared, bias-corrected distance correlation of every pair of columns of `z` (n, d), as (d, d).

    In the population it is 0 if and only if the two columns are independent; on n rows it can be slightly negative. 1 on the
    diagonal, NaN beside a constant column. Of more than `max_rows` rows that many are drawn by `seed`, since the work grows
    with the square of their number. At least 4 rows. Szekely, Rizzo and Bakirov 2007; unbiased: Szekely and Rizzo 2014.
    """
    rows = _rows(z, max_rows, seed)
    covariance = _distance_covariance(standardize(rows.double()))
    variance = covariance.diagonal()
    constant = constant_columns(rows) | ~(variance > 0)
    scale = (variance[:, None] * variance[None, :]).clamp_min(0).sqrt()
    return _as_given(_matrix(covariance / scale, constant), z)


def distance_correlation_to_rest(z: Any, max_rows: int = 1000, seed: int = 0) -> Any:
    """Squared, bias-corrected distance correlation of every column of `z` (n, d) with all others jointly, as (d,).

    It also sees dependence that no pair of columns shows, such as z3 = sign(z1 z2) |z3|. Columns are standardized first, so
    units do not matter. NaN for a constant column, which is not among the others either; 0 for a column in which a single
    row differs from all the rest. Rows and references as in `distance_correlation`.
    """
    return _of_each(z, _rows(z, max_rows, seed), distance_correlations)


def hsic_to_rest(z: Any, max_rows: int = 1000, seed: int = 0) -> Any:
    """Normalized Hilbert-Schmidt independence criterion of every column of `z` (n, d) with all others jointly, as (d,).

    HSIC(K, L) / sqrt(HSIC(K, K) HSIC(L, L)), each unbiased, with Gaussian kernels exp(-D^2 / (2 w^2)) whose width w is the
    median distance between rows; 1 where both kernels agree. In the population it is 0 if and only if the column is
    independent of the others. Rows and constant columns as above. Gretton et al. 2005; unbiased: Song et al. 2012, JMLR 13.
    """
    return _of_each(z, _rows(z, max_rows, seed), hsics)


def gaussian_total_correlation(z: Any) -> float:
    """-1/2 log det of the correlation matrix of `z` (n, d), in nats: the total correlation of such Gaussian codes.

    It sees linear dependence only, and is infinite where a column is a linear function of others, as with fewer rows than
    columns. Constant columns are left out. Watanabe 1960.
    """
    rows = codes("z", z).detach()
    return total_correlation(standardize(rows.double())[:, ~constant_columns(rows)])


def distance_correlations(data: Tensor) -> Tensor:
    """`distance_correlation_to_rest` of columns (n, d) that are already standardized."""
    return _to_rest(data, lambda own, rest: (own.sqrt_(), rest.sqrt_()))


def hsics(data: Tensor) -> Tensor:
    """`hsic_to_rest` of columns (n, d) that are already standardized."""
    own_width, rest_width = _median_squares(data)

    # 1 - k replaces k. Centering removes the constant, and the diagonal becomes 0, as the unbiased form requires.
    def kernels(own: Tensor, rest: Tensor) -> tuple[Tensor, Tensor]:
        own, rest = own.mul_(-0.5 / own_width[:, None, None]), rest.mul_(-0.5 / rest_width[:, None, None])
        return own.exp_().neg_().add_(1), rest.exp_().neg_().add_(1)

    return _to_rest(data, kernels)


def total_correlation(data: Tensor) -> float:
    """`gaussian_total_correlation` of columns (n, d) that are already standardized."""
    spectrum = torch.linalg.eigvalsh((data.T @ data) / len(data))
    singular = len(data) <= data.shape[1] or bool((spectrum < 1e-12 * data.shape[1]).any())
    return float("inf") if singular else max(0.0, float(-0.5 * spectrum.log().sum()))


def _rows(z: Any, max_rows: int, seed: int) -> Tensor:
    rows = codes("z", z, rows=4).detach()
    return draw_rows(rows, whole("max_rows", max_rows, least=4), whole("seed", seed, least=0))


def _of_each(z: Any, rows: Tensor, measure: Callable[[Tensor], Tensor]) -> Any:
    varies = ~constant_columns(rows)
    if varies.sum() < 2:
        raise ValueError(f"z must have at least 2 columns that vary, got {int(varies.sum())} of {len(varies)}")
    data = standardize(rows.double())
    values = data.new_full(varies.shape, torch.nan)
    values[varies] = measure(data[:, varies])
    return _as_given(values, z)


def _matrix(values: Tensor, constant: Tensor) -> Tensor:
    values = values.clamp(-1, 1).masked_fill(constant[:, None] | constant[None, :], torch.nan)
    return values.masked_fill(torch.diag(~constant), 1)


def _as_given(values: Tensor, z: Any) -> Any:
    """`values` (d,) or (d, d) of the type of `z`: a tensor, a Series or DataFrame with its column names, or an array."""
    z = only_array("z", z)
    if isinstance(z, Tensor):
        return values.to(z.dtype) if z.is_floating_point() else values
    array = values.cpu().numpy()
    if not hasattr(z, "columns"):
        return array
    import pandas as pd

    return pd.Series(array, z.columns) if array.ndim == 1 else pd.DataFrame(array, z.columns, z.columns)


def _to_rest(data: Tensor, transform: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]) -> Tensor:
    """For every column of `data` (n, d), the unbiased cosine between its matrix A and the matrix B of all other columns.

    `transform` turns the squared distances (d, block, n) of the column and of the others into A and B, which must be
    symmetric with zero diagonal. The unbiased inner product is that of `_distance_covariance`. Since both matrices are
    symmetric, each block of rows computes only the entries right of its first column.
    """
    columns = data.T.contiguous()
    d, n = columns.shape
    products, row_sums = data.new_zeros(3, d), data.new_zeros(2, d, n)
    start = 0
    while start < n:
        stop = min(n, start + max(1, BLOCK_NUMBERS // (d * (n - start))))
        own = (columns[:, start:stop, None] - columns[:, None, start:]).square_()
        rest = (own.sum(0) - own).clamp_min_(0)
        size = stop - start
        matrices = transform(own, rest)
        for sums, matrix in zip(row_sums, matrices, strict=True):
            sums[:, start:stop] += matrix.sum(2)
            sums[:, stop:] += matrix[:, :, size:].sum(1)
        for total, (a, b) in zip(products, combinations_with_replacement(matrices, 2), strict=True):
            total += 2 * _inner(a, b) - _inner(a[:, :, :size], b[:, :, :size])
        start = stop
    own_own, own_rest, rest_rest = (
        total - 2 / (n - 2) * (a * b).sum(1) + a.sum(1) * b.sum(1) / ((n - 1) * (n - 2))
        for total, (a, b) in zip(products, combinations_with_replacement(row_sums, 2), strict=True)
    )
    # A matrix is zero after centering where a single row differs from all others. What remains is rounding error, at most
    # 1e-10 of the sum of squares; the correlation is then 0 by convention.
    empty = (own_own < 1e-10 * products[0]) | (rest_rest < 1e-10 * products[2])
    return (own_rest / torch.where(empty, 1, own_own * rest_rest).sqrt()).clamp(-1, 1).masked_fill(empty, 0)


def _inner(a: Tensor, b: Tensor) -> Tensor:
    return torch.linalg.vecdot(a.flatten(1), b.flatten(1))


def _median_squares(data: Tensor) -> Tensor:
    """Median squared distance between rows, (2, d): in each column, in all others together; the mean if the median is 0."""
    columns = data[:: -(-len(data) // WIDTH_ROWS)].T[:, :, None]  # at most WIDTH_ROWS rows
    together = sum(torch.pdist(column).square_() for column in columns)
    widths = []
    for column in columns:
        own = torch.pdist(column).square_()
        for squares in (own, together - own):
            median = squares.median()
            widths.append(torch.where(median > 1e-12, median, squares.mean().clamp_min(1e-12)))
    return torch.stack(widths).reshape(-1, 2).T


def _distance_covariance(data: Tensor) -> Tensor:
    """Unbiased squared distance covariance of every pair of columns, (d, d), without storing any distance matrix.

    With a_ij = |x_i - x_j|, row sums a_i. and total a..:
    [sum a_ij b_ij - 2/(n-2) sum a_i. b_i. + a.. b.. / ((n-1)(n-2))] / (n (n-3)).
    """
    n, d = data.shape
    products, row_sums = data.new_zeros(d, d), []
    for block in data.split(max(1, 500_000 // (n * d))):
        distances = (block[:, None, :] - data[None, :, :]).abs()
        row_sums.append(distances.sum(1))
        flat = distances.reshape(-1, d)
        products += flat.T @ flat
    sums = torch.cat(row_sums)
    total = sums.sum(0)
    centered = products - 2 / (n - 2) * (sums.T @ sums) + total[:, None] * total[None, :] / ((n - 1) * (n - 2))
    return centered / (n * (n - 3))
