"""The precision, memory layout and compiler of training: the model's layers alone are touched, and nothing stays behind."""

import contextlib
import math
import shutil
import sys
import warnings

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

import sculptlab as sl
from sculptlab.training import devices
from sculptlab.training.objectives import KL, MMD, Predictability, Reconstruction
from sculptlab.training.objectives.base import Batch, Companion, Objective, Term
from sculptlab.training.state import DivergenceError, Training

QUICK = {"steps": 12, "batch_size": 16, "device": "cpu", "progress": False}
CPU = torch.device("cpu")
IMAGES = torch.rand(64, 3, 32, 32, generator=torch.Generator().manual_seed(0))


def conv(**options):
    return sl.build_autoencoder("conv", **{"image_shape": (3, 32, 32), "dim": 2, "width": 4} | options)


def mlp(**options):
    return sl.build_autoencoder("mlp", **{"image_shape": (3, 32, 32), "dim": 2, "width": 8} | options)


def sculpted():
    return MMD(sl.priors.Gaussian(2), weight=10.0) + Predictability(width=8)


def weights(model):
    return torch.cat([p.detach().flatten() for p in model.parameters()])


class Own(torch.nn.Module):
    """A module of one's own, with encode, posterior and decode and nothing else that the package knows."""

    stochastic, dim = True, 2

    def __init__(self, **options):
        super().__init__()
        self.inner = conv(stochastic=True, **options)

    def posterior(self, images):
        return self.inner.posterior(images)

    def encode(self, images):
        return self.inner.encode(images)

    def decode(self, codes):
        return self.inner.decode(codes)


