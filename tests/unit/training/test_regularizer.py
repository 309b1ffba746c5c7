"""A term on codes alone has the value that `fit` sees, trains as `fit` does, and can be moved, copied, saved and compiled."""

import copy
import io
import shutil
import sys
import warnings
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from torch.utils.data import DataLoader, TensorDataset

import sculptlab as sl
from sculptlab.training import objectives as o
from sculptlab.training.state import Training

IMAGES = torch.rand(64, 1, 4, 4, generator=torch.Generator().manual_seed(0))
PRIOR = sl.priors.Gaussian(2)
CODES = torch.randn(64, 2, generator=torch.Generator().manual_seed(1))
SMALL = {"width": 8}


def mlp(**options):
    return sl.build_autoencoder("mlp", **{"image_shape": (1, 4, 4), "dim": 2, "width": 16} | options)


def codes(seed=2, n=64, d=2, dtype=torch.float32):
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed), dtype=dtype).requires_grad_()


EVERY = [
    o.Reconstruction(), o.KL(0.5), o.BetaTC(), o.DIP(), o.FactorVAE(width=8, depth=2), o.InfoVAE(), o.MMD(PRIOR),
    o.MMD("uniform", views="pairs", subset=1), o.MMD(PRIOR, schedule=o.Ramp(10, start=0.5)), o.EnergyDistance(PRIOR),
    o.SlicedWasserstein(PRIOR), o.Predictability(**SMALL), o.Predictability(penalty="square", **SMALL), o.Copying(CODES),
    o.Isometry(), o.Anchors(IMAGES[:3], CODES[:3]),
    o.LabeledMMD(sl.priors.Conditional({0: PRIOR, 1: PRIOR}), IMAGES[:8], [0, 1] * 4),
    o.KL() + o.MMD(PRIOR) + o.FactorVAE(width=8, depth=2) + o.Predictability(**SMALL),
]  # fmt: skip


@pytest.mark.parametrize("objective", EVERY, ids=repr)
def test_the_value_is_the_weighted_sum_of_the_terms_that_fit_sees(objective):
    model = mlp(stochastic=objective.needs_posterior)
    training = Training(model, IMAGES, objective, device="cpu", batch_size=32, seed=3)
    term = objective.regularizer(2, rows=64, seed=3)
    images = training.batches.at(0, torch.float32)
    state = training.generator.get_state()
    batch = objective.batch(model, images, 64, training.generator)
    values = objective.terms(batch, training.regularizer.companions)
    if objective.needs_posterior:  # the draw comes from the same generator
        term.generator = torch.Generator()
        term.generator.set_state(state)
        batch.posterior.sample(term.generator)
    found = term(batch.codes, batch.posterior, model)
    assert found.ndim == 0
    torch.testing.assert_close(found, values["loss"] - values["reconstruction"], rtol=1e-5, atol=1e-5)
    assert found.requires_grad == (not isinstance(objective, o.Reconstruction))


def test_closed_forms():
    z = codes()
    mean, log_variance = torch.zeros(5, 2), torch.zeros(5, 2)
    assert o.KL().regularizer(2)(mean, (mean, log_variance)) == 0
    assert o.KL(beta=3.0).regularizer(2)(mean, (mean + 1, log_variance)).item() == pytest.approx(3.0)  # 2 latents of 1/2
    assert o.Reconstruction().regularizer(2)(z) == 0
    halved = o.MMD(PRIOR, weight=7.0, schedule=o.Ramp(2)).regularizer(2)
    assert halved(z) == 0
    halved.update(z)
    target = PRIOR.sample(64, generator := torch.Generator().manual_seed(0))
    target = PRIOR.sample(64, generator)  # the second draw
    kernel = o.MMD(PRIOR)._views_of(2)[2]
    assert halved(z).item() == pytest.approx(3.5 * sl.mmd2(z, target, kernel=kernel).item(), rel=1e-4)


