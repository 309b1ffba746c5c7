"""The Sculptor's settings: one frozen object, as a short string and back. No display, no model."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any
from urllib.parse import parse_qsl, urlencode

from sculptlab.live import sculptor_priors
from sculptlab.live.sculptor_priors import PAINTED, PRESETS, YOURS, NothingPaintedError, Slider
from sculptlab.mmd.kernel_base import Kernel
from sculptlab.mmd.kernels import IMQ, RBF, Energy, Laplacian
from sculptlab.priors import Prior
from sculptlab.validation import choice, whole

SCHEME = "sculptor?"
OBJECTIVES = ("mmd", "kl")
KERNELS: dict[str, Kernel] = {"imq": IMQ(), "rbf": RBF(), "laplace": Laplacian(), "energy": Energy()}
BATCHES = (16, 32, 64, 128, 256, 512)
DIALS = {
    dial.name: dial
    for dial in (
        Slider("weight", 0.0, 1e5, 0.1, 100.0, "nats per image for an MMD² of 1: the prior's say against the reconstruction's"),
        Slider("beta", 0.0, 1e3, 0.1, 0.1, "the weight of the KL term; 1: a VAE"),
        Slider("bandwidth", 0.05, 20.0, 0.05, 1.0, "the kernel's width, as a multiple of the one that the prior sets"),
        Slider("rate", 1e-5, 1.0, 1e-5, 5e-3, "Adam's learning rate"),
    )
}
ELSEWHERE = {
    "learning_rate": "it is called rate",
    "lr": "it is called rate",
    "batch_size": "it is called batch",
    "dim": "the plane shows models of 2 latents; for any number of them, train with sl.fit and look with sl.Explorer",
}  # names that the rest of the package has, and what to do about them here
AFRESH = ("data", "objective", "compare", "seed")  # a change of one of these begins again at step 0


@dataclass(frozen=True)
class Settings:
    """All that a run of the Sculptor depends on, besides the hand that changes it on the way.

    data        a name for `sl.load`, or "yours": images given from Python, which no string can carry
    prior       one of `sculptor_priors.NAMES`; `values` are its sliders' (None: their first ones), `painted` a packed painting
    objective   "mmd", or "kl", which pulls to the normal distribution whatever the prior; compare: both, from the same weights
    weight      of MMD², nats per image; beta: of KL
    kernel      "imq", "rbf", "laplace", "energy"; bandwidth multiplies the width that the prior gives it
    rate        learning rate of Adam; batch: images per step; seed: of weights, batches and noise
    """

    data: str = "digits"
    prior: str = "square"
    values: tuple[float, ...] | None = None
    painted: str = ""
    objective: str = "mmd"
    compare: bool = False
    weight: float = DIALS["weight"].start
    beta: float = DIALS["beta"].start
    kernel: str = "imq"
    bandwidth: float = 1.0
    rate: float = DIALS["rate"].start
    batch: int = 128
    seed: int = 0

    def __post_init__(self) -> None:
        if not isinstance(self.data, str) or not self.data:
            raise TypeError(f"data must be a name, got {self.data!r}")
        sliders = sculptor_priors.sliders(self.prior)
        given = tuple(slider.start for slider in sliders) if self.values is None else tuple(self.values)
        if len(given) != len(sliders):
            raise ValueError(f"values must be {len(sliders)} number(s) for the prior {self.prior!r}, got {len(given)}")
        checked = tuple(slider.checked(value) for slider, value in zip(sliders, given, strict=True))
        object.__setattr__(self, "values", checked)
        if self.prior != PAINTED and self.painted:
            raise ValueError(f"painted is for prior='painted', got it with prior={self.prior!r}")
        if self.prior == PAINTED and not sculptor_priors.unpacked(self.painted).any():
            raise NothingPaintedError
        choice("objective", self.objective, OBJECTIVES)
        choice("compare", self.compare, (True, False))
        choice("kernel", self.kernel, KERNELS)
        choice("batch", self.batch, BATCHES)
        whole("seed", self.seed, least=0)
        for name, dial in DIALS.items():
            object.__setattr__(self, name, dial.checked(getattr(self, name)))

    @property
    def sliders(self) -> dict[str, float]:
        """The prior's sliders by name."""
        assert self.values is not None  # set where they were checked
        return {slider.name: v for slider, v in zip(sculptor_priors.sliders(self.prior), self.values, strict=True)}

    @property
    def lanes(self) -> tuple[str, ...]:
        """The objectives that train beside each other."""
        return OBJECTIVES if self.compare else (self.objective,)

    def changed(self, **changes: Any) -> Settings:
        """These settings with others in their place; the prior's sliders by their names too. ValueError for other names."""
        own = {field.name for field in fields(self)}
        prior = changes.get("prior", self.prior)
        known = [slider.name for slider in sculptor_priors.sliders(prior)]
        for name in changes:
            if name not in own and name not in known:
                _refuse(name, prior, [*sorted(own), *known])
        named = {name: changes.pop(name) for name in list(changes) if name not in own}
        if prior != self.prior:  # sliders and a painting belong to the prior that is left
            changes = {"values": None, "painted": "", **changes}
        if not named:
            return replace(self, **changes)
        base = replace(self, **changes)
        return replace(base, values=tuple((base.sliders | named).values()))

    def target(self, yours: Prior | None = None) -> Prior:
        """The prior of these settings; `yours` is the one called "yours"."""
        if self.prior == YOURS:
            if yours is None:
                raise ValueError("prior 'yours' is one given from Python, and none was given: choose another")
            return yours
        if self.prior == PAINTED:
            return sculptor_priors.painted(self.painted)
        assert self.values is not None
        return sculptor_priors.preset(self.prior, self.values)

    def kernel_for(self, prior: Prior) -> Kernel:
        """The training kernel: its width is the prior's, times `bandwidth`; Energy has none."""
        kernel = KERNELS[self.kernel]
        return kernel if self.bandwidth == 1 or self.kernel == "energy" else kernel.fit(prior).widened(self.bandwidth)

    def __str__(self) -> str:
        """A short string that `Settings.read` takes back: what differs from the first settings."""
        words: dict[str, Any] = {}
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name == "values":
                starts = {slider.name: slider.start for slider in sculptor_priors.sliders(self.prior)}
                words |= {name: repr(v).removesuffix(".0") for name, v in self.sliders.items() if v != starts[name]}
            elif value != field.default:
                words[field.name] = int(value) if isinstance(value, bool) else value
        return SCHEME + urlencode(words)

    @classmethod
    def read(cls, text: str) -> Settings:
        """The settings of a string that `str` made; a ValueError that says what in it is wrong."""
        if not isinstance(text, str) or not text.strip().startswith(SCHEME):
            raise ValueError(f"settings must be a string that begins with {SCHEME!r}, got {str(text)[:60]!r}")
        pairs = parse_qsl(text.strip().removeprefix(SCHEME), keep_blank_values=True)
        return cls().changed(**{name: _value(name, word) for name, word in pairs})

    def as_dict(self) -> dict[str, Any]:
        """For the front end: plain names and numbers, the prior's sliders among them."""
        own = {field.name: getattr(self, field.name) for field in fields(self) if field.name not in ("values", "painted")}
        return own | {"sliders": self.sliders}


