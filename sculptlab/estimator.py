"""The scikit-learn face: an autoencoder whose codes take a prior's shape, as an estimator for tables and images."""

from __future__ import annotations

import copy
import secrets
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import torch
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils.validation import check_array, check_is_fitted, validate_data

from sculptlab.estimator_inputs import Columns, Pictures, checked_shape, unfolded
from sculptlab.priors import Gaussian, Prior, Uniform, as_prior
from sculptlab.training.loop import fit
from sculptlab.training.models import Autoencoder, build_autoencoder
from sculptlab.training.objectives import KL, MMD, Objective, Predictability, Reconstruction, as_objective
from sculptlab.training.state import BATCH_SIZE
from sculptlab.validation import choice, whole

PRIORS = {"gaussian": Gaussian, "uniform": Uniform}
OBJECTIVES = ("mmd", "mmd+predictability", "predictability", "kl", None)
WEIGHTS = {"mmd": 100.0, "mmd+predictability": 100.0, "predictability": 1.0, "kl": 0.1}
TYPES = (np.float64, np.float32)


class SculptedAutoencoder(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """An autoencoder whose codes take the shape of a prior: a scikit-learn transformer of tables (n, p) and of images.

    A table's columns are brought to mean 0 and variance 1 inside, and back. Images are (n, channels, height, width), floats in
    [0, 1] or uint8, or flat rows of them with `image_shape`.

    Parameters
    ----------
    prior          the shape of the codes: "uniform" (a box of unit variance), "gaussian" (standard normal), or anything that
                   `sl.priors.as_prior` takes, of `dim` dimensions.
    dim            number of latents.
    objective      "mmd": reconstruction + weight * MMD^2(codes, prior). "mmd+predictability": and 1 * the
                   predictability penalty, which makes latents independent. "predictability": weight * the penalty alone. "kl": a VAE, weight * KL to the
                   Gaussian, codes are its means. None: reconstruction alone. Or an `sl.objectives` object, which brings its own
                   prior and weights, or a function (model, images, generator) -> loss; then `prior` has no say.
    weight         nats per row for a regularizer of 1; None: 100 for MMD^2, 1 for the game, 0.1 for KL. Large images need more:
                   the squared error grows with the pixels.
    kind, width    the network, as in `sl.build_autoencoder`: "mlp" for tables and images, "conv" and "residual" for images.
    image_shape    (c, h, w) of images given as flat rows; None: X of two dimensions is a table.
    steps, learning_rate, device, progress    as in `sl.fit`.
    batch_size     rows per step; None: 256. Never more than there are rows.
    random_state   of the network's start, batch order and noise: a whole number (the same bits on the same CPU), a
                   `numpy.random.RandomState`, or None, which differs at every fit.

    Attributes
    ----------
    run_           the `sl.Run`; model_: its network, float64 after training, so that a row's code does not depend on the rows
                   beside it; history_: its history, a DataFrame.
    prior_         the distribution that the codes were pulled towards, or None.
    mean_, scale_  of a table's columns (p,), in their units; None for images.
    n_features_in_, feature_names_in_    columns (pixels) seen in fit, and their names where X had some.

    Source of the objective "mmd": Tolstikhin et al. 2018; of the game: Yeats et al. 2022.

    >>> from sklearn.datasets import load_wine
    >>> SculptedAutoencoder(dim=2, steps=10).fit_transform(load_wine().data).shape
    (178, 2)
    """

    def __init__(
        self,
        prior: Any = "uniform",
        dim: int = 2,
        *,
        objective: Any = "mmd",
        weight: float | None = None,
        kind: str = "mlp",
        width: int | None = None,
        image_shape: Sequence[int] | None = None,
        steps: int = 500,
        batch_size: int | None = None,
        learning_rate: float = 3e-3,
        device: str | torch.device = "auto",
        random_state: Any = 0,
        progress: bool = False,
    ) -> None:
        self.prior = prior
        self.dim = dim
        self.objective = objective
        self.weight = weight
        self.kind = kind
        self.width = width
        self.image_shape = image_shape
        self.steps = steps
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.device = device
        self.random_state = random_state
        self.progress = progress

    def fit(self, X: Any, y: Any = None) -> SculptedAutoencoder:
        """Train on X, a table (n, p) or images (n, c, h, w) of at least 2 rows (3 for the game); y is ignored.

        Raises ValueError/TypeError for unusable parameters or data, `DivergenceError` if training explodes.
        """
        objective = self._objective()
        least = max(2, objective.least_batch)
        rows, shape, flat = self._rows(X, least=least, reset=True)
        face = Columns.of(rows) if shape is None else Pictures(shape, flat)
        seed = _seed(self.random_state)
        model = build_autoencoder(
            self.kind, image_shape=face.shape, dim=self.dim, stochastic=objective.needs_posterior, width=self.width,
            output=face.output, seed=seed,
        )  # fmt: skip
        batch = BATCH_SIZE if self.batch_size is None else whole("batch_size", self.batch_size, least=least)
        run = fit(
            model, face.inward(rows), objective, steps=self.steps, batch_size=min(batch, len(rows)),
            learning_rate=self.learning_rate, seed=seed, device=self.device, progress=self.progress,
        )  # fmt: skip
        if run.device.type != "mps":  # which has no float64
            run.model.double()
        self.run_, self._face = run, face
        return self

    def transform(self, X: Any) -> np.ndarray:
        """The codes (n, dim) of X, float64; float32 if X is float32 or uint8."""
        seen, dtype = self._seen(X)
        return self.run_.encode(seen).astype(dtype)

    def inverse_transform(self, Z: Any) -> np.ndarray:
        """Rows, or images as they were given to `fit`, decoded from codes Z (n, dim)."""
        check_is_fitted(self)
        codes = check_array(Z, dtype=TYPES, input_name="Z")
        dim = self._n_features_out
        if codes.shape[1] != dim:
            raise ValueError(f"Z must have the {dim} column(s) of the codes, got {codes.shape[1]}")
        return self._face.outward(self.run_.decode(codes)).astype(codes.dtype)

    def sample(self, n: int = 1, random_state: Any = 0) -> np.ndarray:
        """`n` new rows or images, decoded from draws of the prior; the same `random_state` gives the same ones.

        Raises ValueError if the codes were pulled towards no prior.
        """
        check_is_fitted(self)
        if self.prior_ is None:
            raise ValueError(f"objective must pull the codes towards a prior to sample from it, got {self.run_.objective!r}")
        return self._face.outward(self.run_.sample(n, seed=_seed(random_state)).numpy())

    def score(self, X: Any, y: Any = None) -> float:
        """Minus the mean squared error per value of the reconstruction of X, best at 0; y is ignored.

        In units of the standardized columns, where a table's mean scores -1 on the training rows, or of the pixels in [0, 1].
        It knows nothing of the codes' shape: there `sl.diagnose(transform(X), prior_)` judges.
        """
        return -self.run_.reconstruction_error(self._seen(X)[0])

    @property
    def model_(self) -> Autoencoder:
        return self.run_.model

    @property
    def history_(self) -> pd.DataFrame:
        return self.run_.history

    @property
    def prior_(self) -> Prior | None:
        return self.run_.objective.prior_for(self._n_features_out)

    @property
    def mean_(self) -> np.ndarray | None:
        return getattr(self._face, "mean", None)

    @property
    def scale_(self) -> np.ndarray | None:
        return getattr(self._face, "scale", None)

    @property
    def _n_features_out(self) -> int:
        return self.run_.model.dim

    def _objective(self) -> Objective:
        if self.objective is not None and not isinstance(self.objective, str):
            if self.weight is not None:
                raise ValueError(f"weight must be None where objective is an object with its own, got {self.weight!r}")
            return as_objective(self.objective)
        name = choice("objective", self.objective, OBJECTIVES)
        if name is None:
            return Reconstruction()
        weight = WEIGHTS[name] if self.weight is None else self.weight
        if name == "predictability":
            return Predictability(weight)
        prior = self._prior()
        if name == "kl":
            if not isinstance(prior, Gaussian):
                raise ValueError(f"prior must be 'gaussian' for objective='kl', got {self.prior!r}")
            return KL(weight)
        return MMD(prior, weight) + Predictability() if name == "mmd+predictability" else MMD(prior, weight)

    def _prior(self) -> Prior:
        dim = whole("dim", self.dim)
        return PRIORS[choice("prior", self.prior, PRIORS)](dim) if isinstance(self.prior, str) else as_prior(self.prior, dim)

    def _rows(self, X: Any, *, least: int, reset: bool) -> tuple[np.ndarray, tuple[int, ...] | None, bool]:
        """X as checked rows (n, features), the shape of its images or None, and whether they came as rows."""
        known = checked_shape(self.image_shape) if reset else self._face.image_shape
        rows, shape, flat = unfolded(X, known)
        if not reset and shape != known:
            raise ValueError(f"X must be a table (n, {self.n_features_in_}), as in fit, got images of {shape}")
        types = TYPES if shape is None else (*TYPES, np.uint8)
        return validate_data(self, rows, dtype=types, ensure_min_samples=least, reset=reset), shape, flat

    def _seen(self, X: Any) -> tuple[np.ndarray, type]:
        """What the network sees of X, and the type of the codes it asks for."""
        check_is_fitted(self)
        rows = self._rows(X, least=1, reset=False)[0]
        return self._face.inward(rows), np.float64 if rows.dtype == np.float64 else np.float32

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = [np.dtype(kind).name for kind in TYPES]
        return tags

    def __getstate__(self) -> dict[str, Any]:
        """Pickles and copies hold the network on the CPU, so that they open where there is no GPU."""
        state = dict(super().__getstate__())
        if "run_" in state and self.run_.device.type != "cpu":
            state["run_"] = replace(self.run_, model=copy.deepcopy(self.run_.model).cpu())
        return state


def _seed(random_state: Any) -> int:
    """A whole number from what scikit-learn calls a random state; None draws from the system, never from NumPy's global state."""
    if random_state is None:
        return secrets.randbits(31)
    if isinstance(random_state, (int, np.integer)):
        return whole("random_state", random_state, least=0)
    if not isinstance(random_state, np.random.RandomState):
        raise TypeError(f"random_state must be a whole number, a numpy.random.RandomState or None, got {random_state!r}")
    return int(random_state.randint(2**31))
