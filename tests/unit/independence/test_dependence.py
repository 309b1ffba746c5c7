"""Dependence: closed forms, the reference definition, and constant columns."""

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sculptlab.independence.dependence import (
    correlation,
    distance_correlation,
    distance_correlation_to_rest,
    gaussian_total_correlation,
    hsic_to_rest,
)
from sculptlab.series.reference_codes.cases import sign_xor


def gaussian_dcor2(rho):
    """Szekely, Rizzo and Bakirov 2007, theorem 7."""
    top = rho * np.arcsin(rho) + np.sqrt(1 - rho**2) - rho * np.arcsin(rho / 2) - np.sqrt(4 - rho**2) + 1
    return top / (1 + np.pi / 3 - np.sqrt(3))


def by_definition(a, b):
    """The U-centered matrices, written out."""

    def centered(x):
        n = len(x)
        m = np.abs(x[:, None] - x[None, :])
        u = m - m.sum(0) / (n - 2) - m.sum(1)[:, None] / (n - 2) + m.sum() / ((n - 1) * (n - 2))
        np.fill_diagonal(u, 0)
        return u

    u, v = centered(a), centered(b)
    return (u * v).sum() / np.sqrt((u * u).sum() * (v * v).sum())


@pytest.mark.parametrize("rho", [0.0, 0.3, -0.6, 0.9])
def test_the_closed_form_of_the_bivariate_gaussian(rho):
    rng = np.random.default_rng(1)
    values = []
    for _ in range(8):
        x, e = rng.normal(size=(2, 1000))
        values.append(distance_correlation(np.stack([x, rho * x + np.sqrt(1 - rho**2) * e], 1))[0, 1])
    assert np.mean(values) == pytest.approx(gaussian_dcor2(rho), abs=4 * np.std(values) / 8**0.5 + 1e-3)


def test_it_sees_what_correlation_misses():
    x = np.random.default_rng(0).normal(size=1000)
    z = np.stack([x, x**2], 1)
    assert abs(correlation(z)[0, 1]) < 0.15
    assert distance_correlation(z)[0, 1] > 0.2


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.integers(4, 30))
def test_all_pairs_at_once_agree_with_the_definition(seed, n):
    z = np.random.default_rng(seed).normal(size=(n, 3)) @ np.array([[1, 0.5, 0], [0, 1, 0], [0, 0, 50.0]])
    ours = distance_correlation(z)
    assert ours[0, 1] == pytest.approx(np.clip(by_definition(z[:, 0], z[:, 1]), -1, 1), abs=1e-9)
    assert ours[1, 2] == pytest.approx(np.clip(by_definition(z[:, 1], z[:, 2]), -1, 1), abs=1e-9)
    assert np.allclose(ours, ours.T)
    assert np.allclose(ours.diagonal(), 1)
    assert np.allclose(distance_correlation(z * 3 - 8), ours, atol=1e-9)
    assert np.allclose(correlation(z), np.corrcoef(z.T))


def test_independent_columns_are_zero_on_average():
    rng = np.random.default_rng(0)
    values = [distance_correlation(rng.uniform(size=(60, 2)))[0, 1] for _ in range(200)]
    assert abs(np.mean(values)) < 4 * np.std(values) / 200**0.5
    assert min(values) < 0


def test_a_constant_column_is_nan_and_the_others_are_not():
    z = np.random.default_rng(0).normal(size=(50, 3))
    z[:, 1] = 0.1
    for matrix in (correlation(z.astype(np.float32)), distance_correlation(z)):
        assert np.isnan(matrix[1]).all()
        assert np.isnan(matrix[:, 1]).all()
        assert np.isfinite(matrix[np.ix_([0, 2], [0, 2])]).all()


def test_one_column_is_perfectly_itself():
    z = np.arange(6.0)[:, None]
    assert correlation(z) == pytest.approx(np.ones((1, 1)))
    assert distance_correlation(z) == pytest.approx(np.ones((1, 1)))