def by_hand(model, steps):
    """What `fit` does with `sculpted()` on a CPU in float32, written out."""
    objective, generator = sculpted(), torch.Generator().manual_seed(0)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        predictors = objective.companions(2)
    (networks,) = predictors.values()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, fused=True)
    companion = torch.optim.Adam(networks.parameters(), lr=networks.learning_rate, betas=networks.betas, fused=True)
    for step in range(steps):
        if step % 4 == 0:
            order = torch.randperm(64, generator=torch.Generator().manual_seed(step // 4))
        x = IMAGES[order[step % 4 * 16 :][:16]]
        optimizer.param_groups[0]["lr"] = 1e-3 * 0.5 * (1 + math.cos(math.pi * step / steps))
        batch = Batch(x, None, model.encoder(x), model, 64, generator, step)
        loss = 0.5 * (model.decoder(batch.codes).sigmoid() - x).square().sum() / 16
        for term in objective.regularizers(batch, predictors):
            loss = loss + term.weight * term.value
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        for _ in range(networks.rounds):
            companion.zero_grad()
            networks.loss(batch.codes.detach(), generator).backward()
            companion.step()
    return model


@pytest.mark.parametrize("precision", ["auto", "float32"])
def test_on_a_cpu_a_run_has_the_bits_of_a_loop_by_hand(precision):
    hand = by_hand(conv(), 12)
    # an autocast of the caller's is none of this training's business
    with torch.autocast("cpu", dtype=torch.bfloat16):
        model = sl.fit(conv(), IMAGES, sculpted(), **QUICK, precision=precision).model
    assert torch.equal(weights(hand), weights(model))
    assert not torch.equal(weights(model), weights(conv()))


class _Spied(Companion):
    def __init__(self):
        super().__init__()
        self.scale, self.saw = torch.nn.Parameter(torch.ones(())), []

    def loss(self, codes, generator):
        self.saw.append((codes.dtype, torch.is_autocast_enabled("cpu")))
        return self.scale * codes.mean()


class _Spy(Objective):
    """Notes the types in which regularizers and an companion get their codes."""

    def __init__(self):
        super().__init__()
        object.__setattr__(self, "saw", [])

    def companions(self, dim):
        return {"spied": _Spied()}

    def regularizers(self, batch, companions):
        self.saw.append((batch.codes.dtype, torch.is_autocast_enabled("cpu")))
        self.saw.append(((batch.codes @ batch.codes.T).dtype, batch.model.decode(batch.codes).dtype))
        yield Term("nothing", 1.0, batch.codes.sum() * 0)


def test_layers_are_computed_in_bfloat16_and_all_else_in_float32():
    model, inside = conv(), []
    for part in model.modules():
        if isinstance(part, torch.nn.Conv2d | torch.nn.Linear):
            part.register_forward_hook(lambda part, given, out: inside.append(out.dtype))
    training = _training(model, _Spy(), precision="bfloat16")
    training.start()
    terms = training.advance().terms
    assert set(inside) == {torch.bfloat16}
    full = (torch.float32, False)
    assert training.objective.saw == [full, (torch.float32, torch.float32)]
    assert training.regularizer.companions["spied"].saw == [full]
    assert {value.dtype for value in terms.values()} == {torch.float32}
    moments = [v for state in training.optimization.optimizer.state.values() for v in state.values()]
    assert {v.dtype for v in [*moments, *model.parameters()]} == {torch.float32}


def _training(model, objective, **options):
    return Training(model, IMAGES, objective, **{"batch_size": 16, "device": "cpu"} | options)


def test_the_loss_in_bfloat16_is_that_of_float32_but_for_rounding():
    first = {}
    for precision in ("float32", "bfloat16"):
        training = _training(conv(), sculpted(), precision=precision)
        training.start()
        first[precision] = {name: value.item() for name, value in training.advance().terms.items()}
    assert first["bfloat16"] != first["float32"]
    assert first["bfloat16"]["reconstruction"] == pytest.approx(first["float32"]["reconstruction"], rel=1e-3)
    assert first["bfloat16"]["mmd2"] == pytest.approx(first["float32"]["mmd2"], rel=2e-2)


def test_the_sigmoid_is_not_rounded_to_eight_bits():
    training = _training(conv(), Reconstruction(), precision="bfloat16")
    training.start()
    images = training.execution.view.decode(torch.randn(4, 2, generator=torch.Generator().manual_seed(0)))
    assert not torch.equal(images, images.bfloat16().float())


@pytest.mark.parametrize("make", [conv, lambda: conv(stochastic=True), mlp, Own], ids=["conv", "vae", "mlp", "own"])
def test_bfloat16_learns_and_leaves_the_model_as_float32_would(make):
    objective = KL(beta=0.1) if getattr(make(), "stochastic", False) else Reconstruction()
    plain = sl.fit(make(), IMAGES, objective, **QUICK | {"steps": 60}, precision="float32")
    low, again = (sl.fit(make(), IMAGES, objective, **QUICK | {"steps": 60}, precision="bfloat16") for _ in range(2))
    start, end, aim = low.rows[0]["loss"], low.rows[-1]["loss"], plain.rows[-1]["loss"]
    assert abs(end - aim) < 0.1 * (start - aim)
    assert torch.equal(weights(low.model), weights(again.model))
    assert not torch.equal(weights(low.model), weights(plain.model))
    assert {n: (v.shape, v.dtype, v.stride()) for n, v in low.model.state_dict().items()} == {
        n: (v.shape, v.dtype, v.stride()) for n, v in make().state_dict().items()
    }
    assert vars(low.model).keys() == vars(make()).keys()
    loaded = make()
    loaded.load_state_dict(low.model.state_dict())
    with torch.no_grad():
        assert torch.equal(low.encode(IMAGES), loaded.encode(IMAGES))
    assert low.reconstruct(IMAGES).is_contiguous()
    assert all(p.grad is None for p in low.model.parameters())


def test_convolutions_see_channels_last_and_the_objective_does_not():
    model, layouts = conv(), []

    def note(part, given, out):
        layouts.append(given[0].is_contiguous(memory_format=torch.channels_last))

    for part in model.modules():
        if isinstance(part, torch.nn.Conv2d | torch.nn.ConvTranspose2d):
            part.register_forward_hook(note)

    def function(model, images, generator):
        assert not layouts  # of this step
        error = model(images) - images
        assert layouts[0]
        assert images.is_contiguous()
        assert error.is_contiguous()
        layouts.clear()
        return error.view(len(images), -1).square().sum(1).mean()

    sl.fit(model, IMAGES, function, **QUICK, precision="bfloat16")
    assert model.encoder[0].weight.is_contiguous()


def test_a_model_that_lay_channels_last_stays_so():
    model = conv().to(memory_format=torch.channels_last)
    sl.fit(model, IMAGES, Reconstruction(), **QUICK, precision="bfloat16")
    assert model.encoder[2].weight.is_contiguous(memory_format=torch.channels_last)
    assert not model.encoder[2].weight.is_contiguous()


def test_a_model_in_eval_mode_is_trained_in_train_mode():
    modes = []

    def function(model, images, generator):
        modes.extend(part.training for part in model.modules())
        return model(images).square().mean()

    sl.fit(conv().eval(), IMAGES, function, **QUICK, precision="bfloat16")
    assert modes
    assert all(modes)


@pytest.mark.parametrize("make", [conv, mlp], ids=["conv", "mlp"])
def test_a_resumed_run_in_bfloat16_has_the_bits_of_an_uninterrupted_one(tmp_path, make):
    options = QUICK | {"scheduler": "constant", "precision": "bfloat16"}
    whole = sl.fit(make(), IMAGES, sculpted(), **options)
    sl.fit(make(), IMAGES, sculpted(), **options | {"steps": 5}, checkpoint=tmp_path / "a.pt")
    resumed = sl.fit(make(seed=9), IMAGES, sculpted(), **options, checkpoint=tmp_path / "a.pt")
    assert torch.equal(weights(whole.model), weights(resumed.model))


def test_a_checkpoint_knows_its_precision(tmp_path):
    path = tmp_path / "a.pt"
    sl.fit(mlp(), IMAGES, Reconstruction(), **QUICK, checkpoint=path)
    with pytest.raises(ValueError, match="precision: 'float32' there, 'bfloat16' here"):
        sl.fit(mlp(), IMAGES, Reconstruction(), **QUICK, checkpoint=path, precision="bfloat16")
    with pytest.raises(ValueError, match="compile: False there, True here"):
        sl.fit(mlp(), IMAGES, Reconstruction(), **QUICK, checkpoint=path, compile=True)
    assert sl.fit(mlp(), IMAGES, Reconstruction(), **QUICK, checkpoint=path).steps == 12


def test_divergence_is_noticed_in_bfloat16_and_undone():
    model = conv(output="linear")
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with pytest.raises(DivergenceError, match="put back to its weights of step 0"):
        sl.fit(model, IMAGES, lambda m, x, g: (m(x) - x).square().sum().exp(), **QUICK, precision="bfloat16")
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name])
        assert value.is_contiguous()


