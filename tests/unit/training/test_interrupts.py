"""Ctrl-C at any moment: what is kept and saved is a state between two steps, from which training goes on with the same bits."""

import contextlib
import os
import random
import signal
import threading
import warnings

import pytest
import torch
from sklearn.model_selection import cross_val_score
from torch import nn

import sculptlab as sl
from sculptlab.training import checkpoints, state, trainer
from sculptlab.training.batches import Batches
from sculptlab.training.objectives import KL, Companion, FactorVAE, Objective, Predictability
from sculptlab.training.objectives.companion import Term
from sculptlab.training.objectives.regularizer import Regularizer
from sculptlab.training.optimization import Optimization

DATA = torch.rand(40, 1, 3, 3, generator=torch.Generator().manual_seed(0))
STEPS = 14
OPTIONS = {
    "steps": STEPS, "batch_size": 16, "device": "cpu", "scheduler": "constant", "progress": False, "log_every": 1, "seed": 3,
}  # fmt: skip


@pytest.fixture(autouse=True)
def _ctrl_c_is_heard():
    """A shell ignores Ctrl-C in what it starts in the background, and its processes inherit that."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


class MovingAverage(Companion):
    """A state that changes after the model's step, and draws noise."""

    def __init__(self):
        super().__init__()
        self.mean = nn.Buffer(torch.zeros(2))

    def refresh(self, codes, model, generator):
        self.mean.lerp_(codes.mean(0) + torch.randn(2, generator=generator), 0.1)


class Averaged(Objective):
    def companions(self, dim):
        return {"average": MovingAverage()}

    def regularizers(self, batch, companions):
        return (Term("average", 1.0, (batch.codes - companions["average"].mean).square().mean()),)


class Normalized(nn.Module):
    """A model with buffers that each forward pass changes, and an optimizer that is not fused."""

    def __init__(self):
        super().__init__()
        self.inner = nn.Linear(9, 2)
        self.normalize, self.outer, self.dim = nn.BatchNorm1d(2), nn.Linear(2, 9), 2

    def encode(self, images):
        return self.normalize(self.inner(images.flatten(1)))

    def decode(self, codes):
        return self.outer(codes).view(-1, 1, 3, 3)


def make(objective, seed=0):
    if isinstance(objective, Averaged):
        torch.manual_seed(seed)
        return Normalized()
    return sl.build_autoencoder("mlp", image_shape=(1, 3, 3), dim=2, width=8, stochastic=True, seed=seed)


def objectives():
    return {"noise": KL(), "adversary": KL(beta=0.1) + Predictability(width=4), "FactorVAE": FactorVAE(width=4, depth=1),
            "buffers": Averaged()}  # fmt: skip


PLACES = [
    (Batches, "at"), (Optimization, "step"), (Regularizer, "update"), (state.Training, "_step"), (state.Training, "advance"),
    (state.Training, "keep_good_state"), (state.Training, "_check"), (torch.optim.Adam, "step"), (trainer.Trainer, "_call"),
    (torch.Tensor, "backward"), (torch.Tensor, "item"), (checkpoints, "write_file"), (os, "replace"), (os, "fsync"),
]  # fmt: skip


def injected(monkeypatch, place, call, after, act):
    """Call `act` before or after a chosen call of a chosen function."""
    owner, name = place
    function, count = getattr(owner, name), iter(range(10**9))

    def run(*given, **options):
        mine = next(count) == call
        if mine and not after:
            act()
        result = function(*given, **options)
        if mine and after:
            act()
        return result

    monkeypatch.setattr(owner, name, run)


def strike():
    raise KeyboardInterrupt


