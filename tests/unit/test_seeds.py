"""Seeds: which are legal, that a bad one is refused before any work, and that work from any thread leaves no trace."""

import inspect
import os
import random
import subprocess
import sys
import threading
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from joblib import parallel_config
from sklearn.model_selection import GridSearchCV
from threadpoolctl import threadpool_info
from torch import nn

import sculptlab as sl
from sculptlab.data import sprites
from sculptlab.evaluation import c2st, coverage_gap, off_support
from sculptlab.evaluation.copy_measures import compare
from sculptlab.independence import dependence
from sculptlab.threads import one_thread, set_torch_threads_here
from sculptlab.training import models
from sculptlab.training.initialization import Initialization
from sculptlab.validation import SEEDS, as_seed
from tests.unit.test_docstrings import METHODS, PUBLIC

BEYOND_THE_ROOMS = {
    "data.sprites.sample": sprites.sample, "evaluation.copy_measures.compare": compare,
    "independence.dependence.distance_correlation": dependence.distance_correlation,
    "independence.dependence.distance_correlation_to_rest": dependence.distance_correlation_to_rest,
    "independence.dependence.hsic_to_rest": dependence.hsic_to_rest,
}  # fmt: skip
RECORDS = {"evaluation.Diagnosis", "independence.LPSResult", "training.Run"}  # they hold the seed of work that is done
NAMES = ("seed", "seeds", "random_state")


def takes_a_seed():
    """The public functions, classes and methods with a seed among their parameters, and that parameter's name."""
    for path, thing in {**PUBLIC, **METHODS, **BEYOND_THE_ROOMS}.items():
        if path in RECORDS or (inspect.isclass(thing) and issubclass(thing, Exception)):
            continue
        for name in NAMES:
            if name in inspect.signature(thing).parameters:
                yield path, thing, name


SEEDED = {path: (thing, name) for path, thing, name in takes_a_seed()}


class Untouched:
    """An argument that must not be looked at."""

    def __getattribute__(self, name):
        raise AssertionError(f"work began: {name} was asked for")


@pytest.mark.parametrize("bad", [-1, 1.5, True, 2**32, 2**64, np.float64(1), np.array([1]), torch.tensor(1.0), "1", None])
def test_what_is_no_seed(bad):
    with pytest.raises((TypeError, ValueError), match="seed must be"):
        as_seed("seed", bad)


@pytest.mark.parametrize(
    "good",
    [3, np.int8(3), np.int64(3), np.uint64(3), np.array(3), np.array(3, np.uint16), torch.tensor(3), torch.tensor(3).short()],
)
def test_what_is_a_seed(good):
    assert as_seed("seed", good) == 3
    assert type(as_seed("seed", good)) is int


def test_the_largest_seed():
    assert as_seed("seed", 2**32 - 1) == SEEDS - 1 == np.iinfo(np.uint32).max
    assert as_seed("seed", np.uint32(2**32 - 1)) == SEEDS - 1
    with pytest.raises(ValueError, match=r"seed must be below 2\*\*32, got 4294967296: take the remainder, seed % 2\*\*32"):
        as_seed("seed", np.uint64(2**32))


@pytest.mark.parametrize("bad", [2**32, 2**64, -1, 1.5, np.int64(-1), np.float32(0)])
@pytest.mark.parametrize("path", SEEDED)
def test_a_bad_seed_is_refused_before_any_work(path, bad):
    if path.startswith(("estimator.", "reshaping.", "live.Sculptor.reset", "live.PredictabilityWidget.reset")):
        pytest.skip("its own test follows")
    thing, name = SEEDED[path]
    given = {
        one: Untouched() for one, parameter in inspect.signature(thing).parameters.items()
        if parameter.default is parameter.empty and parameter.kind is not parameter.VAR_KEYWORD
    }  # fmt: skip
    positional = [given.pop("self")] if "self" in given else []
    with pytest.raises((TypeError, ValueError), match=f"^{name} must be"):
        thing(*positional, **given, **{name: (bad,) if name == "seeds" else bad})


