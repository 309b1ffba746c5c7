"""Checks of the exercises: each runs the reader's answer and, where it is wrong, names the likely slip."""

from sculptlab.checks.copying_checks import check_moved, check_relative, check_same_marginals
from sculptlab.checks.latent_checks import (
    check_aggregate_variance,
    check_blind_spot,
    check_kl,
    check_puzzle,
    check_same_sum,
    check_score,
    check_target,
    puzzle,
)
from sculptlab.checks.mmd_checks import check_bandwidth, check_blind_kernel, check_culprits, check_mmd2, ripples, suspects
from sculptlab.checks.prior_checks import check_drawing, check_quantisation, check_three_latents
from sculptlab.checks.sculpting_checks import check_game, check_mmd_objective

__all__ = [
    "check_aggregate_variance",
    "check_bandwidth",
    "check_blind_kernel",
    "check_blind_spot",
    "check_culprits",
    "check_drawing",
    "check_game",
    "check_kl",
    "check_mmd2",
    "check_mmd_objective",
    "check_moved",
    "check_puzzle",
    "check_quantisation",
    "check_relative",
    "check_same_marginals",
    "check_same_sum",
    "check_score",
    "check_target",
    "check_three_latents",
    "puzzle",
    "ripples",
    "suspects",
]
