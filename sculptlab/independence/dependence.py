"""Dependence between pairs of dimensions, and of each on all others: what correlation sees, and what it misses."""

from collections.abc import Callable
from itertools import combinations_with_replacement
from typing import Any

import torch

from sculptlab.validation import codes, whole

BLOCK = 500_000  # numbers held at once: 4 MB, what a core's cache holds
JOINT_BLOCK = 200_000  # the same where four such arrays are at work
ROUNDING = 1e-10  # of the sum of squares: what centering leaves of nothing, with a margin
WIDTH_ROWS = 300  # 45,000 pairs settle a median


def correlation(z: Any) -> Any:
    """Pearson's correlation of every pair of columns of `z` (n, d), as (d, d); NaN beside a column that is constant.

    Blind to any dependence that is not a line: of z and z^2 it sees nothing. Tensor in, tensor out; else an array.
    """
    data, constant = standardized(codes("z", z))
    return _returned(z, (data.T @ data) / len(data), constant)


def distance_correlation(z: Any, max_rows: int = 1000, seed: int = 0) -> Any:
    """The squared, bias-corrected distance correlation of every pair of columns of `z` (n, d), as (d, d).

    0 if and only if the two are independent (up to the noise of n rows, which may make it slightly negative); 1 on the
    diagonal; NaN beside a column that is constant. Of more than `max_rows` rows that many are drawn, by `seed`: the
    work grows with their square. At least four rows. Sources: Szekely, Rizzo and Bakirov 2007; the unbiased form,
    Szekely and Rizzo 2014.
    """
    rows = drawn(z, max_rows, seed)
    data, constant = standardized(rows)
    covariance = _distance_covariance(data)
    variance = covariance.diagonal()
    constant = constant | ~(variance > 0)
    return _returned(z, covariance / (variance[:, None] * variance[None, :]).clamp_min(0).sqrt(), constant)


def distance_correlation_to_rest(z: Any, max_rows: int = 1000, seed: int = 0) -> Any:
    """The squared, bias-corrected distance correlation of every column of `z` (n, d) with all the others jointly, as (d,).

    0 if and only if the column is independent of the others together (up to the noise of n rows), which pairs cannot
    tell: of a three-way XOR they see nothing. Columns are standardized first, so that units do not matter; NaN where a
    column is constant, which is no part of the others either, and 0 where one row alone sets it apart. Rows and sources
    as in `distance_correlation`.
    Raises ValueError for fewer than four rows, or fewer than two columns that vary.
    """
    return _of_each(z, drawn(z, max_rows, seed), distance_correlations)


def hsic_to_rest(z: Any, max_rows: int = 1000, seed: int = 0) -> Any:
    """The normalized Hilbert-Schmidt independence criterion of every column of `z` (n, d) with all the others jointly,
    as (d,).

    HSIC(K, L) / sqrt(HSIC(K, K) HSIC(L, L)), each unbiased, of Gaussian kernels exp(-D^2 / (2 w^2)) whose width w is the
    median distance between rows (300 of them); 1 where both kernels agree, as in centered kernel alignment. 0 in the
    population if and only if independent. Constants, rows and errors as in `distance_correlation_to_rest`.
    Sources: Gretton et al. 2005; the unbiased form, Song et al. 2012, JMLR 13.
    """
    return _of_each(z, drawn(z, max_rows, seed), hsics)


def gaussian_total_correlation(z: Any) -> float:
    """-1/2 log det of the correlation matrix of `z` (n, d), in nats: the total correlation that a Gaussian would have.

    It sees what lines explain and no more. Infinite where a column is a linear function of others, as it always is with
    fewer rows than columns; columns that are constant are left out. Source: Watanabe 1960.
    """
    data, constant = standardized(codes("z", z).detach())
    return total_correlation(data[:, ~constant])