def by_hand(objective, steps, model, *, joined=False):
    """The steps of `fit` on the same batches in plain PyTorch; under `joined` the optimizer gets the term's parameters too."""
    batches = Training(mlp(stochastic=True), IMAGES, o.Reconstruction(), device="cpu", batch_size=16, seed=5).batches
    term = objective.regularizer(2, rows=64, seed=5)
    term.generator = torch.Generator().manual_seed(5)
    weights = [*model.parameters(), *term.parameters()] if joined else model.parameters()
    optimizer = torch.optim.Adam(weights, lr=1e-3, fused=True)
    for step in range(steps):
        images = batches.at(step, torch.float32)
        if model.stochastic:
            mean, log_variance = model.encoder(images).chunk(2, dim=1)
            noise = torch.randn(mean.shape, generator=term.generator)
            z = mean + (0.5 * log_variance).exp() * noise
        else:
            z, mean, log_variance = model.encode(images), None, None
        posterior = (mean, log_variance) if model.stochastic else None
        loss = 0.5 * (model.decode(z) - images).square().sum() / len(images) + term(z, posterior)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        term.update(z)
    return torch.cat([weight.detach().flatten() for part in (model, term) for weight in part.parameters()])


@pytest.mark.parametrize("joined", [False, True], ids=["model", "model and term"])
@pytest.mark.parametrize(
    "objective",
    [o.MMD(PRIOR), o.MMD(PRIOR) + o.Predictability(**SMALL), o.FactorVAE(width=8, depth=2), o.MMD(PRIOR, schedule=o.Ramp(9))],
    ids=["MMD", "MMD + predictability", "FactorVAE", "schedule"],
)
def test_a_plain_loop_has_the_bits_of_fit(objective, joined):
    run = sl.fit(
        mlp(stochastic=objective.needs_posterior), IMAGES, objective, steps=12, batch_size=16, scheduler="constant", seed=5,
        device="cpu", progress=False,
    )  # fmt: skip
    fitted = [weight.detach().flatten() for part in (run.model, run.companions) for weight in part.parameters()]
    assert torch.equal(torch.cat(fitted), by_hand(objective, 12, mlp(stochastic=objective.needs_posterior), joined=joined))


def adversaries(term):
    return torch.cat([weight.detach().flatten().clone() for weight in term.companions.parameters()])


@pytest.mark.parametrize("make", [torch.optim.AdamW, torch.optim.SGD, torch.optim.RMSprop], ids=lambda kind: kind.__name__)
def test_no_other_optimizer_changes_the_predictors(make):
    model = mlp()
    model.term = (o.MMD(PRIOR) + o.Predictability(**SMALL)).regularizer(2)
    optimizer = make(model.parameters(), lr=1e-2, weight_decay=0.5)
    before = adversaries(model.term)
    for _ in range(3):
        model.requires_grad_(True)  # as one does to unfreeze a model
        z = model.encode(IMAGES)
        (model.term(z) + z.square().mean()).backward()
        assert all(weight.grad is None for weight in model.term.parameters())
        optimizer.step()
        optimizer.zero_grad()
    assert torch.equal(adversaries(model.term), before)
    model.term.update(z)
    assert not torch.equal(adversaries(model.term), before)
    assert all(weight.grad is None and not weight.requires_grad for weight in model.term.parameters())


def test_training_the_predictors_lowers_their_own_loss():
    term, z = o.Predictability(width=16, rounds=8).regularizer(2), codes(n=256).detach()
    z[:, 1] = z[:, 0] ** 2
    first = term.companions["predictors"].loss(z, None).item()
    low = term(z).item()
    for _ in range(60):
        term.update(z)
    assert term.companions["predictors"].loss(z, None).item() < 0.6 * first
    assert term(z).item() > low + 0.5  # the second is predicted from the first


