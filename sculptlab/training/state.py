"""A training in progress: all its state, moved on by one step at a time, and put back to its last good weights if it explodes."""

import math
import warnings
from typing import Any, NamedTuple, NoReturn

import torch
from torch import Tensor, nn

from sculptlab.training.checkpoints import by_name, fingerprint
from sculptlab.training.devices import Stage, in_full, pick_device, pick_precision
from sculptlab.training.objectives.base import Batch, Objective, SumObjective, as_objective
from sculptlab.training.run import as_images, as_model, as_unit_floats, latents
from sculptlab.validation import choice, number, whole

BATCH_SIZE = 256
EXPLODED = 1e3  # a loss this many times its first value is past recovery
WIDE = 20.0  # a standard deviation at which one value weighs 200 nats
CHECK_EVERY = 50  # steps between looks at the weights, and on a GPU, where reading makes the device wait, at the loss


class Record(NamedTuple):
    """One training step: its number (from 1) and its terms, detached 0-d tensors on the training device."""

    step: int
    terms: dict[str, Tensor]


class DivergenceError(RuntimeError):
    """The loss or the weights became NaN, infinite or absurdly large; the model was put back to its last good weights."""


def _warn_of_units(images: Tensor) -> None:
    """Warn of columns so wide that their reconstruction, in nats of unit noise, drowns every other term."""
    if images.is_floating_point() and len(images) > 1 and (widest := float(images.std(0).max())) > WIDE:
        warnings.warn(
            f"data has values with a standard deviation of up to {widest:.3g}, and half its square is the nats that they weigh: "
            "bring each column to mean 0 and standard deviation 1 first",
            stacklevel=4,
        )


