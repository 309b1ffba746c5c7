"""Least squares without refitting: the same numbers as scikit-learn gives by refitting for every row."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import LeaveOneOut, cross_val_predict

from sculptlab.independence.regressors import left_out_errors, predict_by_least_squares


def mixed(n, d, seed):
    rng = np.random.default_rng(seed)
    z = rng.normal(size=(n, d)) @ rng.normal(size=(d, d))
    return torch.from_numpy((z - z.mean(0)) / z.std(0))


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10**6), st.integers(2, 5), st.integers(8, 30), st.booleans())
def test_leaving_each_row_out_agrees_with_refitting(seed, d, n, squares):
    x = mixed(n, d, seed)
    y = x.square() - x.square().mean(0) if squares else x
    ours = (y - left_out_errors(x, y, range(d), latents=not squares)).numpy()
    for i in range(d):
        rest = np.delete(x.numpy(), i, 1)
        theirs = cross_val_predict(LinearRegression(), rest, y[:, i].numpy(), cv=LeaveOneOut())
        assert np.allclose(ours[:, i], theirs, atol=1e-4, rtol=1e-4)


def test_new_rows_agree_with_refitting():
    x, new = mixed(50, 4, 0), mixed(20, 4, 1)
    ours = predict_by_least_squares(x, x + 3, new, range(4)).numpy()
    assert np.allclose(predict_by_least_squares(x, x[:, [2, 0]] + 3, new, [2, 0]), ours[:, [2, 0]], atol=1e-12)
    for i in range(4):
        fit = LinearRegression().fit(np.delete(x.numpy(), i, 1), x[:, i].numpy() + 3)
        assert np.allclose(ours[:, i], fit.predict(np.delete(new.numpy(), i, 1)), atol=1e-5)


def test_a_duplicated_column_is_predicted_by_its_duplicate():
    x = mixed(200, 4, 0)
    x = torch.cat([x, x[:, :1]], 1)
    lost = left_out_errors(x, x, range(5), latents=True).square().mean(0)
    assert lost[[0, 4]].max() < 1e-6
    alone = left_out_errors(x[:, :4], x[:, :4], range(4), latents=True)
    assert lost[1] == pytest.approx(alone.square().mean(0)[1].item(), rel=1e-4)
    assert torch.allclose(left_out_errors(x, x[:, [1, 3]], [1, 3], latents=True).square().mean(0), lost[[1, 3]])


def test_errors_of_latents_are_those_of_any_targets():
    """x G[:, k] / G[k, k] against y less the prediction: one formula is a case of the other."""
    x = mixed(60, 5, 0)
    of = [0, 3, 4]
    one, other = (left_out_errors(x, x[:, of], of, latents=latents) for latents in (True, False))
    assert torch.allclose(one, other, atol=1e-9)
