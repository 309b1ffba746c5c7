"""The scikit-learn interface: the checks of scikit-learn, and what they do not cover."""

import copy
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.datasets import load_digits, load_wine
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, KFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

import sculptlab as sl
from sculptlab.estimator import SculptedAutoencoder

pytestmark = pytest.mark.filterwarnings("ignore:X does not have valid feature names")
ROOT = Path(__file__).resolve().parents[2]
WINE = load_wine(as_frame=True).data
TABLE = WINE.to_numpy()
DIGITS = load_digits().images[:200, None] / 16
QUICK = {"max_iter": 5, "hidden_size": 16}


def quick(**given):
    return SculptedAutoencoder(**{**QUICK, **given})


@parametrize_with_checks([SculptedAutoencoder(max_iter=5), SculptedAutoencoder("gaussian", objective="kl", max_iter=5)])
def test_the_checks_of_scikit_learn_pass(estimator, check):
    check(estimator)


@pytest.fixture(scope="module")
def wine():
    """An autoencoder of wines whose codes fill a square."""
    return SculptedAutoencoder("uniform", n_components=2, max_iter=400, hidden_size=64).fit(WINE)


def test_wine_fills_the_square(wine):
    codes = wine.transform(WINE)
    found = sl.diagnose(codes, sl.priors.Uniform(2)).joint.loc["codes"]
    assert found["mmd_p"] > 0.05
    assert found["dead"] == 0
    plain = SculptedAutoencoder(objective=None, max_iter=400, hidden_size=64).fit(WINE).transform(WINE)
    assert sl.diagnose(plain, sl.priors.Uniform(2)).joint.loc["codes"]["mmd_p"] < 0.01  # the test can tell


def test_score_is_minus_the_error_in_standard_deviations(wine):
    error = (wine.inverse_transform(wine.transform(TABLE)) - TABLE) / TABLE.std(0)
    assert wine.score(WINE) == pytest.approx(-np.square(error).mean(), rel=1e-4)
    assert -0.6 < wine.score(WINE) < 0  # two principal components leave 0.45


def test_columns_are_standardized_and_their_units_do_not_matter():
    table = TABLE * 1e6 - 3e7
    table[:, 4] = 7.5
    fitted = quick().fit(table)
    kept = np.delete(np.arange(13), 4)
    assert fitted.mean_ == pytest.approx(table.mean(0))
    assert fitted.scale_[kept] == pytest.approx(table[:, kept].std(0))
    assert fitted.scale_[4] == 1  # constant
    codes, in_other_units = (quick().fit_transform(rows[:, kept]) for rows in (TABLE, table))
    assert in_other_units == pytest.approx(codes, abs=1e-3)


def test_every_row_constant_or_a_single_column():
    constant = quick().fit(np.full((30, 3), 5.0))
    assert constant.inverse_transform(constant.transform(np.full((2, 3), 5.0))) == pytest.approx(np.full((2, 3), 5.0), rel=1e-12)
    table = TABLE.copy()
    table[:, 4] = 0.0
    made = quick().fit(table).sample(20)
    assert (made[:, 4] == 0).all()  # new rows as well
    assert made[:, 3].std() > 0
    assert quick(n_components=1).fit(TABLE[:, :1]).transform(TABLE[:, :1]).shape == (178, 1)


def test_a_code_does_not_depend_on_the_rows_beside_it(wine):
    whole = wine.transform(TABLE)
    alone = np.concatenate([wine.transform(TABLE[i : i + 1]) for i in range(0, 178, 20)])
    assert alone == pytest.approx(whole[::20], abs=1e-12)


def test_the_same_random_state_gives_the_same_bits_and_none_differs():
    codes = [quick(random_state=seed).fit_transform(TABLE) for seed in (3, 3, 4, None, None)]
    assert np.array_equal(codes[0], codes[1])
    assert not np.array_equal(codes[0], codes[2])
    assert not np.array_equal(codes[3], codes[4])
    by_state = [quick(random_state=np.random.RandomState(8)).fit_transform(TABLE) for _ in range(2)]
    assert np.array_equal(*by_state)


