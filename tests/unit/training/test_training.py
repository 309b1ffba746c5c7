import itertools
import warnings

import numpy as np
import pytest
import torch

import sculptlab as sl
from sculptlab.training.objectives import KL, FactorVAE, Reconstruction
from sculptlab.training.objectives.divergences import information_bounds
from sculptlab.training.state import DivergenceError, Training

QUICK = {"steps": 40, "batch_size": 64, "device": "cpu", "progress": False}


def make(stochastic=True, seed=0, **options):
    return sl.build_autoencoder("mlp", image_shape=(1, 8, 8), dim=2, stochastic=stochastic, width=32, seed=seed, **options)


def weights(model):
    return torch.cat([p.detach().flatten() for p in model.parameters()])


def test_training_learns(digits):
    run = sl.fit(make(), digits, KL(beta=0.1), **QUICK | {"steps": 400})
    first, last = run.history["reconstruction"].iloc[[0, -1]]
    assert last < 0.6 * first
    baseline = digits.images.mean(0, keepdim=True).expand_as(digits.images)
    assert run.reconstruction_error(digits) < (digits.images - baseline).square().mean().item()


def test_history_has_a_row_per_logged_step(digits):
    history = sl.fit(make(), digits, KL(), **QUICK, log_every=10).history
    assert list(history["step"]) == [1, 10, 20, 30, 40]
    assert list(history.columns) == ["step", "loss", "reconstruction", "kl", "seconds"]
    assert np.allclose(history["loss"], history["reconstruction"] + history["kl"], rtol=1e-5)
    assert history["seconds"].is_monotonic_increasing


@pytest.mark.parametrize("objective", [KL(), FactorVAE(width=16, depth=2)], ids=["KL", "FactorVAE"])
def test_the_same_seed_gives_the_same_bits(digits, objective):
    a, b, c = (weights(sl.fit(make(), digits, objective, **QUICK, seed=s).model) for s in (7, 7, 8))
    assert torch.equal(a, b)
    assert not torch.equal(a, c)


def test_steps_and_fit_take_the_same_steps(digits):
    one, two = make(), make()
    run = sl.fit(one, digits, KL(), **QUICK, scheduler="constant", log_every=1)
    records = list(itertools.islice(sl.steps(two, digits, KL(), batch_size=64, device="cpu"), 40))
    assert torch.equal(weights(one), weights(two))
    assert [r.step for r in records] == list(range(1, 41))
    assert [r.terms["loss"].item() for r in records] == list(run.history["loss"])


def test_an_epoch_sees_every_row_once():
    rows = torch.arange(64.0).repeat_interleave(1)[:, None] / 64
    seen = []
    model = sl.build_autoencoder("mlp", image_shape=(1,), dim=1, width=4)

    def watch(model, images, generator):
        seen.append(images[:, 0])
        return model.encode(images).square().mean()

    sl.fit(model, rows, watch, **QUICK | {"steps": 8, "batch_size": 16})
    for epoch in (seen[:4], seen[4:]):
        assert torch.equal(torch.cat(epoch).sort().values, rows[:, 0])
    assert not torch.equal(torch.cat(seen[:4]), torch.cat(seen[4:]))


def test_any_module_and_any_function_can_be_trained(digits):
    with torch.random.fork_rng():
        model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 64))

    def loss(model, images, generator):
        error = (model(images) - images.flatten(1)).square().sum(1).mean()
        return {"loss": error, "error": error}

    history = sl.fit(model, digits, loss, **QUICK | {"steps": 200}).history
    assert history["error"].iloc[-1] < 0.5 * history["error"].iloc[0]


def test_uint8_and_float_data_train_alike(digits):
    bytes_ = (digits.images * 255).round().to(torch.uint8)
    a = sl.fit(make(), bytes_, Reconstruction(), **QUICK).model
    b = sl.fit(make(), bytes_.float() / 255, Reconstruction(), **QUICK).model
    assert torch.equal(weights(a), weights(b))
    c = sl.fit(make(), bytes_.numpy(), Reconstruction(), **QUICK).model
    assert torch.equal(weights(a), weights(c))


