"""Kernels: the formulas, the widths, and what coinciding or far-away points do."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sculptlab.mmd.kernels import IMQ, RBF, Energy, Laplacian, MultiScale, RationalQuadratic, squared_distances
from sculptlab.priors import Gaussian, Uniform

X = torch.tensor([[0.0, 0.0], [3.0, 4.0]])
EVERY = (
    RBF(0.7),
    RationalQuadratic(0.7, alpha=2.0),
    Laplacian(0.8),
    IMQ(base=1.3),
    Energy(),
    MultiScale(RBF(1.0)),
    RBF(1.0) + Energy(),
)


def test_the_formulas_at_distance_five():
    assert RBF(5.0)(X, X)[0, 1].item() == pytest.approx(2.718281828**-0.5)
    assert IMQ(scales=(0.5, 1.0), base=25.0)(X, X)[0, 1].item() == pytest.approx(12.5 / 37.5 + 0.5)
    assert Energy()(X, X)[0, 1].item() == pytest.approx(-5.0)
    assert Laplacian(2.5)(X, X)[0, 1].item() == pytest.approx(2.718281828**-2)
    assert RationalQuadratic(5.0, alpha=0.5)(X, X)[0, 1].item() == pytest.approx(2**-0.5)
    assert MultiScale(RBF(5.0), (1.0, 0.5))(X, X)[0, 1].item() == pytest.approx(2.718281828**-0.5 + 2.718281828**-2)
    assert (RBF(5.0) + Energy())(X, X)[0, 1].item() == pytest.approx(2.718281828**-0.5 - 5)


def test_a_kernel_of_coinciding_points_is_its_peak():
    assert RBF(2.0)(X, X).diagonal().tolist() == [1, 1]
    assert IMQ(base=2.0)(X, X).diagonal().tolist() == pytest.approx([7, 7])
    assert Energy()(X, X).diagonal().tolist() == [0, 0]


@pytest.mark.parametrize("prior", [Gaussian(3), Uniform(3)])
def test_the_base_of_imq_is_twice_the_dimension_times_the_variance(prior):
    assert IMQ().fit(prior).base == pytest.approx(6.0, rel=0.02)
    assert IMQ().fit(prior) == IMQ().fit(prior)


def test_the_bandwidth_of_rbf_is_the_median_distance():
    # |x - x'| of a standard normal in one dimension is |N(0, 2)|, whose median is 0.954
    assert RBF().fit(Gaussian(1)).bandwidth == pytest.approx(0.954, rel=0.06)
    assert RBF().fit(torch.tensor([[0.0], [1.0], [3.0]])).bandwidth == pytest.approx(2.0)


def test_the_width_follows_the_target_and_never_the_codes():
    target = torch.randn(50, 2, generator=torch.Generator().manual_seed(0))
    codes = target * 100
    for kernel in (IMQ(), RBF()):
        assert torch.equal(kernel(codes, target), kernel.fit(target)(codes, target))
        assert not torch.allclose(kernel(target, target), kernel.fit(codes)(target, target))


def test_a_given_width_is_kept():
    assert IMQ(base=3.0).fit(Gaussian(2)).base == 3.0
    assert RBF(3.0).fit(Gaussian(2)).bandwidth == 3.0


def test_distances_far_from_the_origin_are_right_in_float32():
    x = torch.randn(40, 5, generator=torch.Generator().manual_seed(0))
    there = x + 1024  # a power of two: the shift itself rounds by 1e-4 at most
    exact = torch.cdist(there.double(), there.double()).square()
    assert (squared_distances(there, there) - exact).abs().max() < 1e-4


@pytest.mark.parametrize("kernel", EVERY)
def test_the_gradient_is_finite_on_identical_points(kernel):
    x = torch.ones(4, 2, requires_grad=True)
    kernel(x, torch.ones(3, 2)).sum().backward()
    assert torch.isfinite(x.grad).all()


@pytest.mark.parametrize("kernel", EVERY)
def test_the_gradient_is_the_difference_quotient(kernel):
    g = torch.Generator().manual_seed(1)
    x, y = torch.randn(3, 2, generator=g).double().requires_grad_(), torch.randn(4, 2, generator=g).double()
    assert torch.autograd.gradcheck(lambda x: kernel(x, y), x)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.integers(2, 8), st.integers(1, 4))
def test_every_kernel_is_symmetric_and_positive_definite_on_centered_weights(seed, n, d):
    g = torch.Generator().manual_seed(seed)
    x, weights = torch.randn(n, d, generator=g).double(), torch.randn(n, generator=g).double()
    weights -= weights.mean()
    for kernel in EVERY:
        matrix = kernel.values(squared_distances(x, x))
        assert torch.allclose(matrix, matrix.T, atol=1e-12)
        assert weights @ matrix @ weights >= -1e-9


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: RBF(-1.0), ValueError, "bandwidth must be > 0"),
        (lambda: IMQ(base=float("nan")), ValueError, "base must be > 0"),
        (lambda: IMQ(scales=(1.0, 0.0)), ValueError, "scales must be > 0"),
        (lambda: IMQ(scales=()), TypeError, "scales"),
        (lambda: IMQ().values(torch.ones(2, 2)), ValueError, "no width yet"),
        (lambda: RBF().fit(torch.ones(5, 2)), ValueError, "points coincide"),
        (lambda: IMQ().fit(torch.ones(5, 2)), ValueError, "points coincide"),
        (lambda: RBF(1.0)(torch.ones(2, 2), torch.ones(2, 3)), ValueError, "y must have 2 column"),
    ],
)
def test_bad_input_is_named(make, error, words):
    with pytest.raises(error, match=words):
        make()
