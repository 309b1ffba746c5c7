"""Checks of the exercises. Each calls the reader's answer and names the mistake where there is one."""

from sculptlab.series.checks.copying import check_moved, check_relative, check_same_marginals
from sculptlab.series.checks.latents import (
    check_aggregate_variance,
    check_blind_spot,
    check_kl,
    check_puzzle,
    check_same_sum,
    check_score,
    check_target,
    puzzle,
)
from sculptlab.series.checks.mmd import (
    check_bandwidth,
    check_blind_kernel,
    check_dependent_pair,
    check_mmd2,
    dependent_pair,
    ripples,
)
from sculptlab.series.checks.priors import check_drawing, check_quantization, check_three_latents
from sculptlab.series.checks.sculpting import check_mmd_objective, check_predictability_penalty

__all__ = [
    "check_aggregate_variance",
    "check_bandwidth",
    "check_blind_kernel",
    "check_blind_spot",
    "check_dependent_pair",
    "check_drawing",
    "check_kl",
    "check_mmd2",
    "check_mmd_objective",
    "check_moved",
    "check_predictability_penalty",
    "check_puzzle",
    "check_quantization",
    "check_relative",
    "check_same_marginals",
    "check_same_sum",
    "check_score",
    "check_target",
    "check_three_latents",
    "dependent_pair",
    "puzzle",
    "ripples",
]
