"""Alignment of latents with factors: closed forms."""

import math

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sculptlab.factors import alignment


def uniforms(n, k, seed=0):
    return np.random.default_rng(seed).uniform(-1, 1, (n, k))


def rotation(angle):
    return np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])


@settings(max_examples=30, deadline=None)
@given(st.permutations(range(4)), st.lists(st.sampled_from([-3.0, -0.1, 0.5, 20.0]), min_size=4, max_size=4))
def test_axes_in_any_order_sign_and_unit_are_aligned(order, units):
    factors = uniforms(50, 4)
    assert alignment(factors[:, order] * units + 7, factors) == pytest.approx(1)


@pytest.mark.parametrize("degrees", [0, 10, 30, 45])
def test_a_rotation_of_independent_factors_leaves_the_cosine(degrees):
    factors = uniforms(200_000, 2)
    found = alignment(factors @ rotation(math.radians(degrees)).T, factors)
    assert found == pytest.approx([math.cos(math.radians(degrees))] * 2, abs=0.01)


def test_a_latent_is_matched_to_one_factor_and_inactive_ones_to_none():
    factors = uniforms(50_000, 2)
    codes = np.stack([factors.sum(1), np.zeros(50_000)], 1)
    assert sorted(alignment(codes, factors)) == pytest.approx([0, math.sqrt(0.5)], abs=0.01)


def test_an_angle_takes_two_latents_wherever_they_are_and_however_rotation():
    angle = np.random.default_rng(0).uniform(0, 2 * math.pi, 500)
    position = uniforms(500, 2)
    ring = np.stack([np.cos(angle), np.sin(angle)], 1) @ rotation(0.4).T
    codes = torch.from_numpy(np.stack([ring[:, 0], position[:, 1], ring[:, 1], position[:, 0]], 1))
    found = alignment(codes, np.stack([position[:, 0], angle, position[:, 1]], 1), angles=[1])
    assert found == pytest.approx(1, abs=1e-6)
    without = alignment(np.delete(codes.numpy(), 2, 1).repeat(2, 1)[:, :4], np.stack([position[:, 0], angle], 1), angles=[1])
    assert without[1] == pytest.approx(math.sqrt(0.5), abs=0.05)  # of a circle's two coordinates one is half of it


@pytest.mark.parametrize(
    ("codes", "factors", "options", "words"),
    [
        (np.zeros((5, 1)), np.zeros((5, 2)), {}, "at least 2 latents"),
        (np.zeros((5, 2)), np.zeros((5, 2)), {"angles": [1]}, "at least 3 latents"),
        (np.zeros((5, 2)), np.zeros((4, 2)), {}, "codes' 5 rows, got 4"),
        (np.zeros((5, 3)), np.zeros((5, 2)), {"angles": [2]}, "columns of the 2 factor"),
        (np.full((5, 2), np.nan), np.zeros((5, 2)), {}, "codes has 10 value"),
    ],
)
def test_alignment_refuses(codes, factors, options, words):
    with pytest.raises(ValueError, match=words):
        alignment(codes, factors, **options)


def test_a_data_frame_of_factors_names_the_scores_and_the_angles():
    factors = pd.DataFrame(np.random.default_rng(0).uniform(0, 6, size=(200, 2)), columns=["x", "turn"])
    codes = np.column_stack([factors["x"], np.cos(factors["turn"]), np.sin(factors["turn"])])
    found = alignment(codes, factors, angles=["turn"])
    assert list(found.index) == ["x", "turn"]
    assert found.to_numpy() == pytest.approx([1, 1])
    assert alignment(codes, factors.to_numpy(), angles=[1]) == pytest.approx(found.to_numpy())
    with pytest.raises(ValueError, match="angles must be columns"):
        alignment(codes, factors, angles=["tilt"])
