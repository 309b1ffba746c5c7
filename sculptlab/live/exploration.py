"""The Explorer without a display: where a model's images lie in its latent space, and what any code decodes to."""

from typing import Any

import numpy as np
import torch

from sculptlab.independence.lps import lps
from sculptlab.live.snapshots import as_bytes
from sculptlab.training.batches import as_images, as_unit_floats
from sculptlab.training.run import Run
from sculptlab.validation import whole

MOST_IMAGES = 1000
MOST_LATENTS = 64
STOPS = 9  # images along a traversal, and along the line from one code to another


class Exploration:
    """A trained model with the codes (n, d) of up to 1,000 images in random order; of a stochastic encoder the means.

    `low` and `high` (d,) are the 1 % and 99 % quantiles of each latent. `lps` (d,) is each latent's LPS with networks, NaN for a
    single latent. Raises TypeError for a model in place of a Run; ValueError for a model of other data than images, for fewer
    than 20 images and for more than 64 latents.
    """

    def __init__(self, run: Run, data: Any, *, seed: int = 0) -> None:
        if not isinstance(run, Run):
            raise TypeError(f"run must be a Run, as sl.fit returns it with the model in it, got {type(run).__name__}")
        images = as_images(data, run.model)
        if images.ndim != 4 or images.shape[1] not in (1, 3):
            raise ValueError(f"data must be images (n, 1 or 3, h, w) to be shown, got shape {tuple(images.shape)}")
        if len(images) < 20:
            raise ValueError(f"data must have at least 20 images, got {len(images)}")
        generator = torch.Generator().manual_seed(whole("seed", seed, least=0))
        order = torch.randperm(len(images), generator=generator)[:MOST_IMAGES]
        self.run = run
        labels = getattr(data, "labels", None)
        self.labels = None if labels is None else labels[order].numpy()
        self.label_names = tuple(getattr(data, "label_names", ()))
        self.codes = run.encode(as_unit_floats(images[order])).float().numpy()
        if not np.isfinite(self.codes).all():
            raise ValueError("run must give finite codes: the codes of this model are NaN or infinite")
        self.dim = self.codes.shape[1]
        if self.dim > MOST_LATENTS:
            raise ValueError(f"run must have at most {MOST_LATENTS} latents, got {self.dim}")
        self.low, self.high = np.quantile(self.codes, [0.01, 0.99], axis=0)
        self.high = np.maximum(self.high, self.low + 1e-3)  # an inactive latent has a slider too
        self.lps = np.full(1, np.nan) if self.dim == 1 else lps(self.codes, "mlp", permutations=0, seed=seed).per_dimension

    def correlation(self) -> np.ndarray:
        """The absolute correlation of each pair of latents, (d, d); 0 for an inactive latent."""
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.abs(np.nan_to_num(np.corrcoef(self.codes.T).reshape(self.dim, self.dim)))

    def decode(self, codes: np.ndarray) -> np.ndarray:
        """Images (n, h, w, c), uint8, of codes (n, d)."""
        return as_bytes(self.run.decode(torch.as_tensor(np.asarray(codes, np.float32))))

    def traversals(self, code: np.ndarray) -> np.ndarray:
        """Codes (d, STOPS, d): from `code` (d,), each latent alone goes from its low to its high."""
        paths = np.tile(np.asarray(code, np.float64), (self.dim, STOPS, 1))
        for i in range(self.dim):
            paths[i, :, i] = np.linspace(self.low[i], self.high[i], STOPS)
        return paths

    def line_between(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        """Codes (STOPS, d) on the straight line from a to b."""
        return np.linspace(np.asarray(a), np.asarray(b), STOPS)

    def nearest_row(self, pair: tuple[int, int], point: tuple[float, float]) -> int:
        """The row whose code is nearest to a point in the plane of two latents, each in units of its range."""
        unit = (self.high - self.low)[list(pair)]
        return int((((self.codes[:, list(pair)] - np.asarray(point)) / unit) ** 2).sum(1).argmin())

    def checked_code(self, code: Any) -> np.ndarray:
        """A code (d,) of finite numbers; ValueError for anything else."""
        found = np.asarray(code, np.float64)
        if found.shape != (self.dim,) or not np.isfinite(found).all():
            raise ValueError(f"code must be {self.dim} finite number(s), got {code!r}")
        return found
