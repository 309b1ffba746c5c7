"""Priors from elsewhere: names, torch's distributions, other objects and functions that can be sampled, arrays of points."""

import copy
import inspect
import threading
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from types import FunctionType
from typing import Any

import numpy as np
import torch
from torch import Generator, Tensor
from torch.distributions import Distribution, Independent, VonMises

from sculptlab.priors.base import Prior
from sculptlab.priors.families import Gaussian, Uniform
from sculptlab.priors.parameters import Moments
from sculptlab.priors.samples import Samples
from sculptlab.priors.sampling import Device
from sculptlab.validation import choice, codes, describe

NAMES = {"gaussian": Gaussian, "uniform": Uniform}
GLOBAL_GENERATORS = threading.RLock()


@dataclass(frozen=True)
class Drawn(Prior):
    """A prior drawn from a function or from an object of another library; `as_prior` makes it.

    Of a torch distribution it has the mean, covariance and quantiles that torch knows.

    Parameters
    ----------
    dim : int
        Number of dimensions.
    source : torch.distributions.Distribution, object with ``sample``, or callable
        Drawn from as ``source.sample(n)`` or ``source(n)``, with ``generator=`` where that is a parameter.
    """

    source: Any

    def __repr__(self) -> str:
        named = isinstance(self.source, FunctionType) and self.source.__name__.isidentifier()
        return f"as_prior({self.source.__name__ if named else f'<{_kind(self.source)}>'}, dim={self.dim})"

    def _moments(self) -> Moments:
        source = self.source
        if not isinstance(source, Distribution) or isinstance(source, VonMises):  # VonMises' moments are those of a direction
            return None, None
        mean, covariance, variance = (_known(source, name) for name in ("mean", "covariance_matrix", "variance"))
        independent = source.event_shape == () or (isinstance(source, Independent) and source.base_dist.event_shape == ())
        if covariance is None and independent and variance is not None:
            covariance = variance.reshape(self.dim).diag()
        return None if mean is None else mean.reshape(self.dim), covariance

    def _quantile(self, u: Tensor) -> Tensor | None:
        quantile = _known(self.source, "icdf", u.cpu()) if isinstance(self.source, Distribution) else None
        return None if quantile is None else quantile.reshape(u.shape).to(u)

    def _draw(self, n: int, generator: Generator | None, device: Device) -> Tensor:
        function: Any = getattr(self.source, "sample", self.source)
        size: Any = n
        if isinstance(self.source, Distribution):
            scalar = not self.source.batch_shape and not self.source.event_shape
            size = torch.Size((n, 1) if scalar else (n,))
        elif _takes_generator(function):
            function, generator = partial(function, generator=generator), None
        with _seeded_global_generators(generator):
            drawn = function(size)
        if isinstance(drawn, tuple):  # scikit-learn's mixtures return (points, components)
            drawn = drawn[0]
        return codes("prior's draws", drawn, rows=1).detach().float().to(device)


def as_prior(obj: Any, dim: int | None = None) -> Prior:
    """Make a prior of anything that can be sampled.

    A generator given to `sample` is passed on to a source that takes one. For others it seeds the global generators of torch and
    NumPy for the length of the call, after which they are put back. A number as an object's ``random_state``, with which all
    calls would return the same draws, is not used. A warning tells of draws that do not follow the seed.

    Parameters
    ----------
    obj : str, Prior, torch.distributions.Distribution, object with ``sample``, callable, or array_like of shape (m, d)
        A name ("gaussian" or "uniform", which need `dim`); a Prior or a distribution; an object whose ``sample`` takes n and
        returns (n, d), or a callable that does; or samples, to be drawn from with replacement.
    dim : int, optional
        The number of dimensions that is needed.

    Returns
    -------
    Prior
        `obj` itself if it is a Prior.

    Raises
    ------
    TypeError
        If `obj` is none of these.
    ValueError
        If a name is unknown or comes without `dim`, if draws have a wrong shape or are not finite, or if the number of
        dimensions is not `dim`.

    Examples
    --------
    >>> as_prior("uniform", dim=2)
    Uniform(dim=2, low=-1.7320508075688772, high=1.7320508075688772)
    >>> as_prior(torch.distributions.Normal(0.0, 3.0)).covariance
    tensor([[9.]])
    """
    if isinstance(obj, str):
        family = NAMES[choice("prior", obj, NAMES)]
        if dim is None:
            raise ValueError(f"prior {obj!r} needs a number of dimensions here: give {family.__name__}(dim)")
        return family(dim)
    if isinstance(obj, Prior):
        prior = obj
    elif isinstance(obj, Tensor | list | tuple) or (hasattr(obj, "__array__") and not isinstance(obj, type)):
        prior = Samples(obj)
    else:
        prior = _tried(obj)
    if dim is not None and prior.dim != dim:
        raise ValueError(f"prior must have {dim} dimension(s) as the codes do, got {prior.dim}: {prior!r}")
    return prior


