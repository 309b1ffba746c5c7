"""Reference codes: their closed forms against brute force, their moments, and bad input."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial import KDTree

from sculptlab.series.reference_codes import cases as rc

ROWS = 40_000
FEW_DIMENSIONS = {case.name: case for case in rc.reference_gallery(3)}


def explained(targets, given):
    """1 - the variance between nearest neighbors in the given columns, over that of all: R^2 without any regressor."""
    nearest = KDTree(given).query(given, k=2)[1]
    return [1 - np.mean((y[nearest[:, 0]] - y[nearest[:, 1]]) ** 2) / 2 / y.var() for y in targets]


def linear_r2(target, others):
    design = np.column_stack([np.ones(len(target)), others])
    rest = target - design @ np.linalg.lstsq(design, target, rcond=None)[0]
    return 1 - rest.var() / target.var()


def test_known_values():
    assert rc.parabola(6).truth["mean"] == pytest.approx(1 / 6)
    assert rc.duplicated(4).best["mean"] == (1, 1, 0, 0)
    assert rc.sign_xor(3).truth == {"mean": pytest.approx(2 / np.pi), "square": 0}
    assert rc.ring(2).truth == {"mean": 0, "square": 1}
    assert rc.rotated_uniform(45, 2).best["mean"] == pytest.approx((0, 0))
    assert rc.rotated_uniform(45, 3).best["square"] == pytest.approx((5 / 21, 5 / 21, 0))
    assert rc.equicorrelated(0.5, 6).truth["mean"] == pytest.approx(0.25 * 5 / 3)


@pytest.mark.parametrize("case", FEW_DIMENSIONS.values(), ids=FEW_DIMENSIONS)
def test_the_stated_r2_is_what_neighbors_find(case):
    z = case.sample(ROWS, 1).double().numpy()
    if "student" in case.name:  # its fourth powers have no variance; what is independent stays so under a cap
        z = z.clip(-5, 5)
    for i in range(3):
        others = np.delete(z, i, axis=1)
        targets = {"mean": z[:, i], "square": (z[:, i] - z[:, i].mean()) ** 2}
        for target, found in zip(targets, explained(targets.values(), others), strict=True):
            assert found == pytest.approx(case.best[target][i], abs=0.04), (target, i)


@settings(max_examples=12, deadline=None)
@given(st.floats(-400, 400))
def test_any_rotation_of_the_square_agrees_with_neighbors(angle):
    case = rc.rotated_uniform(angle, 2)
    z = case.sample(20_000, 2).double().numpy()
    found = explained([z[:, 0], z[:, 0] ** 2], z[:, 1:])
    assert found == pytest.approx([case.best["mean"][0], case.best["square"][0]], abs=0.04)


@settings(max_examples=20, deadline=None)
@given(st.floats(0.01, 1), st.integers(2, 9))
def test_equicorrelation_agrees_with_the_inverse_covariance(share, dim):
    rho = -1 / (dim - 1) + share * (0.99 + 1 / (dim - 1))
    inverse = np.linalg.inv(np.full((dim, dim), rho) + (1 - rho) * np.eye(dim))
    assert rc.equicorrelated(rho, dim).best["mean"] == pytest.approx(tuple(1 - 1 / inverse.diagonal()), abs=1e-6)


@pytest.mark.parametrize("dim", [2, 5, 12])
def test_a_scale_mixture_with_more_neighbors_tells_more_but_never_all(dim):
    # with the scale known, Var E[z^2 | s] / Var z^2 = Var s^2 / (3 E s^4 - 1)
    squares = np.array(rc.SQUARED_SCALES)
    bound = squares.var() / (3 * np.mean(squares**2) - 1)
    fewer, more = rc.scale_mixture(dim).truth["square"], rc.scale_mixture(dim + 1).truth["square"]
    assert 0 < fewer < more < bound
    assert rc.scale_mixture(60).truth["square"] == pytest.approx(bound, abs=1e-3)


@pytest.mark.parametrize("case", rc.reference_gallery(5), ids=lambda case: case.name)
def test_every_case_has_mean_0_variance_1_and_its_own_seed(case):
    z = case.sample(50_000, 3)
    assert z.shape == (50_000, 5)
    assert z.dtype == torch.float32
    assert z.mean(0).abs().max() < 0.03
    assert (z.var(0) - 1).abs().max() < 0.12  # Student's t with 5 degrees converges slowly
    assert torch.equal(case.sample(9, 4), case.sample(9, torch.Generator().manual_seed(4)))
    assert not torch.equal(case.sample(9, 4), case.sample(9, 5))
    assert set(case.truth) == {"mean", "square"}


def test_the_heavy_tail_and_the_two_modes_have_their_shapes():
    student = rc.independent("student", 1).sample(200_000, 0).double()[:, 0] * (5 / 3) ** 0.5
    for level in (1.476, 2.015, 4.032):  # a table's 90, 95 and 99.5 % points of t with 5 degrees
        assert (student > level).double().mean() == pytest.approx({1.476: 0.1, 2.015: 0.05, 4.032: 0.005}[level], rel=0.06)
    modes = rc.independent("two modes", 1).sample(20_000, 0)
    assert (modes.abs() < 0.3).float().mean() < 0.03


def test_without_angle_and_bend_the_codes_are_the_sources():
    for source in rc.SOURCES:
        codes, sources = rc.mixed(source, n=50_000, dim=3, seed=1)
        assert torch.equal(codes, sources)
        assert sources.var(0).numpy() == pytest.approx(1, abs=0.04)
        kurtosis = (sources.double() ** 4).mean(0).numpy() - 3
        assert kurtosis == pytest.approx(rc.KURTOSIS[source], abs=0.4)


@settings(max_examples=20, deadline=None)
@given(st.floats(-180, 180), st.floats(0, 1), st.sampled_from(rc.SOURCES), st.integers(2, 5))
def test_mixing_keeps_mean_and_variance(angle, bend, source, dim):
    codes, sources = rc.mixed(source, angle, bend, n=40_000, dim=dim, seed=0)
    assert codes.mean(0).abs().max() < 0.05
    assert (codes.var(0) - 1).abs().max() < 0.15
    assert torch.equal(sources, rc.mixed(source, n=40_000, dim=dim, seed=0).sources)
    unbent = rc.mixed(source, angle, n=40_000, dim=dim, seed=0).codes
    assert torch.allclose(unbent.square().sum(1), sources.square().sum(1), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("bend", [0.3, 0.8, 1.0])
def test_a_bent_gaussian_has_the_r2_bend_squared(bend):
    z = rc.mixed("gaussian", 37, bend, n=ROWS).codes.double().numpy()
    assert explained([z[:, 1]], z[:, :1]) == pytest.approx([bend**2], abs=0.03)
    assert explained([z[:, 0]], z[:, 1:]) == pytest.approx([0], abs=0.03)


def test_a_rotation_by_45_degrees_is_the_known_one():
    codes, s = rc.mixed(["uniform", "laplace"], 45, n=100)
    assert codes.numpy() == pytest.approx((torch.stack([s[:, 0] - s[:, 1], s[:, 0] + s[:, 1]], 1) / 2**0.5).numpy(), abs=1e-6)


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: rc.independent("cauchy"), ValueError, "shape must be one of"),
        (lambda: rc.equicorrelated(1.0), ValueError, "rho must lie between"),
        (lambda: rc.equicorrelated(-0.3, 6), ValueError, "rho must lie between"),
        (lambda: rc.sign_xor(2), ValueError, "dim must be at least 3"),
        (lambda: rc.reference_gallery(2), ValueError, "dim must be at least 3"),
        (lambda: rc.ring().sample(0), ValueError, "n must be at least 1"),
        (lambda: rc.ring().sample(5, "0"), TypeError, "generator must be a whole number"),
        (lambda: rc.mixed("cauchy"), ValueError, "source must be one of"),
        (lambda: rc.mixed(["uniform"], dim=2), ValueError, "source must be one name or dim = 2"),
        (lambda: rc.mixed(bend=1.1), ValueError, r"bend must lie in \[0, 1\]"),
        (lambda: rc.mixed(angle=np.nan), ValueError, "angle must be finite"),
    ],
)
def test_bad_input_is_named(call, error, words):
    with pytest.raises(error, match=words):
        call()
