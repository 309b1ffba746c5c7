"""Advice on codes whose right remedy is known by construction."""

import math

import numpy as np
import pytest
import torch

from sculptlab.evaluation import diagnose
from sculptlab.evaluation.effects import Target
from sculptlab.evaluation.remedies import match_marginals, rescale, whiten
from sculptlab.priors import Gaussian, GaussianMixture, Ring, StudentT, Uniform

ROWS = 1500
MIXING = torch.tensor([[1.0, 0, 0], [0.7, 0.7, 0], [0.3, 0.3, 0.9]])
MODES = GaussianMixture([[-2.0, -2.0], [2.0, 2.0]], 0.5)


def normal(g, d=3, n=ROWS):
    return torch.randn(n, d, generator=g)


def folded(g):
    """Gaussian marginals; the second latent is a function of the size of the first, and uncorrelated with it."""
    z = normal(g)
    z[:, 1] = math.sqrt(2) * torch.erfinv(2 * torch.erf(z[:, 0].abs() / math.sqrt(2)) - 1).clamp(-4, 4)
    return z


def rotated_square(g):
    angle = math.pi / 4
    turn = torch.tensor([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    return Uniform(2).sample(ROWS, g) @ turn


def repeating(g):
    z = normal(g, 4)
    z[:, 3] = z[:, 0] + 0.1 * z[:, 3]
    return z


def unlinked(g):
    """The marginals of a mixture along the diagonal, independent of each other."""
    z = MODES.sample(ROWS, g)
    return torch.stack([z[:, 0], MODES.sample(ROWS, g)[:, 1]], 1)


CASES = {
    "draws of a Gaussian": ("nothing", Gaussian(4), lambda g: normal(g, 4)),
    "draws of a square": ("nothing", Uniform(2), lambda g: Uniform(2).sample(ROWS, g)),
    "2 % wide, shifted by 0.02": ("nothing", Gaussian(2), lambda g: 1.02 * normal(g, 2) + 0.02),
    "draws of a Student t without a mean": ("nothing", StudentT(2, df=0.5), lambda g: StudentT(2, df=0.5).sample(9000, g)),
    "60 % wide": ("rescale", Gaussian(3), lambda g: 1.6 * normal(g) + 0.5),
    "three scales": ("rescale", Gaussian(3), lambda g: normal(g) * torch.tensor([0.4, 1.0, 2.5])),
    "all tiny": ("rescale", Gaussian(3), lambda g: 0.01 * normal(g)),
    "a wide Student t": ("rescale", StudentT(2, df=0.5), lambda g: 2 * StudentT(2, df=0.5).sample(ROWS, g)),
    "linearly mixed": ("whiten", Gaussian(3), lambda g: normal(g) @ MIXING.T),
    "uniform": ("a marginal term", Gaussian(3), lambda g: Uniform(3).sample(ROWS, g)),
    "skewed": ("a marginal term", Gaussian(2), lambda g: normal(g, 2).exp()),
    "many equal values": ("a marginal term", Gaussian(2), lambda g: normal(g, 2).relu()),
    "folded": ("the predictability penalty", Gaussian(3), folded),
    "a rotated square": ("the predictability penalty", Uniform(2), rotated_square),
    "a Gaussian for a ring": ("reshape after training", Ring(), lambda g: normal(g, 2)),
    "modes not linked": ("reshape after training", MODES, unlinked),
    "an inactive latent": ("fewer latents", Gaussian(3), lambda g: normal(g) * torch.tensor([1.0, 0.01, 1.0])),
    "a duplicate": ("fewer latents", Gaussian(4), repeating),
    "five from three": ("fewer latents", Gaussian(5), lambda g: normal(g) @ torch.randn(3, 5, generator=g)),
    "100 rows": ("more samples", Gaussian(3), lambda g: normal(g, n=100)),
}


def advised(name, seed):
    _, prior, make = CASES[name]
    z = make(torch.Generator().manual_seed(7000 + seed))
    return diagnose(z, prior, permutations=20, seed=seed).advice("codes")


@pytest.mark.parametrize("name", CASES)
def test_the_advice_is_the_remedy_known_by_construction(name):
    """Over five seeds: all 80 cases with something to mend; of 20 draws of the prior itself, 4 wanted more samples."""
    allowed = {"nothing", "more samples"} if CASES[name][0] == "nothing" else {CASES[name][0]}
    assert advised(name, 0).action in allowed


def test_advice_reports_what_was_measured_and_is_measured_once():
    found = diagnose(normal(torch.Generator().manual_seed(1)) @ MIXING.T, Gaussian(3), permutations=20)
    advice = found.advice("codes")
    assert advice is found.advice("codes")
    assert advice.tried.index.tolist() == ["rescale", "whiten"]
    assert advice.tried["c2st"]["rescale"] > 0.58
    assert advice.tried["c2st"]["whiten"] == pytest.approx(0.5, abs=0.04)
    assert advice.tried["state"].tolist()[0] == "far"
    assert str(advice).startswith("whiten: ")
    with pytest.raises(ValueError, match="name must be one of"):
        found.advice("means")


def test_remedies_give_rows_that_they_were_not_fitted_to_the_moments_of_the_prior():
    g = torch.Generator().manual_seed(0)
    prior = Gaussian(3).affine(MIXING.double(), torch.tensor([1.0, 0.0, -1.0]))
    target = Target.of(prior.sample(20_000, g).double(), prior)
    z = (torch.randn(8000, 3, generator=g).exp() * 3 + 5).double()
    for remedy in (rescale, whiten, match_marginals):
        mapped = remedy(z[:4000], z[4000:], target, g)
        assert torch.allclose(mapped.mean(0), prior.mean.double(), atol=0.08)
        assert torch.allclose(mapped.std(0), prior.covariance.double().diagonal().sqrt(), atol=0.3)
    assert torch.allclose(torch.cov(whiten(z, z, target, g).T), torch.cov(target.draws.T), atol=1e-3)


def test_collapsed_codes_are_told_to_use_fewer_latents():
    found = diagnose(np.zeros((50, 2)), Gaussian(2), permutations=20)
    assert found.advice("codes").action == "fewer latents"
    assert "2 of 2" in found.advice("codes").reason
