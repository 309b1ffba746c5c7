"""The optimizer, the learning rate, limits, epochs and callbacks of `fit`, and training that goes on."""

import copy
import functools
import pickle

import numpy as np
import pytest
import torch
from torch.optim import SGD, Adam, AdamW, lr_scheduler

import sculptlab as sl
from sculptlab.training.objectives import MMD, Predictability, Reconstruction
from sculptlab.training.state import Training

QUICK = {"steps": 12, "batch_size": 64, "device": "cpu", "progress": False}
CONSTANT = QUICK | {"scheduler": "constant"}
MOMENTUM = functools.partial(SGD, lr=0.01, momentum=0.9)


def make(seed=0, **options):
    return sl.build_autoencoder("mlp", image_shape=(1, 8, 8), dim=2, width=16, seed=seed, **options)


def weights(model):
    return torch.cat([p.detach().flatten() for p in model.parameters()])


def rates_of(digits, **options):
    rates = []
    sl.fit(make(), digits, Reconstruction(), **QUICK | options, callbacks=lambda record: rates.append(record.learning_rate))
    return rates


def test_sgd_takes_the_step_that_is_done_by_hand(digits):
    model, by_hand = make(), make()
    images = digits.images[:64]
    sl.fit(model, images, Reconstruction(), **CONSTANT | {"steps": 1}, optimizer=SGD, learning_rate=1e-3, weight_decay=0.5)
    (0.5 * (by_hand.decode(by_hand.encode(images)) - images).square().sum() / 64).backward()
    expected = torch.cat([(p - 1e-3 * (p.grad + 0.5 * p)).detach().flatten() for p in by_hand.parameters()])
    assert torch.allclose(weights(model), expected, atol=1e-6)


def test_an_optimizer_class_a_function_and_an_instance_train_alike(digits):
    runs = []
    for optimizer in (MOMENTUM, lambda p: SGD(p, lr=0.01, momentum=0.9), "instance"):
        model = make()
        optimizer = MOMENTUM(model.parameters()) if optimizer == "instance" else optimizer
        runs.append(weights(sl.fit(model, digits, Reconstruction(), **QUICK, optimizer=optimizer).model))
    assert torch.equal(runs[0], runs[1])
    assert torch.equal(runs[0], runs[2])
    assert not torch.equal(runs[0], weights(sl.fit(make(), digits, Reconstruction(), **QUICK).model))


def test_an_optimizer_instance_has_its_own_rate_again_after_a_cosine(digits):
    model = make()
    optimizer = SGD([{"params": model.encoder.parameters()}, {"params": model.decoder.parameters(), "lr": 0.1}], lr=0.01)
    sl.fit(model, digits, Reconstruction(), **QUICK | {"steps": 3}, optimizer=optimizer)
    assert [group["lr"] for group in optimizer.param_groups] == [0.01, 0.1]


def test_the_default_is_adam_and_weight_decay_makes_it_adamw(digits):
    def trained(**options):
        return weights(sl.fit(make(), digits, Reconstruction(), **CONSTANT, **options).model)

    assert torch.equal(trained(), trained(optimizer=functools.partial(Adam, lr=1e-3, fused=True)))
    decayed = trained(weight_decay=0.1)
    assert torch.equal(decayed, trained(optimizer=functools.partial(AdamW, fused=True), learning_rate=1e-3, weight_decay=0.1))
    assert not torch.equal(decayed, trained())


def test_weights_of_companions_do_not_decay(digits):
    class Companion(sl.training.objectives.base.Companion):
        joins_model = True

        def __init__(self):
            super().__init__()
            self.place = torch.nn.Parameter(torch.ones(2))

    class Joined(Reconstruction):
        def companions(self, dim):
            return {"one": Companion()}

        def regularizers(self, batch, companions):
            return [sl.training.objectives.base.Term("zero", 0.0, companions["one"].place.sum())]

    training = Training(make(), digits, Joined(), batch_size=64, device="cpu", optimizer=SGD, learning_rate=0.1, weight_decay=1.0)
    training.start()
    training.advance()
    assert torch.equal(training.regularizer.companions["one"].place, torch.ones(2))
    run = sl.fit(make(), digits, Joined(), **QUICK)
    assert torch.equal(run.companions["one"].place, torch.ones(2))
    assert run.train_more(2, progress=False).steps == 14


