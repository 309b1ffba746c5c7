"""The MMD engine: tiles against the naive expression, for every kernel, estimator and view; rounding; views; witness."""

import doctest

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import sculptlab as sl
from sculptlab.mmd import distance, tiles
from sculptlab.mmd.kernel_base import Kernel
from sculptlab.mmd.kernels import IMQ, RBF, Energy, Laplacian, MultiScale, RationalQuadratic
from sculptlab.priors import Gaussian

SCALES = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
# every kernel beside its formula in the distance r
FORMULAS = {
    "rbf": (RBF(0.8), lambda r: torch.exp(-(r**2) / 1.28)),
    "rational": (RationalQuadratic(1.2, alpha=0.7), lambda r: (1 + r**2 / (1.4 * 1.44)) ** -0.7),
    "laplace": (Laplacian(0.9), lambda r: torch.exp(-r / 0.9)),
    "imq": (IMQ(base=3.0), lambda r: sum(3 * s / (3 * s + r**2) for s in SCALES)),
    "energy": (Energy(), lambda r: -r),
    "scales": (MultiScale(RBF(1.0), (0.5, 3.0)), lambda r: torch.exp(-(r**2) * 2) + torch.exp(-(r**2) / 18)),
    "sum": (RBF(2.0) + Energy() + Laplacian(1.0), lambda r: torch.exp(-(r**2) / 8) - r + torch.exp(-r)),
}


def normal(n, d, seed, dtype=torch.float64):
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def naive(x, y, formula, estimator="unbiased"):
    """MMD^2 as it is defined, from all differences; r is kept off 0 where its slope is infinite."""

    def matrix(a, b):
        squared = (a[:, None] - b[None]).square().sum(2)
        return formula(torch.where(squared > 0, squared, 1).sqrt() * (squared > 0))

    def within(a):
        k = matrix(a, a)
        return k.mean() if estimator == "biased" else (k.sum() - k.trace()) / (len(a) * (len(a) - 1))

    return within(x) + within(y) - 2 * matrix(x, y).mean()


def seen(x, views):
    """The columns of every view."""
    d = x.shape[1]
    return {
        "joint": [x],
        "marginal": [x[:, [i]] for i in range(d)],
        "pairs": [x[:, [i, j]] for i in range(d) for j in range(i + 1, d)],
    }[views]


@pytest.fixture
def small_tiles(monkeypatch):
    """Tiles of 8 rows, so that a few rows already make whole, partial, mirrored and diagonal ones; no whole matrices."""
    monkeypatch.setattr(tiles, "SIDE", 8)
    monkeypatch.setattr(distance, "WHOLE", 0)


@pytest.mark.parametrize("views", ["joint", "marginal", "pairs"])
@pytest.mark.parametrize("estimator", ["unbiased", "biased"])
@pytest.mark.parametrize("name", FORMULAS)
def test_value_and_gradient_are_those_of_the_definition(small_tiles, name, estimator, views):
    kernel, formula = FORMULAS[name]
    x, y = normal(21, 3, 0).requires_grad_(), (normal(18, 3, 1) + 0.3).requires_grad_()
    value = sl.mmd2(x, y, kernel, estimator, views, reduction="none").reshape(-1)
    expected = torch.stack([naive(a, b, formula, estimator) for a, b in zip(seen(x, views), seen(y, views), strict=True)])
    assert torch.allclose(value, expected, atol=1e-12)
    weights = torch.arange(1.0, len(value) + 1, dtype=value.dtype)  # every view must get its own share
    found = torch.autograd.grad((value * weights).sum(), (x, y))
    wanted = torch.autograd.grad((expected * weights).sum(), (x, y))
    assert all(torch.allclose(a, b, atol=1e-12) for a, b in zip(found, wanted, strict=True))


