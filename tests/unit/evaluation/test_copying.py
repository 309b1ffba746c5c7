"""Latent copying: measures against closed forms, units put back, anchors that align images, bad input, figures."""

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import sculptlab as sl
from sculptlab.evaluation import copying
from sculptlab.evaluation.copy_measures import alignment_error, compare, neighbor_overlap, relative
from sculptlab.plots import results
from sculptlab.priors import Samples
from sculptlab.training.latent_units import Units
from sculptlab.training.objectives import MMD, Anchors, Copying, Reconstruction
from sculptlab.training.objectives.mmd import FINE

QUICK = {"steps": 3, "device": "cpu", "progress": False}
ROWS = torch.rand(400, 6, generator=torch.Generator().manual_seed(5))


def normal(n, d, seed=0):
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed))


def ring(n, seed=0):
    angle = 6.2832 * torch.rand(n, generator=torch.Generator().manual_seed(seed))
    return torch.stack([angle.cos(), angle.sin()], 1) + 0.05 * normal(n, 2, seed)


def rotation(d, seed=0):
    return torch.linalg.qr(normal(d, d, seed).double())[0]


def model(dim=2, seed=1, **options):
    return sl.build_autoencoder("mlp", image_shape=(6,), dim=dim, width=16, seed=seed, **options)


class Identity(torch.nn.Module):
    """Codes are the rows themselves."""

    def __init__(self):
        super().__init__()
        self.unused = torch.nn.Parameter(torch.zeros(1))

    def encode(self, rows):
        return rows

    decode = encode


def terms(objective, rows):
    batch = objective.batch(Identity(), rows, len(rows), torch.Generator().manual_seed(0))
    return {name: value.item() for name, value in objective.terms(batch).items()}


# measures: closed forms


def test_separate_samples_share_no_neighbors_and_equal_ones_share_half():
    x = normal(500, 3)
    assert neighbor_overlap(x, x + 100) == 0
    assert neighbor_overlap(x, x, k=1) == 1  # every row's nearest is its duplicate
    assert neighbor_overlap(x, normal(500, 3, 1)) == pytest.approx(500 / 999, abs=0.03)


def test_alignment_error_is_zero_for_exact_codes_and_one_for_permuted_ones():
    z = normal(800, 2)
    assert alignment_error(z, z) == 0
    assert alignment_error(z[torch.randperm(800, generator=torch.Generator().manual_seed(1))], z) == pytest.approx(1, abs=0.05)
    # mirrored at the mean, a Gaussian code is 2 |z| from its target: 2 E|z| over E|z + z'| = 2 / sqrt(2)
    assert alignment_error(-z, z) == pytest.approx(2**0.5, abs=0.05)


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 6), st.integers(1, 9), st.integers(0, 99), st.floats(0.1, 50))
def test_relative_codes_do_not_see_rotation_or_scale(dim, anchors, seed, scale):
    z, a = normal(12, dim, seed).double(), normal(anchors, dim, seed + 1).double()
    turn = scale * rotation(dim, seed)
    assert torch.allclose(relative(z @ turn, a @ turn), relative(z, a), atol=1e-9)
    assert relative(z.numpy(), a.numpy()).shape == (12, anchors)


def test_relative_codes_see_a_shift_and_survive_a_code_of_length_zero():
    z, a = normal(12, 2), normal(3, 2, 1)
    assert not torch.allclose(relative(z + 5, a + 5), relative(z, a), atol=0.1)
    assert relative(torch.zeros(1, 2), a).tolist() == [[0, 0, 0]]


def test_second_halves_pass_the_tests_at_their_level():
    found = pd.DataFrame([compare(normal(150, 2, i), normal(150, 2, 500 + i), permutations=99) for i in range(20)])
    assert ((found[["mmd_p", "c2st_p"]] < 0.05).sum() <= 4).all()  # binomial(20, .05): more in 0.3 %; a classifier's is 10 %
    assert (found[["mmd_p", "c2st_p"]].median() > 0.2).all()
    assert found[["c2st", "neighbors"]].mean().tolist() == pytest.approx([0.5, 150 / 299], abs=0.03)


def test_compare_sees_dependence_alone_and_units_do_not_matter():
    z = normal(600, 2)
    same_marginals = torch.stack([z[:, 0], z[:, 0]], 1)
    found = compare(same_marginals, normal(600, 2, 1))
    assert found["mmd_p"] < 0.02
    assert found["c2st"] > 0.8
    assert found["correlation_gap"] == pytest.approx(1, abs=0.1)
    assert found["distance_correlation_gap"] == pytest.approx(1, abs=0.1)
    stretched = torch.tensor([0.01, 50.0])
    moved = compare(same_marginals * stretched + 7, normal(600, 2, 1) * stretched + 7)
    assert moved["mmd2"] == pytest.approx(found["mmd2"], rel=1e-2)
    assert moved["neighbors"] == pytest.approx(found["neighbors"], abs=1e-2)