def test_random_state_is_the_seed_of_fit():
    fitted = quick(random_state=3).fit(TABLE)
    model = sl.build_autoencoder("mlp", image_shape=(13,), dim=2, width=16, output="linear", seed=3)
    seen = StandardScaler().fit_transform(TABLE).astype(np.float32)
    goal, options = sl.objectives.MMD(sl.priors.Uniform(2), 100.0), {"batch_size": 178, "learning_rate": fitted.learning_rate}
    run = sl.fit(model, seen, goal, steps=5, seed=3, progress=False, **options)
    assert fitted.transform(TABLE) == pytest.approx(run.encode(seen), abs=1e-5)


def test_nothing_global_moves():
    state, threads = np.random.get_state(), torch.get_num_threads()  # noqa: NPY002
    for random_state in (None, 0):
        fitted = quick(random_state=random_state, objective="mmd+predictability").fit(TABLE)
        fitted.transform(TABLE), fitted.sample(3, random_state=random_state), fitted.score(TABLE)
    assert all(np.array_equal(a, b) for a, b in zip(state, np.random.get_state(), strict=True))  # noqa: NPY002
    assert torch.get_num_threads() == threads  # torch's generator: the fixture of conftest.py


def test_pandas_in_and_out(wine):
    assert list(wine.feature_names_in_) == list(WINE.columns)
    assert wine.n_features_in_ == 13
    names = ["sculptedautoencoder0", "sculptedautoencoder1"]
    assert list(wine.get_feature_names_out()) == names
    frame = copy.deepcopy(wine).set_output(transform="pandas").transform(WINE)
    assert list(frame.columns) == names
    assert frame.index.equals(WINE.index)
    assert wine.inverse_transform(frame) == pytest.approx(wine.inverse_transform(frame.to_numpy()))
    with pytest.raises(ValueError, match="feature names"):
        wine.transform(WINE[WINE.columns[::-1]])


def test_pipelines_and_grids():
    labels = load_wine().target
    pipe = make_pipeline(StandardScaler(), quick(), LogisticRegression())
    grid = GridSearchCV(pipe, {"sculptedautoencoder__n_components": [1, 3], "sculptedautoencoder__weight": [1.0, 100.0]}, cv=2)
    grid.fit(TABLE, labels)
    assert len(grid.cv_results_["params"]) == 4
    assert grid.best_estimator_[1].transform(TABLE).shape[1] in (1, 3)
    halves = KFold(2, shuffle=True, random_state=0)  # the wines lie in the order of their kinds
    alone = GridSearchCV(quick(max_iter=100), {"n_components": [1, 4]}, cv=halves).fit(TABLE)  # by the estimator's own score
    assert alone.best_params_ == {"n_components": 4}
    assert alone.best_score_ < 0


def test_the_steps_are_counted():
    fitted = quick(max_iter=3).fit(TABLE)
    assert fitted.n_iter_ == fitted.run_.steps == len(fitted.history_) == 3


def test_weight_pulls():
    square = sl.priors.Uniform(2).sample(178, torch.Generator().manual_seed(0)).double()
    sculpted = (quick(weight=weight, max_iter=100, learning_rate=1e-2).fit_transform(TABLE) for weight in (0.0, 100.0))
    far, near = (sl.mmd2(torch.from_numpy(codes), square).item() for codes in sculpted)
    assert near < far / 5


def test_clone_keeps_the_parameters_and_forgets_the_fit():
    prior = sl.priors.Uniform(3, low=0.0, high=1.0)
    again = clone(quick(prior=prior, n_components=3).fit(TABLE))
    assert again.get_params()["prior"] == prior
    with pytest.raises(NotFittedError):
        again.transform(TABLE)


def ring(n):
    angle = 6.283 * torch.rand(n)
    return torch.stack([angle.cos(), angle.sin()], 1)


BANK = np.random.default_rng(0).normal(size=(50, 2))
NORMAL = torch.distributions.MultivariateNormal(torch.zeros(2), torch.eye(2))


