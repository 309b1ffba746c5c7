"""`PredictabilityWidget` without a display: a model that trains, its latents predicted from each other, and LPS."""

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, NamedTuple, Self

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from sculptlab.columns import permute_columns, standardize
from sculptlab.live.engine import MOST_ROWS, WIDTH
from sculptlab.live.snapshots import split_images
from sculptlab.training.images import as_unit_floats
from sculptlab.training.models import build_autoencoder
from sculptlab.training.objectives import Predictability, Reconstruction
from sculptlab.training.objectives.predictability import EPSILON
from sculptlab.training.state import DivergenceError, Training
from sculptlab.validation import as_seed, check_parameters, choice, flag, number, parameter, whole

RATE, BATCH = 2e-3, 128
FIRST_STEPS = 60  # before a run is shown
EVERY = 50  # steps between two measurements of the chance level
NEIGHBORS = 25  # whose mean predicts a latent: regressors of another kind than the penalty's networks
MOST_FITTED = 1350  # training codes among which the neighbors are
LEAST_FOUND = 0.02  # above the chance level, for LPS to count as a dependence
QUICK: dict[str, Any] = {
    "max_iter": 150,
    "n_layers": 3,
    "hidden_size": 32,
    "batch_size": 256,
    "learning_rate": 0.01,
}  # of the map
ROWS = 1800  # of a made sample; a quarter of them is held out
MADE = {
    "independent": "Made: three independent Gaussian latents.",
    "parabola": "Made: z1 is the square of z0. The sign of z0 cannot be predicted from z1.",
    "XOR": "Made: the sign of z2 is the product of the signs of z0 and z1. Any two of the three latents are independent.",
    "cross": "Made: z1 is z0 or −z0 by the toss of a coin. Its mean does not depend on z0, its spread does.",
}
MAPPED = {
    "whitened": "Whitened: a linear map gives the codes covariance I. What is not linear stays.",
    "reshaped": "Reshaped: an invertible map, learned after training, gives the codes the distribution N(0, I).",
}
SHOWN = ("codes", *MAPPED, *MADE)


@dataclass(frozen=True)
class PredictabilitySettings:
    """What a run depends on, and what is shown of it: its codes, a map of them, or a made sample."""

    latents: int = parameter(whole, 3, least=2, most=4)
    penalty: bool = parameter(flag, False)
    weight: float = parameter(number, 1.0, least=0.01, most=100.0)  # nats per nat
    seed: int = parameter(as_seed, 0)
    show: str = parameter(choice, "codes", legal=SHOWN)

    def __post_init__(self) -> None:
        check_parameters(self)

    def changed(self, **changes: Any) -> Self:
        """These settings with others in their place; where `show` is not among them, the codes in training are shown again."""
        for name in changes:
            choice("settings", name, [one.name for one in fields(self)])
        return replace(self, **{"show": "codes"} | changes)


class Predicted(NamedTuple):
    """Held-out codes (m, d) in standard deviations, their predictions, and R² (d,) of these and of predicted squares."""

    codes: Tensor
    predictions: Tensor
    r2: Tensor
    squares_r2: Tensor

    @property
    def lps(self) -> float:
        """LPS with the target "mean"."""
        return self.r2.clamp_min(0).mean().item()

    @property
    def squares(self) -> float:
        """LPS with the target "square"."""
        return self.squares_r2.clamp_min(0).mean().item()


@dataclass(frozen=True, eq=False)
class Look:
    """What is shown at one moment. A made sample has no reconstructions, and an error of NaN."""

    predicted: Predicted
    chance: tuple[float, float]  # of LPS and of LPS of squares
    network_r2: list[float] | None  # of the penalty's networks, for codes in training
    reconstructions: Tensor | None  # (m, c, h, w)
    relative: float  # reconstruction error over that of a plain autoencoder after as many steps


def predict_by_neighbors(fitted: Tensor, held_out: Tensor) -> Predicted:
    """Predict each latent of held-out codes (m, d) by its mean over the 25 fitted codes (n, d) that are nearest in the others.

    The scores are those of `sl.lps_curve` with scikit-learn's KNeighborsRegressor(25).
    """
    z = standardize(torch.cat([fitted, held_out]).double(), EPSILON)
    squares = standardize(z.square(), EPSILON)
    n, nearest = len(fitted), min(NEIGHBORS, len(fitted))
    predictions, predicted_squares = torch.empty_like(z[n:]), torch.empty_like(z[n:])
    for i in range(z.shape[1]):
        others = torch.cat([z[:, :i], z[:, i + 1 :]], dim=1)
        rows = torch.cdist(others[n:], others[:n]).topk(nearest, largest=False).indices
        predictions[:, i], predicted_squares[:, i] = z[rows, i].mean(1), squares[rows, i].mean(1)
    r2 = [_r_squared(y[n:], found) for y, found in ((z, predictions), (squares, predicted_squares))]
    return Predicted(z[n:], predictions, *r2)


