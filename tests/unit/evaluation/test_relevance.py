"""Relevance against its closed form, and what it must not depend on."""

import numpy as np
import pandas as pd
import pytest
import torch

import sculptlab as sl


class Linear(torch.nn.Module):
    def __init__(self, weight):
        super().__init__()
        self.weight = torch.nn.Parameter(weight)

    def decode(self, codes):
        return codes @ self.weight.T + 1


def codes(n=500, d=3, seed=0):
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed)) * torch.tensor([1.0, 2.0, 0.1])[:d]


def test_a_linear_decoder_has_the_closed_form():
    weight = torch.tensor([[3.0, 0.0, 1.0], [4.0, 0.0, -2.0]])
    z = codes()
    found = sl.relevance(Linear(weight), z)
    expected = z.double().var(0, correction=0) * torch.tensor([25.0, 0.0, 5.0])
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    assert found.index.tolist() == [0, 1, 2]
    assert found.name == "relevance"


def test_relevances_add_up_to_the_variance_of_a_linear_decoder_if_latents_are_uncorrelated():
    z = codes() - codes().mean(0)
    z = z @ torch.linalg.inv(torch.linalg.cholesky(z.T @ z / len(z))).T
    model = Linear(torch.randn(7, 3, generator=torch.Generator().manual_seed(1)))
    with torch.no_grad():
        decoded = model.decode(z)
    assert sl.relevance(model, z).sum() == pytest.approx(decoded.var(0, correction=0).sum().item(), rel=1e-4)


def test_the_derivative_of_a_nonlinear_decoder_is_exact():
    model = sl.build_autoencoder("conv", image_shape=(1, 28, 28), dim=3, width=4)
    z = codes(n=8)
    jacobian = torch.func.vmap(torch.func.jacfwd(lambda one: model.decode(one[None])[0]))(z)
    expected = jacobian.flatten(1, 3).square().sum(1).mean(0) * z.var(0, correction=0)
    np.testing.assert_allclose(sl.relevance(model, z), expected.detach(), rtol=1e-4)


def test_scaling_a_latent_and_its_weights_changes_nothing():
    weight, scale = torch.tensor([[3.0, 1.0, 1.0], [4.0, 0.5, -2.0]]), torch.tensor([10.0, 1.0, 0.01])
    np.testing.assert_allclose(
        sl.relevance(Linear(weight), codes()), sl.relevance(Linear(weight / scale), codes() * scale), rtol=1e-5
    )


def test_a_run_a_frame_and_a_mapping_are_taken(digits):
    run = sl.fit(
        sl.build_autoencoder("mlp", image_shape=(1, 8, 8), dim=2, width=16), digits, sl.objectives.Reconstruction(), steps=5
    )
    z = run.encode(digits)
    frame = sl.relevance(run, pd.DataFrame(z, columns=["a", "b"]))
    assert frame.index.tolist() == ["a", "b"]
    np.testing.assert_array_equal(frame, sl.relevance(run.model, {"codes": z}))
    assert (frame > 0).all()
    assert not run.model.training
    assert sl.relevance(run, z, rows=10, seed=1).sum() != frame.sum()


def test_an_inactive_latent_has_none():
    z = codes()
    z[:, 1] = 3.0
    assert sl.relevance(Linear(torch.ones(2, 3)), z)[1] == 0


@pytest.mark.parametrize(
    ("model", "z", "message"),
    [
        ("model", codes(), "model must be a torch module"),
        (torch.nn.Identity(), codes(), "model must have a method decode"),
        (sl.build_autoencoder("mlp", image_shape=(4,), dim=2), codes(), "codes must have 2 column"),
        (Linear(torch.ones(2, 3)), codes()[:1], "at least 2 row"),
    ],
)
def test_wrong_arguments_are_named(model, z, message):
    with pytest.raises((TypeError, ValueError), match=message):
        sl.relevance(model, z)


@pytest.mark.parametrize(("option", "value"), [("rows", 0), ("seed", -1)])
def test_wrong_options_are_named(option, value):
    with pytest.raises(ValueError, match=f"{option} must be"):
        sl.relevance(Linear(torch.ones(2, 3)), codes(), **{option: value})
