"""A trained model with its history, and what one does with it: encode, decode, sample, measure the error."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from sculptlab.priors import as_prior
from sculptlab.training.batches import of_shape
from sculptlab.training.encodings import decoded, encoded, placement
from sculptlab.training.models import Posterior
from sculptlab.training.objectives.base import Objective
from sculptlab.training.sources import as_source, as_unit_floats
from sculptlab.validation import codes as valid_codes
from sculptlab.validation import whole

if TYPE_CHECKING:
    import pandas as pd

CHUNK = 4096  # rows that pass through the network at once, when no gradient is needed


@dataclass(frozen=True, eq=False, repr=False)
class Run:
    """A trained model with its history, as `fit` returns it. Arrays in, arrays out; tensors in, tensors out.

    Parameters
    ----------
    model : nn.Module
        The trained model, in eval mode, on the device it was trained on.
    objective : Objective
        What it was trained for.
    rows : list of dict
        The logged steps; `history` is the same as a DataFrame.
    seed, steps : int
        Of the training.
    stopped : str, optional
        "interrupted" after Ctrl-C.
    """

    model: Any
    objective: Objective
    rows: list[dict[str, float]]
    seed: int
    steps: int
    stopped: str | None = None

    @cached_property
    def history(self) -> pd.DataFrame:
        """A row for each logged step: step, loss, reconstruction and the regularizers (nats per image), seconds."""
        import pandas as pd

        frame = pd.DataFrame(self.rows) if self.rows else pd.DataFrame(columns=["step", "loss", "seconds"])
        return frame.astype({"step": int})

    def __repr__(self) -> str:
        weights = sum(parameter.numel() for parameter in self.model.parameters())
        latents = f", {self.model.dim} latent(s)" if hasattr(self.model, "dim") else ""
        loss = f", loss {self.rows[-1]['loss']:.4g}" if self.rows else ""
        return (
            f"Run of {self.objective!r}\n{type(self.model).__name__}{latents}, {weights:,} weights, on {self.device}\n"
            f"{self.steps:,} steps, seed {self.seed}{loss}" + (f"; {self.stopped}" if self.stopped else "")
        )

    @property
    def device(self) -> torch.device:
        """The device that the model is on."""
        return placement(self.model)[0]

    def encode(self, data: Any) -> Any:
        """The codes (n, dim) of `data`, images (n, *image_shape): a stochastic encoder's means."""
        return _like(self._encoded(data)[0], data)

    def codes(self, data: Any, seed: int = 0) -> dict[str, Any]:
        """{"codes"} (n, dim) of `data`, or {"means", "samples"} of a stochastic encoder: the samples are draws by `seed`."""
        generator = torch.Generator("cpu").manual_seed(whole("seed", seed, least=0))
        found = self._encoded(data)
        if len(found) == 1:
            return {"codes": _like(found[0], data)}
        return {"means": _like(found[0], data), "samples": _like(Posterior(*found).sample(generator), data)}

    def posterior(self, data: Any) -> Posterior:
        """The posterior q(z|x) of each image, as tensors (n, dim) on the CPU; a deterministic encoder raises a ValueError."""
        found = self._encoded(data)
        if len(found) == 1:
            raise ValueError("this encoder is deterministic and has no posterior: build it with stochastic=True")
        return Posterior(*found)

    def _encoded(self, data: Any) -> Tensor:
        """The codes (1, n, dim), or means and log-variances (2, n, dim)."""

        def encode(images: Tensor) -> Tensor:
            found = encoded(self.model, images)
            return torch.stack([found.mean, found.log_variance]) if isinstance(found, Posterior) else found[None]

        return self._in_chunks(as_source(data, self.model).chunks(CHUNK), encode, axis=1)

    def _reconstructed(self, images: Tensor) -> Tensor:
        found = encoded(self.model, images)
        return of_shape(decoded(self.model, found.mean if isinstance(found, Posterior) else found), images, self.model)

    def decode(self, codes: Any) -> Any:
        """The images (n, *image_shape) of `codes` (n, dim)."""
        z = valid_codes("codes", codes, dim=getattr(self.model, "dim", None), rows=1)
        return _like(self._in_chunks(z.float().split(CHUNK), lambda part: decoded(self.model, part)), codes)

    def reconstruct(self, data: Any) -> Any:
        """The images (n, *image_shape) decoded from the codes of `data` (from the means, if stochastic)."""
        return _like(self._in_chunks(as_source(data, self.model).chunks(CHUNK), self._reconstructed), data)

    def reconstruction_error(self, data: Any) -> float:
        """Mean squared error per pixel of the reconstruction of `data`, best held-out images, in squared units of the data."""
        chunks = as_source(data, self.model).chunks(CHUNK)
        errors = self._in_chunks(chunks, lambda images: (self._reconstructed(images) - images).square().flatten(1).mean(1))
        return errors.double().mean().item()

    def sample(self, n: int, *, prior: Any = None, seed: int = 0) -> Tensor:
        """`n` new images (n, *image_shape), decoded from draws of `prior`: a name, or anything else that `as_prior` takes.

        By default it is the objective's own; if that has none, a ValueError says so.
        """
        dim = getattr(self.model, "dim", None)
        if dim is None:
            raise ValueError(f"{type(self.model).__name__} has no `dim`, the number of latents: use decode(prior.sample(n))")
        source = as_prior(prior, dim) if prior is not None else self.objective.prior_for(dim)
        if source is None:
            raise ValueError(f"prior must be given: {self.objective!r} has none")
        generator = torch.Generator("cpu").manual_seed(whole("seed", seed, least=0))
        return self.decode(source.sample(whole("n", n), generator=generator))

    def _in_chunks(self, chunks: Iterable[Tensor], function: Callable[[Tensor], Tensor], axis: int = 0) -> Tensor:
        device, dtype = placement(self.model)
        with torch.no_grad():
            parts = [function(as_unit_floats(part.to(device), dtype)).cpu() for part in chunks]
        return torch.cat(parts, axis)


def _like(result: Tensor, given: Any) -> Any:
    return result.numpy() if isinstance(given, np.ndarray) else result
