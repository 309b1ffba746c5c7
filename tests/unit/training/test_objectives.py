import math

import pytest
import torch

from sculptlab.priors import Gaussian
from sculptlab.training import objectives as o
from sculptlab.training.models import build_autoencoder
from sculptlab.training.objectives.divergences import kl_to_standard_normal

X = torch.rand(16, 1, 8, 8, generator=torch.Generator().manual_seed(0))


def terms(objective, model, images=X, rows=1000, seed=0):
    batch = objective.batch(model, images, rows, torch.Generator().manual_seed(seed))
    return objective.terms(batch, objective.companions(model.dim)), batch


ALL = [o.KL(beta=4), o.BetaTC(beta=3), o.DIP(weight=2), o.DIP(weight=2, kind="II"), o.FactorVAE(gamma=3, width=8, depth=2),
       o.InfoVAE(alpha=0.5, lambda_=10)]  # fmt: skip
ANY_ENCODER = [o.MMD(Gaussian(2)), o.MMD(Gaussian(2), views="pairs"), o.EnergyDistance(Gaussian(2)),
               o.SlicedWasserstein(Gaussian(2)), o.Predictability(width=8)]  # fmt: skip
DRAW_ANEW = (o.InfoVAE, o.MMD, o.SlicedWasserstein)  # at each call of `regularizers`