def permuted_columns(columns: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Columns (n, d), each in an order of its own: independent of each other, with the same marginals."""
    shuffled = columns.clone()
    for i in range(columns.shape[1]):
        shuffled[:, i] = columns[torch.randperm(len(columns), generator=generator).to(columns.device), i]
    return shuffled


def distance_correlations(data: torch.Tensor) -> torch.Tensor:
    """`distance_correlation_to_rest` of columns (n, d) that are standardized already."""
    return _to_rest(data, lambda own, rest: (own.sqrt_(), rest.sqrt_()))


def hsics(data: torch.Tensor) -> torch.Tensor:
    """`hsic_to_rest` of columns (n, d) that are standardized already."""
    own_width, rest_width = _median_squares(data)

    # 1 - k in place of k: a constant does not change what is centered, and the diagonal is 0, as the unbiased form needs
    def kernels(own: torch.Tensor, rest: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        own, rest = own.mul_(-0.5 / own_width[:, None, None]), rest.mul_(-0.5 / rest_width[:, None, None])
        return own.exp_().neg_().add_(1), rest.exp_().neg_().add_(1)

    return _to_rest(data, kernels)


def total_correlation(data: torch.Tensor) -> float:
    """`gaussian_total_correlation` of columns (n, d) that are standardized already."""
    spectrum = torch.linalg.eigvalsh((data.T @ data) / len(data))
    singular = len(data) <= data.shape[1] or bool((spectrum < 1e-12 * data.shape[1]).any())
    return float("inf") if singular else max(0.0, float(-0.5 * spectrum.log().sum()))


def _of_each(z: Any, rows: torch.Tensor, measure: Callable[[torch.Tensor], torch.Tensor]) -> Any:
    data, constant = standardized(rows)
    if (~constant).sum() < 2:
        raise ValueError(f"z must have at least 2 columns that vary, got {int((~constant).sum())} of {len(constant)}")
    values = data.new_full(constant.shape, torch.nan)
    values[~constant] = measure(data[:, ~constant])
    if isinstance(z, torch.Tensor):
        return values.to(z.dtype) if z.is_floating_point() else values
    return values.cpu().numpy()


def _to_rest(
    data: torch.Tensor, shaped: Callable[[torch.Tensor, torch.Tensor], tuple[torch.Tensor, torch.Tensor]]
) -> torch.Tensor:
    """For every column (n, d), the unbiased inner product of its matrix A and that B of all others, over their norms.

    `shaped` turns the squared distances (d, block, n) of a column, and of the others, into A and B, symmetric and with
    diagonal 0. <A, B> as in `_distance_covariance`; a block of rows reads only what lies right of its first column.
    """
    columns = data.T.contiguous()
    d, n = columns.shape
    products, row_sums = data.new_zeros(3, d), data.new_zeros(2, d, n)
    start = 0
    while start < n:
        stop = min(n, start + max(1, JOINT_BLOCK // (d * (n - start))))
        own = (columns[:, start:stop, None] - columns[:, None, start:]).square_()
        rest = (own.sum(0) - own).clamp_min_(0)
        size = stop - start
        matrices = shaped(own, rest)
        for sums, matrix in zip(row_sums, matrices, strict=True):
            sums[:, start:stop] += matrix.sum(2)
            sums[:, stop:] += matrix[:, :, size:].sum(1)
        for total, (a, b) in zip(products, combinations_with_replacement(matrices, 2), strict=True):
            total += 2 * _inner(a, b) - _inner(a[:, :, :size], b[:, :, :size])
        start = stop
    own_sums, rest_sums = row_sums
    own_own, own_rest, rest_rest = (
        total - 2 / (n - 2) * (a * b).sum(1) + a.sum(1) * b.sum(1) / ((n - 1) * (n - 2))
        for total, (a, b) in zip(products, combinations_with_replacement((own_sums, rest_sums), 2), strict=True)
    )
    # what one row alone sets apart is 0 once centered, but for rounding; 0 is the convention for its correlation
    empty = (own_own < ROUNDING * products[0]) | (rest_rest < ROUNDING * products[2])
    return (own_rest / torch.where(empty, 1, own_own * rest_rest).sqrt()).clamp(-1, 1).masked_fill(empty, 0)


def _inner(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    return torch.linalg.vecdot(a.flatten(1), b.flatten(1))


def _median_squares(data: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The median squared distance between rows: in each column, and in all others together; the mean where it is 0."""
    columns = data[:: -(-len(data) // WIDTH_ROWS)].T[:, :, None]
    together = sum(torch.pdist(column).square_() for column in columns)
    widths = []
    for column in columns:
        own = torch.pdist(column).square_()
        for squares in (own, together - own):
            median = squares.median()
            widths.append(torch.where(median > 1e-12, median, squares.mean().clamp_min(1e-12)))
    own_widths, rest_widths = torch.stack(widths).reshape(-1, 2).T
    return own_widths, rest_widths


def drawn(z: Any, max_rows: int, seed: int) -> torch.Tensor:
    """The rows of `z`, or `max_rows` of them drawn by `seed` where there are more."""
    rows = codes("z", z, rows=4).detach()
    if len(rows) <= whole("max_rows", max_rows, least=4):
        return rows
    generator = torch.Generator().manual_seed(whole("seed", seed, least=0))
    return rows[torch.randperm(len(rows), generator=generator)[:max_rows].to(rows.device)]


def _distance_covariance(data: torch.Tensor) -> torch.Tensor:
    """The unbiased squared distance covariance of every pair of columns, without centering any distance matrix.

    With a_ij = |x_i - x_j| and row sums a_i.: [sum a_ij b_ij - 2/(n-2) sum a_i. b_i. + a.. b.. / ((n-1)(n-2))] / (n
    (n-3)).
    """
    n, d = data.shape
    step = max(1, BLOCK // (n * d))
    products = data.new_zeros(d, d)
    row_sums = []
    for block in data.split(step):
        distances = (block[:, None, :] - data[None, :, :]).abs()
        row_sums.append(distances.sum(1))
        flat = distances.reshape(-1, d)
        products += flat.T @ flat
    sums = torch.cat(row_sums)
    total = sums.sum(0)
    centered = products - 2 / (n - 2) * (sums.T @ sums) + total[:, None] * total[None, :] / ((n - 1) * (n - 2))
    return centered / (n * (n - 3))


def standardized(z: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The columns with mean 0 and variance 1, in float64, and which of them are constant."""
    data = z.double()
    constant = data.amax(0) == data.amin(0)
    largest = data.abs().amax(0)
    data = data / torch.where(largest > 0, largest, 1)  # no square of it can overflow
    data = data - data.mean(0)
    return data / torch.where(constant, 1, data.square().mean(0).sqrt()), constant


def _returned(z: Any, matrix: torch.Tensor, constant: torch.Tensor) -> Any:
    matrix = matrix.clamp(-1, 1).masked_fill(constant[:, None] | constant[None, :], torch.nan)
    matrix = matrix.masked_fill(torch.diag(~constant), 1)
    if isinstance(z, torch.Tensor):
        return matrix.to(z.dtype) if z.is_floating_point() else matrix
    return matrix.cpu().numpy()