@pytest.mark.parametrize("views", ["joint", "marginal", "pairs"])
@pytest.mark.parametrize("estimator", ["unbiased", "biased"])
@pytest.mark.parametrize("name", FORMULAS)
def test_both_engines_agree_in_single_precision(monkeypatch, name, estimator, views):
    kernel, results = FORMULAS[name][0], []
    for whole, side in ((2**30, 1024), (0, 1024), (0, 32)):
        monkeypatch.setattr(distance, "WHOLE", whole)
        monkeypatch.setattr(tiles, "SIDE", side)
        x, y = normal(130, 4, 0, torch.float32).requires_grad_(), (normal(90, 4, 1, torch.float32) + 0.3).requires_grad_()
        value = sl.mmd2(x, y, kernel, estimator, views, reduction="none")
        results.append((value.detach(), *torch.autograd.grad(value.sum(), (x, y))))
    for value, *gradients in results[1:]:
        assert (value - results[0][0]).abs().max() < 1e-6
        for found, expected in zip(gradients, results[0][1:], strict=True):
            assert (found - expected).abs().max() < 1e-5 * expected.abs().max()


@pytest.mark.parametrize("name", FORMULAS)
def test_single_precision_agrees_to_five_digits(name):
    kernel, formula = FORMULAS[name]
    x, y = normal(700, 4, 0, torch.float32).requires_grad_(), normal(600, 4, 1, torch.float32) * 1.2
    value = sl.mmd2(x, y, kernel)
    value.backward()
    exact = x.detach().double().requires_grad_()
    expected = naive(exact, y.double(), formula)
    expected.backward()
    assert value.dtype == torch.float32
    assert value.item() == pytest.approx(expected.item(), abs=1e-6)
    assert (x.grad - exact.grad).abs().max() < 1e-5 * exact.grad.abs().max()


