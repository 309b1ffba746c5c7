"""A trained model with its history, and what one does with it: encode, decode, sample, measure the error."""

from __future__ import annotations

import os
import warnings
from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import cached_property
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from sculptlab.priors import as_prior
from sculptlab.training.batches import as_model, of_shape
from sculptlab.training.checkpoints import locked, settings_of
from sculptlab.training.devices import one_thread_if_small
from sculptlab.training.encodings import decoded, encoded, in_chunks, placement
from sculptlab.training.initialization import SizeLimit
from sculptlab.training.interrupts import Interrupts
from sculptlab.training.models import Posterior, build_autoencoder
from sculptlab.training.objectives.base import Objective, as_objective
from sculptlab.training.objectives.companion import Batch
from sculptlab.training.objectives.regularizer import Regularizer
from sculptlab.training.saving import UnknownObjective, exported, load_weights, objective_of, read_run, write_run
from sculptlab.training.sources import Source, StreamSource, TensorSource, as_source
from sculptlab.training.state import Training
from sculptlab.training.trainer import Trainer
from sculptlab.validation import as_device, as_seed, whole
from sculptlab.validation import codes as valid_codes

if TYPE_CHECKING:
    import pandas as pd

CHANGEABLE = ("batch_size", "learning_rate", "scheduler", "max_grad_norm")  # while the optimizer's averages go on
SPARE = 1_000_000  # numbers that may be needed to build a model, beside twice those in its file