@pytest.mark.parametrize("bad", [2**32, -1, 1.5])
def test_a_bad_seed_of_the_others_is_refused_before_any_work(bad, plain):
    for kind in (sl.SculptedAutoencoder, sl.Reshaper):
        estimator = kind(random_state=bad)
        with pytest.raises((TypeError, ValueError), match=r"^random_state must be"):
            estimator.fit(Untouched())
    for fitted in (sl.SculptedAutoencoder(max_iter=1).fit(CODES), RESHAPER):
        with pytest.raises((TypeError, ValueError), match=r"^random_state must be"):
            fitted.sample(2, random_state=bad)
    with pytest.raises((TypeError, ValueError), match=r"^seed must be"):
        sl.steps(plain, Untouched(), sl.objectives.Reconstruction(), seed=bad)
    with pytest.raises((TypeError, ValueError), match=r"^seed must be"):
        sl.Sculptor(seed=bad)
    sculptor = sl.Sculptor()
    with pytest.raises((TypeError, ValueError), match=r"^seed must be"):
        sculptor.reset(bad)
    assert sculptor.settings == "sculptor?"
    sculptor.close()
    widget = sl.PredictabilityWidget()
    with pytest.raises((TypeError, ValueError), match=r"^seed must be"):
        widget.reset(bad)
    widget.close()


CODES = np.random.default_rng(0).normal(size=(60, 3))
FACTORS = np.random.default_rng(1).integers(0, 3, (60, 2))
MANY = {
    "codes": np.tile(CODES, (4, 1)) + 0.1 * np.random.default_rng(2).normal(size=(240, 3)),
    "factors": np.tile(FACTORS, (4, 1)),
}
TABLE = torch.rand(80, 6, generator=torch.Generator().manual_seed(0))
OPTIONS = {"steps": 3, "batch_size": 16, "device": "cpu", "progress": False}


def network(seed=0, **options):
    return sl.build_autoencoder("mlp", image_shape=(6,), dim=2, width=8, seed=seed, **options)


def trained(seed, objective, **options):
    return sl.fit(network(**options), TABLE, objective, seed=seed, **OPTIONS)


RUN = trained(0, sl.objectives.MMD("gaussian"))
STOCHASTIC = trained(0, sl.objectives.KL(), stochastic=True)


def estimated(seed):
    fitted = sl.SculptedAutoencoder(max_iter=3, hidden_size=8, random_state=seed).fit(TABLE.numpy())
    return fitted.transform(TABLE.numpy()), fitted.sample(3, random_state=seed)


def explored(seed):
    explorer = sl.Explorer(
        sl.Run(sl.build_autoencoder("mlp", image_shape=(1, 2, 3), dim=2), None, [], 0, 0), TABLE.reshape(80, 1, 2, 3), seed=seed
    )
    return explorer.codes, explorer.lps


def predicted(seed):
    widget = sl.PredictabilityWidget(latents=2, seed=seed)
    history = widget.run(2)
    again = widget.reset(seed).run(2)
    widget.close()
    return history.to_numpy(), again.to_numpy()


def sculpted(seed):
    sculptor = sl.Sculptor(seed=seed, batch=16)
    history = sculptor.run(2)
    settings = sculptor.reset(seed).settings
    sculptor.close()
    return history.to_numpy(), settings


def weights(seed):
    options = {"weights": [1.0], "seeds": [seed], "held_out": 0.4, **OPTIONS}
    found = sl.find_weight(lambda weight: sl.objectives.MMD("gaussian", weight), network, TABLE, **options)
    return found.frame.to_numpy()


def regularized(seed):
    term = (sl.objectives.MMD("gaussian") + sl.objectives.Predictability()).regularizer(3, seed=seed)
    return float(term(torch.from_numpy(CODES))), [*term.companions.state_dict().values()]


def reported(seed):
    return sl.independence_report(CODES, regressor="linear", permutations=1, seed=seed).table.to_numpy()[:, :3]


def scored(score, **options):
    return lambda seed: score(MANY["codes"], MANY["factors"], seed=seed, **options).table.to_numpy()


SPLIT = {"train": 120, "test": 60}
DIGITS = sl.load("digits", n=60)


def reshaped(seed):
    return sl.Reshaper("uniform", max_iter=5, random_state=seed).fit_transform(CODES)


