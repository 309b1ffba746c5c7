"""Quadratic couplings: exact inverses, the closed form of a parabola, and independent latents left alone."""

import json

import pytest
import torch

from sculptlab.reshaping import Reshaper
from sculptlab.reshaping.quadratic import QuadraticCoupling, fit_quadratic_couplings, monomials
from sculptlab.reshaping.structure import built, described


def normal(n, d, seed=0):
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def parabolas(n, seed=0):
    """Eight white latents, of which four are half explained by squares and products of the other four."""
    z = normal(n, 8, seed)
    first, rest = z[:, :4], z[:, 4:]
    squares = (first.square() - 1) / 2**0.5
    products = first * first.roll(1, 1)
    return torch.cat([first, (rest + (squares + products) / 2**0.5) / 2**0.5], 1)


def fitted(x, validation, seed=0):
    return fit_quadratic_couplings(x, validation, torch.Generator().manual_seed(seed))


def predicted_share(x, new):
    """R^2 of each column of `new` by the monomials of all other columns, least squares on `x`."""
    shares = []
    for i in range(x.shape[1]):
        others = [j for j in range(x.shape[1]) if j != i]
        features, unseen = (torch.cat([monomials(part[:, others]), torch.ones(len(part), 1)], 1) for part in (x, new))
        weights = torch.linalg.lstsq(features, x[:, i]).solution
        shares.append(1 - ((new[:, i] - unseen @ weights).square().mean() / new[:, i].var()).item())
    return torch.tensor(shares)


def test_monomials_are_of_degree_one_and_two_and_clipped():
    x = torch.tensor([[2.0, -3.0], [7.0, 1.0]])
    assert monomials(x).tolist() == [[2, -3, 4, -6, 9], [5, 1, 25, 5, 1]]


def test_a_coupling_is_its_formula_with_its_volume_and_its_inverse():
    generator = torch.Generator().manual_seed(0)
    weights = torch.randn(5, 2, generator=generator, dtype=torch.float64)
    offset, scale = torch.tensor([0.5, -1.0]).double(), torch.tensor([0.5, 4.0]).double()
    layer = QuadraticCoupling(torch.tensor([3, 0]), torch.tensor([1, 4]), weights, offset, scale)
    x = normal(50, 5)
    z, stretched = layer(x)
    expected = (x[:, [1, 4]] - monomials(x[:, [3, 0]]) @ weights - offset) / scale
    torch.testing.assert_close(z[:, [1, 4]], expected)
    assert (z[:, [0, 2, 3]] == x[:, [0, 2, 3]]).all()
    torch.testing.assert_close(layer.inverse(z), x)
    jacobian = torch.autograd.functional.jacobian(lambda row: layer(row[None])[0][0], x[0])
    torch.testing.assert_close(stretched[0], torch.linalg.slogdet(jacobian)[1])


def test_what_parabolas_explain_is_removed_on_rows_that_were_not_fitted():
    x, validation, new = parabolas(8000), parabolas(1000, 1), parabolas(4000, 2)
    assert predicted_share(x, new)[4:].min() > 0.45
    chain = fitted(x, validation)
    after, unseen = chain(x)[0], chain(new)[0]
    assert predicted_share(after, unseen).max() < 0.05  # a tenth of what it was
    torch.testing.assert_close(unseen.std(0), torch.ones(8, dtype=torch.float64), atol=0.1, rtol=0)
    torch.testing.assert_close(chain.inverse(unseen), new)


def test_independent_latents_are_left_as_they_are():
    assert len(fitted(normal(5000, 10), normal(2000, 10, 1)).maps) == 0


@pytest.mark.parametrize(("rows", "columns"), [(30, 8), (200, 40), (2000, 5)])
def test_few_rows_many_latents_and_an_odd_number_of_them(rows, columns):
    x = normal(rows, columns)
    x[:, -1] = (x[:, -1] + 2 * x[:, 0].square() - 2) / 3
    chain = fitted(x, x[: rows // 2])
    z = chain(x)[0]
    assert z.isfinite().all()
    torch.testing.assert_close(chain.inverse(z), x)


def test_a_row_far_outside_comes_back():
    chain = fitted(parabolas(4000), parabolas(1000, 1))
    far = 1e4 * normal(5, 8, 3)
    torch.testing.assert_close(chain.inverse(chain(far)[0]), far)


def test_the_same_seed_gives_the_same_couplings_and_the_order_is_drawn_by_it():
    x, validation = parabolas(2000), parabolas(500, 1)
    first, second, other = (fitted(x, validation, seed).state_dict() for seed in (0, 0, 1))
    assert all((first[name] == second[name]).all() for name in first)
    assert first["maps.0.given"].tolist() != other["maps.0.given"].tolist()


def test_a_reshaper_of_parabolas_reaches_the_likelihood_of_their_noise():
    train, new = parabolas(6000).numpy(), parabolas(3000, 2)
    reshaper = Reshaper("gaussian", max_iter=50, random_state=0).fit(train)
    noise = normal(3000, 8, 2)  # the codes are a volume-preserving map of it, but for a factor 2 ** -0.5 of four latents
    exact = -(0.5 * noise.square() + 0.9189).sum(1).mean() + 4 * 0.3466
    assert reshaper.score(new.numpy()) == pytest.approx(exact.item(), abs=0.25)
    assert reshaper.history_["validation"].iloc[-1] == pytest.approx(reshaper.score(new.numpy()), abs=0.5)
    assert reshaper.round_trip_error_ < 1e-6


@pytest.mark.parametrize("make", [parabolas, lambda n, seed=0: normal(n, 8, seed)], ids=["layers", "no layers"])
def test_couplings_are_described_for_a_file_and_built_again(make):
    chain = fitted(make(3000), make(1000, 1))
    again = built(json.loads(json.dumps(described(chain))))
    again.load_state_dict(chain.state_dict())
    x = make(100, 2)
    assert torch.equal(again(x)[0], chain(x)[0])
