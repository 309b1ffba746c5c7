"""What priors are made of, checked and kept as plain numbers and tuples of them: those compare, hash and print back exactly."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from sculptlab.validation import as_tensor, finite, number

Vector = tuple[float, ...]
Matrix = tuple[Vector, ...]


def plain(value: Any) -> Any:
    """NumPy's scalars as Python's, whose repr can be pasted; all else as it is."""
    return value.item() if hasattr(value, "item") and getattr(value, "ndim", 1) == 0 else value


def numbers(name: str, value: Any, shape: tuple[int | None, ...]) -> torch.Tensor:
    """`value` as finite float64 of `shape`, where None stands for any size of at least 1."""
    if isinstance(value, str) or value is None:
        raise TypeError(f"{name} must be numbers, got {value!r}")
    try:
        tensor = finite(name, as_tensor(name, value).detach().cpu().double())
    except ValueError as error:
        if "inhomogeneous" not in str(error):  # NumPy's words for rows of different lengths
            raise
        raise ValueError(f"{name} must have rows of one length, got {value!r}") from error
    fits = tensor.ndim == len(shape) and all(size in (None, have) for size, have in zip(shape, tensor.shape, strict=False))
    if not fits or not tensor.numel():
        wanted = tuple("any" if size is None else size for size in shape)
        raise ValueError(f"{name} must have shape {wanted}, got {tuple(tensor.shape)}".replace("'", ""))
    return tensor


def nested(tensor: torch.Tensor) -> Any:
    """A tensor as tuples of tuples of floats."""
    return tuple(nested(row) for row in tensor) if tensor.ndim else tensor.item()


def vector(name: str, value: Any, size: int) -> torch.Tensor:
    """One number for all of `size` dimensions, or one for each, as float64 (size,)."""
    value = plain(value)
    if isinstance(value, int | float):
        return torch.full((size,), number(name, value), dtype=torch.float64)
    return numbers(name, value, (size,))


def positive_definite(name: str, value: Any, dim: int | None = None) -> torch.Tensor:
    """A symmetric positive definite matrix (dim, dim), float64."""
    matrix = numbers(name, value, (dim, dim))
    if matrix.shape[0] != matrix.shape[1]:
        raise ValueError(f"{name} must be square, got shape {tuple(matrix.shape)}")
    slack = 1e-6 * matrix.abs().max().item()
    if not torch.allclose(matrix, matrix.T, rtol=0, atol=slack):
        raise ValueError(f"{name} must be symmetric, got entries that differ by {(matrix - matrix.T).abs().max():.3g}")
    matrix = (matrix + matrix.T) / 2
    least, largest = torch.linalg.eigvalsh(matrix)[[0, -1]].tolist()
    if least <= 1e-12 * largest or largest <= 0:
        raise ValueError(f"{name} must be positive definite, got the smallest eigenvalue {least:.3g}")
    return matrix


def shares(name: str, value: Any, count: int) -> Vector:
    """`count` weights that are not negative and sum to 1 (within 1e-5; then made exact); None: equal ones."""
    if value is None:
        return (1 / count,) * count
    tensor = numbers(name, value, (count,))
    if (tensor < 0).any():
        raise ValueError(f"{name} must not be negative, got {tensor.min().item():g}")
    total = tensor.sum().item()
    if abs(total - 1) > 1e-5:
        raise ValueError(f"{name} must sum to 1, got {total:g}; divide them by their sum")
    return nested(tensor / total if abs(total - 1) > 1e-12 else tensor)


def in_order(name: str, value: Any, keys: Sequence[Any]) -> Any:
    """The values of a mapping in the order of `keys`, which it must have; anything but a mapping as it is."""
    if not isinstance(value, Mapping):
        return value
    if set(value) != set(keys):
        raise ValueError(f"{name} must have the labels {list(keys)}, got {list(value)}")
    return [value[key] for key in keys]
