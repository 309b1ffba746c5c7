"""Objectives that own state, written as a user would: a learned prior, pseudo-inputs, a codebook, a momentum encoder."""

import copy
from dataclasses import dataclass
from typing import Any

import pytest
import torch

import sculptlab as sl
from sculptlab.training import objectives as o
from sculptlab.training.state import Training

IMAGES = torch.rand(64, 1, 4, 4, generator=torch.Generator().manual_seed(0))
OPTIONS = {"batch_size": 16, "scheduler": "constant", "device": "cpu", "progress": False}


def mlp(**options):
    return sl.build_autoencoder("mlp", **{"image_shape": (1, 4, 4), "dim": 2, "width": 16} | options)


class Components(o.Companion):
    joins_model = True

    def __init__(self, dim, count):
        super().__init__()
        self.means = torch.nn.Parameter(torch.linspace(-2, 2, count * dim).reshape(count, dim))


@dataclass(frozen=True)
class LearnedPrior(o.Objective):
    """-log p(z) of a mixture of normal distributions whose means are learned with the model."""

    count: int = 3

    def companions(self, dim):
        return {"components": Components(dim, self.count)}

    def regularizers(self, batch, companions):
        distances = torch.cdist(batch.codes, companions["components"].means).square()
        yield o.Term("prior", 1.0, -(-0.5 * distances).logsumexp(1).mean())

    def sampling_prior(self, dim, model, companions):
        return sl.priors.GaussianMixture(companions["components"].means.detach().cpu())


class PseudoInputs(o.Companion):
    joins_model = True

    def __init__(self, images):
        super().__init__()
        self.images = torch.nn.Parameter(images.clone())


@dataclass(frozen=True, eq=False)
class VampPrior(o.Objective):
    """log q(z|x) - log of the mean posterior of pseudo-inputs, which the encoder encodes at each step."""

    start: Any
    needs_posterior = needs_model = True

    def __repr__(self):
        return f"VampPrior({len(self.start)})"

    def companions(self, dim):
        return {"inputs": PseudoInputs(self.start)}

    def regularizers(self, batch, companions):
        def log_density(mean, log_variance):
            return -0.5 * ((batch.codes[:, None] - mean).square() * (-log_variance).exp() + log_variance).sum(2)

        inner = batch.model.posterior(companions["inputs"].images)
        own = log_density(batch.posterior.mean[:, None], batch.posterior.log_variance[:, None])[:, 0]
        yield o.Term("kl", 1.0, (own - log_density(inner.mean, inner.log_variance).logsumexp(1)).mean())

    def sampling_prior(self, dim, model, companions):
        with torch.no_grad():
            inner = model.posterior(companions["inputs"].images)
        return sl.priors.GaussianMixture(inner.mean, inner.log_variance.exp().diag_embed())


class Codebook(o.Companion):
    def __init__(self, dim, count):
        super().__init__()
        self.vectors = torch.nn.Buffer(torch.linspace(-1, 1, count * dim).reshape(count, dim))

    def nearest(self, codes):
        return torch.cdist(codes, self.vectors).argmin(1)

    def refresh(self, codes, model, generator):
        chosen = torch.nn.functional.one_hot(self.nearest(codes), len(self.vectors)).to(codes)
        counts, used = chosen.sum(0)[:, None], (chosen.sum(0) > 0)[:, None]
        self.vectors.lerp_(torch.where(used, chosen.T @ codes / counts.clamp_min(1), self.vectors), 0.1)


@dataclass(frozen=True)
class Quantized(o.Objective):
    """Codes are replaced by the nearest vector of a codebook, which follows them; gradients pass straight through."""

    count: int = 8

    def companions(self, dim):
        return {"codebook": Codebook(dim, self.count)}

    def decoder_input(self, batch, companions):
        book = companions["codebook"]
        return book.vectors[book.nearest(batch.codes)] + (batch.codes - batch.codes.detach())

    def regularizers(self, batch, companions):
        nearest = self.decoder_input(batch, companions).detach()
        yield o.Term("commitment", 0.25, (batch.codes - nearest).square().sum(1).mean())


class Average(o.Companion):
    def __init__(self, model):
        super().__init__()
        self.model = copy.deepcopy(model).requires_grad_(False)

    def refresh(self, codes, model, generator):
        for mine, other in zip(self.model.parameters(), model.parameters(), strict=True):
            mine.lerp_(other, 0.1)


@dataclass(frozen=True, eq=False)
class Momentum(o.Objective):
    """Codes stay near those of a moving average of the model."""

    start: Any

    def __repr__(self):
        return "Momentum()"

    def companions(self, dim):
        return {"average": Average(self.start)}

    def regularizers(self, batch, companions):
        yield o.Term("momentum", 1.0, (batch.codes - companions["average"].model.encode(batch.images)).square().sum(1).mean())


KINDS = {
    "learned prior": lambda: LearnedPrior(),
    "pseudo-inputs": lambda: VampPrior(IMAGES[:3]),
    "codebook": lambda: Quantized(),
    "momentum": lambda: Momentum(mlp()),
}


def state(run):
    return torch.nn.ModuleList([run.model, run.companions]).state_dict()


