"""Files of runs: what is saved is what is loaded, and other or damaged files are named."""

import json

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import nn

import sculptlab as sl
from sculptlab.training.objectives import (
    KL,
    MMD,
    Anchors,
    BetaTC,
    Companion,
    FactorVAE,
    Objective,
    Predictability,
    Reconstruction,
)
from sculptlab.training.run import Run
from sculptlab.training.saving import UnknownObjective, _checksum, objective_of

QUICK = {"steps": 6, "batch_size": 64, "device": "cpu", "progress": False}


def make(stochastic=False, architecture="mlp", shape=(1, 8, 8), **options):
    return sl.build_autoencoder(architecture, image_shape=shape, dim=2, width=16, stochastic=stochastic, **options)


def same(a, b):
    one, two = a.state_dict(), b.state_dict()
    return one.keys() == two.keys() and all(one[k].dtype == two[k].dtype and torch.equal(one[k], two[k]) for k in one)


def run_of(model):
    return Run(model.eval(), Reconstruction(), [], seed=0, steps=0)


@pytest.mark.parametrize(
    "objective",
    [MMD("uniform"), KL(beta=0.1), FactorVAE(width=16, depth=2), BetaTC() + Predictability()],
    ids=["MMD", "KL", "FactorVAE", "BetaTC"],
)
def test_a_loaded_run_is_the_saved_one(digits, tmp_path, objective):
    run = sl.fit(make(stochastic=objective.needs_posterior), digits, objective, **QUICK, seed=3, log_every=2)
    loaded = sl.load_run(run.save(tmp_path / "new" / "a.safetensors"), device="cpu")
    assert same(loaded.model, run.model)
    assert not loaded.model.training
    assert loaded.objective == objective
    assert loaded.history.equals(run.history)
    assert (loaded.seed, loaded.steps, loaded.stopped) == (3, 6, None)
    assert loaded.companions.keys() == run.companions.keys()
    assert same(loaded.companions, run.companions)
    assert torch.equal(loaded.sample(5, seed=1), run.sample(5, seed=1))
    with pytest.raises(ValueError, match="data must be given"):
        loaded.train_more(2)
    assert loaded.train_more(2, digits, batch_size=64, device="cpu", progress=False).steps == 8


@pytest.mark.parametrize(
    "model",
    [
        make(output="linear"), make(architecture="conv", shape=(1, 28, 28)), make(architecture="residual", shape=(3, 32, 32)),
        make().double(), make().half(), make().bfloat16(),
        make(architecture="conv", shape=(3, 32, 32)).to(memory_format=torch.channels_last),
    ],
    ids=["linear", "conv", "residual", "float64", "float16", "bfloat16", "channels last"],
)  # fmt: skip
def test_every_model_of_build_autoencoder_is_built_again(tmp_path, model):
    loaded = sl.load_run(run_of(model).save(tmp_path / "a"), device="cpu").model
    assert same(loaded, model)
    assert (loaded.built_with, loaded.output) == (model.built_with, model.output)


class Tied(nn.Module):
    """Weights that two layers share, a buffer, a whole number, and a weight that is a part of a larger tensor."""

    def __init__(self, seed):
        super().__init__()
        draw = torch.Generator().manual_seed(seed)
        with torch.random.fork_rng():
            self.one, self.two = nn.Linear(4, 4), nn.Linear(4, 4)
        for name in ("weight", "bias"):
            getattr(self.one, name).data = torch.randn(getattr(self.one, name).shape, generator=draw)
        self.two.weight = self.one.weight
        self.norm = nn.BatchNorm1d(4)
        self.norm.num_batches_tracked += seed
        self.part = nn.Parameter(torch.randn(9, 4, generator=draw).T[1:3])


def test_shared_weights_buffers_and_parts_of_tensors_survive(tmp_path):
    model, other = Tied(1), Tied(2).double()
    path = run_of(model).save(tmp_path / "a")
    with pytest.raises(ValueError, match="model must be given: the file has the weights of a Tied"):
        sl.load_run(path)
    loaded = sl.load_run(path, model=other, device="cpu").model
    assert loaded is other
    assert loaded.two.weight is loaded.one.weight
    assert torch.equal(loaded.one.weight, model.one.weight)
    assert all(torch.equal(value, model.state_dict()[name]) for name, value in loaded.state_dict().items())
    assert loaded.part.dtype == torch.float32