def chance_level(fitted: Tensor, held_out: Tensor, seed: int = 0) -> tuple[float, float]:
    """LPS and LPS of squares of codes whose columns are permuted."""
    generator = torch.Generator().manual_seed(seed)
    found = predict_by_neighbors(permute_columns(fitted, generator), permute_columns(held_out, generator))
    return found.lps, found.squares


def _r_squared(y: Tensor, predictions: Tensor) -> Tensor:
    spread = (y - y.mean(0)).square().sum(0)
    found = 1 - (y - predictions).square().sum(0) / spread.clamp_min(1e-12)
    return torch.where(spread > 1e-9 * len(y), found, torch.zeros_like(found))  # a latent that does not vary is not predicted


def made_sample(name: str, seed: int) -> Tensor:
    """Draws (1800, d) whose dependence is known, see `MADE`."""
    u = torch.randn(ROWS, 3, generator=torch.Generator().manual_seed(seed), device="cpu", dtype=torch.float32)
    columns: dict[str, Sequence[Tensor]] = {
        "independent": tuple(u.T),
        "parabola": (u[:, 0], u[:, 0].square()),
        "XOR": (u[:, 0], u[:, 1], u[:, 2].abs() * (u[:, 0] * u[:, 1]).sign()),
        "cross": (u[:, 0], u[:, 0] * u[:, 1].sign()),
    }
    return torch.stack(tuple(columns[choice("name", name, MADE)]), dim=1)


