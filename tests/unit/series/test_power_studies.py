"""The study of power: what is drawn, what is measured, and how often a difference is called one."""

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sculptlab.mmd import mmd2, sliced_mmd2
from sculptlab.mmd.kernels import IMQ, RBF
from sculptlab.series import results
from sculptlab.series.studies import power as power_studies
from sculptlab.series.studies.power import (
    DIFFERENCES,
    STATISTICS,
    draw_statistics,
    mmd_statistics,
    power_study,
    rejection_rates,
    sample_pair,
)


def large(difference):
    return sample_pair(difference, 20_000, 3, 0)[0].double()


@pytest.mark.parametrize(
    ("difference", "mean", "std"),
    [
        ("none", 0, 1),
        ("mean shifted by 0.2", 0.2, 1),
        ("std 0.8", 0, 0.8),
        ("uniform, unit variance", 0, 1),
        ("one dimension twice", 0, 1),
        ("one dimension uniform", 0, 1),
        ("one dimension, std 3", 0, [3, 1, 1]),
        ("no difference", 0, 1),
    ],
)
def test_the_samples_are_what_their_names_say(difference, mean, std):
    x = large(difference)
    assert torch.allclose(x.mean(0), torch.full((3,), mean, dtype=x.dtype), atol=0.03)
    assert torch.allclose(x.std(0), torch.ones(3, dtype=x.dtype) * torch.tensor(std, dtype=x.dtype), atol=0.03)
    correlation = torch.corrcoef(x.T)[0, 1].item()
    assert correlation == pytest.approx(1.0 if difference == "one dimension twice" else 0.0, abs=0.03)


@pytest.mark.parametrize(("difference", "columns"), [("uniform, unit variance", 3), ("one dimension uniform", 1)])
def test_uniform_is_uniform(difference, columns):
    x = large(difference)
    assert (x[:, columns:].abs() > 3).any() == (columns == 1)  # the other dimensions stay normal
    x = x[:, :columns]
    assert x.abs().max() <= 3**0.5 + 1e-6
    assert torch.allclose(
        x[:, 0].quantile(torch.tensor([0.25, 0.75], dtype=x.dtype)),
        torch.tensor([-1.0, 1.0], dtype=x.dtype) * 3**0.5 / 2,
        atol=0.04,
    )


@pytest.mark.parametrize("dim", [2, 5])
def test_statistics_are_those_of_mmd2(dim):
    x, y = (torch.as_tensor(rows).double() for rows in sample_pair("std 0.8", 40, dim, 1))
    found = mmd_statistics(x, y)
    assert list(found) == list(STATISTICS)
    marginals = mmd2(x, y, IMQ(base=2.0), views="marginal")
    pairs = mmd2(x, y, IMQ(base=4.0), views="pairs", reduction="none")
    expected = {
        "joint IMQ": mmd2(x, y, IMQ(base=2.0 * dim)),
        "joint RBF, exp(-D2/d²)": mmd2(x, y, RBF(dim / 2**0.5)),
        "marginals, mean": marginals,
        "pairs, mean": pairs.mean(),
        "pairs, worst": pairs.max(),
        "marginals, mean, h = 1": mmd2(x, y, RBF(1.0), views="marginal"),
        "pairs, worst, h = 1": mmd2(x, y, RBF(1.0), views="pairs", reduction="max"),
        "sliced Energy": sliced_mmd2(x, y, 128),
        "sliced RBF, h = 1": sliced_mmd2(x, y, 128, RBF(1.0)),
    }
    for name, value in expected.items():
        assert found[name] == pytest.approx(value.item(), abs=1e-12)
    assert mmd_statistics(x, y, ["joint IMQ"]) == {"joint IMQ": found["joint IMQ"]}


@settings(max_examples=20, deadline=None)
@given(level=st.sampled_from([0.05, 0.1, 0.25]), count=st.integers(20, 80), seed=st.integers(0, 1000))
def test_the_null_itself_would_be_rejected_at_no_more_than_the_level(level, count, seed):
    values = np.random.default_rng(seed).normal(size=count)
    frame = pd.DataFrame({"n": 8, "dim": 2, "seed": 0, "joint IMQ": np.r_[values, values],
                          "difference": ["none"] * count + ["again"] * count})  # fmt: skip
    found = rejection_rates(frame, level=level)["rate"].item()
    assert found <= level
    assert found == pytest.approx((int(level * (count + 1)) - 1) / count)  # the values above the limit, no more