@pytest.mark.parametrize("how", ["signal", "raised"])
@pytest.mark.parametrize("name", objectives())
def test_a_run_that_was_interrupted_anywhere_goes_on_with_the_same_bits(tmp_path, monkeypatch, name, how):
    act = strike if how == "raised" else lambda: signal.raise_signal(signal.SIGINT)
    monkeypatch.setattr(state, "CHECK_EVERY", 5)
    monkeypatch.setattr(trainer, "SAVE_EVERY", 0.0)
    objective, states = objectives()[name], {}
    with torch.random.fork_rng():
        models = [make(objective, seed) for seed in (0, 1)]
    first = {key: value.clone() for key, value in models[0].state_dict().items()}

    def fresh():
        models[0].load_state_dict(first)
        return models[0]

    def note(record):
        states[record.step] = [value.clone() for value in record.model.state_dict().values()]

    states[0] = [value.clone() for value in first.values()]
    sl.fit(fresh(), DATA, objective, **OPTIONS, callbacks=note)
    drawn, interrupted = random.Random(f"{name} {how}"), 0
    for moment in range(8):
        path = tmp_path / f"{moment}.pt"
        place, call, after = drawn.choice(PLACES), drawn.randrange(STEPS), drawn.random() < 0.5
        model, run = fresh(), None
        with monkeypatch.context() as patch, warnings.catch_warnings(), contextlib.suppress(KeyboardInterrupt):
            warnings.simplefilter("ignore")
            injected(patch, place, call, after, act)
            run = sl.fit(model, DATA, objective, **OPTIONS, checkpoint=path)
        where = f"{place[1]} {call} {'after' if after else 'before'}"
        if run is not None:
            interrupted += run.stopped == "interrupted"
            assert not model.training, where
            assert all(map(torch.equal, model.state_dict().values(), states[run.steps])), where
            assert run.history["step"].max() <= run.steps or run.history.empty, where
        if path.exists():
            saved = torch.load(path, weights_only=True)["state"]
            assert all(map(torch.equal, saved["model"].values(), states[saved["step"]])), where
            resumed = sl.fit(models[1] if moment % 2 else fresh(), DATA, objective, **OPTIONS, checkpoint=path)
            assert all(map(torch.equal, resumed.model.state_dict().values(), states[STEPS])), where
        assert not list(tmp_path.glob(".*.part")), where
    assert interrupted > 2
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_one_ctrl_c_waits_for_the_step_and_a_second_does_not():
    calls = []

    def once(model, images, generator):
        if len(calls) == 6:
            signal.raise_signal(signal.SIGINT)
        calls.append("begun")
        return (model(images) - images).square().mean()

    with pytest.warns(UserWarning, match="interrupted after 7 of 14 steps"):
        assert sl.fit(make(None), DATA, once, **OPTIONS).steps == 7

    def twice(model, images, generator):
        if len(calls) == 6 + 7:
            signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGINT)
        calls.append("begun")
        return (model(images) - images).square().mean()

    with pytest.warns(UserWarning, match="interrupted after 6 of 14 steps"):
        assert sl.fit(make(None), DATA, twice, **OPTIONS).steps == 6


def test_a_failure_that_follows_ctrl_c_is_told_and_is_an_interrupt():
    def fails(record):
        signal.raise_signal(signal.SIGINT)
        raise RuntimeError("a worker died")

    with pytest.warns(
        UserWarning, match=r"interrupted after 1 of 14 steps \(the last step ended with RuntimeError: a worker died\)"
    ):
        assert sl.fit(make(None), DATA, KL(), **OPTIONS, callbacks=fails).stopped == "interrupted"


def test_ctrl_c_inside_a_training_that_a_callback_began_stops_both():
    def inner(record):
        if record.step == 2:
            with pytest.warns(UserWarning, match="interrupted after 3"):
                sl.fit(make(None), DATA, KL(), **OPTIONS, callbacks=lambda r: r.step == 3 and signal.raise_signal(signal.SIGINT))

    with pytest.warns(UserWarning, match="interrupted after 2 of 14 steps"):
        assert sl.fit(make(None), DATA, KL(), **OPTIONS, callbacks=inner).stopped == "interrupted"


def test_a_handler_of_the_callers_own_stays_and_threads_set_none():
    seen, found = [], []
    before = signal.signal(signal.SIGINT, lambda *_: seen.append("mine"))
    try:
        stop = lambda record: record.step == 2 and signal.raise_signal(signal.SIGINT)  # noqa: E731
        assert sl.fit(make(None), DATA, KL(), **OPTIONS, callbacks=stop).stopped is None
    finally:
        signal.signal(signal.SIGINT, before)
    assert seen == ["mine"]
    thread = threading.Thread(target=lambda: found.append(sl.fit(make(None), DATA, KL(), **OPTIONS).steps))
    thread.start()
    thread.join()
    assert found == [STEPS]


def test_a_failing_companion_leaves_a_state_between_steps(monkeypatch):
    monkeypatch.setattr(state, "CHECK_EVERY", 5)
    model, calls = make(None), []

    class Fails(MovingAverage):
        def refresh(self, codes, model, generator):
            calls.append(1)
            if len(calls) == 8:
                raise RuntimeError("no")
            super().refresh(codes, model, generator)

    class Failing(Averaged):
        def companions(self, dim):
            return {"average": Fails()}

    run = sl.fit(model, DATA, Failing(), **OPTIONS | {"steps": 3})
    expected = sl.fit(make(None), DATA, Averaged(), **OPTIONS | {"steps": 5})
    with pytest.raises(RuntimeError, match="no"):
        run.train_more(9, progress=False)
    assert (run.steps, run.stopped) == (5, "failed")
    assert all(map(torch.equal, model.state_dict().values(), expected.model.state_dict().values()))
    assert torch.equal(run.companions["average"].mean, expected.companions["average"].mean)


