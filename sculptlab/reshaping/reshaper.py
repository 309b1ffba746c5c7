"""`Reshaper`: a scikit-learn transformer that gives the codes of any model the distribution of any prior, and takes it back."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import KW_ONLY, dataclass
from itertools import repeat
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils.validation import check_array, check_is_fitted, validate_data
from torch import Tensor

from sculptlab.priors import Conditional, Prior, as_prior
from sculptlab.reshaping.dimension import left_dependent
from sculptlab.reshaping.fitting import Fitting, dequantized
from sculptlab.reshaping.flows import log_likelihood
from sculptlab.reshaping.maps import Chain, Choice, Columns, Map
from sculptlab.reshaping.quantiles import REACH
from sculptlab.reshaping.targets import LEARNED_DRAWS, draws, map_of
from sculptlab.validation import as_device, as_tensor, choice, is_model, number, only_array, random_seed, tensor_as_array, whole

if TYPE_CHECKING:
    import pandas as pd

FLOATS = (np.float64, np.float32)
CHUNK = 8192  # rows that pass through the maps at once
TOLERANCE = 1e-4  # standard deviations: rows that come back farther from where they were are counted
CHECKED = 5000  # most rows whose round trip is checked
FAR = 1.5  # times the distance of the farthest fitted code from the mean


@dataclass(eq=False, repr=False)  # scikit-learn compares and shows estimators in its own way
class Reshaper(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """An invertible map that gives codes the distribution of a prior: a quantile transformer, but of all columns together.

    The codes x become z = T^-1(f(x)). f maps them to N(0, I) by whitening, by quadratic couplings if there are more than three
    columns, and by a spline flow that is trained by maximum likelihood with early stopping on held-out rows. T maps the prior to
    N(0, I), by formulas or tables of quantiles where the prior allows it; `with_prior` exchanges it. As the map is invertible, a
    decoder behind its inverse reconstructs as before: see `sl.reshaped` and `run.reshape`. Codes on a curve or a sheet of fewer
    dimensions than there are latents stay on one: exact independence is impossible, and LPS may stay high. Measure it.

    Parameters
    ----------
    prior : prior_like, or mapping of label to prior_like
        A name such as "gaussian", or anything else that `sl.priors.as_prior` takes, also another model's codes (m, d). It must be
        continuous. A mapping, or a `sl.priors.Conditional`, has a prior for each label: `fit`, `transform` and
        `inverse_transform` then need labels beside the codes.
    max_iter, batch_size : int
        Most steps of AdamW, by default 300 and one more for every 30 rows, at most 1,000; and rows per step.
    learning_rate, weight_decay : float
        Of AdamW; the rate falls along a cosine, and is by default 0.005 at first for up to 3 columns, else 0.002.
    validation_fraction : float
        The share of the rows that are held out for early stopping, at most 5,000 of them.
    n_iter_no_change : int
        The number of steps without a better likelihood of the held-out rows after which training ends.
    n_layers, hidden_size : int, optional
        Size of the flow; by default 4 layers of 64 units for up to 3 columns, else 6 of 128.
    low_rank : {"drop", "keep"}
        What becomes of columns that are constant or an affine function of others; a warning names them. "drop" leaves them out of
        the reshaped codes; "keep" passes them on unchanged, in their places. The inverse restores them in both cases.
    device : str or torch.device
        Where the flow is trained; "auto" is the GPU if there is one. The fitted map is on the CPU, in float64.
    random_state : int, numpy.random.RandomState or None
        Seed of weights, batches and draws. A number gives the same bits on the same CPU.
    verbose : bool
        Whether to show a progress bar.

    Attributes
    ----------
    prior_ : Prior
        What the reshaped columns follow.
    rank_, dropped_ : int, list of int
        The number of columns that are reshaped, and the positions of those that are an affine function of them.
    history_, n_iter_ : DataFrame, int
        A row for every 25 steps: step, training and validation log-likelihood in nats per row of whitened codes; and the steps.
    round_trip_error_ : float
        The error of `inverse_transform(transform(x))`, in standard deviations of a column, that 99.9 % of up to 5,000 of the
        rows keep.
    map_, prior_map_ : Map
        f and T, torch modules from codes and from the prior to N(0, I).
    classes_ : list
        The labels that have priors; empty if one prior is for all.
    n_features_in_, feature_names_in_ : int, ndarray of shape (d,)
        As in scikit-learn.

    References
    ----------
    Hyvarinen and Pajunen 1999, Neural Networks 12, 429 (independent components of any codes exist, and are not unique). Durkan et
    al. 2019, arXiv 1906.04032 (spline flows). Dai and Wipf 2019, arXiv 1903.05789 (a second model of a VAE's codes).

    Examples
    --------
    >>> codes = torch.randn(500, 2, generator=torch.Generator().manual_seed(0)).exp().numpy()
    >>> reshaper = Reshaper("uniform", max_iter=20).fit(codes)
    >>> bool(abs(reshaper.inverse_transform(reshaper.transform(codes)) - codes).max() < 1e-3)
    True
    """

    prior: Any = "gaussian"
    _: KW_ONLY
    max_iter: int | None = None
    batch_size: int = 512
    learning_rate: float | None = None
    weight_decay: float = 1.0
    validation_fraction: float = 0.1
    n_iter_no_change: int = 200
    n_layers: int | None = None
    hidden_size: int | None = None
    low_rank: str = "drop"
    device: str | torch.device = "auto"
    random_state: Any = 0
    verbose: bool = False

    def fit(self, X: Any, y: Any = None) -> Reshaper:
        """Fit the map to codes (n, d); `y` are labels (n,) if there is a prior for each label, and are not used otherwise."""
        fitting = self._fitting()
        rows = validate_data(self, _array(X), dtype=FLOATS, ensure_min_samples=2)
        x = torch.from_numpy(rows.astype(np.float64))
        _check_scale(x)
        self._columns = columns = Columns.independent(x)
        self.rank_, self.dropped_ = len(columns.kept), columns.other
        self._report_rank(x)
        self.prior_ = self._prior(columns)
        self.classes_ = list(self.prior_.labels) if isinstance(self.prior_, Conditional) else []
        self._n_features_out = self.rank_ if self.low_rank == "drop" else x.shape[1]
        context, kept = self._context(y, len(x)), dequantized(columns(x)[0], fitting.seed)
        if context is not None and (absent := [self.classes_[i] for i in (context.sum(0) == 0).nonzero()[:, 0]]):
            raise ValueError(f"y must hold each of the labels {self.classes_}, which have priors; it has none of {absent}")
        if len(x) < 10 * self.rank_:
            warnings.warn(
                f"X has {len(x)} rows for {self.rank_} columns: with fewer than 10 for each, other rows may be mapped to another "
                "distribution than these", stacklevel=2,
            )  # fmt: skip
        learned, self._rows = fitting.learn(kept, context)
        self.n_iter_ = max(1, int(self._rows[-1]["step"])) if self._rows else 1
        self.map_ = Chain([columns, *learned])
        self.prior_map_ = self._map_of_prior(fitting)
        self._std = kept.std(0, correction=0)
        self._reach = float(_distances(self.map_, x).max()) * FAR
        some = slice(None, CHECKED)
        _, error = self._forward(x[some], None if context is None else context[some], rows.dtype)
        self.round_trip_error_ = float(error.quantile(0.999))
        self._report_error(error, "X")
        found = left_dependent(kept / self._std, lambda part: self.map_(x[part], None if context is None else context[part])[0])
        if found is not None:
            warnings.warn(
                f"X has {self.rank_} columns but lies near a curve or a sheet of about {found[0]:.1f} dimension(s), and the "
                f"reshaped columns still predict one another (LPS {found[1]:.2f}): an invertible map cannot spread it over all "
                "columns. Use fewer latents, or add noise to X here and in transform, at first 1 % of each column's standard "
                "deviation; the codes then reconstruct a little worse", stacklevel=2,
            )  # fmt: skip
        return self

    def fit_transform(self, X: Any, y: Any = None) -> np.ndarray:
        """Fit to X (n, d) and reshape it; `y` are labels (n,) if there is a prior for each."""
        return self.fit(X, y).transform(X, y)

    def transform(self, X: Any, y: Any = None) -> np.ndarray:
        """The reshaped codes (n, rank) of X (n, d); `y` are labels (n,) if there is a prior for each."""
        check_is_fitted(self)
        rows = validate_data(self, _array(X), dtype=FLOATS, reset=False)
        x, context = torch.from_numpy(rows.astype(np.float64)), self._context(y, len(rows))
        z, error = self._forward(x, context, rows.dtype)
        far = int((_distances(self.map_, x) > self._reach).sum())
        if far:
            warnings.warn(
                f"X has {far} of {len(x)} row(s) far outside the codes that the map was fitted to: where those are mapped to was "
                "not learned", stacklevel=2,
            )  # fmt: skip
        self._report_error(error, "X")
        return z.numpy().astype(rows.dtype)

    def inverse_transform(self, Z: Any, y: Any = None) -> np.ndarray:
        """The codes (n, d) that are mapped to reshaped codes Z (n, rank); `y` are labels (n,) if there is a prior for each."""
        check_is_fitted(self)
        rows = check_array(_array(Z, "Z"), dtype=FLOATS, input_name="Z")
        if rows.shape[1] != self._n_features_out:
            raise ValueError(f"Z must have the {self._n_features_out} column(s) of the reshaped codes, got {rows.shape[1]}")
        z, context = torch.from_numpy(rows.astype(np.float64)), self._context(y, len(rows))
        kept = z[:, self._columns.kept] if z.shape[1] > self.rank_ else z
        outside = int((self.prior_map_(kept, context)[0].abs() >= REACH).any(1).sum())
        if outside:
            warnings.warn(f"Z has {outside} of {len(z)} row(s) outside the prior, which are read at its edge", stacklevel=2)
        return self._backward(z, context).numpy().astype(rows.dtype)

    def sample(self, n: int = 1, y: Any = None, random_state: Any = 0) -> np.ndarray:
        """`n` new codes (n, d), float32, which the inverse makes of draws of the prior, for a decoder; labels `y` as above."""
        check_is_fitted(self)
        generator = torch.Generator().manual_seed(random_seed("random_state", random_state))
        context = self._context(y, whole("n", n))
        prior = self.prior_
        drawn = prior.given(_labels(y), generator) if isinstance(prior, Conditional) else prior.sample(n, generator)
        return self.map_.inverse(self.prior_map_(drawn.double(), context)[0], context).float().numpy()

    def score(self, X: Any, y: Any = None) -> float:
        """The mean log-likelihood of X (n, d) in nats per row, best of held-out rows; of its `rank_` reshaped columns."""
        check_is_fitted(self)
        rows = validate_data(self, _array(X), dtype=FLOATS, reset=False)
        x, context = torch.from_numpy(rows.astype(np.float64)), self._context(y, len(rows))
        return float(torch.cat([log_likelihood(self.map_, *part) for part in _chunks(x, context)]).mean())

    def with_prior(self, prior: Any) -> Reshaper:
        """A fitted copy that gives the codes the distribution of another prior, without learning the map of the codes anew.

        Of z = T^-1(f(x)) only T is exchanged, and f is shared with the copy. In one and two dimensions, and for independent
        coordinates, this takes a second or less; any other T is learned from draws of the prior. The copy's `round_trip_error_`
        is that of 5,000 codes drawn by f^-1 from N(0, I), in float64.

        Parameters
        ----------
        prior : prior_like, or mapping of label to prior_like
            As for `Reshaper`; a mapping where this reshaper has labels, and with the same ones.

        Returns
        -------
        Reshaper

        Raises
        ------
        ValueError
            For a prior that `fit` would refuse, or for other labels.

        Examples
        --------
        >>> codes = torch.randn(500, 2, generator=torch.Generator().manual_seed(0)).numpy()
        >>> square = Reshaper("gaussian", max_iter=20).fit(codes).with_prior("uniform")
        >>> bool(abs(square.transform(codes)).max() < 3**0.5 + 1e-6)
        True
        """
        check_is_fitted(self)
        other = copy.copy(self)
        other.prior = prior
        other.prior_ = other._prior(self._columns)
        labels = list(other.prior_.labels) if isinstance(other.prior_, Conditional) else []
        if set(labels) != set(self.classes_):
            words = f"have priors for the labels {self.classes_}" if self.classes_ else "be one for all codes"
            raise ValueError(f"prior must {words}, as in fit, got {f'the labels {labels}' if labels else 'one prior for all'}")
        fitting = self._fitting()
        other.prior_map_ = other._map_of_prior(fitting)
        drawn = torch.randn(
            CHECKED, self.rank_, generator=torch.Generator().manual_seed(fitting.seed), dtype=torch.float64, device="cpu"
        )
        which = torch.arange(CHECKED, device="cpu") % max(1, len(labels))
        context = torch.nn.functional.one_hot(which, len(labels)).double() if labels else None
        _, error = other._forward(self.map_.inverse(drawn, context), context, np.float64)
        other.round_trip_error_ = float(error.quantile(0.999))
        other._report_error(error, "prior, a sample of codes,")
        return other

    @property
    def history_(self) -> pd.DataFrame:
        import pandas as pd

        check_is_fitted(self)
        return pd.DataFrame(self._rows, columns=["step", "training", "validation"]).astype({"step": int})

    def _fitting(self) -> Fitting:
        choice("low_rank", self.low_rank, ("drop", "keep"))
        if number("validation_fraction", self.validation_fraction, above=0) >= 1:
            raise ValueError(f"validation_fraction must be below 1, got {self.validation_fraction}")
        sizes = {name: getattr(self, name) for name in ("n_layers", "hidden_size")}
        layers, hidden_size = (None if size is None else whole(name, size) for name, size in sizes.items())
        rate = None if self.learning_rate is None else number("learning_rate", self.learning_rate, above=0)
        return Fitting(
            steps=None if self.max_iter is None else whole("max_iter", self.max_iter),
            batch_size=whole("batch_size", self.batch_size, least=2),
            learning_rate=rate, weight_decay=number("weight_decay", self.weight_decay, least=0),
            validation_fraction=self.validation_fraction,
            patience=whole("n_iter_no_change", self.n_iter_no_change), layers=layers, hidden_size=hidden_size,
            device=as_device(self.device), seed=random_seed("random_state", self.random_state), verbose=bool(self.verbose),
        )  # fmt: skip

    def _report_rank(self, x: Tensor) -> None:
        """Warn of columns that others determine; a ValueError if no column varies."""
        if not self.rank_:
            raise ValueError(f"X must have a column that varies, got {x.shape[1]} constant column(s)")
        if self.dropped_:
            fate = "left out of the reshaped codes" if self.low_rank == "drop" else "passed on unchanged"
            names = [getattr(self, "feature_names_in_", range(x.shape[1]))[i] for i in self.dropped_[:8]]
            warnings.warn(
                f"X has rank {self.rank_} of {x.shape[1]} columns: {', '.join(map(str, names))}: constant, or an affine function "
                f"of others. They are {fate}; low_rank chooses, and the inverse restores them",
                stacklevel=3,
            )  # fmt: skip

    def _prior(self, columns: Columns) -> Prior:
        given = self.prior
        try:
            if isinstance(given, Mapping):
                given = Conditional({label: as_prior(prior, self.rank_) for label, prior in given.items()})
            found = as_prior(given, self.rank_)
        except ValueError as error:
            if columns.other:
                raise ValueError(f"{error}; X has rank {self.rank_} of {len(columns.kept + columns.other)} columns") from error
            raise
        for part in found.parts if isinstance(found, Conditional) else (found,):
            bank = getattr(part, "bank", None)
            if bank is not None and len(bank) < 100 * part.dim:
                warnings.warn(
                    f"prior has {len(bank)} samples for {part.dim} column(s): with fewer than 100 for each, the codes follow "
                    "what lies between the samples rather than their distribution", stacklevel=3,
                )  # fmt: skip
        return found

    def _map_of_prior(self, fitting: Fitting) -> Map:
        """T: from the prior, or from that of each label, to N(0, I)."""
        prior = self.prior_
        parts = [prior.parts[prior.labels.index(one)] for one in self.classes_] if isinstance(prior, Conditional) else [prior]
        maps = [map_of(part, lambda one: Chain(fitting.learn(draws(one, LEARNED_DRAWS), label="prior")[0])) for part in parts]
        return Choice(maps) if self.classes_ else maps[0]

    def _context(self, y: Any, n: int) -> Tensor | None:
        """Labels (n,) as one-hot vectors (n, k), or None if one prior is for all of them."""
        if not self.classes_:
            return None
        if y is None:
            raise ValueError(f"y must be given: there is a prior for each of the labels {self.classes_}")
        if isinstance(y, str):
            raise TypeError(f"y must be labels (n,), one for each row, got the text {y[:20]!r}")
        labels = _labels(y)
        if len(labels) != n or getattr(y, "ndim", 1) != 1:
            raise ValueError(f"y must be {n} label(s) (n,), one for each row, got shape {np.shape(y)}")
        unknown = [label for label in dict.fromkeys(labels) if label not in self.classes_]
        if unknown:
            raise ValueError(f"y must hold the labels {self.classes_}, got {unknown[:5]}")
        which = torch.tensor([self.classes_.index(label) for label in labels], dtype=torch.int64, device="cpu")
        return torch.nn.functional.one_hot(which, len(self.classes_)).double()

    def _forward(self, x: Tensor, context: Tensor | None, dtype: Any) -> tuple[Tensor, Tensor]:
        """The reshaped codes of x in the caller's type, and by how many standard deviations (n,) their inverse misses x."""
        parts = []
        for part, own in _chunks(x, context):
            z = self.prior_map_.inverse(self.map_(part, own)[0], own)
            z = z.float().double() if dtype == np.float32 else z
            missed = (self.map_.inverse(self.prior_map_(z, own)[0], own) - part)[:, self._columns.kept] / self._std
            if self.low_rank == "keep" and self.dropped_:
                whole_row = part.clone()
                whole_row[:, self._columns.kept] = z
                z = whole_row
            parts.append((z, missed.abs().amax(1).nan_to_num(torch.inf)))
        first, second = zip(*parts, strict=True)
        return torch.cat(first), torch.cat(second)

    def _backward(self, z: Tensor, context: Tensor | None) -> Tensor:
        kept, other = self._columns.kept, self._columns.other
        keep = self.low_rank == "keep" and bool(other)
        parts = []
        for part, own in _chunks(z, context):
            x = self.map_.inverse(self.prior_map_(part[:, kept] if keep else part, own)[0], own)
            if keep:
                x[:, other] = part[:, other]
            parts.append(x)
        return torch.cat(parts)

    def _report_error(self, error: Tensor, name: str) -> None:
        lost = int((error > TOLERANCE).sum())
        if lost > 0.001 * len(error):
            warnings.warn(
                f"{name} has {lost} of {len(error)} row(s) that inverse_transform does not give back to {TOLERANCE:g} standard "
                f"deviations, at worst {float(error.max()):.2g}: the prior is too steep there, or X too far from what was fitted",
                stacklevel=3,
            )  # fmt: skip

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags


def _array(codes: Any, name: str = "X") -> Any:
    """Codes as what scikit-learn takes: the array in a mapping, as `sl.latents` returns it, and tensors as arrays."""
    found = only_array(name, codes)
    return tensor_as_array(name, as_tensor(name, found) if is_model(found) else found)


def _check_scale(x: Tensor) -> None:
    """Raise ValueError for columns whose squares would leave the range of float64."""
    spread = x.amax(0) - x.amin(0)
    wrong = ((x.abs().amax(0) > 1e100) | ((spread > 0) & (spread < 1e-100))).nonzero()[:, 0].tolist()
    if wrong:
        raise ValueError(
            f"X must have values of at most 1e100, and columns that vary by at least 1e-100: column(s) {wrong} need another unit"
        )


def _labels(y: Any) -> list[Any]:
    return y.tolist() if hasattr(y, "tolist") else [one.item() if hasattr(one, "item") else one for one in y]


def _chunks(x: Tensor, context: Tensor | None) -> Iterator[tuple[Tensor, Tensor | None]]:
    contexts = repeat(None) if context is None else context.split(CHUNK)
    return zip(x.split(CHUNK), contexts, strict=False)


def _distances(map_: Chain, x: Tensor) -> Tensor:
    """The largest absolute value (n,) in each row of the whitened codes."""
    for one in [*map_.maps][:-1]:
        x = one(x)[0]
    return x.abs().amax(1)
