"""Parameters of priors, checked and kept as plain numbers and tuples, so that priors compare, hash and print; and moments."""

import zlib
from collections.abc import Callable
from dataclasses import field
from functools import partial
from typing import Any

import torch
from torch import Tensor

from sculptlab.validation import as_tensor, finite

Vector = tuple[float, ...]
Matrix = tuple[Vector, ...]
Moments = tuple[Tensor | None, Tensor | None]


def parameter(check: Callable[..., Any], default: Any, **limits: Any) -> Any:
    """A field of a prior whose value becomes `check(name, value, **limits)` when the prior is made."""
    return field(default=default, metadata={"check": partial(check, **limits)})


def boolean(name: str, value: Any) -> bool:
    """`value`, if it is True or False."""
    if not isinstance(value, bool):
        raise TypeError(f"{name} must be True or False, got {value!r}")
    return value


def numbers(name: str, value: Any, shape: tuple[int | None, ...] | None = None) -> Tensor:
    """`value` as finite float64 on the CPU, of `shape` if given, where None stands for any size of at least 1."""
    tensor = finite(name, as_tensor(name, value).detach().cpu().double())
    if shape is not None:
        fits = tensor.ndim == len(shape) and all(size in (None, have) for size, have in zip(shape, tensor.shape, strict=True))
        if not fits or not tensor.numel():
            wanted = ", ".join("any" if size is None else str(size) for size in shape)
            raise ValueError(f"{name} must have shape ({wanted}), got {tuple(tensor.shape)}")
    return tensor


def nested(tensor: Tensor) -> Any:
    """A tensor as tuples of tuples of floats."""
    return tuple(nested(row) for row in tensor) if tensor.ndim else tensor.item()


def vector(name: str, value: Any, size: int) -> Tensor:
    """One number for all of `size` dimensions, or one for each, as float64 (size,)."""
    tensor = numbers(name, value)
    return tensor.repeat(size) if tensor.ndim == 0 else numbers(name, tensor, (size,))


def positive_definite(name: str, value: Any, dim: int | None = None) -> Tensor:
    """A symmetric positive definite matrix (dim, dim), float64."""
    matrix = numbers(name, value, (dim, dim))
    if matrix.shape[0] != matrix.shape[1]:
        raise ValueError(f"{name} must be square, got shape {tuple(matrix.shape)}")
    difference = (matrix - matrix.T).abs().max().item()
    if difference > 1e-6 * matrix.abs().max().item():
        raise ValueError(f"{name} must be symmetric, got entries that differ by {difference:.3g}")
    matrix = (matrix + matrix.T) / 2
    least, largest = torch.linalg.eigvalsh(matrix)[[0, -1]].tolist()
    if least <= 1e-12 * largest or largest <= 0:
        raise ValueError(f"{name} must be positive definite, got the smallest eigenvalue {least:.3g}")
    return matrix


def probabilities(name: str, value: Any, count: int) -> Vector:
    """`count` weights that are not negative and sum to 1 within 1e-5, made to sum to 1 exactly; None gives equal ones."""
    if value is None:
        return (1 / count,) * count
    tensor = numbers(name, value, (count,))
    if (tensor < 0).any():
        raise ValueError(f"{name} must not be negative, got {tensor.min().item():g}")
    total = tensor.sum().item()
    if abs(total - 1) > 1e-5:
        raise ValueError(f"{name} must sum to 1, got {total:g}; divide them by their sum")
    return nested(tensor / total if abs(total - 1) > 1e-12 else tensor)


def checksum(name: str, content: bytes, expected: str | None) -> str:
    """The CRC-32 of `content` as eight hexadecimal digits, which must be the expected one if that is given."""
    found = f"{zlib.crc32(content):08x}"
    if expected not in (None, found):
        raise ValueError(f"{name} has changed: its crc32 is {found}, expected {expected}")
    return found


def weighted_moments(points: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
    """Mean (d,) and covariance (d, d) of `points` (m, d) with `weights` (m,) of sum 1."""
    mean = weights @ points
    centered = points - mean
    return mean, (weights[:, None] * centered).T @ centered


def isotropic(dim: int, variance: float, mean: float = 0.0) -> tuple[Tensor, Tensor]:
    """Mean (dim,) and covariance (dim, dim) of uncorrelated coordinates with one mean and one variance."""
    return torch.full((dim,), mean, dtype=torch.float64), variance * torch.eye(dim, dtype=torch.float64)
