"""What all objectives share: the reconstruction plus named, weighted terms; sums of objectives; functions as objectives."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import KW_ONLY, dataclass
from types import SimpleNamespace
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.nn import functional

from sculptlab.priors import Prior
from sculptlab.training.batches import of_shape
from sculptlab.training.distributed import Ranks
from sculptlab.training.encodings import decoded, encoded
from sculptlab.training.models import Posterior
from sculptlab.training.objectives.companion import Batch, Companion, Companions, Term
from sculptlab.training.objectives.regularizer import Regularizer
from sculptlab.validation import as_seed, check_parameters, choice, describe, function, parameter, whole


@dataclass(frozen=True)
class Objective:
    """The base of all objectives: the reconstruction plus the terms of `regularizers`. Objectives can be added with `+`.

    Parameters
    ----------
    likelihood : as in `Reconstruction`
    """

    _: KW_ONLY
    likelihood: str = parameter(choice, "gaussian", legal=("gaussian", "bernoulli"))

    needs_posterior: ClassVar[bool] = False  # whether the encoder must be stochastic
    needs_model: ClassVar[bool] = False  # whether its terms encode or decode more than the batch
    needs_rows: ClassVar[bool] = False  # whether its terms depend on the size of the data set
    least_batch: ClassVar[int] = 1  # the fewest rows that its terms are defined for

    def __post_init__(self) -> None:
        check_parameters(self)

    def check(self, model: Any) -> None:
        """Raise ValueError if this objective cannot train `model`."""
        if self.needs_posterior and not getattr(model, "stochastic", True):  # without it, what it encodes will show
            raise ValueError(f"objective {self!r} needs a stochastic encoder: build_autoencoder(..., stochastic=True)")
        if self.likelihood == "bernoulli" and getattr(model, "output", "sigmoid") != "sigmoid":
            raise ValueError("likelihood='bernoulli' needs a decoder with output='sigmoid'")

    def prior_for(self, dim: int) -> Prior | None:
        """The distribution that codes of `dim` latents are pulled towards, if there is one."""
        return None

    def sampling_prior(self, dim: int, model: Any, companions: Companions) -> Prior | None:
        """The distribution that `Run.sample` draws from: `prior_for`, or one that was learned."""
        return self.prior_for(dim)

    def companions(self, dim: int) -> dict[str, Companion]:
        """The parts with state that exist beside a model of `dim` latents, by name."""
        return {}

    def decoder_input(self, batch: Batch, companions: Companions) -> Tensor:
        """The codes (b, dim) that are decoded, such as quantized ones; also after training, in the methods of `Run`."""
        return batch.codes

    def regularizer(self, dim: int, *, rows: int | None = None, seed: int = 0) -> Regularizer:
        """The regularizers alone, as a `Regularizer` of `dim` latents for a training loop of your own.

        `term = objective.regularizer(dim)`; then in each step `loss = reconstruction + term(codes)`, and `term.update(codes)`
        after the optimizer's step. `rows` is the size of the data set, which `BetaTC` needs. An objective that cannot be used
        with codes of `dim` latents raises a ValueError.
        """
        seed = as_seed("seed", seed)
        self.check(SimpleNamespace(dim=whole("dim", dim), stochastic=self.needs_posterior))
        return Regularizer(self, dim, rows=rows, seed=seed)

    def regularizers(self, batch: Batch, companions: Companions) -> Iterable[Term]:
        """The terms beside the reconstruction, with what `companions` made."""
        return ()

    def batch(
        self, model: Any, images: Tensor, rows: int | None, generator: torch.Generator | None = None, step: int = 0,
        ranks: Ranks | None = None,
    ) -> Batch:  # fmt: skip
        """Encode `images` (b, *image_shape), floats; the codes of a stochastic encoder are one draw from each posterior."""
        posterior, codes = None, encoded(model, images)
        if isinstance(codes, Posterior):
            posterior = codes
            codes = posterior.sample(generator) if ranks is None else posterior.at(ranks.normal(posterior.mean, generator))
        if self.needs_posterior and posterior is None:
            raise ValueError(f"objective {self!r} needs a stochastic encoder: {type(model).__name__}.encode gave codes alone")
        return Batch(images, posterior, codes, model, rows, generator, step, ranks)

    def terms(self, batch: Batch, companions: Companions | None = None) -> dict[str, Tensor]:
        """The 0-d terms of a step: "loss" (the weighted sum), "reconstruction", and each regularizer without its weight."""
        companions = {} if companions is None else companions
        loss = reconstruction = _reconstruction(self.likelihood, batch, self.decoder_input(batch, companions))
        values: dict[str, Tensor] = {}
        times: Counter[str] = Counter()
        alone = type(self).regularizers is Objective.regularizers  # the reconstruction needs no codes of other processes
        for term in self.regularizers(batch if alone else batch.whole(), companions):
            loss = loss + term.weight * term.value
            times[term.name] += 1
            values[term.name if times[term.name] == 1 else f"{term.name}_{times[term.name]}"] = term.value
        return {"loss": loss, "reconstruction": reconstruction, **values}

    def __add__(self, other: Objective) -> Objective:
        """The reconstruction once, and the regularizers of both: two objectives with a KL term give two KL terms."""
        if not isinstance(other, Objective) or isinstance(self, Custom) or isinstance(other, Custom):
            raise TypeError(
                f"only objectives can be added: let a function return the whole sum. Got {describe(self)} + {other!r}"
            )
        if self.likelihood != other.likelihood:
            raise ValueError(
                f"likelihood must be the same in a sum, got {describe(self.likelihood)} and {describe(other.likelihood)}"
            )
        parts = (one.parts if isinstance(one, SumObjective) else (one,) for one in (self, other))
        return SumObjective(tuple(part for some in parts for part in some), likelihood=self.likelihood)

    def __radd__(self, other: Any) -> Objective:
        """Return `self` for 0 + self, with which the builtin `sum` starts."""
        return self if other == 0 and isinstance(other, int) else self + other

    def _not_multiplied(self, other: Any) -> Any:
        raise TypeError(f"{self!r} cannot be multiplied or divided: set the weights of its terms, as in MMD(prior, weight=200.0)")

    __mul__ = __rmul__ = __truediv__ = _not_multiplied


def _reconstruction(likelihood: str, batch: Batch, codes: Tensor) -> Tensor:
    images, model = batch.images, batch.model
    logits = likelihood == "bernoulli" and hasattr(model, "logits")
    made = of_shape(model.logits(codes) if logits else decoded(model, codes), images, model)
    if likelihood == "gaussian":
        return 0.5 * (made - images).square().sum() / len(images)
    entropy = functional.binary_cross_entropy_with_logits if logits else functional.binary_cross_entropy
    return entropy(made, images, reduction="sum") / len(images)


@dataclass(frozen=True)
class Reconstruction(Objective):
    """The reconstruction alone: a plain autoencoder, whose codes follow no prior.

    Parameters
    ----------
    likelihood : {"gaussian", "bernoulli"}
        "gaussian": 1/2 sum over pixels of (x - x_hat)^2, the negative log-likelihood under unit variance without its constant.
        "bernoulli": -sum over pixels of x log x_hat + (1 - x) log(1 - x_hat), for images in [0, 1].
    """


@dataclass(frozen=True)
class Custom(Objective):
    """A function as an objective; `as_objective` makes it.

    Parameters
    ----------
    function : callable
        (model, images, generator) -> loss, or -> a mapping of named 0-d tensors with "loss" among them, for a batch of images
        (b, *image_shape) in the data's range; the function draws its noise from `generator`.
    likelihood : as in `Reconstruction`, but without an effect on the loss
    """

    function: Callable[[Any, Tensor, torch.Generator | None], Tensor | Mapping[str, Tensor]]

    def __post_init__(self) -> None:
        super().__post_init__()
        function("function", self.function)

    def batch(
        self, model: Any, images: Tensor, rows: int | None, generator: torch.Generator | None = None, step: int = 0,
        ranks: Ranks | None = None,
    ) -> Batch:  # fmt: skip
        return Batch(images, None, images.new_empty(0, 0), model, rows, generator, step)

    def regularizer(self, dim: int, *, rows: int | None = None, seed: int = 0) -> Regularizer:
        as_seed("seed", seed)
        raise TypeError(f"{self!r} is a function of model and images: it has no terms on codes alone")

    def terms(self, batch: Batch, companions: Companions | None = None) -> dict[str, Tensor]:
        result = self.function(batch.model, batch.images, batch.generator)
        values = dict(result) if isinstance(result, Mapping) else {"loss": result}
        loss = values.get("loss")
        if not isinstance(loss, Tensor) or loss.ndim != 0:
            raise TypeError(f"objective must return a 0-d tensor, or a mapping with one called 'loss'; got {describe(result)}")
        return {name: value if isinstance(value, Tensor) else loss.new_tensor(value) for name, value in values.items()}

    def __repr__(self) -> str:
        name = getattr(self.function, "__qualname__", type(self.function).__qualname__)
        return f"{getattr(self.function, '__module__', '')}.{name}"


@dataclass(frozen=True)
class SumObjective(Objective):
    """A sum of objectives, written `a + b`: the reconstruction once, the regularizers of each.

    Parameters
    ----------
    parts : tuple of Objective
    likelihood : as in `Reconstruction`
    """

    parts: tuple[Objective, ...]

    def __post_init__(self) -> None:
        super().__post_init__()
        if not isinstance(self.parts, tuple) or not self.parts or not all(isinstance(part, Objective) for part in self.parts):
            raise TypeError(f"parts must be a tuple of one or more objectives, got {describe(self.parts)}")
        names = ("needs_posterior", "needs_model", "needs_rows")
        needs = {name: any(getattr(part, name) for part in self.parts) for name in names}
        vars(self).update(needs, least_batch=max(part.least_batch for part in self.parts))

    def check(self, model: Any) -> None:
        for part in self.parts:
            part.check(model)

    def __repr__(self) -> str:
        return " + ".join(repr(part) for part in self.parts)

    def prior_for(self, dim: int) -> Prior | None:
        return next((prior for part in self.parts if (prior := part.prior_for(dim)) is not None), None)

    def sampling_prior(self, dim: int, model: Any, companions: Companions) -> Prior | None:
        priors = (part.sampling_prior(dim, model, own) for part, own in self._with_companions(companions))
        return next((prior for prior in priors if prior is not None), None)

    def companions(self, dim: int) -> dict[str, Companion]:
        return {f"{i}:{name}": a for i, part in enumerate(self.parts) for name, a in part.companions(dim).items()}

    def _with_companions(self, companions: Companions) -> Iterable[tuple[Objective, Companions]]:
        for i, part in enumerate(self.parts):
            yield part, {name.partition(":")[2]: a for name, a in companions.items() if name.startswith(f"{i}:")}

    def decoder_input(self, batch: Batch, companions: Companions) -> Tensor:
        for part, own in self._with_companions(companions):
            batch = batch._replace(codes=part.decoder_input(batch, own))
        return batch.codes

    def regularizers(self, batch: Batch, companions: Companions) -> Iterable[Term]:
        for part, own in self._with_companions(companions):
            yield from part.regularizers(batch, own)


def as_objective(objective: Any) -> Objective:
    """The objective itself, or a function wrapped as one.

    Parameters
    ----------
    objective : Objective or callable
        A function is (model, images, generator) -> loss, as for `Custom`.

    Returns
    -------
    Objective

    Raises
    ------
    TypeError
        For anything else, also an objective's class.
    """
    if isinstance(objective, Objective):
        return objective
    if callable(objective) and not isinstance(objective, type):
        return Custom(function=objective)
    raise TypeError(f"objective must be an Objective or a function (model, images, generator) -> loss, got {describe(objective)}")
