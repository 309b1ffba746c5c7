"""Our numbers beside those of other packages, from the extra `oracles`: geomloss, torchmetrics, dcor, hyppo, disent."""

import dcor
import numba
import numpy as np
import pytest
import torch
from disent.metrics._dci import _completeness, _disentanglement
from disent.metrics._mig import _compute_mig
from disent.metrics._sap import _compute_sap
from geomloss import SamplesLoss
from torchmetrics.image.kid import maximum_mean_discrepancy

import sculptlab as sl
from sculptlab.independence import dependence
from sculptlab.mmd.kernels import IMQ, RBF, Energy, Laplacian


def samples(n=300, m=250, d=3):
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(n, d, generator=generator, dtype=torch.float64)
    return x, 0.7 * torch.randn(m, d, generator=generator, dtype=torch.float64) + 0.3


@pytest.mark.parametrize(
    ("name", "kernel"), [("gaussian", RBF(0.8)), ("laplacian", Laplacian(0.8)), ("energy", Energy())], ids=str
)
def test_mmd_and_its_gradient_are_those_of_geomloss(name, kernel):
    x, y = samples()
    ours, theirs = (x.clone().requires_grad_() for _ in range(2))
    value = sl.mmd2(ours, y, kernel, "biased")
    expected = 2 * SamplesLoss(name, blur=0.8, backend="tensorized")(theirs, y)  # geomloss has half of it
    assert value.item() == pytest.approx(expected.item(), abs=1e-6)  # geomloss: a point is 1e-4 away from itself
    value.backward(), expected.backward()
    torch.testing.assert_close(ours.grad, theirs.grad, rtol=1e-5, atol=1e-8)


def test_the_unbiased_estimator_is_that_of_torchmetrics():
    x, y = samples(m=300)
    kernel = IMQ(base=6.0)
    expected = maximum_mean_discrepancy(kernel(x, x), kernel(x, y), kernel(y, y))
    assert sl.mmd2(x, y, kernel).item() == pytest.approx(expected.item(), rel=1e-9)


def dependent(n=200):
    rng = np.random.default_rng(0)
    z = rng.normal(size=(n, 4))
    z[:, 1] += z[:, 0] ** 2
    z[:, 3] += 0.3 * z[:, 2]
    return z


def test_distance_correlation_is_that_of_dcor():
    z = dependent()
    ours = dependence.distance_correlation(z)
    for i in range(4):
        for j in range(i):
            assert ours[i, j] == pytest.approx(dcor.u_distance_correlation_sqr(z[:, i], z[:, j]), abs=1e-9)


def test_distance_correlation_with_all_others_is_that_of_dcor():
    z = dependent()
    columns = (z - z.mean(0)) / z.std(0)
    expected = [dcor.u_distance_correlation_sqr(columns[:, i], np.delete(columns, i, 1)) for i in range(4)]
    np.testing.assert_allclose(dependence.distance_correlation_to_rest(z), expected, atol=1e-9)


def test_hsic_with_all_others_is_that_of_hyppo(monkeypatch):
    monkeypatch.setattr(numba.config, "DISABLE_JIT", True)  # compiling hyppo takes a minute
    from hyppo.independence import Hsic

    z = dependent()
    columns = (z - z.mean(0)) / z.std(0)
    expected = []
    for i in range(4):
        own, rest = columns[:, [i]], np.delete(columns, i, 1)
        kernels = [np.exp(-squared / (2 * np.median(squared[np.triu_indices(200, 1)]))) for squared in map(squares, (own, rest))]
        expected.append(Hsic(compute_kernel=None, bias=False).statistic(*kernels))
    np.testing.assert_allclose(dependence.hsic_to_rest(z), expected, atol=2e-3)  # the median of an even number of distances


def squares(rows):
    return ((rows[:, None] - rows[None]) ** 2).sum(-1)


def factors_and_codes(n=2000):
    rng = np.random.default_rng(0)
    factors = np.stack([rng.integers(0, k, n) for k in (3, 5, 8)], 1)
    codes = np.column_stack(
        [factors + 0.3 * rng.normal(size=factors.shape), rng.normal(size=n), factors.sum(1) + rng.normal(size=n)]
    )
    return codes, factors


def test_mig_is_that_of_disent():
    codes, factors = factors_and_codes()
    expected = _compute_mig(codes.T, factors.T)["mig.discrete_score"]
    assert sl.factors.mig(codes, factors, rows=len(codes), baselines=False).score == pytest.approx(expected, abs=1e-6)


def test_sap_is_that_of_disent():
    codes, factors = factors_and_codes()
    halves = codes[:1000].T, factors[:1000].T, codes[1000:].T, factors[1000:].T
    discrete, continuous = (_compute_sap(*halves, kind)["sap.score"] for kind in (False, True))
    ours = sl.factors.sap(codes, factors, standardize=False, train=1000, test=1000, baselines=False)
    assert ours.score == pytest.approx(discrete, abs=0.03)  # ours draws which rows train
    ours = sl.factors.sap(codes, factors, kind="continuous", train=1000, test=1000, baselines=False)
    assert ours.score == pytest.approx(continuous, abs=0.03)


def test_dci_of_an_importance_matrix_is_that_of_disent():
    from sculptlab.factors.prediction import concentration

    importance = np.random.default_rng(0).gamma(0.5, size=(6, 4))  # disent: codes in rows, factors in columns
    assert concentration(importance) == pytest.approx(_disentanglement(importance), abs=1e-6)
    assert concentration(importance.T) == pytest.approx(_completeness(importance), abs=1e-6)