def test_one_latent_has_no_pairs():
    assert np.isnan(compare(normal(50, 1), normal(50, 1, 1))["correlation_gap"])


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: alignment_error(normal(30, 2), normal(31, 2)), "same images"),
        (lambda: alignment_error(normal(30, 2), normal(30, 3)), "z must have 3 column"),
        (lambda: compare(normal(19, 2), normal(50, 2)), "z must have at least 20 row"),
        (lambda: compare(normal(50, 2) / 0, normal(50, 2)), "z has 100 value"),
        (lambda: relative(normal(5, 2), normal(5, 3)), "anchors must have 2 column"),
    ],
)
def test_measures_refuse(call, words):
    with pytest.raises(ValueError, match=words):
        call()


# units and objectives


@pytest.mark.parametrize("stochastic", [False, True])
def test_units_are_put_on_and_taken_off(stochastic):
    source = normal(500, 2) * torch.tensor([0.01, 50.0]) + torch.tensor([1000.0, -3.0])
    units, inner = Units.of(source), model(stochastic=stochastic)
    assert units.plain(source).mean(0).abs().max() < 0.02  # 1000 +- 0.01 has few digits left in float32
    assert units.plain(source).std(0) == pytest.approx(torch.ones(2), abs=0.02)
    wrapped = units.wrap(inner, stochastic)
    with torch.no_grad():
        assert wrapped.encode(ROWS) == pytest.approx(inner.encode(ROWS) * units.std + units.mean, rel=1e-5)
        assert wrapped(ROWS) == pytest.approx(inner(ROWS), abs=0.02)
        if stochastic:
            grown = wrapped.posterior(ROWS).log_variance - inner.posterior(ROWS).log_variance
            assert grown == pytest.approx(2 * units.std.log().expand_as(grown), abs=1e-5)
    assert {id(p) for p in wrapped.parameters()} == {id(p) for p in inner.parameters()}


def test_any_module_takes_units():
    units = Units.of(normal(500, 6) * 3 + 5)
    wrapped = units.wrap(Identity(), stochastic=False)
    assert wrapped.encode(ROWS) == pytest.approx(ROWS * units.std + units.mean, rel=1e-5)
    assert wrapped.decode(wrapped.encode(ROWS)) == pytest.approx(ROWS, abs=1e-5)


@pytest.mark.parametrize("scale", [1.0, 1e-3, 1e3])
def test_copying_is_mmd_in_the_sources_units(scale):
    source, rows = normal(300, 2), ring(100)
    units = Units.of(source)
    expected = terms(MMD(Samples(units.plain(source)), 7.0, FINE), units.plain(rows))
    found = terms(Copying(source * scale + 3 * scale, weight=7.0), rows * scale + 3 * scale)
    assert found["mmd2"] == pytest.approx(expected["mmd2"], rel=1e-3)
    assert found["loss"] == pytest.approx(7 * expected["mmd2"], rel=1e-3)


def test_anchors_cost_their_squared_distance_in_units():
    rows = torch.tensor([[1.0, 2.0], [3.0, 4.0]])
    found = terms(Anchors(rows, rows + torch.tensor([2.0, 30.0]), weight=5.0, unit=[1.0, 10.0]), ROWS[:, :2])
    assert found["anchors"] == pytest.approx(0.5 * (2**2 + 3**2))
    assert found["loss"] == pytest.approx(5 * 6.5)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: Anchors(ROWS[:3], normal(2, 2)), "pair every image with a code"),
        (lambda: Anchors(ROWS[:3], normal(3, 2) / 0), "codes has 6 value"),
        (lambda: Anchors(ROWS[:3] / 0, normal(3, 2)), "images has"),
        (lambda: Anchors(ROWS[:3], normal(3, 2), unit=[1.0, 0.0]), "unit must be 2 number"),
        (lambda: Anchors(ROWS[:3], normal(3, 2)).check(model(dim=3)), "model's 3 column"),
        (lambda: Anchors(ROWS[:3, :5], normal(3, 2)).check(model()), "model's shape"),
        (lambda: Copying(torch.ones(30, 2)), "source must vary"),
        (lambda: Copying(normal(30, 3)).check(model()), "model's 2 column"),
        (lambda: terms(Copying(normal(30, 2)), ring(31)), "at least as many rows as a batch has images, 31, got 30"),
    ],
)
def test_objectives_refuse(call, words):
    with pytest.raises(ValueError, match=words):
        call()