def as_priors(name: str, given: Any, dim: int | None = None) -> tuple[Prior, ...]:
    """A list of one or more things that `as_prior` takes, as priors; those given by a name with `dim` dimensions."""
    if isinstance(given, Prior | Tensor | str) or not isinstance(given, Iterable):
        raise TypeError(f"{name} must be a list of priors, got {given!r}")
    priors = tuple(as_prior(one, dim if isinstance(one, str) else None) for one in given)
    if not priors:
        raise ValueError(f"{name} must hold at least one prior, got none")
    return priors


def _tried(obj: Any) -> Drawn:
    """`obj` as a prior, tried by a few draws."""
    if isinstance(obj, type) or not callable(getattr(obj, "sample", obj)):
        raise TypeError(
            "prior must be a name, a Prior, an object with .sample, a torch Distribution, a callable n -> (n, d) or an (m, d) "
            f"array, got {describe(obj)}"
        )
    if getattr(obj, "random_state", None) is not None:
        obj = copy.copy(obj)
        obj.random_state = None
    try:
        dim = Drawn(1, obj)._draw(8, Generator().manual_seed(0), "cpu").shape[1]
    except TypeError as error:
        raise TypeError(f"prior must be drawn from by n -> (n, d) or n, generator -> (n, d): {_kind(obj)}: {error}") from error
    prior = Drawn(dim, obj)
    first, again, other = (prior.sample(8, Generator().manual_seed(seed)) for seed in (0, 0, 1))
    problem = None
    if not torch.equal(first, again):
        problem = "differ from call to call with the same generator"
    elif torch.equal(first, other) and not (first == first[0]).all():
        problem = "are the same at every call, whatever the generator: they are no fresh samples"
    if problem:
        warnings.warn(
            f"prior's draws {problem}, got {_kind(obj)}; what follows the seed is n, generator -> (n, d) with torch's generator, "
            "or n -> (n, d) with torch's or NumPy's global one",
            stacklevel=3,
        )
    return prior


def _kind(obj: Any) -> str:
    """The name of a function, or of an object's class, for a message."""
    return getattr(obj, "__name__", type(obj).__name__).strip("<>")


def _known(distribution: Distribution, name: str, *arguments: Any) -> Tensor | None:
    """What a torch distribution answers, in float64, if it does and all of it is finite."""
    try:
        answer = getattr(distribution, name)
        answer = (answer(*arguments) if arguments else answer).detach().cpu().double()
    except (AttributeError, NotImplementedError):
        return None
    return answer if torch.isfinite(answer).all() else None


def _takes_generator(function: Any) -> bool:
    try:
        return "generator" in inspect.signature(function).parameters
    except (TypeError, ValueError):  # a builtin that does not tell
        return False


@contextmanager
def _seeded_global_generators(generator: Generator | None) -> Iterator[None]:
    """Seed the global generators of torch and NumPy from `generator`, if there is one, and put them back after."""
    if generator is None:
        yield
        return
    seed = int(torch.randint(2**31, (), generator=generator, device=generator.device).item())
    # torch.manual_seed would also queue a seed for a GPU that is not in use yet, which fork_rng cannot take back
    gpus = list(range(torch.cuda.device_count())) if torch.cuda.is_initialized() else []
    with GLOBAL_GENERATORS, torch.random.fork_rng(devices=gpus):
        numpy_state = np.random.get_state()  # noqa: NPY002
        torch.default_generator.manual_seed(seed)
        for gpu in gpus:
            torch.cuda.default_generators[gpu].manual_seed(seed)
        np.random.seed(seed)  # noqa: NPY002
        try:
            yield
        finally:
            np.random.set_state(numpy_state)  # noqa: NPY002