RESHAPER = sl.Reshaper("uniform", max_iter=5).fit(CODES)
CALLS = {
    "data.load": lambda seed: sl.load("digits", n=20, seed=seed).images,
    "data.Dataset.split": lambda seed: DIGITS.split(seed=seed)[1].images,
    "data.sprites.sample": lambda seed: sprites.sample(5, seed=seed),
    "mmd.mmd_test": lambda seed: sl.mmd_test(CODES, CODES + 0.1, permutations=9, seed=seed).null,
    "mmd.sliced_mmd2": lambda seed: sl.sliced_mmd2(CODES, "uniform", directions=8, seed=seed),
    "independence.lps": lambda seed: sl.lps(CODES, permutations=1, seed=seed).to_frame().to_numpy(),
    "independence.lps_curve": lambda seed: sl.lps_curve(MANY["codes"], permutations=1, seed=seed).frame.to_numpy(),
    "independence.independence_report": reported,
    "independence.dependence.distance_correlation": lambda seed: dependence.distance_correlation(CODES, 40, seed),
    "independence.dependence.distance_correlation_to_rest": lambda seed: dependence.distance_correlation_to_rest(CODES, 40, seed),
    "independence.dependence.hsic_to_rest": lambda seed: dependence.hsic_to_rest(CODES, 40, seed),
    "factors.beta_vae": scored(sl.factors.beta_vae, train_votes=30, test_votes=20),
    "factors.dci": scored(sl.factors.dci, estimator="forest", **SPLIT),
    "factors.factor_vae": scored(sl.factors.factor_vae, train_votes=30, test_votes=20),
    "factors.info_mec": scored(sl.factors.info_mec, **SPLIT),
    "factors.mig": scored(sl.factors.mig, rows=100),
    "factors.modularity": scored(sl.factors.modularity, **SPLIT),
    "factors.sap": scored(sl.factors.sap, **SPLIT),
    "training.build_autoencoder": lambda seed: list(network(seed).state_dict().values()),
    "training.fit": lambda seed: trained(seed, sl.objectives.MMD("gaussian") + sl.objectives.Predictability()).encode(TABLE),
    "training.objectives.Regularizer": regularized,
    "training.objectives.Objective.regularizer": regularized,
    "training.objectives.Custom.regularizer": regularized,
    "training.Run.codes": lambda seed: STOCHASTIC.codes(TABLE, seed=seed)["samples"],
    "training.Run.reshape": lambda seed: RUN.reshape("uniform", TABLE, seed=seed, max_iter=5).encode(TABLE),
    "reshaping.Reshaper": reshaped,
    "reshaping.Reshaper.sample": lambda seed: RESHAPER.sample(4, random_state=seed),
    "training.Run.sample": lambda seed: RUN.sample(3, seed=seed),
    "evaluation.c2st": lambda seed: c2st(CODES, CODES + 0.1, seed).p_value,
    "evaluation.copy_latents": lambda seed: sl.copy_latents(
        MANY["codes"][:, :2], network(), torch.cat([TABLE, TABLE]), held_out=0.4, seed=seed, **OPTIONS).report.to_numpy(),
    "evaluation.copy_measures.compare": lambda seed: list(compare(CODES, CODES + 0.1, permutations=9, seed=seed).values()),
    "evaluation.diagnose": lambda seed: sl.diagnose(CODES, "gaussian", permutations=9, seed=seed).joint.to_numpy(),
    "evaluation.find_weight": weights,
    "evaluation.latents": lambda seed: sl.latents(STOCHASTIC, TABLE, seed)["samples"],
    "evaluation.relevance": lambda seed: sl.relevance(RUN, CODES[:, :2], rows=20, seed=seed).to_numpy(),
    "evaluation.off_support": lambda seed: off_support(CODES, "uniform", seed),
    "estimator.SculptedAutoencoder": estimated,
    "estimator.SculptedAutoencoder.sample": estimated,
    "live.Explorer": explored,
    "live.PredictabilityWidget": predicted,
    "live.PredictabilityWidget.reset": predicted,
    "live.Sculptor.reset": sculpted,
}  # fmt: skip
WITHOUT_A_SEED = {
    "mmd.mmd2": lambda _: sl.mmd2(CODES, "gaussian"),
    "mmd.witness": lambda _: sl.witness(CODES, CODES + 0.1, CODES),
    "evaluation.coverage_gap": lambda _: coverage_gap(CODES, CODES, CODES),
    "factors.alignment": lambda _: sl.factors.alignment(CODES, FACTORS),
    "factors.dci, lasso": scored(sl.factors.dci, estimator="lasso", **SPLIT),
    "factors.dci, boosting": scored(sl.factors.dci, estimator="boosting", train=30, test=20),
    "independence.lps, boosting": lambda seed: sl.lps(CODES, "boosting", permutations=0, seed=seed).score,
    "independence.lps, distribution": lambda seed: sl.lps(CODES, "linear", "distribution", permutations=0, seed=seed).score,
    "training.fit, FactorVAE": lambda seed: trained(seed, sl.objectives.FactorVAE(), stochastic=True).encode(TABLE),
    "priors.as_prior": lambda seed: sl.priors.as_prior(lambda n: np.random.normal(size=(n, 2))).sample(  # noqa: NPY002
        4, torch.Generator().manual_seed(int(seed))),
}  # fmt: skip