def test_the_learning_rate_falls_along_half_a_cosine(digits):
    expected = [0.01 * 0.5 * (1 + np.cos(np.pi * step / 12)) for step in range(12)]
    assert np.allclose(rates_of(digits, learning_rate=0.01), expected, rtol=1e-12)
    assert rates_of(digits, learning_rate=0.01, scheduler="constant") == [0.01] * 12


def test_a_scheduler_is_stepped_once_a_step(digits):
    rates = rates_of(digits, learning_rate=0.08, scheduler=lambda o: lr_scheduler.StepLR(o, 5, gamma=0.5))
    assert rates == [0.08] * 5 + [0.04] * 5 + [0.02] * 2


def test_a_large_gradient_is_scaled_down_to_its_limit(digits):
    def moved(**options):
        model = make()
        before = weights(model)
        sl.fit(model, digits, Reconstruction(), **CONSTANT | {"steps": 1}, optimizer=SGD, learning_rate=1.0, **options)
        return (weights(model) - before).norm().item()

    assert moved(max_grad_norm=0.01) == pytest.approx(0.01, rel=1e-3)
    assert moved(max_grad_norm=1e9) == moved() > 0.1


def test_epochs_count_all_images(digits):
    run = sl.fit(make(), digits.images[:200], Reconstruction(), epochs=3, batch_size=64, device="cpu", progress=False)
    assert run.steps == 3 * 3
    with pytest.raises(ValueError, match="steps and epochs cannot both be given, got steps=12 and epochs=2"):
        sl.fit(make(), digits, Reconstruction(), **QUICK, epochs=2)
    with pytest.raises(ValueError, match="epochs must be at least 1"):
        sl.fit(make(), digits, Reconstruction(), epochs=0)


def test_callbacks_see_every_step_and_the_model_in_eval_mode(digits):
    seen, model = [], make()

    def watch(record):
        seen.append((record.step, record.terms["loss"].item(), record.model is model, record.model.training))

    other = []
    run = sl.fit(
        model, digits, Reconstruction(), **QUICK, log_every=1, callbacks=[watch, lambda record: other.append(record.step)]
    )
    assert seen == [(row["step"], row["loss"], True, False) for row in run.rows]
    assert other == list(range(1, 13))
    assert torch.equal(weights(run.model), weights(sl.fit(make(), digits, Reconstruction(), **QUICK).model))


@pytest.mark.parametrize("true", [True, np.True_, torch.tensor(True)], ids=["bool", "numpy", "tensor"])
def test_a_callback_that_returns_true_ends_training(digits, true, tmp_path):
    stop = {"callbacks": lambda record: true if record.step == 5 else None, "log_every": 4, "checkpoint": tmp_path / "a.pt"}
    run = sl.fit(make(), digits, Reconstruction(), **CONSTANT | stop)
    assert (run.steps, run.stopped, run.model.training) == (5, "callback", False)
    assert list(run.history["step"]) == [1, 4, 5]
    assert "; callback" in repr(run)
    resumed = sl.fit(make(), digits, Reconstruction(), **CONSTANT, checkpoint=tmp_path / "a.pt")
    assert torch.equal(weights(resumed.model), weights(sl.fit(make(), digits, Reconstruction(), **CONSTANT).model))


@pytest.mark.parametrize("other", [1, "stop", 0.5, None])
def test_other_answers_do_not_end_training(digits, other):
    assert sl.fit(make(), digits, Reconstruction(), **QUICK, callbacks=lambda record: other).stopped is None


