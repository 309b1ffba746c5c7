"""The scikit-learn interface: an autoencoder whose codes follow a prior, as a transformer of tables and images."""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass, replace
from typing import Any

import numpy as np
import torch
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils.validation import check_array, check_is_fitted, validate_data

from sculptlab.estimator_inputs import ImageFormat, TableFormat, as_lazy_images, as_rows, checked_image_shape
from sculptlab.priors import Gaussian, as_prior
from sculptlab.training.images import check_image_shape
from sculptlab.training.loop import fit
from sculptlab.training.models import Autoencoder, build_autoencoder
from sculptlab.training.objectives import KL, MMD, Objective, Predictability, Reconstruction, as_objective
from sculptlab.training.sources import Source
from sculptlab.validation import choice, describe, random_seed, tensor_as_array, whole

FLOATS = (np.float64, np.float32)
IMAGE_TYPES = (*FLOATS, np.uint8)


@dataclass(eq=False, repr=False)  # scikit-learn compares and shows estimators in its own way
class SculptedAutoencoder(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """An autoencoder whose codes follow a prior: a scikit-learn transformer of tables and of images.

    The columns of a table (n, p) are standardized for training; outputs are in their original units. Images are (n, channels,
    height, width) in uint8 or floats in [0, 1], or, with `image_shape`, one image per row of a table (n, c * h * w). Images may
    also come from a torch `Dataset`, a `DataLoader`, a memory map or anything else that `sl.fit` reads when needed.

    Parameters
    ----------
    prior : str, Prior, array, callable or torch distribution
        What the codes follow: "uniform" (a box of unit variance), "gaussian" (standard normal), or anything else that
        `sl.priors.as_prior` takes, with `n_components` dimensions.
    n_components : int
        Number of latents.
    objective : {"mmd", "mmd+predictability", "predictability", "kl", None}, Objective or callable
        "mmd": reconstruction + weight * MMD^2(codes, prior). "mmd+predictability": the same + the adversarial predictability
        penalty, which makes latents independent. "predictability": reconstruction + weight * penalty. "kl": a VAE with weight *
        KL, for prior="gaussian" only; its codes are the means. None: reconstruction. An `sl.objectives` object or a function
        (model, images, generator) -> loss has its own weights: leave `weight` None. `prior` acts with "mmd..." and "kl" alone.
    weight : float, optional
        Factor of the regularizer in a loss in nats per row; by default 100 for MMD^2, 1 for the penalty, 0.1 for KL. Large
        images need more, since the squared error grows with the pixels.
    architecture, hidden_size : str, int, optional
        `architecture` and `width` of `sl.build_autoencoder`: "mlp" for tables and images, "conv" and "residual" for images.
    image_shape : tuple of int, optional
        (c, h, w) of images given as flat rows; by default X of two dimensions is a table.
    max_iter, learning_rate : int, float
        Steps of Adam, and its learning rate at the first of them; there is no early stopping.
    batch_size : int, optional
        Rows per step; by default 256, and never more than there are.
    device : str or torch.device
        "auto" is the GPU if there is one.
    random_state : int, numpy.random.RandomState or None
        Seed of the initial weights, batch order and noise. A number gives the same bits on the same CPU; None differs at every
        fit.
    verbose : bool
        Whether to show a progress bar.

    Attributes
    ----------
    run_, history_, n_iter_ : Run, DataFrame, int
        The training, a row for each of its logged steps, and how many steps were taken.
    model_ : Autoencoder
        Its network, float64 after training, so that a row's code hardly depends on the other rows that are passed with it.
    prior_ : Prior or None
        The distribution that the codes were pulled towards.
    mean_, scale_ : ndarray of shape (p,) or None
        Mean and standard deviation of each column of a table in its original units; None for images.
    n_features_in_, feature_names_in_ : int, ndarray of shape (p,)
        Number of columns, or of pixels times channels; names of the columns, if X was a DataFrame.

    References
    ----------
    Tolstikhin et al. 2018, arXiv 1711.01558 ("mmd"); Yeats et al. 2022, ECCV (the penalty).

    Examples
    --------
    >>> from sklearn.datasets import load_wine
    >>> SculptedAutoencoder(n_components=2, max_iter=10).fit_transform(load_wine().data).shape
    (178, 2)
    """

    prior: Any = "uniform"
    n_components: int = 2
    _: KW_ONLY
    objective: Any = "mmd"
    weight: float | None = None
    architecture: str = "mlp"
    hidden_size: int | None = None
    image_shape: Sequence[int] | None = None
    max_iter: int = 500
    batch_size: int | None = None
    learning_rate: float = 3e-3
    device: str | torch.device = "auto"
    random_state: Any = 0
    verbose: bool = False

    def fit(self, X: Any, y: Any = None) -> SculptedAutoencoder:
        """Train on X (n, p) or (n, c, h, w), at least 2 rows, 3 for the penalty; a loss that explodes raises DivergenceError.

        Ctrl-C raises KeyboardInterrupt, so that no search or cross-validation goes on with a half-trained estimator; this one is
        fitted as far as it came.
        """
        seed = random_seed("random_state", self.random_state)
        dim, steps = whole("n_components", self.n_components), whole("max_iter", self.max_iter)
        objective = self._objective(dim)
        least = max(2, objective.least_batch)
        given, expected = as_lazy_images(X), checked_image_shape(self.image_shape)
        data: Any
        self._format: TableFormat | ImageFormat
        if isinstance(given, Source):
            data, most, image_shape = given, given.rows or 2**62, self._lazy_shape(given, expected)
            self._format, self.n_features_in_ = ImageFormat(image_shape, flat=False), math.prod(image_shape)
        else:
            rows, shape, flat = as_rows(given, expected)
            rows = validate_data(self, rows, dtype=IMAGE_TYPES if shape else FLOATS, ensure_min_samples=least)
            self._format = TableFormat(rows) if shape is None else ImageFormat(shape, flat)
            data, most, image_shape = self._format.to_network(rows), len(rows), shape or rows.shape[1:]
        width = None if self.hidden_size is None else whole("hidden_size", self.hidden_size)
        batch = None if self.batch_size is None else min(whole("batch_size", self.batch_size, least=least), most)
        model = build_autoencoder(
            self.architecture, image_shape=image_shape, dim=dim, stochastic=objective.needs_posterior,
            width=width, output="sigmoid" if isinstance(self._format, ImageFormat) else "linear", seed=seed,
        )  # fmt: skip
        run = fit(
            model, data, objective, steps=steps, batch_size=batch,
            learning_rate=self.learning_rate, seed=seed, device=self.device, progress=bool(self.verbose),
        )  # fmt: skip
        if run.device.type != "mps":  # which has no float64
            run.model.double()
        self.run_, self.n_iter_, self.history_, self.prior_ = run, run.steps, run.history, run.objective.prior_for(dim)
        self._n_features_out = dim
        self.mean_, self.scale_ = (getattr(self._format, name, None) for name in ("mean", "scale"))
        if run.stopped == "interrupted":
            raise KeyboardInterrupt
        return self

    def transform(self, X: Any) -> np.ndarray:
        """The codes (n, n_components) of X, as in `fit`: float64; float32 if X is float32 or uint8."""
        rows, dtype = self._network_rows(X)
        return np.asarray(self.run_.encode(rows)).astype(dtype)

    def inverse_transform(self, Z: Any) -> np.ndarray:
        """Rows (n, p), or images as they were given to `fit`, decoded from codes Z (n, n_components)."""
        check_is_fitted(self)
        codes = check_array(tensor_as_array("Z", Z), dtype=FLOATS, input_name="Z")
        if codes.shape[1] != self._n_features_out:
            raise ValueError(f"Z must have the {self._n_features_out} column(s) of the codes, got {codes.shape[1]}")
        return self._format.from_network(self.run_.decode(codes)).astype(codes.dtype)

    def sample(self, n: int = 1, random_state: Any = 0) -> np.ndarray:
        """New rows (n, p) or images, decoded from draws of the prior; a ValueError if the codes were pulled towards none."""
        check_is_fitted(self)
        if self.prior_ is None:
            raise ValueError(
                f"objective must pull the codes towards a prior to sample from it, got {describe(self.run_.objective)}"
            )
        return self._format.from_network(self.run_.sample(n, seed=random_seed("random_state", random_state)).numpy())

    def score(self, X: Any, y: Any = None) -> float:
        """Minus the mean squared error per value of the reconstruction of X; 0 is best.

        It is in units of the standardized columns, where the columns' means score -1 on the training rows, or of pixels in
        [0, 1]. It does not measure the shape of the codes: `sl.diagnose(transform(X), prior_)` does.
        """
        return -self.run_.reconstruction_error(self._network_rows(X)[0])

    @property
    def model_(self) -> Autoencoder:
        return self.run_.model

    def _objective(self, dim: int) -> Objective:
        name = self.objective
        if not isinstance(name, str | None):
            if self.weight is not None:
                raise ValueError(f"weight must be None where objective is an object with its own, got {describe(self.weight)}")
            return as_objective(name)
        weights = {"mmd": 100.0, "mmd+predictability": 100.0, "predictability": 1.0, "kl": 0.1, None: 0.0}
        choice("objective", name, list(weights))
        weight = weights[name] if self.weight is None else self.weight
        if name in (None, "predictability"):
            return Predictability(weight) if name else Reconstruction()
        prior = as_prior(self.prior, dim)
        if name == "kl":
            if not isinstance(prior, Gaussian):
                raise ValueError(f"prior must be 'gaussian' for objective='kl', got {describe(self.prior)}")
            return KL(weight)
        return MMD(prior, weight) + Predictability() if name == "mmd+predictability" else MMD(prior, weight)

    def _network_rows(self, X: Any) -> tuple[Any, type]:
        """What the network takes for X, checked as in `fit`, and the type of the codes."""
        check_is_fitted(self)
        known = getattr(self._format, "shape", None)
        given = as_lazy_images(X)
        if isinstance(given, Source):
            self._lazy_shape(given, known or (self.n_features_in_,))
            return given, np.float32
        rows, shape, _ = as_rows(given, known)
        if shape != known:
            raise ValueError(f"X must be a table (n, {self.n_features_in_}), as in fit, got images of {shape}")
        rows = validate_data(self, rows, dtype=IMAGE_TYPES if shape else FLOATS, reset=False)
        return self._format.to_network(rows), np.float64 if rows.dtype == np.float64 else np.float32

    @staticmethod
    def _lazy_shape(source: Source, expected: tuple[int, ...] | None) -> tuple[int, ...]:
        check_image_shape("X", source.first, expected, "the shape of the images in fit")
        return tuple(source.first.shape[1:])

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags

    def __getstate__(self) -> dict[str, Any]:
        """Pickles and copies hold the network on the CPU, so that they open where there is no GPU."""
        state = dict(super().__getstate__())
        if "run_" in state and self.run_.device.type != "cpu":
            state["run_"] = replace(self.run_, model=copy.deepcopy(self.run_.model).cpu())
        return state
