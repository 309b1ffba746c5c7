"""What every public function checks at its border; each message names the argument, the legal set and what came."""

import difflib
import functools
import inspect
import math
from collections.abc import Collection, Mapping
from contextlib import suppress
from typing import Any

import numpy as np
import torch


def what_came(value: Any) -> str:
    """`value` for a message; of a class or a function, that it was not called."""
    if isinstance(value, type):
        return f"the class {value.__name__}: call it first"
    if inspect.isroutine(value) or isinstance(value, functools.partial):
        return f"the function {getattr(value, '__name__', 'of functools.partial')}: call it first"
    return repr(value)


def choice(name: str, value: Any, legal: Collection[Any]) -> Any:
    """`value`, if it is one of `legal`; else a ValueError that lists them, and names the one that was likely meant."""
    if value in legal:
        return value
    words = [word for word in legal if isinstance(word, str)]
    near = difflib.get_close_matches(value, words, 1) if isinstance(value, str) else []
    meant = f"; did you mean {near[0]!r}?" if near else ""
    raise ValueError(f"{name} must be one of {list(legal)}, got {value!r}{meant}")


def whole(name: str, value: Any, *, least: int = 1) -> int:
    """`value` as an int, if it is a whole number >= `least`."""
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
        raise TypeError(f"{name} must be a whole number, got {value!r}")
    if value < least:
        raise ValueError(f"{name} must be at least {least}, got {value}")
    return int(value)


def number(name: str, value: Any, *, above: float = -math.inf, least: float = -math.inf) -> float:
    """`value` as a finite float, > `above` and >= `least`."""
    if isinstance(value, bool) or not isinstance(value, (int, float, np.number)):
        raise TypeError(f"{name} must be a number, got {value!r}")
    if not math.isfinite(value) or value <= above or value < least:
        bound = f"> {above:g}" if above > -math.inf else f">= {least:g}" if least > -math.inf else "finite"
        raise ValueError(f"{name} must be {bound}, got {value}")
    return float(value)


def finite(name: str, value: torch.Tensor) -> torch.Tensor:
    """`value`, if none of it is NaN or infinite; else a ValueError that counts what is."""
    bad = (~torch.isfinite(value)).sum().item() if value.is_floating_point() else 0
    if bad:
        raise ValueError(f"{name} has {bad} value(s) that are NaN or infinite, of {value.numel()}")
    return value


def as_tensor(name: str, value: Any) -> torch.Tensor:
    """`value` (tensor, array, DataFrame or nested list of numbers) as a tensor; read-only or reversed memory is copied."""
    if isinstance(value, torch.Tensor):
        if value.layout != torch.strided:
            raise TypeError(f"{name} must be a dense tensor, got layout {value.layout}; use .to_dense()")
        return value
    if isinstance(value, Mapping):
        raise TypeError(f"{name} must be one array, got a mapping of {list(value)}: choose one of them")
    if np.ma.is_masked(value):
        raise ValueError(f"{name} has masked values: drop those rows or fill them in")
    try:
        array = np.asarray(value)
    except ValueError as error:  # NumPy's words for a list with rows of several lengths
        raise ValueError(f"{name} must be an array of numbers, every row of the same length: {error}") from error
    if array.dtype.kind == "O" and hasattr(value, "to_numpy"):  # a DataFrame of nullable or of mixed columns
        with suppress(TypeError, ValueError):
            array = value.to_numpy(dtype=float, na_value=np.nan)
    if array.dtype.kind == "O" and not array.ndim:  # no array at all
        raise TypeError(f"{name} must be an array of real numbers, got {what_came(value)}")
    if array.dtype.kind not in "biuf":
        raise TypeError(f"{name} must be real numbers, got an array of {array.dtype}")
    if array.dtype.kind == "f" and array.dtype.itemsize > 8:
        array = array.astype(np.float64)
    if not array.dtype.isnative:
        array = array.astype(array.dtype.newbyteorder("="))
    return torch.from_numpy(array if array.flags.writeable and min(array.strides, default=0) >= 0 else array.copy())


def _beyond_single(tensor: torch.Tensor) -> bool:
    """Whether some whole number in `tensor` is too large for float32 to tell from its neighbor."""
    if tensor.is_floating_point() or not tensor.numel():
        return False
    return max(int(tensor.max()), -int(tensor.min())) > 2**24


def codes(name: str, value: Any, *, dim: int | None = None, rows: int = 2) -> torch.Tensor:
    """`value` as a finite floating tensor (n, d), samples first, with at least `rows` rows and, if given, `dim` columns.

    Accepts tensors, arrays, DataFrames and nested lists; half precision becomes float32, and so do integers that it can
    hold; larger ones become float64.
    """
    tensor = as_tensor(name, value)
    if tensor.is_complex():
        raise TypeError(f"{name} must be real numbers, got {tensor.dtype}")
    if tensor.dtype not in (torch.float32, torch.float64):
        tensor = tensor.double() if _beyond_single(tensor) else tensor.float()
    if not tensor.numel():
        raise ValueError(f"{name} must have at least {rows} row(s) and 1 column, got {tuple(tensor.shape)}: it is empty")
    if tensor.ndim != 2:
        one = f" (a single column is {name}[:, None])" if tensor.ndim == 1 else ""
        raise ValueError(f"{name} must have shape (n, d), samples first; got {tuple(tensor.shape)}{one}")
    if tensor.shape[0] < rows:
        raise ValueError(f"{name} must have at least {rows} row(s) and 1 column, got {tuple(tensor.shape)}")
    if dim is not None and tensor.shape[1] != dim:
        raise ValueError(f"{name} must have {dim} column(s), got {tensor.shape[1]}")
    return finite(name, tensor)
