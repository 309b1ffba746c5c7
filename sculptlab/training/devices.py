"""How a model's layers are computed in training: the device, the number format, the memory layout, compiled or not."""

import copy
import dataclasses
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from sculptlab.priors.sources import GLOBAL_GENERATORS
from sculptlab.threads import set_torch_threads_here
from sculptlab.training.models import Autoencoder
from sculptlab.validation import choice

SMALL = 2**25  # multiply-adds of a step, at which a second idle core begins to help
PAIR = 64  # multiply-adds for each pair of a batch's rows, of which a distance to a prior takes about this many


def pick_precision(precision: str, model: nn.Module, device: torch.device) -> str:
    """Either "bfloat16" or "float32"; "auto" is bfloat16 on a CUDA GPU that supports it, if the weights are float32."""
    choice("precision", precision, ("auto", "float32", "bfloat16"))
    single, supported = all(p.dtype == torch.float32 for p in model.parameters()), device.type == "cpu"
    if device.type == "cuda":
        with torch.cuda.device(device):
            supported = torch.cuda.is_bf16_supported(including_emulation=False)
    if precision == "auto":
        return "bfloat16" if single and supported and device.type == "cuda" else "float32"
    if precision == "bfloat16" and not single:
        raise ValueError("precision='bfloat16' needs a model with float32 weights: take 'auto' or 'float32', or model.float()")
    if precision == "bfloat16" and not supported:
        raise ValueError(f"precision must be 'auto' or 'float32' on {device}, which has no bfloat16, got 'bfloat16'")
    return precision


class Execution:
    """A model on its device, and the `view` of it that objectives get during training.

    In float32 on a CPU, uncompiled, the view is the model itself. Else it is a shallow copy with the same weights, whose layers
    are computed as asked; the model, its state_dict and its methods stay as they are. Of an `Autoencoder` the encoder and
    decoder networks are replaced in the view, of any other module its methods. What they return has the type of the weights, so
    that draws from the posterior, losses, distances and companions are computed in float32 even where the layers are not. From
    `begin` to `end`, the weights of convolutions on a GPU or in bfloat16 are in channels-last layout.
    """

    def __init__(self, model: nn.Module, device: torch.device, precision: str) -> None:
        self.model, self.device, self.precision, self.view = model.to(device), device, precision, model
        convolves = any(isinstance(part, nn.Conv2d | nn.ConvTranspose2d) for part in model.modules())
        self.channels_last = convolves and (device.type == "cuda" or precision == "bfloat16")
        kept = all(w.is_contiguous(memory_format=torch.channels_last) for w in model.parameters() if w.ndim == 4)
        self.layout = torch.channels_last if kept else torch.contiguous_format

    def begin(self) -> None:
        """Set train mode and the memory layout, and make the view."""
        self.model.train()
        if self.channels_last:
            self.model.to(memory_format=torch.channels_last)
        if self.channels_last or self.precision == "bfloat16":
            self.view = self._make_view(compiled=False)

    def compile(self, trial: Callable[[], object]) -> None:
        """Compile the view and call `trial`, which uses it; if that raises an error, warn and keep the uncompiled view.

        The trial leaves no trace in the weights, in their gradients or in torch's global generator.
        """
        uncompiled, weights = self.view, {name: value.clone() for name, value in self.model.state_dict().items()}
        try:
            self.view = self._make_view(compiled=True)
            devices = [self.device] if self.device.type == "cuda" else []
            with GLOBAL_GENERATORS, torch.random.fork_rng(devices), warnings.catch_warnings():
                warnings.simplefilter("ignore")  # hides warnings of the compiler
                trial()
        except Exception as error:  # compilers raise many types
            self.view = uncompiled
            reason = " ".join((str(error).strip() or type(error).__name__).splitlines()[:2])
            warnings.warn(f"compile=True: PyTorch cannot compile this model here; it trains uncompiled ({reason})", stacklevel=6)
        finally:
            self.model.load_state_dict(weights)
            self.model.zero_grad()

    def end(self) -> None:
        """Set eval mode, drop the gradients, and restore the memory layout."""
        self.model.eval()
        self.model.zero_grad()
        if self.channels_last:
            self.model.to(memory_format=self.layout)

    def _make_view(self, compiled: bool) -> nn.Module:
        view = copy.copy(self.model)
        view.training = True
        methods = ("encode", "posterior", "logits", "decode", "forward")
        for name in ("encoder", "decoder") if isinstance(view, Autoencoder) else methods:
            if hasattr(view, name):  # Python looks in __dict__ first; state_dict and parameters still find the submodule
                view.__dict__[name] = self._computed(getattr(self.model, name), compiled)
        return view

    def _computed(self, function: Callable[..., Any], compiled: bool) -> Callable[..., Any]:
        """`function`, its layers computed as asked; it takes and returns contiguous tensors of the type of the weights."""
        dtype, channels_last = next(self.model.parameters()).dtype, self.channels_last
        device, low = self.device, self.precision == "bfloat16"

        def convert(*given: Any) -> Any:
            if channels_last:
                given = tuple(v.contiguous(memory_format=torch.channels_last) if getattr(v, "ndim", 0) == 4 else v for v in given)
            return _contiguous(function(*given), dtype)

        # PyTorch caches at most eight compiled versions of a code object; with a copy of it, every model has its own cache.
        convert.__code__ = convert.__code__.replace()
        inner = torch.compile(convert, dynamic=False) if compiled else convert

        def run(*given: Any) -> Any:
            # Inside a caller's autocast, autocast's cache would outlive the step and return the weights of the first step.
            with torch.autocast(device.type, dtype=torch.bfloat16, enabled=low, cache_enabled=False):
                return inner(*given)

        return run


def _contiguous(value: Any, dtype: torch.dtype) -> Any:
    """Floating tensors as contiguous ones of `dtype`, also those inside a posterior, a tuple or a mapping."""
    if isinstance(value, Tensor):
        return value.to(dtype, memory_format=torch.contiguous_format) if value.is_floating_point() else value
    if dataclasses.is_dataclass(value):
        parts = {f.name: getattr(value, f.name) for f in dataclasses.fields(value) if f.init}
        return dataclasses.replace(value, **_contiguous(parts, dtype))  # type: ignore[type-var]
    if isinstance(value, Mapping):
        return {name: _contiguous(part, dtype) for name, part in value.items()}
    return type(value)(_contiguous(part, dtype) for part in value) if type(value) in (tuple, list) else value


@contextmanager
def one_thread_if_small(weights: Iterable[Tensor], rows: int, device: torch.device) -> Iterator[None]:
    """On a CPU, compute with one thread of torch where a step is small: dense layers, few weights times `rows` of a batch.

    Its operations take microseconds. More threads gain nothing on idle cores; on cores that others use, each operation waits
    until its last thread gets its turn: two threads made 0.5 steps/s where one made 20.
    """
    shapes = [weight.shape for weight in weights]
    work = rows * (sum(shape.numel() for shape in shapes) + PAIR * rows)
    small = device.type == "cpu" and work <= SMALL and all(len(shape) <= 2 for shape in shapes)
    before = set_torch_threads_here(1) if small else 0
    try:
        yield
    finally:
        if small:
            set_torch_threads_here(before)
