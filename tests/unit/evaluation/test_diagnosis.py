"""Diagnosis: differences from the prior are named, and none is found where there is none."""

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import stats

from sculptlab.columns import varies_less, without_heavy_tails
from sculptlab.evaluation import Diagnosis, c2st, coverage_gap, diagnose, off_support, precision_recall
from sculptlab.evaluation.two_samples import prior_samples
from sculptlab.mmd.kernels import IMQ
from sculptlab.priors import Gaussian, Prior, Ring, Samples, StudentT, Uniform
from sculptlab.training.latent_units import Units


def normal(n, d, seed=0):
    return np.random.default_rng(seed).normal(size=(n, d))


@pytest.fixture(scope="module")
def ill():
    """Five dimensions: 1 copies 0, 2 is inactive, 4 folds 3 (uncorrelated with it)."""
    z = normal(1500, 5)
    z[:, 1] = 0.95 * z[:, 0] + 0.3 * z[:, 1]
    z[:, 2] *= 0.03
    z[:, 4] = (np.abs(z[:, 3]) - 0.8) * 1.6
    return diagnose(z, Gaussian(5), max_rows=500)


def test_the_moments_are_scipys(ill):
    z, table = ill.codes["codes"], ill.per_dimension.loc["codes"]
    assert np.allclose(table["mean"], z.mean(0))
    assert np.allclose(table["std"], z.std(0))
    assert np.allclose(table["skew"], stats.skew(z))
    assert np.allclose(table["kurtosis"], stats.kurtosis(z))


def test_what_is_wrong_is_named(ill):
    table, pairs, row = ill.per_dimension.loc["codes"], ill.per_pair.loc["codes"], ill.joint.loc["codes"]
    assert ill.dead == {"codes": [2]}
    assert table["ks_p"][2] < 1e-6
    assert table["ks_p"][4] < 1e-6
    assert table["ks_p"][[0, 1, 3]].min() > 1e-3
    assert pairs["correlation"][0, 1] > 0.9
    assert abs(pairs["correlation"][3, 4]) < 0.15
    assert pairs["distance_correlation"].nlargest(2).index.tolist() == [(0, 1), (3, 4)]
    assert row["mmd2"] > row["mmd2_95"]
    assert row["mmd_p"] < 0.01
    assert row["c2st"] > 0.9
    assert row["c2st_p"] < 1e-6
    assert row["dead"] == 1
    assert row["rows"] == 500
    assert row["largest_correlation"] == pytest.approx(pairs["correlation"][0, 1])


def test_the_words_say_it(ill):
    words = ill.verdict("codes")
    assert words.startswith("far: 1 of 5 latents inactive: 2; latents that repeat others: 1; shape: ")
    assert "; shape: 4 (0." in words
    assert "; excess correlation: 0 and 1 (+0.95)" in words
    assert "; joint distribution (C2ST accuracy 9" in words
    assert words in repr(ill)
    assert f"try: {ill.advice('codes')}" in repr(ill)
    assert words in ill._repr_html_()


def test_the_last_row_is_a_sample_of_the_prior(ill):
    control = ill.joint.loc["prior"]
    assert control["mmd_p"] > 0.01
    assert abs(control["c2st"] - 0.5) < 0.06
    assert control["dead"] == 0
    assert control["largest_correlation"] < 0.12
    assert control.notna().all()


@pytest.mark.parametrize("prior", [Gaussian(3), Uniform(3)])
def test_no_difference_is_found_from_the_prior_itself(prior):
    found = diagnose(prior.sample(400, torch.Generator().manual_seed(7)), prior)
    assert not found.verdict("codes").startswith("far")


def test_the_other_prior_is_noticed():
    assert diagnose(Uniform(2).sample(1500, torch.Generator().manual_seed(7)), Gaussian(2)).joint["c2st_p"]["codes"] < 1e-6


def test_the_level_of_the_classifier_test():
    p = np.array([c2st(normal(100, 2, i), normal(100, 2, 900 + i)).p_value for i in range(40)])
    assert (p <= 0.05).sum() <= 6  # binomial(40, 0.05) exceeds 6 three times in a thousand
    assert p.mean() > 0.35