@pytest.mark.parametrize("name", FORMULAS)
def test_gradients_of_first_and_second_order_are_difference_quotients(name):
    x, y = normal(4, 2, 0).requires_grad_(), normal(3, 2, 1).requires_grad_()
    for views in ("joint", "pairs"):
        assert torch.autograd.gradcheck(lambda x, y, v=views: sl.mmd2(x, y, FORMULAS[name][0], views=v), (x, y))
    one = torch.ones((), dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradgradcheck(lambda x, y: sl.mmd2(x, y, FORMULAS[name][0], "biased"), (x, y), (one,))


def test_a_second_derivative_of_too_many_rows_is_refused(monkeypatch):
    monkeypatch.setattr(distance, "MOST_PAIRS", 100)
    x = normal(8, 2, 0).requires_grad_()
    (slope,) = torch.autograd.grad(sl.mmd2(x, normal(8, 2, 1)), x)  # the first one is no trouble
    assert slope.abs().max() > 0
    with pytest.raises(RuntimeError, match="second derivative of mmd2 holds whole kernel matrices, of at most 100 pairs"):
        torch.autograd.grad(sl.mmd2(x, normal(8, 2, 1)), x, create_graph=True)


def test_functional_transforms_find_the_same_gradient():
    x, y = normal(9, 2, 0), normal(7, 2, 1)
    kernel, formula = FORMULAS["imq"]
    wanted = torch.autograd.grad(naive(a := x.clone().requires_grad_(), y, formula), a)[0]
    assert torch.allclose(torch.func.grad(lambda x: sl.mmd2(x, y, kernel))(x), wanted, atol=1e-12)
    curved, straight = (
        torch.autograd.functional.hessian(f, x[:3]) for f in (lambda x: sl.mmd2(x, y, kernel), lambda x: naive(x, y, formula))
    )
    assert torch.allclose(curved, straight, atol=1e-12)


def test_the_gradient_of_one_side_is_that_of_both():
    x, y = normal(9, 2, 0).requires_grad_(), normal(7, 2, 1).requires_grad_()
    both = torch.autograd.grad(sl.mmd2(x, y, IMQ(base=4.0)), (x, y))
    assert torch.equal(torch.autograd.grad(sl.mmd2(x, y.detach(), IMQ(base=4.0)), x)[0], both[0])
    assert torch.equal(torch.autograd.grad(sl.mmd2(x.detach(), y, IMQ(base=4.0)), y)[0], both[1])


@pytest.mark.parametrize(("d", "mean", "h"), [(1, 0.5, 1.0), (16, 0.2, 4.0)])
def test_rbf_between_gaussians_in_closed_form(d, mean, h):
    def expected(variance, shift):
        return (h**2 / (h**2 + variance)) ** (d / 2) * np.exp(-d * shift**2 / (2 * (h**2 + variance)))

    truth = 2 * expected(2, 0) - 2 * expected(2, mean)
    values = [sl.mmd2(normal(3000, d, i) + mean, normal(3000, d, 50 + i), RBF(h)).item() for i in range(6)]
    assert np.mean(values) == pytest.approx(truth, rel=0.1)


def test_energy_distance_of_a_line_in_closed_form():
    # of sorted samples: 2 * integral of (F - G)^2
    x, y = normal(60, 1, 0), normal(45, 1, 1) * 2
    at = torch.cat([x, y]).flatten().sort().values
    gap = ((at[:-1, None] >= x.T).double().mean(1) - (at[:-1, None] >= y.T).double().mean(1)) ** 2
    assert sl.mmd2(x, y, Energy(), "biased").item() == pytest.approx((2 * gap * at.diff()).sum().item(), rel=1e-12)


def test_the_examples_of_the_docstrings_are_true():
    names = {"mmd2": sl.mmd2, "mmd_test": sl.mmd_test, "witness": sl.witness, "torch": torch}
    for function in (sl.mmd2, sl.mmd_test, sl.witness):
        (example,) = doctest.DocTestFinder().find(function, globs=dict(names))
        assert doctest.DocTestRunner().run(example).failed == 0


def test_two_points_by_hand():
    assert sl.mmd2([[0.0]], [[3.0]], Laplacian(1.5), "biased").item() == pytest.approx(2 - 2 * np.exp(-2))
    assert sl.mmd2([[0.0]], [[2.0]], RationalQuadratic(1.0, alpha=2.0), "biased").item() == pytest.approx(2 - 2 * 2**-2)


@pytest.mark.parametrize("name", FORMULAS)
def test_codes_far_from_the_origin_in_single_precision(name):
    kernel, formula = FORMULAS[name]
    x = (normal(300, 3, 0, torch.float32) + 1e4).requires_grad_()
    y = normal(300, 3, 1, torch.float32) * 1.3 + 1e4
    value = sl.mmd2(x, y, kernel)
    value.backward()
    exact = x.detach().double().requires_grad_()
    expected = naive(exact, y.double(), formula)
    expected.backward()
    assert value.item() == pytest.approx(expected.item(), abs=1e-6)
    assert (x.grad - exact.grad).abs().max() < 1e-4 * exact.grad.abs().max()


@pytest.mark.parametrize("name", FORMULAS)
def test_two_far_clusters_in_single_precision(name):
    # norms of 1e6 next to distances of 1: what a product in single precision would lose
    kernel, formula = FORMULAS[name]
    sides = torch.tensor([[1e3], [-1e3]]).repeat(100, 1)
    x, y = normal(200, 2, 0, torch.float32) + sides, normal(200, 2, 1, torch.float32) * 1.5 + sides
    assert sl.mmd2(x, y, kernel).item() == pytest.approx(naive(x.double(), y.double(), formula).item(), abs=1e-4)
    assert sl.mmd2(x, y, kernel).dtype == torch.float32


@pytest.mark.parametrize("offset", [0.0, 7.7, 1e4])
@pytest.mark.parametrize("name", FORMULAS)
def test_identical_points_have_right_values_and_finite_gradients(name, offset):
    kernel, formula = FORMULAS[name]
    points = normal(5, 3, 0, torch.float32) + offset
    x = points.repeat(8, 1).requires_grad_()  # every point eight times, and all of them in y too
    value = sl.mmd2(x, points, kernel, "biased")
    value.backward()
    assert value.item() == pytest.approx(naive(x.detach().double(), points.double(), formula, "biased").item(), abs=2e-6)
    exact = x.detach().double().requires_grad_()
    naive(exact, points.double(), formula, "biased").backward()
    assert (x.grad - exact.grad).abs().max() < 1e-4
    collapsed = torch.full((6, 3), offset, requires_grad=True)
    sl.mmd2(collapsed, points, kernel).backward()
    assert torch.isfinite(collapsed.grad).all()
    again = torch.full((6, 3), offset, requires_grad=True)
    (slope,) = torch.autograd.grad(sl.mmd2(again, points, kernel), again, create_graph=True)
    slope.sum().backward()
    assert torch.isfinite(again.grad).all()


def test_rounded_matrix_products_and_autocast_do_not_blur_it():
    x, y = normal(100, 4, 0, torch.float32), normal(100, 4, 1, torch.float32)
    expected = sl.mmd2(x.double(), y.double(), RBF(1.0)).item()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert sl.mmd2(x, y, RBF(1.0)).item() == pytest.approx(expected, abs=1e-6)
        assert sl.mmd_test(x, y, RBF(1.0), permutations=2).statistic == pytest.approx(expected, abs=1e-6)
        at = sl.witness(x, y, y, RBF(1.0))
    assert torch.allclose(at, sl.witness(x, y, y, RBF(1.0)), atol=1e-6)
    before = torch.get_float32_matmul_precision()
    try:
        torch.set_float32_matmul_precision("medium")
        assert sl.mmd2(x, y, RBF(1.0)).item() == pytest.approx(expected, abs=1e-6)
    finally:
        torch.set_float32_matmul_precision(before)


def test_half_precision_codes_get_a_gradient_of_their_own_type():
    x = normal(20, 2, 0, torch.bfloat16).requires_grad_()
    sl.mmd2(x, normal(20, 2, 1, torch.float32)).backward()
    assert x.grad.dtype == torch.bfloat16
    assert x.grad.abs().max() > 0


def test_nothing_is_kept_for_a_gradient_that_nobody_wants():
    x = normal(9, 2, 0).requires_grad_()
    with torch.no_grad():
        assert not sl.mmd2(x, normal(9, 2, 1)).requires_grad
    assert not sl.mmd2(x.detach(), normal(9, 2, 1)).requires_grad


def test_a_kernel_of_ones_own_needs_its_formula_alone():
    class Cauchy(Kernel):
        def values(self, squared):
            return 1 / (1 + squared)

    class Wider(RBF):  # its slope is not that of RBF any more
        def values(self, squared):
            return torch.exp(squared / -50)

    x, y = normal(12, 2, 0).requires_grad_(), normal(9, 2, 1)
    for kernel, same in ((Cauchy(), IMQ(scales=(1.0,), base=1.0)), (Wider(1.0), RBF(5.0)), (Cauchy() + Energy(), None)):
        assert torch.autograd.gradcheck(lambda x, k=kernel: sl.mmd2(x, y, k), x)
        if same:
            assert sl.mmd2(x, y, kernel).item() == pytest.approx(sl.mmd2(x, y, same).item(), rel=1e-12)


def test_worst_view_is_the_largest_and_has_its_gradient():
    x, y = normal(40, 4, 0).requires_grad_(), normal(40, 4, 1)
    x = x * torch.tensor([1.0, 1.0, 2.0, 1.0])
    each = sl.mmd2(x, y, IMQ(base=2.0), views="marginal", reduction="none")
    worst = sl.mmd2(x, y, IMQ(base=2.0), views="marginal", reduction="max")
    assert each.argmax() == 2
    assert worst.item() == pytest.approx(each.max().item())
    assert sl.mmd2(x, y, IMQ(base=2.0), views="marginal").item() == pytest.approx(each.mean().item())
    (slope,) = torch.autograd.grad(worst, x)
    assert torch.allclose(slope, torch.autograd.grad(each[2], x)[0])
    assert slope[:, [0, 1, 3]].abs().max() == 0


def test_an_open_width_of_a_view_is_in_units_of_the_target():
    x, y = normal(50, 3, 0) * 1.2, normal(400, 3, 1)
    units = torch.tensor([1.0, 100.0, 1e-3])
    for kernel in (IMQ(), RBF(), MultiScale(Laplacian())):
        for views in ("marginal", "pairs"):
            plain, scaled = (sl.mmd2(x * u, y * u, kernel, views=views, reduction="none") for u in (1, units))
            assert torch.allclose(plain, scaled, rtol=1e-6)
    alone = torch.stack([sl.mmd2(x[:, [i]], y[:, [i]], IMQ()) for i in range(3)])
    assert torch.allclose(sl.mmd2(x, y, IMQ(), views="marginal", reduction="none"), alone, rtol=1e-3)
    fixed = torch.stack([sl.mmd2(x[:, [i]], y[:, [i]], RBF(0.5)) for i in range(3)])
    assert torch.allclose(sl.mmd2(x, y, RBF(0.5), views="marginal", reduction="none"), fixed)


def test_views_see_what_the_joint_kernel_does_not():
    # d = 32, 256 rows: one duplicated dimension among 32, and marginals that are all uniform
    n, d, draws = 256, 32, 4

    def distance(make, views, reduction):
        null, other = (
            np.array([sl.mmd2(f(normal(n, d, 10 * i, torch.float32)), normal(n, d, 10 * i + 1, torch.float32),
                              views=views, reduction=reduction).item() for i in range(draws)])
            for f in (lambda z: z, make)
        )  # fmt: skip
        return (other.mean() - null.mean()) / null.std(ddof=1)

    def duplicated(z):
        return torch.cat([z[:, :1], z[:, :-1]], dim=1)

    def uniform(z):
        return (torch.special.ndtr(z) - 0.5) * 12**0.5

    assert distance(duplicated, "pairs", "max") > 8
    assert distance(uniform, "marginal", "mean") > 8
    assert distance(duplicated, "joint", "mean") < 4
    assert distance(uniform, "joint", "mean") < 4


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.integers(2, 20), st.integers(2, 20), st.integers(2, 4), st.sampled_from(sorted(FORMULAS)))
def test_symmetry_order_shift_and_sign(seed, n, m, d, name):
    kernel = FORMULAS[name][0]
    x, y = normal(n, d, seed), normal(m, d, seed + 1) * 2
    for views in ("joint", "marginal", "pairs"):
        value = sl.mmd2(x, y, kernel, views=views).item()
        assert sl.mmd2(y, x, kernel, views=views).item() == pytest.approx(value, abs=1e-10)
        assert sl.mmd2(x.flip(0), y, kernel, views=views).item() == pytest.approx(value, abs=1e-10)
        assert sl.mmd2(x.flip(1), y.flip(1), kernel, views=views).item() == pytest.approx(value, abs=1e-10)
        assert sl.mmd2(x + 5, y + 5, kernel, views=views).item() == pytest.approx(value, abs=1e-8)
        assert sl.mmd2(x, y, kernel, "biased", views).item() >= -1e-12
        assert sl.mmd2(x, x, kernel, "biased", views).item() == pytest.approx(0, abs=1e-10)