def test_an_error_in_a_callback_keeps_its_type_names_it_and_leaves_a_usable_model(digits):
    def fails(record):
        if record.step == 3:
            raise KeyError("mine")

    model = make()
    with pytest.raises(KeyError, match="mine") as caught:
        sl.fit(model, digits, Reconstruction(), **QUICK, callbacks=fails)
    assert "callback test_an_error_in_a_callback" in caught.value.__notes__[0]
    assert "after step 3" in caught.value.__notes__[0]
    assert not model.training
    assert torch.isfinite(model.encode(digits.images)).all()


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"optimizer": "sgd"}, TypeError, "optimizer must be .*got 'sgd'"),
        ({"optimizer": lambda p: p}, TypeError, "optimizer must be .*such as torch.optim.SGD"),
        ({"optimizer": torch.optim.LBFGS}, TypeError, "steps without a closure"),
        ({"optimizer": lambda p: SGD(p, lr=1), "weight_decay": 0.1}, TypeError, "optimizer cannot be called with .*weight_decay"),
        ({"optimizer": SGD([torch.nn.Parameter(torch.ones(1))])}, ValueError, "this SGD has none of them"),
        (
            {"optimizer": SGD([torch.nn.Parameter(torch.ones(1))]), "learning_rate": 1.0},
            ValueError,
            "must be None with an optimizer",
        ),
        ({"weight_decay": -1.0}, ValueError, "weight_decay must be >= 0"),
        ({"max_grad_norm": 0.0}, ValueError, "max_grad_norm must be > 0"),
        ({"scheduler": "cosin"}, ValueError, "scheduler must be one of .*did you mean 'cosine'"),
        ({"scheduler": None}, ValueError, "scheduler must be one of"),
        ({"scheduler": lambda o: None}, TypeError, "optimizer -> LRScheduler.*returned None"),
        ({"scheduler": lr_scheduler.ReduceLROnPlateau}, TypeError, "stepped once a step without an argument"),
        ({"callbacks": [3]}, TypeError, "callbacks must be a function of a record, or a list of them, got 3"),
        ({"schedule": "constant"}, TypeError, "schedule"),
    ],
)
def test_bad_arguments_are_named_before_training(digits, options, error, words):
    model = make()
    with pytest.raises(error, match=words):
        sl.fit(model, digits, Reconstruction(), **QUICK | options)
    assert torch.equal(weights(model), weights(make()))


def test_steps_takes_the_same_options(digits):
    options = {"batch_size": 64, "device": "cpu", "optimizer": MOMENTUM, "max_grad_norm": 1.0, "weight_decay": 0.1}
    model, records = make(), []
    for record in sl.steps(model, digits, Reconstruction(), **options, decay_over=12):
        records.append(record.learning_rate)
        if record.step == 12:
            break
    run = sl.fit(make(), digits, Reconstruction(), **options, steps=12, progress=False)
    assert torch.equal(weights(run.model), weights(model))
    assert records[0] == 0.01 > records[-1]
    for bad in ({"scheduler": "cosine"}, {"scheduler": "constant", "decay_over": 3}):
        with pytest.raises(ValueError, match="decay_over must be given with scheduler='cosine'"):
            sl.steps(make(), digits, Reconstruction(), **bad)


SCHEDULERS = {
    "constant": "constant",
    "one cycle": lambda o: lr_scheduler.OneCycleLR(o, 0.01, total_steps=12),
    "sequence": lambda o: lr_scheduler.SequentialLR(o, [lr_scheduler.LinearLR(o, total_iters=3), lr_scheduler.StepLR(o, 4)], [3]),
}