def test_divergence_stops_with_advice_and_a_usable_model(digits):
    model = make(stochastic=False, output="linear")

    def explode(model, images, generator):
        return (model(images) - images).square().sum().exp()

    with pytest.raises(DivergenceError, match="smaller learning_rate"):
        sl.fit(model, digits, explode, **QUICK)
    assert torch.isfinite(weights(model)).all()


@pytest.mark.parametrize("bad_step", [10, 39], ids=["on the way", "at the last step"])
def test_a_gradient_of_nan_under_a_finite_loss_is_noticed_and_undone(digits, tmp_path, bad_step):
    model, calls, path = make(stochastic=False), itertools.count(), tmp_path / "a.pt"

    def poison(model, images, generator):
        loss = (model(images) - images).square().mean()
        return loss + 0 * (loss - loss).sqrt() if next(calls) == bad_step else loss  # sqrt has an infinite slope at 0

    sl.fit(make(stochastic=False), digits, Reconstruction(), **QUICK | {"steps": 5}, checkpoint=path)
    before = path.read_bytes()
    with pytest.raises(DivergenceError, match="put back to its weights of step 0"):
        sl.fit(model, digits, poison, **QUICK)
    assert torch.equal(weights(model), weights(make(stochastic=False)))
    with pytest.raises(DivergenceError):
        sl.fit(make(stochastic=False), digits, lambda *a: poison(*a) * torch.nan, **QUICK, checkpoint=tmp_path / "b.pt")
    assert not (tmp_path / "b.pt").exists()
    assert path.read_bytes() == before


def test_a_growing_loss_is_stopped_before_it_is_infinite(digits):
    step = itertools.count()

    def growing(model, images, generator):
        return model(images).mean() * 0 + 10.0 ** next(step)

    with pytest.raises(DivergenceError, match="at step 5"):
        sl.fit(make(False), digits, growing, **QUICK)


def test_interruption_leaves_a_usable_run(digits, tmp_path):
    calls = itertools.count()

    def stop(model, images, generator):
        if next(calls) == 10:
            raise KeyboardInterrupt
        return (model(images) - images).square().mean()

    with pytest.warns(UserWarning, match="interrupted after 10 of 40 steps"):
        run = sl.fit(make(False), digits, stop, **QUICK, checkpoint=tmp_path / "run.pt")
    assert run.stopped == "interrupted"
    assert run.steps == 10
    assert torch.isfinite(run.encode(digits)).all()
    assert (tmp_path / "run.pt").exists()


@pytest.mark.parametrize("objective", [KL(), FactorVAE(width=16, depth=2)], ids=["KL", "FactorVAE"])
def test_a_resumed_run_has_the_bits_of_an_uninterrupted_one(digits, tmp_path, objective):
    options = QUICK | {"scheduler": "constant", "log_every": 5}
    whole = sl.fit(make(), digits, objective, **options)
    sl.fit(make(), digits, objective, **options | {"steps": 15}, checkpoint=tmp_path / "a.pt")
    resumed = sl.fit(make(seed=9), digits, objective, **options, checkpoint=tmp_path / "a.pt")
    assert torch.equal(weights(whole.model), weights(resumed.model))
    columns = ["step", "loss"]
    assert resumed.history[columns].equals(whole.history[columns])


def test_a_finished_checkpoint_is_loaded_without_training(digits, tmp_path):
    first = sl.fit(make(), digits, KL(), **QUICK, checkpoint=tmp_path / "a.pt")
    again = sl.fit(make(seed=9), digits, KL(), **QUICK, checkpoint=tmp_path / "a.pt")
    assert torch.equal(weights(first.model), weights(again.model))
    assert again.steps == 40