class Continuation(NamedTuple):
    """What `Run.train_more` goes on with; a stream goes on where its `source` stands."""

    data: Any
    source: Source
    options: dict[str, Any]
    state: dict[str, Any]
    trainer: Trainer


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
        "interrupted" after Ctrl-C, "callback" if a callback ended training, "failed" if `train_more` raised an error.
    dim : int, optional
        Number of latents.
    companions : mapping of str to Companion
        What the objective trained beside the model, such as predictors, a learned prior or a codebook.
    continuation : Continuation, optional
        What `train_more` goes on with: the caller's data and the optimizer's averages. Copies and pickles leave it out.
    """

    model: Any
    objective: Objective
    rows: list[dict[str, float]]
    seed: int
    steps: int
    stopped: str | None = None
    dim: int | None = None
    companions: Any = field(default_factory=nn.ModuleDict)
    continuation: Continuation | None = None

    def __getstate__(self) -> dict[str, Any]:
        """Copies and pickles have the model and the history, and no state of the training."""
        return vars(self) | {"continuation": None}

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
        """The codes (n, dim) that are decoded for `data`, images (n, *image_shape): means if stochastic, or quantized codes.

        Row i belongs to the i-th image. A `DataLoader` that shuffles has another order in each pass, of which a warning tells.
        """
        return _like(self._encoded(data)[0], data)

    def codes(self, data: Any, seed: int = 0) -> dict[str, Any]:
        """{"codes"} (n, dim) of `data`, or {"means", "samples"} of a stochastic encoder: the samples are draws by `seed`."""
        generator = torch.Generator("cpu").manual_seed(as_seed("seed", seed))
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
        """Codes (1, n, dim), or means and log-variances (2, n, dim), of `data`."""
        return in_chunks(self._encode, as_source(data, self.model), self.model, axis=1)

    def _encode(self, images: Tensor) -> Tensor:
        """The same of a chunk; the codes or means are those that are decoded, quantized if the objective quantizes them."""
        found = encoded(self.model, images)
        codes, *log_variance = (found.mean, found.log_variance) if isinstance(found, Posterior) else (found,)
        decoder_input = self.objective.decoder_input(Batch(images, None, codes, self.model, None, None), self.companions)
        return torch.stack([decoder_input, *log_variance])

    def _reconstructed(self, images: Tensor) -> Tensor:
        return of_shape(decoded(self.model, self._encode(images)[0]), images, self.model)

    def decode(self, codes: Any) -> Any:
        """The images (n, *image_shape) of `codes` (n, dim)."""
        z = valid_codes("codes", codes, dim=getattr(self.model, "dim", self.dim), rows=1)
        return _like(in_chunks(lambda part: decoded(self.model, part), TensorSource(z.float()), self.model), codes)

    def reconstruct(self, data: Any) -> Any:
        """The images (n, *image_shape) decoded from the codes of `data` (from the means, if stochastic)."""
        return _like(in_chunks(self._reconstructed, as_source(data, self.model), self.model), data)

    def reconstruction_error(self, data: Any) -> float:
        """Mean squared error per pixel of the reconstruction of `data`, best held-out images, in squared units of the data."""

        def errors(images: Tensor) -> Tensor:
            return (self._reconstructed(images) - images).square().flatten(1).mean(1)

        return in_chunks(errors, as_source(data, self.model), self.model, ordered=False).double().mean().item()

    def sample(self, n: int, *, prior: Any = None, seed: int = 0) -> Tensor:
        """`n` new images (n, *image_shape), decoded from draws of `prior`: a name, or anything else that `as_prior` takes.

        By default it is the objective's own; if that has none, a ValueError says so.
        """
        generator = torch.Generator("cpu").manual_seed(as_seed("seed", seed))
        dim = getattr(self.model, "dim", self.dim)
        if not dim:
            raise ValueError(f"{type(self.model).__name__} has no `dim`, the number of latents: use decode(prior.sample(n))")
        source = as_prior(prior, dim) if prior is not None else self.objective.sampling_prior(dim, self.model, self.companions)
        if source is None:
            raise ValueError(f"prior must be given: {self.objective!r} has none")
        return self.decode(source.sample(whole("n", n), generator=generator))

    def train_more(
        self, steps: int, data: Any = None, *, log_every: int | None = None, progress: bool = True, callbacks: Any = None,
        **options: Any,
    ) -> Run:  # fmt: skip
        """Train the model for `steps` more, in place, and return this same run, with all of its history.

        Without `data`, training goes on as if it had not ended: under "constant", `fit` with all the steps gives the same bits;
        under "cosine", the learning rate follows the cosine over all the steps from here on. `options` may be other values of
        batch_size, learning_rate, scheduler and max_grad_norm. A checkpoint is written on.

        With `data`, a new optimizer begins, and `options` are those of `fit`. A run that was loaded, copied or unpickled, or
        whose last training failed, has nothing else to go on with. Ctrl-C and errors leave the model in eval mode, with the
        weights of the last step or, if the loss exploded or a step ended half-way, the last good ones, of at most 49 steps
        before; steps, history and companions are those of that step. After Ctrl-C training can go on without data.
        """
        last = self.continuation if data is None else None
        if data is None and last is None:
            raise ValueError("data must be given: a run that was loaded, copied or unpickled, or that failed, does not hold it")
        if last is not None and (fixed := options.keys() - {*CHANGEABLE}):
            raise TypeError(f"train_more() can change {', '.join(CHANGEABLE)} without data, got {', '.join(sorted(fixed))}")
        total, every = self.steps + whole("steps", steps), last.trainer.every if last and log_every is None else log_every
        trainer = Trainer(total, every, progress, callbacks, last.trainer.path if last else None)
        settings = (last.options if last else {"scheduler": "cosine", "seed": self.seed}) | options
        given = data if last is None else last.source if isinstance(last.source, StreamSource) else last.data
        training = Training(self.model, given, self.objective, **settings)
        if last:
            anew = {"scheduler"} if {"learning_rate", "scheduler"} & options.keys() else set()
            training.load_state_dict({name: value for name, value in last.state.items() if name not in anew})
        else:
            training.step = training.regularizer.step = self.steps
            training.regularizer.companions.load_state_dict(self.companions.state_dict())  # type: ignore[attr-defined]
        with locked(trainer.path), one_thread_if_small(training.weights(), training.batches.size, training.device):
            return train(self, training, trainer, last.data if last else data, settings)

    def reshape(self, prior: Any = "gaussian", data: Any = None, *, codes: str = "means", seed: int = 0, **options: Any) -> Run:
        """A run of the same model whose codes have the distribution of `prior`, by an invertible map learned after training.

        The map is a `sl.Reshaper`, whose `options` these are, fitted to the codes of `data`: by default the training images, if
        this run still holds them. Images are decoded through its inverse, so reconstructions stay as they are. The model is
        shared with this run, not copied. Of a stochastic encoder the means are mapped; `codes="samples"` fits the map to draws of
        the posteriors instead, which spread farther than the means that `encode` then gives.
        """
        return import_module("sculptlab.reshaping.models").reshaped_run(self, prior, data, codes=codes, seed=seed, **options)

    def export(self) -> dict[str, Any]:
        """The model's `state_dict` as a plain dict of contiguous copies on the CPU, for torch.save and load_state_dict."""
        return exported(self.model)

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write weights, history and settings to one file in the safetensors format, for `load_run`, and return its path."""
        about = {"objective": repr(self.objective), "seed": str(self.seed), "steps": str(self.steps), "dim": str(self.dim or 0)}
        for part in getattr(self.objective, "parts", (self.objective,)):
            for name in ("decoder_input", "sampling_prior"):
                if getattr(type(part), name) is not getattr(Objective, name):
                    about["changes"] = name
        return write_run(path, self.model, exported(self.companions), self.rows, **about, stopped=self.stopped or "")


def _like(result: Tensor, given: Any) -> Any:
    if not isinstance(given, np.ndarray):
        return result
    return (result.float() if result.dtype == torch.bfloat16 else result).numpy()  # NumPy has no bfloat16


def train(run: Run, training: Training, trainer: Trainer, data: Any, options: dict[str, Any]) -> Run:
    """Train the model of `run`, and note in `run` how far it came, also if an error ends it."""
    found: dict[str, Any] = {"stopped": "failed", "continuation": None}
    rows = list(run.rows)
    if training.ranks is not None:
        training.agree(steps=trainer.total, **settings_of(training))
        if isinstance(training.source, StreamSource):
            training.ranks.differ("data that come in batches", training.source.known)
    with Interrupts() as interrupts:
        try:
            found["stopped"] = trainer.train(training, rows, interrupts)
            state = {name: value for name, value in training.state_dict().items() if name != "model"}
            found["continuation"] = Continuation(data, training.source, options, state, trainer)
        finally:
            found["rows"] = [row for row in rows if row["step"] <= training.step]
            found |= {"steps": training.step, "dim": training.regularizer.dim or None}
            vars(run).update(found, companions=training.regularizer.eval().companions)
            vars(run).pop("history", None)
    return run


def load_run(
    path: str | os.PathLike[str], *, model: nn.Module | None = None, objective: Any = None, device: str | torch.device = "auto"
) -> Run:  # fmt: skip
    """Load a run from a file that `run.save` wrote. Nothing in the file is executed.

    A model that `build_autoencoder` made is built again, also behind the map of `run.reshape`; weights of any other are put into
    the `model` given. The objective is rebuilt from its text, if that names only objectives, priors and kernels of this package
    and numbers. The optimizer's averages are not in the file: `train_more` then needs data.

    Parameters
    ----------
    path : path
        The file. The keys of its tensors are "model.NAME" for each entry of the model's state_dict, "companions.NAME", and
        "history.COLUMN"; `sculptlab.training.saving` describes them and the metadata.
    model : nn.Module, optional
        The module to load the weights into, with the structure of the one that was saved.
    objective : Objective or callable, optional
        What the run was trained for, if it cannot be rebuilt: `sample` without a prior and `train_more` need it, and all of the
        run if the objective quantizes codes or has learned what to sample from.
    device : str or torch.device
        Where the model is put; "auto" is the GPU if there is one, else the CPU.

    Returns
    -------
    Run

    Raises
    ------
    ValueError
        For a damaged file, another file, or weights that do not fit the model or the objective.

    Examples
    --------
    >>> import tempfile
    >>> import sculptlab as sl
    >>> model = sl.build_autoencoder("mlp", image_shape=(1, 8, 8), dim=2)
    >>> run = sl.fit(model, sl.load("digits"), sl.objectives.MMD("uniform"), steps=5, progress=False)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     loaded = load_run(run.save(f"{folder}/digits.safetensors"))
    >>> bool((loaded.sample(4) == run.sample(4)).all())
    True
    """
    parts, about = read_run(path)
    kind = about["model"]
    numbers = sum(value.numel() for name in ("model", "companions") for value in parts[name].values())
    if model is None:
        if "class" in kind:
            raise ValueError(f"model must be given: the file has the weights of a {kind['class']}, which load_run cannot build")
        reshaped = "reshaped" in kind
        try:
            with SizeLimit(SPARE + 2 * numbers):
                model = import_module("sculptlab.reshaping.models").rebuilt(kind) if reshaped else build_autoencoder(**kind)
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"path {os.fspath(path)!r} has no model that can be built: {error}") from error
    load_weights(as_model(model), parts["model"])
    found = objective_of(about["objective"]) if objective is None else as_objective(objective)
    if isinstance(found, UnknownObjective) and about.get("changes"):
        raise ValueError(f"objective must be given: it changes codes or samples, and the file has only its text, {found.text}")
    try:
        with nullcontext() if objective is not None else SizeLimit(SPARE + 2 * numbers):
            regularizer = Regularizer(found, about["dim"], rows=1)  # of which the companions alone are used
    except ValueError as error:
        raise ValueError(f"objective {found!r} must be the one that the run was trained for: {error}") from error
    if parts["companions"] and isinstance(found, UnknownObjective):
        warnings.warn(
            f"companions are left out ({', '.join(parts['companions'])}): give the objective to keep them", stacklevel=2
        )
    elif parts["companions"]:
        load_weights(regularizer.companions, parts["companions"], "objective must be the one that the run was trained for")
    place = as_device(device)
    return Run(
        model.to(place).eval(), found, about["rows"], seed=about["seed"], steps=about["steps"], stopped=about["stopped"],
        dim=regularizer.dim or None, companions=regularizer.to(place).eval().companions,
    )  # fmt: skip
