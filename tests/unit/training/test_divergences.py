import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sculptlab.training.models import Posterior
from sculptlab.training.objectives import DIP
from sculptlab.training.objectives.base import Batch
from sculptlab.training.objectives.divergences import information_bounds, kl_to_standard_normal, split_kl


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


@given(st.floats(-3, 3), st.floats(0.05, 4))
def test_kl_is_torchs_closed_form(mean, std):
    ours = kl_to_standard_normal(Posterior(torch.tensor([[mean]]), torch.tensor([[2 * math.log(std)]])))
    theirs = torch.distributions.kl_divergence(torch.distributions.Normal(mean, std), torch.distributions.Normal(0.0, 1.0))
    assert ours.item() == pytest.approx(theirs.item(), rel=1e-4, abs=1e-5)


def test_kl_is_zero_at_the_prior_alone():
    assert kl_to_standard_normal(Posterior(torch.zeros(2, 3), torch.zeros(2, 3))).abs().max() == 0
    assert kl_to_standard_normal(Posterior(torch.full((1, 1), 0.1), torch.zeros(1, 1))) > 0


def gaussian_latents(rows, dim, std, seed=0):
    """Means drawn so that the aggregate of N(mean, std^2) is N(0, I) exactly as rows grow."""
    mean = (1 - std**2) ** 0.5 * torch.randn(rows, dim, generator=generator(seed))
    posterior = Posterior(mean, torch.full((rows, dim), 2 * math.log(std)))
    return posterior.sample(generator(seed + 1)), posterior


@pytest.mark.parametrize("dim", [1, 2, 4])
def test_split_of_a_gaussian_channel_has_its_closed_form(dim):
    std = 0.8
    codes, posterior = gaussian_latents(2000, dim, std)
    parts = split_kl(codes, posterior, rows=2000)
    assert parts.mutual_information.item() == pytest.approx(-dim * math.log(std), abs=0.05)
    assert parts.total_correlation.item() == pytest.approx(0, abs=0.05)
    assert parts.dimension_kl.item() == pytest.approx(0, abs=0.05)


def test_duplicated_gaussian_latents_have_the_total_correlation_of_their_correlation():
    std = 0.8
    codes, posterior = gaussian_latents(2000, 1, std)
    twice = Posterior(posterior.mean.repeat(1, 2), posterior.log_variance.repeat(1, 2))
    codes = twice.sample(generator(5))
    rho = 1 - std**2
    assert split_kl(codes, twice, rows=2000).total_correlation.item() == pytest.approx(-0.5 * math.log(1 - rho**2), abs=0.05)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 4), st.integers(16, 64))
def test_parts_add_up_to_the_kl_term_for_any_batch(seed, dim, batch):
    mean, log_variance = torch.randn(2, batch, dim, generator=generator(seed), dtype=torch.float64)
    posterior = Posterior(mean, log_variance)
    codes = posterior.sample(generator(seed + 1))
    parts = split_kl(codes, posterior, rows=10 * batch)
    ratio = torch.distributions.Normal(mean, (0.5 * log_variance).exp()).log_prob(codes) - torch.distributions.Normal(
        0.0, 1.0
    ).log_prob(codes)
    assert parts.total.item() == pytest.approx(ratio.sum(1).mean().item(), rel=1e-6, abs=1e-6)


def test_a_batch_of_one_is_its_own_mixture():
    posterior = Posterior(torch.zeros(1, 4), torch.zeros(1, 4))
    assert abs(split_kl(posterior.sample(generator()), posterior, rows=1000).total_correlation.item()) < 1e-5


@pytest.mark.parametrize("rows", [256, 10_000, 1_000_000])
def test_collapsed_latents_have_no_total_correlation(rows):
    """Weighted sampling would report (dim - 1) log(rows) here: 28 nats at dim = 4, rows = 10,000."""
    posterior = Posterior(torch.zeros(256, 4), torch.zeros(256, 4))
    assert abs(split_kl(posterior.sample(generator()), posterior, rows=rows).total_correlation.item()) < 1e-4


def dip(objective, means, variances):
    """The penalty for codes with these posterior means and these variances of all images."""
    posterior = Posterior(means, torch.tensor(variances).log().expand_as(means))
    _, term = objective.regularizers(Batch(means, posterior, means, None, len(means), None), {})
    return term.value.item()


def test_dip_penalty_by_hand():
    """Means (1, 2), (3, 6) have the covariances ((1, 2), (2, 4)), divided by n."""
    means = torch.tensor([[1.0, 2.0], [3.0, 6.0]])
    assert dip(DIP(), means, [1.0, 1.0]) == pytest.approx(2 * 2**2 + 10 * ((1 - 1) ** 2 + (4 - 1) ** 2))
    assert dip(DIP(kind="II"), means, [0.5, 2.0]) == pytest.approx(2 * 2**2 + 1 * ((1.5 - 1) ** 2 + (6 - 1) ** 2))
    assert dip(DIP(diagonal=0.0), means, [1.0, 1.0]) == pytest.approx(8)
    assert dip(DIP(), torch.tensor([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]]), [1.0, 1.0]) == 0


@pytest.mark.parametrize("std", [0.1, 0.5, 0.99])
def test_the_bound_on_the_information_is_reached_by_a_gaussian_channel(std):
    _, posterior = gaussian_latents(100_000, 2, std)
    assert torch.allclose(information_bounds(posterior), torch.full((2,), -math.log(std)), atol=0.01)


def test_the_information_is_bounded_by_0_if_all_images_have_one_posterior():
    one = Posterior(torch.tensor([[3.0, -1.0]]).expand(50, 2), torch.tensor([[0.5, -2.0]]).expand(50, 2))
    assert torch.allclose(information_bounds(one), torch.zeros(2), atol=1e-6)
