"""A run of the Sculptor as plain Python: the same bits from public functions, in a page or a script."""

from __future__ import annotations

import re
from itertools import pairwise

from sculptlab import priors
from sculptlab.live.sculptor_data import TRAINING
from sculptlab.live.sculptor_engine import WIDTH, Engine
from sculptlab.live.sculptor_measures import DRAWS
from sculptlab.live.sculptor_priors import LEVELS, PAINTED, PAPER, REACH, YOURS
from sculptlab.live.sculptor_state import KERNELS, Settings
from sculptlab.priors import Prior

PAINTED_BY = f"""
def painted(painting):
    pairs = np.frombuffer(zlib.decompress(base64.urlsafe_b64decode(painting)), np.uint8)
    darkness = np.stack([pairs >> 4, pairs & 15], 1).reshape({PAPER}, {PAPER}) / {LEVELS}
    drawing = sl.priors.FromImage(darkness, invert=True, standardize=False)
    return drawing.affine(np.eye(2) * {2 * REACH / PAPER!r}, [{-REACH}, {-REACH}])

"""


def code(engine: Engine, lane: str | None = None) -> str:
    """Python that trains the model of a lane (None: the first) from its start to now, with every change on the way."""
    lane = engine.lane(lane)
    log = engine.log
    first = log[0][1]
    lines = [*_head(engine, first), *_prior(first, engine.yours), *_model(lane, first), ""]
    if len(log) == 1:
        return "\n".join([*lines, *_fit(lane, first, engine), *_tail(lane, engine)]) + "\n"
    lines += _training(lane, first, engine)
    for (_, before), (step, settings) in pairwise(log):
        lines += _until(step)
        if _place(before) != _place(settings):
            lines += _prior(settings, engine.yours)
        lines.append(f"training.change(objective={_objective(lane, settings)}, {_pace(settings, engine)})")
    lines += [*_until(engine.step), "", f"run = sl.Run(model, training.objective, [], seed={first.seed}, steps=training.step)"]
    return "\n".join([*lines, *_tail(lane, engine)]) + "\n"


def _head(engine: Engine, settings: Settings) -> list[str]:
    yours = settings.data == "yours"
    shown = len(engine.pictures.held_out)
    paints = any(s.prior == PAINTED for _, s in engine.log)
    numpy = ["import base64, zlib", "", "import numpy as np"] if paints else []
    return [
        f"# {settings}",
        *numpy,
        "import torch",
        "import sculptlab as sl",
        *([PAINTED_BY] if paints else [""]),
        "torch.set_num_threads(1)  # as the Sculptor trains: the same bits",
        "data = ...  # your images, as a Dataset" if yours else f'data = sl.load("{settings.data}")',
        "order = torch.randperm(len(data), generator=torch.Generator().manual_seed(0))",
        f"held_out, images = data.images[order[:{shown}]], data.images[order[{shown}:{shown + TRAINING}]]",
    ]


def _prior(settings: Settings, yours: Prior | None) -> list[str]:
    if settings.prior == YOURS and _named(repr(yours)) is None:
        return ["prior = ...  # yours, as it was given to the Sculptor"]
    if settings.prior == PAINTED:
        return [f'prior = painted("{settings.painted + "=" * (-len(settings.painted) % 4)}")']
    return [f"prior = {_named(repr(settings.target(yours)))}"]


def _named(text: str) -> str | None:
    """A prior's repr with `sl.priors.` before each name; None where it cannot be pasted, or needs a function of the caller's."""
    if "<" in text or "as_prior(" in text or not re.match(rf"({'|'.join(priors.__all__)})\(", text):
        return None
    return re.sub(rf"\b({'|'.join(priors.__all__)})\(", r"sl.priors.\1(", text)


def _place(settings: Settings) -> tuple[object, ...]:
    return settings.prior, settings.values, settings.painted


def _model(lane: str, settings: Settings) -> list[str]:
    made = [
        f'model = sl.build_autoencoder("mlp", image_shape=data.image_shape, dim=2, width={WIDTH}, seed={settings.seed})',
    ]
    return [*made, "model = sl.training.models.with_variances(model)"] if lane == "kl" else made


def _objective(lane: str, settings: Settings) -> str:
    if lane == "kl":
        return f"sl.objectives.KL(beta={settings.beta!r})"
    kernel = f"sl.kernels.{type(KERNELS[settings.kernel]).__name__}()"
    if settings.bandwidth != 1 and settings.kernel != "energy":
        kernel += f".fit(prior).widened({settings.bandwidth!r})"
    return f"sl.objectives.MMD(prior, weight={settings.weight!r}, kernel={kernel})"


def _pace(settings: Settings, engine: Engine) -> str:
    return f"batch_size={min(settings.batch, len(engine.pictures.training))}, learning_rate={settings.rate!r}"


def _fit(lane: str, settings: Settings, engine: Engine) -> list[str]:
    if not engine.step:
        return [f"objective = {_objective(lane, settings)}  # not trained yet"]
    return [
        f"run = sl.fit(model, images, {_objective(lane, settings)},",
        f'             steps={engine.step}, {_pace(settings, engine)}, schedule="constant",',
        f'             seed={settings.seed}, device="cpu", precision="float32")',
    ]


def _tail(lane: str, engine: Engine) -> list[str]:
    """The numbers that the widget shows, printed."""
    if not engine.step:
        return []
    kind = "samples" if lane == "kl" else "codes"
    return [
        "",
        f'codes = run.codes(held_out)["{kind}"]',
        f"draws = prior.sample({DRAWS}, torch.Generator().manual_seed(0))[:len(codes)]",
        "error = (run.model.decode(codes) - held_out).square().mean().item()",
        "distance = sl.mmd2(codes, draws, kernel=sl.kernels.IMQ().fit(prior)).item()",
        'print(f"step {run.steps}: reconstruction error {error:.4g}, MMD² {distance:.3g}")',
    ]


def _training(lane: str, settings: Settings, engine: Engine) -> list[str]:
    return [
        "# the settings were changed on the way, so it goes step by step",
        f"training = sl.training.loop.Training(model, images, {_objective(lane, settings)},",
        f"                                {_pace(settings, engine)}, decay_over=None,",
        f'                                seed={settings.seed}, device="cpu", precision="float32", compile=False)',
        "training.start()",
    ]


def _until(step: int) -> list[str]:
    return [f"while training.step < {step}:", "    training.advance()"] if step else []