@pytest.mark.parametrize(
    "prior", ["uniform", sl.priors.Uniform(2), BANK, NORMAL, ring], ids=["name", "prior", "bank", "torch", "f"]
)
def test_pickles_and_copies_are_the_same(prior):
    fitted = quick(prior=prior, objective="mmd+predictability").fit(TABLE)
    for other in (pickle.loads(pickle.dumps(fitted)), copy.deepcopy(fitted)):
        assert np.array_equal(other.transform(TABLE), fitted.transform(TABLE))
        assert np.array_equal(other.sample(5), fitted.sample(5))
        assert other.history_.equals(fitted.history_)


def test_what_was_trained_on_a_gpu_is_pickled_from_the_cpu(monkeypatch):
    fitted = quick().fit(TABLE)
    moved = []
    monkeypatch.setattr(sl.Run, "device", torch.device("cuda"))
    monkeypatch.setattr(type(fitted.model_), "cpu", lambda model: moved.append(model) or model)
    state = fitted.__getstate__()
    assert moved == [state["run_"].model]
    assert moved[0] is not fitted.model_  # the fitted one stays where it is


def test_objectives_by_name():
    terms = {
        name: set(quick(objective=name, prior="gaussian").fit(TABLE).history_) - {"step", "loss", "reconstruction", "seconds"}
        for name in ("mmd", "mmd+predictability", "predictability", "kl", None)
    }
    assert terms == {
        "mmd": {"mmd2"}, "mmd+predictability": {"mmd2", "predictability"}, "predictability": {"predictability"}, "kl": {"kl"},
        None: set(),
    }  # fmt: skip


def test_an_objective_of_ones_own():
    fitted = quick(objective=sl.objectives.SlicedWasserstein(sl.priors.Gaussian(3)), n_components=3).fit(TABLE)
    assert fitted.prior_ == sl.priors.Gaussian(3)
    assert fitted.sample(4).shape == (4, 13)
    both = sl.objectives.KL(0.1) + sl.objectives.MMD(sl.priors.Gaussian(2), 10.0)
    assert quick(objective=both).fit(TABLE).model_.stochastic  # a sum needs a posterior if a part does
    loss = quick(objective=lambda model, rows, generator: (model(rows) - rows).square().mean()).fit(TABLE)
    assert loss.prior_ is None


def test_samples_are_decoded_draws_of_the_prior(wine):
    made = wine.sample(500)
    assert made.shape == (500, 13)
    assert np.array_equal(made, wine.sample(500))
    assert not np.array_equal(made, wine.sample(500, random_state=1))
    assert np.abs((made.mean(0) - TABLE.mean(0)) / TABLE.std(0)).max() < 0.5
    draws = sl.priors.Uniform(2).sample(500, torch.Generator().manual_seed(0)).numpy()
    assert made == pytest.approx(wine.inverse_transform(draws), rel=1e-5)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_types_follow_the_caller(wine, dtype):
    codes = wine.transform(TABLE.astype(dtype))
    assert codes.dtype == dtype
    assert wine.inverse_transform(codes).dtype == dtype


def test_images_as_images_as_rows_and_in_bytes():
    rows = DIGITS.reshape(200, 64)
    folded = quick(max_iter=50).fit(DIGITS)
    flat = quick(max_iter=50, image_shape=(1, 8, 8)).fit(rows)
    assert np.array_equal(folded.transform(DIGITS), flat.transform(rows))
    assert np.array_equal(folded.transform(rows), folded.transform(DIGITS))
    assert folded.sample(3).shape == (3, 1, 8, 8)
    assert flat.sample(3).shape == (3, 64)
    made = folded.inverse_transform(folded.transform(DIGITS))
    assert made.shape == DIGITS.shape
    assert made.min() >= 0
    assert made.max() <= 1
    assert folded.score(DIGITS) == pytest.approx(-np.square(made - DIGITS).mean(), rel=1e-5)
    assert (folded.mean_, folded.scale_) == (None, None)
    assert folded.n_features_in_ == 64
    in_bytes = np.round(DIGITS * 255).astype(np.uint8)
    assert folded.transform(in_bytes) == pytest.approx(folded.transform(DIGITS), abs=0.05)
    assert folded.transform(in_bytes).dtype == np.float32
    assert folded.score(in_bytes) == pytest.approx(folded.score(DIGITS), abs=1e-3)


