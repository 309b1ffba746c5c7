"""Checks of public arguments. Each error names the argument, what is allowed, and what it got instead."""

import functools
import inspect
import math
import secrets
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import suppress
from dataclasses import field, fields
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sculptlab.names import shown, suggestion

LARGEST = 2**31 - 1  # whole number that an argument may have, seeds aside: no count or size of use is larger
SEEDS = 2**32  # legal seeds are 0 ... SEEDS - 1, as in NumPy and scikit-learn; a seed made from another is taken modulo it


def describe(value: Any) -> str:
    """`value` as an error message shows it, shortened. A class or function gets the hint that it was not called."""
    if isinstance(value, type):
        return f"the class {value.__name__}: call it first"
    if inspect.isroutine(value) or isinstance(value, functools.partial):
        return f"the function {getattr(value, '__name__', 'of functools.partial')}: call it first"
    if is_model(value):
        return f"the model {type(value).__name__}"
    with suppress(Exception):  # a nested tensor has no shape
        if getattr(value, "ndim", 0) and getattr(value, "size", 0) != 1 and math.prod(value.shape) > 20:
            return f"a {type(value).__name__} of shape {tuple(value.shape)}"
    return shown(value)


def is_model(value: Any) -> bool:
    """Whether `value` is a torch module or has a method that encodes data; arrays, strings and classes are not."""
    if isinstance(value, str | bytes | type) or hasattr(value, "__array__"):
        return False
    encodes = any(callable(getattr(value, name, None)) for name in ("encode", "transform", "get_latent_representation"))
    return encodes or isinstance(value, torch.nn.Module)


def choice(name: str, value: Any, legal: Collection[Any]) -> Any:
    """Return `value` if it is one of `legal`; else raise a ValueError that lists them and suggests the closest one."""
    with suppress(TypeError):  # of a value without a hash, where `legal` is a dict
        if (isinstance(value, str) or not hasattr(value, "__array__")) and value in legal:
            return value
    raise ValueError(f"{name} must be one of {list(legal)}, got {describe(value)}{suggestion(value, legal)}")


def whole(name: str, value: Any, *, least: int = 1, most: int = LARGEST) -> int:
    """Return `value` as an int if it is a whole number from `least` to `most`; it may be a 0-d array or tensor."""
    if isinstance(value, np.ndarray) or (isinstance(value, Tensor) and not value.is_nested and not value.is_meta):
        value = value if value.ndim else value.item()
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
        raise TypeError(f"{name} must be a whole number, got {describe(value)}")
    if not least <= value <= most:
        bound = f"least {least}" if value < least else f"most {most:,}"
        raise ValueError(f"{name} must be at {bound}, got {describe(value)}")
    return int(value)


def as_seed(name: str, value: Any) -> int:
    """Return `value` as an int if it is a whole number from 0 to 2**32 - 1."""
    found = whole(name, value, least=0, most=max(SEEDS, value) if isinstance(value, int) else SEEDS)
    if found >= SEEDS:
        raise ValueError(f"{name} must be below 2**32, got {shown(found)}: take the remainder, {name} % 2**32")
    return found


def as_group_size(value: Any, *rows: int, least: int = 2) -> int:
    """Return a `group_size` as an int if it divides each number of rows into at least `least` groups."""
    size = whole("group_size", value)
    if any(n % size or n < least * size for n in rows):
        given = " and ".join(map(str, rows))
        raise ValueError(f"group_size must divide the number of rows, {given}, into {least} groups or more, got {size}")
    return size


def number(name: str, value: Any, *, above: float = -math.inf, least: float = -math.inf, most: float = math.inf) -> float:
    """Return `value` as a float if it is finite, greater than `above`, at least `least` and at most `most`."""
    if isinstance(value, bool) or not isinstance(value, (int, float, np.number)):
        raise TypeError(f"{name} must be a number, got {describe(value)}")
    with suppress(OverflowError):  # of a whole number beyond the range of floats
        value = float(value)
    real = isinstance(value, float) and math.isfinite(value)
    if real and above < value and least <= value <= most:
        return float(value)
    bound = f"> {above:g}" if above > -math.inf and not (real and value > above) else ""
    bound = bound or (f"<= {most:g}" if real and value > most else f">= {least:g}" if least > -math.inf else "")
    missing = "" if real else " and finite" if bound else "finite"
    raise ValueError(f"{name} must be {bound}{missing}, got {describe(value)}")


def flag(name: str, value: Any) -> bool:
    """Return `value` if it is True or False."""
    if not isinstance(value, bool):
        raise TypeError(f"{name} must be True or False, got {describe(value)}")
    return value


def items(name: str, value: Any) -> tuple[Any, ...]:
    """The entries of a list, tuple, set or array of one dimension, or of another collection that is no text and no mapping."""
    plain = not isinstance(value, str | bytes | Mapping | type) and isinstance(value, Iterable)
    if isinstance(value, Tensor) and plain:
        value = as_tensor(name, value)
    if not plain or getattr(value, "ndim", 1) != 1:
        raise TypeError(f"{name} must be a list, got {describe(value)}")
    return tuple(value.tolist() if isinstance(value, np.ndarray | Tensor) else value)


def function(name: str, value: Any) -> Callable[..., Any]:
    """Return `value` if it can be called and is no class."""
    if not callable(value) or isinstance(value, type):
        raise TypeError(f"{name} must be a function, got {describe(value)}")
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
        if place.type == "meta":
            raise RuntimeError("its tensors have no values")
    except Exception as error:  # of torch for what is no device, and of Python where it has no text
        reason, legal = str(error).partition("\n")[0][:200], "None, 'auto', 'gpu' or a torch device of this machine"
        raise ValueError(f"device must be {legal}, got {describe(device)} ({reason})") from error
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
        if value.layout != torch.strided or value.is_nested or value.is_quantized:
            kind = f"layout {value.layout}; use .to_dense()" if not value.is_quantized else "a quantized one; use .dequantize()"
            raise TypeError(f"{name} must be a dense tensor, got {'a nested one' if value.is_nested else kind}")
        if value.is_meta:
            raise TypeError(f"{name} must be in memory, got a tensor on the device 'meta'")
        return _signed(value)
    if hasattr(value, "toarray"):  # of scipy.sparse
        raise TypeError(f"{name} must be a dense array, got a {type(value).__name__}; use .toarray()")
    if np.ma.is_masked(value):
        raise ValueError(f"{name} has masked values: drop those rows or fill them in")
    try:
        array = np.asarray(value)
    except Exception as error:  # a list whose rows have different lengths, or an object's own method
        raise ValueError(f"{name} must be an array of numbers, every row of the same length: {shown(error)}") from error
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


def tensor_as_array(name: str, value: Any) -> Any:
    """A tensor as an array, bfloat16 as float32, which NumPy lacks; anything else as it is, for scikit-learn to check."""
    if not isinstance(value, Tensor):
        return value
    found = as_tensor(name, value).detach().cpu()
    return (found.float() if found.dtype == torch.bfloat16 else found).numpy()


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
        raise TypeError(f"{name} must be a whole number, a numpy.random.RandomState or None, got {describe(value)}") from error