@pytest.mark.parametrize(
    ("other", "words"),
    [
        (
            lambda d, p: sl.fit(
                sl.build_autoencoder("mlp", image_shape=(1, 8, 8), dim=3, stochastic=True), d, KL(), **QUICK, checkpoint=p
            ),
            "model",
        ),
        (lambda d, p: sl.fit(make(), d, KL(beta=2.0), **QUICK, checkpoint=p), "objective"),
        (lambda d, p: sl.fit(make(), d, KL(), **QUICK, seed=5, checkpoint=p), "seed"),
        (lambda d, p: sl.fit(make(), d.images[:500], KL(), **QUICK, checkpoint=p), "data"),
        (lambda d, p: sl.fit(make(), 1 - d.images, KL(), **QUICK, checkpoint=p), "data"),
        (lambda d, p: sl.fit(make(), d, KL(), **QUICK, scheduler="constant", checkpoint=p), "scheduler: 'cosine' there"),
        (lambda d, p: sl.fit(make(), d, KL(), **QUICK, optimizer=torch.optim.SGD, checkpoint=p), "optimizer: 'Adam"),
        (lambda d, p: sl.fit(make(), d, KL(), **QUICK, weight_decay=0.1, checkpoint=p), "weight_decay=0.1"),
        (lambda d, p: sl.fit(make(), d, KL(), **QUICK, max_grad_norm=1.0, checkpoint=p), "max_grad_norm: None there"),
        (lambda d, p: sl.fit(make(output="linear"), d, KL(), **QUICK, checkpoint=p), "kind of model"),
    ],
)
def test_a_foreign_checkpoint_is_refused_and_kept(digits, tmp_path, other, words):
    path = tmp_path / "a.pt"
    sl.fit(make(), digits, KL(), **QUICK, checkpoint=path)
    before = path.read_bytes()
    with pytest.raises(ValueError, match=rf"checkpoint .*belongs to another training.*{words}"):
        other(digits, path)
    assert path.read_bytes() == before


def test_an_unwritable_checkpoint_is_refused_before_training(digits, tmp_path):
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "file" / "x.pt", tmp_path):
        with pytest.raises(ValueError, match="checkpoint"):
            sl.fit(make(), digits, KL(), **QUICK, checkpoint=path)


def test_a_checkpoint_further_along_is_refused(digits, tmp_path):
    options = QUICK | {"scheduler": "constant", "checkpoint": tmp_path / "a.pt"}
    sl.fit(make(), digits, KL(), **options)
    with pytest.raises(ValueError, match="40 steps along, steps asks for 20"):
        sl.fit(make(), digits, KL(), **options | {"steps": 20})


def test_a_damaged_checkpoint_is_named(digits, tmp_path):
    path = tmp_path / "a.pt"
    sl.fit(make(), digits, KL(), **QUICK, checkpoint=path)
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(ValueError, match=r"checkpoint .*cannot be read"):
        sl.fit(make(), digits, KL(), **QUICK, checkpoint=path)
    assert not list(tmp_path.glob("*.part"))


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({"steps": 0}, ValueError, "steps must be at least 1"),
        ({"steps": 2.5}, TypeError, "steps must be a whole number"),
        ({"batch_size": 5000}, ValueError, "batch_size must be at most the 1797 rows"),
        ({"batch_size": 0}, ValueError, "batch_size must be at least 1"),
        ({"learning_rate": 0.0}, ValueError, "learning_rate must be > 0"),
        ({"learning_rate": float("nan")}, ValueError, "learning_rate"),
        ({"scheduler": "linear"}, ValueError, "scheduler must be one of"),
        ({"seed": -1}, ValueError, "seed must be at least 0"),
        ({"log_every": 0}, ValueError, "log_every must be at least 1"),
        ({"device": "tpu9"}, ValueError, "device must be"),
        ({"data": torch.rand(1797, 1, 7, 7)}, ValueError, "data must have shape"),
        ({"data": torch.rand(0, 1, 8, 8)}, ValueError, "at least one row"),
        ({"data": torch.full((100, 1, 8, 8), torch.nan)}, ValueError, "data has 6400 value"),
        ({"data": torch.full((100, 1, 8, 8), 255.0)}, ValueError, "data must lie in"),
        ({"data": torch.zeros((100, 1, 8, 8), dtype=torch.int64)}, TypeError, "data must be uint8 or floats"),
        ({"objective": "kl"}, TypeError, "objective must be"),
    ],
)
def test_bad_arguments_are_named(digits, arguments, error, words):
    given = {"data": digits, "objective": KL()} | QUICK | arguments
    with torch.random.fork_rng(), pytest.raises(error, match=words):
        sl.fit(make(), given.pop("data"), given.pop("objective"), **given)


def test_a_small_table_trains_without_naming_a_batch_size():
    rows = torch.randn(50, 7, generator=torch.Generator().manual_seed(0))
    run = sl.fit(
        sl.build_autoencoder("mlp", image_shape=(7,), dim=2, output="linear"), rows, Reconstruction(), steps=5, progress=False
    )
    assert run.steps == 5