@pytest.fixture(autouse=True)
def _seeded():
    """The discriminator takes its weights from the global generator, which `fit` forks; here the test does."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield


def test_gaussian_reconstruction_is_half_the_summed_squares(plain):
    values, batch = terms(o.Reconstruction(), plain)
    by_hand = 0.5 * (plain.decode(batch.codes) - X).square().flatten(1).sum(1).mean()
    assert values["loss"].item() == pytest.approx(by_hand.item(), rel=1e-6)


def test_bernoulli_reconstruction_is_the_summed_cross_entropy(plain):
    values, batch = terms(o.Reconstruction(likelihood="bernoulli"), plain)
    p = plain.decode(batch.codes)
    by_hand = -(X * p.log() + (1 - X) * (1 - p).log()).flatten(1).sum(1).mean()
    assert values["loss"].item() == pytest.approx(by_hand.item(), rel=1e-5)


@pytest.mark.parametrize("objective", [o.Reconstruction(), o.KL(beta=2.0), o.KL(beta=2.0, likelihood="bernoulli")], ids=repr)
def test_terms_do_not_depend_on_the_batch_size(objective, plain, vae):
    """Every term is a mean over images of nats, so a batch repeated four times has the same terms (noise apart)."""
    model = plain if isinstance(objective, o.Reconstruction) else vae
    once, _ = terms(objective, model)
    batch = objective.batch(model, X.repeat(4, 1, 1, 1), 1000, torch.Generator().manual_seed(0))
    four = objective.terms(batch)
    assert four["reconstruction"].item() == pytest.approx(once["reconstruction"].item(), rel=0.05)
    if "kl" in once:
        assert four["kl"].item() == pytest.approx(once["kl"].item(), rel=1e-5)


def test_kl_at_beta_one_is_the_negative_elbo(vae):
    values, batch = terms(o.KL(beta=1.0), vae)
    kl = kl_to_standard_normal(batch.posterior).sum(1).mean()
    constant = 32 * math.log(2 * math.pi)
    log_likelihood = torch.distributions.Normal(vae.decode(batch.codes), 1.0).log_prob(X).flatten(1).sum(1).mean()
    assert values["loss"].item() + constant == pytest.approx((kl - log_likelihood).item(), rel=1e-5)


@pytest.mark.parametrize("objective", [*ALL, *ANY_ENCODER], ids=repr)
def test_loss_is_the_weighted_sum_and_has_gradients(objective, vae):
    values, batch = terms(objective, vae)
    weighted = sum(t.weight * t.value for t in objective.regularizers(batch, objective.companions(vae.dim)))
    if not objective.companions(vae.dim) and not isinstance(objective, DRAW_ANEW):
        assert values["loss"].item() == pytest.approx((values["reconstruction"] + weighted).item(), rel=1e-5)
    values["loss"].backward()
    assert all(torch.isfinite(p.grad).all() for p in vae.parameters())


@pytest.mark.parametrize(
    ("strong", "weak"), [(o.KL(beta=0.0), o.Reconstruction()), (o.BetaTC(beta=1), o.KL(beta=1)), (o.DIP(weight=0), o.KL(beta=1))]
)
def test_special_cases_agree(strong, weak, vae):
    assert terms(strong, vae)[0]["loss"].item() == pytest.approx(terms(weak, vae)[0]["loss"].item(), rel=1e-6)


@pytest.mark.parametrize("objective", ANY_ENCODER, ids=repr)
def test_a_deterministic_encoder_will_do(objective, plain):
    objective.check(plain)
    values, _ = terms(objective, plain)
    values["loss"].backward()
    assert all(torch.isfinite(p.grad).all() for p in plain.parameters())


def test_dip_two_sees_the_samples_covariance(vae):
    one, two = (terms(o.DIP(kind=k, diagonal=0.0), vae)[0]["dip"].item() for k in ("I", "II"))
    assert one == pytest.approx(two)  # off the diagonal, samples and means have the same covariance
    one, two = (terms(o.DIP(kind=k, diagonal=1.0), vae)[0]["dip"].item() for k in ("I", "II"))
    assert one > 1.5 > two  # at the start the means hardly vary (C_ii near 0, penalty near 2), the samples do (near 1)


def test_objectives_add_up(vae):
    both = o.KL(beta=2.0) + o.DIP(weight=3.0)
    first, second, reconstruction = (
        terms(x, vae)[0]["loss"].item() for x in (o.KL(beta=2.0), o.DIP(weight=3.0), o.Reconstruction())
    )
    values, _ = terms(both, vae)
    assert values["loss"].item() == pytest.approx(first + second - reconstruction, rel=1e-5)
    assert list(values) == ["loss", "reconstruction", "kl", "kl_2", "dip"]
    assert both.prior_for(2).dim == 2
    assert set((both + o.FactorVAE()).companions(2)) == {"2:discriminator"}


def test_a_sum_needs_one_likelihood():
    with pytest.raises(ValueError, match="likelihood must be the same"):
        o.KL() + o.DIP(likelihood="bernoulli")


def test_repr_can_be_pasted_back():
    for objective in [*ALL, o.KL(beta=2.0) + o.DIP(weight=3.0)]:
        names = {name: getattr(o, name) for name in ("KL", "BetaTC", "DIP", "FactorVAE", "InfoVAE")}
        assert repr(eval(repr(objective), names)) == repr(objective)


@pytest.mark.parametrize("objective", [*ALL, o.Reconstruction() + o.KL()], ids=repr)
def test_a_deterministic_encoder_is_refused(objective, plain, vae):
    with pytest.raises(ValueError, match="needs a stochastic encoder"):
        objective.check(plain)
    objective.check(vae)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: o.KL(beta=-1), "beta must be >= 0"),
        (lambda: o.KL(beta=math.nan), "beta must be >= 0"),
        (lambda: o.DIP(kind="III"), "kind must be one of"),
        (lambda: o.DIP(weight=-1), "weight must be >= 0"),
        (lambda: o.FactorVAE(gamma=-1), "gamma must be >= 0"),
        (lambda: o.FactorVAE(depth=0), "depth must be at least 1"),
        (lambda: o.InfoVAE(alpha=0, lambda_=0.001), "both coefficients >= 0"),
        (lambda: o.InfoVAE(alpha=2), "both coefficients >= 0"),
        (lambda: o.KL(likelihood="laplace"), "likelihood must be one of"),
    ],
)
def test_bad_settings_are_named(make, words):
    with pytest.raises(ValueError, match=words):
        make()


def test_bernoulli_needs_a_sigmoid():
    model = build_autoencoder("mlp", image_shape=(1, 8, 8), dim=2, output="linear")
    with pytest.raises(ValueError, match="output='sigmoid'"):
        o.Reconstruction(likelihood="bernoulli").check(model)


def test_functions_do_not_add_up():
    function = o.as_objective(lambda model, images, generator: images.mean())
    for pair in ((function, o.KL()), (o.KL(), function)):
        with pytest.raises(TypeError, match="only objectives can be added"):
            pair[0] + pair[1]
    with pytest.raises(TypeError, match="only objectives can be added"):
        o.KL() + 1
    with pytest.raises(TypeError, match="only objectives can be added"):
        1 + o.KL()


def test_sum_adds_objectives_up():
    assert sum([o.KL(), o.DIP()]) == o.KL() + o.DIP()


def test_an_objective_is_not_scaled_as_a_whole():
    for scale in (lambda a: 2 * a, lambda a: a * 2.0, lambda a: a / 2):
        for objective in (o.KL(), o.KL() + o.DIP(), o.as_objective(lambda model, images, generator: images.mean())):
            with pytest.raises(TypeError, match=r"cannot be multiplied or divided: set the weights .* MMD\(prior, weight="):
                scale(objective)


@pytest.mark.parametrize("result", [1.0, {"kl": torch.zeros(())}, torch.zeros(3), {"loss": 1.0}])
def test_a_function_must_return_a_loss(result, plain):
    with pytest.raises(TypeError, match="objective must return a 0-d tensor"):
        terms(o.as_objective(lambda model, images, generator: result), plain)


def test_as_objective_takes_functions_and_refuses_the_rest():
    assert o.as_objective(o.KL()) == o.KL()
    assert isinstance(o.as_objective(lambda model, images, generator: images.mean()), o.Custom)
    for bad in (o.KL, "kl", None):
        with pytest.raises(TypeError, match="objective must be"):
            o.as_objective(bad)
