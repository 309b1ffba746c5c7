"""Weights that depend on a seed alone: PyTorch's layers draw theirs from its global generator, which all threads share."""

import math
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

DRAWING = (
    "bernoulli", "bernoulli_", "cauchy_", "exponential_", "geometric_", "kaiming_normal_", "kaiming_uniform_", "log_normal_",
    "multinomial", "normal", "normal_", "poisson", "rand", "randint", "randn", "random_", "randperm", "uniform_",
)  # fmt: skip
FLOATS = (torch.empty, torch.eye, torch.full, torch.ones, torch.rand, torch.randn, torch.zeros)


class Initialization(TorchFunctionMode):
    """A context in which modules are made on the CPU in float32, with the weights that `torch.manual_seed(seed)` would give.

    It changes the torch functions that the calling thread calls inside it, and no state that others share.

    >>> with Initialization(0):
    ...     layer = torch.nn.Linear(2, 3)
    """

    def __init__(self, seed: int) -> None:
        super().__init__()
        self.generator = torch.Generator().manual_seed(seed)

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None) -> Any:
        given = dict(kwargs or {})
        if function in FLOATS:
            for name, value in (("device", "cpu"), ("dtype", torch.float32)):
                given[name] = value if given.get(name) is None else given[name]
        tensors = [one for one in (*args, *given.values()) if isinstance(one, Tensor)]
        device = tensors[0].device if tensors else torch.device(given.get("device") or "cpu")
        if getattr(function, "__name__", "") in DRAWING and device.type == "cpu" and given.get("generator") is None:
            given["generator"] = self.generator
        return function(*args, **given)


class SizeLimit(TorchFunctionMode):
    """A context in which the calling thread makes tensors of at most `numbers` numbers in all; a ValueError for more."""

    def __init__(self, numbers: int) -> None:
        super().__init__()
        self.left = numbers

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None) -> Any:
        given = dict(kwargs or {})
        if function in FLOATS:
            size = given.get("size", args[0] if args and isinstance(args[0], tuple | list) else args)
            self.left -= math.prod(size) ** (2 if function is torch.eye and len(size) == 1 else 1)
            if self.left < 0:
                raise ValueError("it would have more weights than the file")
        return function(*args, **given)
