"""Which sets of codes `diagnose` was given: one, several by name, or the means and log-variances of a VAE."""

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
import torch
from torch import Tensor
from torch.distributions import Distribution

from sculptlab.evaluation.two_samples import LEAST_ROWS
from sculptlab.priors import Prior, as_prior
from sculptlab.validation import codes, describe, is_model, named_codes

PRIOR_ROW = "prior"  # the row of the tables for a sample of the prior itself


def check_order(z: Any, prior: Any, data: Any) -> None:
    """Raise TypeError if the arguments of `diagnose` are in another order, or a model comes without its data."""
    order = "the order is diagnose(codes, prior), and for a model diagnose(model, prior, data=...)"
    model = is_model(z) or callable(z)
    if data is not None and not model and not isinstance(z, str | Prior | Distribution):
        raise TypeError(f"z must be a model where data is given, got codes: leave data out; {order}")
    if isinstance(z, str | Prior | Distribution) or (model and data is None):
        raise TypeError(f"z must be codes (n, d), or a mapping from names to them, got {describe(z)}; {order}")
    if isinstance(data, str | Prior | Distribution):
        raise TypeError(f"data must be what the model encodes, such as images, got {describe(data)}; {order}")
    if isinstance(prior, str):
        as_prior(prior, 1)  # whether there is one of this name, before a model encodes


def named_sets(z: Any, seed: int) -> dict[str, tuple[Tensor, list[Any]]]:
    """A mapping from the name of each set, "codes" if there is one, to its codes, float64 on the CPU, and its latents' names."""
    if isinstance(z, tuple | list) and any(getattr(part, "ndim", 0) >= 2 for part in z):
        z = _means_and_samples(z, seed)
    given = dict(z) if isinstance(z, Mapping) else {"codes": z}
    if not given or PRIOR_ROW in given:
        raise ValueError(f"z must hold at least one set of codes, and none called {PRIOR_ROW!r}, got sets {list(given)}")
    named: dict[str, tuple[Tensor, list[Any]]] = {}
    for name, rows in given.items():
        label = f"z[{name!r}]" if isinstance(z, Mapping) else "z"
        dim = len(next(iter(named.values()))[1]) if named else None
        found, latents = named_codes(label, rows, dim=dim, rows=LEAST_ROWS)
        if (size := found.abs().max().item()) > 1e15:  # squared distances must stay finite in float32
            raise ValueError(f"{label} must stay within 1e+15, got a value of size {size:.3g}")
        named[str(name)] = found.detach().cpu().double().contiguous(), latents
    return named


def _means_and_samples(z: Sequence[Any], seed: int) -> dict[str, Any]:
    """The means of a VAE and samples from its posteriors, of a tuple of two arrays (n, d): means and log-variances."""
    shapes = [tuple(getattr(part, "shape", ())) for part in z]
    if not isinstance(z, tuple) or len(z) != 2 or shapes[0] != shapes[1] or len(shapes[0]) != 2:
        raise TypeError(
            "z must be codes (n, d), a tuple (mu, logvar) of two arrays of that shape, or a mapping such as "
            f'{{"means": mu, "samples": codes}}, got a {type(z).__name__} of shapes {shapes}'
        )
    (mu, names), logvar = named_codes("z[0], the means,", z[0]), codes("z[1], the log-variances,", z[1])
    if (logvar > 0).all():
        warnings.warn(
            "every log-variance is above 0, a posterior wider than N(0, 1): if z[1] holds standard deviations, give their "
            "2 * log instead",
            stacklevel=4,
        )
    # Not `seed` itself: the caller may have drawn the means with it.
    generator = torch.Generator().manual_seed((seed * 1_000_003 + 17) % 2**63)
    noise = torch.randn(mu.shape, generator=generator, device="cpu", dtype=torch.float32)
    samples = mu.detach().cpu().double() + (logvar.detach().cpu().double() / 2).exp() * noise
    return {"means": z[0], "samples": pd.DataFrame(samples.numpy(), columns=names) if hasattr(z[0], "columns") else samples}