def test_the_test_of_many_rows_is_that_of_the_whole_matrix(small_tiles):
    x, y = normal(45, 2, 0), normal(38, 2, 1) + 0.2
    found = sl.mmd_test(x, y, IMQ(base=4.0), permutations=20, seed=3)
    assert found.statistic == pytest.approx(sl.mmd2(x, y, IMQ(base=4.0)).item(), abs=1e-12)
    ranks = torch.rand(20, 83, generator=torch.Generator().manual_seed(3)).argsort(dim=1)
    pooled, formula = torch.cat([x, y]), lambda r: sum(4 * s / (4 * s + r**2) for s in SCALES)
    direct = [naive(pooled[r < 45], pooled[r >= 45], formula).item() for r in ranks]
    assert found.null == pytest.approx(np.array(direct), abs=1e-12)


def test_the_witness_is_the_difference_of_means_and_tells_them_apart():
    x, y = normal(60, 2, 0) + 1, normal(50, 2, 1)
    kernel, points = RBF(1.0), normal(300, 2, 2)
    found = sl.witness(x, y, points, kernel)
    assert torch.allclose(found, kernel(points, x).mean(1) - kernel(points, y).mean(1), atol=1e-12)
    assert sl.witness(x, y, [[2.0, 2.0]], kernel).item() > 0 > sl.witness(x, y, [[-1.0, -1.0]], kernel).item()
    gap = sl.witness(x, y, x, kernel).mean() - sl.witness(x, y, y, kernel).mean()
    assert gap.item() == pytest.approx(sl.mmd2(x, y, kernel, "biased").item(), abs=1e-12)
    assert isinstance(sl.witness(x.numpy(), y.numpy(), points.numpy()), np.ndarray)
    assert torch.autograd.gradcheck(lambda p: sl.witness(x, y, p, kernel), points[:3].requires_grad_())


