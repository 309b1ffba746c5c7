"""The Sculptor's settings: one frozen object, and the string that carries it in a link."""

from dataclasses import dataclass, field, fields, replace
from typing import Any, Self
from urllib.parse import parse_qsl, urlencode

from sculptlab.live import targets
from sculptlab.live.targets import PAINTED, PRESETS, YOURS, BlankCanvasError, Slider, sliders_of
from sculptlab.mmd.kernel_base import Kernel
from sculptlab.mmd.kernels import IMQ, RBF, Energy, Laplacian
from sculptlab.priors import Prior
from sculptlab.validation import as_seed, check_parameters, choice, describe, flag, parameter

PREFIX = "sculptor?"  # of a settings string
OBJECTIVES = ("mmd", "kl")
KERNELS: dict[str, Kernel] = {"imq": IMQ(), "rbf": RBF(), "laplace": Laplacian(), "energy": Energy()}
BATCHES = (16, 32, 64, 128, 256, 512)
HYPERPARAMETERS = {
    slider.name: slider
    for slider in (
        Slider("weight", 0.0, 1e5, 0.1, 100.0, "weight of MMD² against the reconstruction error, in nats per image"),
        Slider("beta", 0.0, 1e3, 0.1, 0.1, "weight of the KL term; 1 gives a VAE"),
        Slider("bandwidth", 0.05, 20.0, 0.05, 1.0, "width of the kernel, as a multiple of the width that fits the prior"),
        Slider("rate", 1e-5, 1.0, 1e-5, 5e-3, "learning rate of Adam"),
    )
}
OTHER_NAMES = {  # that the rest of the package uses, with what to do instead
    "learning_rate": "it is called rate",
    "lr": "it is called rate",
    "batch_size": "it is called batch",
    "dim": "the plane shows models of 2 latents; for any number of them, train with sl.fit and look with sl.Explorer",
}


@dataclass(frozen=True)
class Settings:
    """All that a run of the Sculptor depends on, apart from the changes made during the run."""

    data: str = "digits"  # a name for `sl.load`, or "yours": images given from Python, which no string can carry
    prior: str = "square"  # one of `targets.PRIOR_NAMES`
    sliders: dict[str, float] = field(default_factory=dict)  # of the prior, by name; the others are at their start
    painted: str = ""  # an encoded painting
    objective: str = parameter(choice, "mmd", legal=OBJECTIVES)  # "kl": towards N(0, I), whatever the prior
    compare: bool = parameter(flag, False)  # both objectives, from the same weights
    weight: float = HYPERPARAMETERS["weight"].start
    beta: float = HYPERPARAMETERS["beta"].start
    kernel: str = parameter(choice, "imq", legal=KERNELS)
    bandwidth: float = HYPERPARAMETERS["bandwidth"].start
    rate: float = HYPERPARAMETERS["rate"].start
    batch: int = parameter(choice, 128, legal=BATCHES)
    seed: int = parameter(as_seed, 0)  # of weights, batches and noise

    def __post_init__(self) -> None:
        if not isinstance(self.data, str) or not self.data:
            raise TypeError(f"data must be a name, got {describe(self.data)}")
        vars(self)["sliders"] = {one.name: one.checked(self.sliders.get(one.name, one.start)) for one in sliders_of(self.prior)}
        if self.prior != PAINTED and self.painted:
            raise ValueError(f"painted is for prior='painted', got it with prior={self.prior!r}")
        if self.prior == PAINTED and not targets.decode_painting(self.painted).any():
            raise BlankCanvasError("nothing is painted yet: draw on the canvas with the mouse or a finger")
        check_parameters(self)
        vars(self).update({name: slider.checked(getattr(self, name)) for name, slider in HYPERPARAMETERS.items()})

    @property
    def objectives(self) -> tuple[str, ...]:
        """The objectives that are trained, one model each, side by side."""
        return OBJECTIVES if self.compare else (self.objective,)

    @property
    def target_settings(self) -> tuple[Any, ...]:
        """The settings on which the target depends."""
        return self.prior, self.sliders, self.painted

    def changed(self, /, **changes: Any) -> Self:  # in a string, an unknown setting may be called self
        """These settings with others in their place; the prior's sliders by their names too."""
        prior = changes.get("prior", self.prior)
        own = [one.name for one in fields(self)]
        sliders = [slider.name for slider in sliders_of(prior)]
        for name in [name for name in changes if name not in (*own, *sliders)]:
            if name in OTHER_NAMES:
                raise ValueError(f"settings have no {name!r}: {OTHER_NAMES[name]}")
            others = [other for other in PRESETS if name in [slider.name for slider in sliders_of(other)]]
            if others:
                raise ValueError(f"the prior {prior!r} has no {name!r}: that is a slider of {', '.join(others)}")
            choice("settings", name, sorted([*own, *sliders]))
        kept: dict[str, Any] = {"sliders": self.sliders} if prior == self.prior else {"sliders": {}, "painted": ""}
        changes = kept | changes
        changes["sliders"] = changes["sliders"] | {name: changes.pop(name) for name in sliders if name in changes}
        return replace(self, **changes)

    def target(self, yours: Prior | None = None) -> Prior:
        """The prior of these settings; `yours` is the one given from Python."""
        if self.prior != YOURS:
            return targets.preset_prior(self.prior, self.sliders, self.painted)
        if yours is None:
            raise ValueError("prior 'yours' is one given from Python, and none was given: choose another")
        return yours

    def kernel_for(self, prior: Prior) -> Kernel:
        """The training kernel: its width fits the prior and is multiplied by `bandwidth`; Energy has no width."""
        kernel = KERNELS[self.kernel]
        return kernel if self.bandwidth == 1 or self.kernel == "energy" else kernel.fit(prior).widened(self.bandwidth)

    def __str__(self) -> str:
        """A string that `Settings.read` takes back; it holds what differs from the defaults."""
        words: dict[str, Any] = {}
        for one in fields(self):
            value = getattr(self, one.name)
            if one.name == "sliders":
                starts = {slider.name: slider.start for slider in sliders_of(self.prior)}
                words |= {name: repr(v).removesuffix(".0") for name, v in value.items() if v != starts[name]}
            elif value != one.default:
                words[one.name] = int(value) if isinstance(value, bool) else value
        return PREFIX + urlencode(words)

    @classmethod
    def read(cls, text: str) -> Self:
        """The settings of a string; a ValueError says what in it is wrong."""
        if not isinstance(text, str) or not text.strip().startswith(PREFIX):
            raise ValueError(f"settings must be a string that begins with {PREFIX!r}, got {str(text)[:60]!r}")
        defaults = {one.name: one.default for one in fields(cls) if one.name != "sliders"}
        changes: dict[str, Any] = {}
        for name, word in parse_qsl(text.strip().removeprefix(PREFIX), keep_blank_values=True):
            if name == "sliders":
                raise ValueError("settings must have each slider by its name, such as noise=0.2, got 'sliders'")
            kind: Any = type(defaults.get(name, 0.0))
            try:
                changes[name] = bool(int(word)) if kind is bool else kind(word)
            except ValueError as error:
                raise ValueError(f"{name[:40]} must be a number, got {describe(word)}") from error
        return cls().changed(**changes)
