"""Relevance: how much of the decoded images' variance each latent brings about, to first order."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from sculptlab.training.batches import as_model
from sculptlab.training.encodings import decoded, evaluating, placement
from sculptlab.training.run import Run
from sculptlab.validation import as_seed, named_codes, whole

if TYPE_CHECKING:
    import pandas as pd


def relevance(model: Any, codes: Any, *, rows: int = 256, seed: int = 0) -> pd.Series:
    """How much each latent changes the decoded images: its variance times the decoder's mean squared derivative.

    relevance_j = Var(z_j) * E |d decode(z) / d z_j|^2, the squares summed over pixels, the mean over codes. For a linear decoder
    with independent latents, these are the shares that the latents have of the decoded images' variance. An inactive latent, or
    one that the decoder ignores, has 0. Scaling a latent up, and its weights in the decoder down, changes nothing.

    Parameters
    ----------
    model : Run or torch.nn.Module with `decode` or `decoder`
    codes : array_like of shape (n, d)
        Codes of images by this model, with any column names.
    rows : int
        At most as many codes, drawn by `seed`, at which derivatives are taken; all enter the variances.
    seed : int

    Returns
    -------
    pandas.Series
        The relevance (d,) of each latent, by its name, in squared units of the images.

    Raises
    ------
    TypeError, ValueError
        If `model` has no decoder, or if `codes` are not what it decodes.

    References
    ----------
    Saha, Joshi and Whitaker 2025, arXiv 2501.10901, who take the variance from the prior of an ARD-VAE.

    Examples
    --------
    >>> model = torch.nn.Module()
    >>> model.decode = lambda z: z @ torch.tensor([[3.0, 4.0], [0.0, 0.0]])
    >>> relevance(model, [[-1.0, 5.0], [1.0, -5.0]]).tolist()
    [25.0, 0.0]
    """
    import pandas as pd

    seed, rows = as_seed("seed", seed), whole("rows", rows)
    network = as_model(model.model if isinstance(model, Run) else model)
    z, names = named_codes("codes", codes, dim=getattr(network, "dim", None))
    device, dtype = placement(network)
    z = z.detach().to(device, dtype)
    generator = torch.Generator().manual_seed(seed)
    chosen = torch.randperm(len(z), generator=generator, device="cpu")[:rows]
    at = z[chosen.to(device)]
    with evaluating(network):
        slopes = torch.stack([_squared_derivative(network, at, latent) for latent in range(z.shape[1])])
    values = z.double().var(0, correction=0) * slopes.double()
    return pd.Series(values.cpu().numpy(), index=names, name="relevance")


def _squared_derivative(model: Any, codes: Tensor, latent: int) -> Tensor:
    """E |d decode(z) / d z_latent|^2 over codes (n, d), 0-d."""
    direction = torch.zeros_like(codes)
    direction[:, latent] = 1
    derivative = torch.autograd.functional.jvp(lambda z: decoded(model, z), codes, direction)[1]
    return derivative.flatten(1).square().sum(1).mean()