def test_a_prior_fits_a_sum_and_scales_part_by_part():
    target = Gaussian(2)
    fitted = (RBF() + IMQ()).fit(target)
    assert fitted.kernels == (RBF().fit(target), IMQ().fit(target))
    assert MultiScale(RBF()).fit(target).kernel == RBF().fit(target)
    assert Laplacian().fit(target).bandwidth == RationalQuadratic().fit(target).bandwidth == RBF().fit(target).bandwidth
    assert fitted.fit(Gaussian(5)) is fitted
    assert MultiScale(RBF(2.0), (0.5, 3.0)).kernels == (RBF(1.0), RBF(6.0))
    assert MultiScale(IMQ(base=2.0), (2.0,)).kernels == (IMQ(base=8.0),)


def test_a_sum_of_one_is_a_flat_sum():
    assert (RBF(1.0) + Energy() + Laplacian(1.0)).kernels == (RBF(1.0), Energy(), Laplacian(1.0))


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: sl.mmd2(torch.ones(3, 2), torch.ones(3, 3)), ValueError, "y must have 2 column"),
        (lambda: sl.mmd2(torch.ones(0, 2), torch.ones(3, 2)), ValueError, "x must have at least 2 row"),
        (lambda: sl.mmd2(torch.ones(3, 2), torch.ones(0, 2), estimator="biased"), ValueError, "y must have at least 1 row"),
        (lambda: sl.mmd2(torch.ones(1, 2), torch.ones(3, 2)), ValueError, "x must have at least 2 row"),
        (lambda: sl.mmd2(torch.ones(3, 2), torch.ones(1, 2)), ValueError, "y must have at least 2 row"),
        (lambda: sl.mmd2(torch.full((3, 2), torch.nan), torch.ones(3, 2)), ValueError, "x has 6 value"),
        (lambda: sl.mmd2(torch.ones(3, 2).long(), torch.ones(3, 2)), TypeError, "x must be a floating tensor, got torch.int64"),
        (lambda: sl.mmd_test(torch.ones(3, 2), torch.ones(3, 2).int()), TypeError, "y must be a floating tensor"),
        (
            lambda: sl.mmd2(np.ones((3, 2), int), np.ones((3, 2))),
            TypeError,
            r"x must be a floating array, got int64; .* x\.astype",
        ),
        (lambda: sl.mmd_test(np.ones((3, 2)), np.ones((3, 2)) > 0), TypeError, "y must be a floating array, got bool"),
        (lambda: sl.witness(pd.DataFrame({"a": [1, 2]}), [[1.0]], [[1.0]]), TypeError, "x must be a floating array, got int64"),
        (lambda: sl.mmd2(torch.ones(3, 2), torch.ones(3, 2, device="meta")), ValueError, "one device, got cpu and meta"),
        (lambda: sl.mmd2(torch.ones(3, 2), torch.eye(2), views="all"), ValueError, "views must be one of"),
        (lambda: sl.mmd2(torch.ones(3, 2), torch.eye(2), reduction="sum"), ValueError, "reduction must be one of"),
        (lambda: sl.mmd2(torch.ones(3, 1), torch.ones(3, 1), views="pairs"), ValueError, "at least 2 columns, got 1"),
        (lambda: sl.mmd2(torch.eye(3), torch.ones(3, 3), views="marginal"), ValueError, "points coincide"),
        (lambda: sl.mmd2(torch.eye(2), torch.eye(2), kernel=RBF), TypeError, "got the class RBF: call it first"),
        (lambda: sl.mmd_test(torch.eye(2), torch.eye(2), IMQ), TypeError, "got the class IMQ: call it first"),
        (lambda: sl.objectives.MMD(Gaussian(2), kernel=IMQ), TypeError, "got the class IMQ: call it first"),
        (lambda: MultiScale(RBF), TypeError, "such as RBF.., got the class RBF: call it first"),
        (lambda: sl.witness(torch.eye(2), torch.ones(1, 2), torch.eye(2)), ValueError, "y must have at least 2 rows to set the"),
        (lambda: sl.mmd2(torch.eye(2), [[1.0, 2.0]], None, "biased"), ValueError, "y must have at least 2 rows to set the width"),
        (lambda: sl.witness(torch.eye(2), torch.eye(2), torch.ones(1, 3)), ValueError, "points must have 2 column"),
        (lambda: sl.witness(torch.eye(2), torch.eye(2), torch.ones(0, 2)), ValueError, "points must have at least 1 row"),
        (lambda: sl.witness(torch.eye(2), torch.eye(2), torch.ones(1, 2, device="meta")), ValueError, "points must be on"),
        (lambda: Laplacian(0.0), ValueError, "bandwidth must be > 0"),
        (lambda: RationalQuadratic(-2.0), ValueError, "bandwidth must be > 0"),
        (lambda: RationalQuadratic(1.0, alpha=0.0), ValueError, "alpha must be > 0"),
        (lambda: Laplacian().values(torch.ones(2, 2)), ValueError, "Laplacian.bandwidth=None. has no width yet"),
        (lambda: MultiScale(Energy()), TypeError, "kernel must be a Kernel with a width"),
        (lambda: MultiScale(RBF(), (1.0, 0.0)), ValueError, "factors must be > 0"),
        (lambda: MultiScale(RBF(), ()), TypeError, "factors must be a tuple"),
        (lambda: MultiScale(RBF() + Energy(), (1.0,)).fit(Gaussian(2)).values(torch.ones(1)), TypeError, "Energy has no width"),
        (lambda: sl.kernels.SumKernel(()), TypeError, "kernels must be a tuple"),
        (lambda: RBF() + 1.0, TypeError, "unsupported operand"),
    ],
)
def test_bad_input_is_named(call, error, words):
    with pytest.raises(error, match=words):
        call()


