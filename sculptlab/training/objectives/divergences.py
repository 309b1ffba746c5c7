"""The KL term of a VAE, its three parts, and the covariance penalty of DIP-VAE."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from sculptlab.training.models import Posterior


def kl_to_standard_normal(posterior: Posterior) -> Tensor:
    """KL(q(z_j|x_i) || N(0, 1)) of each image i and latent j, (n, dim), in nats.

    It is (mean^2 + variance - log variance - 1) / 2, exactly (Kingma and Welling 2014, appendix B).
    """
    mean, log_variance = posterior.mean, posterior.log_variance
    return 0.5 * (mean.square() + log_variance.exp() - log_variance - 1)


@dataclass(frozen=True)
class KLParts:
    """The three parts of E_x KL(q(z|x) || p(z)), as differentiable 0-d tensors in nats; `total` is their sum."""

    mutual_information: Tensor
    total_correlation: Tensor
    dimension_kl: Tensor

    @property
    def total(self) -> Tensor:
        """The KL term."""
        return self.mutual_information + self.total_correlation + self.dimension_kl

    @property
    def aggregate(self) -> Tensor:
        """KL(q(z) || p(z)): the KL term without the mutual information."""
        return self.total_correlation + self.dimension_kl


def split_kl(codes: Tensor, posterior: Posterior, rows: int) -> KLParts:
    """The parts of the KL term, I(x; z) + TC(z) + sum_j KL(q(z_j) || N(0, 1)), from a batch of b of the data's `rows` images.

    `codes` (b, dim) are one draw from each posterior. q(z) is the mixture of all posteriors. A batch stands for it by
    stratified weights that add up to 1: 1 / rows for an image's own posterior, the rest evenly over the others (Chen et al.
    2018, appendix C.2, "minibatch stratified sampling"). With b = rows this is the exact mixture. Chen's weighted sampling
    instead divides by b * rows, and so reports (dim - 1) log(rows) nats of total correlation for independent latents. A mixture
    of many narrow Gaussians has a large total correlation even if the means were drawn independently, up to (dim - 1) ln(rows)
    nats.
    """
    mean, log_variance = posterior.mean, posterior.log_variance
    log_densities = _log_normal(codes[:, None], mean[None], log_variance[None])  # (b, b, dim): q(z_i[j] | x_k)
    own = log_densities.diagonal(dim1=0, dim2=1).sum(0)
    weights = _stratified_log_weights(len(codes), rows, codes)
    log_joint = (weights + log_densities.sum(2)).logsumexp(1)
    log_marginals = (weights[:, :, None] + log_densities).logsumexp(1).sum(1)
    log_prior = _log_normal(codes, torch.zeros_like(codes), torch.zeros_like(codes)).sum(1)
    return KLParts(
        mutual_information=(own - log_joint).mean(),
        total_correlation=(log_joint - log_marginals).mean(),
        dimension_kl=(log_marginals - log_prior).mean(),
    )


def _log_normal(x: Tensor, mean: Tensor, log_variance: Tensor) -> Tensor:
    return -0.5 * ((x - mean).square() * (-log_variance).exp() + log_variance + math.log(2 * math.pi))


def _stratified_log_weights(batch: int, rows: int, like: Tensor) -> Tensor:
    own = 1 / max(rows, batch) if batch > 1 else 1.0
    other = (1 - own) / max(batch - 1, 1)
    weights = torch.full((batch, batch), math.log(other) if other > 0 else -math.inf, device=like.device, dtype=like.dtype)
    return weights.fill_diagonal_(math.log(own))


def covariance(codes: Tensor) -> Tensor:
    """The covariance matrix (dim, dim) of codes (n, dim), divided by n."""
    centered = codes - codes.mean(0)
    return centered.T @ centered / len(codes)


def dip_penalty(matrix: Tensor, diagonal_weight: float) -> Tensor:
    """sum_{i != j} C_ij^2 + diagonal_weight * sum_i (C_ii - 1)^2 of a covariance matrix C (Kumar et al. 2018, eq. 6)."""
    diagonal = matrix.diagonal()
    off = (matrix - diagonal.diag()).square().sum()
    return off + diagonal_weight * (diagonal - 1).square().sum()