def _refuse(name: str, prior: str, legal: Collection[str]) -> None:
    """Say what a name that is none of the settings may have been meant for."""
    if name in ELSEWHERE:
        raise ValueError(f"settings have no {name!r}: {ELSEWHERE[name]}")
    if others := [other for other, preset in PRESETS.items() if name in {slider.name for slider in preset.sliders}]:
        raise ValueError(f"the prior {prior!r} has no {name!r}: that is a slider of {', '.join(others)}")
    choice("settings", name, legal)


def _value(name: str, word: str) -> Any:
    """What a word of a settings string stands for."""
    if name in ("data", "prior", "objective", "kernel", "painted"):
        return word
    try:
        if name == "compare":
            return bool(int(word))
        return int(word) if name in ("batch", "seed") else float(word)
    except ValueError as error:
        raise ValueError(f"{name} must be a number, got {word!r}") from error


def checked_changes(changes: Mapping[str, Any]) -> dict[str, Any]:
    """What a front end asks for, as `changed` takes it: JSON has one kind of number, sliders come by themselves."""
    plain = {name: value for name, value in changes.items() if name != "sliders"}
    plain |= changes.get("sliders") or {}
    for name in ("batch", "seed"):
        if isinstance(plain.get(name), float) and plain[name].is_integer():
            plain[name] = int(plain[name])
    return plain
