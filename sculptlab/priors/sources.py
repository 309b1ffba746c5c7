"""Priors from elsewhere: names, torch's distributions, other objects and functions that can be sampled, arrays of points."""

import copy
import inspect
import os
import threading
import warnings
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from functools import cached_property, partial
from tokenize import TokenError
from types import FunctionType
from typing import Any

import numpy as np
import torch
from torch import Generator, Tensor
from torch.distributions import Distribution, Independent, VonMises

from sculptlab.names import as_file
from sculptlab.priors.base import Device, Prior
from sculptlab.priors.families import Gaussian, Uniform
from sculptlab.priors.parameters import Moments, checksum, weighted_moments
from sculptlab.validation import choice, codes, describe, finite, function, is_model, whole

NAMES = {"gaussian": Gaussian, "uniform": Uniform}
GLOBAL_GENERATORS = threading.RLock()


@dataclass(frozen=True, eq=False)
class Samples(Prior):
    """The empirical distribution of points: rows drawn with replacement; the covariance divides by m.

    Parameters
    ----------
    bank : array_like of shape (m, dim), or path
        The points, such as another model's codes; or a file of them: .npy, or .csv with or without a line of column names.
    crc32 : str, optional
        Checksum of the points, as the repr shows it; raises ValueError where it differs.
    """

    dim: int = field(init=False)
    bank: Any
    crc32: str | None = field(default=None, kw_only=True)
    file: str | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        file = str(as_file("prior's file", self.bank)) if isinstance(self.bank, str | os.PathLike) else None
        points = codes("prior", self.bank if file is None else _table(file)).detach().float().cpu().clone()
        finite("prior", points)  # again, since large numbers are infinite in float32
        crc32 = checksum("prior", points.numpy().tobytes(), self.crc32)
        vars(self).update(dim=points.shape[1], bank=points, crc32=crc32, file=file)

    def __repr__(self) -> str:
        if self.file is not None:
            return f"Samples({self.file!r}, crc32={self.crc32!r})"
        return f"Samples(<{len(self.bank)} x {self.dim} points, crc32 {self.crc32}>)"

    def _moments(self) -> Moments:
        rows = self.bank.double()
        return weighted_moments(rows, rows.new_full((len(rows),), 1 / len(rows)))

    def _draw(self, n: int, generator: Generator | None, device: Device) -> Tensor:
        rows = torch.randint(len(self.bank), (n,), generator=generator, device=device)
        return self.bank[rows.cpu()].to(device)

    @cached_property
    def _sorted(self) -> Tensor:
        return self.bank[:, 0].double().sort().values

    def _quantile(self, u: Tensor) -> Tensor:
        position = (u.cpu() * len(self.bank)).ceil().long() - 1
        return self._sorted[position.clamp(0, len(self.bank) - 1)].to(u)


def _table(path: str) -> np.ndarray:
    """The points of a .npy or .csv file."""
    ending = choice("prior's file ending", os.path.splitext(path)[1].lower(), [".npy", ".csv"])
    read = partial(np.loadtxt, path, delimiter=",", ndmin=2, encoding="utf-8-sig")
    try:
        if ending == ".npy":
            return np.load(path, allow_pickle=False)
        with suppress(ValueError):  # where the first line holds names
            return read()
        return read(skiprows=1)
    except (ValueError, EOFError, TokenError) as error:
        raise ValueError(f"prior's file {path!r} must hold one table of numbers: {error}") from error