def train(term, steps, start=0):
    """A few steps on codes that move; the values of all steps."""
    values = []
    for step in range(start, start + steps):
        z = codes(seed=step).detach().to(next(iter(term.parameters()), CODES).dtype).requires_grad_()
        kl = {"posterior": (z, z * 0)} if term.objective.needs_posterior else {}
        value = term(z, **kl)
        value.backward()
        term.update(z)
        values.append((value.item(), z.grad.sum().item()))
    return values


STATEFUL = [
    lambda: (o.MMD(PRIOR, schedule=o.Ramp(9)) + o.Predictability(**SMALL)).regularizer(2, seed=4),
    lambda: o.FactorVAE(width=8, depth=2).regularizer(2, seed=4),
    lambda: o.SlicedWasserstein("uniform").regularizer(2, seed=4),
]


@pytest.mark.parametrize("make", STATEFUL)
def test_state_dict_copy_and_pickle_go_on_with_the_same_bits(make):
    term = make()
    train(term, 4)
    torch.save(torch.nn.ModuleDict({"term": term}).state_dict(), file := io.BytesIO())
    file.seek(0)
    state = torch.load(file, weights_only=True)
    assert all(isinstance(value, torch.Tensor) for value in state.values())
    loaded = torch.nn.ModuleDict({"term": make()})
    train(loaded["term"], 2)
    loaded.load_state_dict(state)
    replaced = torch.nn.ModuleDict({"term": make()})
    replaced.load_state_dict(state, assign=True)
    torch.save(term, file := io.BytesIO())
    file.seek(0)
    pickled, copied = torch.load(file, weights_only=False), copy.deepcopy(term)
    expected = train(term, 3, start=4)
    for other in (loaded["term"], replaced["term"], pickled, copied):
        assert train(other, 3, start=4) == expected
        assert torch.equal(adversaries(other), adversaries(term)) if len(term.companions) else True
        assert other.step == 7


def test_a_state_may_be_saved_by_safetensors(tmp_path):
    safetensors = pytest.importorskip("safetensors.torch")
    term, other = STATEFUL[0](), STATEFUL[0]()
    train(term, 4)
    safetensors.save_model(term, tmp_path / "term.safetensors")
    safetensors.load_model(other, tmp_path / "term.safetensors")
    assert train(other, 2, start=4) == train(term, 2, start=4)


def test_a_state_of_another_objective_is_refused_by_torch():
    with pytest.raises(RuntimeError, match="companions"):
        o.MMD(PRIOR).regularizer(2).load_state_dict(STATEFUL[1]().state_dict())
    with pytest.raises(RuntimeError, match="companions"):
        STATEFUL[1]().load_state_dict(o.MMD(PRIOR).regularizer(2).state_dict())


