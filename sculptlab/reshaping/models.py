"""Models with an invertible map between their encoder and their decoder: the codes are reshaped, the images stay the same."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any, cast

from torch import Tensor, nn

from sculptlab.priors import Prior
from sculptlab.reshaping.maps import Chain, Columns, Map
from sculptlab.reshaping.reshaper import Reshaper
from sculptlab.reshaping.structure import built, described
from sculptlab.training.batches import as_model
from sculptlab.training.encodings import decoded, encoded, placement
from sculptlab.training.models import Posterior, build_autoencoder
from sculptlab.training.objectives import Objective, Reconstruction
from sculptlab.training.objectives.companion import Batch, Companions
from sculptlab.training.run import Run
from sculptlab.validation import as_seed, choice, describe, widest_dtype


class ReshapedModel(nn.Module):
    """A model whose codes are reshaped: `encode` maps them after the encoder, `decode` takes that back before the decoder.

    A stochastic encoder gives its means. The map's parameters are frozen; `model.requires_grad_(True)` trains them too.

    Parameters
    ----------
    model : nn.Module
        With `encode` and `decode`, as `sl.fit` takes them.
    map, prior_map : Map
        From the model's codes (n, d) and from the prior's draws (n, dim) to N(0, I): those of a fitted `Reshaper`.
    objective, companions : Objective, mapping of str to Companion, optional
        What the model was trained for, if its codes are changed before they are decoded, for example quantized.
    """

    stochastic = False

    def __init__(
        self, model: nn.Module, map: Chain, prior_map: Map, objective: Objective | None = None,
        companions: Companions | None = None,
    ) -> None:  # fmt: skip
        super().__init__()
        self.model, self.map, self.prior_map = model, copy.deepcopy(map), copy.deepcopy(prior_map)
        self.objective, self.companions = objective, companions or {}
        self.dim = len(cast(Columns, map.maps[0]).kept)
        for name in ("image_shape", "output"):
            if hasattr(model, name):
                setattr(self, name, getattr(model, name))
        device = placement(model)[0]
        for part in (self.map, self.prior_map):
            part.to(device, widest_dtype(device))

    @property
    def built_with(self) -> dict[str, Any] | None:
        """What `rebuilt` needs to build such a model; None if the inner model, or the codes that it decodes, are not known."""
        inside = getattr(self.model, "built_with", None)
        changed = self.objective is not None and type(self.objective).decoder_input is not Objective.decoder_input
        if inside is None or changed:
            return None
        return {"reshaped": inside, "map": described(self.map), "prior_map": described(self.prior_map)}

    def encode(self, images: Tensor) -> Tensor:
        """The reshaped codes (n, dim) of `images` (n, *image_shape)."""
        found = encoded(self.model, images)
        codes = found.mean if isinstance(found, Posterior) else found
        if self.objective is not None:
            codes = self.objective.decoder_input(Batch(images, None, codes, self.model, None, None), self.companions)
        return self.prior_map.inverse(self.map(self._wide(codes))[0]).to(codes.dtype)

    def decode(self, codes: Tensor) -> Tensor:
        """The images (n, *image_shape) of reshaped `codes` (n, dim)."""
        return decoded(self.model, self.map.inverse(self.prior_map(self._wide(codes))[0]).to(placement(self.model)[1]))

    def forward(self, images: Tensor) -> Tensor:
        """The reconstruction of `images` (n, *image_shape)."""
        return self.decode(self.encode(images))

    def _wide(self, codes: Tensor) -> Tensor:
        return codes.to(placement(self.map)[1])


def reshaped(model: nn.Module, reshaper: Reshaper) -> ReshapedModel:
    """Put a fitted `Reshaper` between the encoder and the decoder of a model.

    The new model's codes are `reshaper.transform(codes)`, and its reconstructions are those of `model`.

    Parameters
    ----------
    model : nn.Module
        Any module with `encode` and `decode`, as `sl.fit` takes it. It is not copied.
    reshaper : Reshaper
        Fitted to codes of this model, with one prior for all of them and low_rank="drop".

    Returns
    -------
    ReshapedModel
        A module with `encode`, `decode` and `dim`, for `sl.latents`, `sl.diagnose` and `sl.Explorer`.

    Raises
    ------
    TypeError, ValueError
        For a reshaper that is not fitted, needs labels, or passes columns on.

    Examples
    --------
    >>> import sculptlab as sl
    >>> data = sl.load("digits")
    >>> model = sl.build_autoencoder("mlp", image_shape=(1, 8, 8), dim=2)
    >>> reshaper = Reshaper("uniform", max_iter=20).fit(sl.latents(model, data))
    >>> reshaped(model, reshaper).encode(torch.zeros(3, 1, 8, 8)).shape
    torch.Size([3, 2])
    """
    found = checked_reshaper(reshaper)
    as_model(model)
    return ReshapedModel(model, found.map_, found.prior_map_)


def rebuilt(built_with: dict[str, Any]) -> ReshapedModel:
    """A reshaped model of this structure (`ReshapedModel.built_with`), whose weights are still to be loaded."""
    try:
        maps = [built(built_with[name]) for name in ("map", "prior_map")]
        return ReshapedModel(build_autoencoder(**built_with["reshaped"]), *maps)  # type: ignore[arg-type]
    except (KeyError, TypeError, AttributeError, RuntimeError) as error:
        raise ValueError(
            f"path must be a file that run.save wrote: its model is not that of a reshaped run ({error!r})"
        ) from error


def checked_reshaper(reshaper: Any) -> Reshaper:
    """A fitted reshaper that a model can hold; else a TypeError or ValueError."""
    if not isinstance(reshaper, Reshaper):
        raise TypeError(f"reshaper must be a Reshaper, got {describe(reshaper)}")
    if not hasattr(reshaper, "map_"):
        raise ValueError("reshaper must be fitted first: reshaper.fit(sl.latents(model, data))")
    if reshaper.classes_:
        raise ValueError("reshaper must have one prior for all codes: a model does not know the labels of its images")
    if reshaper.low_rank == "keep" and reshaper.dropped_:
        raise ValueError("reshaper must have low_rank='drop' inside a model, whose decoder gets all columns back")
    return reshaper


@dataclass(frozen=True)
class ReshapedObjective(Reconstruction):
    """What a reshaped run was trained for: `trained_for`, and then its codes were given the distribution of `prior`.

    Parameters
    ----------
    trained_for : Objective
    prior : Prior
    likelihood : as in `Reconstruction`
    """

    trained_for: Any
    prior: Any

    def prior_for(self, dim: int) -> Prior | None:
        return self.prior


def reshaped_run(
    run: Run, prior: Any = "gaussian", data: Any = None, *, codes: str = "means", seed: int = 0, **options: Any
) -> Run:
    """What `Run.reshape` returns."""
    seed, _ = as_seed("seed", seed), choice("codes", codes, ("means", "samples"))
    if "random_state" in options:
        raise TypeError("reshape() takes seed, not random_state")
    images = run.continuation.data if data is None and run.continuation is not None else data
    if images is None:
        raise ValueError("data must be given: a run that was loaded, copied or unpickled does not hold its training images")
    found = run.codes(images, seed=seed)
    reshaper = Reshaper(prior, random_state=seed, **options).fit(found.get(codes, found.get("codes")))

    checked_reshaper(reshaper)
    model = ReshapedModel(run.model, reshaper.map_, reshaper.prior_map_, run.objective, run.companions).eval()
    objective = ReshapedObjective(run.objective, reshaper.prior_, likelihood=run.objective.likelihood)
    return Run(model, objective, run.rows, run.seed, run.steps, stopped=run.stopped, dim=model.dim)