@pytest.mark.parametrize("alone", [True, False], ids=["alone", "in a sum"])
@pytest.mark.parametrize("kind", KINDS)
def test_fit_trains_it_and_a_resumed_run_has_the_same_bits(kind, alone, tmp_path):
    objective = KINDS[kind]() if alone else o.MMD("gaussian", weight=10.0) + KINDS[kind]() + o.Predictability(width=8)
    make = {"stochastic": objective.needs_posterior}
    whole = sl.fit(mlp(**make), IMAGES, objective, steps=12, **OPTIONS)
    sl.fit(mlp(**make), IMAGES, objective, steps=5, checkpoint=tmp_path / "a.pt", **OPTIONS)
    resumed = sl.fit(mlp(seed=9, **make), IMAGES, objective, steps=12, checkpoint=tmp_path / "a.pt", **OPTIONS)
    first = objective.regularizer(2).companions.state_dict()
    expected, found = state(whole), state(resumed)
    assert expected.keys() == found.keys()
    assert all(torch.equal(expected[name], found[name]) for name in expected)
    learned = [name for name in first if not torch.equal(expected[f"1.{name}"], first[name])]
    assert [name for name in learned if "predictors" not in name]
    assert whole.rows[-1]["loss"] < whole.rows[0]["loss"] or not alone
    assert not whole.companions.training


@pytest.mark.parametrize("kind", ["learned prior", "pseudo-inputs"])
def test_samples_come_from_the_learned_prior(kind):
    objective = KINDS[kind]()
    run = sl.fit(mlp(stochastic=objective.needs_posterior), IMAGES, objective, steps=12, **OPTIONS)
    prior = objective.sampling_prior(2, run.model, run.companions)
    assert torch.equal(run.sample(5, seed=3), run.decode(prior.sample(5, generator=torch.Generator().manual_seed(3))))
    both = objective + o.Isometry()
    assert both.sampling_prior(2, run.model, {f"0:{name}": one for name, one in run.companions.items()}) == prior


def test_after_training_codes_are_those_that_are_decoded():
    run = sl.fit(mlp(), IMAGES, Quantized(), steps=12, **OPTIONS)
    codes, vectors = run.encode(IMAGES), run.companions["codebook"].vectors
    assert (codes[:, None] == vectors).all(2).any(1).all()
    assert torch.equal(run.reconstruct(IMAGES), run.decode(codes))
    assert run.reconstruction_error(IMAGES) == pytest.approx((run.decode(codes) - IMAGES).square().mean().item(), rel=1e-5)
    assert torch.equal(run.codes(IMAGES)["codes"], codes)


@pytest.mark.parametrize("kind", KINDS)
def test_training_with_companions_cannot_be_changed(kind):
    objective = KINDS[kind]()
    training = Training(mlp(stochastic=objective.needs_posterior), IMAGES, objective, device="cpu")
    with pytest.raises(ValueError, match="without companions"):
        training.change(objective=o.Reconstruction())
    plain = Training(mlp(stochastic=objective.needs_posterior), IMAGES, o.Reconstruction(), device="cpu")
    with pytest.raises(ValueError, match="without companions"):
        plain.change(objective=objective + o.MMD("gaussian"))


def test_a_learned_prior_trains_in_a_loop_of_ones_own():
    term, model = LearnedPrior().regularizer(2), mlp()
    optimizer = torch.optim.Adam([*model.parameters(), *term.parameters()], lr=1e-2)
    before = term.companions["components"].means.detach().clone()
    term(model.encode(IMAGES)).backward()
    optimizer.step()
    assert not torch.equal(term.companions["components"].means, before)


def test_parameters_that_nothing_trains_are_refused():
    class Idle(LearnedPrior):
        def companions(self, dim):
            (companion := Components(dim, 2)).joins_model = False
            return {"idle": companion}

    with pytest.raises(ValueError, match="companion 'idle' has parameters, so it must have a loss, or joins_model"):
        Idle().regularizer(2)


def test_a_checkpoint_of_an_older_version_is_named(tmp_path):
    path = tmp_path / "a.pt"
    sl.fit(mlp(), IMAGES, o.Reconstruction(), steps=2, checkpoint=path, **OPTIONS)
    content = torch.load(path, weights_only=True)
    del content["state"]["regularizer"]
    torch.save(content, path)
    model = mlp(seed=4)
    before = model.encoder[1].weight.detach().clone()
    with pytest.raises(ValueError, match="cannot be read as a checkpoint of fit"):
        sl.fit(model, IMAGES, o.Reconstruction(), steps=3, checkpoint=path, **OPTIONS)
    assert torch.equal(model.encoder[1].weight, before)


def test_what_an_objective_holds_carries_no_graph():
    source, unit = torch.randn(32, 2, generator=torch.Generator().manual_seed(0)).requires_grad_(), torch.ones(2).requires_grad_()
    images = IMAGES[:4].clone().requires_grad_()
    objective = o.Copying(source * 2) + o.Anchors(images * 1, source[:4] * 1, unit=unit * 2)
    sl.fit(mlp(), IMAGES, objective, steps=3, **OPTIONS)
    assert source.grad is None
    assert unit.grad is None
    assert images.grad is None
