"""Checks of the exercises. Each calls the reader's answer and names the mistake where there is one."""

from sculptlab.series.checks.alignment import check_alignment
from sculptlab.series.checks.compression import check_quantization, check_rate_at, rate_at_error
from sculptlab.series.checks.copying import check_moved, check_relative, check_same_marginals, moved_codes
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
    check_dependent_pair,
    check_mmd2,
    dependent_pair,
    ripples,
)
from sculptlab.series.checks.priors import check_drawing, check_three_latents
from sculptlab.series.checks.reshaping import check_another_representation, check_broken_copy, check_to_target, same_quantiles
from sculptlab.series.checks.scaling import check_gathered_bytes, check_whole_batch
from sculptlab.series.checks.scorecard import check_chosen_weight, check_front
from sculptlab.series.checks.sculpting import check_mmd_objective, check_predictability_penalty
