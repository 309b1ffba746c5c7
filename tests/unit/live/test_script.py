"""Exported code is code that a reader will run: whatever the settings string holds, it is only the calls that are expected."""

import ast
from types import SimpleNamespace
from urllib.parse import quote, urlencode

import hypothesis
import pytest
from hypothesis import strategies as st

from sculptlab import priors
from sculptlab.live.engine import Engine
from sculptlab.live.script import PAINTED_PRIOR, _prior_code, training_script
from sculptlab.live.settings import Settings
from sculptlab.live.targets import PRESETS, encode_painting

IMPORTS = {"import base64, zlib", "import numpy as np", "import torch", "import sculptlab as sl"}
CALLS = {
    "torch.set_num_threads", "sl.load", "torch.randperm", "torch.Generator().manual_seed", "torch.Generator", "len", "print",
    "painted_prior", "sl.build_autoencoder", "sl.live.engine.with_variances", "sl.fit", "sl.training.state.Training",
    "training.start", "training.advance", "training.change", "sl.Run", "run.codes", "prior.sample", "sl.mmd2",
    "(run.model.decode(codes) - held_out).square().mean().item", "(run.model.decode(codes) - held_out).square().mean",
    "(run.model.decode(codes) - held_out).square", "run.model.decode", "sl.kernels.IMQ().fit",
    "sl.mmd2(codes, draws, kernel=sl.kernels.IMQ().fit(prior)).item",
    *(f"sl.objectives.{name}" for name in ("MMD", "KL")),
    *(f"sl.kernels.{name}" for name in ("IMQ", "RBF", "Laplacian", "Energy")),
    *(f"sl.kernels.{name}(){rest}" for name in ("IMQ", "RBF", "Laplacian") for rest in (".fit", ".fit(prior).widened")),
    *(f"sl.priors.{name}" for name in priors.__all__ if name[0].isupper()),
}  # fmt: skip
NAMES = {"torch", "sl", "data", "order", "held_out", "images", "prior", "model", "run", "training", "codes", "draws", "error",
         "distance", "len", "print", "painted_prior"}  # fmt: skip


def script(settings, later=None, objective=None):
    """The code of a run that need not be trained for it."""
    log = {0: settings} if later is None else {0: settings, 3: later}
    images = SimpleNamespace(held_out=range(10), training=range(90))
    named = lambda objective: objective or settings.objectives[0]  # noqa: E731
    engine = SimpleNamespace(log=log, step=5, images=images, yours=None, name_of=named)
    return training_script(engine, objective)


def assert_only_expected(code, settings):
    """Statements, calls and names are those that the exporter writes; all else is a literal."""
    before, found, after = code.partition(PAINTED_PRIOR)
    tree = ast.parse(before + after)
    for node in tree.body:
        assert isinstance(node, ast.Assign | ast.While | ast.Expr) or ast.unparse(node) in IMPORTS, ast.unparse(node)
    for node in ast.walk(tree):
        assert not isinstance(node, ast.Lambda | ast.FunctionDef | ast.NamedExpr | ast.comprehension), ast.unparse(node)
        if isinstance(node, ast.Call):
            assert ast.unparse(node.func) in CALLS, ast.unparse(node)
        if isinstance(node, ast.Name):
            assert node.id in NAMES
    loads = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and ast.unparse(node.func) == "sl.load"]
    assert [ast.literal_eval(one) for node in loads for one in node.args] == ([] if settings.data == "yours" else [settings.data])
    assert bool(found) == (settings.prior == "painted")


PAINTING = encode_painting([[0] * 32] * 31 + [[15] * 32])
EVIL = [
    '");__import__("os").system("true")#', "'+open('x','w')+'", "\n__import__('os')\n", "\r\nprint(1)", "=)(", '"""', "{0}", "\\",
    "é\u2028",
]  # fmt: skip
HOSTILE = st.one_of(
    st.sampled_from(EVIL),
    st.text(max_size=20),
    st.builds(
        lambda where, text: PAINTING[:where] + text + PAINTING[where:], st.integers(0, len(PAINTING)), st.sampled_from(EVIL)
    ),
    st.builds(lambda tail: PAINTING + tail, st.text("=AZ-_\n", max_size=4)),
)
FIELDS = [
    "data", "painted", "prior", "objective", "compare", "weight", "beta", "kernel", "bandwidth", "rate", "batch", "seed", "noise",
    "size", "sliders",
]  # fmt: skip
TAME = {"prior": st.sampled_from([*PRESETS, "painted"]), "kernel": st.sampled_from(["imq", "rbf", "laplace", "energy"]),
        "objective": st.sampled_from(["mmd", "kl"]), "painted": st.just(PAINTING), "batch": st.sampled_from(["16", " 32", "6_4"]),
        "compare": st.sampled_from(["0", "1"]), "data": st.just("digits")}  # fmt: skip


