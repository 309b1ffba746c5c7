"""Priors: anything that can be sampled is a shape an autoencoder's codes may be given."""

import inspect
import zlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import torch

from sculptlab.validation import codes, finite, number, whole

ROOT_3 = 3**0.5


@dataclass(frozen=True)
class Prior(ABC):
    """A distribution of codes with `dim` dimensions, known by its samples. Subclasses write `draw`."""

    dim: int

    def __post_init__(self) -> None:
        whole("dim", self.dim)

    @abstractmethod
    def draw(self, n: int, generator: torch.Generator | None, device: torch.device | str) -> torch.Tensor:
        """(n, dim) float32 on `device`, which is the generator's where there is one."""

    def sample(self, n: int, generator: torch.Generator | None = None, device: torch.device | str | None = None) -> torch.Tensor:
        """`n` independent draws, (n, dim) float32 on `device` (default: where they were drawn).

        They are drawn where `generator` lives and then moved, so that a seed gives the same codes on every device;
        without a generator they come from torch's default one, as `torch.randn` does.
        """
        place = generator.device if generator is not None else device or "cpu"
        drawn = self.draw(whole("n", n), generator, place)
        return drawn if device is None else drawn.to(device)

    def plot(self, ax: Any = None) -> Any:
        """What 20,000 draws look like: on `ax`, which is returned, or as a new picture where there is none.

        One dimension: the density; two: a map; more: a corner plot, or on an `ax` the first two dimensions.
        """
        from sculptlab import figures  # drawing is not needed to train

        return figures.prior_picture(self, ax)


@dataclass(frozen=True)
class Gaussian(Prior):
    """The standard normal N(0, I): the prior of the KL family, and the one prior that looks the same after any rotation."""

    def draw(self, n: int, generator: torch.Generator | None, device: torch.device | str) -> torch.Tensor:
        return torch.randn(n, self.dim, generator=generator, device=device)


@dataclass(frozen=True)
class Uniform(Prior):
    """The uniform box [low, high]^dim; by default it has unit variance like `Gaussian`, so the same kernels fit both."""

    low: float = -ROOT_3
    high: float = ROOT_3

    def __post_init__(self) -> None:
        super().__post_init__()
        number("high", self.high, above=number("low", self.low))

    def draw(self, n: int, generator: torch.Generator | None, device: torch.device | str) -> torch.Tensor:
        return self.low + (self.high - self.low) * torch.rand(n, self.dim, generator=generator, device=device)


@dataclass(frozen=True, eq=False)
class Samples(Prior):
    """The empirical distribution of a bank of points (m, dim): rows drawn with replacement."""

    dim: int = field(init=False)
    bank: torch.Tensor

    def __post_init__(self) -> None:
        bank = finite("prior", codes("prior", self.bank).detach().float().cpu().clone())  # in float32 1e39 is infinite
        object.__setattr__(self, "bank", bank)
        object.__setattr__(self, "dim", bank.shape[1])

    def __repr__(self) -> str:
        return f"Samples(<{len(self.bank)} x {self.dim} points, crc32 {zlib.crc32(self.bank.numpy().tobytes()):08x}>)"

    def draw(self, n: int, generator: torch.Generator | None, device: torch.device | str) -> torch.Tensor:
        rows = torch.randint(len(self.bank), (n,), generator=generator, device=device)
        return self.bank[rows.cpu()].to(device)


@dataclass(frozen=True)
class Drawn(Prior):
    """A prior whose draws come from another object's function `draws(n, generator)`."""

    draws: Callable[[int, torch.Generator | None], Any]
    name: str

    def __repr__(self) -> str:
        return f"Drawn({self.name}, dim={self.dim})"

    def draw(self, n: int, generator: torch.Generator | None, device: torch.device | str) -> torch.Tensor:
        return _checked(self.draws(n, generator), n, self.dim).to(device)


