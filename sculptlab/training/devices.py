"""How a model's arithmetic is done in training: on which device, in which number format and memory layout, compiled or not.

Only the model is affected. What an objective sees of it is of the weights' type, so that losses, distances, adversaries and the
optimizer work in float32 whatever the model's own layers are computed in.
"""

import copy
import dataclasses
import warnings
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn

from sculptlab.training.models import Autoencoder
from sculptlab.validation import choice

PRECISIONS = ("auto", "float32", "bfloat16")
METHODS = ("encode", "posterior", "logits", "decode", "forward")  # of any module, that may be one of them short


def pick_device(device: str | torch.device) -> torch.device:
    """The device named, or for "auto" the first GPU if there is one, else the CPU."""
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        picked = torch.device(device)
        torch.empty(0, device=picked)
    except (RuntimeError, AssertionError) as error:
        raise ValueError(f"device must be 'auto' or a torch device of this machine, got {device!r} ({error})") from error
    return picked


def pick_precision(precision: str, model: nn.Module, device: torch.device) -> str:
    """ "bfloat16" or "float32"; "auto" is bfloat16 on a CUDA GPU with units for it, if the weights are float32."""
    choice("precision", precision, PRECISIONS)
    single = all(p.dtype == torch.float32 for p in model.parameters())
    if precision == "auto":
        return "bfloat16" if single and device.type == "cuda" and _has_bfloat16(device) else "float32"
    if precision == "bfloat16" and not single:
        raise ValueError("precision='bfloat16' needs a model with float32 weights: take 'auto' or 'float32', or model.float()")
    if precision == "bfloat16" and not _has_bfloat16(device):
        raise ValueError(f"precision must be 'auto' or 'float32' on {device}, which has no bfloat16, got 'bfloat16'")
    return precision


def in_full(device: torch.device) -> AbstractContextManager[Any]:
    """A context in which everything is computed in the type it has, also within an autocast of the caller's."""
    return torch.autocast(device.type, enabled=False) if torch.is_autocast_enabled(device.type) else nullcontext()


class Stage:
    """A model on its device, in training; `seen` is what an objective is to see of it.

    seen is the model itself in float32 on a CPU, uncompiled. Else it is a second face of it: same class, same weights, while
    the first one, its state_dict and its methods stay as they are. Of an `Autoencoder` the encoder and the decoder are computed
    as asked, so that the sigmoid and the sampling of codes are done in float32; of any other module, its `METHODS`.
    From `enter` to `leave`, the weights of convolutions on a GPU or in bfloat16 lie channels-last.
    """

    def __init__(self, model: nn.Module, device: torch.device, precision: str) -> None:
        self.model, self.device, self.precision = model.to(device), device, precision
        convolves = any(isinstance(part, nn.Conv2d | nn.ConvTranspose2d) for part in model.modules())
        self.channels_last = convolves and (device.type == "cuda" or precision == "bfloat16")
        self.seen, self.turned = model, False

    def enter(self) -> None:
        """The model in train mode, its weights laid out, and seen as asked."""
        self.model.train()
        if self.channels_last and not _lies_channels_last(self.model):
            self.model.to(memory_format=torch.channels_last)
            self.turned = True
        if self.channels_last or self.precision == "bfloat16":
            self.seen = self._face(compiled=False)

    def compile(self, trial: Callable[[], object]) -> None:
        """Let `seen` be compiled, unless `trial`, which is to use it, shows that it cannot be: then with a warning as it was.

        The trial leaves no trace in the weights, in their gradients or in torch's global generator.
        """
        plain, weights = self.seen, {name: value.clone() for name, value in self.model.state_dict().items()}
        try:
            self.seen = self._face(compiled=True)
            with torch.random.fork_rng([self.device] if self.device.type == "cuda" else []), warnings.catch_warnings():
                warnings.simplefilter("ignore")  # what the compiler says of its own doings
                trial()
        except Exception as error:  # whatever a compiler may raise
            self.seen = plain
            reason = " ".join((str(error).strip() or type(error).__name__).splitlines()[:2])
            warnings.warn(f"compile=True: PyTorch cannot compile this model here, so it trains without ({reason})", stacklevel=4)
        finally:
            self.model.load_state_dict(weights)
            self.model.zero_grad()

    def leave(self) -> None:
        """The model in eval mode, without gradients, in the memory layout it came in."""
        self.model.eval()
        self.model.zero_grad()
        if self.turned:
            self.model.to(memory_format=torch.contiguous_format)
            self.turned = False

    def _face(self, compiled: bool) -> nn.Module:
        face, dtype = copy.copy(self.model), next(self.model.parameters()).dtype
        face.training = True
        for name in ("encoder", "decoder") if isinstance(face, Autoencoder) else METHODS:
            if hasattr(face, name):
                function = _between_layouts(getattr(self.model, name), dtype, self.channels_last)
                if compiled:
                    function = torch.compile(function, dynamic=False)
                # a module's own dictionary comes before its parts: these stay where state_dict and parameters find them
                face.__dict__[name] = _autocast(function, self.device, self.precision)
        return face


def _lies_channels_last(model: nn.Module) -> bool:
    return all(weight.is_contiguous(memory_format=torch.channels_last) for weight in model.parameters() if weight.ndim == 4)


def _between_layouts(function: Callable[..., Any], dtype: torch.dtype, channels_last: bool) -> Callable[..., Any]:
    """`function`, given images in the layout it wants; what it returns is contiguous and of `dtype`, as callers expect."""

    def run(*given: Any) -> Any:
        if channels_last:
            given = tuple(_in_channels_last(value) for value in given)
        return _plain(function(*given), dtype)

    # PyTorch keeps compiled code by code object, eight versions of each, and runs later models uncompiled: one for each model
    run.__code__ = run.__code__.replace()
    return run


def _autocast(function: Callable[..., Any], device: torch.device, precision: str) -> Callable[..., Any]:
    low = precision == "bfloat16"

    def run(*given: Any) -> Any:
        # without the cache: inside another autocast it would outlive the step, and so keep the weights of the first one
        with torch.autocast(device.type, dtype=torch.bfloat16, enabled=low, cache_enabled=False):
            return function(*given)

    return run


def _in_channels_last(value: Any) -> Any:
    image_like = isinstance(value, Tensor) and value.ndim == 4
    return value.contiguous(memory_format=torch.channels_last) if image_like else value


def _plain(value: Any, dtype: torch.dtype) -> Any:
    """Floating tensors as contiguous ones of `dtype`, also those inside a posterior, a tuple or a mapping."""
    if isinstance(value, Tensor):
        return value.to(dtype, memory_format=torch.contiguous_format) if value.is_floating_point() else value
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        parts = {f.name: _plain(getattr(value, f.name), dtype) for f in dataclasses.fields(value) if f.init}
        return dataclasses.replace(value, **parts)
    if isinstance(value, Mapping):
        return {name: _plain(part, dtype) for name, part in value.items()}
    if type(value) in (tuple, list):
        return type(value)(_plain(part, dtype) for part in value)
    return value


def _has_bfloat16(device: torch.device) -> bool:
    if device.type == "cuda":
        with torch.cuda.device(device):
            return torch.cuda.is_bf16_supported(including_emulation=False)
    return device.type == "cpu"