def test_rates_are_shares_of_a_seed_above_the_limit():
    null = pd.DataFrame({"difference": "none", "n": 8, "dim": 2, "seed": 0, "joint IMQ": np.arange(19.0)})
    others = pd.DataFrame({"difference": "x", "n": 8, "dim": 2, "seed": [0, 0, 1, 1], "joint IMQ": [18.0, 18.5, 19.0, 20.0]})
    found = rejection_rates(pd.concat([null, others]))
    assert found[["difference", "n", "dim", "seed", "statistic", "rate"]].to_numpy().tolist() == [
        ["x", 8, 2, 0, "joint IMQ", 0.5],
        ["x", 8, 2, 1, "joint IMQ", 1.0],
    ]


def test_draws_repeat_with_their_seed_and_never_share_sample_pair():
    a, b, c = (draw_statistics("none", 30, 2, count=2, seed=seed, statistics=["joint IMQ"]) for seed in (0, 0, 1))
    assert a == b
    values = [row["joint IMQ"] for row in a + c]
    assert len(set(values)) == 4
    first = draw_statistics("std 0.8", 30, 2, count=1, statistics=["joint IMQ"])[0]
    assert (
        first["joint IMQ"] != mmd_statistics(*sample_pair("std 0.8", 30, 2, 0), ["joint IMQ"])["joint IMQ"]
    )  # not the null's samples, narrowed


def test_power_sees_what_is_large_and_only_that():
    statistics = ["joint IMQ", "marginals, mean", "pairs, worst"]
    frame = power_study([(128, 4)], [0, 1], null=20, count=6, statistics=statistics, progress=False)
    found = frame.groupby(["difference", "statistic"])["rate"].mean()
    assert found["one dimension twice", "pairs, worst"] == 1
    assert found["one dimension twice", "marginals, mean"] < 0.5
    assert set(found.index.get_level_values("difference")) == set(DIFFERENCES) - {"none"}


def test_record_power_writes_what_the_page_reads(tmp_path, monkeypatch):
    monkeypatch.setattr(results, "results_folder", lambda: tmp_path)
    monkeypatch.setattr(power_studies, "DIMENSIONS", (2,))
    monkeypatch.setattr(power_studies, "SIZES", (16,))
    monkeypatch.setattr(power_studies, "ROWS", 20)
    recorded = power_studies.record_power([0, 1], null=10, count=2)
    assert recorded.name == "mmd_power"
    frame = results.read_result("mmd_power").frame
    assert set(zip(frame["n"], frame["dim"], strict=True)) == {(20, 2), (16, 8)}
    assert set(frame["statistic"]) == set(power_studies.OF_VIEWS)
    assert frame["rate"].between(0, 1).all()
    assert recorded.provenance["seeds"] == [0, 1]


def test_each_statistic_is_recorded_up_to_its_largest_sample(tmp_path, monkeypatch):
    monkeypatch.setattr(results, "results_folder", lambda: tmp_path)
    monkeypatch.setattr(power_studies, "LARGEST", {8: ("pairs, worst, h = 1",), 40: ("sliced Energy", "joint IMQ")})
    monkeypatch.setattr(power_studies, "SLICED_SIZES", (8, 9, 40))
    recorded = power_studies.record_sliced_power([1, 2], dim=3, null=10, count=2)
    sizes = recorded.frame.groupby("statistic")["n"].unique().map(sorted).to_dict()
    assert sizes == {"pairs, worst, h = 1": [8], "sliced Energy": [8, 9, 40], "joint IMQ": [8, 9, 40]}
    assert set(recorded.frame["difference"]) == set(power_studies.IN_ONE) - {"none"}
    assert (recorded.name, recorded.provenance["seeds"]) == ("mmd_power_sliced", [1, 2])


def test_bad_settings_are_refused():
    with pytest.raises(ValueError, match="difference must be one of"):
        sample_pair("wider", 10, 2, 0)
    with pytest.raises(ValueError, match="dim must be at least 2"):
        sample_pair("none", 10, 1, 0)
    with pytest.raises(ValueError, match="statistics must be one of"):
        mmd_statistics(*sample_pair("none", 10, 2, 0), ["joint"])
    with pytest.raises(ValueError, match="at least 19 null rows at n=8, dim=2, got 5"):
        rejection_rates(pd.DataFrame({"difference": "none", "n": 8, "dim": 2, "seed": 0, "joint IMQ": np.arange(5.0)}))
    with pytest.raises(ValueError, match="count must be at least 1"):
        draw_statistics("none", 10, 2, count=0)
