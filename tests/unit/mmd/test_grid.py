"""MMD^2 of one-dimensional samples on a grid, against the same pair by pair in double precision."""

import pytest
import torch

import sculptlab as sl
from sculptlab.mmd import distance
from sculptlab.mmd.distance import discrepancies
from sculptlab.mmd.grid import MOST_POINTS, NODES, grid_points, on_grid
from sculptlab.mmd.kernel_base import Kernel
from sculptlab.mmd.kernels import IMQ, RBF, Energy, Laplacian, MultiScale, RationalQuadratic

KERNELS = [
    IMQ(base=2.0),
    IMQ(scales=(1.0,), base=1.0),
    RBF(0.5),
    RationalQuadratic(1.0, alpha=0.2),
    MultiScale(RBF(1.0)),
    IMQ(base=2.0) + RBF(0.3),
]


def samples(v, n, m, scale=1.0, seed=0):
    generator = torch.Generator().manual_seed(seed)
    x, y = (torch.randn(v, rows, 1, generator=generator) for rows in (n, m))
    return scale * x + 0.3, y


@pytest.mark.parametrize("kernel", KERNELS, ids=repr)
@pytest.mark.parametrize("unbiased", [True, False])
@pytest.mark.parametrize("sizes", [(1, 2, 3), (3, 40, 30), (2, 300, 200)])
def test_values_and_gradients_are_those_of_all_pairs(kernel, unbiased, sizes):
    x, y = samples(*sizes)
    found, at_x, at_y = on_grid(x, y, kernel, unbiased, (True, True), grid_points(x, y, kernel))
    a, b = x.double().requires_grad_(), y.double().requires_grad_()
    exact = discrepancies(a, b, kernel, unbiased)  # double precision takes no grid
    exact_x, exact_y = torch.autograd.grad(exact.sum(), (a, b))
    torch.testing.assert_close(found, exact.detach(), rtol=1e-6, atol=1e-6 * kernel.peak)
    for gradient, wanted in ((at_x, exact_x), (at_y, exact_y)):
        assert (gradient - wanted).norm() <= 1e-5 * wanted.norm()


def test_a_sample_at_one_point_and_one_far_away():
    kernel = RBF(1.0)
    x, y = torch.zeros(1, 5, 1), torch.full((1, 4, 1), 100.0)
    value, at_x, at_y = on_grid(x, y, kernel, True, (True, False), grid_points(x, y, kernel))
    assert value.item() == pytest.approx(2.0, abs=1e-6)  # 1 + 1 - 2 * 0
    assert at_x.abs().max() < 1e-6
    assert at_y is None


@pytest.mark.parametrize(
    ("kernel", "change"),
    [
        (Energy(), lambda x: x),  # not smooth
        (Laplacian(1.0), lambda x: x),
        (RBF(1.0), lambda x: x.double()),  # asks for more digits
        (RBF(1.0), lambda x: torch.cat([x, x], 2)),  # two dimensions
        (RBF(1.0), lambda x: 1e4 * x),  # reaches too far
        (RBF(1e-150), lambda x: 0 * x),  # slopes leave the range of floats
        (RBF(1e150), lambda x: x),
        (RBF(1.0), lambda x: x / 0),
    ],
)
def test_other_samples_are_compared_pair_by_pair(kernel, change):
    x, y = map(change, samples(2, 20, 20))
    assert grid_points(x, y, kernel) is None


def test_the_grid_holds_every_row_and_its_nodes():
    for scale in (0.0, 1.0, 30.0):
        x, y = samples(2, 50, 40, scale)
        low, step, size = grid_points(x, y, RBF(1.0))
        place = (torch.cat([x, y], 1).double() - low) / step
        assert place.min() > 1.999
        assert place.max() < size - NODES + 3
        assert size <= MOST_POINTS


def test_a_kernel_of_ones_own_is_not_taken_to_be_analytic():
    class Tent(Kernel):
        smooth = True

        def values(self, squared):
            return (1 - squared).clamp_min(0)

    class Squared(RBF):
        def values(self, squared):
            return super().values(squared) ** 2

    x, y = samples(1, 20, 20)
    assert grid_points(x, y, Tent()) is None
    assert grid_points(x, y, Squared(1.0)) is None
    assert grid_points(x, y, Tent() + RBF(1.0)) is None


def test_marginal_views_use_the_grid(monkeypatch):
    codes = torch.randn(64, 3, generator=torch.Generator().manual_seed(0))
    term = sl.objectives.MMD("gaussian", views="marginal").regularizer(3)
    on, seen = distance.on_grid, []
    monkeypatch.setattr(distance, "on_grid", lambda *given: seen.append(given[0].shape) or on(*given))
    value = term(codes.requires_grad_())
    value.backward()
    assert seen == [(3, 64, 1)]
    assert torch.isfinite(codes.grad).all()


def test_kernels_that_compare_equal_but_are_not_have_their_own_spectrum():
    class Hidden(Kernel):
        smooth = analytic = True
        resolution = 1.0

        def __init__(self, height):
            object.__setattr__(self, "height", height)

        def values(self, squared):
            return self.height * torch.exp(-squared / 2)

    x, y = samples(1, 30, 20)
    assert Hidden(1.0) == Hidden(2.0)
    one, two = (on_grid(x, y, Hidden(h), True, (True, False), grid_points(x, y, Hidden(h)))[:2] for h in (1.0, 2.0))
    torch.testing.assert_close(two[0], 2 * one[0])
    torch.testing.assert_close(two[1], 2 * one[1])


def test_columns_far_from_the_origin_need_no_double_precision():
    x, y = samples(2, 40, 30)
    kernel = RBF(1.0)
    far, also = (1e4 + x).requires_grad_(), 1e4 + y
    value = discrepancies(far, also, kernel, True)
    a = far.detach().double().requires_grad_()
    exact = discrepancies(a, also.double(), kernel, True)
    torch.testing.assert_close(value, exact.float(), rtol=1e-5, atol=1e-6)
    (gradient,) = torch.autograd.grad(value.sum(), far)
    (wanted,) = torch.autograd.grad(exact.sum(), a)
    torch.testing.assert_close(gradient.double(), wanted, rtol=1e-4, atol=1e-7)