def test_means_and_samples_stand_side_by_side():
    means = normal(300, 2) * [1.0, 0.01]
    found = diagnose({"means": means, "samples": means + normal(300, 2, 1) * [0.05, 1.0]}, Gaussian(2))
    assert found.dead == {"means": [1], "samples": []}
    assert found.joint.index.tolist() == ["means", "samples", "prior"]
    assert found.per_dimension.index.names == ["codes", "dimension"]
    assert found.per_pair.index.tolist() == [("means", 0, 1), ("samples", 0, 1)]
    assert not found.verdict("samples").startswith("far")


def test_a_constant_dimension_is_inactive():
    z = normal(100, 3).astype(np.float32)
    z[:, 1] = 0.1
    found = diagnose(z, Gaussian(3), permutations=20)
    assert found.dead == {"codes": [1]}
    assert found.per_dimension.loc[("codes", 1), "std"] == 0
    assert np.isnan(found.per_dimension.loc[("codes", 1), "skew"])
    assert np.isnan(found.per_pair.loc["codes", "correlation"][0, 1])
    assert np.isfinite(found.joint.loc["codes"].to_numpy(dtype=float)).all()
    for kind in ("overview", "corner"):
        assert found.plot(kind)._repr_png_()


def test_wholly_collapsed_codes_are_diagnosed():
    found = diagnose(np.zeros((50, 2)), Gaussian(2), permutations=20)
    assert found.dead == {"codes": [0, 1]}
    assert found.joint.loc["codes", "mmd_p"] < 0.05
    assert np.isnan(found.joint.loc["codes", "largest_correlation"])
    assert found.plot()._repr_png_()


def test_one_dimension_has_no_pairs():
    found = diagnose(normal(60, 1), Gaussian(1), permutations=20)
    assert len(found.per_pair) == 0
    assert np.isnan(found.joint["largest_correlation"]["codes"])
    assert "codes" in repr(found)
    assert found.plot()._repr_png_()
    assert found.plot("corner")._repr_png_()
    with pytest.raises(ValueError, match="at least 2 dimensions"):
        found.plot("pairs")


def test_frames_tensors_and_arrays_say_the_same():
    z = normal(60, 2)
    tables = [
        diagnose(form, Gaussian(2), permutations=20).joint
        for form in (z, pd.DataFrame(z.copy()), torch.tensor(z, requires_grad=True))
    ]
    assert tables[0].equals(tables[1])
    assert tables[0].equals(tables[2])


def test_the_columns_of_a_frame_keep_their_names():
    z = normal(100, 3)
    z[:, 1] = 0
    found = diagnose(pd.DataFrame(z, columns=["red", "green", "blue"]), Gaussian(3), permutations=20)
    assert found.per_dimension.loc["codes"].index.tolist() == ["red", "green", "blue"]
    assert found.per_pair.loc["codes"].index.tolist() == [("red", "green"), ("red", "blue"), ("green", "blue")]
    assert found.dead == {"codes": ["green"]}
    assert "1 of 3 latents inactive: green" in found.verdict("codes")
    for kind in ("overview", "pairs"):
        assert found.plot(kind)._repr_png_()


def test_threads_and_random_state_are_put_back_and_the_seed_decides():
    threads, state = torch.get_num_threads(), torch.get_rng_state()
    z = normal(80, 2)
    first, second, other = (diagnose(z, Gaussian(2), max_rows=40, permutations=20, seed=s).joint for s in (0, 0, 1))
    assert first.equals(second)
    assert not first.equals(other)
    assert torch.get_num_threads() == threads
    assert torch.equal(torch.get_rng_state(), state)


