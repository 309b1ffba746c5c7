"""`latents`: the codes of anybody's model, for all that takes codes."""

import inspect
import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.distributions import Normal

from sculptlab.training.encodings import CHUNK, encoding, evaluating, in_chunks
from sculptlab.training.models import Autoencoder, Posterior
from sculptlab.training.run import Run
from sculptlab.training.sources import as_source
from sculptlab.validation import as_seed, choice, describe, finite, is_model, whole
from sculptlab.validation import codes as valid_codes


def latents(
    model: Any,
    data: Any,
    seed: int = 0,
    *,
    encode: Callable[[Any], Any] | None = None,
    places: str = "one",
    batch_size: int | None = None,
) -> dict[str, Any]:
    """The codes of `data` by anybody's model, for `diagnose`, `lps`, `factors` and all else that takes codes.

    A torch module is put into eval mode for this, and gets no gradients. Codes are as the encoder returns them: the scaling
    factor of a latent diffusion model is not applied.

    Parameters
    ----------
    model : Run, torch.nn.Module or object with `encode`, `transform` or `get_latent_representation`
        What its `encode` returned may be a tensor of codes; two tensors of one shape, which are read as (mean, log-variance); a
        torch Normal; or a mapping, dataclass or other object with the usual names: a distribution (latent_dist), a mean (mean,
        mu, loc) with a spread (logvar, log_var, std, scale), or codes (z, embedding, latents). If it is not clear which tensor
        is what, a TypeError says so, and `encode` decides.
    data : Dataset, Tensor or array of shape (n, ...), or what the model itself takes
        For a torch module images: floats as the model takes them, or uint8, which is divided by 255. Texts, and the data of
        other models, such as a table or an AnnData, go to the model as they are.
    seed : int
        Of the samples of a posterior, as in `Run.codes`, and of the places.
    encode : callable, optional
        Function to call in place of the model's own: of a batch (b, ...) on the model's device, or of `data` as it is if the
        model is not a torch module.
    places : {"one", "all"}
        Of feature maps (n, c, h, w): codes (n, c) of one place of each image, drawn by `seed`, so that rows are independent; or
        of all places, (n h w, c), those of an image in consecutive rows. These are not independent: `mmd_test` with
        `group_size` h w permutes whole images, also in `c2st` and the scores of independence; those of other functions are wrong.
    batch_size : int, optional
        Images that pass through the model at once; by default 4,096 for our own models, at most 256 for others.

    Returns
    -------
    dict of str to array_like of shape (n, d)
        {"means", "samples"} of a stochastic encoder, else {"codes"}. Arrays for arrays, on the CPU; tensors for tensors.

    Raises
    ------
    TypeError, ValueError
        If the model has no encoder, if it is not clear what the encoder returned, or if codes are NaN or infinite.

    References
    ----------
    Kingma and Welling 2014, arXiv 1312.6114 (means and samples).

    Examples
    --------
    >>> from sklearn.decomposition import PCA
    >>> digits = np.random.default_rng(0).normal(size=(50, 8))
    >>> latents(PCA(2).fit(digits), digits)["codes"].shape
    (50, 2)
    """
    generator = torch.Generator().manual_seed(as_seed("seed", seed))
    if is_model(data) or isinstance(data, str):
        raise TypeError(f"data must be what the model encodes, got {describe(data)}; the order is latents(model, data)")
    choice("places", places, ("one", "all"))
    model = model.model if isinstance(model, Run) else model
    if isinstance(model, nn.Module) and not _is_text(data):
        rows = encode_in_chunks(model, data, encode, batch_size, lambda part: _rows(part, places, generator))
    else:
        found = _encode_whole(model, data, encode)
        if not isinstance(found, Tensor | Posterior):
            return {"codes": found}
        rows = _rows(_stacked(found), places, generator)
    mean, *log_variance = rows
    result = {"codes": mean}
    if log_variance:
        if (log_variance[0] > 0).all():
            warnings.warn(
                f"every posterior of {type(model).__name__} is wider than N(0, 1): if its encoder returns standard "
                "deviations, not log-variances, let it return them by name, such as {'mean': mean, 'std': std}",
                stacklevel=2,
            )
        result = {"means": mean, "samples": Posterior(mean, log_variance[0]).sample(generator)}
    for name, z in result.items():
        finite(f"{name} of {type(model).__name__}", z)
    in_torch = isinstance(model, nn.Module) and not isinstance(data, np.ndarray)
    return dict(result) if in_torch else {name: z.numpy() for name, z in result.items()}