def test_tensors_data_sets_and_convolutions():
    patches = sl.load("patches", n=20)
    fitted = SculptedAutoencoder(architecture="conv", hidden_size=4, max_iter=3, n_components=3).fit(patches)
    assert fitted.transform(patches.images).shape == (20, 3)
    assert np.array_equal(fitted.transform(patches), fitted.transform(patches.images.numpy()))
    assert fitted.sample(2).shape == (2, 3, 32, 32)


NAN = np.where(np.arange(178)[:, None] == 3, np.nan, TABLE)


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: quick(prior="cauchy").fit(TABLE), ValueError, r"prior must be one of \['gaussian', 'uniform'\], got 'cauchy'"),
        (lambda: quick(prior=sl.priors.Uniform(3)).fit(TABLE), ValueError, "prior must have 2 dimension"),
        (lambda: quick(prior=sl.priors.Uniform).fit(TABLE), TypeError, "call it first"),
        (lambda: quick(prior=lambda n: torch.full((n, 2), torch.nan)).fit(TABLE), ValueError, "NaN or infinite"),
        (lambda: quick(objective="wae").fit(TABLE), ValueError, "objective must be one of"),
        (lambda: quick(objective="kl").fit(TABLE), ValueError, "prior must be 'gaussian' for objective='kl', got 'uniform'"),
        (lambda: quick(objective=sl.objectives.KL(), weight=2.0).fit(TABLE), ValueError, "weight must be None"),
        (lambda: quick(objective=3).fit(TABLE), TypeError, "objective must be an Objective"),
        (lambda: quick(objective="mmd+predictability", n_components=1).fit(TABLE), ValueError, "at least 2 latents"),
        (lambda: quick(weight=-1.0).fit(TABLE), ValueError, "weight must be >= 0"),
        (lambda: quick(n_components=0).fit(TABLE), ValueError, "n_components must be at least 1"),
        (lambda: quick(n_components=2.0).fit(TABLE), TypeError, "n_components must be a whole number"),
        (lambda: quick(architecture="cnn").fit(TABLE), ValueError, "architecture must be one of"),
        (lambda: quick(architecture="conv").fit(TABLE), ValueError, r"image_shape must be \(channels, s, s\)"),
        (lambda: quick(max_iter=0).fit(TABLE), ValueError, "max_iter must be at least 1"),
        (lambda: quick(batch_size=1).fit(TABLE), ValueError, "batch_size must be at least 2"),
        (lambda: quick(learning_rate=0.0).fit(TABLE), ValueError, "learning_rate must be > 0"),
        (lambda: quick(random_state=-1).fit(TABLE), ValueError, "random_state must be at least 0"),
        (
            lambda: quick(random_state="a").fit(TABLE),
            TypeError,
            "random_state must be a whole number, a numpy.random.RandomState",
        ),
        (lambda: quick(random_state=np.random.default_rng(0)).fit(TABLE), TypeError, "random_state must be a whole number"),
        (lambda: quick().fit(TABLE[:1]), ValueError, r"1 sample\(s\).*minimum of 2"),
        (lambda: quick(objective="mmd+predictability").fit(TABLE[:2]), ValueError, r"2 sample\(s\).*minimum of 3"),
        (lambda: quick().fit(NAN), ValueError, "contains NaN"),
        (lambda: quick().fit(np.where(np.isnan(NAN), np.inf, NAN)), ValueError, "contains infinity"),
        (lambda: quick().fit(TABLE * 1e300), ValueError, "X must have columns whose variance is finite"),
        (lambda: quick().fit(TABLE).transform(TABLE * 1e100), ValueError, "X must stay within float32"),
        (lambda: quick().fit(TABLE).transform(TABLE[:, :5]), ValueError, "5 features, but SculptedAutoencoder is expecting 13"),
        (lambda: quick().fit(TABLE).transform(DIGITS), ValueError, r"X must be a table \(n, 13\)"),
        (lambda: quick().fit(TABLE).inverse_transform(TABLE), ValueError, "Z must have the 2 column"),
        (lambda: quick().fit(TABLE).inverse_transform(NAN[:, :2]), ValueError, "Input Z contains NaN"),
        (lambda: quick().fit(TABLE).sample(0), ValueError, "n must be at least 1"),
        (lambda: quick(objective="predictability").fit(TABLE).sample(2), ValueError, "pull the codes towards a prior"),
        (lambda: quick(objective=None).fit(TABLE).sample(2), ValueError, "pull the codes towards a prior"),
        (lambda: quick().fit(DIGITS * 255), ValueError, r"in \[0, 1\] or of uint8, got \[0, 255\]; divide"),
        (lambda: quick().fit(DIGITS[:, 0]), ValueError, r"X\[:, None\] adds a channel"),
        (lambda: quick().fit(np.zeros((9, 28, 28, 3))), ValueError, "channels first"),
        (lambda: quick(image_shape=(1, 8, 8)).fit(TABLE), ValueError, "64 columns"),
        (lambda: quick(image_shape=(1, 4, 16)).fit(DIGITS), ValueError, r"images of \(1, 4, 16\), got \(1, 8, 8\)"),
        (lambda: quick(image_shape=64).fit(DIGITS), TypeError, "image_shape must be .* or None, got 64"),
        (lambda: quick(image_shape=(8, 8)).fit(DIGITS), ValueError, r"image_shape must be .*, got \(8, 8\)"),
        (lambda: quick(image_shape=(1, 8, 0)).fit(DIGITS), ValueError, r"image_shape\[2\] must be at least 1"),
        (lambda: quick().fit(DIGITS).transform(DIGITS[:, :, :4]), ValueError, r"images of \(1, 8, 8\), got \(1, 4, 8\)"),
    ],
)
def test_bad_input_is_named(make, error, words):
    with pytest.raises(error, match=words):
        make()


