"""The terms of an objective on codes alone, as a module for `fit` and for a training loop of one's own."""

from __future__ import annotations

import contextlib
import functools
import io
import itertools
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar, cast

import torch
from torch import Tensor, nn

from sculptlab.training.distributed import Ranks
from sculptlab.training.initialization import Initialization
from sculptlab.training.models import Posterior
from sculptlab.training.objectives.companion import Batch, Companion, Companions
from sculptlab.training.optimization import load_averages
from sculptlab.training.optimizers import Adam
from sculptlab.validation import as_seed, whole

CALLS_WITHOUT_UPDATE = 20  # in training, after which a warning says that `update` is missing

if TYPE_CHECKING:
    from sculptlab.training.objectives.base import Objective

Method = TypeVar("Method", bound=Callable[..., Any])


def _uncompiled(method: Method) -> Method:
    """`method`, which torch.compile leaves as it is: compiled code cannot draw from a generator or count steps."""

    @functools.wraps(method)
    def run(*given: Any, **options: Any) -> Any:
        return (torch.compiler.disable(method) if torch.compiler.is_compiling() else method)(*given, **options)

    return cast("Method", run)


class Regularizer(nn.Module):
    """The regularizers of an objective as one term of a loss, for any training loop; `objective.regularizer(dim)` makes it.

    `term(codes)` is the weighted sum of the terms. After `backward` and the step of the model's optimizer, `term.update(codes)`
    trains what the objective trains beside the model, and counts the step; for `MMD` it only counts. Only a companion that joins
    the model adds parameters for the model's optimizer; no optimizer but its own changes a predictor or a discriminator.

    In eval mode, `term(codes)` draws the same noise at each call and leaves that of training as it is. Sixteen-bit codes are
    converted, and everything is computed in float32 or float64, also under autocast. Under torch.compile the term runs
    uncompiled. `state_dict` holds all that resuming needs.

    Where torch.distributed has a process group, in training the codes of all processes are gathered, and the term is that of the
    whole batch. Its gradient in the codes of this process is multiplied by the number of processes, since
    DistributedDataParallel averages gradients. All processes call it with equally many rows.

    Parameters
    ----------
    objective : Objective
    dim : int
        Number of latents.
    rows : int, optional
        Number of images in the data set, which `BetaTC` needs.
    seed : int
        Of all noise, and of the first weights of the companions.

    Raises
    ------
    ValueError
        If the objective needs `rows`, or if a companion has parameters that nothing would train.

    Examples
    --------
    >>> from sculptlab.training.objectives import MMD
    >>> term = MMD("gaussian", weight=100.0).regularizer(2)
    >>> codes = torch.zeros(64, 2, requires_grad=True)
    >>> loss = term(codes)  # in a loop of your own: reconstruction + term(codes)
    >>> loss.backward()
    >>> term.update(codes)
    """

    def __init__(self, objective: Objective, dim: int, *, rows: int | None = None, seed: int = 0) -> None:
        super().__init__()
        seed = as_seed("seed", seed)
        if rows is None and objective.needs_rows:
            raise ValueError(
                f"{objective!r} needs the number of images in the data set: regularizer(dim, rows=...), in fit data of known size"
            )
        self.objective, self.dim, self.rows, self.seed, self.step = objective, dim, rows, seed, 0
        self.generator: torch.Generator | None = None
        self._calls = 0  # of `forward` in training since the last `update`
        with Initialization(seed):
            made = objective.companions(dim)
        self.companions: Companions = cast("Companions", nn.ModuleDict(made))
        self._trained: dict[str, list[str]] = {}  # the names of the parameters that `update` trains, by companion
        for name, companion in made.items():
            weights = [key for key, weight in companion.named_parameters() if weight.requires_grad]
            if weights and not companion.joins_model:
                if type(companion).loss is Companion.loss:
                    raise ValueError(f"companion {name!r} has parameters, so it must have a loss, or joins_model = True")
                self._trained[name] = weights
        self._optimizers: dict[str, torch.optim.Optimizer] = {}
        self._make_optimizers()
        self.register_load_state_dict_post_hook(Regularizer._make_optimizers)

    @_uncompiled
    def forward(self, codes: Tensor, posterior: Any = None, model: Any = None) -> Tensor:
        """The weighted sum of the terms of codes (b, dim), 0-d, in nats per image.

        The posterior, a `Posterior` or (mean, log_variance), is needed by KL and its relatives; the model, with `encode` and
        `decode`, by `Anchors`, `LabeledMMD` and `Isometry`.
        """
        codes = self._checked(codes)
        self._warn_of_missing_updates()
        for name, given, needed in (
            ("posterior", posterior, self.objective.needs_posterior), ("model", model, self.objective.needs_model),
        ):  # fmt: skip
            if needed and given is None:
                raise ValueError(f"{name} must be given for {self.objective!r}: term(codes, {name}={name})")
        posterior = None if posterior is None else _checked_posterior(posterior, codes)
        if ranks := self._ranks():
            codes, posterior = ranks.gather_codes(codes, posterior)
        generator = self._generator(codes.device) if self.training else torch.Generator(codes.device).manual_seed(self.seed)
        self._let_train(False)
        batch = Batch(None, posterior, codes, model, self.rows, generator, self.step)
        with torch.autocast(codes.device.type, enabled=False):
            total = codes.new_zeros(())
            for term in self.objective.regularizers(batch, self.companions):
                total = total + term.weight * term.value
        return total

    def _warn_of_missing_updates(self) -> None:
        if not self.training or not torch.is_grad_enabled():
            return
        self._calls += 1
        if self._calls == CALLS_WITHOUT_UPDATE and (changed := self._changed_by_update()):
            warnings.warn(
                f"{self.objective!r} was called {self._calls} times without term.update(codes), which changes "
                f"{', '.join(changed)}: call it after each backward, or the term means nothing",
                stacklevel=4,
            )

    def _changed_by_update(self) -> list[str]:
        """What stays as it was at first without `update`: companions that learn or refresh themselves, and a schedule."""
        refreshed = [name for name, one in self.companions.items() if type(one).refresh is not Companion.refresh]
        parts = getattr(self.objective, "parts", (self.objective,))
        scheduled = any(getattr(part, "schedule", None) is not None for part in parts)
        return [*dict.fromkeys([*self._optimizers, *refreshed]), *(["its schedule"] if scheduled else [])]

    @_uncompiled
    def update(self, codes: Tensor, model: Any = None) -> None:
        """Train the companions on the codes (b, dim) of a step, after its `backward`; refresh their buffers; count the step."""
        self._calls = 0
        if len(self.companions):
            codes = self._checked(codes).detach()
            codes = ranks.gather(codes) if (ranks := self._ranks()) else codes
            generator = self._generator(codes.device)
            self._let_train(True)
            with torch.enable_grad(), torch.autocast(codes.device.type, enabled=False):
                for name, optimizer in self._optimizers.items():
                    for _ in range(self.companions[name].rounds):
                        optimizer.zero_grad()
                        self.companions[name].loss(codes, generator).backward()
                        optimizer.step()
                    optimizer.zero_grad()
                    for weight in optimizer.param_groups[0]["params"]:  # so that a `backward` after `update` raises an error
                        torch.autograd.graph.increment_version(weight)  # a fused step does not
            self._let_train(False)
            with torch.no_grad():
                for companion in self.companions.values():
                    companion.refresh(codes, model, generator)
        self.step += 1

    def _checked(self, codes: Any) -> Tensor:
        """The codes if they are floats (b, dim) on the device of the companions; 16-bit floats become float32."""
        if not isinstance(codes, Tensor) or codes.is_nested or codes.shape[1:] != (self.dim,) or not codes.is_floating_point():
            shaped = isinstance(codes, Tensor) and not codes.is_nested
            came = f"{codes.dtype} of shape {tuple(codes.shape)}" if shaped else f"a {type(codes).__name__}"
            hint = "; of (mean, log_variance), pass a draw as codes, and both as posterior" if isinstance(codes, tuple) else ""
            hint = "; feature maps as codes.flatten(1)" if shaped and codes.ndim > 2 else hint
            raise ValueError(f"codes must be a tensor of floats (b, {self.dim}), got {came}{hint}")
        if len(codes) < (least := self.objective.least_batch):
            hint = "DataLoader(..., drop_last=True) leaves out a short last batch"
            raise ValueError(f"codes must have at least {least} rows for {self.objective!r}, got {len(codes)}: {hint}")
        for weight in itertools.chain(self.parameters(), self.buffers()):
            if weight.device != codes.device:
                raise ValueError(f"codes must be on {weight.device}, where the term is, got {codes.device}: move it by term.to()")
        if codes.layout != torch.strided or codes.is_nested:
            raise ValueError(f"codes must be a dense tensor, got layout {codes.layout}; use .to_dense()")
        return _float32(codes)

    def _ranks(self) -> Ranks | None:
        """The processes whose codes make up the batch: in training, those of torch's process group, if there is one."""
        return Ranks.present() if self.training else None

    def _generator(self, device: torch.device) -> torch.Generator:
        """The source of all noise; a new one from the seed if there is none, or one for another type of device."""
        if self.generator is None or self.generator.device.type != device.type:
            self.generator = torch.Generator(device).manual_seed(self.seed)
        return self.generator

    def _let_train(self, value: bool) -> None:
        """Whether parameters with an optimizer of their own take gradients: in `update` alone, so that no other changes them."""
        for optimizer in self._optimizers.values():
            for weight in optimizer.param_groups[0]["params"]:
                weight.requires_grad_(value)

    def _make_optimizers(self, _: Any = None) -> None:
        """Optimizers over the present parameters, which `to` and `load_state_dict` may replace, with the averages so far."""
        for name, keys in self._trained.items():
            companion, old = self.companions[name], self._optimizers.get(name)
            weights = [companion.get_parameter(key) for key in keys]
            optimizer = Adam(weights, lr=companion.learning_rate, betas=companion.betas, fused=True)
            if old is not None:
                optimizer.load_state_dict(old.state_dict())
            self._optimizers[name] = optimizer
        self._let_train(False)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Regularizer:
        """As for any module, such as for `to`, but never in 16 bits: Adam's small steps would be lost in them."""

        def convert(value: Tensor) -> Tensor:
            converted = fn(value)
            return value.to(converted.device) if converted.is_floating_point() and converted.element_size() < 4 else converted

        super()._apply(convert, recurse)
        self._make_optimizers()
        return self

    def get_extra_state(self) -> Tensor:
        """The step, the optimizers' averages and the generator as bytes, for file formats that hold nothing but tensors."""
        noise = None if self.generator is None else (self.generator.device.type, self.generator.get_state())
        averages = {name: optimizer.state_dict() for name, optimizer in self._optimizers.items()}
        torch.save({"step": self.step, "optimizers": averages, "generator": noise}, file := io.BytesIO())
        return torch.frombuffer(file.getbuffer(), dtype=torch.uint8).clone()

    def set_extra_state(self, state: Tensor) -> None:
        """Put back what `get_extra_state` returned."""
        content = torch.load(io.BytesIO(state.cpu().numpy().tobytes()), map_location="cpu", weights_only=True)
        self.step = whole("step", content["step"], least=0)
        for name in self._optimizers.keys() & content["optimizers"].keys():
            load_averages(self._optimizers[name], content["optimizers"][name])
        if content["generator"] is not None:
            device, noise = content["generator"]
            with contextlib.suppress(RuntimeError, AssertionError):  # if the device is not on this machine, the noise starts anew
                self._generator(torch.device(device)).set_state(noise)


def _float32(value: Tensor) -> Tensor:
    return value.float() if value.is_floating_point() and value.element_size() < 4 else value


def _checked_posterior(given: Any, codes: Tensor) -> Posterior:
    """A posterior, or (mean, log_variance), whose parts have the shape of the codes."""
    parts = (given.mean, given.log_variance) if hasattr(given, "log_variance") else given
    if not isinstance(parts, tuple | list) or len(parts) != 2 or any(getattr(p, "shape", None) != codes.shape for p in parts):
        few = isinstance(parts, tuple | list) and len(parts) < 10
        came = [getattr(p, "shape", type(p).__name__) for p in parts] if few else type(given).__name__
        raise ValueError(f"posterior must be (mean, log_variance), each of shape {tuple(codes.shape)}, got {came}")
    return Posterior(*map(_float32, parts))