def encode_in_chunks(
    model: nn.Module,
    images: Any,
    encode: Callable[[Tensor], Any] | None = None,
    batch_size: int | None = None,
    keep: Callable[[Tensor], Tensor] = lambda part: part,
) -> Tensor:
    """Codes (1, n, ...), or means and log-variances (2, n, ...), of images in batches: what `keep` keeps of each, on the CPU."""
    source = as_source(images, model)
    usual = CHUNK if isinstance(model, Autoencoder) else min(256, 1 + 2**22 // math.prod(source.first.shape[1:]))
    size = usual if batch_size is None else whole("batch_size", batch_size)
    return in_chunks(lambda batch: keep(_stacked(_encoded_batch(model, batch, encode))), source, model, encode, size=size, axis=1)


def _encoded_batch(model: nn.Module, batch: Tensor, encode: Callable[[Tensor], Any] | None) -> Posterior | Tensor:
    """`encoding`; where it fails, the error names the shape given, the first layer, and a call that may fit."""
    try:
        return encoding(model, batch, encode)
    except (RuntimeError, ValueError, IndexError) as error:
        layer = next((part for part in model.modules() if hasattr(part, "in_features") or hasattr(part, "in_channels")), None)
        if layer is None or isinstance(error, torch.OutOfMemoryError):
            raise
        shape, wanted = tuple(batch.shape), getattr(layer, "in_features", getattr(layer, "in_channels", None))
        fits = {"flatten(1)": math.prod(shape[1:]), "movedim(1, -1)": shape[1], "movedim(-1, 1)": shape[-1], "unsqueeze(1)": 1}
        example = next((f", such as lambda x: model.encode(x.{change})" for change, size in fits.items() if size == wanted), "")
        raise ValueError(
            f"data must have the shape that {type(model).__name__} takes, got {shape}; its first layer, {layer}, takes {wanted} "
            f"features or channels: pass encode=, a function that changes the shape{example}. The model's error: {error}"
        ) from error


def _stacked(found: Tensor | Posterior) -> Tensor:
    rows = found[None] if isinstance(found, Tensor) else torch.stack([found.mean, found.log_variance])
    return (rows if rows.dtype == torch.float64 else rows.float()).detach().cpu()


def _rows(maps: Tensor, places: str, generator: torch.Generator) -> Tensor:
    """Codes (k, n, d) of vectors (k, n, d) or of feature maps (k, n, d, ...)."""
    if maps.ndim == 3:
        return maps
    if maps.ndim == 4:
        raise ValueError(
            f"encode must return vectors (n, d) or feature maps (n, c, h, w), got {tuple(maps.shape[1:])}, where it is not clear "
            "which axis the latents are on: pass encode=, a function that returns (n, d)"
        )
    by_place = maps.flatten(3).transpose(2, 3)
    if places == "all":
        return by_place.flatten(1, 2)
    n, count = by_place.shape[1:3]
    return by_place[:, torch.arange(n, device="cpu"), torch.randint(count, (n,), generator=generator, device="cpu")]


def _is_text(data: Any) -> bool:
    """Whether data are a column of strings."""
    column = (isinstance(data, Sequence | np.ndarray) and not isinstance(data, str)) or hasattr(data, "to_list")
    return column and getattr(data, "ndim", 1) == 1 and len(data) > 0 and isinstance(next(iter(data)), str)


def _encode_whole(model: Any, data: Any, encode: Callable[[Any], Any] | None) -> Any:
    """What a model that is not a torch module, or that takes texts, makes of all data: a posterior, or codes as they come."""
    if encode is None and hasattr(model, "get_latent_representation"):
        if "return_dist" in inspect.signature(model.get_latent_representation).parameters:  # scvi-tools
            mean, variance = map(torch.from_numpy, model.get_latent_representation(data, return_dist=True))
            return encoding(model, mean, lambda _: Normal(mean, variance.sqrt()))
        encode = model.get_latent_representation
    function = encode or getattr(model, "transform", None) or getattr(model, "encode", None)
    if isinstance(model, str) or not callable(function):
        raise TypeError(
            "model must be a Run, a torch module, or have a method encode, transform or get_latent_representation, got "
            f"{type(model).__name__}: or pass encode=, a function from data to codes"
        )
    with evaluating(model, encode):
        found = _tensors(function(data))
    if isinstance(found, tuple | Mapping):
        return encoding(model, data, lambda _: found)
    valid_codes(f"codes of {type(model).__name__}", found, rows=1)
    return found


def _tensors(found: Any) -> Any:
    """The arrays in a tuple, a list of arrays or a mapping as tensors; anything else as it is."""
    if isinstance(found, Mapping):
        return {
            name: torch.as_tensor(part, device="cpu") if isinstance(part, np.ndarray) else part for name, part in found.items()
        }
    if isinstance(found, tuple | list) and len(found) and all(isinstance(part, np.ndarray | Tensor) for part in found):
        return tuple(torch.from_numpy(part) if isinstance(part, np.ndarray) else part for part in found)
    return found