class _Reads(TorchDispatchMode):
    """Counts how often a value is read by Python: on a GPU, each makes the processor wait for it."""

    count = 0

    def __torch_dispatch__(self, function, types, arguments=(), keywords=None):
        self.count += function is torch.ops.aten._local_scalar_dense.default
        return function(*arguments, **keywords or {})


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("objective", [Predictability(width=8), KL(), Reconstruction(likelihood="bernoulli")], ids=repr)
def test_a_step_reads_nothing_but_the_loss_of_its_check(precision, objective):
    training = _training(conv(stochastic=True), objective, precision=precision)
    training.start()
    training.advance()
    with _Reads() as reads:
        training.advance()
    assert reads.count == 1
    training._check = lambda loss: None
    with _Reads() as reads:
        training.advance()
    assert reads.count == 0


@pytest.mark.parametrize("supported", [True, False])
def test_auto_is_bfloat16_on_a_gpu_with_units_for_it(monkeypatch, supported):
    asked = []

    def answer(including_emulation):
        asked.append(including_emulation)
        return supported

    monkeypatch.setattr(torch.cuda, "is_bf16_supported", answer)
    monkeypatch.setattr(torch.cuda, "device", lambda device: contextlib.nullcontext())
    gpu = torch.device("cuda")
    assert devices.pick_precision("auto", conv(), gpu) == ("bfloat16" if supported else "float32")
    assert asked == [False]
    assert devices.pick_precision("auto", conv().double(), gpu) == "float32"
    assert devices.pick_precision("auto", conv(), CPU) == "float32"
    assert devices.pick_precision("float32", conv(), gpu) == "float32"
    if not supported:
        with pytest.raises(ValueError, match="precision must be 'auto' or 'float32' on cuda"):
            devices.pick_precision("bfloat16", conv(), gpu)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"precision": "half"}, "precision must be one of"),
        ({"precision": None}, "precision must be one of"),
        ({"compile": "yes"}, "compile must be one of"),
        ({"precision": "bfloat16", "model": mlp().double()}, "needs a model with float32 weights"),
    ],
)
def test_bad_settings_are_named(options, words):
    model = options.get("model", mlp())
    given = {name: value for name, value in options.items() if name != "model"}
    with pytest.raises(ValueError, match=words):
        sl.fit(model, IMAGES, Reconstruction(), **QUICK, **given)
    with pytest.raises(ValueError, match=words):
        sl.steps(model, IMAGES, Reconstruction(), **given)


REAL = torch.compile