@pytest.mark.parametrize(
    ("model", "came"),
    [
        (make, "the function make: call it first"),
        (torch.nn.Linear, "the class Linear: call it first"),
        (torch.zeros(3, 1, 8, 8), "a Tensor"),
        (None, "None"),
    ],
)
def test_what_is_no_model_is_named_before_anything_else(digits, model, came):
    for train in (sl.fit, sl.steps):
        with pytest.raises(TypeError, match=f"model must be a torch module, such as build_autoencoder.* makes, got {came}"):
            train(model, digits, KL())


def test_too_few_rows_are_called_rows(digits):
    with pytest.raises(ValueError, match=r"data must have at least 2 rows for FactorVAE\(.*, got 1"):
        sl.fit(make(), digits.images[:1], FactorVAE(), **QUICK)


def test_missing_channels_are_pointed_out(digits):
    with pytest.raises(ValueError, match=r"data\[:, None\] adds the channel"):
        sl.fit(make(), digits.images[:, 0], KL(), **QUICK)


def test_steps_checks_its_arguments_at_the_call(digits):
    with pytest.raises(ValueError, match="batch_size"):
        sl.steps(make(), digits, KL(), batch_size=10_000)
    with pytest.raises(ValueError, match="stochastic encoder"):
        sl.steps(make(stochastic=False), digits, KL())
    with pytest.raises(ValueError, match="batch_size must be at least 2"):
        sl.steps(make(), digits, FactorVAE() + KL(), batch_size=1)


def test_a_module_of_ones_own_trains_in_its_own_precision(digits):
    class Own(torch.nn.Module):
        stochastic = True

        def __init__(self):
            super().__init__()
            self.net = make().double()

        def posterior(self, images):
            return self.net.posterior(images)

        def encode(self, images):
            return self.net.encode(images)

        def decode(self, codes):
            return self.net.decode(codes)

    run = sl.fit(Own(), digits, KL(), **QUICK)
    assert run.encode(digits).dtype == torch.float64
    with pytest.raises(ValueError, match="data must lie in"):
        sl.fit(Own(), digits.images * 2, KL(likelihood="bernoulli"), **QUICK)


def test_interrupted_before_the_first_step_there_is_an_empty_history(digits):
    def stop(model, images, generator):
        raise KeyboardInterrupt

    with pytest.warns(UserWarning, match="interrupted after 0"):
        run = sl.fit(make(), digits, stop, **QUICK)
    assert run.history.empty


def test_no_warning_is_raised_on_the_way(digits):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        sl.fit(make(), digits, KL(), **QUICK | {"progress": True})


def test_an_untrained_model_is_not_warned_of(digits):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        sl.fit(make(), digits, KL(), **QUICK | {"steps": 99})


@pytest.mark.parametrize("objective", [KL(), KL() + sl.objectives.MMD("gaussian", 0.0), sl.objectives.BetaTC()], ids=repr)
def test_latents_that_are_all_inactive_are_warned_of_at_the_end(digits, objective):
    with pytest.warns(UserWarning, match=r"every latent is inactive: .*smaller beta, as in KL\(beta=0.1\).*'bernoulli'"):
        run = sl.fit(make(), digits, objective, **QUICK | {"steps": 150})
    assert (information_bounds(run.posterior(digits)) < 0.01).all()


@pytest.mark.parametrize("objective", [KL(beta=0.1), KL(likelihood="bernoulli"), Reconstruction()], ids=repr)
def test_active_latents_are_not_warned_of(digits, objective):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        run = sl.fit(make(), digits, objective, **QUICK | {"steps": 150})
    assert (information_bounds(run.posterior(digits)) > 0.01).any()


def test_columns_in_thousands_are_warned_of():
    rows = 1000 * torch.randn(64, 3, generator=torch.Generator().manual_seed(0))
    model = sl.build_autoencoder("mlp", image_shape=(3,), dim=2, width=4, output="linear")
    with pytest.warns(UserWarning, match="bring each column to mean 0 and standard deviation 1"):
        sl.fit(model, rows, sl.objectives.Reconstruction(), steps=1, progress=False)


def started(model, images, **options):
    training = Training(model, images, Reconstruction(), batch_size=32, device="cpu", precision="float32", **options)
    training.start()
    return training