def test_whole_numbers_in_a_list_are_numbers():
    value = sl.mmd2([[0.0], [1.0]], [[3.0], [4.0]], RBF(1.0)).item()
    assert sl.mmd2([[0], [1]], [[3], [4]], RBF(1.0)).item() == pytest.approx(value, rel=1e-6)


def test_one_row_of_the_target_will_do_where_it_sets_no_width():
    x, y = normal(5, 2, 0), normal(1, 2, 1)
    assert torch.allclose(sl.witness(x, y, y, RBF(1.0)), RBF(1.0)(x, y).mean() - 1)
    assert sl.mmd2(x, y, RBF(1.0), "biased", "pairs").item() == pytest.approx(sl.mmd2(x, y, RBF(1.0), "biased").item())


@pytest.mark.parametrize("wrong", [sl.priors.Gaussian(2), sl.priors.Gaussian, "gaussian"])
def test_a_prior_in_place_of_codes_is_told_what_to_pass(wrong):
    with pytest.raises(TypeError, match=r"x must be rows .* prior\.sample"):
        sl.mmd2(wrong, torch.zeros(3, 2))


def test_a_class_in_place_of_a_prior_is_told_to_be_called():
    with pytest.raises(TypeError, match="the class Gaussian: call it first"):
        sl.mmd2(torch.zeros(3, 2), sl.priors.Gaussian)


