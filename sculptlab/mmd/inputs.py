"""The two samples that are compared, as checked tensors of one type on one device; draws of the prior if one is given."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from sculptlab.priors import as_prior
from sculptlab.validation import codes, describe, widest_dtype


def pair_of_codes(
    x: Any, y: Any, rows: int = 1, names: tuple[str, str] = ("x", "y"), generator: torch.Generator | None = None
) -> tuple[Tensor, Tensor]:
    """`x` (n, d) and `y` (m, d) as finite floating tensors of one type on one device, each of at least `rows` rows.

    `y` may also be a prior, of which n rows are drawn with `generator` (default: seed 0). An array or list is moved to the device
    of the tensor that it is paired with. Error messages use `names`. Tensors, arrays and data frames of integers raise TypeError,
    because they are labels or indices more often than codes; a list of whole numbers is accepted.
    """
    if isinstance(x, str | type) or (hasattr(x, "sample") and not hasattr(x, "__array__")):
        raise TypeError(f"{names[0]} must be rows (n, d), got {describe(x)}; for a prior, pass its draws: prior.sample(n)")
    _refuse_integers(names[0], x)
    x_rows = codes(names[0], x, rows=rows)
    if isinstance(y, type) or not (isinstance(y, list | tuple) or hasattr(y, "__array__")):
        generator = torch.Generator().manual_seed(0) if generator is None else generator
        y = as_prior(y, dim=x_rows.shape[1]).sample(len(x_rows), generator=generator).to(x_rows)
    _refuse_integers(names[1], y)
    tensors = [value for value in (x, y) if isinstance(value, Tensor)]
    if len({tensor.device for tensor in tensors}) > 1:
        raise ValueError(f"{names[0]} and {names[1]} must be on one device, got {x.device} and {y.device}")
    y_rows = codes(names[1], y, dim=x_rows.shape[1], rows=rows)
    device = tensors[0].device if tensors else x_rows.device
    widest = widest_dtype(device) == torch.float64
    dtype = torch.promote_types(x_rows.dtype, y_rows.dtype) if widest else torch.float32
    return x_rows.to(device, dtype), y_rows.to(device, dtype)


def _refuse_integers(name: str, value: Any) -> None:
    if isinstance(value, Tensor):
        if not (value.is_floating_point() or value.is_complex()):
            raise TypeError(f"{name} must be a floating tensor, got {value.dtype}; if these are codes, pass {name}.float()")
    elif hasattr(value, "__array__") and (kind := np.asarray(value).dtype).kind in "biu":
        raise TypeError(f"{name} must be a floating array, got {kind}; if these are codes, pass {name}.astype(float)")
