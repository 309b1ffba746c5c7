"""The Sculptor without a display: models that train while their settings change, and the history of their scores."""

from typing import Any

import numpy as np
import pandas as pd
import torch

from sculptlab.data.sources import BUNDLED
from sculptlab.live.settings import Settings
from sculptlab.live.snapshots import SCORES, ImageSplit, Snapshot, code_extent, split_images, take_snapshot
from sculptlab.live.targets import PRIOR_NAMES, YOURS, Target
from sculptlab.priors import Prior, as_prior
from sculptlab.training.models import Autoencoder, build_autoencoder
from sculptlab.training.objectives import KL, MMD
from sculptlab.training.objectives.base import Objective
from sculptlab.training.state import DivergenceError, Training
from sculptlab.validation import choice, describe

WIDTH = 128  # hidden units: 100 steps a second on one slow core
LPS_EVERY = 100  # steps
FIRST_STEPS = 50  # before a run is shown: until then the codes lie in one spot and the decoded plane is gray
MOST_ROWS = 600  # of the history; then every second row is dropped
NEW_RUN = {"data": "other data", "objective": "another objective", "compare": "another objective", "seed": "another seed"}
BLANK_NOTICE = "The canvas is blank, so training waits: paint a target, choose a shape, or press Reset."


def with_variances(model: Autoencoder) -> Autoencoder:
    """A stochastic copy of the Sculptor's deterministic model: the same means and decoder, every posterior variance 1."""
    made = build_autoencoder("mlp", image_shape=model.image_shape, dim=model.dim, stochastic=True, width=WIDTH)
    means, last = model.state_dict(), f"encoder.{len(made.encoder) - 1}."  # type: ignore[arg-type]  # a Sequential
    doubled = {name: torch.cat([value, torch.zeros_like(value)]) for name, value in means.items() if name.startswith(last)}
    made.load_state_dict(means | doubled)
    return made


def build_objective(objective: str, settings: Settings, prior: Prior) -> Objective:
    """The training objective under these settings."""
    kl = objective == "kl"
    return KL(beta=settings.beta) if kl else MMD(prior, weight=settings.weight, kernel=settings.kernel_for(prior))