def test_everything_that_can_be_sampled_is_a_target():
    x, drawn = normal(40, 2, 0), Gaussian(2).sample(40, generator=torch.Generator().manual_seed(0))
    expected = sl.mmd2(x, drawn).item()
    assert sl.mmd2(x, Gaussian(2)).item() == expected
    assert sl.mmd2(x, "gaussian").item() == expected
    assert sl.mmd2(x.numpy(), "gaussian").item() == expected
    assert torch.equal(sl.witness(x, "gaussian", x), sl.witness(x, drawn, x))
    for target in (torch.distributions.Normal(torch.zeros(2), torch.ones(2)), lambda n: torch.randn(n, 2), "uniform"):
        assert abs(sl.mmd2(x, target).item()) < 0.2
        assert abs(sl.mmd2(x, target).item() - sl.mmd2(x, target).item()) == 0
        assert sl.mmd_test(x, target, permutations=20).null.shape == (20,)
    with pytest.raises(ValueError, match="must have 2 dimension"):
        sl.mmd2(x, Gaussian(3))


def test_the_seed_of_a_test_draws_the_prior():
    x = normal(50, 2, 0)
    generator = torch.Generator().manual_seed(5)
    found = sl.mmd_test(x, Gaussian(2), permutations=10, seed=5)
    assert found.statistic == sl.mmd_test(x, Gaussian(2).sample(50, generator=generator), permutations=10).statistic
    assert found.statistic != sl.mmd_test(x, Gaussian(2), permutations=10, seed=6).statistic


