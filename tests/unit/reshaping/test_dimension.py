"""The dimension of the curve or volume near which rows lie."""

import math

import pytest
import torch

from sculptlab.reshaping.dimension import intrinsic_dimension


def normal(n, d, seed=0):
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("d", [1, 2, 3, 5])
def test_of_independent_columns_it_is_their_number(d):
    estimates = torch.tensor([intrinsic_dimension(normal(1000, d, seed)) for seed in range(5)])
    assert abs(estimates.mean() - d) < 0.06 * d


def test_scale_place_and_more_columns_do_not_change_it():
    z = normal(300, 2)
    rotated = torch.cat([z, torch.zeros(300, 3).double()], 1) @ torch.linalg.qr(normal(5, 5, 1)).Q
    assert intrinsic_dimension(1e-3 * rotated + 5) == pytest.approx(intrinsic_dimension(z), rel=1e-6)


def test_three_rows_by_hand():
    # distances 1 and 3, 1 and 2, 2 and 3: (3 - 1) / log(3 * 2 * 3/2)
    assert intrinsic_dimension(torch.tensor([[0.0], [1.0], [3.0]])) == pytest.approx(2 / math.log(9), rel=1e-6)


def test_noise_makes_a_curve_a_volume():
    angle = 2 * math.pi * torch.rand(1000, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    circle = torch.stack([angle.cos(), angle.sin()], 1)
    assert intrinsic_dimension(circle) == pytest.approx(1, abs=0.1)
    assert intrinsic_dimension(circle + 0.1 * normal(1000, 2)) > 1.7


def test_repeated_rows_are_left_out_and_too_few_have_no_dimension():
    z = normal(500, 2)
    assert intrinsic_dimension(torch.cat([z, z[:50]])) == pytest.approx(2, abs=0.3)
    for rows in (z[:2], z[:1].expand(10, 2), z[:0]):
        assert math.isnan(intrinsic_dimension(rows))