def test_export_is_a_plain_state_dict_of_copies(digits, tmp_path):
    run = sl.fit(make(), digits, MMD("uniform"), **QUICK)
    state = run.export()
    assert type(state) is dict
    assert all(value.is_contiguous() and value.device.type == "cpu" and not value.requires_grad for value in state.values())
    torch.save(state, tmp_path / "a.pt")
    other = make(seed=5)
    other.load_state_dict(torch.load(tmp_path / "a.pt", weights_only=True))
    assert same(other, run.model)
    next(iter(state.values())).zero_()
    assert same(other, run.model)


def test_the_keys_are_the_documented_ones(digits, tmp_path):
    run = sl.fit(make(), digits, MMD("uniform") + Predictability(), **QUICK)
    path = run.save(tmp_path / "a")
    tensors = load_file(path)
    assert {name.partition(".")[0] for name in tensors} == {"model", "companions", "history"}
    assert {name.removeprefix("model.") for name in tensors if name.startswith("model.")} == run.model.state_dict().keys()
    assert tensors["history.loss"].tolist() == list(run.history["loss"])
    with safe_open(path, framework="pt") as file:
        about = file.metadata()
    assert set(about) == {
        "format", "sculptlab", "torch", "numpy", "python", "threads", "model", "objective", "seed", "steps", "dim", "stopped",
        "columns", "crc32",
    }  # fmt: skip
    assert (about["format"], about["sculptlab"]) == ("sculptlab run 2", sl.__version__)
    assert json.loads(about["model"])["architecture"] == "mlp"


def test_damaged_and_other_files_are_named(tmp_path):
    path = run_of(make()).save(tmp_path / "a")
    whole = path.read_bytes()
    for name, content, words in (
        ("short", whole[:-100], "is damaged, or no safetensors file"),
        ("text", b"hello", "is damaged, or no safetensors file"),
        ("bit", whole[:-10] + bytes([whole[-10] ^ 1]) + whole[-9:], "is damaged: its content has another checksum"),
    ):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ValueError, match=words):
            sl.load_run(tmp_path / name)
    save_file({"x": torch.ones(2)}, tmp_path / "other")
    with pytest.raises(ValueError, match=r"must be a file that run\.save wrote; .* has the format None"):
        sl.load_run(tmp_path / "other")
    with pytest.raises(FileNotFoundError, match="there is none at"):
        sl.load_run(tmp_path / "none")
    with pytest.raises(ValueError, match=r"path .* cannot be written: .*must be a file, it is a folder"):
        run_of(make()).save(tmp_path)
    assert not list(tmp_path.glob("*.part"))


def test_weights_of_another_model_are_named(tmp_path):
    path = run_of(make()).save(tmp_path / "a")
    with pytest.raises(ValueError, match=r"(?s)model must be built like the one that was saved: .*size mismatch for encoder"):
        sl.load_run(path, model=make(stochastic=True))
    with pytest.raises(ValueError, match=r"(?s)Missing key.*Unexpected key"):
        sl.load_run(path, model=Tied(0))
    with pytest.raises(TypeError, match="model must be a torch module"):
        sl.load_run(path, model=make)


def test_a_model_with_a_state_that_is_no_tensor_is_refused(tmp_path):
    class Odd(nn.Linear):
        def get_extra_state(self):
            return {"a": 1}

        def set_extra_state(self, state):
            pass

    with torch.random.fork_rng():
        run = run_of(Odd(2, 2))
    with pytest.raises(ValueError, match=r"must hold tensors only to be saved, which \['_extra_state'\]"):
        run.save(tmp_path / "a")
    assert run.export()["_extra_state"] == {"a": 1}


@pytest.mark.parametrize(
    "objective",
    [
        MMD("gaussian"), MMD(sl.priors.Ring().scaled(2.0), views="pairs", kernel=sl.kernels.RBF(0.5)), KL() + Predictability(),
        MMD(sl.priors.Gaussian(2) * sl.priors.Laplace(1), weight=3.0),
    ],
    ids=repr,
)  # fmt: skip
def test_an_objective_is_rebuilt_from_its_text(objective):
    assert repr(objective_of(repr(objective))) == repr(objective)
    assert type(objective_of(repr(objective))) is type(objective)


@pytest.mark.parametrize(
    "text",
    [
        "__import__('os').system('true')",
        "MMD(prior=open('x'))",
        "mine.loss",
        "Gaussian(dim=2)",
        "as_prior(value='gaussian')",
        "MMD(",
        "",
    ],
)
def test_other_text_is_not_run(text):
    assert isinstance(objective_of(text), UnknownObjective)