@pytest.fixture
def traced(monkeypatch):
    """torch.compile without its code generator, which takes most of the time."""
    torch.compiler.reset()
    calls = []

    def compile(function, **options):
        calls.append(function)
        return REAL(function, backend="aot_eager", **options)

    monkeypatch.setattr(torch, "compile", compile)
    yield calls
    torch.compiler.reset()


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_compiled_run_is_the_same_but_for_rounding(traced, precision):
    model = conv()
    compiled = sl.fit(model, IMAGES, sculpted(), **QUICK, precision=precision, compile=True)
    plain = sl.fit(conv(), IMAGES, sculpted(), **QUICK, precision=precision)
    assert len(traced) == 2
    assert [r["loss"] for r in compiled.rows] == pytest.approx([r["loss"] for r in plain.rows], rel=1e-2)
    assert compiled.rows[0]["loss"] == pytest.approx(plain.rows[0]["loss"], rel=1e-3)  # the rehearsal left no trace
    assert list(model.state_dict()) == list(conv().state_dict())
    assert vars(model).keys() == vars(conv()).keys()
    loaded = conv()
    loaded.load_state_dict(model.state_dict())
    loaded.eval()
    assert torch.equal(loaded.encode(IMAGES), compiled.encode(IMAGES))


def test_a_model_of_ones_own_is_compiled(traced):
    torch._dynamo.utils.counters.clear()
    run = sl.fit(Own(), IMAGES, KL(), **QUICK, compile=True)
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] in (2, 3)  # posterior and decode; torch 2.6 splits one
    assert run.rows[-1]["loss"] < run.rows[0]["loss"]


def test_every_model_is_compiled_however_many_came_before(traced):
    counters = torch._dynamo.utils.counters
    with torch._dynamo.config.patch(cache_size_limit=2):  # of which a function is no longer compiled
        for width in range(4, 4 + 4):
            counters.clear()
            sl.fit(mlp(width=width), IMAGES, Reconstruction(), **QUICK | {"steps": 2}, compile=True)
            assert counters["stats"]["unique_graphs"] == 2


def test_a_rehearsal_leaves_no_trace(traced):
    class Noisy(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.body = torch.nn.Sequential(
                torch.nn.Flatten(), torch.nn.Linear(3072, 4), torch.nn.BatchNorm1d(4), torch.nn.Dropout(0.5)
            )

        def forward(self, images):
            return self.body(images)

    with torch.random.fork_rng():
        torch.manual_seed(0)
        training = _training(Noisy(), lambda m, x, g: m(x).square().mean() + torch.rand((), generator=g), compile=True)
        before = {name: value.clone() for name, value in training.model.state_dict().items()}
        states = torch.random.get_rng_state(), training.generator.get_state()
        training.start()
        assert training.execution.view is not training.model
        assert all(torch.equal(value, before[name]) for name, value in training.model.state_dict().items())
        assert all(p.grad is None for p in training.model.parameters())
        assert torch.equal(states[0], torch.random.get_rng_state())
        assert torch.equal(states[1], training.generator.get_state())


def refuse(*arguments, **options):
    raise RuntimeError("no compiler here\nand much more")


@pytest.mark.parametrize(
    "broken",
    [refuse, lambda function, **options: refuse, lambda function, **options: REAL(function, backend=refuse, **options)],
    ids=["at once", "when called", "in the backend"],
)
def test_without_a_compiler_it_says_so_and_trains_as_it_would_without(monkeypatch, broken):
    torch.compiler.reset()
    monkeypatch.setattr(torch, "compile", broken)
    with pytest.warns(UserWarning, match=r"cannot compile this model here; it trains uncompiled \(.*no compiler here") as seen:
        found = sl.fit(conv(stochastic=True), IMAGES, KL(), **QUICK, compile=True)
    assert seen[0].filename == __file__
    plain = sl.fit(conv(stochastic=True), IMAGES, KL(), **QUICK)
    assert torch.equal(weights(found.model), weights(plain.model))
    torch.compiler.reset()


def test_a_finished_checkpoint_is_loaded_without_compiling(traced, tmp_path):
    options = QUICK | {"compile": True, "checkpoint": tmp_path / "a.pt"}
    sl.fit(mlp(), IMAGES, Reconstruction(), **options)
    done = len(traced)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        sl.fit(mlp(seed=9), IMAGES, Reconstruction(), **options)
    assert len(traced) == done


@pytest.mark.skipif(sys.platform != "linux" or not shutil.which("g++"), reason="needs a C++ compiler")
def test_the_real_compiler_compiles():
    torch.compiler.reset()
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message="compile=True")
        run = sl.fit(mlp(), IMAGES, Reconstruction(), **QUICK, compile=True, precision="bfloat16")
    plain = sl.fit(mlp(), IMAGES, Reconstruction(), **QUICK, precision="bfloat16")
    assert [r["loss"] for r in run.rows] == pytest.approx([r["loss"] for r in plain.rows], rel=1e-2)
    torch.compiler.reset()