@pytest.mark.filterwarnings("ignore:The epoch parameter")  # of torch's own SequentialLR
@pytest.mark.parametrize("scheduler", SCHEDULERS.values(), ids=SCHEDULERS)
@pytest.mark.parametrize("optimizer", [None, MOMENTUM], ids=["Adam", "SGD"])
@pytest.mark.parametrize("objective", [MMD("uniform"), Predictability()], ids=["MMD", "Predictability"])
def test_training_goes_on_with_the_bits_of_one_run(digits, scheduler, optimizer, objective, tmp_path):
    options = QUICK | {"scheduler": scheduler, "optimizer": optimizer, "log_every": 1}
    whole = sl.fit(make(), digits, objective, **options)
    part = sl.fit(make(), digits, objective, **options | {"steps": 7}, checkpoint=tmp_path / "a.pt")
    resumed = sl.fit(make(seed=3), digits, objective, **options, checkpoint=tmp_path / "a.pt")
    assert part.train_more(5, progress=False) is part
    for run in (part, resumed):
        assert torch.equal(weights(run.model), weights(whole.model))
        assert run.steps == 12
        assert run.history[["step", "loss"]].equals(whole.history[["step", "loss"]])
        assert run.history["seconds"].is_monotonic_increasing
        one, two = (run.companions.state_dict() for run in (run, whole))
        assert all(torch.equal(value, two[name]) for name, value in one.items())


def test_under_cosine_more_steps_follow_the_cosine_over_all_of_them(digits, tmp_path):
    rates, expected = [], [1e-3 * 0.5 * (1 + np.cos(np.pi * step / 20)) for step in range(12, 20)]
    run = sl.fit(make(), digits, Reconstruction(), **QUICK, checkpoint=tmp_path / "a.pt")
    resumed = copy.copy(tmp_path / "a.pt").read_bytes()
    run.train_more(8, progress=False, callbacks=lambda record: rates.append(record.learning_rate))
    assert np.allclose(rates, expected)
    (tmp_path / "a.pt").write_bytes(resumed)
    again = sl.fit(make(), digits, Reconstruction(), **QUICK | {"steps": 20}, checkpoint=tmp_path / "a.pt")
    assert torch.equal(weights(again.model), weights(run.model))


def test_the_checkpoint_is_written_on_when_training_goes_on(digits, tmp_path):
    run = sl.fit(make(), digits, Reconstruction(), **CONSTANT, checkpoint=tmp_path / "a.pt").train_more(5, progress=False)
    state = torch.load(tmp_path / "a.pt", weights_only=True)["state"]
    assert state["step"] == 17
    assert all(torch.equal(value, state["model"][name]) for name, value in run.export().items())


def test_the_learning_rate_can_be_changed_when_training_goes_on(digits):
    rates, run = [], sl.fit(make(), digits, Reconstruction(), **CONSTANT)
    run.train_more(3, learning_rate=1e-5, progress=False, callbacks=lambda record: rates.append(record.learning_rate))
    assert rates == [1e-5] * 3
    with pytest.raises(TypeError, match=r"train_more.* can change batch_size, .* without data, got weight_decay"):
        run.train_more(3, weight_decay=0.1)


@pytest.mark.parametrize(
    "other", [copy.copy, copy.deepcopy, lambda run: pickle.loads(pickle.dumps(run))], ids=["copy", "deep", "pickle"]
)
def test_a_copy_holds_no_training_state_and_trains_on_given_data(digits, other):
    run = other(sl.fit(make(), digits, Predictability(), **CONSTANT))
    assert run.continuation is None
    with pytest.raises(ValueError, match="data must be given"):
        run.train_more(5)
    before = weights(run.model)
    run.train_more(5, digits, batch_size=64, device="cpu", scheduler="constant", log_every=1, progress=False)
    assert not torch.equal(before, weights(run.model))
    assert (run.steps, list(run.history["step"])) == (17, [*range(1, 18)])


def test_a_run_whose_training_failed_says_so_and_keeps_its_history(digits):
    run = sl.fit(make(), digits, Reconstruction(), **CONSTANT)

    def fails(record):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run.train_more(5, callbacks=fails, progress=False)
    assert (run.steps, run.history["step"].max(), run.stopped) == (13, 12, "failed")
    assert torch.equal(weights(run.model), weights(sl.fit(make(), digits, Reconstruction(), **CONSTANT | {"steps": 13}).model))
    with pytest.raises(ValueError, match="data must be given"):
        run.train_more(5)
    with pytest.raises(ValueError, match="steps must be at least 1"):
        run.train_more(0, digits)


