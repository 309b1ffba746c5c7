"""The Explorer without a display: where a model's images lie in its latent space, and what any code decodes to."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from sculptlab.independence.lps import lps
from sculptlab.training.batches import as_images, as_unit_floats
from sculptlab.training.run import Run
from sculptlab.validation import whole

ROWS = 1000  # images whose codes are shown
STOPS = 9  # images along a traversal, and along the way from one code to another
MARGIN = 0.01  # of the codes lies outside a slider's range, at either end
MOST = 64  # latents that there are sliders for


class Exploration:
    """A trained model with the codes (n, d) of up to 1,000 images (means of a stochastic encoder), in an order of its own.

    low, high   (d,) each latent's range: 98 of 100 codes lie within.
    lps         (d,) how well a network guesses each latent from the others on these codes, held out; NaN for a single one.
    Raises ValueError for a model whose outputs are no images, for more than 64 latents and fewer than 20 images; TypeError
    for a bare model in place of a Run.
    """

    def __init__(self, run: Run, data: Any, *, seed: int = 0) -> None:
        if not isinstance(run, Run):
            raise TypeError(f"run must be a Run, as sl.fit returns it with the model in it, got {type(run).__name__}")
        images = as_images(data, run.model)
        if images.ndim != 4 or images.shape[1] not in (1, 3):
            raise ValueError(f"data must be images (n, 1 or 3, h, w) to be shown, got shape {tuple(images.shape)}")
        if len(images) < 20:
            raise ValueError(f"data must have at least 20 images, got {len(images)}")
        order = torch.randperm(len(images), generator=torch.Generator().manual_seed(whole("seed", seed, least=0)))[:ROWS]
        self.run, self.images = run, as_unit_floats(images[order])
        labels = getattr(data, "labels", None)
        self.labels = None if labels is None else labels[order].numpy()
        self.label_names = tuple(getattr(data, "label_names", ()))
        self.codes = run.encode(self.images).float().numpy()
        if not np.isfinite(self.codes).all():
            raise ValueError("run must give finite codes: this model puts out NaN or infinite ones")
        if self.dim > MOST:
            raise ValueError(f"run must have at most {MOST} latents, got {self.dim}")
        self.low, self.high = np.quantile(self.codes, [MARGIN, 1 - MARGIN], axis=0)
        self.high = np.maximum(self.high, self.low + 1e-3)  # a dead latent still has a slider
        blank = np.full(1, np.nan)
        self.lps = blank if self.dim == 1 else lps(self.codes, "mlp", permutations=0, seed=seed).per_dimension

    @property
    def dim(self) -> int:
        return self.codes.shape[1]

    def correlation(self) -> np.ndarray:
        """|correlation| of each two latents, (d, d); 0 for a dead one."""
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.abs(np.nan_to_num(np.corrcoef(self.codes.T).reshape(self.dim, self.dim)))

    def decode(self, codes: np.ndarray) -> np.ndarray:
        """Images (n, h, w, c), uint8, of codes (n, d)."""
        images = self.run.decode(torch.as_tensor(np.asarray(codes, np.float32)))
        return (images * 255).round().clamp(0, 255).byte().movedim(1, 3).contiguous().numpy()

    def traversals(self, code: np.ndarray) -> np.ndarray:
        """Codes (d, STOPS, d): from `code` (d,), each latent by itself from its low to its high."""
        paths = np.tile(np.asarray(code, np.float64), (self.dim, STOPS, 1))
        for i in range(self.dim):
            paths[i, :, i] = np.linspace(self.low[i], self.high[i], STOPS)
        return paths

    def way(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        """Codes (STOPS, d) on the straight line from a to b."""
        share = np.linspace(0, 1, STOPS)[:, None]
        return (1 - share) * np.asarray(a) + share * np.asarray(b)

    def nearest(self, pair: tuple[int, int], at: tuple[float, float]) -> int:
        """The row whose code is nearest to a point of the plane of two latents, each in units of its range."""
        unit = (self.high - self.low)[list(pair)]
        return int((((self.codes[:, list(pair)] - np.asarray(at)) / unit) ** 2).sum(1).argmin())

    def checked(self, code: Any) -> np.ndarray:
        """A code (d,) of finite numbers; ValueError for anything else."""
        found = np.asarray(code, np.float64)
        if found.shape != (self.dim,) or not np.isfinite(found).all():
            raise ValueError(f"code must be {self.dim} finite number(s), got {code!r}")
        return found