def test_no_difference_is_found_from_samples_of_the_same_distribution():
    """Draws with replacement would be in both halves of the classifier test and give p < 1e-3 nearly always."""
    found = [diagnose(normal(300, 2, s), normal(240, 2, 900 + s), permutations=39, seed=s) for s in range(20)]
    joint = pd.concat([one.joint for one in found], keys=range(20)).swaplevel()
    assert (joint["rows"] == 80).all()
    marginal = np.concatenate([one.per_dimension["ks_p"] for one in found])
    for p in (joint.loc["codes", "c2st_p"], joint.loc["codes", "mmd_p"], joint.loc["prior", "c2st_p"], marginal):
        assert (p <= 0.05).sum() <= 0.05 * len(p) + 4  # binomial(20, 0.05) exceeds 5, binomial(40, 0.05) 6 once in 300
        assert p.mean() > 0.3
    assert joint.loc["codes", "coverage_gap"].mean() == pytest.approx(0.05, abs=0.03)
    assert joint.loc["prior", "coverage_gap"].mean() == pytest.approx(0.05, abs=0.03)


def test_codes_unlike_the_samples_are_noticed():
    row = diagnose(normal(300, 2) + 1, normal(240, 2, 1), permutations=39).joint.loc["codes"]
    assert row["c2st_p"] < 1e-4
    assert row["mmd_p"] < 0.05


def test_the_three_parts_of_an_array_of_samples_are_disjoint():
    bank = torch.arange(182.0).reshape(91, 2)
    reference, control, fresh, limit = prior_samples(Samples(bank), 500, 2000, torch.Generator().manual_seed(0))
    parts = torch.cat([control, *fresh(limit)])
    assert limit == len(control) == 30
    assert len(parts.unique(dim=0)) == 90
    assert torch.equal(reference.unique(dim=0), bank.double())


@pytest.mark.parametrize("kind", ["effects", "overview", "marginals", "pairs", "corner"])
def test_every_figure_is_drawn(ill, kind):
    assert ill.plot(kind)._repr_png_().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: diagnose(normal(19, 2), Gaussian(2)), "z must have at least 20 row"),
        (lambda: diagnose(normal(30, 2), Gaussian(3)), "prior must have 2 dimension"),
        (lambda: diagnose(np.full((30, 2), np.nan), Gaussian(2)), "z has 60 value"),
        (lambda: diagnose(normal(30, 2) * 1e25, Gaussian(2)), r"z must stay within 1e\+15, got a value of size"),
        (lambda: diagnose(normal(30, 2), normal(59, 2)), "prior must hold at least 60 points .* got 59"),
        (lambda: diagnose(normal(30, 2), "round"), "prior must be"),
        (lambda: c2st(normal(30, 2), normal(30, 3)), "y must have 2 column"),
        (lambda: coverage_gap(normal(30, 2), normal(30, 2), normal(30, 3)), "second must have 2 column"),
        (lambda: off_support(torch.zeros(3, 5), Ring()), "prior must have 5 dimension"),
        (lambda: diagnose(np.zeros(30), Gaussian(1)), r"z must have shape \(n, d\)"),
        (lambda: diagnose({}, Gaussian(2)), "at least one set of codes"),
        (lambda: diagnose({"prior": normal(30, 2)}, Gaussian(2)), "none called 'prior'"),
        (lambda: diagnose({"a": normal(30, 2), "b": normal(30, 3)}, Gaussian(2)), r"z\['b'\] must have 2 column"),
        (lambda: diagnose(normal(30, 2), Gaussian(2), max_rows=5), "max_rows must be at least 20"),
        (lambda: diagnose(normal(30, 2), Gaussian(2), permutations=0), "permutations must be at least 1"),
    ],
)
def test_bad_input_is_named(call, words):
    with pytest.raises(ValueError, match=words):
        call()


@pytest.mark.parametrize(
    "prior",
    [Gaussian(2), Gaussian, torch.distributions.Normal(0.0, 1.0), lambda n: torch.zeros(n, 2)],
    ids=["prior", "class", "distribution", "function"],
)
def test_swapped_arguments_are_told_their_order(prior):
    with pytest.raises(TypeError, match=r"z must be codes \(n, d\).*; the order is diagnose\(codes, prior\)"):
        diagnose(prior, normal(30, 2))


def test_what_is_printed_explains_its_rows_below_the_table(ill):
    text = repr(ill)
    table, legend = text[: text.index("mmd2: ")], text[text.index("mmd2: ") :]
    for name in ("mmd2", "mmd2_95", "mmd_p", "c2st", "c2st_p", "coverage_gap", "prior"):
        assert f"{name}: " in legend
        assert name in table
        assert f"{name}: " in ill._repr_html_()