@pytest.mark.parametrize("with_data", [False, True])
def test_a_loss_that_explodes_later_leaves_weights_history_and_companions_of_one_step(digits, with_data):
    class Explodes(Predictability):
        def regularizers(self, batch, companions):
            yield from super().regularizers(batch, companions)
            yield sl.objectives.Term("late", float("inf") if batch.step == 65 else 0.0, batch.codes.square().sum())

    options = CONSTANT | {"steps": 60, "log_every": 1}
    run, expected = (sl.fit(make(), digits, Explodes(), **options) for _ in range(2))
    more = {"data": digits, **CONSTANT} if with_data else {"progress": False}
    with pytest.raises(sl.training.DivergenceError, match="put back to its weights of step 60"):
        run.train_more(**more | {"steps": 30, "log_every": 1})
    assert (run.steps, run.history["step"].max(), run.stopped, run.model.training) == (60, 60, "failed", False)
    assert torch.equal(weights(run.model), weights(expected.model))
    for one, two in zip(run.companions.parameters(), expected.companions.parameters(), strict=True):
        assert torch.equal(one, two)


def test_a_resumed_training_that_explodes_has_the_weights_of_the_checkpoint(digits, tmp_path):
    calls = iter(range(100))

    def loss(model, images, generator):
        return 0.5 * (model(images) - images).square().sum() / len(images) * (float("nan") if next(calls) == 9 else 1.0)

    options = CONSTANT | {"checkpoint": tmp_path / "a.pt"}
    expected = weights(sl.fit(make(), digits, loss, **options | {"steps": 7}).model)
    model = make(seed=5)
    with pytest.raises(sl.training.DivergenceError, match="put back to its weights of step 7"):
        sl.fit(model, digits, loss, **options)
    assert torch.equal(weights(model), expected)


def test_an_interrupted_training_goes_on_with_the_bits_of_one_run(digits):
    def interrupt(record):
        if record.step in (5, 15):
            raise KeyboardInterrupt

    options = CONSTANT | {"log_every": 1}
    whole = sl.fit(make(), digits, Predictability(), **options | {"steps": 20})
    with pytest.warns(UserWarning, match="interrupted after 5 of 12 steps"):
        run = sl.fit(make(), digits, Predictability(), **options, callbacks=interrupt)
    assert (run.steps, run.stopped, run.model.training) == (5, "interrupted", False)
    assert all(weight.grad is None for weight in run.model.parameters())
    with pytest.warns(UserWarning, match="interrupted after 15 of 17 steps"):
        run.train_more(12, callbacks=interrupt, progress=False)
    assert (run.steps, run.stopped, run.model.training, run.history["step"].max()) == (15, "interrupted", False, 14)
    assert run.train_more(5, progress=False).stopped is None
    assert torch.equal(weights(run.model), weights(whole.model))
    assert list(run.history["step"]) == [step for step in range(1, 21) if step not in (5, 15)]


def test_an_interruption_inside_a_step_leaves_the_weights_before_it(digits):
    class Stops(Reconstruction):
        def regularizers(self, batch, companions):
            if batch.step == 15:
                raise KeyboardInterrupt
            return ()

    run = sl.fit(make(), digits, Stops(), **CONSTANT)
    with pytest.warns(UserWarning, match="interrupted after 15 of 17 steps"):
        run.train_more(5, progress=False)
    expected = sl.fit(make(), digits, Reconstruction(), **CONSTANT | {"steps": 15})
    assert torch.equal(weights(run.model), weights(expected.model))
    assert (run.steps, run.stopped, run.model.training) == (15, "interrupted", False)
    assert all(weight.grad is None for weight in run.model.parameters())
