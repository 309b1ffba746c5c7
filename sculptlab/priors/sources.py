"""Priors from elsewhere: torch's distributions, other objects and functions that can be sampled, arrays of points."""

import copy
import inspect
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from types import FunctionType
from typing import Any

import numpy as np
import torch

from sculptlab.priors.banks import Samples
from sculptlab.priors.base import Prior
from sculptlab.validation import codes, describe

TRIED = 8  # draws by which a foreign source is tried
CIRCULAR = torch.distributions.VonMises  # what torch calls its mean and variance are those of a direction, not of a number


@dataclass(frozen=True)
class Drawn(Prior):
    """A prior whose draws come from another object's function `draws(n, generator)`.

    Of a torch distribution (`source`) it also knows the mean, the covariance and the quantiles that torch knows. The repr of a
    function with a name can be pasted back where that name is known; of other sources it tells the type.
    """

    draws: Callable[[int, torch.Generator | None], Any]
    name: str
    source: Any = field(default=None, repr=False)

    def __repr__(self) -> str:
        return f"as_prior({self.name}, dim={self.dim})"

    @property
    def mean(self) -> torch.Tensor | None:
        return _known(lambda: self.source.mean.float().reshape(self.dim))

    @property
    def covariance(self) -> torch.Tensor | None:
        matrix = _known(lambda: self.source.covariance_matrix.float())
        if matrix is not None or not _independent(self.source):
            return matrix
        return _known(lambda: self.source.variance.float().reshape(self.dim).diag())

    def quantile(self, u: torch.Tensor) -> torch.Tensor | None:
        found = _known(lambda: self.source.icdf(u.cpu()).reshape(u.shape))
        return None if found is None else found.to(u)

    def draw(self, n: int, generator: torch.Generator | None, device: torch.device | str) -> torch.Tensor:
        return _checked(self.draws(n, generator), n, self.dim).to(device)


def _known(ask: Callable[[], torch.Tensor]) -> torch.Tensor | None:
    """What a torch distribution answers, if it does and all of it is finite."""
    try:
        found = ask().detach().cpu()
    except (AttributeError, NotImplementedError):
        return None
    return found if torch.isfinite(found).all() else None


def _independent(source: Any) -> bool:
    """Whether a torch distribution's dimensions are of its batch, or were declared independent."""
    batches = torch.distributions.Independent
    return getattr(source, "event_shape", None) == () or (isinstance(source, batches) and source.base_dist.event_shape == ())


def as_prior(obj: Any, dim: int | None = None) -> Prior:
    """`obj` as a Prior, with `dim` dimensions if given.

    `obj` is a Prior, a `torch.distributions.Distribution`, an (m, d) array of samples (drawn from with replacement), an
    object with `sample` (ours, scikit-learn's mixtures, ...) or a callable n -> (n, d). Where those take no generator,
    a generator given to `sample` seeds torch's and NumPy's global ones for the length of the call and puts them back;
    an object's own `random_state`, which would repeat its draws at every call, is left aside. A warning tells of draws that do
    not follow the seed, such as those of `numpy.random.default_rng()`: give n, generator -> (n, d) instead.
    Raises TypeError for anything else, ValueError for draws of a wrong shape, not finite, or of another dimension than
    `dim`.
    """
    if isinstance(obj, Prior):
        prior = obj
    elif isinstance(obj, torch.Tensor | list | tuple) or (hasattr(obj, "__array__") and not isinstance(obj, type)):
        prior = Samples(codes("prior", obj))
    else:
        draws = _draws(obj)
        first = _tried(draws, obj)
        source = obj if isinstance(obj, torch.distributions.Distribution) and not isinstance(obj, CIRCULAR) else None
        named = isinstance(obj, FunctionType) and obj.__name__.isidentifier()
        prior = Drawn(first.shape[1], draws, obj.__name__ if named else f"<{_kind(obj)}>", source)
    if dim is not None and prior.dim != dim:
        raise ValueError(f"prior must have {dim} dimension(s) as the codes do, got {prior.dim}: {prior!r}")
    return prior


def _draws(obj: Any) -> Callable[[int, torch.Generator | None], Any]:
    """How `obj` is drawn from, as a function of (n, generator)."""
    source = getattr(obj, "sample", obj)
    if isinstance(obj, type) or not callable(source):
        raise TypeError(
            "prior must be a Prior, an object with .sample, a torch Distribution, a callable n -> (n, d) or an (m, d) array, "
            f"got {describe(obj)}"
        )
    if isinstance(obj, torch.distributions.Distribution):
        return partial(_seeded, partial(_rows_of, obj))
    if getattr(obj, "random_state", None) is not None:  # scikit-learn's mixtures start anew from a number at every call
        obj = copy.copy(obj)
        obj.random_state = None
        source = obj.sample
    _takes_n(source)
    return partial(_with_generator if _takes_generator(source) else _seeded, source)


def _kind(obj: Any) -> str:
    return "lambda" if getattr(obj, "__name__", "") == "<lambda>" else getattr(obj, "__name__", type(obj).__name__)


def _tried(draws: Callable[[int, torch.Generator | None], Any], obj: Any) -> torch.Tensor:
    """A few draws, checked; a warning where they are not the seed's: not the same again, or the same for another seed."""
    first, again, other = (_checked(draws(TRIED, torch.Generator().manual_seed(seed)), TRIED, None) for seed in (0, 0, 1))
    said = None
    if not torch.equal(first, again):
        said = "differ from call to call with the same generator"
    elif torch.equal(first, other) and not (first == first[0]).all():
        said = "are the same at every call, whatever the generator: they are no fresh samples"
    if said:
        warnings.warn(
            f"prior's draws {said}, got {_kind(obj)}; what follows the seed is n, generator -> (n, d) with torch's generator, "
            "or n -> (n, d) with torch's or NumPy's global one",
            stacklevel=3,
        )
    return first


def _takes_n(function: Callable[..., Any]) -> None:
    """Check that `function` can be called with the number of draws alone, or with a generator besides."""
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):  # builtins without a signature
        return
    try:
        signature.bind(2, **({"generator": None} if "generator" in signature.parameters else {}))
    except TypeError as error:
        raise TypeError(
            f"prior must be drawn from by n -> (n, d) or n, generator -> (n, d), got {_kind(function)}{signature}: {error}"
        ) from error


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
