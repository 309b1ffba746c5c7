"""What the encoder or decoder of any model returned, as codes, a posterior or images; and how many rows pass through it."""

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from itertools import chain
from threading import RLock
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn
from torch.distributions import Distribution, Independent, MultivariateNormal, Normal

from sculptlab.training.images import as_unit_floats
from sculptlab.training.models import Posterior
from sculptlab.training.sources import Source
from sculptlab.validation import function as valid_function

CHUNK = 4096  # rows that pass through a network of ours at once, when no gradient is needed
DISTRIBUTIONS = ("latent_dist", "posterior", "distribution", "dist", "qz")
MEANS = ("mean", "mu", "loc", "z_mean", "embedding")
OR_FUNCTION = ", or, for sl.latents alone, pass encode=, a function, such as the model itself if its forward gives codes"
CODES = ("z", "codes", "code", "latents", "latent", "embeddings")
CONCENTRATIONS = ("concentration", "log_concentration", "kappa")  # of distributions on a sphere
IMAGES = ("sample", "reconstruction", "recon_x", "recon", "x_hat", "images", "mean", "mu", "loc")
SPREADS: dict[str, Callable[[Tensor], Tensor]] = {  # what turns a tensor of this name into log-variances
    **dict.fromkeys(("log_variance", "logvar", "log_var", "log_covariance"), lambda value: value),
    **dict.fromkeys(("log_std", "log_scale", "log_sigma"), lambda value: 2 * value),
    **dict.fromkeys(("std", "scale", "sigma", "stddev"), lambda value: 2 * value.log()),
    **dict.fromkeys(("variance", "var"), torch.log),
}
_TURNS: WeakKeyDictionary[nn.Module, Any] = WeakKeyDictionary()


def encoded(model: Any, images: Tensor, encode: Callable[[Tensor], Any] | None = None) -> Posterior | Tensor:
    """The codes (n, d) of `images` by any model, or their posterior if its encoder is stochastic; feature maps are refused."""
    found = encoding(model, images, encode)
    shape = tuple((found.mean if isinstance(found, Posterior) else found).shape)
    if len(shape) != 2:
        raise ValueError(
            f"{_class(model)} must give codes of shape (n, d), got feature maps {shape} for {len(images)} images: let its "
            "encoder flatten them, and its decoder undo that"
        )
    return found


def encoded_means(model: Any, images: Tensor) -> Tensor:
    """The codes (n, d) of `images` by any model; the means, if its encoder is stochastic."""
    found = encoded(model, images)
    return found.mean if isinstance(found, Posterior) else found


def encoding(model: Any, images: Tensor, encode: Callable[[Tensor], Any] | None = None) -> Posterior | Tensor:
    """What `model.encode(images)`, or a function `encode`, returned: a tensor of codes or a posterior, of any shape (n, ...).

    A tensor is codes. Two tensors of one shape are (mean, log_variance). Of any other tuple, a single part must be a posterior,
    or else a tensor with a row for each image. A distribution must be normal, without correlations. Mappings, dataclasses and
    other objects are read by the names above: a distribution, or a mean with a spread, or else one tensor of codes. A model
    without `encode` is read by its `encoder`, but only if that returns more than a bare tensor, which may be features.
    """
    claims = encode is None and getattr(model, "stochastic", False) is True
    named = encode is not None or callable(getattr(model, "encode", None))
    name, function = "encode" if encode is not None else f"{_class(model)}.encode{'' if named else 'r'}", encode
    if claims and hasattr(model, "posterior"):
        name, function = f"{_class(model)}.posterior", model.posterior
    elif function is None:
        function = _method(model, "encode", OR_FUNCTION)
    found = valid_function("encode", function)(images)
    codes = _read(found, len(images))
    if codes is None or (claims and isinstance(codes, Tensor)) or (not named and isinstance(found, Tensor)):
        legal = "a tensor of codes, " if codes is None else ""
        why = " (it has stochastic=True)" if claims else "" if codes is None else " (a bare tensor may be features)"
        raise TypeError(
            f"{name} must return {legal}(mean, log_variance), a torch Normal, or a mapping or object with such names as mean "
            f"and logvar or std, latent_dist, z{why}; got {outline(found)}: or pass encode= to sl.latents, a "
            "function that returns one of these"
        )
    mean = codes.mean if isinstance(codes, Posterior) else codes
    if not _has_rows(mean, len(images)):
        raise ValueError(f"{name} must return floats with a row for each of {len(images)} images, got {outline(found)}")
    return codes


def decoded(model: Any, codes: Tensor) -> Tensor:
    """The images that `model.decode`, or else `model.decoder`, makes of `codes` (n, ...).

    Of a distribution this is its mean; of a mapping or object the first of the names in `IMAGES`; of a tuple its first tensor.
    """
    found = images = _method(model, "decode")(codes)
    if isinstance(found, Distribution):
        images = found.mean
    elif not isinstance(found, Tensor):
        parts = found if isinstance(found, tuple) and not hasattr(found, "_fields") else _fields(found, IMAGES).values()
        images = next((part for part in parts if isinstance(part, Tensor)), None)
    if images is None or images.ndim < 2 or len(images) != len(codes):
        raise TypeError(f"{_class(model)}.decode must return one image for each of {len(codes)} codes, got {outline(found)}")
    return images


def placement(model: nn.Module) -> tuple[torch.device, torch.dtype]:
    """The device and the floating type of a module's weights, or else of its buffers; the CPU and float32 if it has neither."""
    first = next((w for w in chain(model.parameters(), model.buffers()) if w.is_floating_point()), None)
    return (torch.device("cpu"), torch.float32) if first is None else (first.device, first.dtype)


