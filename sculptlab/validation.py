"""Checks of public arguments. Each error names the argument, what is allowed, and what it got instead."""

import functools
import inspect
import math
import secrets
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import field, fields
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sculptlab.names import suggestion

SEEDS = 2**32  # legal seeds are 0 ... SEEDS - 1, as in NumPy and scikit-learn; a seed made from another is taken modulo it


def describe(value: Any) -> str:
    """`value` as an error message shows it. A class or function gets the hint that it was not called."""
    if isinstance(value, type):
        return f"the class {value.__name__}: call it first"
    if inspect.isroutine(value) or isinstance(value, functools.partial):
        return f"the function {getattr(value, '__name__', 'of functools.partial')}: call it first"
    if is_model(value):
        return f"the model {type(value).__name__}"
    if getattr(value, "ndim", 0) and getattr(value, "size", 0) != 1 and math.prod(value.shape) > 20:
        return f"a {type(value).__name__} of shape {tuple(value.shape)}"
    return repr(value)


def is_model(value: Any) -> bool:
    """Whether `value` is a torch module or has a method that encodes data; arrays, strings and classes are not."""
    if isinstance(value, str | bytes | type) or hasattr(value, "__array__"):
        return False
    encodes = any(callable(getattr(value, name, None)) for name in ("encode", "transform", "get_latent_representation"))
    return encodes or isinstance(value, torch.nn.Module)


def choice(name: str, value: Any, legal: Collection[Any]) -> Any:
    """Return `value` if it is one of `legal`; else raise a ValueError that lists them and suggests the closest one."""
    if value in legal:
        return value
    raise ValueError(f"{name} must be one of {list(legal)}, got {value!r}{suggestion(value, legal)}")


def whole(name: str, value: Any, *, least: int = 1) -> int:
    """Return `value` as an int if it is a whole number of at least `least`; it may be a 0-d array or tensor."""
    if isinstance(value, (np.ndarray, Tensor)) and not value.ndim:
        value = value.item()
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
        raise TypeError(f"{name} must be a whole number, got {value!r}")
    if value < least:
        raise ValueError(f"{name} must be at least {least}, got {value}")
    return int(value)


def as_seed(name: str, value: Any) -> int:
    """Return `value` as an int if it is a whole number from 0 to 2**32 - 1."""
    found = whole(name, value, least=0)
    if found >= SEEDS:
        raise ValueError(f"{name} must be below 2**32, got {found}: take the remainder, {name} % 2**32")
    return found


def as_group_size(value: Any, *rows: int, least: int = 2) -> int:
    """Return a `group_size` as an int if it divides each number of rows into at least `least` groups."""
    size = whole("group_size", value)
    if any(n % size or n < least * size for n in rows):
        given = " and ".join(map(str, rows))
        raise ValueError(f"group_size must divide the number of rows, {given}, into {least} groups or more, got {size}")
    return size


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


def known_options(
    caller: Callable[..., Any], options: Collection[str], function: Callable[..., Any], taken: Collection[str] = ()
) -> None:
    """Raise TypeError if `caller` got `options` that it cannot pass on to `function`: unknown ones, or those in `taken`."""
    own, found = (inspect.signature(one).parameters.values() for one in (caller, function))
    if any(p.kind is p.VAR_KEYWORD for p in found):
        return
    passed = [p.name for p in found if p.kind is p.KEYWORD_ONLY and p.name not in taken]
    legal = [*passed, *(p.name for p in own if p.kind is p.KEYWORD_ONLY and p.name not in passed)]
    for name in options:
        if name not in passed:
            meant = suggestion(name, legal) or f"; it takes {', '.join(legal)}"
            raise TypeError(f"{caller.__name__}() got an unexpected keyword argument {name!r}{meant}")


def as_device(device: Any, default: Any = "auto") -> torch.device:
    """The device named; None is `default`. "auto" is a CUDA GPU, else the CPU; "gpu" is a CUDA GPU, else an Apple GPU."""
    place = device = default if device is None else device
    try:
        if isinstance(device, str) and device in ("auto", "gpu"):
            other = "cpu" if device == "auto" else "mps" if torch.backends.mps.is_available() else "cuda"
            place = "cuda" if torch.cuda.is_available() else other
        place = torch.device(place)
        torch.empty(0, device=place, dtype=torch.float32)
    except (RuntimeError, AssertionError, TypeError) as error:
        reason, legal = str(error).partition("\n")[0], "None, 'auto', 'gpu' or a torch device of this machine"
        raise ValueError(f"device must be {legal}, got {device!r} ({reason})") from error
    return place