def test_a_divergence_after_a_resume_goes_back_no_further_than_the_resumed_state(tmp_path):
    def loss(bad):
        calls = []

        def poisoned(model, images, generator):
            calls.append(1)
            return (model(images) - images).square().mean() * (float("nan") if len(calls) == bad else 1.0)

        return poisoned

    options = OPTIONS | {"checkpoint": tmp_path / "a.pt"}
    expected = sl.fit(make(None), DATA, loss(0), **options | {"steps": 130}).export()
    model = make(None, seed=1)
    with pytest.raises(sl.training.DivergenceError, match="put back to its weights of step 130"):
        sl.fit(model, DATA, loss(12), **options | {"steps": 200})
    assert all(torch.equal(value, expected[name]) for name, value in model.state_dict().items())
    assert torch.load(tmp_path / "a.pt", weights_only=True)["state"]["step"] == 130


def test_batches_of_a_generator_go_on_where_an_interrupt_left_them():
    def batches():
        for i in range(100):
            yield DATA[i % 8 : i % 8 + 8]

    options = {name: value for name, value in OPTIONS.items() if name != "batch_size"}
    whole = sl.fit(make(None), batches(), KL(), **options)
    stop = lambda record: record.step == 5 and signal.raise_signal(signal.SIGINT)  # noqa: E731
    with pytest.warns(UserWarning, match="interrupted after 5"):
        run = sl.fit(make(None), batches(), KL(), **options, callbacks=stop)
    run.train_more(STEPS - 5, progress=False)
    assert all(map(torch.equal, run.export().values(), whole.export().values()))


def test_a_generator_that_is_half_read_is_warned_of():
    def batches():
        for i in range(10):
            yield DATA[4 * i : 4 * i + 4]

    run = sl.fit(make(None), DATA, KL(), **OPTIONS)
    half = batches()
    next(half)
    with pytest.warns(UserWarning, match="data is a generator that was read before: what it gave then is left out"):
        assert len(run.encode(half)) == 36
    assert len(run.encode(batches())) == 40
    with pytest.raises(ValueError, match="it is empty or was read before"):
        run.encode(half)


def press_at(monkeypatch, step):
    """Press Ctrl-C in that step of the next training."""
    injected(monkeypatch, (Batches, "at"), step, False, lambda: signal.raise_signal(signal.SIGINT))


@pytest.mark.filterwarnings("ignore:interrupted after 3")
def test_ctrl_c_ends_a_cross_validation_and_leaves_a_fitted_estimator(monkeypatch):
    rows = DATA.flatten(1).numpy()
    estimator = sl.SculptedAutoencoder(n_components=2, max_iter=5, device="cpu")
    for call in (lambda: cross_val_score(estimator, rows, cv=3), lambda: estimator.fit(rows)):
        with monkeypatch.context() as patch:
            press_at(patch, 2)
            with pytest.raises(KeyboardInterrupt):
                call()
    assert estimator.n_iter_ == 3
    assert estimator.transform(rows).shape == (40, 2)


@pytest.mark.filterwarnings("ignore:interrupted after 3")
def test_ctrl_c_ends_copy_latents(monkeypatch):
    codes = torch.rand(200, 2, generator=torch.Generator().manual_seed(0))
    images = torch.rand(200, 1, 3, 3, generator=torch.Generator().manual_seed(1))
    press_at(monkeypatch, 2)
    with pytest.raises(KeyboardInterrupt):
        sl.copy_latents(codes, make(None), images, steps=5, device="cpu", progress=False)


def test_ctrl_c_ends_a_test_of_many_permutations_between_two_calls_of_torch(monkeypatch):
    codes, most = torch.rand(60, 2, generator=torch.Generator().manual_seed(0)), []
    argsort, matmul = torch.Tensor.argsort, torch.Tensor.__matmul__
    monkeypatch.setattr(torch.Tensor, "argsort", lambda rows, *a, **k: (most.append(len(rows)), argsort(rows, *a, **k))[1])
    monkeypatch.setattr(torch.Tensor, "__matmul__", lambda a, b: (most.append(b.shape[-1] if len(a) > 1 else 1), matmul(a, b))[1])
    found = sl.mmd_test(codes[:30], codes[30:], permutations=5000)
    assert max(most) <= 2048
    few = sl.mmd_test(codes[:30], codes[30:], permutations=2000)
    assert abs(found.p_value - few.p_value) < 0.05
    assert found.statistic == few.statistic