@dataclass(frozen=True)
class Drawn(Prior):
    """A prior drawn from a function or from an object of another library; `as_prior` makes it.

    If the source is a torch distribution, its mean, covariance and quantiles are used where torch has them.

    Parameters
    ----------
    dim : int
        Number of dimensions.
    source : torch.distributions.Distribution, object with ``sample``, or callable
        Called as ``source.sample(n)`` or ``source(n)``, with ``generator=...`` if it has a parameter of that name.
    """

    source: Any

    def __post_init__(self) -> None:
        super().__post_init__()
        function("source, or its method sample,", getattr(self.source, "sample", self.source))

    def __repr__(self) -> str:
        name = getattr(self.source, "__name__", type(self.source).__name__).strip("<>")
        named = isinstance(self.source, FunctionType) and self.source.__name__.isidentifier()
        return f"as_prior({name if named else f'<{name}>'}, dim={self.dim})"

    def _known(self, name: str, *arguments: Any) -> Tensor | None:
        """Attribute `name` of a torch distribution, or its result for `arguments`, in float64; None if missing or not finite."""
        source = self.source if isinstance(self.source, Distribution) else None
        try:
            answer = getattr(source, name)
            answer = (answer(*arguments) if arguments else answer).detach().cpu().double()
        except (AttributeError, NotImplementedError):
            return None
        return answer if torch.isfinite(answer).all() else None

    def _moments(self) -> Moments:
        source: Any = self.source
        mean, covariance, variance = (self._known(name) for name in ("mean", "covariance_matrix", "variance"))
        if mean is None or isinstance(source, VonMises):  # torch's mean and variance of it are circular ones
            return None, None
        independent = source.event_shape == () or (isinstance(source, Independent) and source.base_dist.event_shape == ())
        if covariance is None and independent and variance is not None:
            covariance = variance.reshape(self.dim).diag()
        return mean.reshape(self.dim), covariance

    def _quantile(self, u: Tensor) -> Tensor | None:
        quantile = self._known("icdf", u.cpu())
        return None if quantile is None else quantile.reshape(u.shape).to(u)

    def _draw(self, n: int, generator: Generator | None, device: Device) -> Tensor:
        source: Any = self.source
        function: Any = getattr(source, "sample", source)
        size: Any = n
        if isinstance(source, Distribution):
            size = torch.Size((n,) if source.batch_shape or source.event_shape else (n, 1))
        else:
            with suppress(TypeError, ValueError):  # some builtins have no signature
                if "generator" in inspect.signature(function).parameters:
                    function, generator = partial(function, generator=generator), None
        with nullcontext() if generator is None else _seeded_global_generators(generator):
            drawn = function(size)
        drawn = drawn[0] if isinstance(drawn, tuple) else drawn  # scikit-learn's mixtures return (points, components)
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
    TypeError, ValueError
        If `obj` is none of these, a name comes without `dim`, or draws are not finite (n, d) or not of `dim` dimensions.

    Examples
    --------
    >>> as_prior("uniform", dim=2)
    Uniform(dim=2, low=-1.7320508075688772, high=1.7320508075688772)
    """
    dim = None if dim is None else whole("dim", dim)
    if isinstance(obj, str):
        family = NAMES[choice("prior", obj, NAMES)]
        if dim is None:
            raise ValueError(f"prior {obj!r} needs a number of dimensions here: give {family.__name__}(dim)")
        return family(dim)
    if isinstance(obj, int | float):
        came = describe(obj)
        raise TypeError(
            "prior must be a name, a Prior, an object with .sample, a torch Distribution, a callable n -> (n, d) or an (m, d) "
            f"array, got the number {came}; `*` joins the dimensions of two priors, prior.scaled({came}) scales one"
        )
    array = not isinstance(obj, type) and (isinstance(obj, list | tuple) or hasattr(obj, "__array__"))
    prior = obj if isinstance(obj, Prior) else Samples(obj) if array else _tried(obj)
    if dim is not None and prior.dim != dim:
        raise ValueError(f"prior must have {dim} dimension(s) as the codes do, got {prior.dim}: {prior!r}")
    return prior


def as_priors(name: str, given: Any, dim: int | None = None, same_dim: bool = False) -> tuple[Prior, ...]:
    """A list of one or more things that `as_prior` takes, as priors; those given by a name with `dim` dimensions."""
    if isinstance(given, Prior | Tensor | str) or not isinstance(given, Iterable):
        raise TypeError(f"{name} must be a list of priors, got {describe(given)}")
    try:
        priors = tuple(as_prior(one, dim if isinstance(one, str) else None) for one in given)
    except (TypeError, ValueError) as error:
        raise type(error)(f"{name} must be a list of priors: {error}") from error
    if not priors:
        raise ValueError(f"{name} must hold at least one prior, got none")
    dims = [prior.dim for prior in priors]
    if same_dim and len(set(dims)) > 1:
        raise ValueError(f"{name} must have the same number of dimensions, got {dims}")
    return priors


def _tried(obj: Any) -> Drawn:
    """`obj` as a prior, tried by a few draws."""
    sampled = not is_model(obj) or (hasattr(obj, "sample") and not hasattr(obj, "encode"))
    if isinstance(obj, type) or not sampled or not callable(getattr(obj, "sample", obj)):
        legal = "a name, a Prior, an object with .sample, a torch Distribution, a callable n -> (n, d) or an (m, d) array"
        hint = ", such as lambda n: prior.rvs((n, d)) of SciPy, or prior.rvs(n) if multivariate" if hasattr(obj, "rvs") else ""
        raise TypeError(f"prior must be {legal}{hint}, got {describe(obj)}")
    if getattr(obj, "random_state", None) is not None:
        obj = copy.copy(obj)
        obj.random_state = None
    try:
        dim = Drawn(1, obj)._draw(8, Generator().manual_seed(0), "cpu").shape[1]
    except TypeError as error:
        raise TypeError(f"prior must be drawn from by n -> (n, d) or n, generator -> (n, d): {error}") from error
    prior = Drawn(dim, obj)
    first, again, other = (prior.sample(8, Generator().manual_seed(seed)) for seed in (0, 0, 1))
    follows = torch.equal(first, again)
    if not follows or (torch.equal(first, other) and not (first == first[0]).all()):
        problem = "are the same at every call, whatever the seed" if follows else "differ from call to call with the same seed"
        advice = "take a torch.Generator, n, generator -> (n, d), or use the global one of torch or NumPy"
        warnings.warn(f"prior's draws {problem}, got {describe(prior)}; {advice}", stacklevel=3)
    return prior


@contextmanager
def _seeded_global_generators(generator: Generator) -> Iterator[None]:
    """Seed the global generators of torch and NumPy from `generator`, and put them back after."""
    seed = int(torch.randint(2**31, (), generator=generator, device=generator.device).item())
    gpus = torch.cuda.default_generators  # none before a GPU is in use
    with GLOBAL_GENERATORS, torch.random.fork_rng(devices=range(len(gpus))), ExitStack() as after:
        after.callback(np.random.set_state, np.random.get_state())  # noqa: NPY002
        np.random.seed(seed)  # noqa: NPY002
        for one in (torch.default_generator, *gpus):  # torch.manual_seed would also queue a seed for a GPU not in use yet
            one.manual_seed(seed)
        yield