class Training:
    """All the state of a run in progress: what a checkpoint saves and `advance` moves on by one step."""

    def __init__(
        self, model: nn.Module, data: Any, objective: Any, *, batch_size: int | None, learning_rate: float,
        decay_over: int | None, seed: int, device: str | torch.device, precision: str, compile: bool,
    ) -> None:  # fmt: skip
        self.model, self.objective = as_model(model), as_objective(objective)
        self.objective.check(model)
        self.device = pick_device(device)
        self.images = as_images(data, model, unit_range=self.objective.likelihood == "bernoulli").to(self.device)
        _warn_of_units(self.images)
        least = self.objective.least_batch
        if len(self.images) < least:
            raise ValueError(f"data must have at least {least} rows for {self.objective!r}, got {len(self.images)}")
        asked = batch_size if batch_size is not None else min(BATCH_SIZE, len(self.images))
        self.batch_size = whole("batch_size", asked, least=least)
        if self.batch_size > len(self.images):
            raise ValueError(f"batch_size must be at most the {len(self.images)} rows of the data, got {batch_size}")
        self.learning_rate = number("learning_rate", learning_rate, above=0)
        self.decay_over = None if decay_over is None else whole("decay_over", decay_over)
        self.seed = whole("seed", seed, least=0)
        self.step, self.first_loss = 0, math.nan
        self.generator = torch.Generator(self.device).manual_seed(self.seed)
        self.stage = Stage(model, self.device, pick_precision(precision, model, self.device))
        self.compile = choice("compile", compile, (True, False))
        self.dtype = next(model.parameters()).dtype
        self.optimizer = torch.optim.Adam(model.parameters(), lr=self.learning_rate, fused=True)
        self._make_adversaries()
        self._order = torch.empty(0)
        self.keep_if_good()

    def _make_adversaries(self) -> None:
        with torch.random.fork_rng(devices=[]):
            torch.random.default_generator.manual_seed(self.seed)
            made = self.objective.adversaries(latents(self.model, self.images))
        self.adversaries = {name: adversary.to(self.device, self.dtype) for name, adversary in made.items()}
        self.adversary_optimizers = {
            name: torch.optim.Adam(a.parameters(), lr=a.learning_rate, betas=a.betas, fused=True)
            for name, a in self.adversaries.items()
        }

    def start(self) -> None:
        """Make the model ready, before the first call of `advance`; if it is to be compiled, its next step is rehearsed."""
        self.stage.enter()
        if self.compile:
            noise = self.generator.get_state()
            with in_full(self.device):
                self.stage.compile(lambda: self._terms()[1]["loss"].backward())
            self.generator.set_state(noise)

    def _next_images(self) -> Tensor:
        """The next batch, each epoch in a new order that depends on (seed, epoch) alone; a last short batch is left out."""
        per_epoch = len(self.images) // self.batch_size
        epoch, position = divmod(self.step, per_epoch)
        if position == 0 or not len(self._order):
            shuffle = torch.Generator().manual_seed((self.seed * 1_000_003 + epoch) % 2**63)
            self._order = torch.randperm(len(self.images), generator=shuffle).to(self.device)
        rows = self._order[position * self.batch_size : (position + 1) * self.batch_size]
        return as_unit_floats(self.images[rows], self.dtype)

    def _terms(self) -> tuple[Batch, dict[str, Tensor]]:
        batch = self.objective.batch(self.stage.seen, self._next_images(), len(self.images), self.generator, self.step)
        return batch, self.objective.terms(batch, self.adversaries)

    def advance(self) -> Record:
        """Take one optimizer step of the model, then one of each adversary on the same codes."""
        if self.decay_over is not None:
            share = min(self.step / self.decay_over, 1.0)
            self.optimizer.param_groups[0]["lr"] = self.learning_rate * 0.5 * (1 + math.cos(math.pi * share))
        with in_full(self.device):
            batch, terms = self._terms()
            self._check(terms["loss"])
            self.optimizer.zero_grad()
            terms["loss"].backward()
            self.optimizer.step()
            if self.adversaries:
                self._advance_adversaries(batch.codes.detach())
        self.step += 1
        return Record(self.step, {name: value.detach() for name, value in terms.items()})

    def _advance_adversaries(self, codes: Tensor) -> None:
        for name, adversary in self.adversaries.items():
            for _ in range(adversary.rounds):
                self.adversary_optimizers[name].zero_grad()  # drops what the model's own step left behind
                adversary.loss(codes, self.generator).backward()
                self.adversary_optimizers[name].step()

    def _check(self, loss: Tensor) -> None:
        due = self.step % CHECK_EVERY == 0
        if due:
            self.keep_if_good()
        if self.device.type != "cpu" and not due:
            return
        value = loss.item()
        if math.isnan(self.first_loss):
            self.first_loss = value
        if not math.isfinite(value) or abs(value) > EXPLODED * max(abs(self.first_loss), 1.0):
            self._give_up(f"the loss was {value:.4g} at step {self.step + 1} (first: {self.first_loss:.4g})")

    def change(self, *, objective: Any = None, batch_size: int | None = None, learning_rate: float | None = None) -> None:
        """Go on with another objective, batch size or learning rate from the next step; weights, Adam's averages and noise stay.

        None leaves one as it is. An objective that brings adversaries needs a training of its own. Raises as `fit` does, and
        then changes nothing.
        """
        goal = self.objective if objective is None else as_objective(objective)
        goal.check(self.model)
        parts = goal.parts if isinstance(goal, SumObjective) else (goal,)
        if self.adversaries or any(type(part).adversaries is not Objective.adversaries for part in parts):
            raise ValueError(f"objective must be without adversaries to be changed during training, got {goal!r}")
        rows = self.batch_size if batch_size is None else whole("batch_size", batch_size, least=goal.least_batch)
        if rows > len(self.images):
            raise ValueError(f"batch_size must be at most the {len(self.images)} rows of the data, got {batch_size}")
        rate = self.learning_rate if learning_rate is None else number("learning_rate", learning_rate, above=0)
        if rows != self.batch_size:
            self._order = torch.empty(0)  # where an epoch begins depends on the batch size
        self.objective, self.batch_size, self.learning_rate = goal, rows, rate
        self.optimizer.param_groups[0]["lr"] = rate

    def keep_if_good(self) -> None:
        """Remember the weights, to be put back if training diverges; give up if they are not finite."""
        state = self.model.state_dict()
        if not all(bool(torch.isfinite(value).all()) for value in state.values() if value.is_floating_point()):
            self._give_up(f"weights became NaN or infinite by step {self.step}")
        self._good = self.step, {name: value.clone() for name, value in state.items()}

    def _give_up(self, what: str) -> NoReturn:
        step, weights = self._good
        self.model.load_state_dict(weights)
        raise DivergenceError(
            f"{what}. The model was put back to its weights of step {step}. Try a smaller learning_rate (now "
            f"{self.learning_rate:g}), a smaller weight in {self.objective!r}, a larger batch_size (now {self.batch_size}), "
            "or data scaled to [0, 1]."
        )

    def settings(self) -> dict[str, Any]:
        """What must agree for a checkpoint to go on with this training. A function is known by its name alone."""
        model = self.model
        return {
            "model": {name: str(tuple(value.shape)) for name, value in model.state_dict().items()},
            "kind of model": f"{type(model).__name__}, output {getattr(model, 'output', None)}",
            "objective": by_name(self.objective), "data": f"{tuple(self.images.shape)}, crc32 {fingerprint(self.images)}",
            "batch_size": self.batch_size, "learning_rate": self.learning_rate, "cosine over": self.decay_over,
            "seed": self.seed, "device": self.device.type, "precision": self.stage.precision,
            "compile": self.compile,
        }  # fmt: skip

    def state(self) -> dict[str, Any]:
        return {
            "step": self.step, "first_loss": self.first_loss, "generator": self.generator.get_state(),
            "model": self.model.state_dict(), "optimizer": self.optimizer.state_dict(),
            "adversaries": {name: a.state_dict() for name, a in self.adversaries.items()},
            "adversary_optimizers": {name: o.state_dict() for name, o in self.adversary_optimizers.items()},
        }  # fmt: skip

    def restore(self, state: dict[str, Any]) -> None:
        self.step, self.first_loss = state["step"], state["first_loss"]
        self.generator.set_state(state["generator"])
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        for name, adversary in self.adversaries.items():
            adversary.load_state_dict(state["adversaries"][name])
            self.adversary_optimizers[name].load_state_dict(state["adversary_optimizers"][name])
        self._order = torch.empty(0)
