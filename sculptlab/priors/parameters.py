"""Parameters of priors, checked and kept as plain numbers and tuples, so that priors compare, hash and print; and moments."""

import math
import zlib
from typing import Any

import torch
from torch import Tensor

from sculptlab.validation import as_tensor, finite, whole

Vector = tuple[float, ...]
Moments = tuple[Tensor | None, Tensor | None]


def numbers(name: str, value: Any, *shape: int | None) -> Tensor:
    """`value` as finite float64 on the CPU, of `shape` if given, where None stands for any size of at least 1."""
    tensor = finite(name, as_tensor(name, value).detach().cpu().double())
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
    """Square matrices (..., dim, dim), which must be symmetric up to rounding, made so exactly, and positive definite."""
    if given.shape[-2] != given.shape[-1]:
        raise ValueError(f"{name} must be square, got shape {tuple(given.shape)}")
    difference, largest = (x.abs().amax((-2, -1)) for x in (given - given.mT, given))
    if (difference > 1e-6 * largest).any():
        raise ValueError(f"{name} must be symmetric, got entries that differ by {difference.max():.3g}")
    matrices = (given + given.mT) / 2
    eigenvalues = torch.linalg.eigvalsh(matrices)
    if (eigenvalues[..., 0] <= 1e-12 * eigenvalues[..., -1].clamp(min=0)).any():
        raise ValueError(f"{name} must be positive definite, got the smallest eigenvalue {eigenvalues.min():.3g}")
    return matrices


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


def rotation_matrix(angle: Any, plane: Any, dim: int) -> Tensor:
    """The rotation by an angle in radians within a plane of two axes; or `angle` itself, if it is an orthogonal matrix."""
    turn = numbers("angle", angle)
    matrix = torch.eye(dim, dtype=torch.float64)
    if turn.ndim:
        if not torch.allclose(numbers("angle", turn, dim, dim) @ turn.mT, matrix, atol=1e-5):
            raise ValueError("angle must be a number in radians or an orthogonal matrix; for any other matrix use affine(matrix)")
        return turn
    if not isinstance(plane, tuple | list) or len(plane) != 2:
        raise TypeError(f"plane must be two axes such as (0, 1), got {plane!r}")
    i, j = (whole("plane", axis, least=0) for axis in plane)
    if i == j or max(i, j) >= dim:
        raise ValueError(f"plane must be two different axes of the prior's {dim} dimension(s), got {plane}")
    matrix[i, i] = matrix[j, j] = math.cos(turn)
    matrix[j, i] = math.sin(turn)
    matrix[i, j] = -matrix[j, i]
    return matrix
