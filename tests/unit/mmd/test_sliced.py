"""The sliced MMD: closed forms, agreement with all pairs, Gaussians by formula, gradients, precision, bad input."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad

import sculptlab as sl
from sculptlab.mmd import sliced as module
from sculptlab.mmd.distance import discrepancies
from sculptlab.mmd.kernels import IMQ, RBF, Energy, Laplacian, MultiScale, RationalQuadratic
from sculptlab.mmd.sliced import characteristic_distances, cosines, sliced, sliced_mmd2, unit_directions
from sculptlab.priors import Gaussian, Uniform

SMOOTH = [RBF(1.0), RBF(0.4), IMQ(base=2.0), RationalQuadratic(1.0, 0.5), MultiScale(RBF(1.0)), RBF(2.0) + IMQ(base=2.0)]
KERNELS = [Energy(), Laplacian(1.0), *SMOOTH]


def normal(n, d, seed=0):
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def directions(d, count=32, seed=0):
    return unit_directions(d, count, torch.Generator().manual_seed(seed))


def pairs(x, y, u, kernel, unbiased):
    u = u.to(x)
    return discrepancies((x @ u).T[:, :, None], (y @ u).T[:, :, None], kernel, unbiased).mean()


def test_directions_are_uniform_on_the_sphere():
    u = directions(3, 100_000)
    assert torch.allclose(u.norm(dim=0), torch.ones(100_000), atol=1e-6)
    assert torch.allclose(u @ u.T / 100_000, torch.eye(3) / 3, atol=0.01)
    assert u.mean(1).abs().max() < 0.01


def test_two_points_in_one_dimension():
    found = sliced_mmd2([[0.0]], [[3.0]], directions=4, estimator="biased")
    assert found.item() == pytest.approx(6.0)
    found = sliced_mmd2([[0.0]], [[3.0]], directions=4, kernel=RBF(2.0), estimator="biased")
    assert found.item() == pytest.approx(2 - 2 * math.exp(-9 / 8), rel=1e-6)


def test_two_points_in_three_dimensions():
    """|u . a| is uniform on [0, |a|], so its mean is |a| / 2."""
    found = sliced_mmd2([[0.0, 0.0, 0.0]], [[3.0, 0.0, 4.0]], directions=200_000, estimator="biased")
    assert found.item() == pytest.approx(5.0, rel=0.01)


def test_energy_distance_of_uniform_variables():
    """E|x - y| is 1/3 within U(0, 1) and 5/2 between U(0, 1) and U(2.5, 3.5)."""
    x = torch.rand(200_000, 1, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    y = 2.5 + torch.rand(200_000, 1, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    assert sliced_mmd2(x, y, directions=1).item() == pytest.approx(2 * 2.5 - 2 / 3, abs=0.01)


def test_gaussians_of_different_mean():
    """Under RBF(h), N(0, 1) and N(a, 1): 2 h / sqrt(h^2 + 2) (1 - exp(-a^2 / (2 (h^2 + 2))))."""
    expected = 2 / 3**0.5 * (1 - math.exp(-(1.5**2) / 6))
    x = 1.5 + normal(400_000, 1)
    assert sliced_mmd2(x, Gaussian(1), directions=1, kernel=RBF(1.0)).item() == pytest.approx(expected, abs=0.005)
    assert sliced_mmd2(x, normal(400_000, 1, 1), directions=1, kernel=RBF(1.0)).item() == pytest.approx(expected, abs=0.005)


@pytest.mark.parametrize("unbiased", [True, False])
@pytest.mark.parametrize("kernel", KERNELS, ids=repr)
def test_agrees_with_all_pairs_of_the_projections(kernel, unbiased, monkeypatch):
    x, y, u = normal(300, 4), 1.3 * normal(700, 4, 1) + 0.2, directions(4, 8)
    called = []
    monkeypatch.setattr(module, "discrepancies", lambda *given: called.append(1) or discrepancies(*given))
    expected = pairs(x, y, u, kernel, unbiased).item()
    assert sliced(x, y, u, kernel, unbiased).item() == pytest.approx(expected, abs=2e-8)
    assert sliced(x.float(), y.float(), u, kernel, unbiased).item() == pytest.approx(expected, abs=5e-6)
    if isinstance(kernel, Energy | Laplacian | RBF):
        assert bool(called) == isinstance(kernel, Laplacian)


@pytest.mark.parametrize("kernel", SMOOTH, ids=repr)
@pytest.mark.parametrize("reach", [0.1, 3.0, 9.0, 40.0])
@pytest.mark.parametrize("tolerance", [1e-7, 1e-9])
def test_the_cosines_are_the_kernel_within_the_tolerance(kernel, reach, tolerance):
    frequencies, weights = cosines(kernel, reach, tolerance)
    r = torch.linspace(0, reach, 2001, dtype=torch.float64)
    error = (torch.cos(r[:, None] * frequencies) @ weights - kernel.values(r.square())).abs().max()
    assert error <= 1.01 * tolerance * weights.abs().sum()


@pytest.mark.parametrize("count", [1, 2, 3, 17, 64, 65])
def test_the_mean_waves_of_any_number_of_frequencies(count):
    generator = torch.Generator().manual_seed(count)
    p, q = (torch.randn(3, n, generator=generator, dtype=torch.float64) for n in (20, 30))
    frequencies, weights = 0.3 * torch.arange(count, dtype=torch.float64), torch.rand(count, generator=generator).double()
    found = characteristic_distances(p, q, False, frequencies, weights, unbiased=False)
    of_p, of_q = (torch.exp(1j * z[..., None] * frequencies).mean(1) for z in (p, q))
    assert torch.allclose(found, (of_p - of_q).abs().square() @ weights, rtol=0, atol=1e-14)


def test_a_gaussian_by_formula_is_the_limit_of_its_draws():
    prior = Gaussian(mean=[1.0, -2.0, 0.5], covariance=[[2.0, 0.5, 0.0], [0.5, 1.0, 0.2], [0.0, 0.2, 0.3]])
    x, u = normal(300, 3) * 1.5, directions(3, 16)
    y = prior.sample(40_000, torch.Generator().manual_seed(1)).double()
    for kernel in (Energy(), RBF(0.7), IMQ(base=2.0)):
        for unbiased in (True, False):
            formula, drawn = sliced(x, prior, u, kernel, unbiased), sliced(x, y, u, kernel, unbiased)
            assert formula.item() == pytest.approx(drawn.item(), rel=0.02)


def test_energy_against_a_gaussian_is_exact():
    x = normal(40, 1) * 2 + 1
    between = np.mean([quad(lambda t, a=a: abs(t - a) * math.exp(-t * t / 2) / math.sqrt(2 * math.pi), -12, 12, points=[a])[0]
                       for a in x[:, 0].tolist()])  # fmt: skip
    expected = 2 * between - torch.cdist(x, x).mean().item() - 2 / math.pi**0.5
    found = sliced_mmd2(x, "gaussian", directions=1, estimator="biased")
    assert found.item() == pytest.approx(expected, abs=1e-8)


@pytest.mark.parametrize("target", ["sample", "gaussian"])
@pytest.mark.parametrize("kernel", [Energy(), RBF(1.0), IMQ(base=2.0), Laplacian(1.0)], ids=repr)
@pytest.mark.parametrize("unbiased", [True, False])
def test_gradients_in_both(kernel, unbiased, target):
    if target == "gaussian" and isinstance(kernel, Laplacian):
        pytest.skip("no formula")
    x, u = normal(7, 2).requires_grad_(), directions(2, 3)
    if target == "gaussian":
        assert torch.autograd.gradcheck(lambda x: sliced(x, Gaussian(2), u, kernel, unbiased), x)
    else:
        y = (0.3 + normal(300 if kernel.smooth else 6, 2, 1)).requires_grad_()
        assert torch.autograd.gradcheck(lambda x, y: sliced(x, y, u, kernel, unbiased), (x, y), fast_mode=True)


@pytest.mark.parametrize("kernel", [Energy(), RBF(1.0)], ids=repr)
def test_parts_give_the_same_value_and_gradient(kernel, monkeypatch):
    x, y, u = normal(60, 5).requires_grad_(), normal(500, 5, 1), directions(5, 10)
    whole = sliced(x, y, u, kernel, True)
    (gradient,) = torch.autograd.grad(whole, x)
    monkeypatch.setattr(module, "PART", 3 * 560 * (64 if kernel.smooth else 1))
    parts = sliced(x, y, u, kernel, True)
    assert parts.item() == pytest.approx(whole.item(), abs=1e-8)
    assert torch.allclose(torch.autograd.grad(parts, x)[0], gradient, atol=1e-8)


def test_equal_rows_have_the_gradient_of_all_pairs():
    x = torch.tensor([[0.0, 1.0]] * 3 + [[2.0, -1.0]] * 2, dtype=torch.float64).requires_grad_()
    y, u = torch.tensor([[0.0, 1.0], [0.5, 0.0]], dtype=torch.float64), directions(2, 5)
    for unbiased in (True, False):
        found = torch.autograd.grad(sliced(x, y, u, Energy(), unbiased), x)[0]
        assert torch.allclose(found, torch.autograd.grad(pairs(x, y, u, Energy(), unbiased), x)[0], atol=1e-12)


SAMPLES = st.tuples(st.integers(2, 12), st.integers(2, 12), st.integers(1, 4), st.integers(0, 1000), st.floats(0.01, 100))


@settings(max_examples=40, deadline=None)
@given(SAMPLES, st.sampled_from(KERNELS))
def test_symmetric_not_negative_and_zero_for_the_same_sample(shape, kernel):
    n, m, d, seed, scale = shape
    x, y = normal(n, d, seed) * scale, normal(m, d, seed + 1)
    u = directions(d, 6, seed)
    value = sliced(x, y, u, kernel, False).item()
    assert value == pytest.approx(sliced(y, x, u, kernel, False).item(), abs=1e-7, rel=1e-9)
    assert value >= -1e-7
    assert sliced(x, x, u, kernel, False).item() == pytest.approx(0.0, abs=1e-12 * scale)
    # unbiased: as all pairs, whatever computes it
    assert sliced(x, y, u, kernel, True).item() == pytest.approx(pairs(x, y, u, kernel, True).item(), abs=1e-7, rel=1e-7)


def test_a_rotation_of_both_changes_nothing_on_average():
    x, y = normal(200, 5) * torch.tensor([3.0, 1, 1, 1, 0.1], dtype=torch.float64), normal(200, 5, 1)
    rotation = torch.linalg.qr(normal(5, 5, 2))[0]
    u = directions(5, 20)
    assert sliced(x @ rotation, y @ rotation, (rotation.T @ u.double()), Energy(), True).item() == pytest.approx(
        sliced(x, y, u, Energy(), True).item(), rel=1e-6
    )
    values = [sliced_mmd2(x @ r, y @ r, directions=4096).item() for r in (torch.eye(5, dtype=torch.float64), rotation)]
    assert values[0] == pytest.approx(values[1], rel=0.05)


def test_far_from_the_origin_single_precision_is_enough():
    x, y, u = normal(300, 3), normal(300, 3, 1) * 1.2, directions(3)
    far = [(rows.float() + 1000).double() for rows in (x, y)]  # what single precision can hold
    for kernel in (Energy(), RBF(1.0), IMQ(base=2.0)):
        expected = sliced(*far, u, kernel, True).item()
        assert sliced(*(rows.float() for rows in far), u, kernel, True).item() == pytest.approx(expected, abs=2e-6)


@pytest.mark.parametrize(
    "target",
    ["uniform", Uniform(2), torch.distributions.Independent(torch.distributions.Normal(torch.zeros(2), 1.0), 1),
     lambda n: np.random.normal(size=(n, 2))  # noqa: NPY002
    , normal(50, 2).numpy()],
)  # fmt: skip
def test_takes_what_takes_a_prior(target):
    assert sliced_mmd2(normal(50, 2), target, directions=8).isfinite()


def test_the_unbiased_mean_is_zero_under_the_null():
    for target in ("gaussian", None):
        samples = [(normal(50, 8, 2 * s), target or normal(50, 8, 2 * s + 1)) for s in range(200)]
        values = np.array([sliced_mmd2(*pair, directions=16, seed=s).item() for s, pair in enumerate(samples)])
        assert abs(values.mean()) < 4 * values.std() / 200**0.5


def test_an_open_width_is_set_by_the_target_alone():
    y = normal(2000, 3, 1)
    fits = [module.fitted_to_projections(RBF(), y, directions(3, 64)).bandwidth for _ in range(2)]
    assert fits[0] == fits[1] == pytest.approx(2**0.5 * 0.6745, rel=0.1)  # the median of |N(0, 2)|
    assert sliced_mmd2(5 * y, y, directions=4, kernel=RBF()).item() > 0


def test_a_seed_gives_the_directions_and_the_draws():
    x = normal(20, 3)
    assert sliced_mmd2(x, "uniform", seed=1) == sliced_mmd2(x, "uniform", seed=1)
    assert sliced_mmd2(x, "uniform", seed=1) != sliced_mmd2(x, "uniform", seed=2)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"directions": 0}, "directions"), ({"estimator": "exact"}, "estimator"), ({"seed": -1}, "seed"),
        ({"y": normal(5, 3)}, "y must"),
        ({"x": normal(1, 2)}, "x must have at least 2"), ({"x": normal(5, 2).fill_(math.nan)}, "x"),
        ({"x": 1e7 * normal(5, 2), "y": "gaussian", "kernel": RBF(1.0)}, "too far from the prior"),
    ],
)  # fmt: skip
def test_bad_values_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        sliced_mmd2(**{"x": normal(5, 2), "y": normal(6, 2, 1), **options})


def test_bad_types_are_named():
    for options in ({"kernel": "rbf"}, {"directions": 2.5}, {"x": torch.zeros(4, 2, dtype=torch.int64)}):
        with pytest.raises(TypeError, match=next(iter(options))):
            sl.sliced_mmd2(**{"x": normal(5, 2), "y": normal(6, 2, 1), **options})