def test_float64_before_or_in_the_middle_of_training():
    early, late = STATEFUL[0]().double(), STATEFUL[0]()
    train(early, 3)
    train(late, 3)
    late.double()
    values = train(late, 3, start=3)
    assert adversaries(late).dtype == torch.float64
    torch.testing.assert_close(torch.tensor(values), torch.tensor(train(early, 3, start=3)), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("make", STATEFUL)
def test_codes_of_another_type_than_the_companions(make):
    term = make()
    single, double = term(codes(), (codes(), codes() * 0)), make()(codes().double(), (codes().double(), codes().double() * 0))
    assert double.dtype == torch.float64
    assert double.item() == pytest.approx(single.item(), rel=1e-4, abs=1e-5)
    term.update(codes().double())


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
@pytest.mark.parametrize("make", STATEFUL)
def test_sixteen_bits_are_computed_in_float32(make, dtype):
    term, other = make().to(dtype), make()
    assert {value.dtype for value in term.companions.parameters()} <= {torch.float32}
    low = codes().detach().to(dtype).requires_grad_()
    single = low.detach().float().requires_grad_()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        value = term(low, (low, low * 0))
    expected = other(single, (single, single * 0))
    assert value.dtype == torch.float32
    assert torch.equal(value, expected)
    value.backward()
    expected.backward()
    assert low.grad.dtype == dtype
    torch.testing.assert_close(low.grad.float(), single.grad, rtol=2e-2, atol=2e-2)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        term.update(low)
    other.update(single)
    assert torch.equal(adversaries(term), adversaries(other)) if len(term.companions) else True


def test_a_loop_with_autocast_and_a_gradient_scaler():
    model, term = mlp(), (o.MMD(PRIOR) + o.Predictability(**SMALL)).regularizer(2)
    optimizer, scaler = torch.optim.AdamW([*model.parameters(), *term.parameters()], lr=1e-3), torch.amp.GradScaler("cpu")
    first, before = None, adversaries(term)
    for _ in range(30):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            z = model.encode(IMAGES)
            loss = 0.5 * (model.decode(z) - IMAGES).square().sum() / len(IMAGES) + term(z)
        optimizer.zero_grad()
        scaler.scale(loss).backward()
        scaler.step(optimizer)
        scaler.update()
        term.update(z)
        first = loss.item() if first is None else first
    assert loss.item() < first
    assert not torch.equal(adversaries(term), before)


def test_evaluation_leaves_the_noise_of_training_as_it_is():
    term, other = STATEFUL[0](), STATEFUL[0]()
    train(term, 2)
    train(other, 2)
    with torch.no_grad():
        values = {term.eval()(codes()).item() for _ in range(3)}
    assert len(values) == 1
    assert not term.eval()(codes().detach()).requires_grad
    term.train()
    assert train(term, 2, start=2) == train(other, 2, start=2)
    assert term(codes()) != term(codes())  # new draws of the prior in train mode


def test_update_in_no_grad_and_before_any_value():
    term, other = STATEFUL[1](), STATEFUL[1]()
    before = adversaries(term)
    with torch.no_grad():
        term.update(codes())
    other.update(codes())
    assert torch.equal(adversaries(term), adversaries(other))
    assert not torch.equal(adversaries(term), before)


def test_update_before_backward_is_refused_by_torch():
    term, z = o.Predictability(**SMALL).regularizer(2), codes()
    value = term(z)
    term.update(z)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        value.backward()


def test_two_terms_in_one_model_and_several_in_threads():
    expected = {index: train(make(), 6) for index, make in enumerate(STATEFUL)}
    terms = {index: make() for index, make in enumerate(STATEFUL)} | {3: STATEFUL[0]()}
    pair = torch.nn.ModuleList([terms[0], terms[3]])
    assert len(list(pair.parameters())) == 2 * len(list(terms[0].parameters()))
    with ThreadPoolExecutor(4) as pool:
        found = dict(zip(terms, pool.map(lambda term: train(term, 6), terms.values()), strict=True))
    assert found == expected | {3: expected[0]}


def loop_with_a_loader():
    """As in the README: a model, an optimizer and a DataLoader of one's own."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = torch.nn.ModuleDict({"encoder": torch.nn.Linear(16, 2), "decoder": torch.nn.Linear(2, 16)})
    term = (o.MMD("uniform", weight=50.0) + o.Predictability(**SMALL)).regularizer(2)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    loader = DataLoader(
        TensorDataset(IMAGES.flatten(1)), batch_size=16, shuffle=True, drop_last=True, generator=torch.Generator().manual_seed(0)
    )
    losses = []
    for _ in range(20):
        for (x,) in loader:
            z = model["encoder"](x)
            loss = (model["decoder"](z) - x).square().sum(1).mean() + term(z)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            term.update(z)
            losses.append(loss.item())
    return losses


def test_a_loop_with_a_loader_learns_and_repeats():
    losses = loop_with_a_loader()
    assert sum(losses[-4:]) < 0.5 * sum(losses[:4])
    assert losses == loop_with_a_loader()


@pytest.fixture
def uncompiled():
    torch.compiler.reset()
    yield
    torch.compiler.reset()


@pytest.mark.parametrize("make", STATEFUL)
def test_a_compiled_term_has_the_same_bits_and_compiles_nothing(uncompiled, make):
    term = make()
    compiled = torch.compile(term, backend="aot_eager")
    torch._dynamo.utils.counters.clear()
    values = []
    for step in range(10):  # more than PyTorch's limit of eight compiled versions
        z = codes(seed=step)
        value = compiled(z, (z, z * 0))
        value.backward()
        term.update(z)
        values.append((value.item(), z.grad.sum().item()))
    other = make()
    for step in range(10):
        z = codes(seed=step)
        value = other(z, (z, z * 0))
        value.backward()
        other.update(z)
        assert values[step] == (value.item(), z.grad.sum().item())
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] == 0


def steps_of(backend, count=10):
    """The losses of a few steps, whose loss and update are compiled by this backend."""
    model, term = mlp(), STATEFUL[0]()
    optimizer, losses = torch.optim.Adam(model.parameters(), lr=1e-3), []

    def loss_of(images):
        z = model.encode(images)
        return 0.5 * (model.decode(z) - images).square().sum() / len(images) + term(z), z

    def update(z):
        term.update(z * 1.0)

    if backend is not None:
        loss_of, update = (torch.compile(function, backend=backend) for function in (loss_of, update))
    for _ in range(count):
        loss, z = loss_of(IMAGES)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        update(z)
        losses.append(loss.item())
    return losses, adversaries(term)


def test_a_compiled_step_trains_as_an_uncompiled_one(uncompiled):
    torch._dynamo.utils.counters.clear()
    losses, predictors = steps_of("aot_eager")
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] == 3  # before the term, after it, and before the update
    plain, expected = steps_of(None)
    assert losses == pytest.approx(plain, rel=1e-4)
    torch.testing.assert_close(predictors, expected, rtol=1e-3, atol=1e-4)


@pytest.mark.skipif(sys.platform != "linux" or not shutil.which("g++"), reason="needs a C++ compiler")
def test_the_real_compiler_compiles_a_step_around_the_term(uncompiled):
    losses, _ = steps_of("inductor", count=3)
    assert losses == pytest.approx(steps_of(None, count=3)[0], rel=1e-4)


Z = torch.zeros(4, 2)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: o.MMD(sl.priors.Gaussian(3)).regularizer(2), "prior must have 2 dimension.*got 3"),
        (lambda: o.Copying(CODES).regularizer(3), "source must have the model's 3"),
        (lambda: o.Predictability().regularizer(1), "at least 2 latents"),
        (lambda: o.MMD("gaussian", views="pairs").regularizer(1), "at least 2 dimensions"),
        (lambda: o.MMD(PRIOR).regularizer(0), "dim must be at least 1"),
        (lambda: o.MMD(PRIOR).regularizer(2, seed=-1), "seed must be"),
        (lambda: o.BetaTC().regularizer(2), r"rows=\.\.\."),
        (lambda: (o.MMD(PRIOR) + o.BetaTC()).regularizer(2), r"rows=\.\.\."),
        (lambda: o.MMD(PRIOR).regularizer(2)((Z, Z)), r"\(b, 2\), got a tuple; of \(mean, log_variance\)"),
        (lambda: o.MMD(PRIOR).regularizer(2)(Z[:, :1]), r"\(b, 2\), got torch.float32 of shape \(4, 1\)"),
        (lambda: o.MMD(PRIOR).regularizer(2)(torch.zeros(4, 2, 8, 8)), r"shape \(4, 2, 8, 8\); feature maps"),
        (lambda: o.MMD(PRIOR).regularizer(2)(Z.long()), "tensor of floats"),
        (lambda: o.MMD(PRIOR).regularizer(2)(Z.numpy()), "got a ndarray"),
        (lambda: o.MMD(PRIOR).regularizer(2)(Z[:1]), "at least 2 rows .* got 1: DataLoader.*drop_last"),
        (lambda: o.Predictability().regularizer(2)(Z[:2]), "at least 3 rows"),
        (lambda: o.Predictability().regularizer(2).update(Z[:2]), "at least 3 rows"),
        (lambda: o.Predictability().regularizer(2).update((Z, Z)), "got a tuple"),
        (lambda: o.Predictability().regularizer(2)(Z.to("meta")), "must be on cpu, where the term is, got meta"),
        (lambda: o.Predictability().regularizer(2).update(Z.to("meta")), "must be on cpu, where the term is, got meta"),
        (lambda: o.KL().regularizer(2)(Z), r"posterior must be given .*term\(codes, posterior=posterior\)"),
        (lambda: o.KL().regularizer(2)(Z, Z), r"posterior must be \(mean, log_variance\), .*got Tensor"),
        (lambda: o.KL().regularizer(2)(Z, (Z, Z[:1])), r"each of shape \(4, 2\), got .*1, 2"),
        (lambda: o.Isometry().regularizer(2)(Z), r"model must be given"),
        (lambda: o.Copying(CODES[:3]).regularizer(2)(Z), "source must have at least as many rows"),
    ],
)
def test_errors_name_the_argument(make, words):
    with pytest.raises(ValueError, match=words):
        make()


def test_a_function_has_no_term_on_codes():
    with pytest.raises(TypeError, match="no terms on codes alone"):
        o.as_objective(lambda model, images, generator: 0).regularizer(2)


def test_data_of_unknown_size_are_refused_by_beta_tc_before_any_step():
    with pytest.raises(ValueError, match="in fit data of known size"):
        o.Regularizer(o.BetaTC(), 2)


def test_codes_that_are_nan_make_the_value_nan():
    term = o.MMD(PRIOR).regularizer(2)
    assert term(torch.full((8, 2), torch.nan)).isnan()


def test_a_forgotten_update_is_named():
    term = sl.objectives.Predictability().regularizer(2)
    codes = torch.randn(30, 2, generator=torch.Generator().manual_seed(0), requires_grad=True)
    with pytest.warns(UserWarning, match=r"called 20 times without term.update\(codes\), which changes predictors: "):
        [term(codes) for _ in range(20)]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for _ in range(40):
            term(codes).backward()
            term.update(codes)
        plain = sl.objectives.MMD("gaussian").regularizer(2)
        for _ in range(40):
            plain(codes)


class RunningMean(o.Companion):
    def __init__(self, dim):
        super().__init__()
        self.mean = torch.nn.Buffer(torch.zeros(dim))

    def refresh(self, codes, model, generator):
        self.mean.lerp_(codes.mean(0), 0.01)


class Centered(o.Objective):
    def companions(self, dim):
        return {"running mean": RunningMean(dim)}

    def regularizers(self, batch, companions):
        yield o.Term("centered", 1.0, (batch.codes.mean(0) - companions["running mean"].mean).square().sum())


@pytest.mark.parametrize(
    ("objective", "changed"),
    [
        (o.MMD("gaussian", schedule=o.Ramp(10)), "its schedule"),
        (o.Reconstruction() + o.MMD("gaussian", schedule=o.Ramp(10)), "its schedule"),
        (Centered(), "running mean"),
        (o.Predictability() + Centered(), "0:predictors, 1:running mean"),
    ],
)
def test_a_schedule_or_a_buffer_that_a_forgotten_update_leaves_at_its_start_is_named(objective, changed):
    term, codes = objective.regularizer(2), torch.ones(30, 2, requires_grad=True)
    with pytest.warns(UserWarning, match=rf"without term.update\(codes\), which changes {changed}: "):
        [term(codes) for _ in range(20)]
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("error")
        [term(codes) for _ in range(30)]