def test_the_figure_of_effects_has_the_finding_as_title_and_the_values_of_the_table(ill):
    figure = ill.plot()
    assert figure.get_suptitle().replace("\n", " ") == f"codes: {ill.headline()}"
    assert ill.headline().startswith("far from the prior in scale, shape, excess correlation")
    shift, scale, shape, accuracy = (ax.collections[-1].get_offsets()[:, 1] for ax in figure.axes)
    for drawn, name in ((shift, "shift"), (scale, "scale"), (shape, "shape")):
        assert np.allclose(drawn, ill.per_dimension[name])
    assert np.allclose(accuracy, ill.joint.loc["codes", "c2st"])


def test_unknown_figures_and_names_are_refused(ill):
    assert isinstance(ill, Diagnosis)
    with pytest.raises(ValueError, match="kind must be one of"):
        ill.plot("pie")
    with pytest.raises(ValueError, match="name must be one of"):
        ill.verdict("means")


def test_the_coverage_gap_is_the_share_without_codes():
    """Half of a uniform square is empty: about half of the prior's draws are far from every code, less the rim."""
    z = Uniform(2).sample(2000, torch.Generator().manual_seed(3))
    joint = diagnose(z[z[:, 0] > 0], Uniform(2)).joint["coverage_gap"]
    assert joint["codes"] == pytest.approx(0.5, abs=0.06)
    assert joint["prior"] == pytest.approx(0.05, abs=0.03)
    assert diagnose(torch.zeros(500, 2) + 1e-3 * z[:500], Uniform(2)).joint["coverage_gap"]["codes"] > 0.95


@pytest.mark.parametrize(("rows", "dim"), [(500, 2), (300, 5)])
def test_the_verdict_on_true_draws_of_the_prior_is_seldom_wrong(rows, dim):
    """A level of 5 % for all effects together, and an effect must exceed its margin besides."""
    draws = (Gaussian(dim).sample(rows, torch.Generator().manual_seed(100 + k)) for k in range(12))
    wrong = sum(diagnose(z, Gaussian(dim), permutations=20).verdict("codes").startswith("far") for z in draws)
    assert wrong <= 2  # binomial(12, 0.05) exceeds 2 once in 50 times


class Broken(Prior):
    """A prior whose draws are not finite."""

    def _draw(self, n, generator, device):
        return torch.full((n, self.dim), torch.nan)


def test_a_prior_that_draws_nan_is_named():
    with pytest.raises(ValueError, match="prior's draws has 40000 value"):
        diagnose(normal(50, 2), Broken(2))


@pytest.mark.parametrize("prior", ["uniform", Uniform(2), lambda n: Uniform(2).sample(n)], ids=["name", "prior", "function"])
def test_every_kind_of_prior_is_taken(prior):
    z = Uniform(2).sample(400, torch.Generator().manual_seed(7))
    assert diagnose(z, prior).joint.loc["codes", "c2st"] == pytest.approx(0.5, abs=0.08)


def test_off_support_is_where_the_prior_has_no_mass():
    assert off_support(torch.zeros(1, 2), Ring()).all()
    assert not off_support(torch.zeros(1, 2), Gaussian(2)).any()
    z = Ring().sample(4000, torch.Generator().manual_seed(5))
    assert off_support(z, Ring()).double().mean() == pytest.approx(0.001, abs=0.002)


@pytest.mark.parametrize("df", [0.5, 1.0])
@pytest.mark.parametrize("n", [50, 2000])
def test_samples_of_a_prior_without_a_variance_are_active_and_a_narrow_latent_is_not(df, n):
    prior = StudentT(3, df=df)
    reference = prior.sample(20_000, torch.Generator().manual_seed(1)).double()
    for seed in range(5):
        z = prior.sample(n, torch.Generator().manual_seed(10 + seed)).double()
        assert not varies_less(z, reference, 0.05).any()
        z[:, 1] = 0.01 * torch.randn(n, generator=torch.Generator().manual_seed(seed))
        assert varies_less(z, reference, 0.05).tolist() == [False, True, False]
    assert diagnose(z, prior, permutations=5, max_rows=50).dead == {"codes": [1]}


