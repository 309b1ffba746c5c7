"""A training in progress: `advance` takes one step, or none; if the loss explodes, the last good state is put back."""

import copy
import math
import warnings
from collections.abc import Iterator
from itertools import chain
from types import SimpleNamespace
from typing import Any, NamedTuple, NoReturn

import torch
from torch import Tensor, nn

from sculptlab.training.batches import Batches, as_trainable, count_latents
from sculptlab.training.devices import Execution, pick_precision
from sculptlab.training.distributed import Ranks, check_model, checksum
from sculptlab.training.encodings import placement
from sculptlab.training.objectives.base import Custom, Objective, SumObjective, as_objective
from sculptlab.training.objectives.divergences import information_bounds
from sculptlab.training.objectives.regularizer import Regularizer
from sculptlab.training.optimization import Optimization
from sculptlab.training.sources import StreamSource, as_source
from sculptlab.validation import as_device, as_seed, choice, describe, number, whole

BATCH_SIZE = 256
LOSS_LIMIT = 1e3  # times the first loss: then training has diverged
INACTIVE = 0.01  # nats of information about the images, below which a latent is inactive
LEAST_STEPS = 100  # of training, before inactive latents are warned of: at first all of them are
CHECK_EVERY = 50  # steps between checks of the weights, and on a GPU, which has to wait for them, of the loss


class Record(NamedTuple):
    """One step, counted from 1: its terms, detached 0-d tensors on the training device; the model; the learning rate."""

    step: int
    terms: dict[str, Tensor]
    model: nn.Module
    learning_rate: float


class DivergenceError(RuntimeError):
    """The loss or the weights became NaN, infinite or far too large; the model was put back to its last good weights."""


