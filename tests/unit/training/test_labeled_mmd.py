"""Labels tied to latents: the labeled MMD's closed forms, and the prior of a latent that follows a number."""

import math

import numpy as np
import pytest
import torch
from scipy import stats

import sculptlab as sl
from sculptlab.mmd.kernels import RBF
from sculptlab.priors import Conditional, Gaussian, Ring, Tied, Uniform
from sculptlab.training.objectives import MMD, Anchors, LabeledMMD
from sculptlab.training.objectives.labeled import labeled_mmd2

CLASSES = Conditional({0: Gaussian(2).shifted(-4), 1: Uniform(2), 2: Ring().shifted([6, 0])})
LABELS = np.arange(60) % 3


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


class Identity(torch.nn.Module):
    """Codes are the rows themselves."""

    def __init__(self):
        super().__init__()
        self.scale = torch.nn.Parameter(torch.ones(()))

    def encode(self, rows):
        return self.scale * rows

    decode = encode


def value(objective, seed=0):
    """The labeled term with codes equal to the objective's own images."""
    model, rows = Identity(), torch.zeros(2, objective.images.shape[1])
    return objective.terms(objective.batch(model, rows, 2, seeded(seed)))["mmd2_labeled"]


def mean_and_error(values):
    return np.mean(values), np.std(values, ddof=1) / math.sqrt(len(values))


# the labeled MMD


def test_it_is_zero_on_average_where_codes_are_draws_given_their_labels():
    values = [value(LabeledMMD(CLASSES, CLASSES.given(LABELS, seeded(k)), LABELS), seed=1000 + k).item() for k in range(200)]
    mean, error = mean_and_error(values)
    assert abs(mean) < 4 * error
    assert min(values) < 0  # unbiased: negative as often as not


def test_permuted_labels_are_penalized_though_the_codes_are_the_same():
    z = CLASSES.given(LABELS, seeded(1))
    right, wrong = LabeledMMD(CLASSES, z, LABELS), LabeledMMD(CLASSES, z, np.roll(LABELS, 1))
    assert value(wrong).item() > 20 * abs(value(right).item())
    unlabeled = [sl.mmd2(z, CLASSES.given(labels, seeded(2))).item() for labels in (LABELS, np.roll(LABELS, 1))]
    assert abs(unlabeled[1]) < 0.1 * value(wrong).item()


def test_of_two_points_a_class_it_is_the_mean_over_classes_of_their_distance():
    """Codes all at one place, the prior's all at another: k + k - 2 k(distance), weighed by pairs of a class."""
    places = {"a": 1.0, "b": 3.0}
    prior = Conditional({name: torch.full((2, 1), at) for name, at in places.items()})
    labels = ["a", "a", "b", "b", "b"]  # 2 and 6 ordered pairs
    objective = LabeledMMD(prior, torch.zeros(5, 1), labels, kernel=RBF(1.0))
    wanted = sum(pairs * 2 * (1 - math.exp(-(at**2) / 2)) for pairs, at in ((2, 1.0), (6, 3.0))) / 8
    assert value(objective).item() == pytest.approx(wanted, rel=1e-5)


def test_with_one_label_it_is_the_mmd_but_for_the_diagonal():
    prior = Conditional({7: Gaussian(2)})
    x = torch.randn(400, 2, generator=seeded(3)) + 1
    found = value(LabeledMMD(prior, x, [7] * 400, kernel=RBF(1.0))).item()
    y = prior.given([7] * 20_000, seeded(4))
    assert found == pytest.approx(sl.mmd2(x, y, RBF(1.0)).item(), abs=0.03)


def test_labels_that_are_numbers_count_as_alike_by_their_distance():
    labels = np.array([0.0, 0.1, 5.0])
    objective = LabeledMMD(Tied(Uniform(1), 0, 5), torch.zeros(3, 1), labels, reach=0.3)
    spread = labels.std(ddof=1)
    assert objective.similarity[0, 1].item() == pytest.approx(math.exp(-((0.1 / spread) ** 2) / (2 * 0.3**2)), rel=1e-4)
    assert objective.similarity[0, 2].item() < 0.01
    assert objective.similarity.diagonal().tolist() == [0, 0, 0]
    turned = LabeledMMD(lambda labels, generator: torch.as_tensor(labels), torch.zeros(3, 2), np.eye(3, 2))
    assert turned.similarity.shape == (3, 3)