class Engine:
    """One run of the Sculptor: settings, images, target, a model for each objective, history, and what went wrong.

    `data` is a name for `sl.load`, a Dataset, or images, and replaces the data of `settings`; `prior`, anything that `as_prior`
    takes, is then called "yours". Only `change` and `reset` raise, on bad input. `notice` says what is wrong, `advice` what to do
    about the last snapshots. `error` is what stopped training until a reset. `refused` is why a prior given from Python cannot be
    used. `blank` is True while the canvas is blank: then no step is taken. `log` has the settings by the step from which
    they held.
    """

    def __init__(self, data: Any = None, settings: Settings | None = None, prior: Any = None) -> None:
        settings = settings or Settings()
        named = data is None or isinstance(data, str)
        if data is not None:
            settings = settings.changed(data=data if named else "yours")
        self._given = None if named else split_images(data)
        self.images = self._load(settings.data)
        self.offered = tuple(dict.fromkeys((*BUNDLED, self.images.name)))  # sets that a page may ask for: no download
        self.yours: Prior | None = None
        self.notice, self.blank = "", False
        self.refused: Exception | None = None
        if prior is not None:
            try:
                found = as_prior(prior, dim=getattr(prior, "dim", None) or 2)
                if found.dim != 2:
                    raise ValueError(f"it has {found.dim} dimension(s) and the plane shows 2")
                MMD(found)  # draws from it, so that a prior that fails does so here
                self.yours, settings = found, settings.changed(prior=YOURS)
            except Exception as error:  # of the caller's own code, so of any kind
                self.refused = error
                self.notice = f"The prior given cannot be used: {error}. Shown instead: the {settings.prior}."
        self._begin(settings)

    def _load(self, name: str) -> ImageSplit:
        if name == "yours":
            if self._given is None:
                raise ValueError("data 'yours' is images given from Python, and none were given: choose another set")
            return self._given
        if name in PRIOR_NAMES:
            raise ValueError(f"data must be images or the name of a set, and {describe(name)} is a prior: give prior={name!r}")
        return split_images(name)

    def _begin(self, settings: Settings) -> None:
        """Begin a run at step 0; if anything in it raises, the present run stays."""
        images = self.images if settings.data == self.images.name else self._load(settings.data)
        target = Target(settings.target(self.yours), len(images.held_out))
        trainings: dict[str, Training] = {}
        for name in settings.objectives:
            shape = images.training.shape[1:]
            model = build_autoencoder("mlp", image_shape=shape, dim=2, width=WIDTH, seed=settings.seed)
            trainings[name] = Training(
                with_variances(model) if name == "kl" else model, images.training,
                build_objective(name, settings, target.prior), batch_size=min(settings.batch, len(images.training)),
                learning_rate=settings.rate, seed=settings.seed, device="cpu", precision="float32",
            )  # fmt: skip
            trainings[name].start()
        self.settings, self.images, self.target, self.trainings = settings, images, target, trainings
        self.log = {0: settings}
        self._rows: dict[int, dict[str, float]] = {}  # by step
        self._lps: dict[str, float] = {}
        self._next_lps = 0
        self._extent, self._news = 0.0, ""
        self.error: Exception | None = None

    @property
    def step(self) -> int:
        """How many steps every model has taken; where one of two diverged, the other may be a step further."""
        return min(training.step for training in self.trainings.values())

    def change(self, **changes: Any) -> None:
        """Take other settings from the next step on; another data set, objective or seed begins a new run."""
        before, settings = self.settings, self.settings.changed(**changes)
        if settings == before and "prior" not in changes:
            return
        reasons = [reason for name, reason in NEW_RUN.items() if getattr(before, name) != getattr(settings, name)]
        if reasons:
            self._begin(settings)
            self._news = f"Begun again at step 0, as {reasons[0]} needs new weights."
        elif settings != before:
            self._continue(settings)
        if "prior" in changes:
            self.refused, self.blank = None, False
        if self.error is None:
            self.notice = BLANK_NOTICE if self.blank else ""

    def _continue(self, settings: Settings) -> None:
        target = self.target
        if settings.target_settings != self.settings.target_settings:
            target = Target(settings.target(self.yours), len(self.images.held_out))
        objectives = {name: build_objective(name, settings, target.prior) for name in self.trainings}
        size = min(settings.batch, len(self.images.training))
        for name, training in self.trainings.items():
            training.change(objective=objectives[name], batch_size=size, learning_rate=settings.rate)
        self.settings, self.target = settings, target
        self.log[self.step] = settings

    def clear(self) -> None:
        """Blank the canvas: no step is taken until a prior is painted or chosen, or a reset returns to the last one."""
        self.blank, self.notice = True, BLANK_NOTICE

    def reset(self, seed: int | None = None) -> None:
        """Begin again under the present settings, with the same seed or another."""
        self._begin(self.settings if seed is None else self.settings.changed(seed=seed))
        self.blank, self.notice = False, ""

    def advance(self) -> bool:
        """Take one step of every model; False, with a notice, if that is not possible."""
        if self.error or self.blank:
            return False
        try:
            for training in self.trainings.values():
                training.advance()
        except DivergenceError as error:
            self.error, self.notice = error, f"Training diverged: {error} Then press Reset."
            self._forget_later_steps()
        except Exception as error:  # of the caller's own prior, so of any kind
            self.error = error
            self.notice = f"Training stopped: {type(error).__name__}: {error}. Choose another prior and press Reset."
        return self.error is None

    def _forget_later_steps(self) -> None:
        """Remove from `log` and history what came after the current step: a training that diverged goes back to good weights."""
        self._rows = {step: row for step, row in self._rows.items() if step <= self.step}
        if max(self.log) > self.step:
            self.log = {step: settings for step, settings in self.log.items() if step < self.step} | {self.step: self.settings}

    def begin(self) -> None:
        """Take the steps after which a run is first shown, unless one was taken already."""
        if self.step == 0:
            self.take_snapshots(with_lps=False)
            for _ in range(FIRST_STEPS):
                if not self.advance():
                    break

    def run(self, steps: int) -> pd.DataFrame:
        """Take `steps` steps with about 50 snapshots on the way, and return the history; an error is kept in `error`."""
        every = max(1, steps // 50)
        self.take_snapshots()
        for i in range(1, steps + 1):
            if not self.advance():
                break
            if i % every == 0 or i == steps:
                self.take_snapshots()
        return self.history

    def take_snapshots(self, *, with_lps: bool = True) -> dict[str, Snapshot]:
        """Measure every model, which adds a row to the history; LPS is slow and measured every 100 steps, if at all."""
        due = with_lps and self.step >= self._next_lps
        found = {
            name: take_snapshot(training.model, self.images, self.target, None if due else self._lps.get(name, np.nan))
            for name, training in self.trainings.items()
        }
        if due:
            self._next_lps = self.step + LPS_EVERY
            self._lps = {name: snapshot.lps for name, snapshot in found.items()}
        self._extent = code_extent(found["mmd"].codes) if "mmd" in found else 0.0
        scores = {f"{name} {score}": getattr(snapshot, score) for name, snapshot in found.items() for score in SCORES}
        self._rows[self.step] = {"step": self.step, **scores}
        if len(self._rows) > MOST_ROWS:
            rows = list(self._rows.items())
            self._rows = dict(rows[:-1:2] + rows[-1:])
        return found

    def pulls(self, name: str, codes: np.ndarray) -> np.ndarray | None:
        """How MMD² pulls each code of a model under its training kernel, see `Target.pulls`; None if it is trained without."""
        used = name == "mmd" and self.settings.weight
        return self.target.pulls(codes, self.settings.kernel_for(self.target.prior)) if used else None

    @property
    def history(self) -> pd.DataFrame:
        """A row for each time of measurement: step, and for each objective the reconstruction error, MMD² and LPS."""
        return pd.DataFrame(list(self._rows.values()))

    @property
    def advice(self) -> str:
        """What the reader should know or do though training goes on; "" for nothing."""
        if self._news and self.step < 50:
            return self._news
        if not self.settings.weight or self._extent <= 100 * self.target.box:
            return ""
        return (
            f"The codes flew off, to {float(f'{self._extent:.1g}'):,g} from the origin. The kernel is flat there, so MMD has no "
            f"gradient that pulls them back. Lower the learning rate (now {self.settings.rate:g}), then press Reset."
        )

    def name_of(self, objective: str | None) -> str:
        """`objective`, if it is trained; by default the first one that is."""
        names = self.settings.objectives
        return names[0] if objective is None else choice("objective", objective, names)

    def model(self, objective: str | None = None) -> Autoencoder:
        """The model of an objective as it is now."""
        return self.trainings[self.name_of(objective)].model  # type: ignore[return-value]  # `_begin` made it