def test_a_scale_is_set_by_the_middle_of_a_heavy_tailed_sample_and_by_all_of_others():
    cauchy, gaussian = StudentT(2, df=1), Gaussian(2)
    for seed in range(5):
        heavy = cauchy.sample(10_000, torch.Generator().manual_seed(seed))
        base = IMQ().fit(heavy).base
        assert 10 < base < 100  # the quartiles are at -1 and 1; the variance of this sample is in the thousands
        assert 1 < Units.of(heavy).std.max() < 4
        usual = gaussian.sample(10_000, torch.Generator().manual_seed(seed))
        assert without_heavy_tails(usual) is usual
    spikes = torch.zeros(1000, 1)
    spikes[0] = 1e6
    assert without_heavy_tails(spikes) is spikes  # no interquartile range to measure by
    few = torch.tensor([[0.0], [1.0]])
    assert without_heavy_tails(few) is few


def test_a_classifier_takes_whole_groups_of_rows():
    z, other = (normal(40, 2, seed).repeat(9, axis=0) for seed in (0, 1))  # nine equal rows in each group
    rows, groups = c2st(z, other), c2st(z, other, group_size=9)
    assert rows.accuracy > 0.9  # the copies of a row recognize each other
    assert rows.p_value < 1e-6 < 0.01 < groups.p_value
    low, high = groups.interval
    assert low < 0.5 < high
    assert high - low > 0.15  # of 80 rows, two thirds of them counted: 0.26; of 720 rows 0.09
    assert c2st(z + 6, other, group_size=9).p_value < 1e-6
    for size in (7, 60):
        with pytest.raises(ValueError, match="group_size must divide the number of rows, 360 and 360, into 20 groups"):
            c2st(z, other, group_size=size)


def test_precision_and_recall_are_shares_of_the_other_sample():
    """Points on a line, one apart: each ball reaches its second neighbor, at most two steps away."""
    line = torch.arange(10.0)[:, None]
    assert precision_recall(line, line, neighbors=2) == (1.0, 1.0)
    assert precision_recall(line + 100, line, neighbors=2) == (0.0, 0.0)
    assert precision_recall(line[:5], line, neighbors=2) == (
        1.0,
        0.7,
    )  # 4 is a ball of radius 2
    assert precision_recall(line, line[:5], neighbors=2) == (0.7, 1.0)


@pytest.mark.parametrize(("n", "m", "k"), [(40, 50, 3), (30, 25, 1), (1100, 20, 5)])
def test_precision_and_recall_are_those_of_the_definition(n, m, k):
    x, y = normal(n, 3), 0.5 + normal(m, 3, seed=1)

    def share(rows, points):
        radius = np.sort(np.linalg.norm(points[:, None] - points, axis=2), axis=1)[:, k]
        return (np.linalg.norm(rows[:, None] - points, axis=2) <= radius).any(1).mean()

    assert precision_recall(x, y, k) == pytest.approx((share(x, y), share(y, x)))


def test_fewer_modes_have_less_recall_and_noise_less_precision():
    real, mode = normal(2000, 4), normal(2000, 4, seed=1)
    at_chance = precision_recall(mode, real)
    assert at_chance[0] == pytest.approx(at_chance[1], abs=0.03)
    narrow, wide = precision_recall(0.5 * mode, real), precision_recall(2 * mode, real)
    assert narrow[0] > at_chance[0] > wide[0] + 0.1
    assert narrow[1] < at_chance[1] - 0.1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((normal(5, 2), normal(5, 3)), "reference must have 2 column"),
        ((normal(3, 2), normal(5, 2)), "x must have at least 4 row"),
        ((normal(5, 2), normal(5, 2), 0), "neighbors must be at least 1"),
        ((normal(5, 2) * np.nan, normal(5, 2)), "x"),
    ],
)
def test_precision_and_recall_name_a_wrong_argument(arguments, message):
    with pytest.raises(ValueError, match=message):
        precision_recall(*arguments)
