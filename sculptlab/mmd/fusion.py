"""A sum of scales in one compiled pass over a tile, in place of three passes for every scale: where it is asked for.

PyTorch's compiler wants a C++ compiler (on a GPU, Triton) and some seconds for its first use, and rounds in another order.
So nothing is compiled until `fuse()` is called, and what cannot be compiled is computed as before.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

MANY = 2**15  # values of a tile: for fewer, the call takes longer than what it saves
FEW = 2  # scales that are as fast one by one
TRIAL = (0.5, 1.0, 3.0)  # widths of the trial run

Pass = Callable[[Tensor, Tensor, Tensor, Tensor | None], None]

_passes: dict[str, Pass] = {}  # by type of device: those that have been tried and found right


def fuse(on: bool = True) -> bool:
    """From now on, compute the scales of `IMQ` in one compiled pass, or (False) one by one again; returns whether it is so.

    Worth it for many large calls: compiling takes some ten seconds, here and now, and values change in the last digit, so
    that a run is repeated to the bit only with the same setting. Large tiles in single precision alone are affected. False
    comes back, and nothing changes, where PyTorch has no working compiler; a pass that fails later is not used again.
    Raises TypeError if `on` is no bool.
    """
    if not isinstance(on, bool):
        raise TypeError(f"on must be True or False, got {on!r}")
    _passes.clear()
    for device in ["cpu", *(["cuda"] if torch.cuda.is_available() else [])] if on else []:
        compiled = _tried(device)
        if compiled:
            _passes[device] = compiled
    return bool(_passes)


def summed(squared: Tensor, widths: Sequence[float], values: Tensor, slope: Tensor | None) -> bool:
    """Whether `values` now hold sum_w w / (w + D2), and `slope`, unless None, has its derivative added; else do it yourself."""
    compiled = _passes.get(squared.device.type)
    if compiled is None or squared.dtype != torch.float32 or squared.numel() < MANY or len(widths) <= FEW:
        return False
    if torch.compiler.is_compiling():
        return False
    try:
        _run(compiled, squared, widths, values, slope)
    except Exception:  # whatever a compiler may raise: it has not touched the tile yet
        _passes.pop(squared.device.type, None)
        return False
    return True


def _run(compiled: Pass, squared: Tensor, widths: Sequence[float], values: Tensor, slope: Tensor | None) -> None:
    # flat, so that one compilation serves tiles of every shape
    with torch.no_grad():
        flat = None if slope is None else slope.view(-1)
        compiled(squared.view(-1), squared.new_tensor(widths), values.view(-1), flat)


def _pass(squared: Tensor, widths: Tensor, values: Tensor, slope: Tensor | None) -> None:
    total, slopes = torch.zeros_like(squared), torch.zeros_like(squared)
    for width in widths:
        inverse = 1 / (squared + width)
        value = width * inverse
        total, slopes = total + value, slopes - value * inverse
    values.copy_(total)
    if slope is not None:
        slope.add_(slopes)


def _tried(device: str) -> Pass | None:
    """The compiled pass, if it runs on this device and finds what the plain one does."""
    squared = torch.linspace(0, 100, MANY, device=device)
    found, expected = torch.ones(2, 2, MANY, device=device)
    try:
        compiled: Pass = torch.compile(_pass, dynamic=True)
        for slope in (found[1], None):
            _run(compiled, squared, TRIAL, found[0], slope)
    except Exception:
        return None
    _pass(squared, squared.new_tensor(TRIAL), expected[0], expected[1])
    return compiled if torch.allclose(found, expected, rtol=1e-5, atol=1e-6) else None
