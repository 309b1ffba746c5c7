"""`Explorer`: move through the latent space of a trained model: along one latent, in a plane of two, between two codes."""

import threading
from typing import Any, Self

import numpy as np
import torch
import traitlets
from torch import Tensor, nn

from sculptlab.evaluation.latents import encode_in_chunks
from sculptlab.independence.lps import lps
from sculptlab.live.snapshots import as_bytes
from sculptlab.live.widget import LiveWidget, front_script
from sculptlab.plots.codes import image_grid
from sculptlab.plots.style import Picture, panels, style
from sculptlab.training.batches import as_model
from sculptlab.training.encodings import decoded, evaluating, placement
from sculptlab.training.images import as_unit_floats
from sculptlab.training.run import Run
from sculptlab.training.sources import as_images
from sculptlab.validation import as_seed, as_tensor, describe
from sculptlab.validation import codes as valid_codes

MOST_IMAGES = 1000
MOST_LATENTS = 64
STOPS = 9  # images along a traversal, and along the line from one code to another


class Explorer(LiveWidget):
    """A widget for a trained model: a slider, traversal and LPS for each latent, plots of pairs, a comparison of two codes.

    The two codes are `a` and `b`, of shape (d,). `codes` (n, d) are those of up to 1,000 images in random order (the means, if
    the encoder is stochastic); `low` and `high` (d,) are the 1 % and 99 % quantiles of each latent; `lps` (d,) is the latent
    predictability score of each latent by `sl.lps` with regressor "mlp", NaN if there is only one latent.

    Parameters
    ----------
    model : Run or torch.nn.Module
        What `sl.fit` returned, or any module with `encode` and `decode`, as for `sl.latents`; at most 64 latents. Feature maps
        count as one latent for each of their values.
    data : Dataset or array_like of shape (n, 1 or 3, h, w)
        At least 20 images, preferably held out from training. Those with values outside [0, 1] are shown from their least to
        their largest value.
    seed : int, default 0
        Seed of the choice of images and of LPS.

    Raises
    ------
    TypeError, ValueError
        If the model or the data cannot be shown.

    Examples
    --------
    >>> import sculptlab as sl
    >>> data = sl.load("digits")
    >>> model = sl.build_autoencoder("mlp", image_shape=data.image_shape, dim=2)
    >>> run = sl.fit(model, data, sl.objectives.MMD("uniform"), steps=5, progress=False)
    >>> explorer = sl.Explorer(run, data).compare([0.0, 0.0], [1.0, 1.0])
    >>> explorer.b
    array([1., 1.])
    """

    _esm = front_script("explorer")
    spec = traitlets.Dict().tag(sync=True)
    asked = traitlets.Dict(default_value={"views": 0, "revision": 0}).tag(sync=True, echo_update=False)

    def __init__(self, model: Run | nn.Module, data: Any, *, seed: int = 0) -> None:
        generator = torch.Generator().manual_seed(as_seed("seed", seed))
        self._model = as_model(model.model if isinstance(model, Run) else model)
        images = as_images(data, self._model)
        if images.ndim != 4 or images.shape[1] not in (1, 3):
            raise ValueError(f"data must be images (n, 1 or 3, h, w) to be shown, got shape {tuple(images.shape)}")
        if len(images) < 20:
            raise ValueError(f"data must have at least 20 images, got {len(images)}")
        order = torch.randperm(len(images), generator=generator, device="cpu")[:MOST_IMAGES]
        labels = getattr(data, "labels", None)
        self._labels = None if labels is None else as_tensor("labels", labels).cpu()[order].numpy().astype(np.float64)
        shown = as_unit_floats(images[order])
        self._range = min(0.0, float(shown.min())), max(1.0, float(shown.max()))
        codes = encode_in_chunks(self._model, shown)[0]  # a stochastic encoder's means
        self._shape, name = codes.shape[1:], type(self._model).__name__
        self.codes = codes.flatten(1).numpy()
        if not np.isfinite(self.codes).all():
            raise ValueError(f"model must give finite codes: those of this {name} are NaN or infinite")
        dim = self.codes.shape[1]
        if dim > MOST_LATENTS:
            raise ValueError(f"model must have at most {MOST_LATENTS} latents, got {tuple(self._shape)} by {name}")
        made = self._decoded(self.codes[:2])
        if made.shape[1:] != shown.shape[1:]:
            raise ValueError(f"model must decode to images {tuple(shown.shape[1:])}, got {tuple(made.shape[1:])} by {name}")
        self.low, self.high = np.quantile(self.codes, [0.01, 0.99], axis=0)
        self.high = np.maximum(self.high, self.low + 1e-3)  # so that the slider of an inactive latent has a range
        self.lps = np.full(1, np.nan) if dim == 1 else lps(self.codes, "mlp", permutations=0, seed=seed).per_dimension
        with np.errstate(invalid="ignore", divide="ignore"):  # of an inactive latent
            matrix = np.abs(np.nan_to_num(np.corrcoef(self.codes.T).reshape(dim, dim)))
        self._lock = threading.Lock()  # events may arrive on different threads
        self._notice, self._answered = "", (0, 0)
        self.a, self.b = (self.codes[i].astype(float) for i in (0, 1))
        self._pair = [0, min(1, dim - 1)]
        numbers = {"low": self.low, "high": self.high, "lps": self.lps, "matrix": matrix}
        plain = {name: np.round(np.nan_to_num(value, nan=-1), 4).tolist() for name, value in numbers.items()}
        super().__init__(spec={**plain, "dim": dim, "stops": STOPS, "label_names": list(getattr(data, "label_names", ()))})
        self.observe(self._on_asked, "asked")

    def compare(self, a: Any, b: Any) -> Self:
        """Show these two codes, each of shape (d,), as A and B; return the widget."""
        a, b = self._checked_code(a), self._checked_code(b)
        with self._lock:
            self.a, self.b = a, b
            self._answer()
        return self

    def decode(self, codes: np.ndarray) -> np.ndarray:
        """Images (n, h, w, c), uint8, of codes (n, d)."""
        low, high = self._range
        return as_bytes((self._decoded(codes) - low) / (high - low))

    def _decoded(self, codes: np.ndarray) -> Tensor:
        device, dtype = placement(self._model)
        rows = valid_codes("codes", codes, dim=self.codes.shape[1], rows=1).detach().to(device, dtype).unflatten(1, self._shape)
        with evaluating(self._model):
            return decoded(self._model, rows).float().cpu()

    def traversals(self, code: Any) -> np.ndarray:
        """Codes (d, 9, d): from `code` (d,), each latent alone goes from its low to its high."""
        paths = np.tile(self._checked_code(code), (len(self.low), STOPS, 1))
        for i in range(len(self.low)):
            paths[i, :, i] = np.linspace(self.low[i], self.high[i], STOPS)
        return paths

    def figure(self) -> Picture:
        """Traversals of the first eight latents from code A as a figure."""
        count = min(len(self.low), 8)
        images = self.decode(np.concatenate(self.traversals(self.a)[:count]))
        figure, axes = panels(1, 1, height=0.75 * count + 0.4, width=6.5)
        image_grid(images.transpose(0, 3, 1, 2) / 255, axes[0, 0], columns=STOPS)
        scores = ", ".join(f"z{i} {value:.2f}" for i, value in enumerate(self.lps[:count]))
        style(axes[0, 0], title=f"Each row moves one latent through its range (LPS: {scores})")
        return figure

    def _checked_code(self, code: Any) -> np.ndarray:
        found = as_tensor("code", code).detach().cpu().double().numpy()
        if found.shape != self.low.shape or not np.isfinite(found).all():
            raise ValueError(f"code must be {len(self.low)} finite number(s), got {describe(code)}")
        return found

    def _on_asked(self, change: Any) -> None:
        with self._lock:
            number = change.new.get("revision", 0), change.new.get("views", 0)
            if number <= self._answered:
                return
            self._answered, self._notice = number, ""
            try:
                self._follow(change.new)
            except (ValueError, TypeError, KeyError, IndexError) as error:
                self._notice = str(error)
            self._answer()

    def _follow(self, asked: dict[str, Any]) -> None:
        """Take the codes and the pair of latents that the page sends, or the code nearest to a point of the pair's plot."""
        if "pair" in asked:
            i, j = asked["pair"]
            self._pair = [range(len(self.low))[i], range(len(self.low))[j]]
        for name in ("a", "b"):
            if name in asked:
                setattr(self, name, self._checked_code(asked[name]))
        if asked.get("pick"):
            unit = (self.high - self.low)[self._pair]
            row = (((self.codes[:, self._pair] - np.asarray(asked["pick"])) / unit) ** 2).sum(1).argmin()
            setattr(self, "b" if asked.get("active") == "b" else "a", self.codes[row].astype(float))

    def _answer(self) -> None:
        traversals = self.traversals(self.b if self.asked.get("active") == "b" else self.a)
        images = self.decode(np.concatenate([[self.a, self.b], np.linspace(self.a, self.b, STOPS), *traversals]))
        difference = images[0].astype(float) / 255 - images[1].astype(float) / 255
        content = {
            "kind": "answer", "a": self.a.tolist(), "b": self.b.tolist(), "pair": self._pair, "shape": images.shape,
            "notice": self._notice, "apart": float(np.square(difference).mean()), "revision": self._answered[0],
            "labels": self._labels is not None,
        }  # fmt: skip
        points = np.ascontiguousarray(self.codes[:, self._pair], np.float32)
        labels = np.zeros(len(points)) if self._labels is None else self._labels
        self.send(content, [points.tobytes(), labels.tobytes(), images.tobytes()])
