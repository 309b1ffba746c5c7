"""Objectives of the scorecard alone: each against its formula; each trains, resumes with the same bits, and learns."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.distributions import Categorical, Independent, MixtureSameFamily, Normal, kl_divergence

import sculptlab as sl
from sculptlab.evaluation import c2st
from sculptlab.series.rivals import METHODS
from sculptlab.series.rivals.ard_vae import ARDVAE
from sculptlab.series.rivals.flex_ae import FlexAE, gradient_penalty
from sculptlab.series.rivals.labeled_contrast import LabeledContrast, supervised_info_nce
from sculptlab.series.rivals.latent_quantization import QLAE
from sculptlab.series.rivals.nash_ae import NashAE, summed_covariance
from sculptlab.series.rivals.spheres import MomentumContrast, SphereMMD, info_nce
from sculptlab.series.rivals.stitching import stitching_errors
from sculptlab.series.rivals.two_moments import TwoMoments
from sculptlab.series.rivals.vamp_prior import VampPrior
from sculptlab.series.rivals.variance_expansion import VarianceExpansion
from sculptlab.series.studies.settings import PreparedImages, Setting
from sculptlab.training.models import Posterior
from sculptlab.training.objectives import Batch

IMAGES = torch.rand(96, 1, 4, 4, generator=torch.Generator().manual_seed(0))
OPTIONS = {"batch_size": 32, "scheduler": "constant", "device": "cpu", "progress": False}
NEW = (
    "ARD-VAE", "VampPrior", "momentum contrastive", "MMD on the sphere", "two moments", "variance expansion", "NashAE",
    "QLAE", "FlexAE",
)  # fmt: skip
KINDS = {
    "ARDVAE": ARDVAE, "VampPrior": lambda: VampPrior(IMAGES[:5]), "NashAE": lambda: NashAE(width=8, rounds=2), "QLAE": QLAE,
    "FlexAE": lambda: FlexAE(width=8, depth=1, rounds=2), "TwoMoments": TwoMoments, "VarianceExpansion": VarianceExpansion,
    "SphereMMD": SphereMMD, "MomentumContrast": lambda: MomentumContrast(model(False), size=40),
    "LabeledContrast": lambda: LabeledContrast(IMAGES[:30], torch.arange(60).reshape(30, 2) % 5, [(0,), (1, 2)]),
}  # fmt: skip


def model(stochastic, dim=3, seed=0):
    return sl.build_autoencoder("mlp", image_shape=(1, 4, 4), dim=dim, width=16, stochastic=stochastic, seed=seed)


def posterior(n=40, d=3, seed=0):
    draw = torch.Generator().manual_seed(seed)
    return Posterior(torch.randn(n, d, generator=draw), torch.randn(n, d, generator=draw) - 1)


def terms(objective, found, companions=None, codes=None, network=None):
    """The values of the regularizers by name, for a posterior or codes."""
    codes = found.sample(torch.Generator().manual_seed(5)) if codes is None else codes
    companions = objective.regularizer(codes.shape[1]).companions if companions is None else companions
    batch = Batch(None, found, codes, network, None, torch.Generator().manual_seed(0))
    return {term.name: (term.weight, term.value) for term in objective.regularizers(batch, companions)}


def normal(found):
    return Independent(Normal(found.mean, (0.5 * found.log_variance).exp()), 1)


@pytest.mark.parametrize("kind", KINDS)
def test_it_trains_and_a_resumed_run_has_the_same_bits(kind, tmp_path):
    objective = KINDS[kind]()
    stochastic = objective.needs_posterior
    whole = sl.fit(model(stochastic), IMAGES, objective, steps=12, **OPTIONS)
    sl.fit(model(stochastic), IMAGES, KINDS[kind](), steps=5, checkpoint=tmp_path / "a.pt", **OPTIONS)
    resumed = sl.fit(model(stochastic, seed=9), IMAGES, KINDS[kind](), steps=12, checkpoint=tmp_path / "a.pt", **OPTIONS)
    expected, found = (torch.nn.ModuleList([run.model, run.companions]).state_dict() for run in (whole, resumed))
    assert expected.keys() == found.keys()
    assert all(torch.equal(expected[name], found[name]) for name in expected)
    first = objective.regularizer(3).companions.state_dict()
    assert any(not torch.equal(expected[f"1.{name}"], value) for name, value in first.items()) or not first
    path = whole.save(tmp_path / "run.safetensors")
    loaded = sl.load_run(path, objective=objective)
    assert torch.equal(loaded.encode(IMAGES), whole.encode(IMAGES))


@pytest.mark.parametrize("name", NEW)
def test_each_method_learns_digits_and_its_target_is_a_prior_or_none(name):
    images = replace(PreparedImages.of(Setting("digits", 3, 20, 200, 32, learning_rate=3e-3)), decoder_variance=0.02)
    method = METHODS[name]
    run = method.train(images, method.weights[1], 1)
    assert np.isfinite(run.history.to_numpy()).all()
    assert run.history["reconstruction"].iloc[-1] < 0.9 * run.history["reconstruction"].iloc[0]
    z = run.encode(images.held_out)
    assert torch.isfinite(z).all()
    assert images.error(run) < images.error_per_pixel(images.held_out.var(0).mean().item())
    declared = method.declared(run, 3)
    if declared is not None:
        assert isinstance(declared, sl.priors.Prior)
        assert declared.dim == 3
        assert torch.equal(run.sample(4, seed=2), run.decode(declared.sample(4, torch.Generator().manual_seed(2))))
    assert (declared is None) == (name in ("NashAE", "variance expansion"))


def test_the_divergence_of_ard_vae_is_that_to_a_normal_prior():
    objective, found = ARDVAE(beta=2.0), posterior()
    companions = objective.regularizer(3).companions
    scale = torch.tensor([0.5, 1.0, 3.0])
    companions["variances"].variance.copy_(scale.square())
    prior = Independent(Normal(torch.zeros(3), scale), 1)
    weight, value = terms(objective, found, companions)["kl"]
    assert weight == 2
    assert value == pytest.approx(kl_divergence(normal(found), prior).mean().item(), rel=1e-5)
    declared = objective.sampling_prior(3, None, companions)
    np.testing.assert_allclose(declared.covariance, scale.square().diag(), rtol=1e-5)


def test_the_prior_of_ard_vae_takes_the_variances_of_the_codes():
    companion = ARDVAE(rate=0.05).companions(3)["variances"]
    draw, scale = torch.Generator().manual_seed(0), torch.tensor([0.0, 1.0, 3.0])
    for _ in range(400):
        companion.refresh(scale * torch.randn(500, 3, generator=draw), None, None)
    np.testing.assert_allclose(companion.variance, [1e-8, 1, 9], rtol=0.05, atol=1e-7)


def test_the_density_of_vamp_prior_is_that_of_a_mixture_of_normals():
    objective, network, found = VampPrior(IMAGES[:5], beta=0.5), model(True), posterior()
    codes = found.sample(torch.Generator().manual_seed(1))
    weight, value = terms(objective, found, codes=codes, network=network)["kl"]
    mixture = MixtureSameFamily(Categorical(torch.ones(5)), normal(network.posterior(IMAGES[:5])))
    assert weight == 0.5
    assert value.item() == pytest.approx((normal(found).log_prob(codes) - mixture.log_prob(codes)).mean().item(), rel=1e-5)


def test_a_vamp_prior_of_one_pseudo_input_has_the_divergence_of_two_normals():
    objective, network, one = VampPrior(IMAGES[:1]), model(True), posterior(1)
    many = Posterior(one.mean.expand(200_000, -1), one.log_variance.expand(200_000, -1))
    value = terms(objective, many, network=network)["kl"][1]
    expected = kl_divergence(normal(one), normal(network.posterior(IMAGES[:1]))).item()
    assert value.item() == pytest.approx(expected, rel=0.02)


def test_a_vamp_prior_draws_from_the_posteriors_of_its_pseudo_inputs():
    objective, network = VampPrior(IMAGES[:5]), model(True)
    prior = objective.sampling_prior(3, network, objective.regularizer(3).companions)
    found = network.posterior(IMAGES[:5])
    np.testing.assert_allclose(prior.mean, found.mean.detach().mean(0), rtol=1e-5)
    between = found.mean.detach().var(0, correction=0) + found.log_variance.exp().detach().mean(0)
    np.testing.assert_allclose(prior.covariance.diagonal(), between, rtol=1e-5)


def test_predictors_of_nash_ae_do_not_see_their_own_latent_and_learn_the_others():
    companion = NashAE(width=16).regularizer(3).companions["predictors"]
    z = torch.rand(64, 3, generator=torch.Generator().manual_seed(0))
    changed = z.clone()
    changed[:, 1] = 0.3
    before, after = companion(z), companion(changed)
    assert torch.equal(before[:, 1], after[:, 1])
    assert not torch.equal(before[:, 0], after[:, 0])
    term, draw = NashAE().regularizer(3), torch.Generator().manual_seed(0)
    for _ in range(100):
        raw = torch.randn(200, 2, generator=draw)
        raw = torch.cat([raw, raw[:, :1]], 1)  # the last latent equals the first
        term.update(raw)
    z = raw.sigmoid()
    residual = (term.companions["predictors"](z) - z).square().mean(0) / z.var(0)
    assert residual[[0, 2]].max() < 0.05
    assert residual[1] > 0.8


def test_the_covariance_of_nash_ae_has_a_gradient_through_the_predictions_alone():
    objective = NashAE(weight=7.0)
    companions = objective.regularizer(2).companions
    raw = torch.randn(50, 2, generator=torch.Generator().manual_seed(0), requires_grad=True)
    weight, value = terms(objective, None, companions, codes=raw)["covariance"]
    z, predictions = raw.sigmoid(), companions["predictors"](raw.sigmoid())
    expected = sum(np.cov(a, b, ddof=0)[0, 1] for a, b in zip(z.detach().T.numpy(), predictions.detach().T.numpy(), strict=True))
    assert weight == 7
    assert value.item() == pytest.approx(expected, rel=1e-4, abs=1e-6)
    found = torch.autograd.grad(value, raw)[0]
    held = summed_covariance(z.detach(), predictions)
    np.testing.assert_allclose(found, torch.autograd.grad(held, raw)[0], atol=1e-8)
    assert not torch.allclose(found, torch.autograd.grad(summed_covariance(z, companions["predictors"](z)), raw)[0])


def test_codes_of_nash_ae_are_sigmoids():
    run = sl.fit(model(False), IMAGES, NashAE(width=8), steps=3, **OPTIONS)
    z = run.encode(IMAGES)
    np.testing.assert_allclose(z, run.model.encode(IMAGES).sigmoid().detach(), rtol=1e-5)
    np.testing.assert_allclose(run.reconstruct(IMAGES), run.decode(z), rtol=1e-5)


def flex_parts(weight=0.5, dim=2, slope=(3.0, 4.0), **options):
    """The regularizer of FlexAE, its critic of the given slope (which is linear where its one unit is active) and its prior."""
    term = FlexAE(weight=weight, width=1, depth=1, **options).regularizer(dim)
    critic, prior = term.companions["critic"], term.companions["prior"]
    with torch.no_grad():
        for weight, value in zip(critic.body.parameters(), ([slope], [100.0], [[1.0]], [0.0]), strict=True):
            weight.copy_(torch.tensor(value))
    return term, critic, prior


def test_the_distance_of_flex_ae_by_a_linear_critic_is_that_of_the_means_along_its_slope():
    term, critic, _ = flex_parts()
    draw = torch.Generator().manual_seed(0)
    z, drawn = torch.randn(50, 2, generator=draw, requires_grad=True), torch.randn(30, 2, generator=draw)
    expected = (z.mean(0) - drawn.mean(0)) @ torch.tensor([3.0, 4.0])
    assert critic.distance(z, drawn).item() == pytest.approx(expected.item(), rel=1e-4)
    assert gradient_penalty(critic, z).item() == pytest.approx((5 - 1) ** 2, rel=1e-5)
    term(z).backward()
    np.testing.assert_allclose(z.grad, 0.5 * torch.tensor([[3.0, 4.0]]).expand(50, -1) / 50, rtol=1e-5)
    assert all(weight.grad is None for weight in term.companions.parameters())  # the critic must not learn from the model's loss


@pytest.mark.parametrize("penalty", [0.0, 10.0])
def test_the_critic_of_flex_ae_maximizes_the_distance_less_the_penalty(penalty):
    _, critic, prior = flex_parts(penalty=penalty)
    z = torch.randn(40, 2, generator=torch.Generator().manual_seed(0))
    critic.requires_grad_(True)
    loss = critic.loss(z, torch.Generator().manual_seed(3))
    drawn = prior.sample(40, torch.Generator().manual_seed(3))
    assert loss.item() == pytest.approx((penalty * 16 - critic.distance(z, drawn)).item(), rel=1e-4)
    loss.backward()
    assert all(weight.grad is None for weight in prior.parameters())


def test_a_flat_critic_has_a_penalty_of_1_and_finite_gradients():
    _, critic, _ = flex_parts(slope=(0.0, 0.0))
    critic.requires_grad_(True)
    value = gradient_penalty(critic, torch.zeros(4, 2))
    value.backward()
    assert value.item() == 1
    assert all(weight.grad is None or weight.grad.isfinite().all() for weight in critic.parameters())


def test_a_linear_critic_of_points_apart_finds_their_wasserstein_distance():
    _, critic, prior = flex_parts(slope=(0.3, 1.2))
    with torch.no_grad():
        for weight in prior.parameters():
            weight.zero_()  # all draws are 0
    z, draw = torch.tensor([[0.6, 0.8]]).expand(8, -1), torch.Generator().manual_seed(0)
    optimizer = torch.optim.SGD(critic.requires_grad_(True).parameters(), lr=0.01)
    for _ in range(400):
        optimizer.zero_grad()
        critic.loss(z, draw).backward()
        optimizer.step()
    # at a distance d of 1 the best slope s of d s - 10 (s - 1)^2 is 1 + d / 20, along the line between the points
    assert critic.distance(z, prior.sample(8, draw)).item() == pytest.approx(1.05, abs=0.003)


def test_the_prior_of_flex_ae_moves_where_the_critic_is_larger():
    _, _, prior = flex_parts()
    before = prior.sample(500, torch.Generator().manual_seed(1)).detach()
    optimizer = torch.optim.Adam(prior.requires_grad_(True).parameters(), lr=1e-2)
    for step in range(20):
        optimizer.zero_grad()
        prior.loss(torch.zeros(64, 2), torch.Generator().manual_seed(step)).backward()
        optimizer.step()
    moved = (prior.sample(500, torch.Generator().manual_seed(1)) - before).mean(0).detach()
    assert (moved > 0.1).all()  # the critic grows along both axes


def test_the_prior_of_flex_ae_learns_codes_that_lie_elsewhere():
    term, draw = FlexAE(width=128, depth=2).regularizer(4), torch.Generator().manual_seed(0)
    mixing = torch.randn(4, 4, generator=draw) / 2

    def codes(n):
        return torch.randn(n, 4, generator=draw) @ mixing + torch.tensor([1.0, -1.0, 0.0, 0.5])

    def accuracy():
        prior = term.objective.sampling_prior(4, None, term.companions)
        return c2st(codes(1000), prior.sample(1000, torch.Generator().manual_seed(7)), 0).accuracy

    before = accuracy()
    for _ in range(200):
        term.update(codes(128))
    assert before > 0.95
    assert accuracy() < 0.75  # both networks go on moving, between 0.61 and 0.69 in 200 more steps


def test_quantized_codes_take_the_nearest_value_and_pass_gradients_straight_through():
    objective = QLAE(count=3, quantize=2.0, commit=5.0)
    companions = objective.regularizer(2).companions
    companions["codebook"].values.data = torch.tensor([[-1.0, 0.0, 1.0], [0.0, 10.0, 20.0]])
    z = torch.tensor([[0.4, 6.0], [-2.0, 30.0]], requires_grad=True)
    nearest = torch.tensor([[0.0, 10.0], [-1.0, 20.0]])
    batch = Batch(None, None, z, None, None, None)
    quantized = objective.decoder_input(batch, companions)
    assert torch.equal(quantized, nearest)
    quantized.sum().backward()
    assert torch.equal(z.grad, torch.ones(2, 2))
    assert companions["codebook"].values.grad is None  # of the reconstruction
    found = terms(objective, None, companions, codes=z)
    distance = (z - nearest).square().sum(1).mean().item()
    assert [(weight, value.item()) for weight, value in found.values()] == [(2.0, distance), (5.0, distance)]
    found["quantize"][1].backward()
    expected = torch.zeros(2, 3)
    expected[0, 1], expected[0, 0], expected[1, 1], expected[1, 2] = -0.4, 1.0, 4.0, -10.0
    np.testing.assert_allclose(companions["codebook"].values.grad, expected, rtol=1e-5)
    assert torch.equal(z.grad, torch.ones(2, 2))
    prior = objective.sampling_prior(2, None, companions)
    assert set(prior.sample(200, torch.Generator().manual_seed(0))[:, 1].tolist()) == {0.0, 10.0, 20.0}


def test_codes_of_qlae_take_ten_values():
    run = sl.fit(model(False), IMAGES, QLAE(), steps=20, weight_decay=0.1, **OPTIONS)
    values = run.companions["codebook"].values
    assert values.shape == (3, 10)
    with torch.no_grad():
        run.model.encoder[-1].weight.mul_(30)  # far from the values, where x + (q - x) is not q
    for j, z in enumerate(run.encode(IMAGES).T):
        assert set(z.tolist()) <= set(values[j].tolist())


def test_weights_of_qlae_are_those_of_its_paper():
    # There: the mean over pixels of the cross-entropy + 0.01 * the mean over latents of each squared distance.
    pixels, latents, draw = 64 * 64 * 3, 12, torch.Generator().manual_seed(0)
    codes, entropy = torch.randn(8, latents, generator=draw), 2000.0  # nats per image
    objective = QLAE()
    found = terms(objective, None, codes=codes)
    nearest = torch.linspace(-0.5, 0.5, 10)[(codes[..., None] - torch.linspace(-0.5, 0.5, 10)).abs().argmin(2)]
    paper = entropy / pixels + 2 * 0.01 * (codes - nearest).square().mean().item()
    assert entropy + sum(weight * value.item() for weight, value in found.values()) == pytest.approx(pixels * paper, rel=0.03)


def test_codes_of_qlae_stay_near_its_values():
    setting = Setting("digits", 6, components=64, steps=150, width=64, batch_size=128, learning_rate=3e-3)
    images = replace(PreparedImages.of(setting), decoder_variance=0.02)
    run = METHODS["QLAE"].train(images, 0.03, 0)
    raw = run.model.encode(images.training).detach()
    assert (raw - run.encode(images.training)).square().mean().sqrt() < 1  # values are about 1.5 apart from end to end
    share = torch.stack([column.unique(return_counts=True)[1].max() / len(raw) for column in run.encode(images.training).T])
    assert share.max() < 0.4  # of the most frequent value; 0.1 if all are taken alike


def test_two_moments_has_the_divergence_of_two_normals():
    objective, found = TwoMoments(weight=3.0, share=0.5), posterior()
    m, v = found.mean.mean(0), found.mean.var(0, correction=0)
    aggregate = kl_divergence(Normal(m, v.sqrt()), Normal(torch.zeros(3), 1.0)).sum().item()
    own = kl_divergence(Normal(torch.zeros(40, 3), (0.5 * found.log_variance).exp()), Normal(0.0, 1.0)).sum(1).mean().item()
    values = terms(objective, found)
    assert values["kl_moments"] == (3.0, pytest.approx(aggregate, rel=1e-5))
    assert values["kl_variances"] == (1.5, pytest.approx(own, rel=1e-5))


def test_two_moments_cannot_tell_equal_latents_of_two_values_from_the_prior():
    signs = torch.tensor([-1.0, 1.0]).repeat(20)[:, None].expand(-1, 3)
    values = terms(TwoMoments(), Posterior(signs, torch.zeros(40, 3)))
    assert values["kl_moments"][1].item() == pytest.approx(0, abs=1e-6)
    assert values["kl_variances"][1].item() == 0


def test_variance_expansion_is_the_mean_inverse_variance():
    found = Posterior(torch.zeros(2, 2), torch.tensor([[1.0, 3.0], [0.5, 0.9]]).log())
    weight, value = terms(VarianceExpansion(weight=4.0, delta=0.1), found)["expansion"]
    assert weight == 4
    assert value.item() == pytest.approx((1 / 1.1 + 1 / 3.1 + 1 / 0.6 + 1 / 1.0) / 2, rel=1e-6)
    gone = terms(VarianceExpansion(delta=0.1), Posterior(torch.zeros(2, 2), torch.full((2, 2), -200.0)))
    assert gone["expansion"][1].item() == pytest.approx(2 / 0.1, rel=1e-5)


def test_the_contrast_is_the_cross_entropy_of_the_own_key():
    draw = torch.Generator().manual_seed(0)
    q, k, others = (torch.nn.functional.normalize(torch.randn(n, 3, generator=draw), dim=1) for n in (6, 6, 10))
    logits = torch.cat([(q * k).sum(1)[:, None], q @ others.T], 1) / 0.2
    expected = torch.nn.functional.cross_entropy(logits, torch.zeros(6, dtype=torch.long))
    assert info_nce(q, k, others, 0.2).item() == pytest.approx(expected.item(), rel=1e-5)
    same = torch.tensor([[1.0, 0.0, 0.0]]).expand(6, -1)
    assert info_nce(same, same, same[:4], 0.2).item() == pytest.approx(math.log(5), rel=1e-5)


def test_codes_of_the_momentum_encoder_enter_the_queue_and_its_weights_follow():
    network = model(False)
    objective = MomentumContrast(network, size=50, momentum=0.9)
    term = objective.regularizer(3)
    average, before = term.companions["average"], term.companions["average"].queue.clone()
    changed = model(False, seed=3)
    batch = Batch(IMAGES[:32], None, changed.encode(IMAGES[:32]), changed, None, torch.Generator().manual_seed(0))
    list(objective.regularizers(batch, term.companions))
    expected = torch.nn.functional.normalize(network.encode(IMAGES[:32]), dim=1)
    term.update(batch.codes, changed)
    np.testing.assert_allclose(average.queue[:32], expected.detach(), atol=1e-6)
    assert torch.equal(average.queue[32:], before[:18])
    for mine, start, now in zip(average.model.parameters(), network.parameters(), changed.parameters(), strict=True):
        np.testing.assert_allclose(mine.detach(), (0.9 * start + 0.1 * now).detach(), atol=1e-6)


@pytest.mark.parametrize("name", ["MomentumContrast", "SphereMMD"])
def test_codes_on_the_sphere_have_length_1(name):
    run = sl.fit(model(False), IMAGES, KINDS[name](), steps=3, **OPTIONS)
    np.testing.assert_allclose(run.encode(IMAGES).norm(dim=1), 1, rtol=1e-5)
    np.testing.assert_allclose(run.reconstruct(IMAGES), run.decode(run.encode(IMAGES)), rtol=1e-5)


def test_the_mmd_on_the_sphere_is_that_of_normalized_codes():
    z = 5 * torch.randn(40, 3, generator=torch.Generator().manual_seed(2))
    batch = Batch(None, None, z, None, None, torch.Generator().manual_seed(0))
    (found,) = SphereMMD(weight=7.0).regularizers(batch, {})
    unit = batch._replace(codes=z / z.norm(dim=1, keepdim=True), generator=torch.Generator().manual_seed(0))
    (expected,) = sl.objectives.MMD(sl.priors.Sphere(3, standardize=False), 7.0).regularizers(unit, {})
    assert found == (expected.name, 7.0, pytest.approx(expected.value))


def test_the_labeled_contrast_is_the_share_of_rows_of_the_same_label():
    z, labels = torch.tensor([[0.0], [1.0], [3.0], [9.0]]), torch.tensor([0, 0, 1, 2])
    near = [[math.exp(-((a - b) ** 2) / 2) for b in (0, 1, 3, 9)] for a in (0, 1)]
    shares = near[0][1] / (near[0][1] + near[0][2] + near[0][3]), near[1][0] / (near[1][0] + near[1][2] + near[1][3])
    expected = -sum(map(math.log, shares)) / 2  # rows 3 and 4 have no other of their label
    assert supervised_info_nce(z, labels, 2.0).item() == pytest.approx(expected, rel=1e-5)
    assert supervised_info_nce(z, torch.arange(4), 2.0).item() == 0
    apart = torch.tensor([[0.0], [0.0], [50.0], [50.0]])
    assert supervised_info_nce(apart, torch.tensor([0, 0, 1, 1]), 1.0).item() == pytest.approx(0, abs=1e-6)


def test_the_labeled_contrast_gives_a_factor_its_latent():
    generator = torch.Generator().manual_seed(0)
    factors = torch.randint(3, (400, 2), generator=generator)
    images = torch.cat([factors.float().repeat(1, 4), torch.randn(400, 4, generator=generator)], 1)
    objective = LabeledContrast(images[:100], factors[:100], [(0,), (1,)], weight=10.0, beta=0.1)
    network = sl.build_autoencoder("mlp", image_shape=(12,), dim=3, width=32, stochastic=True, output="linear")
    run = sl.fit(network, images, objective, steps=300, learning_rate=3e-3, device="cpu", progress=False)
    z = run.encode(images)
    spread = torch.stack([torch.stack([z[factors[:, k] == value].var(0) for value in range(3)]).mean(0) for k in range(2)])
    assert (spread[[0, 1], [0, 1]] < 0.1 * z.var(0)[:2]).all()


def test_stitching_a_rotated_model_loses_nothing_and_another_one_little(digits):
    flat = digits.images.flatten(1)[:600]
    flat = flat - flat.mean(0)
    training, held_out = flat[:500], flat[500:]

    def run(seed):
        network = sl.build_autoencoder("mlp", image_shape=(64,), dim=4, width=32, output="linear", seed=seed)
        return sl.fit(
            network,
            training,
            sl.objectives.MMD("gaussian", 10.0),
            steps=150,
            learning_rate=3e-3,
            **OPTIONS | {"scheduler": "cosine"},
        )

    first, second = run(0), run(1)
    turned = torch.linalg.qr(torch.randn(4, 4, generator=torch.Generator().manual_seed(0)))[0]

    class Turned(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.model, self.image_shape, self.dim = first.model, (64,), 4

        def encode(self, images):
            return 2 * self.model.encode(images) @ turned

        def decode(self, codes):
            return self.model.decode(codes @ turned.T / 2)

    rotated = type(first)(Turned(), first.objective, [], 0, 1)
    options = {"anchors": 32, "steps": 150}
    same, other = (stitching_errors(first, one, training, held_out, **options) for one in (rotated, second))
    assert same["relative"] == pytest.approx(same["own"], rel=1e-3)
    assert same["absolute"] > 1.5 * same["relative"]
    assert other["own"] == same["own"]
    assert other["own"] < other["relative"] < other["absolute"]
    assert other["own"] < other["mean"]
    assert all(weight.requires_grad for weight in first.model.parameters())


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ARDVAE(rate=0.0), "rate must be > 0"),
        (lambda: ARDVAE(beta=-1.0), "beta must be >= 0"),
        (lambda: VampPrior(IMAGES[:0]), "images"),
        (lambda: FlexAE(penalty=-1.0), "penalty must be >= 0"),
        (lambda: FlexAE(depth=0), "depth must be at least 1"),
        (lambda: NashAE(weight=math.nan), "weight must be >= 0"),
        (lambda: QLAE(count=1), "count must be at least 2"),
        (lambda: TwoMoments(share=-0.1), "share must be >= 0"),
        (lambda: VarianceExpansion(delta=0.0), "delta must be > 0"),
        (lambda: MomentumContrast(model(False), momentum=1.0), "momentum must be below 1"),
        (lambda: SphereMMD(weight=-1.0), "weight must be >= 0"),
        (lambda: LabeledContrast(IMAGES[:4], torch.arange(4), [(0,)]), "labels must be whole numbers"),
        (lambda: LabeledContrast(IMAGES[:4], torch.arange(4)[:, None], [(0,), (1,)]), "latents must name one or more"),
        (lambda: LabeledContrast(IMAGES[:4], torch.arange(4)[:, None], [(7,)]).check(model(True)), "latents must be below"),
    ],
)
def test_wrong_parameters_are_named(make, message):
    with pytest.raises(ValueError, match=message):
        make()
