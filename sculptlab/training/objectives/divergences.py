"""The KL term of a VAE and its three parts."""

import math
from typing import NamedTuple

import torch
from torch import Tensor

from sculptlab.training.models import Posterior


def kl_to_standard_normal(posterior: Posterior) -> Tensor:
    """KL(q(z_j|x_i) || N(0, 1)) of each image i and latent j, (n, dim), in nats.

    It is (mean^2 + variance - log variance - 1) / 2, exactly (Kingma and Welling 2014, appendix B).
    """
    mean, log_variance = posterior.mean, posterior.log_variance
    return 0.5 * (mean.square() + log_variance.exp() - log_variance - 1)


def information_bounds(posterior: Posterior) -> Tensor:
    """The most mutual information that each latent z_j can have with the images of a batch, (dim,), in nats.

    It is (ln(Var(mean) + E(variance)) - E(log variance)) / 2, as of all variables of one variance a Gaussian has most entropy.
    """
    mean, log_variance = posterior.mean.detach(), posterior.log_variance.detach()
    return 0.5 * ((mean.var(0, correction=0) + log_variance.exp().mean(0)).log() - log_variance.mean(0))


class KLParts(NamedTuple):
    """The three parts of E_x KL(q(z|x) || p(z)), as differentiable 0-d tensors in nats; `total` is their sum."""

    mutual_information: Tensor
    total_correlation: Tensor
    dimension_kl: Tensor

    @property
    def total(self) -> Tensor:
        """The KL term."""
        return self.mutual_information + self.total_correlation + self.dimension_kl


def split_kl(codes: Tensor, posterior: Posterior, rows: int) -> KLParts:
    """The parts of the KL term, I(x; z) + TC(z) + sum_j KL(q(z_j) || N(0, 1)), from a batch of b of the data's `rows` images.

    `codes` (b, dim) are one draw from each posterior. q(z) is the mixture of all posteriors. A batch stands for it by
    stratified weights that add up to 1: 1 / rows for an image's own posterior, the rest evenly over the others (Chen et al.
    2018, appendix C.2, "minibatch stratified sampling"). With b = rows this is the exact mixture. A mixture of many narrow
    Gaussians has a large total correlation even if the means were drawn independently, up to (dim - 1) ln(rows) nats.
    """
    mean, log_variance, batch = posterior.mean, posterior.log_variance, len(codes)
    share = 1 / max(rows, batch) if batch > 1 else 1.0
    rest = (1 - share) / max(batch - 1, 1)
    weights = codes.new_full((batch, batch), math.log(rest) if rest > 0 else -math.inf).fill_diagonal_(math.log(share))
    log_densities = _log_normal(codes[:, None], mean[None], log_variance[None])  # (b, b, dim): q(z_i[j] | x_k)
    own = log_densities.diagonal(dim1=0, dim2=1).sum(0)
    log_joint = (weights + log_densities.sum(2)).logsumexp(1)
    log_marginals = (weights[:, :, None] + log_densities).logsumexp(1).sum(1)
    log_prior = _log_normal(codes, torch.zeros_like(codes), torch.zeros_like(codes)).sum(1)
    return KLParts((own - log_joint).mean(), (log_joint - log_marginals).mean(), (log_marginals - log_prior).mean())


def _log_normal(x: Tensor, mean: Tensor, log_variance: Tensor) -> Tensor:
    return -0.5 * ((x - mean).square() * (-log_variance).exp() + log_variance + math.log(2 * math.pi))