def as_prior(obj: Any, dim: int | None = None) -> Prior:
    """`obj` as a Prior, with `dim` dimensions if given.

    `obj` is a Prior, a `torch.distributions.Distribution`, an (m, d) array of samples (drawn from with replacement), an
    object with `sample` (ours, scikit-learn's mixtures, ...) or a callable n -> (n, d). Where those take no generator,
    a generator given to `sample` seeds torch's and NumPy's global ones for the length of the call and puts them back.
    Raises TypeError for anything else, ValueError for draws of a wrong shape, not finite, or of another dimension than
    `dim`.
    """
    if isinstance(obj, Prior):
        prior = obj
    elif isinstance(obj, torch.Tensor | list | tuple) or (hasattr(obj, "__array__") and not isinstance(obj, type)):
        prior = Samples(codes("prior", obj))
    else:
        draws = _draws(obj)
        probe = _checked(draws(2, torch.Generator().manual_seed(0)), 2, None)
        prior = Drawn(probe.shape[1], draws, getattr(obj, "__name__", type(obj).__name__))
    if dim is not None and prior.dim != dim:
        raise ValueError(f"prior must have {dim} dimension(s) as the codes do, got {prior.dim}: {prior!r}")
    return prior


def _draws(obj: Any) -> Callable[[int, torch.Generator | None], Any]:
    """How `obj` is drawn from, as a function of (n, generator)."""
    source = getattr(obj, "sample", obj)
    if isinstance(obj, type) or not callable(source):
        raise TypeError(
            "prior must be a Prior, an object with .sample, a torch Distribution, a callable n -> (n, d) or an (m, d) array, "
            f"got {f'the class {obj.__name__}: call it first' if isinstance(obj, type) else repr(obj)}"
        )
    if isinstance(obj, torch.distributions.Distribution):
        return partial(_seeded, partial(_rows_of, obj))
    return partial(_with_generator if _takes_generator(source) else _seeded, source)


def _takes_generator(function: Callable[..., Any]) -> bool:
    try:
        return "generator" in inspect.signature(function).parameters
    except (TypeError, ValueError):  # builtins without a signature
        return False


# Functions of the module, not of the call: a prior made of them can be pickled wherever its source can.


def _rows_of(distribution: torch.distributions.Distribution, n: int) -> torch.Tensor:
    scalar = not distribution.batch_shape and not distribution.event_shape
    return distribution.sample(torch.Size((n, 1) if scalar else (n,)))


def _with_generator(source: Callable[..., Any], n: int, generator: torch.Generator | None) -> Any:
    return source(n, generator=generator)


def _seeded(source: Callable[[int], Any], n: int, generator: torch.Generator | None) -> Any:
    if generator is None:
        return source(n)
    seed = torch.randint(2**31, (), generator=generator, device=generator.device).item()
    with _global_seed(int(seed)):
        return source(n)


@contextmanager
def _global_seed(seed: int) -> Iterator[None]:
    """Torch's and NumPy's global generators seeded, and put back after."""
    # torch.manual_seed would also queue a seed for a GPU not yet in use, which fork_rng cannot take back
    gpus = list(range(torch.cuda.device_count())) if torch.cuda.is_initialized() else []
    numpy_state = np.random.get_state()  # noqa: NPY002
    with torch.random.fork_rng(devices=gpus):
        torch.default_generator.manual_seed(seed)
        for gpu in gpus:
            torch.cuda.default_generators[gpu].manual_seed(seed)
        np.random.seed(seed)  # noqa: NPY002
        try:
            yield
        finally:
            np.random.set_state(numpy_state)  # noqa: NPY002


def _checked(drawn: Any, n: int, dim: int | None) -> torch.Tensor:
    """A foreign prior's draws as finite float32 (n, dim)."""
    if isinstance(drawn, tuple):  # scikit-learn's mixtures return (points, components)
        drawn = drawn[0]
    if not isinstance(drawn, torch.Tensor | list) and not hasattr(drawn, "__array__"):
        raise TypeError(f"prior must return an (n, d) array when asked for n codes, got {type(drawn).__name__}")
    tensor = codes("prior's draws", drawn, dim=dim, rows=1).detach().float()
    if len(tensor) != n:
        raise ValueError(f"prior must return {n} rows when asked for {n}, got {len(tensor)}")
    return tensor