@contextmanager
def evaluating(*models: Any) -> Iterator[None]:
    """No gradients, and every layer of these modules in eval mode; afterwards each has its own mode again.

    Threads that use one model take turns: the first one's end would else put the layers of the others into train mode.
    """
    modules = [model for model in models if isinstance(model, nn.Module)]
    with _TURNS.setdefault(modules[0], RLock()) if modules else nullcontext(), torch.no_grad():
        modes = [(part, part.training) for module in modules for part in module.modules()]
        try:
            for part, _ in modes:
                part.training = False
            yield
        finally:
            for part, mode in modes:
                part.training = mode


def in_chunks(
    function: Callable[[Tensor], Tensor], source: Source, model: nn.Module, *others: Any, size: int = CHUNK, axis: int = 0,
    ordered: bool = True,
) -> Tensor:  # fmt: skip
    """What `function` makes of a source, `size` rows at a time, on the CPU and joined along `axis`, which is that of the rows.

    The rows come as floats of the type and on the device of `model`; it and `others` are in eval mode. If the order of the rows
    matters, it is `ordered`, and a `DataLoader` that shuffles is warned of.
    """
    if ordered and source.shuffled:
        warnings.warn(
            f"{source.name} is a DataLoader that shuffles: the rows of the result are in the order of this pass, and labels from "
            "another pass are not. Give the data set itself, or a DataLoader with shuffle=False",
            stacklevel=4,
        )
    device, dtype = placement(model)
    with evaluating(model, *others):
        parts = [function(as_unit_floats(part.to(device), dtype)).cpu() for part in source.chunks(size)]
    return torch.cat(parts, axis)


def outline(value: Any) -> str:
    """The types and shapes in what a function returned, for an error message."""
    if isinstance(value, Mapping):
        return f"{_class(value)} of {{{', '.join(f'{key}: {outline(part)}' for key, part in value.items())}}}"
    if isinstance(value, tuple | list):
        return f"{_class(value)} of ({', '.join(map(outline, value[:6]))}{', ...' if len(value) > 6 else ''})"
    whole = f" of {value.dtype}" if isinstance(value, Tensor) and not value.is_floating_point() else ""
    return f"{_class(value)} {tuple(value.shape)}{whole}" if hasattr(value, "shape") else _class(value)


def _class(value: Any) -> str:
    return type(value).__name__


def _method(model: Any, name: str, instead: str = "") -> Callable[..., Any]:
    """The method "encode" or "decode" of a model, or its part "encoder" or "decoder"; a TypeError if it has neither."""
    for found in (getattr(model, name, None), getattr(model, f"{name}r", None)):
        if callable(found):
            return found
    inside = getattr(model, "module", None)  # of DataParallel
    hint = f"; its .module, of class {_class(inside)}, has one: pass that" if hasattr(inside, name) else ""
    raise TypeError(f"model must have a method {name}{instead}; a {_class(model)} has none{hint}")


def _read(found: Any, rows: int) -> Posterior | Tensor | None:
    """Codes or a posterior; None if it is not clear which they are."""
    if isinstance(found, Tensor | Posterior):
        return found
    if isinstance(found, Distribution):
        return _read_distribution(found)
    if not isinstance(found, tuple | list) or hasattr(found, "_fields"):
        return _read_names(found, rows)
    parts = [part for part in found if not isinstance(part, Tensor) or _has_rows(part, rows)]
    parts = [part for part in (_read(part, rows) for part in parts) if part is not None]
    match [part for part in parts if isinstance(part, Posterior)] or parts:
        case [Tensor() as mean, Tensor() as log_variance] if mean.shape == log_variance.shape:
            return Posterior(mean, log_variance)
        case [only]:
            return only
    return None


def _has_rows(part: Tensor, rows: int) -> bool:
    return part.ndim > 1 and len(part) == rows and part.is_floating_point()


def _read_distribution(found: Distribution) -> Posterior | None:
    while isinstance(found, Independent):
        found = found.base_dist
    if isinstance(found, MultivariateNormal):
        std = found.scale_tril.diagonal(dim1=-2, dim2=-1)
        return Posterior(found.loc, 2 * std.log()) if torch.equal(found.scale_tril, std.diag_embed()) else None
    return Posterior(found.loc, 2 * found.scale.log()) if isinstance(found, Normal) else None


def _read_names(found: Any, rows: int) -> Posterior | Tensor | None:
    for part in _fields(found, DISTRIBUTIONS).values():
        return _read(part, rows)
    if _fields(found, CONCENTRATIONS):
        return None
    means, codes = _fields(found, MEANS), [*_fields(found, MEANS + CODES).values()]
    for name, spread in _fields(found, list(SPREADS)).items():
        mean = next((mean for mean in means.values() if isinstance(mean, Tensor)), None)
        try:
            log_variance = SPREADS[name](torch.as_tensor(spread, dtype=mean.dtype, device=mean.device))  # type: ignore[union-attr]
            return Posterior(mean, log_variance.expand_as(mean))  # type: ignore[arg-type]
        except (AttributeError, TypeError, ValueError, RuntimeError):  # no mean, no numbers, or shapes that do not fit
            return None
    return _read(codes[0], rows) if len(codes) == 1 else None


def _fields(found: Any, names: Sequence[str]) -> dict[str, Any]:
    """The items of a mapping, or the attributes of an object, that have one of these names; without methods and None."""
    values = ((name, found.get(name) if isinstance(found, Mapping) else getattr(found, name, None)) for name in names)
    return {name: value for name, value in values if value is not None and not callable(value)}