def test_no_function_with_a_seed_is_forgotten():
    assert set(SEEDED) == set(CALLS)


def global_state():
    """What no call may change: generators, limits of threads, warning filters, default types."""
    pools = tuple((pool["filepath"], pool["num_threads"]) for pool in threadpool_info())
    state = np.random.get_state()  # noqa: NPY002
    return (
        random.getstate(), state[1].tobytes(), state[2:], torch.random.get_rng_state().numpy().tobytes(), torch.get_num_threads(),
        dict(pools), list(warnings.filters), torch.get_default_dtype(), torch.get_default_device(),
    )  # fmt: skip


def assert_same(one, other):
    if isinstance(one, tuple | list):
        for a, b in zip(one, other, strict=True):
            assert_same(a, b)
    else:
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("path", [*CALLS, *WITHOUT_A_SEED])
def test_threads_get_the_same_bits_and_leave_no_trace(path):
    call = {**CALLS, **WITHOUT_A_SEED}[path]
    first = call(3)  # also imports what it needs
    before = global_state()
    with ThreadPoolExecutor(2) as pool:
        others = list(pool.map(call, [np.int64(3), np.array(3)]))
    for other in others:
        assert_same(first, other)
    assert global_state() == before
    call(3)
    assert global_state() == before


BUILT = [("mlp", 8, 16), ("conv", 28, 8), ("conv", 32, 8), ("conv", 64, 8), ("residual", 32, 8), ("residual", 64, 12)]


@pytest.mark.parametrize(("architecture", "size", "width"), BUILT)
def test_weights_are_those_of_torchs_global_generator(architecture, size, width):
    make = {"mlp": models._mlp, "conv": models._conv, "residual": models._residual}[architecture]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(7)
        encoder, decoder = make((3, size, size), 2, 4, width)
    model = sl.build_autoencoder(architecture, image_shape=(3, size, size), dim=2, stochastic=True, width=width, seed=7)
    assert_same([*model.encoder.state_dict().values()], [*encoder.state_dict().values()])
    assert_same([*model.decoder.state_dict().values()], [*decoder.state_dict().values()])


MODULES = {
    "predictors": lambda: [sl.objectives.Predictability().companions(3)["predictors"]],
    "discriminator": lambda: list(sl.objectives.FactorVAE().companions(3).values()),
    "other layers": lambda: [nn.Embedding(3, 4), nn.GRU(2, 3), nn.Bilinear(2, 3, 4), nn.MultiheadAttention(4, 2), nn.PReLU()],
    "orthogonal": lambda: [nn.ParameterList([nn.init.orthogonal_(torch.empty(4, 3)), nn.init.trunc_normal_(torch.empty(9))])],
    "other draws": lambda: [nn.ParameterList([torch.randn(3), torch.empty(4).exponential_(), torch.randperm(5).float()])],
}  # fmt: skip


@pytest.mark.parametrize("name", MODULES)
def test_initialization_draws_what_torchs_global_generator_would(name):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        expected = nn.ModuleList(MODULES[name]())
    torch.set_default_dtype(torch.float64)
    try:
        with Initialization(5):
            made = nn.ModuleList(MODULES[name]())
    finally:
        torch.set_default_dtype(torch.float32)
    assert {one.dtype for one in made.parameters()} == {torch.float32}
    assert_same([*made.state_dict().values()], [*expected.state_dict().values()])


