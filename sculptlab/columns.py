"""Operations on the columns and rows of codes that several statistics share."""

import warnings

import torch
from torch import Tensor


def constant_columns(z: Tensor) -> Tensor:
    """Return a boolean tensor (d,) that marks the columns of `z` (n, d) with a single value."""
    return z.amax(0) == z.amin(0)


def standardize(z: Tensor, epsilon: float = 0.0) -> Tensor:
    """Shift and scale each column of `z` (n, d) to mean 0 and variance 1; a constant column becomes zeros.

    `epsilon` is added to the variance. A positive value keeps the gradient finite where a column is nearly constant.
    """
    if epsilon:
        centered = z - z.mean(0)
        return centered * (centered.square().mean(0) + epsilon).rsqrt()
    largest = z.abs().amax(0)
    scaled = z / torch.where(largest > 0, largest, 1)  # the squares of very large values would overflow
    centered = scaled - scaled.mean(0)
    constant = constant_columns(z)
    return torch.where(constant, 0, centered / torch.where(constant, 1, centered.square().mean(0).sqrt()))


def permute_columns(z: Tensor, generator: torch.Generator | None = None) -> Tensor:
    """Permute the rows of each column of `z` (n, d) independently: every column keeps its values but depends on no other."""
    permuted = z.clone()
    device = None if generator is None else generator.device
    for i in range(z.shape[1]):
        permuted[:, i] = z[torch.randperm(len(z), generator=generator, device=device).to(z.device), i]
    return permuted


def draw_rows(z: Tensor, most: int, seed: int) -> Tensor:
    """Return `z` if it has at most `most` rows, else `most` of its rows, drawn without replacement by `seed`."""
    if len(z) <= most:
        return z
    generator = torch.Generator().manual_seed(seed)
    return z[torch.randperm(len(z), generator=generator)[:most].to(z.device)]


def warn_of_repeats(name: str, z: Tensor, consequence: str) -> None:
    """Warn if rows of `z` (n, d) are repeated. Columns with many ties of their own, such as small integers, do not count."""
    n = len(z)
    distinct = max((len(torch.unique(column)) for column in z.T), default=n)
    # If the ties were the columns' own, there would be more distinct rows than distinct values in any column.
    if z.shape[1] > 1 and n / 50 < distinct <= 0.99 * n and len(torch.unique(z, dim=0)) == distinct:
        words = f"{name} has {1 - distinct / n:.0%} repeated rows: {consequence}; drop the copies"
        warnings.warn(words, stacklevel=3)
