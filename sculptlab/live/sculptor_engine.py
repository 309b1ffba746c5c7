"""The Sculptor without a display: models that train while their settings change, and what is to be seen of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from torch import Tensor

from sculptlab.live.sculptor_data import Pictures, cut
from sculptlab.live.sculptor_measures import LanePicture, Target, look, reach
from sculptlab.live.sculptor_priors import NAMES, YOURS
from sculptlab.live.sculptor_state import AFRESH, Settings, checked_changes
from sculptlab.priors import Prior, as_prior
from sculptlab.training.models import Autoencoder, build_autoencoder, with_variances
from sculptlab.training.objectives import KL, MMD
from sculptlab.training.objectives.base import Objective
from sculptlab.training.run import Run
from sculptlab.training.state import DivergenceError, Training
from sculptlab.validation import choice

WIDTH = 128  # hidden units: 100 steps a second on one slow core
LPS_EVERY = 100  # steps
LOST = 100.0  # times as far out as the target lies, where kernels feel nothing
NEWS = 50  # steps for which it is said why they were begun
WHITE = "The paper is white, so training waits: paint a target, choose a shape, or press Reset."
ROWS = 600  # of the history, at most: then every second one goes
MEASURES = ("reconstruction", "mmd2", "lps")


def first_model(lane: str, settings: Settings, pictures: Pictures) -> Autoencoder:
    """The untrained model: deterministic for MMD; for KL its twin with variances, so that both begin with the same codes."""
    model = build_autoencoder("mlp", image_shape=pictures.image_shape, dim=2, width=WIDTH, seed=settings.seed)
    return with_variances(model) if lane == "kl" else model


def objective(lane: str, settings: Settings, prior: Prior) -> Objective:
    """What a lane trains for under these settings."""
    if lane == "kl":
        return KL(beta=settings.beta)
    return MMD(prior, weight=settings.weight, kernel=settings.kernel_for(prior))


class Engine:
    """Everything about a run of the Sculptor but the screen: settings, models, their history, and what went wrong.

    data       a name for `sl.load`, a Dataset, or images; names may be changed later.
    settings   to begin with; their `data` is replaced by `data` where that is given.
    prior      the prior called "yours", anything that `as_prior` takes.

    `advance` takes one step in every lane; `change` takes effect at the next step; `reset` begins again; `wipe` takes the target
    away. Only `change` and `reset` raise, on bad input. `notice` says in plain words what is wrong, and `advice` what to do about
    what the last look saw; `error` is what broke training where only a reset goes on; `refused` is what is wrong with a prior
    given, until another is chosen.
    """

    def __init__(self, data: Any = None, settings: Settings | None = None, prior: Any = None) -> None:
        settings = settings or Settings()
        self._given = None if data is None or isinstance(data, str) else cut(data)
        self.yours: Prior | None = None
        self.notice = ""
        self.blank = False  # white paper in the target's place: no step is taken
        self.error: Exception | None = None
        self.refused: Exception | None = None
        name = data if isinstance(data, str) else settings.data if data is None else "yours"
        if prior is not None:
            self._take(prior, settings.prior)
            settings = settings.changed(prior=YOURS) if self.yours is not None else settings
        self._begin(settings.changed(data=name))

    def _take(self, prior: Any, instead: str) -> None:
        """Keep a prior given from Python, or say why not."""
        try:
            found = as_prior(prior, dim=getattr(prior, "dim", None) or 2)
            if found.dim != 2:
                raise ValueError(f"it has {found.dim} dimension(s) and the plane shows 2")
            MMD(found)  # draws from it: a prior that fails does so here
            self.yours = found
        except Exception as error:  # of a person's own code, any kind
            self.refused = error
            self.notice = f"The prior given cannot be used: {error}. Shown instead: the {instead}."

    def _begin(self, settings: Settings) -> None:
        """Everything anew under `settings`; on an error nothing has changed."""
        pictures = self._pictures(settings.data)
        target = Target.of(settings.target(self.yours), len(pictures.held_out))
        made = {
            lane: Training(
                first_model(lane, settings, pictures), pictures.training, objective(lane, settings, target.prior),
                batch_size=min(settings.batch, len(pictures.training)), learning_rate=settings.rate, decay_over=None,
                seed=settings.seed, device="cpu", precision="float32", compile=False,
            )
            for lane in settings.lanes
        }  # fmt: skip
        for training in made.values():
            training.start()
        self.settings, self.pictures, self.target, self._trainings = settings, pictures, target, made
        self.log: list[tuple[int, Settings]] = [(0, settings)]
        self._rows: list[dict[str, float]] = []
        self._next_lps = 0
        self._lps: dict[str, float] = {}
        self._far, self._because = 0.0, ""
        self.error = None

    def _pictures(self, name: str) -> Pictures:
        kept = getattr(self, "pictures", None)
        if kept is not None and kept.name == name:
            return kept
        if name == "yours":
            if self._given is None:
                raise ValueError("data 'yours' is images given from Python, and none were given: choose another set")
            return self._given
        if name in NAMES:
            raise ValueError(f"data must be images or the name of a set, and {name!r} is a prior: give prior={name!r}")
        return cut(name)

    @property
    def step(self) -> int:
        return next(iter(self._trainings.values())).step

    def change(self, **changes: Any) -> None:
        """Other settings, from the next step on; a new run where data, objective, compare or seed change. Raises ValueError."""
        before, settings = self.settings, self.settings.changed(**checked_changes(changes))
        if "prior" in changes:
            self.refused = None
        elif settings == before:
            return
        if afresh := [name for name in AFRESH if getattr(before, name) != getattr(settings, name)]:
            self._begin(settings)
            self._because = "another seed" if afresh == ["seed"] else "other data" if "data" in afresh else "another objective"
        elif settings != before:
            self._turn_to(settings)
        self.blank = self.blank and "prior" not in changes
        if not self.broken:
            self.notice = WHITE if self.blank else ""

    def wipe(self) -> None:
        """White paper: no step is taken until a prior is painted or chosen, or all is reset to the one there was."""
        self.blank, self.notice = True, WHITE

    def _turn_to(self, settings: Settings) -> None:
        same = (settings.prior, settings.values, settings.painted) == (
            self.settings.prior, self.settings.values, self.settings.painted
        )  # fmt: skip
        target = self.target if same else Target.of(settings.target(self.yours), len(self.pictures.held_out))
        goals = {lane: objective(lane, settings, target.prior) for lane in self._trainings}
        for lane, training in self._trainings.items():
            rows = min(settings.batch, len(self.pictures.training))
            training.change(objective=goals[lane], batch_size=rows, learning_rate=settings.rate)
        self.settings, self.target = settings, target
        if self.log[-1][0] == self.step:
            self.log.pop()
        self.log.append((self.step, settings))

    def reset(self, seed: int | None = None) -> None:
        """Begin again under the present settings, with the same seed or another; mends whatever was broken."""
        self._begin(self.settings if seed is None else self.settings.changed(seed=seed))
        self.blank, self.notice = False, ""

    def advance(self) -> bool:
        """One step in every lane; False, with a notice, if it cannot be taken."""
        if self.broken or self.blank:
            return False
        try:
            for training in self._trainings.values():
                training.advance()
        except DivergenceError as error:
            self._break(error, f"Training broke down: {error} Then press Reset.")
        except Exception as error:  # of a prior written by the reader, any kind
            self._break(error, f"Training stopped: {type(error).__name__}: {error}. Choose another prior and press Reset.")
        return not self.broken

    def _break(self, error: Exception, words: str) -> None:
        self.error, self.notice = error, words

    @property
    def broken(self) -> bool:
        """Whether only a reset goes on."""
        return self.error is not None

    def look(self, *, settled: bool = True) -> dict[str, LanePicture]:
        """What each lane shows now, which is noted in the history; the slow numbers only where `settled`."""
        if settled and self.step >= self._next_lps:
            self._next_lps, due = self.step + LPS_EVERY, True
        else:
            due = False
        seen = {lane: look(t.model, self.pictures, self.target, lps=due) for lane, t in self._trainings.items()}
        self._lps |= {lane: picture.lps for lane, picture in seen.items() if due}
        self._far = max((reach(picture.codes) for lane, picture in seen.items() if lane == "mmd"), default=0.0)
        self._note(seen)
        return seen

    @property
    def advice(self) -> str:
        """What to know or do about what is seen, though nothing is broken: "" for nothing."""
        if self._because and self.step < NEWS:
            return f"Begun again at step 0, as {self._because} needs new weights."
        if not self.settings.weight or self._far <= LOST * self.target.box:
            return ""
        far = f"{float(f'{self._far:.1g}'):,g}"
        return (
            f"The codes flew off, to {far} from the middle: no kernel feels the target from there, so nothing pulls them back. "
            f"Lower the learning rate (now {self.settings.rate:g}), then press Reset."
        )

    def _note(self, seen: dict[str, LanePicture]) -> None:
        row: dict[str, float] = {"step": self.step}
        for lane, picture in seen.items():
            values = (picture.reconstruction, picture.mmd2, self._lps.get(lane, np.nan))
            row |= {f"{lane} {name}": value for name, value in zip(MEASURES, values, strict=True)}
        if self._rows and self._rows[-1]["step"] == self.step:
            self._rows.pop()
        self._rows.append(row)
        if len(self._rows) > ROWS:
            self._rows = self._rows[:-1:2] + self._rows[-1:]

    @property
    def history(self) -> pd.DataFrame:
        """A row for each look: step, and for each lane the held-out reconstruction error, MMD² and LPS."""
        return pd.DataFrame(self._rows)

    @property
    def pace(self) -> dict[str, float]:
        """The numbers of the last look by name."""
        return dict(self._rows[-1]) if self._rows else {}

    def lane(self, name: str | None = None) -> str:
        """The name of a lane that trains (None: the first there is). Raises ValueError for others."""
        lanes = self.settings.lanes
        return lanes[0] if name is None else choice("lane", name, lanes)

    def model(self, lane: str | None = None) -> Autoencoder:
        """The model of a lane, "mmd" or "kl" (None: the first there is), as it is now."""
        return self._trainings[self.lane(lane)].model  # type: ignore[return-value]  # first_model made it

    def result(self, lane: str | None = None) -> Run:
        """The model of a lane as a `Run`."""
        training = self._trainings[self.lane(lane)]
        return Run(training.model, training.objective, [], seed=self.settings.seed, steps=training.step)

    def codes(self, lane: str | None = None) -> Tensor:
        """The held-out codes as they are shown (m, 2): samples of a stochastic encoder."""
        run = self.result(lane)
        found = run.codes(self.pictures.held_out)
        return found["samples" if "samples" in found else "codes"]

    def run(self, steps: int) -> pd.DataFrame:
        """Take `steps` steps without a display; the history. DivergenceError or what a prior raised is in `notice`."""
        every = max(1, steps // 50)
        self.look()
        for i in range(1, steps + 1):
            if not self.advance():
                break
            if i % every == 0 or i == steps:
                self.look()
        return self.history
