"""The permutation test over views: its statistic is mmd2's, its null that of the definition, its level and power."""

import numpy as np
import pytest
import torch

import sculptlab as sl
from sculptlab.mmd import tiles
from sculptlab.mmd.kernels import IMQ, RBF, Energy
from sculptlab.priors import Gaussian

VIEWS = [("joint", "mean"), ("marginal", "mean"), ("marginal", "max"), ("pairs", "mean"), ("pairs", "max")]


def normal(n, d, seed, dtype=torch.float64):
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def columns(views, d):
    """The columns of every view."""
    every = range(d)
    return {"joint": [list(every)], "marginal": [[i] for i in every], "pairs": [[i, j] for i in every for j in every if i < j]}[
        views
    ]


@pytest.mark.parametrize(("views", "reduction"), VIEWS)
@pytest.mark.parametrize("kernel", [None, RBF(), RBF(0.7), Energy()], ids=str)
@pytest.mark.parametrize("side", [8, 1024])
def test_the_statistic_is_that_of_mmd2(monkeypatch, side, kernel, views, reduction):
    monkeypatch.setattr(tiles, "SIDE", side)
    x, y = normal(45, 5, 0) * torch.tensor([1.0, 3.0, 0.1, 1.0, 1.0]) + 2, normal(38, 5, 1) + 2
    for dtype, error in ((torch.float64, 1e-12), (torch.float32, 1e-5)):
        found = sl.mmd_test(x.to(dtype), y.to(dtype), kernel, 5, 0, views, reduction).statistic
        assert found == pytest.approx(
            sl.mmd2(x.to(dtype), y.to(dtype), kernel, views=views, reduction=reduction).item(), abs=error
        )


@pytest.mark.parametrize(("views", "reduction"), VIEWS)
def test_the_null_is_that_of_rows_dealt_anew(monkeypatch, views, reduction):
    monkeypatch.setattr(tiles, "SIDE", 8)
    x, y, kernel = normal(25, 4, 0), normal(18, 4, 1) + 0.2, RBF(0.9)
    found = sl.mmd_test(x, y, kernel, permutations=12, seed=3, views=views, reduction=reduction)
    ranks = torch.rand(12, 43, generator=torch.Generator().manual_seed(3)).argsort(dim=1)
    pooled = torch.cat([x, y])
    expected = []
    for dealt in ranks:
        one, other = pooled[dealt < 25], pooled[dealt >= 25]
        values = [sl.mmd2(one[:, seen], other[:, seen], kernel).item() for seen in columns(views, 4)]
        expected.append(max(values) if reduction == "max" else np.mean(values))
    assert found.null == pytest.approx(np.array(expected), abs=1e-12)
    assert found.p_value == (1 + sum(value >= found.statistic for value in expected)) / 13


@pytest.mark.parametrize(("views", "reduction"), VIEWS[1:])
def test_the_level_is_what_it_says(views, reduction):
    kernel = IMQ().fit(Gaussian(1))
    samples = [(normal(20, 3, 2 * i, torch.float32), normal(30, 3, 2 * i + 1, torch.float32)) for i in range(200)]
    p = np.array([sl.mmd_test(*pair, kernel, 99, i, views, reduction).p_value for i, pair in enumerate(samples)])
    assert 0.01 <= (p <= 0.05).mean() <= 0.10  # binomial(200, 0.05): 0.05 +- 0.015
    assert 0.4 < p.mean() < 0.6


def test_one_copied_dimension_in_sixteen_is_found_by_the_worst_pair():
    n, d, repeats = 100, 16, 10  # of this size in a pilot with other seeds: 12 of 12 by the worst pair, 1 of 12 by the others
    found = dict.fromkeys(VIEWS, 0)
    for i in range(repeats):
        x, y = normal(n, d, 2 * i, torch.float32), normal(n, d, 2 * i + 1, torch.float32)
        x[:, 9] = x[:, 4]
        for views, reduction in VIEWS:
            found[views, reduction] += sl.mmd_test(x, y, None, 99, i, views, reduction).p_value <= 0.05
    assert found["pairs", "max"] >= 9
    assert max(count for seen, count in found.items() if seen != ("pairs", "max")) <= 4


def test_units_of_single_dimensions_do_not_matter_to_an_open_width():
    x, y, units = normal(40, 3, 0), normal(50, 3, 1), torch.tensor([1.0, 100.0, 1e-3])
    for views, reduction in VIEWS[1:]:
        plain, scaled = (sl.mmd_test(x * u, y * u, None, 20, 0, views, reduction) for u in (1, units))
        assert scaled.null == pytest.approx(plain.null, abs=1e-10)
        assert scaled.p_value == plain.p_value


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"views": "all"}, r"views must be one of \['joint', 'marginal', 'pairs'\], got 'all'"),
        ({"reduction": "none"}, r"reduction must be one of \['mean', 'max'\], got 'none'"),
        ({"views": "pairs"}, "views='pairs' needs x and y of at least 2 columns, got 1"),
    ],
)
def test_bad_input_is_named(options, words):
    with pytest.raises(ValueError, match=words):
        sl.mmd_test(normal(5, 1, 0), normal(5, 1, 1), **options)