KERNELS = [
    IMQ(), RBF(), RationalQuadratic(), Laplacian(), Energy(),
    MultiScale(RBF()), IMQ() + RBF(),
]  # fmt: skip


@pytest.mark.parametrize("estimator", ["unbiased", "biased"])
@pytest.mark.parametrize("kernel", KERNELS, ids=repr)
@pytest.mark.parametrize("rows", [40, 600])  # whole matrices, tiles
def test_tiny_distances_have_the_value_and_gradient_of_large_ones(kernel, estimator, rows):
    drawn = torch.randn(2, rows, 2, generator=torch.Generator().manual_seed(0))
    drawn[1] += 0.5

    def found(scale):
        x, y = ((scale * sample).requires_grad_() for sample in drawn)
        value = sl.mmd2(x, y, kernel, estimator)
        value.backward()
        unit = scale if isinstance(kernel, Energy) else 1.0  # its values grow with the codes
        return value.double() / unit, x.grad.double() / unit * scale, y.grad.double() / unit * scale

    for tiny in (1e-12, 1e-18, 1e-30):
        for small, large in zip(found(tiny), found(1.0), strict=True):
            assert torch.isfinite(small).all()
            assert torch.allclose(small, large, rtol=1e-3, atol=1e-4 * float(large.abs().max()))
