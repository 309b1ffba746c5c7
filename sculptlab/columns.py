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


def interquantile_range(z: Tensor, tail: float) -> Tensor:
    """Range (d,) of each column of `z` (n, d) without the share `tail` of its rows at either end; it always exists."""
    cut = int(tail * (len(z) - 1))
    ordered = z.sort(0).values
    return ordered[len(z) - 1 - cut] - ordered[cut]


def varies_less(z: Tensor, reference: Tensor, share: float) -> Tensor:
    """Mark (d,) the columns of `z` that vary less than `share` of those of `reference`.

    They do by standard deviation and by the range of the middle 80 %: a heavy-tailed distribution may have no variance, and the
    standard deviations of two of its samples then differ by any factor.
    """
    narrow = interquantile_range(z, 0.1) <= share * interquantile_range(reference, 0.1)
    return narrow & (z.std(0, correction=0) < share * reference.std(0, correction=0))


def without_heavy_tails(z: Tensor) -> Tensor:
    """`z` (n, d), with values beyond three interquartile ranges from the median moved there in heavy-tailed columns.

    A column is heavy-tailed if its standard deviation exceeds half the range of its middle 98 %. A few rows then decide it, and
    the distribution may have none: what is left has one, from which scales are set. All other columns stay as they are.
    """
    reach, median = 3 * interquantile_range(z, 0.25), z.median(0).values
    heavy = (z.std(0, correction=0) > interquantile_range(z, 0.01) / 2) & (reach > 0)
    return torch.where(heavy, z.clamp(median - reach, median + reach), z) if heavy.any() else z


def rows_of(groups: Tensor, group_size: int) -> Tensor:
    """The numbers of the rows in these groups, of which number g holds the rows from g `group_size` on."""
    if group_size == 1:
        return groups
    return (groups[:, None] * group_size + torch.arange(group_size, device=groups.device)).flatten()


def random_rows(n: int, generator: torch.Generator | int | None = None, group_size: int = 1) -> Tensor:
    """The numbers 0 ... n - 1 in random order, by a generator or a seed; groups of `group_size` consecutive rows stay whole."""
    if isinstance(generator, int):
        generator = torch.Generator().manual_seed(generator)
    device = None if generator is None else generator.device
    return rows_of(torch.randperm(n // group_size, generator=generator, device=device), group_size)


def permute_columns(z: Tensor, generator: torch.Generator | None = None, group_size: int = 1) -> Tensor:
    """Permute the rows of each column of `z` (n, d) independently: every column keeps its values but depends on no other.

    Groups of `group_size` consecutive rows are moved whole, so that a column also keeps the dependence within them.
    """
    columns = z.T.contiguous()  # two times faster for wide codes than to gather from rows
    for column in columns:
        column.copy_(column.index_select(0, random_rows(len(z), generator, group_size).to(z.device)))
    return torch.empty_like(z).copy_(columns.T)


def draw_rows(z: Tensor, most: int, seed: int, group_size: int = 1) -> Tensor:
    """Return `z` if it has at most `most` rows, else as many of its groups as `most` rows hold, drawn by `seed`."""
    if len(z) <= most:
        return z
    return z[random_rows(len(z), seed, group_size)[: most - most % group_size].to(z.device)]


def warn_of_repeats(name: str, z: Tensor, consequence: str) -> None:
    """Warn if rows of `z` (n, d) are repeated. Columns with many ties of their own, such as small integers, do not count."""
    n, distinct = len(z), 0
    for column in z.T if z.shape[1] > 1 else ():
        distinct = max(distinct, len(torch.unique(column)))
        if distinct > 0.99 * n:
            return
    # If the ties were the columns' own, there would be more distinct rows than distinct values in any column.
    if n / 50 < distinct and len(torch.unique(z, dim=0)) == distinct:
        words = f"{name} has {1 - distinct / n:.0%} repeated rows: {consequence}; drop the copies"
        warnings.warn(words, stacklevel=3)