def test_an_unknown_objective_asks_for_a_prior_and_can_be_given(digits, tmp_path):
    def loss(model, images, generator):
        return (model(images) - images).square().mean()

    path = sl.fit(make(), digits, loss, **QUICK).save(tmp_path / "a")
    loaded = sl.load_run(path, device="cpu")
    assert "loss (known by this text alone)" in repr(loaded)
    with pytest.raises(ValueError, match=r"prior must be given: .*known by this text alone"):
        loaded.sample(3)
    assert len(loaded.sample(3, prior="gaussian")) == 3
    with pytest.raises(ValueError, match="objective must be given to load_run to train more"):
        loaded.train_more(2, digits, device="cpu")
    given = sl.load_run(path, objective=loss, device="cpu")
    assert given.train_more(2, digits, device="cpu", progress=False).steps == 8


def test_an_objective_that_holds_images_is_known_by_its_text(digits, tmp_path):
    anchors = Anchors(digits.images[:3], torch.zeros(3, 2))
    path = sl.fit(make(), digits, MMD("uniform") + anchors, **QUICK).save(tmp_path / "a")
    assert isinstance(sl.load_run(path, device="cpu").objective, UnknownObjective)


class Center(Companion):
    def __init__(self, dim):
        super().__init__()
        self.mean = nn.Buffer(torch.full((dim,), 7.0))


class Rounded(Objective):
    """Codes are decoded as whole numbers beside a center."""

    def companions(self, dim):
        return {"center": Center(dim)}

    def decoder_input(self, batch, companions):
        return companions["center"].mean + batch.codes.round()


def test_an_unknown_objective_that_changes_the_codes_must_be_given(digits, tmp_path):
    run = sl.fit(make(), digits, Rounded(), **QUICK)
    path = run.save(tmp_path / "a")
    with pytest.raises(ValueError, match="objective must be given: it changes codes or samples"):
        sl.load_run(path, device="cpu")
    loaded = sl.load_run(path, objective=Rounded(), device="cpu")
    assert torch.equal(loaded.encode(digits), run.encode(digits))
    assert torch.equal(loaded.encode(digits), loaded.encode(digits).round())


def test_companions_of_an_unknown_objective_are_said_to_be_left_out(digits, tmp_path):
    known = Anchors(digits.images[:3], torch.zeros(3, 2)) + Predictability()
    run = sl.fit(make(), digits, known, **QUICK)
    with pytest.warns(UserWarning, match=r"companions are left out \(.*1:predictors\.out"):
        loaded = sl.load_run(run.save(tmp_path / "a"), device="cpu")
    assert torch.equal(loaded.encode(digits), run.encode(digits))
    with pytest.raises(ValueError, match="objective must be the one that the run was trained for: "):
        sl.load_run(tmp_path / "a", objective=Predictability(), device="cpu")


def rewrite(path, to, **changes):
    """Write a run's file to `to` with other metadata, whose checksum is right."""
    with safe_open(path, framework="pt") as file:
        about = {key: entry for key, entry in (file.metadata() | changes).items() if entry is not None and key != "crc32"}
    save_file(load_file(path), to, metadata=about | {"crc32": _checksum(load_file(path), about)})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("model", '{"architecture": "mlp", "image_shape": [1, 1000000, 1000000], "dim": 2}'),
        ("model", '{"architecture": "mlp", "image_shape": [1, 8, 8], "dim": 2, "width": 100000}'), ("dim", "10000000"),
        ("objective", "Predictability(width=100000000)"), ("objective", "FactorVAE(width=100, depth=1000000)"),
    ],
)  # fmt: skip
def test_a_file_cannot_ask_for_more_memory_than_it_has(digits, tmp_path, name, value):
    path = sl.fit(make(), digits, Predictability(), **QUICK).save(tmp_path / "a")
    rewrite(path, tmp_path / "b", **{name: value})
    with pytest.raises(ValueError, match="it would have more weights than the file"):
        sl.load_run(tmp_path / "b", device="cpu")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("seed", None), ("seed", "-1"), ("steps", "many"), ("dim", "[]"), ("model", "5"), ("model", ""), ("columns", "{}["),
        ("columns", '["loss", "other"]'), ("columns", '["step", "step"]'), ("columns", '["step", "loss"]'), ("stopped", None),
        ("objective", None), ("model", "[" * 100_000), ("columns", "[" * 100_000),
    ],
)  # fmt: skip
def test_damaged_metadata_are_named(digits, tmp_path, name, value):
    path = sl.fit(make(), digits, MMD("uniform"), **QUICK).save(tmp_path / "a")
    rewrite(path, tmp_path / "b", **{name: value})
    with pytest.raises(ValueError, match="is damaged: its metadata are not those of a run"):
        sl.load_run(tmp_path / "b", device="cpu")
