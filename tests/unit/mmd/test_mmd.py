"""MMD: closed forms, the level and power of its test, gradients."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import cdist

from sculptlab.mmd import mmd2, mmd_test
from sculptlab.mmd.kernels import IMQ, RBF, Energy
from sculptlab.priors import Gaussian


def normal(n, d, seed, dtype=torch.float64):
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def rbf_between_gaussians(d, mean, var, h):
    """E k(x, x') + E k(y, y') - 2 E k(x, y) for x ~ N(mean 1, var I), y ~ N(0, I), k = exp(-D2 / 2h^2)."""

    def expected(variance, shift):
        return (h**2 / (h**2 + variance)) ** (d / 2) * np.exp(-d * shift**2 / (2 * (h**2 + variance)))

    return expected(2 * var, 0) + expected(2, 0) - 2 * expected(1 + var, mean)


@pytest.mark.parametrize(("d", "mean", "var", "h"), [(1, 0.5, 1.0, 1.0), (3, 0.2, 0.25, 1.5), (8, 0.0, 2.0, 3.0)])
def test_the_closed_form_between_gaussians(d, mean, var, h):
    values = [mmd2(normal(500, d, i) * var**0.5 + mean, normal(500, d, 900 + i), RBF(h)).item() for i in range(20)]
    assert np.mean(values) == pytest.approx(rbf_between_gaussians(d, mean, var, h), abs=4 * np.std(values) / 20**0.5)


def test_unbiased_is_zero_on_average_where_biased_is_not():
    pairs = [(normal(30, 2, i), normal(30, 2, 700 + i)) for i in range(200)]
    unbiased = np.array([mmd2(x, y, IMQ(base=4.0)).item() for x, y in pairs])
    assert abs(unbiased.mean()) < 4 * unbiased.std() / 200**0.5
    assert 0.3 < (unbiased < 0).mean() < 0.8
    assert min(mmd2(x, y, IMQ(base=4.0), "biased").item() for x, y in pairs) > 0


def test_the_energy_kernel_gives_the_energy_distance():
    x, y = normal(40, 3, 0).numpy(), normal(50, 3, 1).numpy() + 1
    expected = 2 * cdist(x, y).mean() - cdist(x, x).mean() - cdist(y, y).mean()
    assert mmd2(x, y, Energy(), "biased").item() == pytest.approx(expected, rel=1e-9)


def test_two_by_two_by_hand():
    # k(0, 1) = k(3, 4) = e^-1/2; across: distances 3, 4, 2, 3
    across = (2 * np.exp(-4.5) + np.exp(-8) + np.exp(-2)) / 4
    x, y = [[0.0], [1.0]], [[3.0], [4.0]]
    assert mmd2(x, y, RBF(1.0)).item() == pytest.approx(2 * np.exp(-0.5) - 2 * across, rel=1e-5)
    assert mmd2(x, y, RBF(1.0), "biased").item() == pytest.approx(1 + np.exp(-0.5) - 2 * across, rel=1e-5)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10**6), st.integers(2, 12), st.integers(2, 12))
def test_symmetry_order_and_shift(seed, n, m):
    x, y = normal(n, 3, seed), normal(m, 3, seed + 1) * 2
    kernel = IMQ(base=6.0)
    value = mmd2(x, y, kernel)
    assert mmd2(y, x, kernel).item() == pytest.approx(value.item(), abs=1e-9)
    assert mmd2(x.flip(0), y, kernel).item() == pytest.approx(value.item(), abs=1e-9)
    assert mmd2(x + 7, y + 7, kernel).item() == pytest.approx(value.item(), abs=1e-9)
    assert mmd2(x, x, kernel, "biased").item() == pytest.approx(0, abs=1e-9)


def test_float32_far_from_the_origin_agrees_with_float64():
    x, y = normal(200, 4, 0, torch.float32) + 512, normal(200, 4, 1, torch.float32) * 1.5 + 512
    assert mmd2(x, y).item() == pytest.approx(mmd2(x.double(), y.double()).item(), abs=1e-5)


@pytest.mark.parametrize("estimator", ["unbiased", "biased"])
def test_the_gradient_is_the_difference_quotient_in_both(estimator):
    x, y = normal(4, 2, 0).requires_grad_(), normal(5, 2, 1).requires_grad_()
    assert torch.autograd.gradcheck(lambda x, y: mmd2(x, y, IMQ(base=4.0), estimator), (x, y))


@pytest.mark.parametrize("kernel", [None, RBF(), Energy()])
def test_collapsed_codes_have_a_finite_gradient(kernel):
    x = torch.zeros(6, 2, requires_grad=True)
    value = mmd2(x, normal(8, 2, 0, torch.float32), kernel)
    value.backward()
    assert value.ndim == 0
    assert torch.isfinite(x.grad).all()


def test_descending_it_moves_codes_to_the_prior():
    x = (normal(100, 1, 0, torch.float32) * 0.3 + 2).requires_grad_()
    kernel, fresh = IMQ().fit(Gaussian(1)), normal(1000, 1, 9999, torch.float32)
    before = mmd2(x.detach(), fresh, kernel).item()
    optimizer = torch.optim.Adam([x], lr=0.1)
    for step in range(80):
        optimizer.zero_grad()
        mmd2(x, normal(200, 1, step + 1, torch.float32), kernel).backward()
        optimizer.step()
    # a few stray codes keep the mean off for long; the median and the discrepancy itself do not mind them
    assert abs(x.median().item()) < 0.3
    assert mmd2(x.detach(), fresh, kernel).item() < 0.03 * before


def test_the_level_of_the_test_is_what_it_says():
    kernel = IMQ().fit(Gaussian(2))
    for used in (kernel, None):
        p = np.array([mmd_test(normal(30, 2, i), normal(40, 2, 5000 + i), used, 99, i).p_value for i in range(200)])
        assert 0.01 <= (p <= 0.05).mean() <= 0.10  # binomial(200, 0.05): 0.05 +- 0.015
        assert 0.4 < p.mean() < 0.6


def test_the_test_has_power():
    result = mmd_test(normal(200, 2, 0) + 0.5, normal(200, 2, 1), permutations=99)
    assert result.p_value == pytest.approx(0.01)
    assert result.statistic > result.null.max()


def test_the_test_reads_the_same_statistic_and_a_true_null():
    x, y = normal(12, 2, 0), normal(9, 2, 1)  # more rows than a block would hold are in the next test
    kernel = RBF(1.0)
    result = mmd_test(x, y, kernel, permutations=300, seed=4)
    assert result.statistic == pytest.approx(mmd2(x, y, kernel).item(), abs=1e-12)
    pooled, rng = torch.cat([x, y]), np.random.default_rng(0)
    direct = [mmd2(*pooled[rng.permutation(21)].split([12, 9]), kernel).item() for _ in range(300)]
    assert result.null.mean() == pytest.approx(np.mean(direct), abs=5 * np.std(direct) / 300**0.5)
    assert result.null.std() == pytest.approx(np.std(direct), rel=0.25)


def test_many_rows_read_block_by_block_agree_with_the_whole_matrix():
    x, y = normal(150, 2, 0, torch.float32), normal(170, 2, 1, torch.float32) * 1.3
    assert mmd_test(x, y, permutations=3).statistic == pytest.approx(mmd2(x, y).item(), abs=1e-5)


def test_the_test_is_reproducible_and_leaves_the_global_generator_alone():
    x, y = normal(20, 2, 0).numpy(), normal(20, 2, 1).numpy()
    state = torch.get_rng_state()
    first, second = (mmd_test(x, y, permutations=50, seed=3) for _ in range(2))
    assert np.array_equal(first.null, second.null)
    assert not np.array_equal(first.null, mmd_test(x, y, permutations=50, seed=4).null)
    assert first.null.shape == (50,)
    assert torch.equal(torch.get_rng_state(), state)


def test_a_constant_sample_is_a_tie_and_not_a_discovery():
    x = np.zeros((10, 2))
    assert mmd_test(x, x, RBF(1.0), permutations=20).p_value == 1.0


def test_what_is_too_large_for_one_type_is_read_in_a_larger_one():
    x, y = normal(20, 2, 0) * 1e25, normal(20, 2, 1)
    assert np.isfinite(mmd_test(x, y, permutations=20).null).all()
    assert mmd_test(x, y, permutations=20).statistic > 0
    for one, other, name in ((x, y, "x"), (y, x, "y")):
        with pytest.raises(ValueError, match=f"{name} must stay within 1e\\+17 to have squared distances in torch.float32"):
            mmd_test(one.float(), other.float(), permutations=20)


def test_a_kernel_that_gives_no_numbers_is_no_discovery():
    class Broken(Energy):
        def values(self, squared):
            return squared.sqrt().neg().log()

    with pytest.raises(ValueError, match="kernel must give finite values on x and y"):
        mmd_test(normal(20, 2, 0), normal(20, 2, 1), Broken(), permutations=20)


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: mmd2(np.ones((3, 2)), np.ones((3, 3))), ValueError, "y must have 2 column"),
        (lambda: mmd2(np.ones(3), np.ones((3, 1))), ValueError, "x must have shape"),
        (lambda: mmd2(np.ones((1, 2)), np.ones((3, 2))), ValueError, "x must have at least 2 row"),
        (lambda: mmd2(np.full((3, 2), np.nan), np.ones((3, 2))), ValueError, "x has 6 value"),
        (lambda: mmd2(np.ones((3, 2)), np.eye(2), estimator="V"), ValueError, "estimator must be one of"),
        (lambda: mmd2(np.ones((3, 2)), np.eye(2), kernel="rbf"), TypeError, "kernel must be a Kernel"),
        (lambda: mmd2(np.eye(2), np.ones((3, 2))), ValueError, "points coincide"),
        (lambda: mmd_test(np.eye(2), np.eye(2), permutations=0), ValueError, "permutations must be at least 1"),
        (lambda: mmd_test(np.eye(2), np.eye(2), seed=-1), ValueError, "seed must be at least 0"),
    ],
)
def test_bad_input_is_named(call, error, words):
    with pytest.raises(error, match=words):
        call()


def places(seed, shift=0.0):
    """30 images of 9 places, each standard normal in 2 latents, correlated by 0.8 within an image."""
    generator = torch.Generator().manual_seed(seed)
    shared, own = torch.randn(30, 1, 2, generator=generator), torch.randn(30, 9, 2, generator=generator)
    return (0.8**0.5 * shared + 0.2**0.5 * own).flatten(0, 1) + shift, torch.randn(270, 2, generator=generator)


def test_rows_that_belong_together_are_permuted_together():
    found = {1: [], 9: []}
    for seed in range(40):
        for size, p_values in found.items():
            p_values.append(mmd_test(*places(seed), permutations=39, seed=seed, group_size=size).p_value)
    rejected = {size: np.mean(np.array(p_values) <= 0.05) for size, p_values in found.items()}
    assert rejected[1] > 0.4  # rows of one image taken for independent ones
    assert rejected[9] <= 0.15
    assert mmd_test(*places(0, shift=1.0), permutations=39, group_size=9).p_value == 1 / 40


@pytest.mark.parametrize("size", [4, 270, 0])
def test_groups_that_do_not_fit(size):
    with pytest.raises(ValueError, match="group_size must"):
        mmd_test(*places(0), group_size=size)