def test_the_pull_is_that_of_the_formula_and_moves_codes_to_their_labels_place():
    prior = Conditional({"left": Gaussian(1).shifted(-3), "right": Gaussian(1).shifted(3)})
    labels = ["left", "right"] * 20
    images = torch.zeros(40, 1) + 0.1 * torch.randn(40, 1, generator=seeded(5))
    objective = LabeledMMD(prior, images, labels)
    z = images.clone().requires_grad_()
    labeled_mmd2(z, prior.given(labels, seeded(6)), objective.similarity, objective.fitted_kernel).backward()
    assert (z.grad[::2] > 0).all()  # downhill is to the left
    assert (z.grad[1::2] < 0).all()
    double, again = (rows.double().requires_grad_() for rows in (images[:6], prior.given(labels[:6], seeded(7))))
    weights = objective.similarity[:6, :6].double()
    assert torch.autograd.gradcheck(lambda z: labeled_mmd2(z, again.detach(), weights, objective.fitted_kernel), (double,))


def test_chosen_latents_alone_are_pulled():
    objective = LabeledMMD(Tied(Uniform(1)), torch.rand(30, 3, generator=seeded()), torch.linspace(0, 1, 30), latents=[2])
    model = sl.build_autoencoder("mlp", image_shape=(3,), dim=3, width=8, output="linear")
    value = objective.terms(objective.batch(model, objective.images, 30, seeded()))["mmd2_labeled"]
    *_, last = (one for one in model.encoder.parameters() if one.ndim == 2)
    (gradient,) = torch.autograd.grad(value, last)
    assert (gradient[:2] == 0).all()
    assert gradient[2].abs().sum() > 0


def test_it_adds_up_with_the_unlabeled_mmd_and_training_ties_classes_to_their_places(digits):
    angles = [2 * math.pi * k / 10 for k in range(10)]
    prior = Conditional({k: Gaussian(2).scaled(0.5).shifted([4 * math.cos(a), 4 * math.sin(a)]) for k, a in enumerate(angles)})
    tie = LabeledMMD(prior, digits.images[:300], digits.labels[:300], weight=100.0)
    goal = MMD(prior, weight=10.0) + tie
    assert goal.prior_for(2) is prior
    model = sl.build_autoencoder("mlp", image_shape=(1, 8, 8), dim=2, width=64)
    run = sl.fit(model, digits.images, goal, steps=300, learning_rate=3e-3, seed=0, device="cpu", progress=False)
    assert {"mmd2", "mmd2_labeled"} <= set(run.history)
    rest = digits.subset(range(300, 1797))
    nearest = torch.cdist(run.encode(rest.images), torch.stack([prior.priors[k].mean for k in range(10)])).argmin(1)
    assert (nearest == torch.as_tensor(rest.labels)).float().mean() > 0.3  # of images without a label; chance: 0.1


def test_many_labeled_images_take_turns():
    prior = Conditional({0: Gaussian(1)})
    objective = LabeledMMD(prior, torch.rand(1000, 1, generator=seeded()), np.zeros(1000, dtype=int))
    seen = []
    model = Identity()
    model.encode = lambda rows: seen.append(len(rows)) or rows
    objective.terms(objective.batch(model, torch.zeros(2, 1), 2, seeded()))
    assert seen[-1] == 256


def test_its_repr_depends_on_the_labeled_images():
    one, same, other = (LabeledMMD(CLASSES, torch.full((60, 2), fill), LABELS) for fill in (0.0, 0.0, 1.0))
    assert repr(one) == repr(same) != repr(other)
    assert "60 labeled images" in repr(one)
    assert "0x" not in repr(LabeledMMD(_places, torch.zeros(3, 2), [0.0, 0.1, 0.2]))


def _places(labels, generator):
    return torch.as_tensor(np.stack([labels, labels], 1))


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: LabeledMMD(CLASSES, torch.zeros(3, 2), [0, 0]), ValueError, "one for each of 2 or more images, got 2 for 3"),
        (lambda: LabeledMMD(CLASSES, torch.zeros(3, 2), [0, 1, 2]), ValueError, "at least two images that share one"),
        (lambda: LabeledMMD(CLASSES, torch.zeros(3, 2), [0, 9, 9]), ValueError, "got 9"),
        (lambda: LabeledMMD(CLASSES, torch.zeros(2, 2) / 0, [0, 0]), ValueError, "images has 4 value"),
        (lambda: LabeledMMD(CLASSES, torch.zeros(2, 2), [[0], [0]]), ValueError, "labels must be whole numbers or strings"),
        (lambda: LabeledMMD(Tied(Uniform(1)), torch.zeros(2, 2), [0.0, math.nan]), ValueError, "labels has 1 value"),
        (lambda: LabeledMMD(Gaussian(2), torch.zeros(2, 2), [0, 0]), TypeError, r"prior must have given\(labels, generator\)"),
        (lambda: LabeledMMD(CLASSES, torch.zeros(2, 2), [0, 0], latents=[0]), ValueError, "as many as the prior's 2"),
        (lambda: LabeledMMD(CLASSES, torch.zeros(2, 2), [0, 0], weight=-1.0), ValueError, "weight must be >= 0"),
        (lambda: LabeledMMD(CLASSES, torch.zeros(2, 2), [0, 0], reach=0.0), ValueError, "reach must be > 0"),
        (
            lambda: LabeledMMD(lambda labels, generator: torch.zeros(1, 1), torch.zeros(2, 2), [0, 0]),
            ValueError,
            "must return 10000 rows",
        ),
    ],
)
def test_it_refuses(call, error, words):
    with pytest.raises(error, match=words):
        call()