class Training:
    """All that a run in progress consists of: model, images, objective, optimizers, generator and step."""

    def __init__(
        self, model: nn.Module, data: Any, objective: Any, *, batch_size: int | None = None, seed: int = 0,
        device: str | torch.device | None = "auto", precision: str = "auto", compile: bool = False,
        learning_rate: float | None = None, optimizer: Any = None, weight_decay: float | None = None,
        scheduler: Any = "constant", max_grad_norm: float | None = None,
    ) -> None:  # fmt: skip
        self.seed = as_seed("seed", seed)
        self.model, self.objective = as_trainable(model), as_objective(objective)
        self.objective.check(model)
        self.ranks = Ranks.present()
        if self.ranks is not None:
            check_model(model)
            if isinstance(self.objective, Custom):
                raise ValueError(
                    f"objective must be one of sl.objectives to train in {self.ranks.size} processes: the function "
                    f"{self.objective!r} would see the images of its own process alone"
                )
        self.device = as_device(device)
        self.source = as_source(data, model, unit_range=self.objective.likelihood == "bernoulli").to(self.device)
        n, least, known = self.source.rows, self.objective.least_batch, self.source.known
        if known.is_floating_point() and len(known) > 1 and (widest := float(known.std(0).max())) > 20:  # 200 nats and more
            remedy = "divide images by 255" if known.ndim == 4 else "bring each column to mean 0 and standard deviation 1 first"
            warnings.warn(
                f"data has columns with a standard deviation of up to {widest:.3g}, so that the squared error outweighs every "
                f"other term of the loss: {remedy}",
                stacklevel=3,
            )
        if n is not None and n < least:
            raise ValueError(f"data must have at least {least} rows for {self.objective!r}, got {n}")
        size = self._batch_size(batch_size, min(BATCH_SIZE, n or BATCH_SIZE), self.objective)
        self.compile = choice("compile", compile, (True, False))
        self.batches = Batches(self.source, size, self.seed, self.device, least, self.ranks)
        self.step, self.first_loss, self._posterior = 0, math.nan, None
        self._changing, self._has_buffers = False, any(True for _ in model.buffers())
        self.generator = torch.Generator(self.device).manual_seed(self.seed)
        self.execution = Execution(model, self.device, pick_precision(precision, model, self.device))
        self.dtype = placement(model)[1]
        latents = 0 if isinstance(self.objective, Custom) else count_latents(model, self.source.first)
        self.objective.check(model if latents == 0 or hasattr(model, "dim") else SimpleNamespace(dim=latents))
        self.regularizer = Regularizer(self.objective, latents, rows=n, seed=self.seed)
        self.regularizer.to(self.device, self.dtype).generator = self.generator
        joined = [weight for weight in self.regularizer.parameters() if weight.requires_grad]
        if not any(weight.requires_grad for weight in (*model.parameters(), *joined)):
            raise ValueError(f"model must have a weight that requires a gradient: all of {type(model).__name__} are frozen")
        self.optimization = Optimization(
            list(model.parameters()), joined, optimizer, learning_rate, weight_decay, scheduler, max_grad_norm
        )
        self.keep_good_state()

    @property
    def learning_rate(self) -> float:
        """The learning rate at the first step, or since the last change."""
        return self.optimization.rates[0]

    def weights(self) -> Iterator[nn.Parameter]:
        """Of the model, and of what the objective trains beside it."""
        return chain(self.model.parameters(), self.regularizer.parameters())

    @property
    def steps_per_epoch(self) -> int:
        """How many batches an epoch has; a ValueError if that is unknown."""
        size = self.batches.share if isinstance(self.source, StreamSource) else self.batches.size
        if (found := self.source.steps_per_epoch(size)) is None:
            raise ValueError("epochs cannot be counted for data without a length: give steps")
        return found

    def _batch_size(self, size: Any, default: int, objective: Objective) -> int:
        rows, least = self.source.rows, objective.least_batch
        ranks = 1 if self.ranks is None else self.ranks.size
        if self.source.own_batches:
            if (came := len(self.source.known)) < least:
                raise ValueError(f"data must come in batches of at least {least} rows for {objective!r}, got {came}")
            if size is not None:
                raise ValueError(f"batch_size must be None for data that come in batches (the first has {came} rows), got {size}")
            return ranks * came
        size = whole("batch_size", default - default % ranks if size is None else size, least=least)
        if size % ranks:
            raise ValueError(f"batch_size must be a multiple of the {ranks} processes, got {size}")
        if rows is not None and size > rows:
            raise ValueError(f"batch_size must be at most the {rows} rows of the data, got {size}")
        return size

    def start(self) -> None:
        """Make the model ready for `advance`. To compile it, run the next step once without an update."""
        self.keep_good_state()
        self.execution.begin()
        self.regularizer.train()
        if self.compile:
            before = self.generator.get_state()
            try:
                with torch.autocast(self.device.type, enabled=False):
                    self.execution.compile(lambda: self._terms()[1]["loss"].backward())
            finally:
                self.generator.set_state(before)

    def end(self) -> None:
        """Set eval mode and drop the gradients; after a cosine, give the optimizer its first learning rate back."""
        self.execution.end()
        if self.optimization.cosine:
            self.optimization.set_rates(self.optimization.rates)

    @torch.enable_grad()  # also inside a caller's no_grad
    def _terms(self) -> tuple[Tensor, dict[str, Tensor]]:
        """The codes of the step's batch, and its terms by name."""
        images = self.batches.at(self.step, self.dtype)
        batch = self.objective.batch(self.execution.view, images, self.source.rows, self.generator, self.step, self.ranks)
        self._posterior = batch.posterior
        return batch.codes, self.objective.terms(batch, self.regularizer.companions)

    def advance(self) -> Record:
        """Take one step of the model's optimizer, then those of the objective's companions on the same codes.

        An error or Ctrl-C before the weights change leaves everything as it was before the step. After that it puts back the
        last good state, which may be up to 49 steps earlier: a training is always between two steps.
        """
        if self.step % CHECK_EVERY == 0:
            self.keep_good_state()
            self.agree()
        noise, self._changing = self.generator.get_state(), False
        buffers = {name: value.clone() for name, value in self.model.named_buffers()} if self._has_buffers else {}
        try:
            return self._step()
        except DivergenceError:
            raise
        except BaseException:
            if self._changing:
                self.put_back()
            else:
                self.generator.set_state(noise)
                self.model.load_state_dict(buffers, strict=False)
            raise

    def _step(self) -> Record:
        with torch.autocast(self.device.type, enabled=False):  # also inside a caller's autocast
            codes, terms = self._terms()
            if not terms["loss"].requires_grad:
                raise ValueError(
                    f"model must compute its loss with gradients: something in {type(self.model).__name__} or the objective "
                    "leaves the graph, such as torch.no_grad, detach or NumPy"
                )
            if self.ranks is None:
                self._check(terms["loss"])
            self.optimization.optimizer.zero_grad()
            terms["loss"].backward()
            if self.ranks is not None:
                terms = self.ranks.average(terms, self.optimization.weights)
                self._check(terms["loss"])
            self._changing = True
            rate = self.optimization.step(self.step)
            self.regularizer.update(codes, self.execution.view)
        self.step += 1
        return Record(self.step, {name: value.detach() for name, value in terms.items()}, self.model, rate)

    def agree(self, **others: Any) -> None:
        """Raise ValueError in all ranks if they are at different steps, or differ in their weights, or in `others`."""
        if self.ranks is not None:
            parts = {"weights": self.optimization.weights, "companions": self.regularizer.parameters()}
            self.ranks.agree({"step": self.step} | {name: checksum(part) for name, part in parts.items()} | others)

    def _check(self, loss: Tensor) -> None:
        if self.step % CHECK_EVERY and self.device.type != "cpu":
            return
        value = loss.item()
        if math.isnan(self.first_loss):
            self.first_loss = value
        if not math.isfinite(value) or abs(value) > LOSS_LIMIT * max(abs(self.first_loss), 1.0):
            self._put_back_and_raise(f"the loss was {value:.4g} at step {self.step + 1} (first: {self.first_loss:.4g})")

    def state_dict(self) -> dict[str, Any]:
        """All that continuing needs, the model's weights too; the tensors are not copied."""
        return {
            "step": self.step, "first_loss": self.first_loss, "generator": self.generator.get_state(),
            **self.optimization.state_dict(), "regularizer": self.regularizer.state_dict(), "model": self.model.state_dict(),
        }  # fmt: skip

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Put the training where it stood when `state_dict` was called; without "model", the weights stay as they are."""
        self.generator.set_state(state["generator"])
        if "model" in state:
            self.model.load_state_dict(state["model"])
        self.optimization.load_state_dict(state)
        self.regularizer.load_state_dict(state["regularizer"])
        self.step, self.first_loss = state["step"], state["first_loss"]

    def keep_good_state(self) -> None:
        """Keep a copy of the present state, which is put back if training diverges; DivergenceError if weights are not finite."""
        if not all(bool(torch.isfinite(value).all()) for value in self.model.state_dict().values() if value.is_floating_point()):
            self._put_back_and_raise(f"weights became NaN or infinite by step {self.step}")
        self._good = copy.deepcopy(self.state_dict())

    def put_back(self) -> None:
        """Go back to the last state that `keep_good_state` kept."""
        self.load_state_dict(copy.deepcopy(self._good))  # optimizers go on with the tensors that they are given

    def _put_back_and_raise(self, reason: str) -> NoReturn:
        self.put_back()
        raise DivergenceError(
            f"{reason}. The model was put back to its weights of step {self.step}. Try a smaller learning_rate (now "
            f"{self.learning_rate:g}), a smaller weight in {self.objective!r}, a larger batch_size (now {self.batches.size}), "
            "or images scaled to [0, 1], tables to variance 1."
        )

    def warn_if_inactive(self) -> None:
        """Warn if no latent of a stochastic encoder depended on the images of the last batch, after `LEAST_STEPS` steps."""
        if self._posterior is None or self.step < LEAST_STEPS:
            return
        most = information_bounds(self._posterior).max().item()
        if most < INACTIVE:
            warnings.warn(
                f"every latent is inactive: none has more than {most:.1g} nats of information about the images, so the codes are "
                "noise. Give the reconstruction more weight: a smaller beta, as in KL(beta=0.1), or likelihood='bernoulli' for "
                f"images in [0, 1]. The objective was {self.objective!r}",
                stacklevel=5,
            )

    def change(self, *, objective: Any = None, batch_size: int | None = None, learning_rate: float | None = None) -> None:
        """Go on with another objective, batch size or learning rate from the next step; None keeps what there is.

        Weights, Adam's averages and the generator stay. An objective that brings companions needs a training of its own, in which
        its weight alone can be changed. Raises as `fit` does, and then changes nothing.
        """
        goal = self.objective if objective is None else as_objective(objective)
        goal.check(self.model)
        parts = goal.parts if isinstance(goal, SumObjective) else (goal,)
        stateful = len(self.regularizer.companions) or any(type(part).companions is not Objective.companions for part in parts)
        if stateful and not _differ_in_weight_alone(goal, self.objective):
            raise ValueError(
                "objective must be without companions to be changed during training, or differ from the present one in its "
                f"weight alone, got {describe(goal)}"
            )
        size = self._batch_size(batch_size, self.batches.size, goal)
        rate = self.learning_rate if learning_rate is None else number("learning_rate", learning_rate, above=0)
        self.objective = self.regularizer.objective = goal
        self.batches = Batches(self.source, size, self.seed, self.device, goal.least_batch, self.ranks)
        self.optimization.rates = [rate]
        self.optimization.set_rates([rate])


def _differ_in_weight_alone(one: Objective, other: Objective) -> bool:
    fields = [{name: value for name, value in vars(goal).items() if name != "weight"} for goal in (one, other)]
    return type(one) is type(other) and fields[0] == fields[1]