def widest_dtype(device: torch.device | str) -> torch.dtype:
    """The most precise floating type of a device: float64, but float32 on Apple's GPUs."""
    return torch.float32 if torch.device(device).type == "mps" else torch.float64


def as_float64(rows: Tensor, device: Any = None) -> Tensor:
    """`rows` as float64 on `device`, by default where they are; on the CPU in place of an Apple GPU, which has no float64."""
    place = as_device(device, rows.device)
    return rows.to(place if widest_dtype(place) == torch.float64 else "cpu").double()


def finite(name: str, value: Tensor) -> Tensor:
    """Return `value` if no entry is NaN or infinite; else raise a ValueError with the number of those that are."""
    if not value.is_floating_point() or not value.numel() or all(map(torch.isfinite, value.detach().aminmax())):
        return value  # the extremes are NaN if any entry is; the mask below takes the memory of several copies
    raise ValueError(f"{name} has {int((~torch.isfinite(value)).sum())} value(s) that are NaN or infinite, of {value.numel()}")


def as_tensor(name: str, value: Any) -> Tensor:
    """Return a tensor, array, DataFrame, nested list of numbers, or a mapping that holds one of these, as a tensor.

    Read-only or reversed memory is copied. Unsigned integers of more than 8 bits, for which torch lacks most functions, become
    int64, or float64 where they are too large.
    """
    value = only_array(name, value)
    if isinstance(value, Tensor):
        if value.layout != torch.strided or value.is_nested:
            raise TypeError(f"{name} must be a dense tensor, got layout {value.layout}; use .to_dense()")
        if value.is_meta:
            raise TypeError(f"{name} must be in memory, got a tensor on the device 'meta'")
        return _signed(value)
    if hasattr(value, "toarray"):  # of scipy.sparse
        raise TypeError(f"{name} must be a dense array, got a {type(value).__name__}; use .toarray()")
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
        remedy = ": sl.latents(model, data) gives its codes" if is_model(value) else ""
        raise TypeError(f"{name} must be an array of real numbers, got {describe(value)}{remedy}")
    if array.dtype.kind not in "biuf":
        remedy = (
            ": encode categories as numbers, pandas.factorize(column)[0] of each column" if array.dtype.kind in "OUST" else ""
        )
        raise TypeError(f"{name} must be real numbers, got an array of {array.dtype}{remedy}")
    if array.dtype == np.longdouble or not array.dtype.isnative:
        array = array.astype(np.float64 if array.dtype.itemsize > 8 else array.dtype.newbyteorder("="))
    return _signed(torch.from_numpy(array if array.flags.writeable and min(array.strides, default=0) >= 0 else array.copy()))


def _signed(tensor: Tensor) -> Tensor:
    if tensor.dtype not in (torch.uint16, torch.uint32, torch.uint64):
        return tensor
    signed = tensor.to(torch.int64)
    return tensor.to(torch.float64) if (signed < 0).any() else signed


def only_array(name: str, value: Any) -> Any:
    """Return the one array in a mapping such as `run.codes` returns; anything but a mapping is returned as it is."""
    if not isinstance(value, Mapping) or hasattr(value, "toarray"):  # a sparse matrix of SciPy may be a dict of its entries
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
        tensor = (
            tensor.to(widest_dtype(tensor.device)) if largest > 2**24 else tensor.float()
        )  # float32 holds integers up to 2^24 exactly
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


def random_seed(name: str, value: Any) -> int:
    """A seed from a scikit-learn random state; None draws from the system, never from NumPy's global generator."""
    if isinstance(value, np.random.RandomState):
        return int(value.randint(2**31))
    try:
        return secrets.randbits(31) if value is None else as_seed(name, value)
    except TypeError as error:
        raise TypeError(f"{name} must be a whole number, a numpy.random.RandomState or None, got {value!r}") from error