def test_it_refuses_models_of_another_dimension_or_shape():
    model = sl.build_autoencoder("mlp", image_shape=(6,), dim=3, width=8)
    for objective, words in (
        (LabeledMMD(CLASSES, torch.zeros(2, 6), [0, 0]), "prior's draws .* must have the model's 3 column"),
        (LabeledMMD(CLASSES, torch.zeros(2, 6), [0, 0], latents=[1, 3]), "below the model's 3"),
        (LabeledMMD(CLASSES, torch.zeros(2, 5), [0, 0], latents=[1, 2]), "model's shape"),
    ):
        with pytest.raises(ValueError, match=words):
            objective.check(model)


# a latent that follows a number


@pytest.mark.parametrize("marginal", [Uniform(1), Gaussian(1), sl.priors.Laplace(1)], ids=repr)
def test_over_uniform_labels_a_tied_latent_is_the_marginal_with_the_promised_rank_correlation(marginal):
    prior = Tied(marginal, low=-2.0, high=3.0, correlation=-0.8)
    labels = -2 + 5 * np.random.default_rng(0).uniform(size=20_000)
    z = prior.given(labels, seeded())
    assert stats.ks_2samp(z[:, 0], marginal.sample(20_000, seeded(1))[:, 0]).pvalue > 1e-3
    assert stats.spearmanr(labels, z[:, 0])[0] == pytest.approx(6 / math.pi * math.asin(-0.4), abs=0.02)
    assert prior.rank_correlation == pytest.approx(6 / math.pi * math.asin(-0.4))
    assert prior.dim == 1
    assert torch.equal(prior.sample(5, seeded()), marginal.sample(5, seeded()))
    assert prior.covariance == marginal.covariance


def test_tied_without_slack_is_the_quantile_of_the_label():
    labels = np.linspace(0.5, 1.0, 7)
    z = Tied(Uniform(1, low=0.0, high=10.0), low=0.5, high=1.0, correlation=1.0).given(labels, seeded())
    assert z[:, 0].tolist() == pytest.approx((20 * (labels - 0.5)).tolist(), abs=1e-4)
    falling = Tied(Uniform(1, low=0.0, high=10.0), low=0.5, high=1.0, correlation=-1.0).given(labels, seeded())
    assert falling[:, 0].tolist() == pytest.approx((20 * (1 - labels)).tolist(), abs=1e-4)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: Tied(Gaussian(2)), "marginal must have one dimension"),
        (lambda: Tied(sl.priors.Grid(1, levels=3)), "quantiles at hand"),
        (lambda: Tied(Uniform(1), low=1.0, high=1.0), "high must be > 1"),
        (lambda: Tied(Uniform(1), correlation=0.0), "correlation must lie"),
        (lambda: Tied(Uniform(1), correlation=1.5), "correlation must lie"),
        (lambda: Tied(Uniform(1)).given([0.5, 1.5]), r"labels must lie in \[0, 1\], got \[0.5, 1.5\]"),
        (lambda: Tied(Uniform(1)).given([[0.5]]), r"shape \(n,\)"),
    ],
)
def test_tied_refuses(call, words):
    with pytest.raises(ValueError, match=words):
        call()


@pytest.mark.parametrize(
    "change",
    [
        {"weight": 100.00001}, {"latents": (1, 0)}, {"kernel": sl.kernels.RBF(0.1)}, {"reach": 0.1}, {"likelihood": "bernoulli"},
        {"labels": [0.0, 0.3, 1.0, 1.2]}, {"images": torch.ones(4, 1, 2, 2)},
    ],
    ids=lambda change: next(iter(change)),
)  # fmt: skip
def test_every_setting_is_in_the_text_by_which_a_checkpoint_knows_the_objective(change):
    settings = {
        "prior": lambda labels, generator: torch.randn(len(labels), 2, generator=generator),
        "images": torch.zeros(4, 1, 2, 2),
        "labels": [0.0, 0.1, 1.0, 1.1],
    }
    assert repr(LabeledMMD(**settings | change)) != repr(LabeledMMD(**settings))
    if change.keys() & {"weight", "likelihood", "images"}:
        anchors = {"images": settings["images"], "codes": torch.zeros(4, 2), "weight": 100.0}
        assert repr(Anchors(**anchors | change)) != repr(Anchors(**anchors))