# copy_latents


@pytest.fixture(scope="module")
def first(digits):
    """A plain autoencoder of the digits, whose codes are to be copied."""
    model = sl.build_autoencoder("mlp", image_shape=(1, 8, 8), dim=2, width=64, seed=0)
    return sl.fit(model, digits, Reconstruction(), steps=200, learning_rate=3e-3, seed=0, device="cpu", progress=False)


def copied(source, digits, **options):
    model = sl.build_autoencoder("mlp", image_shape=(1, 8, 8), dim=2, width=64, seed=1)
    return sl.copy_latents(source, model, digits, **{"steps": 300, "device": "cpu", "progress": False, **options})


@pytest.fixture(scope="module")
def without(first, digits):
    return copied(first, digits)


def test_the_distribution_is_copied(without):
    report = without.report
    assert list(report.index) == ["second half", "before", "copy"]
    assert report.loc["before", "c2st"] > 0.9
    assert report.loc["copy", "c2st"] < 0.7
    assert report.loc["copy", "mmd2"] < 0.1 * report.loc["before", "mmd2"]
    assert report.loc["second half", "mmd_p"] > 0.05
    assert report.loc["second half", ["alignment_error", "decoded_mse"]].tolist() == pytest.approx(
        [0, report.loc["second half", "decoded_mse"]]
    )
    assert "C2ST accuracy" in repr(without)
    assert "1 is chance" in repr(without)
    assert "alignment_error" in without._repr_html_()


def test_anchors_align_images(first, digits, without):
    chosen = digits.images[::36]
    tied = copied(first, digits, anchors=(chosen, first.encode(chosen)))
    assert tied.report.loc["copy", "alignment_error"] < 0.5 * without.report.loc["copy", "alignment_error"]
    assert tied.report.loc["copy", "decoded_mse"] < 0.8 * without.report.loc["copy", "decoded_mse"]
    found, asked = tied.run.encode(chosen), first.encode(chosen)
    assert ((found - asked) / asked.std(0)).norm(dim=1).mean() < 0.5
    # 50 images are anchors; those of them that were held out are not in the report
    assert len(tied.codes["copy"]) < len(without.codes["copy"])


def test_a_source_of_odd_units_keeps_them(digits):
    source = ring(1200) * torch.tensor([0.01, 50.0]) + torch.tensor([3.0, -1000.0])
    result = copied(source.numpy(), digits, steps=150)
    z = result.run.encode(digits)
    assert z.mean(0) == pytest.approx(source.mean(0), rel=0.01)
    assert (z.std(0) / source.std(0)).log().abs().max() < 0.3
    assert result.units["std"].tolist() == pytest.approx(source.std(0).tolist(), rel=0.05)
    assert "alignment_error" not in result.report
    rows = result.run.objective.prior_for(2).bank
    assert abs(rows[:, 1].mean() + 1000) < 5
    assert result.run.sample(4).shape == (4, 1, 8, 8)
    assert (result.run.reconstruct(digits) - digits.images).square().mean() < digits.images.var(0).mean()


def test_what_is_evaluated_was_not_trained_on(monkeypatch):
    seen = {}
    fit = copying.fit_to_the_end

    def spy(model, data, goal, **options):
        seen.update(data=data, goal=goal)
        return fit(model, data, goal, **options)

    monkeypatch.setattr(copying, "fit_to_the_end", spy)
    source = normal(500, 2)
    result = sl.copy_latents(source, model(), ROWS, **QUICK)
    assert seen["data"].rows == 300
    bank = {tuple(row) for row in seen["goal"].source.bank.tolist()}
    assert len(bank) == 375
    target, spare = ({tuple(row) for row in result.codes[name].tolist()} for name in ("source", "second half"))
    assert not bank & target
    assert not bank & spare
    assert not target & spare
    trained = result.run.encode(seen["data"])
    assert torch.cdist(torch.from_numpy(result.codes["copy"]), trained).min() > 0


def test_same_seed_same_copy_and_stochastic_models_take_part():
    one, two = (sl.copy_latents(normal(500, 2), model(stochastic=True), ROWS, seed=3, **QUICK) for _ in range(2))
    assert one.report.equals(two.report)
    assert np.array_equal(one.codes["copy"], two.codes["copy"])