class _Items(torch.utils.data.Dataset):
    """Pairs (image, label) that are made when they are asked for."""

    images = np.random.default_rng(0).random((90, 1, 6, 6)).astype(np.float32)

    def __len__(self):
        return len(self.images)

    def __getitem__(self, row):
        return self.images[row], row


def test_images_that_are_read_when_needed_give_the_bits_of_the_array(tmp_path):
    memory = np.memmap(tmp_path / "a", np.float32, "w+", shape=_Items.images.shape)
    memory[:] = _Items.images
    expected = SculptedAutoencoder(max_iter=5).fit(_Items.images)
    for data in (_Items(), memory):
        found = SculptedAutoencoder(max_iter=5).fit(data)
        np.testing.assert_array_equal(found.transform(data), expected.transform(_Items.images))
        assert found.score(data) == pytest.approx(expected.score(_Items.images), rel=1e-6)
        assert found.sample(2).shape == (2, 1, 6, 6)
        assert found.n_features_in_ == 36
    loader = torch.utils.data.DataLoader(_Items(), 30, generator=torch.Generator())
    assert SculptedAutoencoder(max_iter=5).fit(loader).transform(loader).shape == (90, 2)


def test_a_data_set_of_rows_is_a_table():
    rows = torch.utils.data.TensorDataset(torch.randn(60, 4, generator=torch.Generator().manual_seed(0)))
    found = SculptedAutoencoder(max_iter=3).fit(rows)
    np.testing.assert_array_equal(
        found.transform(rows), SculptedAutoencoder(max_iter=3).fit(rows.tensors[0]).transform(rows.tensors[0])
    )


def test_lazy_images_of_another_shape_or_range_are_named():
    fitted = SculptedAutoencoder(max_iter=2).fit(_Items())
    with pytest.raises(ValueError, match="the shape of the images in fit"):
        fitted.transform(iter(torch.zeros(2, 10, 1, 5, 5)))
    with pytest.raises(ValueError, match=r"X must be|X must lie"):
        SculptedAutoencoder(max_iter=2).fit(iter(torch.full((2, 10, 1, 5, 5), 3.0)))