def blas():
    return {pool["filepath"]: pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"}


@pytest.mark.parametrize("first_out", [0, 1])
def test_one_thread_ends_with_the_last_thread_whatever_their_order(first_out):
    own = set_torch_threads_here(2)  # in this thread; new ones start with the number that the process has
    here, there, steps = blas(), [], [threading.Event() for _ in range(4)]

    def other():
        there.append(torch.get_num_threads())
        with one_thread():
            there.append(torch.get_num_threads())
            steps[0].set()
            assert steps[1].wait(60)
        there.append(torch.get_num_threads())
        steps[2].set()
        assert steps[3].wait(60)

    thread = threading.Thread(target=other)
    try:
        with one_thread():
            assert torch.get_num_threads() == 1
            thread.start()
            assert steps[0].wait(60)
            assert set(blas().values()) == {1}
            if first_out:
                steps[1].set()
                assert steps[2].wait(60)
                assert set(blas().values()) == {1}
        assert torch.get_num_threads() == 2
        if not first_out:
            assert set(blas().values()) == {1}
            steps[1].set()
            assert steps[2].wait(60)
        assert blas() == here
    finally:
        for step in steps:
            step.set()
        thread.join()
        set_torch_threads_here(own)
    assert there[0] == there[2]
    assert there[1] == 1


IMPORTS = """
import threading
import sculptlab as sl
names = [name for name in sl.__all__ if name != "__version__"]
errors, start = [], threading.Barrier(8)
def look(first):
    start.wait()
    for name in names[first:] + names[:first]:
        try:
            getattr(sl, name)
        except BaseException as error:
            errors.append(f"{name}: {error!r}")
threads = [threading.Thread(target=look, args=(4 * number,)) for number in range(8)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
assert not errors, errors
"""
OVERLAP = """
import sys, threading
import torch
from threadpoolctl import threadpool_info
from sculptlab.threads import one_thread
import numpy, scipy.linalg

def state():
    return torch.get_num_threads(), sorted((pool["filepath"], pool["num_threads"]) for pool in threadpool_info())

def fresh():
    found = []
    thread = threading.Thread(target=lambda: found.append(state()))
    thread.start()
    thread.join()
    return found

before, inside, looked = (state(), fresh()), threading.Barrier(5), threading.Barrier(5)

def work():
    with one_thread():
        inside.wait()
        assert torch.get_num_threads() == 1
        looked.wait()
    for _ in range(20):
        with one_thread():
            pass

threads = [threading.Thread(target=work) for _ in range(4)]
[thread.start() for thread in threads]
inside.wait()
work_of_new_threads = fresh()[0][0]
looked.wait()
[thread.join() for thread in threads]
assert (state(), fresh()) == before, (before, state(), fresh())
assert work_of_new_threads == before[0][0] == 2
"""


def test_threads_may_import_the_package_at_once_and_overlapping_ones_leave_two_threads_to_those_that_come_later():
    environment = os.environ | {"OMP_NUM_THREADS": "2", "OPENBLAS_NUM_THREADS": "2"}
    subprocess.run([sys.executable, "-c", IMPORTS + OVERLAP], check=True, env=environment)


def test_forty_convolutional_models_built_in_four_threads_have_the_weights_of_their_seeds():
    def build(seed):
        model = sl.build_autoencoder("conv", image_shape=(1, 28, 28), dim=2, width=8, stochastic=True, seed=seed)
        return torch.cat([weight.flatten() for weight in model.parameters()])

    expected = [build(seed) for seed in range(4)]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(build, list(range(4)) * 10))
    assert all(torch.equal(one, expected[k % 4]) for k, one in enumerate(found))


def test_a_grid_search_on_threads_has_the_scores_of_one_thread():
    rows = np.random.default_rng(0).random((40, 6), dtype=np.float32)
    estimator = sl.SculptedAutoencoder(n_components=2, max_iter=4, hidden_size=8, device="cpu")

    def scores(jobs):
        search = GridSearchCV(
            estimator, {"random_state": [0, 1], "prior": ["uniform", "gaussian"]}, cv=2, n_jobs=jobs, refit=False
        )
        with parallel_config(backend="threading"):
            return search.fit(rows).cv_results_["mean_test_score"]

    assert np.array_equal(scores(1), scores(4))
