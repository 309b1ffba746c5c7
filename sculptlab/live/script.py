"""A run of the Sculptor as Python code that repeats it bit by bit with public functions, for a notebook or a script.

A settings string may come from a stranger, so every value is written by `repr`, and priors only as calls with literal arguments.
"""

import ast
from itertools import pairwise

from sculptlab import priors
from sculptlab.live.engine import WIDTH, Engine
from sculptlab.live.settings import KERNELS, Settings
from sculptlab.live.targets import CANVAS_SIZE, DRAWS, EXTENT, GRAY_LEVELS, PAINTED
from sculptlab.priors import Prior

LITERAL = (ast.Call, ast.Constant, ast.Dict, ast.List, ast.Tuple, ast.UnaryOp, ast.USub, ast.keyword, ast.Load)
PAINTED_PRIOR = f"""
def painted_prior(painting):
    pairs = np.frombuffer(zlib.decompress(base64.urlsafe_b64decode(painting)), np.uint8)
    gray = np.stack([pairs >> 4, pairs & 15], 1).reshape({CANVAS_SIZE}, {CANVAS_SIZE}) / {GRAY_LEVELS}
    drawing = sl.priors.FromImage(gray, invert=True, standardize=False)
    return drawing.affine(np.eye(2) * {2 * EXTENT / CANVAS_SIZE!r}, [{-EXTENT}, {-EXTENT}])

"""


def training_script(engine: Engine, objective: str | None = None) -> str:
    """Python code that trains the model of an objective to the present step, with every change of settings on the way."""
    name, step, first = engine.name_of(objective), engine.step, engine.log[0]
    held_out, training = len(engine.images.held_out), len(engine.images.training)
    data = "...  # your images, as a Dataset" if first.data == "yours" else f"sl.load({first.data!r})"
    painted = any(settings.prior == PAINTED for settings in engine.log.values())
    lines = [
        f"# {first}",
        *(["import base64, zlib", "", "import numpy as np"] if painted else []),
        "import torch",
        "import sculptlab as sl",
        PAINTED_PRIOR if painted else "",
        "torch.set_num_threads(1)  # as in the Sculptor: the number of threads changes the last bits",
        f"data = {data}",
        "order = torch.randperm(len(data), generator=torch.Generator().manual_seed(0))",
        f"held_out, images = data.images[order[:{held_out}]], data.images[order[{held_out}:{held_out + training}]]",
        _prior_line(first, engine.yours),
        f'model = sl.build_autoencoder("mlp", image_shape=data.image_shape, dim=2, width={WIDTH}, seed={first.seed!r})',
        *(["model = sl.live.engine.with_variances(model)"] if name == "kl" else []),
        "",
    ]
    options = f'seed={first.seed!r}, device="cpu", precision="float32")'
    if step and len(engine.log) == 1:
        lines += [
            f"run = sl.fit(model, images, {_objective(name, first)},",
            f'             steps={step}, {_pace(first, training)}, scheduler="constant",',
            f"             {options}",
        ]
    else:
        lines += [
            "# step by step, so that settings can change on the way",
            f"training = sl.training.state.Training(model, images, {_objective(name, first)},",
            f"                                      {_pace(first, training)}, {options}",
            "training.start()",
        ]
        for (_, before), (start, settings) in pairwise(engine.log.items()):
            lines += [f"while training.step < {start}:", "    training.advance()"]
            if before.target_settings != settings.target_settings:
                lines.append(_prior_line(settings, engine.yours))
            lines.append(f"training.change(objective={_objective(name, settings)}, {_pace(settings, training)})")
        lines += [
            f"while training.step < {step}:",
            "    training.advance()",
            "",
            f"run = sl.Run(model, training.objective, [], seed={first.seed!r}, steps=training.step)",
        ]
    lines += [  # the scores that the widget shows
        "",
        f'codes = run.codes(held_out)["{"samples" if name == "kl" else "codes"}"]',
        f"draws = prior.sample({DRAWS}, torch.Generator().manual_seed(0))[:len(codes)]",
        "error = (run.model.decode(codes) - held_out).square().mean().item()",
        "distance = sl.mmd2(codes, draws, kernel=sl.kernels.IMQ().fit(prior)).item()",
        'print(f"step {run.steps}: reconstruction error {error:.4g}, MMD² {distance:.3g}")',
    ]
    return "\n".join(lines) + "\n"


def _prior_line(settings: Settings, yours: Prior | None) -> str:
    if settings.prior == PAINTED:
        return f"prior = painted_prior({settings.painted + '=' * (-len(settings.painted) % 4)!r})"
    code = _prior_code(repr(settings.target(yours)))
    return "prior = ...  # yours, as it was given to the Sculptor" if code is None else f"prior = {code}"


def _prior_code(text: str) -> str | None:
    """The repr of a prior as code, if it is nothing but calls of priors with literal arguments; else None.

    The repr of one that holds a function of the caller's, or large arrays, cannot be pasted.
    """
    try:
        tree = ast.parse(text, mode="eval")
    except SyntaxError:
        return None
    parts = list(ast.walk(tree.body))
    calls = [part for part in parts if isinstance(part, ast.Call)]
    names = [call.func for call in calls]
    known = all(isinstance(name, ast.Name) and name.id in priors.__all__ and name.id != "as_prior" for name in names)
    if not isinstance(tree.body, ast.Call) or not known or not all(isinstance(part, LITERAL) or part in names for part in parts):
        return None
    for call in calls:
        call.func = ast.Attribute(ast.parse("sl.priors", mode="eval").body, call.func.id, ast.Load())  # type: ignore[attr-defined]
    return ast.unparse(tree)


def _objective(name: str, settings: Settings) -> str:
    if name == "kl":
        return f"sl.objectives.KL(beta={settings.beta!r})"
    kernel = f"sl.kernels.{type(KERNELS[settings.kernel]).__name__}()"
    if settings.bandwidth != 1 and settings.kernel != "energy":
        kernel += f".fit(prior).widened({settings.bandwidth!r})"
    return f"sl.objectives.MMD(prior, weight={settings.weight!r}, kernel={kernel})"


def _pace(settings: Settings, images: int) -> str:
    return f"batch_size={min(settings.batch, images)}, learning_rate={settings.rate!r}"