@pytest.mark.parametrize(
    ("source", "options", "words"),
    [
        (normal(300, 2), {}, "as many rows as a batch has images, 256, got 225"),
        (normal(1, 2), {}, "source must have at least 2 row"),
        (normal(500, 3), {}, "source must have 2 column"),
        (torch.full((500, 2), torch.nan), {}, "source has 1000 value"),
        (torch.ones(500, 2), {}, "source must vary"),
        (normal(500, 2), {"held_out": 0.01}, "held_out must leave at least 40 codes"),
        (normal(500, 2), {"held_out": 1.5}, "held_out must be a share below 1"),
        (normal(500, 2), {"held_out": 0}, "held_out must be > 0"),
        (normal(500, 2), {"anchors": (ROWS[:3], normal(2, 2))}, "pair every image"),
        (normal(500, 2), {"anchors": (ROWS[:3], normal(3, 3))}, "anchors' codes must have"),
        (normal(500, 2), {"anchors": (ROWS[:3, :5], normal(3, 2))}, "shape"),
        (normal(500, 2), {"batch_size": 0}, "batch_size must be at least"),
        (normal(500, 2), {"weight": -1.0}, "weight must be >= 0"),
    ],
)
def test_copy_latents_refuses(source, options, words):
    with pytest.raises(ValueError, match=words):
        sl.copy_latents(source, model(), ROWS, **{**QUICK, **options})


def test_copy_latents_refuses_what_is_no_pair_and_its_own_model(first):
    with pytest.raises(TypeError, match="anchors must be a pair"):
        sl.copy_latents(normal(500, 2), model(), ROWS, anchors=ROWS[:3], **QUICK)
    for wrong in (model(), sl.priors.Gaussian(2)):
        with pytest.raises(TypeError, match=r"source must be codes .* or a Run, got"):
            sl.copy_latents(wrong, model(), ROWS, **QUICK)
    with pytest.raises(TypeError, match="model must be a torch module"):
        sl.copy_latents(normal(500, 2), "mlp", ROWS, **QUICK)
    with pytest.raises(TypeError, match="anchors' images must be uint8 or floats"):
        sl.copy_latents(normal(500, 2), model(), ROWS, anchors=([1, 2, 3], normal(3, 2)), **QUICK)
    with pytest.raises(ValueError, match=r"data for a source that is a Run must have shape \(n, 1, 8, 8\)"):
        sl.copy_latents(first, model(), ROWS, **QUICK)
    with pytest.raises(ValueError, match="another one than the source's"):
        sl.copy_latents(first, first.model, sl.load("digits"), **QUICK)


@pytest.mark.parametrize(
    ("last", "words"),
    [(lambda z: 0 * z + 3.7, r"z2 \(1\)"), (lambda z: (2 * z).round(), r"z2 \(\d+\)")],
    ids=["constant", "whole numbers"],
)
def test_latents_of_few_values_are_named(last, words):
    """No continuous code equals a single value: a classifier sees that alone, however good the rest is."""
    source, data = normal(600, 3), sl.load("digits")
    source[:, 2] = last(source[:, 2])
    model = sl.build_autoencoder("mlp", image_shape=(1, 8, 8), dim=3, width=16, seed=1)
    with pytest.warns(UserWarning, match=f"take few values among 450 codes: {words}"):
        copied = sl.copy_latents(source, model, data, **QUICK)
    assert "few values" in copied.verdict()
    assert copied.codes["copy"].shape[1] == 3
    assert np.isfinite(copied.report.to_numpy()).all()


def test_names_of_the_sources_latents_survive():
    source = pd.DataFrame(normal(500, 2).numpy(), columns=["width", "cost $"]).assign(cost=lambda table: table["width"].round())
    with pytest.warns(UserWarning, match=r"take few values among 375 codes: cost \("):
        copied = sl.copy_latents(source[["width", "cost"]], model(), ROWS, **QUICK)
    assert list(copied.units.index) == ["width", "cost"]
    assert copied.plot().axes[0].get_xlabel() == "width"
    assert copied.plot("correlations").axes[0].get_xticklabels()[1].get_text() == "cost"


def test_repeated_rows_are_not_few_values():
    source = normal(300, 2)
    assert copying.few_valued(source[torch.randint(300, (600,), generator=torch.Generator().manual_seed(0))].numpy()) == ""


@pytest.mark.parametrize("dim", [1, 2, 3])
def test_figures_show_source_before_and_after(dim):
    found = {name: normal(300, dim, i).numpy() for i, name in enumerate(("source", "second half", "before", "copy"))}
    titles = ["source", "B before, at its own scale", "B after"]
    assert [ax.get_title() for ax in results.copy_densities(found).axes] == titles
    if dim == 1:
        with pytest.raises(ValueError, match="at least 2 latents"):
            results.copy_correlations(found)
    else:
        figure = results.copy_correlations(found)
        assert len(figure.axes) == 8
        assert [ax.get_title() for ax in figure.axes][:3] == titles