def test_rows_are_drawn_by_seed_and_blocks_do_not_show():
    z = np.random.default_rng(0).normal(size=(1500, 3))
    few = distance_correlation(z, max_rows=200, seed=1)
    assert np.array_equal(few, distance_correlation(z, max_rows=200, seed=1))
    assert not np.array_equal(few, distance_correlation(z, max_rows=200, seed=2))
    whole = distance_correlation(z[:900], max_rows=900)  # 900 x 900 x 3 numbers: several blocks
    assert whole[0, 1] == pytest.approx(by_definition(z[:900, 0], z[:900, 1]), abs=1e-9)


def test_tensors_come_back_as_tensors():
    z = torch.randn(30, 2, generator=torch.Generator().manual_seed(0))
    for function in (correlation, distance_correlation):
        assert isinstance(function(z), torch.Tensor)
        assert function(z).dtype == torch.float32
        assert isinstance(function(z.numpy()), np.ndarray)


def test_data_frames_keep_their_column_names():
    z = pd.DataFrame(np.random.default_rng(0).normal(size=(30, 3)), columns=["a", "b", "c"])
    for measure in (correlation, distance_correlation):
        pd.testing.assert_frame_equal(measure(z), pd.DataFrame(measure(z.to_numpy()), index=z.columns, columns=z.columns))
    for measure in (distance_correlation_to_rest, hsic_to_rest):
        pd.testing.assert_series_equal(measure(z), pd.Series(measure(z.to_numpy()), index=z.columns))


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: distance_correlation(np.eye(3)), "at least 4 row"),
        (lambda: distance_correlation(np.eye(9), max_rows=3), "max_rows must be at least 4"),
        (lambda: correlation(np.ones(4)), r"shape \(n, d\)"),
        (lambda: correlation(np.full((4, 2), np.inf)), "z has 8 value"),
    ],
)
def test_bad_input_is_named(call, words):
    with pytest.raises(ValueError, match=words):
        call()


def similarities(z):
    """Distances, and Gaussian kernels at the median distance, of the rows of z."""
    squares = ((z[:, None] - z[None]) ** 2).sum(-1)
    return np.sqrt(squares), np.exp(-squares / (2 * np.median(squares[np.triu_indices(len(z), 1)])))


def unbiased_hsic(k, m):
    """Song et al. 2012, equation 5, written out."""
    k, m, n = k - np.diag(k.diagonal()), m - np.diag(m.diagonal()), len(k)
    return ((k * m).sum() + k.sum() * m.sum() / ((n - 1) * (n - 2)) - 2 / (n - 2) * (k @ m).sum()) / (n * (n - 3))


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from([6, 7, 30, 42]), st.integers(2, 5))
def test_each_against_the_rest_agrees_with_the_definition(seed, n, d):  # n with an odd number of pairs: one median
    rng = np.random.default_rng(seed)
    z = rng.normal(size=(n, d)) @ (np.eye(d) + 0.5 * rng.normal(size=(d, d)))
    s = (z - z.mean(0)) / z.std(0)
    far, alike = distance_correlation_to_rest(7 * z - 3), hsic_to_rest(7 * z - 3)
    for i in range(d):
        (a, k), (b, m) = similarities(s[:, [i]]), similarities(np.delete(s, i, axis=1))
        # distances are centered as kernels are, up to their sign
        assert far[i] == pytest.approx(unbiased_hsic(a, b) / np.sqrt(unbiased_hsic(a, a) * unbiased_hsic(b, b)), abs=1e-9)
        assert alike[i] == pytest.approx(unbiased_hsic(k, m) / np.sqrt(unbiased_hsic(k, k) * unbiased_hsic(m, m)), abs=1e-9)