def test_a_change_to_what_it_is_changes_nothing(digits):
    runs = []
    for change in (False, True):
        training = started(sl.build_autoencoder("mlp", image_shape=(1, 8, 8), dim=2, width=16), digits.images[:100])
        for step in range(6):
            if change and step == 3:
                training.change(objective=sl.objectives.Reconstruction(), batch_size=32, learning_rate=1e-3)
            training.advance()
        runs.append(weights(training.model))
    assert torch.equal(*runs)


def test_a_change_takes_effect_at_the_next_step(digits, plain):
    training = started(plain, digits.images[:100])
    training.advance()
    training.change(objective=sl.objectives.MMD(sl.priors.Uniform(2)), batch_size=16, learning_rate=1e-8)
    before = weights(training.model)
    record = training.advance()
    assert {"mmd2", "reconstruction"} <= set(record.terms)
    assert (weights(training.model) - before).abs().max() < 1e-6  # Adam's step is about the learning rate
    assert training.batches.size == 16


def test_the_weight_alone_of_an_objective_with_companions_can_be_changed(digits, plain):
    training = Training(plain, digits.images[:100], sl.objectives.Predictability(weight=0.0), device="cpu")
    training.start()
    training.advance()
    networks = training.regularizer.companions["predictors"]
    training.change(objective=sl.objectives.Predictability(weight=3.0))
    terms = training.advance().terms
    assert terms["loss"] == pytest.approx((terms["reconstruction"] + 3 * terms["predictability"]).item())
    assert training.regularizer.companions["predictors"] is networks
    with pytest.raises(ValueError, match="in its weight alone"):
        training.change(objective=sl.objectives.Predictability(weight=3.0, rounds=5))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"batch_size": 101}, "at most the 100 rows"),
        ({"learning_rate": 0.0}, "learning_rate"),
        ({"objective": sl.objectives.KL()}, "stochastic"),
        ({"objective": sl.objectives.Predictability()}, "without companions"),
    ],
)
def test_a_change_that_cannot_be_is_refused_and_changes_nothing(digits, plain, change, words):
    training = started(plain, digits.images[:100])
    before = training.objective, training.batches.size, training.learning_rate
    with pytest.raises(ValueError, match=words):
        training.change(**{"learning_rate": 0.5} | change)
    assert (training.objective, training.batches.size, training.learning_rate) == before


def test_a_model_is_in_eval_mode_without_gradients_once_steps_are_stopped(digits, plain):
    for stop in ("close", "break", "delete"):
        records = sl.steps(plain, digits, sl.objectives.MMD("uniform"), device="cpu")
        next(records)
        assert plain.training
        if stop == "close":
            records.close()
        elif stop == "delete":
            del records
        else:
            del records
            for _ in sl.steps(plain, digits, sl.objectives.MMD("uniform"), device="cpu"):
                break
        assert not plain.training
        assert all(weight.grad is None for weight in plain.parameters())


def test_an_unknown_option_is_named_with_the_function_that_was_called(digits, plain):
    goal = sl.objectives.MMD("uniform")

    def make(_):
        raise AssertionError("no model is made before the options are checked")

    for call, message in (
        (
            lambda: sl.steps(plain, digits, goal, foo=1),
            r"^steps\(\) got an unexpected .* 'foo'; it takes batch_size",
        ),
        (lambda: sl.steps(plain, digits, goal, batchsize=1), r"^steps\(\) got .* 'batchsize'; did you mean 'batch_size'"),
        (lambda: sl.fit(plain, digits, goal, foo=1), r"^fit\(\) got an unexpected keyword argument 'foo'"),
        (lambda: sl.copy_latents(np.eye(80, 2), plain, digits, foo=1), r"^copy_latents\(\) got .* 'foo'"),
        (lambda: sl.copy_latents(np.eye(80, 2), plain, digits, ancors=1), r"^copy_latents\(\) got .*; did you mean 'anchors'"),
        (lambda: sl.find_weight(make, make, digits, foo=1), r"^find_weight\(\) got .* 'foo'"),
        (
            lambda: sl.find_weight(lambda w: goal, lambda seed: plain, digits, seed=1),
            r"^find_weight\(\) got .*; did you mean 'seeds'",
        ),
    ):
        with pytest.raises(TypeError, match=message):
            call()
