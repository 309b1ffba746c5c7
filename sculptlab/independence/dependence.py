"""Measures of dependence without a regressor: between pairs of latents, and of each latent on all others jointly."""

from collections.abc import Callable, Sequence
from itertools import combinations_with_replacement
from typing import Any

import torch
from torch import Tensor

from sculptlab.columns import constant_columns, draw_rows, standardize
from sculptlab.validation import as_float64, as_seed, codes, only_array, whole, widest_dtype

BLOCK_NUMBERS = 200_000  # of one distance array held at once, so that a few such arrays fit into the processor's cache


def correlation(z: Any) -> Any:
    """Pearson's correlation of every pair of columns of `z` (n, d), as (d, d); NaN beside a constant column.

    It sees linear dependence only: between z and z^2 of a symmetric z it is 0. Like all functions of this module it returns
    a tensor for a tensor, a DataFrame or Series with the column names for a DataFrame, else an array.
    """
    rows = as_float64(codes("z", z).detach())
    data = standardize(rows)
    return _matrix((data.T @ data) / len(data), constant_columns(rows), z)


def distance_correlation(z: Any, max_rows: int = 1000, seed: int = 0) -> Any:
    """Squared, bias-corrected distance correlation of every pair of columns of `z` (n, d), as (d, d).

    In the population it is 0 if and only if the two columns are independent; on n rows it can be slightly negative. 1 on the
    diagonal, NaN beside a constant column. Of more than `max_rows` rows that many are drawn by `seed`, since the work grows
    with the square of their number. At least 4 rows. Szekely, Rizzo and Bakirov 2007; unbiased: Szekely and Rizzo 2014.
    """
    seed, most = as_seed("seed", seed), whole("max_rows", max_rows, least=4)
    rows = as_float64(draw_rows(codes("z", z, rows=4).detach(), most, seed))
    data = standardize(rows)
    n, d = data.shape
    products, row_sums = data.new_zeros(d, d), []
    for block in data.split(max(1, 500_000 // (n * d))):
        distances = (block[:, None, :] - data[None, :, :]).abs()
        row_sums.append(distances.sum(1))
        flat = distances.reshape(-1, d)
        products += flat.T @ flat
    sums = torch.cat(row_sums)
    covariance = _unbiased(products, sums.T @ sums, sums.sum(0)[:, None] * sums.sum(0)[None, :], n) / (n * (n - 3))
    variance = covariance.diagonal()
    scale = (variance[:, None] * variance[None, :]).clamp_min(0).sqrt()
    return _matrix(covariance / scale, constant_columns(rows) | ~(variance > 0), z)


def distance_correlation_to_rest(z: Any, max_rows: int = 1000, seed: int = 0) -> Any:
    """Squared, bias-corrected distance correlation of every column of `z` (n, d) with all others jointly, as (d,).

    It also sees dependence that no pair of columns shows, such as z3 = sign(z1 z2) |z3|. Columns are standardized first, so
    units do not matter. NaN for a constant column, which is not among the others either; 0 for a column in which a single
    row differs from all the rest. Rows and references as in `distance_correlation`.
    """
    return _of_each(z, max_rows, seed, distance_correlations)


def hsic_to_rest(z: Any, max_rows: int = 1000, seed: int = 0) -> Any:
    """Normalized Hilbert-Schmidt independence criterion of every column of `z` (n, d) with all others jointly, as (d,).

    HSIC(K, L) / sqrt(HSIC(K, K) HSIC(L, L)), each unbiased, with Gaussian kernels exp(-D^2 / (2 w^2)) whose width w is the
    median distance between rows; 1 where both kernels agree. In the population it is 0 if and only if the column is
    independent of the others. Rows and constant columns as above. Gretton et al. 2005; unbiased: Song et al. 2012, JMLR 13.
    """
    return _of_each(z, max_rows, seed, hsics)


def gaussian_total_correlation(z: Any) -> float:
    """-1/2 log det of the correlation matrix of `z` (n, d), in nats: the total correlation of such Gaussian codes.

    It sees linear dependence only, and is infinite where a column is a linear function of others, as with fewer rows than
    columns. Constant columns are left out. Watanabe 1960.
    """
    rows = as_float64(codes("z", z).detach())
    return float(total_correlation(standardize(rows)[:, ~constant_columns(rows)]))


def distance_correlations(data: Tensor, chosen: Sequence[int] | None = None) -> Tensor:
    """`distance_correlation_to_rest` of the `chosen` (default: all) of standardized columns (n, d), as (c,)."""
    return _to_rest(data, lambda own, rest: (own, rest.sqrt_()), chosen)


def hsics(data: Tensor, chosen: Sequence[int] | None = None) -> Tensor:
    """`hsic_to_rest` of the `chosen` (default: all) of standardized columns (n, d), as (c,)."""
    rows = data[:: -(-len(data) // 300)]  # the median distance of at most 300 rows, 45,000 pairs, is enough
    columns = rows if chosen is None else rows[:, list(chosen)]
    own = torch.stack([torch.pdist(column).square_() for column in columns.T[:, :, None]])
    total = sum(own) if chosen is None else torch.pdist(rows).square_()
    squares = torch.stack([own, total - own])  # between rows, in each column and in all others together
    median = squares.median(2).values
    widths = torch.where(median > 1e-12, median, squares.mean(2).clamp_min(1e-12))[:, :, None, None]

    # 1 - k replaces k. Centering removes the constant, and the diagonal becomes 0, as the unbiased form requires.
    def kernels(own: Tensor, rest: Tensor) -> list[Tensor]:
        return [part.mul_(-0.5 / width).exp_().neg_().add_(1) for part, width in zip((own.square_(), rest), widths, strict=True)]

    return _to_rest(data, kernels, chosen)


def total_correlation(data: Tensor, chosen: Sequence[int] | None = None) -> Tensor:
    """`gaussian_total_correlation` of all of the standardized columns (n, d), as ()."""
    spectrum = torch.linalg.eigvalsh((data.T @ data) / len(data))
    singular = len(data) <= data.shape[1] or bool((spectrum < 1e-12 * data.shape[1]).any())
    return data.new_tensor(torch.inf) if singular else (-0.5 * spectrum.log().sum()).clamp_min(0)


def _of_each(z: Any, max_rows: int, seed: int, measure: Callable[[Tensor], Tensor]) -> Any:
    seed, most = as_seed("seed", seed), whole("max_rows", max_rows, least=4)
    rows = as_float64(draw_rows(codes("z", z, rows=4).detach(), most, seed))
    varies = ~constant_columns(rows)
    if varies.sum() < 2:
        raise ValueError(f"z must have at least 2 columns that vary, got {int(varies.sum())} of {len(varies)}")
    data = standardize(rows)
    values = data.new_full(varies.shape, torch.nan)
    values[varies] = measure(data[:, varies])
    return _as_given(values, z)


def _matrix(values: Tensor, constant: Tensor, z: Any) -> Any:
    values = values.clamp(-1, 1).masked_fill(constant[:, None] | constant[None, :], torch.nan)
    return _as_given(values.masked_fill(torch.diag(~constant), 1), z)


def _as_given(values: Tensor, z: Any) -> Any:
    """`values` (d,) or (d, d) of the type of `z`: a tensor, a Series or DataFrame with its column names, or an array."""
    z = only_array("z", z)
    if isinstance(z, Tensor):
        return values.to(z.device, z.dtype if z.is_floating_point() else widest_dtype(z.device))
    array = values.cpu().numpy()
    if not hasattr(z, "columns"):
        return array
    import pandas as pd

    return pd.Series(array, z.columns) if array.ndim == 1 else pd.DataFrame(array, z.columns, z.columns)


def _unbiased(products: Tensor, of_sums: Tensor, of_totals: Tensor, n: int) -> Tensor:
    """n (n - 3) times the unbiased inner product of two matrices, from the products of their entries, row sums and totals."""
    return products - 2 / (n - 2) * of_sums + of_totals / ((n - 1) * (n - 2))


def _to_rest(
    data: Tensor, transform: Callable[[Tensor, Tensor], Sequence[Tensor]], chosen: Sequence[int] | None = None
) -> Tensor:
    """For the c `chosen` columns of `data` (n, d), the unbiased cosine between its matrix A and that of all other columns, B.

    `transform` turns distances (c, block, n) within the column and squared distances within the others into A and B, which
    must be symmetric with zero diagonal: each block of rows computes only the entries right of its first column.
    """
    columns = (data if chosen is None else data[:, list(chosen)]).T.contiguous()
    d, n = columns.shape
    products, row_sums, norms = data.new_zeros(3, d), data.new_zeros(2, d, n), data.square().sum(1)
    start = 0
    while start < n:
        size = min(n - start, max(1, BLOCK_NUMBERS // (d * (n - start))))
        rows = slice(start, start + size)
        own = (columns[:, rows, None] - columns[:, None, start:]).abs_()
        if chosen is None:
            total = torch.linalg.vecdot(own, own, dim=0)
        else:
            total = torch.addmm(norms[rows, None] + norms[start:], data[rows], data[start:].T, alpha=-2).fill_diagonal_(0)
        rest = torch.addcmul(total, own, own, value=-1).clamp_min_(0)
        matrices = transform(own, rest)
        for sums, matrix in zip(row_sums, matrices, strict=True):
            sums[:, start : start + size] += matrix.sum(2)
            sums[:, start + size :] += matrix[:, :, size:].sum(1)
        for total, (a, b) in zip(products, combinations_with_replacement(matrices, 2), strict=True):
            total += 2 * _inner(a, b) - _inner(a[:, :, :size], b[:, :, :size])
        start += size
    pairs = combinations_with_replacement(row_sums, 2)
    own_own, own_rest, rest_rest = (
        _unbiased(total, (a * b).sum(1), a.sum(1) * b.sum(1), n) for total, (a, b) in zip(products, pairs, strict=True)
    )
    # A matrix is zero after centering where a single row differs from all others. What remains is rounding error, at most
    # 1e-10 of the sum of squares; the correlation is then 0 by convention.
    empty = (own_own < 1e-10 * products[0]) | (rest_rest < 1e-10 * products[2])
    return (own_rest / torch.where(empty, 1, own_own * rest_rest).sqrt()).clamp(-1, 1).masked_fill(empty, 0)


def _inner(a: Tensor, b: Tensor) -> Tensor:
    return torch.linalg.vecdot(a.flatten(1), b.flatten(1))
