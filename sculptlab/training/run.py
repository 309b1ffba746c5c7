"""A trained model with its history, and what one does with it: encode, decode, sample, measure the error."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from sculptlab.priors import as_prior
from sculptlab.training.batches import as_images, as_unit_floats
from sculptlab.training.models import Posterior
from sculptlab.training.objectives.base import Objective
from sculptlab.training.objectives.companion import Batch, Companions
from sculptlab.validation import as_seed, whole
from sculptlab.validation import codes as valid_codes

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
    companions : mapping of str to Companion
        What the objective trained beside the model, such as predictors, a learned prior or a codebook.
    """

    model: Any
    objective: Objective
    rows: list[dict[str, float]]
    seed: int
    steps: int
    stopped: str | None = None
    companions: Companions = field(default_factory=dict)

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
        return next(self.model.parameters()).device

    def encode(self, data: Any) -> Any:
        """The codes (n, dim) that are decoded for `data`, images (n, *image_shape): means if stochastic, or quantized codes."""
        return _like(self._in_chunks(as_images(data, self.model), self._encode), data)

    def _encode(self, images: Tensor) -> Tensor:
        """The codes of a chunk, as they are decoded: quantized if the objective quantizes them."""
        batch = Batch(images, None, self.model.encode(images), self.model, None, None)
        return self.objective.decoder_input(batch, self.companions)

    def codes(self, data: Any, seed: int = 0) -> dict[str, Any]:
        """{"codes"} (n, dim) of `data`, or {"means", "samples"} of a stochastic encoder: the samples are draws by `seed`."""
        generator = torch.Generator().manual_seed(as_seed("seed", seed))
        if not getattr(self.model, "stochastic", False):
            return {"codes": self.encode(data)}
        posterior = self.posterior(data)
        return {"means": _like(posterior.mean, data), "samples": _like(posterior.sample(generator), data)}

    def posterior(self, data: Any) -> Posterior:
        """The posterior q(z|x) of each image, as tensors (n, dim) on the CPU; a deterministic encoder raises a ValueError."""

        def both(images: Tensor) -> Tensor:
            posterior = self.model.posterior(images)
            return torch.stack([posterior.mean, posterior.log_variance])

        return Posterior(*self._in_chunks(as_images(data, self.model), both, axis=1))

    def decode(self, codes: Any) -> Any:
        """The images (n, *image_shape) of `codes` (n, dim)."""
        z = valid_codes("codes", codes, dim=getattr(self.model, "dim", None), rows=1)
        return _like(self._in_chunks(z.float(), self.model.decode), codes)

    def reconstruct(self, data: Any) -> Any:
        """The images (n, *image_shape) decoded from the codes of `data` (from the means, if stochastic)."""
        images, model = as_images(data, self.model), self.model
        return _like(self._in_chunks(images, lambda x: model.decode(self._encode(x))), data)

    def reconstruction_error(self, data: Any) -> float:
        """Mean squared error per pixel of the reconstruction of `data`, best held-out images, in squared units of the data."""
        images, model = as_images(data, self.model), self.model
        errors = self._in_chunks(images, lambda x: (model.decode(self._encode(x)) - x).square().flatten(1).mean(1))
        return errors.double().mean().item()

    def sample(self, n: int, *, prior: Any = None, seed: int = 0) -> Tensor:
        """`n` new images (n, *image_shape), decoded from draws of `prior`: a name, or anything else that `as_prior` takes.

        By default it is the objective's own; if that has none, a ValueError says so.
        """
        generator = torch.Generator().manual_seed(as_seed("seed", seed))
        dim = self.model.dim
        source = as_prior(prior, dim) if prior is not None else self.objective.sampling_prior(self.model, self.companions)
        if source is None:
            raise ValueError(f"prior must be given: {self.objective!r} has none")
        return self.decode(source.sample(whole("n", n), generator=generator))

    def _in_chunks(self, rows: Tensor, function: Callable[[Tensor], Tensor], axis: int = 0) -> Tensor:
        dtype = next(self.model.parameters()).dtype
        with torch.no_grad():
            parts = [function(as_unit_floats(part.to(self.device), dtype)) for part in rows.split(CHUNK)]
        return torch.cat(parts, axis).cpu()


def _like(result: Tensor, given: Any) -> Any:
    return result.numpy() if isinstance(given, np.ndarray) else result