def test_of_two_columns_the_rest_is_the_other():
    z = np.random.default_rng(0).normal(size=(900, 2)) @ np.array([[1, 0.4], [0, 1]])  # several blocks
    pair = distance_correlation(z)[0, 1]
    assert distance_correlation_to_rest(z) == pytest.approx([pair, pair], abs=1e-10)
    assert hsic_to_rest(z)[0] == pytest.approx(hsic_to_rest(z)[1], abs=1e-10)


def test_a_copy_is_certain_and_an_isometry_too():
    x = np.random.default_rng(0).normal(size=(60, 1))
    for z in (np.hstack([x, x]), np.hstack([x, 5 - 2 * x])):
        assert distance_correlation_to_rest(z) == pytest.approx([1, 1])
        assert hsic_to_rest(z) == pytest.approx([1, 1])


def test_the_rest_together_shows_what_no_pair_does():
    z = sign_xor(3).sample(1000, 0)
    pairs = distance_correlation(z)[np.triu_indices(3, 1)]
    shuffled = torch.from_numpy(np.random.default_rng(0).permuted(z.numpy(), axis=0))
    assert pairs.abs().max() < 0.01
    for measure in (distance_correlation_to_rest, hsic_to_rest):
        assert measure(z).min() > 0.02
        assert measure(shuffled).abs().max() < 0.01


def test_constant_columns_are_nan_and_no_part_of_the_rest():
    z = np.random.default_rng(0).normal(size=(50, 4))
    z[:, 2] = 0.1
    for measure in (distance_correlation_to_rest, hsic_to_rest):
        values = measure(z.astype(np.float32))
        assert np.isnan(values[2])
        assert np.delete(values, 2) == pytest.approx(measure(np.delete(z, 2, axis=1)), abs=1e-5)
        with pytest.raises(ValueError, match="at least 2 columns that vary, got 1 of 2"):
            measure(z[:, [0, 2]])


def test_ties_and_blocks_of_equal_rows_leave_a_kernel_its_width():
    z = (np.random.default_rng(0).uniform(size=(200, 3)) < 0.1).astype(int)  # most distances are 0
    assert np.isfinite(hsic_to_rest(z)).all()
    assert np.isfinite(distance_correlation_to_rest(z)).all()
    assert hsic_to_rest(np.stack([z[:, 0], z[:, 0]], 1)) == pytest.approx([1, 1])


def test_many_rows_are_drawn_by_seed_for_the_rest_too():
    z = torch.randn(700, 3, generator=torch.Generator().manual_seed(0))
    for measure in (distance_correlation_to_rest, hsic_to_rest):
        few = measure(z, max_rows=100, seed=1)
        assert few.dtype == torch.float32
        assert torch.equal(few, measure(z, max_rows=100, seed=1))
        assert not torch.equal(few, measure(z, max_rows=100, seed=2))
        with pytest.raises(ValueError, match="at least 4 row"):
            measure(z[:3])


@pytest.mark.parametrize("rho", [0.0, 0.5, -0.9])
def test_the_total_correlation_of_two_gaussians(rho):
    """-1/2 log(1 - r^2) at the sample's own correlation r."""
    x, e = np.random.default_rng(0).normal(size=(2, 500))
    z = np.stack([x, rho * x + np.sqrt(1 - rho**2) * e], 1)
    assert gaussian_total_correlation(z) == pytest.approx(-0.5 * np.log(1 - np.corrcoef(z.T)[0, 1] ** 2))


def test_the_total_correlation_of_an_exact_line_is_infinite_and_of_uncorrelated_columns_zero():
    z = np.random.default_rng(0).normal(size=(50, 3))
    assert gaussian_total_correlation(np.column_stack([z, z @ [1.0, -2.0, 0.5]])) == np.inf
    assert gaussian_total_correlation(z[:3]) == np.inf
    assert gaussian_total_correlation(np.array([[1.0, 1], [1, -1], [-1, 1], [-1, -1]])) == 0
    assert gaussian_total_correlation(np.column_stack([z, np.ones(50)])) == pytest.approx(gaussian_total_correlation(z))