@st.composite
def hostile_strings(draw):
    words = {}
    for name in draw(st.lists(st.sampled_from(FIELDS), unique=True, max_size=5)):
        tame = TAME.get(name, st.sampled_from(["0.5", "1", "1_0", " 2\n", "1e1", "nan", "inf", "٣"]))
        words[name] = draw(st.one_of(tame, tame, HOSTILE))
    if words.get("prior") == "painted":
        words.setdefault("painted", PAINTING)
    return "sculptor?" + urlencode(words) + draw(st.one_of(st.just(""), st.just(""), HOSTILE))


@hypothesis.given(hostile_strings(), st.sampled_from(["mmd", "kl"]))
@hypothesis.settings(deadline=None, max_examples=200)
def test_code_of_a_hostile_string_is_the_expected_calls_with_literals(text, objective):
    try:
        settings = Settings.read(text)
    except (ValueError, TypeError):
        return  # refused, which is as good
    for code in (script(settings, objective=objective), script(settings, settings.changed(prior="ring", weight=2.0), objective)):
        assert_only_expected(code, settings)
    assert Settings.read(str(settings)) == settings


@hypothesis.given(HOSTILE)
@hypothesis.settings(deadline=None)
def test_a_hostile_name_of_data_is_written_as_a_literal(name):
    hypothesis.assume(name and name != "yours")
    settings = Settings(data=name)  # no such set: the engine would refuse it
    assert_only_expected(script(settings), settings)


@pytest.mark.parametrize("text", EVIL)
def test_a_painting_with_code_in_its_padding_is_refused(text):
    """Python's base64 ignores what is not in its alphabet, and what follows its padding."""
    for painted in (f"{PAINTING}={text}", f"{PAINTING}=={text}", f"{PAINTING[:8]}{text}{PAINTING[8:]}", f"{PAINTING}{text}"):
        with pytest.raises(ValueError, match="painted must be a painting"):
            Settings.read(f"sculptor?prior=painted&painted={quote(painted)}")


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("Uniform(dim=2, low=-1.0, high=1.0)", "sl.priors.Uniform(dim=2, low=-1.0, high=1.0)"),
        ("Ring(noise=0.1)", "sl.priors.Ring(noise=0.1)"),
        ("FromText(text='Ring(1)')", "sl.priors.FromText(text='Ring(1)')"),  # the word in the text stays as it was drawn
        ("Samples('a.npy', crc32='1')", "sl.priors.Samples('a.npy', crc32='1')"),
        ("Mixture(parts=(Ring(noise=0.1), Moons(noise=0.1)), weights=(0.5, 0.5))",
         "sl.priors.Mixture(parts=(sl.priors.Ring(noise=0.1), sl.priors.Moons(noise=0.1)), weights=(0.5, 0.5))"),
        ("Samples(<3 x 2 points, crc32 1>)", None),
        ("as_prior(draws, dim=2)", None),
        ("Ring(noise=open('x'))", None),
        ("Ring(noise=[x for x in y])", None),
        ("mine.Ring()", None),
        ("Ring", None),
        ("Ring(noise=Ring)", None),
    ],
)  # fmt: skip
def test_the_repr_of_a_prior_is_code_only_as_calls_of_priors_with_literals(text, code):
    assert _prior_code(text) == code


def test_the_expected_calls_are_those_of_a_true_run():
    engine = Engine(settings=Settings().changed(prior="painted", painted=PAINTING, compare=True))
    for objective in ("mmd", "kl"):
        assert_only_expected(training_script(engine, objective), engine.settings)
