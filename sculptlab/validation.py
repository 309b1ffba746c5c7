"""Checks of public arguments. Each error names the argument, what is allowed, and what it got instead."""

import difflib
import functools
import inspect
import math
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import field, fields
from typing import Any

import numpy as np
import torch
from torch import Tensor


def describe(value: Any) -> str:
    """`value` as an error message shows it. A class or function gets the hint that it was not called."""
    if isinstance(value, type):
        return f"the class {value.__name__}: call it first"
    if inspect.isroutine(value) or isinstance(value, functools.partial):
        return f"the function {getattr(value, '__name__', 'of functools.partial')}: call it first"
    return repr(value)


def choice(name: str, value: Any, legal: Collection[Any]) -> Any:
    """Return `value` if it is one of `legal`; else raise a ValueError that lists them and suggests the closest one."""
    if value in legal:
        return value
    words = [word for word in legal if isinstance(word, str)]
    near = difflib.get_close_matches(value, words, 1) if isinstance(value, str) else []
    meant = f"; did you mean {near[0]!r}?" if near else ""
    raise ValueError(f"{name} must be one of {list(legal)}, got {value!r}{meant}")


def whole(name: str, value: Any, *, least: int = 1) -> int:
    """Return `value` as an int if it is a whole number of at least `least`."""
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
        raise TypeError(f"{name} must be a whole number, got {value!r}")
    if value < least:
        raise ValueError(f"{name} must be at least {least}, got {value}")
    return int(value)


def number(name: str, value: Any, *, above: float = -math.inf, least: float = -math.inf) -> float:
    """Return `value` as a float if it is finite, greater than `above` and at least `least`."""
    if isinstance(value, bool) or not isinstance(value, (int, float, np.number)):
        raise TypeError(f"{name} must be a number, got {value!r}")
    if not math.isfinite(value) or value <= above or value < least:
        bound = f"> {above:g}" if above > -math.inf else f">= {least:g}" if least > -math.inf else ""
        missing = "" if math.isfinite(value) else " and finite" if bound else "finite"
        raise ValueError(f"{name} must be {bound}{missing}, got {value}")
    return float(value)


def flag(name: str, value: Any) -> bool:
    """Return `value` if it is True or False."""
    if not isinstance(value, bool):
        raise TypeError(f"{name} must be True or False, got {value!r}")
    return value


def parameter(check: Callable[..., Any], default: Any, **limits: Any) -> Any:
    """A field of a dataclass whose value `check_parameters` replaces by `check(name, value, **limits)`.

    Where the default is None, None is allowed.
    """
    return field(default=default, metadata={"check": functools.partial(check, **limits)})


def check_parameters(instance: Any) -> None:
    """Check every field of a dataclass that `parameter` made, for its `__post_init__`."""
    for one in fields(instance):
        if "check" in one.metadata and not (getattr(instance, one.name) is one.default is None):
            vars(instance)[one.name] = one.metadata["check"](one.name, getattr(instance, one.name))


def finite(name: str, value: Tensor) -> Tensor:
    """Return `value` if no entry is NaN or infinite; else raise a ValueError with the number of those that are."""
    bad = (~torch.isfinite(value)).sum().item() if value.is_floating_point() else 0
    if bad:
        raise ValueError(f"{name} has {bad} value(s) that are NaN or infinite, of {value.numel()}")
    return value


def as_tensor(name: str, value: Any) -> Tensor:
    """Return a tensor, array, DataFrame, nested list of numbers, or a mapping that holds one of these, as a tensor.

    Read-only or reversed memory is copied.
    """
    value = only_array(name, value)
    if isinstance(value, Tensor):
        if value.layout != torch.strided:
            raise TypeError(f"{name} must be a dense tensor, got layout {value.layout}; use .to_dense()")
        return value
    if np.ma.is_masked(value):
        raise ValueError(f"{name} has masked values: drop those rows or fill them in")
    try:
        array = np.asarray(value)
    except ValueError as error:  # a list whose rows have different lengths
        raise ValueError(f"{name} must be an array of numbers, every row of the same length: {error}") from error
    if array.dtype.kind == "O" and hasattr(value, "to_numpy"):  # a DataFrame of nullable or of mixed columns
        with suppress(TypeError, ValueError):
            array = value.to_numpy(dtype=float, na_value=np.nan)
    if array.dtype.kind == "O" and not array.ndim:  # not an array at all
        raise TypeError(f"{name} must be an array of real numbers, got {describe(value)}")
    if array.dtype.kind not in "biuf":
        raise TypeError(f"{name} must be real numbers, got an array of {array.dtype}")
    if array.dtype == np.longdouble or not array.dtype.isnative:
        array = array.astype(np.float64 if array.dtype.itemsize > 8 else array.dtype.newbyteorder("="))
    return torch.from_numpy(array if array.flags.writeable and min(array.strides, default=0) >= 0 else array.copy())


def only_array(name: str, value: Any) -> Any:
    """Return the one array in a mapping such as `run.codes` returns; anything but a mapping is returned as it is."""
    if not isinstance(value, Mapping):
        return value
    if len(value) != 1:
        example = f", for example {name}[{next(iter(value))!r}]" if value else ""
        raise TypeError(f"{name} must be one array, got a mapping of {list(value)}: choose one{example}")
    return next(iter(value.values()))


def codes(name: str, value: Any, *, dim: int | None = None, rows: int = 2) -> Tensor:
    """Return codes as a finite floating tensor of shape (n, d), samples first.

    `value` may be a tensor, an array, a DataFrame, a nested list, or a mapping that holds one of these. There must be at
    least `rows` rows and, if given, `dim` columns. float32 and float64 keep their type; everything else becomes float32,
    except integers too large for it, which become float64.
    """
    tensor = as_tensor(name, value)
    if tensor.is_complex():
        raise TypeError(f"{name} must be real numbers, got {tensor.dtype}")
    if tensor.dtype not in (torch.float32, torch.float64):
        largest = 0 if tensor.is_floating_point() or not tensor.numel() else max(int(tensor.max()), -int(tensor.min()))
        tensor = tensor.double() if largest > 2**24 else tensor.float()  # float32 holds integers up to 2^24 exactly
    shape, empty = tuple(tensor.shape), "" if tensor.numel() else ": it is empty"
    if tensor.ndim != 2 and not empty:
        one = f" (a single column is {name}[:, None])" if tensor.ndim == 1 else ""
        raise ValueError(f"{name} must have shape (n, d), samples first; got {shape}{one}")
    if empty or tensor.shape[0] < rows:
        raise ValueError(f"{name} must have at least {rows} row(s) and 1 column, got {shape}{empty}")
    if dim is not None and tensor.shape[1] != dim:
        raise ValueError(f"{name} must have {dim} column(s), got {tensor.shape[1]}")
    return finite(name, tensor)


def named_codes(name: str, value: Any, *, dim: int | None = None, rows: int = 2) -> tuple[Tensor, list[Any]]:
    """Return `codes(name, value)` and the names of its columns: a DataFrame's labels, else the numbers 0 ... d - 1.

    Labels of several levels are joined by commas.
    """
    tensor = codes(name, value, dim=dim, rows=rows)
    labels = getattr(only_array(name, value), "columns", range(tensor.shape[1]))
    return tensor, [", ".join(map(str, label)) if isinstance(label, tuple) else label for label in labels]
