"""Parameters of priors, checked and kept as plain numbers and tuples, so that priors compare, hash and print; and moments."""

import zlib
from typing import Any

import torch
from torch import Tensor

from sculptlab.validation import as_tensor, describe, finite

Vector = tuple[float, ...]
Moments = tuple[Tensor | None, Tensor | None]


def numbers(name: str, value: Any, *shape: int | None) -> Tensor:
    """`value` as finite float64 on the CPU, of `shape` if given, where None stands for any size of at least 1."""
    tensor = finite(name, as_tensor(name, value).detach().cpu().double().clone())
    fits = len(shape) == tensor.ndim and all(size in (None, have) for size, have in zip(shape, tensor.shape, strict=True))
    if shape and not (fits and tensor.numel()):
        wanted = ", ".join("any" if size is None else str(size) for size in shape)
        raise ValueError(f"{name} must have shape ({wanted}), got {tuple(tensor.shape)}")
    return tensor


def nested(tensor: Tensor) -> Any:
    """A tensor as tuples of tuples of floats."""
    return tuple(nested(row) for row in tensor) if tensor.ndim else tensor.item()


def vector(name: str, value: Any, size: int) -> Tensor:
    """One number for all of `size` dimensions, or one for each, as float64 (size,)."""
    tensor = numbers(name, value)
    return tensor.repeat(size) if tensor.ndim == 0 else numbers(name, tensor, size)


def positive_definite(name: str, given: Tensor) -> Tensor:
    """A square matrix, which must be symmetric up to rounding, made so exactly, and positive definite."""
    difference = (given - given.T).abs().max()
    if difference > 1e-6 * given.abs().max():
        raise ValueError(f"{name} must be symmetric, got entries that differ by {difference:.3g}")
    matrix = (given + given.T) / 2
    eigenvalues = torch.linalg.eigvalsh(matrix)
    if eigenvalues[0] <= 1e-12 * eigenvalues[-1].clamp(min=0):
        raise ValueError(f"{name} must be positive definite, got the smallest eigenvalue {eigenvalues[0]:.3g}")
    return matrix


def probabilities(name: str, value: Any, count: int) -> Vector:
    """`count` weights that are not negative and sum to 1 within 1e-5, made to sum to 1 exactly; None gives equal ones."""
    if value is None:
        return (1 / count,) * count
    tensor = numbers(name, value, count)
    if (tensor < 0).any():
        raise ValueError(f"{name} must not be negative, got {tensor.min():g}")
    total = tensor.sum().item()
    if abs(total - 1) > 1e-5:
        raise ValueError(f"{name} must sum to 1, got {total:g}; divide them by their sum")
    return nested(tensor / total if abs(total - 1) > 1e-12 else tensor)


def checksum(name: str, content: bytes, expected: str | None) -> str:
    """The CRC-32 of `content` as eight hexadecimal digits, which must be the expected one if that is given."""
    found = f"{zlib.crc32(content):08x}"
    if expected is not None and not (isinstance(expected, str) and expected == found):
        wanted = describe(expected).strip("'")
        raise ValueError(f"{name} has changed: its crc32 is {found}, expected {wanted}")
    return found


def weighted_moments(points: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
    """Mean (d,) and covariance (d, d) of `points` (m, d) with `weights` (m,) of sum 1."""
    mean = weights @ points
    centered = points - mean
    return mean, (weights[:, None] * centered).T @ centered


def isotropic(dim: int, variance: float, mean: float = 0.0) -> tuple[Tensor, Tensor]:
    """Mean (dim,) and covariance (dim, dim) of uncorrelated coordinates with one mean and one variance."""
    identity = torch.eye(dim, dtype=torch.float64, device="cpu")
    return mean * identity.new_ones(dim), variance * identity
