"""Dependence between pairs of dimensions: what correlation sees, and what it misses."""

from typing import Any

import torch

from sculptlab.validation import codes, whole

BLOCK = 500_000  # numbers held at once: 4 MB, what a core's cache holds


def correlation(z: Any) -> Any:
    """Pearson's correlation of every pair of columns of `z` (n, d), as (d, d); NaN beside a column that is constant.

    Blind to any dependence that is not a line: of z and z^2 it sees nothing. Tensor in, tensor out; else an array.
    """
    data, constant = _standardised(codes("z", z))
    return _returned(z, (data.T @ data) / len(data), constant)


def distance_correlation(z: Any, max_rows: int = 1000, seed: int = 0) -> Any:
    """The squared, bias-corrected distance correlation of every pair of columns of `z` (n, d), as (d, d).

    0 if and only if the two are independent (up to the noise of n rows, which may make it slightly negative); 1 on the
    diagonal; NaN beside a column that is constant. Of more than `max_rows` rows that many are drawn, by `seed`: the
    work grows with their square. At least four rows. Sources: Szekely, Rizzo and Bakirov 2007; the unbiased form,
    Szekely and Rizzo 2014.
    """
    rows = codes("z", z, rows=4).detach()
    if len(rows) > whole("max_rows", max_rows, least=4):
        generator = torch.Generator().manual_seed(whole("seed", seed, least=0))
        rows = rows[torch.randperm(len(rows), generator=generator)[:max_rows].to(rows.device)]
    data, constant = _standardised(rows)
    covariance = _distance_covariance(data)
    variance = covariance.diagonal()
    constant = constant | ~(variance > 0)
    return _returned(z, covariance / (variance[:, None] * variance[None, :]).clamp_min(0).sqrt(), constant)


def _distance_covariance(data: torch.Tensor) -> torch.Tensor:
    """The unbiased squared distance covariance of every pair of columns, without centring any distance matrix.

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
    centred = products - 2 / (n - 2) * (sums.T @ sums) + total[:, None] * total[None, :] / ((n - 1) * (n - 2))
    return centred / (n * (n - 3))


def _standardised(z: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The columns with mean 0 and variance 1, in float64, and which of them are constant."""
    data = z.double()
    constant = data.amax(0) == data.amin(0)
    data = data - data.mean(0)
    return data / torch.where(constant, 1, data.square().mean(0).sqrt()), constant


def _returned(z: Any, matrix: torch.Tensor, constant: torch.Tensor) -> Any:
    matrix = matrix.clamp(-1, 1).masked_fill(constant[:, None] | constant[None, :], torch.nan)
    matrix = matrix.masked_fill(torch.diag(~constant), 1)
    if isinstance(z, torch.Tensor):
        return matrix.to(z.dtype) if z.is_floating_point() else matrix
    return matrix.cpu().numpy()