class PredictabilityEngine:
    """One run: settings, images, model, the networks that predict its latents, and what went wrong.

    The penalty's networks train along while it is off, too: its weight is then 0. From the first step with the penalty on, a
    plain autoencoder trains beside the model on the same batches, from the same weights: its error is what the relative
    reconstruction error compares with. Whatever is shown but the codes in training stays as it is until the next step.
    """

    refused, blank = None, False

    def __init__(self, data: Any = None, settings: PredictabilitySettings | None = None) -> None:
        self.images = split_images("digits" if data is None else data)
        self._begin(settings or PredictabilitySettings())

    def _training(self, settings: PredictabilitySettings, objective: Any) -> Training:
        shape, rows = self.images.training.shape[1:], len(self.images.training)
        model = build_autoencoder("mlp", image_shape=shape, dim=settings.latents, width=WIDTH, seed=settings.seed)
        made = Training(
            model, self.images.training, objective, batch_size=min(BATCH, rows), learning_rate=RATE, seed=settings.seed,
            device="cpu", precision="float32",
        )  # fmt: skip
        made.start()
        return made

    def _begin(self, settings: PredictabilitySettings) -> None:
        settings = replace(settings, show="codes")
        self.training = self._training(settings, _objective(settings))
        self.plain: Training | None = None
        self.settings, self.notice = settings, ""
        self.error: Exception | None = None
        self._rows: dict[int, dict[str, float]] = {}
        self._chance, self._measured = (np.nan, np.nan), -EVERY
        self._still: Look | None = None

    @property
    def step(self) -> int:
        """How many steps were taken."""
        return self.training.step

    @property
    def model(self) -> Any:
        """The autoencoder in training."""
        return self.training.model

    def change(self, **changes: Any) -> None:
        """Take other settings from the next step on; other latents or another seed begin a new run."""
        settings = self.settings.changed(**changes)
        if (settings.latents, settings.seed) != (self.settings.latents, self.settings.seed):
            self._begin(settings)
        self._still = self._stand(settings.show, settings.seed) if settings.show != "codes" else None
        self.training.change(objective=_objective(settings))
        self.settings = settings
        if self.error is None:
            self.notice = ""

    def reset(self, seed: int | None = None) -> None:
        """Begin again under the present settings, with the same seed or another."""
        self._begin(self.settings if seed is None else self.settings.changed(seed=seed))

    def advance(self) -> bool:
        """Take one step, of the plain autoencoder too where it is needed; False, with a notice, if training diverged."""
        if self.error:
            return False
        if self._still is not None:
            self.change(show="codes")
        if self.plain is None and self.settings.penalty:
            self.plain = self._training(self.settings, Reconstruction())
            state = {name: value for name, value in self.training.state_dict().items() if name != "regularizer"}
            self.plain.load_state_dict(copy.deepcopy(state) | {"regularizer": self.plain.regularizer.state_dict()})
        try:
            for training in filter(None, (self.training, self.plain)):
                training.advance()
        except DivergenceError as error:
            self.error, self.notice = error, f"Training diverged: {error} Then press Reset."
        return self.error is None

    def begin(self) -> None:
        """Take the steps after which a run is first shown, unless one was taken already."""
        if self.step == 0:
            self.run(FIRST_STEPS)

    def run(self, steps: int) -> pd.DataFrame:
        """Take `steps` steps, with a measurement every 50 steps, and return the history; an error is kept in `error`."""
        for i in range(1, steps + 1):
            if not self.advance():
                break
            if self.step % EVERY == 0 or i == steps:
                self.look()
        return self.history

    @torch.no_grad()
    def look(self, *, with_chance: bool = True) -> Look:
        """What is shown now. Codes in training add a row to the history; their chance level is measured every 50 steps."""
        if self._still is not None:
            return self._still
        codes, held_out = self._encoded()
        predicted = predict_by_neighbors(codes, held_out)
        if with_chance and self.step >= self._measured + EVERY:
            self._chance, self._measured = chance_level(codes, held_out), self.step
        networks = self.training.regularizer.companions["predictors"]
        network_r2 = _r_squared(standardize(held_out, EPSILON), networks(held_out)).tolist()  # NaN once they diverged
        made = self.model.decode(held_out)
        relative, error = self._relative(made), self._error(made)
        self._rows[self.step] = {
            "step": self.step, "relative reconstruction error": relative, "reconstruction": error,
            "LPS": predicted.lps, "LPS of squares": predicted.squares, "chance level": self._chance[0],
        }  # fmt: skip
        if len(self._rows) > MOST_ROWS:
            rows = list(self._rows.items())
            self._rows = dict(rows[:-1:2] + rows[-1:])
        return Look(predicted, self._chance, network_r2, made, relative)

    @property
    def history(self) -> pd.DataFrame:
        """A row for each time of measurement: step, relative and absolute reconstruction error, LPS and its chance level."""
        return pd.DataFrame(list(self._rows.values()))

    def finding(self, look: Look) -> str:
        """What LPS finds in what is shown, and what it misses, in words."""
        about = {**MADE, **MAPPED}.get(self.settings.show, "")
        lps, squares = look.predicted.lps, look.predicted.squares
        chance, square_chance = (0.0 if np.isnan(value) else value for value in look.chance)
        if lps > chance + LEAST_FOUND:
            words = f"LPS finds a dependence: {lps:.0%} of a latent's variance, on average, is predicted from the others."
        elif squares > square_chance + LEAST_FOUND:
            words = (
                "LPS misses this dependence: the mean of a latent does not depend on the others. But "
                f"{squares:.0%} of the variance of its square, on average, is predicted from them."
            )
        else:
            words = "Neither LPS nor LPS of squares finds a dependence in these codes."
        return f"{about} {words}".strip()

    def _error(self, reconstructions: Tensor) -> float:
        return (reconstructions - self.images.held_out).square().mean().item()

    def _relative(self, reconstructions: Tensor) -> float:
        model: Any = (self.plain or self.training).model
        plain = self._error(model.decode(model.encode(self.images.held_out)))
        return self._error(reconstructions) / plain if plain else np.nan

    @torch.no_grad()
    def _encoded(self) -> tuple[Tensor, Tensor]:
        """The training codes among which neighbors are, and the held-out codes."""
        return self.model.encode(as_unit_floats(self.images.training[:MOST_FITTED])), self.model.encode(self.images.held_out)

    @torch.no_grad()
    def _stand(self, name: str, seed: int) -> Look:
        """A map of the codes, or a made sample."""
        made, relative = None, np.nan
        if name in MADE:
            codes, held_out = made_sample(name, seed).split([ROWS - ROWS // 4, ROWS // 4])
        else:
            codes, held_out, decode = self.mapped(name)
            made = decode(held_out)
            relative = self._relative(made)
        return Look(predict_by_neighbors(codes, held_out), chance_level(codes, held_out), None, made, relative)

    @torch.no_grad()
    def mapped(self, name: str) -> tuple[Tensor, Tensor, Callable[[Tensor], Tensor]]:
        """Training and held-out codes after a map that was fitted to the former, and the decoder behind the map's inverse."""
        from sculptlab.reshaping.maps import Linear  # scikit-learn and zuko: not before they are used
        from sculptlab.reshaping.models import reshaped
        from sculptlab.reshaping.reshaper import Reshaper

        codes, held_out = self._encoded()
        if name == "whitened":
            linear, model = Linear.whitening(codes.double()), self.model
            found = [linear(part.double())[0].float() for part in (codes, held_out)]
            return found[0], found[1], lambda z: model.decode(linear.inverse(z.double()).float())
        with torch.enable_grad():
            reshaper = Reshaper("gaussian", device="cpu", random_state=self.settings.seed, **QUICK).fit(codes)
        behind = reshaped(self.model, reshaper)
        found = [torch.from_numpy(reshaper.transform(part)).float() for part in (codes, held_out)]
        return found[0], found[1], behind.decode


def _objective(settings: PredictabilitySettings) -> Predictability:
    return Predictability(weight=settings.weight if settings.penalty else 0.0)
