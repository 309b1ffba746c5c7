"""Dependence: closed forms, the reference definition, and columns that do not move."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sculptlab.dependence import correlation, distance_correlation


def gaussian_dcor2(rho):
    """Szekely, Rizzo and Bakirov 2007, theorem 7."""
    top = rho * np.arcsin(rho) + np.sqrt(1 - rho**2) - rho * np.arcsin(rho / 2) - np.sqrt(4 - rho**2) + 1
    return top / (1 + np.pi / 3 - np.sqrt(3))


def by_definition(a, b):
    """The U-centred matrices, written out."""

    def centred(x):
        n = len(x)
        m = np.abs(x[:, None] - x[None, :])
        u = m - m.sum(0) / (n - 2) - m.sum(1)[:, None] / (n - 2) + m.sum() / ((n - 1) * (n - 2))
        np.fill_diagonal(u, 0)
        return u

    u, v = centred(a), centred(b)
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
