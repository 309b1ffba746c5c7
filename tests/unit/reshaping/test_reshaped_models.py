"""Models with a reshaper inside, and `run.reshape`."""

import copy
import pickle

import pytest
import torch

import sculptlab as sl
from sculptlab.evaluation import compression
from sculptlab.reshaping import Reshaper, reshaped
from sculptlab.reshaping.models import rebuilt


@pytest.fixture(scope="module")
def digits():
    return sl.load("digits")


@pytest.fixture(scope="module")
def run(digits):
    model = sl.build_autoencoder("mlp", image_shape=(1, 8, 8), dim=2, width=32)
    return sl.fit(model, digits, sl.objectives.Reconstruction(), steps=150, progress=False)


@pytest.fixture(scope="module")
def uniform(run):
    return run.reshape("uniform", max_iter=200)


def test_a_reshaped_run_has_the_prior_and_the_same_error(run, uniform, digits):
    z = uniform.encode(digits)
    assert z.abs().max() < 3**0.5 + 1e-6
    assert (
        sl.mmd_test(z[:900], sl.priors.Uniform(2).sample(900, torch.Generator().manual_seed(0)), permutations=100).p_value > 0.01
    )
    assert uniform.reconstruction_error(digits) == pytest.approx(run.reconstruction_error(digits), rel=1e-5)
    assert torch.allclose(uniform.decode(z), run.reconstruct(digits), atol=1e-4)
    assert torch.equal(run.encode(digits), uniform.model.model.encode(digits.images).detach())  # the first run is unchanged


def test_images_are_decoded_from_draws_of_the_new_prior(uniform):
    drawn = uniform.objective.sampling_prior(2, uniform.model, {}).sample(5, torch.Generator().manual_seed(3))
    assert torch.equal(uniform.sample(5, seed=3), uniform.decode(drawn))
    assert "ReshapedObjective(" in repr(uniform)
    assert "prior=Uniform(dim=2" in repr(uniform)


def test_a_reshaped_run_is_copied_pickled_diagnosed_and_compressed(uniform, digits):
    for other in (copy.deepcopy(uniform), pickle.loads(pickle.dumps(uniform))):
        assert torch.equal(other.encode(digits), uniform.encode(digits))
    assert sl.diagnose(uniform.model, "uniform", data=digits).effects is not None
    assert set(sl.latents(uniform.model, digits)) == {"codes"}
    assert len(compression.rate_distortion(uniform, digits, digits, bits=(3,))) == 1


def test_a_saved_run_is_loaded_into_a_model_of_the_same_structure(uniform, digits, tmp_path):
    empty = copy.deepcopy(uniform.model)
    for tensor in empty.state_dict().values():
        tensor.zero_()
    loaded = sl.load_run(uniform.save(tmp_path / "run.safetensors"), model=empty, objective=uniform.objective, device="cpu")
    assert torch.equal(loaded.encode(digits), uniform.encode(digits))
    assert torch.equal(loaded.sample(3), uniform.sample(3))


@pytest.mark.parametrize("prior", [
    "uniform", "gaussian", sl.priors.Ring(), sl.priors.Copula([sl.priors.Uniform(1), sl.priors.Laplace(1)], [[1, 0.5], [0.5, 1]]),
])  # fmt: skip
def test_a_saved_run_is_built_again(run, digits, tmp_path, prior):
    made = run.reshape(prior, digits, max_iter=30)
    loaded = sl.load_run(made.save(tmp_path / "run.safetensors"), device="cpu")
    assert torch.equal(loaded.encode(digits), made.encode(digits))
    assert torch.equal(loaded.decode(loaded.encode(digits)), made.decode(made.encode(digits)))
    assert torch.equal(loaded.sample(3), made.sample(3))
    assert repr(loaded.objective) == repr(made.objective)
    assert not any(parameter.requires_grad for parameter in loaded.model.map.parameters())


def test_a_saved_run_of_a_prior_from_samples_needs_a_prior_to_sample(run, digits, tmp_path):
    bank = torch.randn(900, 2, generator=torch.Generator().manual_seed(0))
    made = run.reshape(bank, digits, max_iter=30)
    loaded = sl.load_run(made.save(tmp_path / "run.safetensors"), device="cpu")
    assert torch.equal(loaded.encode(digits), made.encode(digits))
    with pytest.raises(ValueError, match="prior must be given"):
        loaded.sample(3)
    assert torch.equal(loaded.sample(3, prior=bank), made.sample(3, prior=bank))


def test_dependent_columns_come_back_from_a_file(tmp_path, digits):
    model = sl.build_autoencoder("mlp", image_shape=(1, 8, 8), dim=3, width=16)
    with torch.no_grad():
        last = [part for part in model.encoder.modules() if isinstance(part, torch.nn.Linear)][-1]
        last.weight[2], last.bias[2] = last.weight[0] + last.weight[1], 0
    run = sl.fit(model, digits, sl.objectives.Reconstruction(), steps=1, learning_rate=1e-12, progress=False)
    with pytest.warns(UserWarning, match="rank 2 of 3"):
        made = run.reshape("gaussian", digits, max_iter=30)
    loaded = sl.load_run(made.save(tmp_path / "run.safetensors"), device="cpu")
    assert loaded.model.dim == 2
    assert torch.equal(loaded.reconstruct(digits), made.reconstruct(digits))


@pytest.mark.parametrize("change", [
    lambda about: about.pop("map"), lambda about: about["map"].update(kind="Module"), lambda about: about.update(reshaped=3),
    lambda about: about["map"]["maps"][0].pop("tensors"), lambda about: about["map"].pop("maps"),
])  # fmt: skip
def test_a_changed_structure_is_named(uniform, change):
    about = copy.deepcopy(uniform.model.built_with)
    change(about)
    with pytest.raises(ValueError, match="its model is not that of a reshaped run"):
        rebuilt(about)


def test_means_or_samples_of_a_stochastic_encoder_are_reshaped(digits):
    model = sl.build_autoencoder("mlp", image_shape=(1, 8, 8), dim=2, width=32, stochastic=True)
    vae = sl.fit(model, digits, sl.objectives.KL(0.01), steps=100, progress=False)
    by_means, by_samples = (vae.reshape("gaussian", codes=kind, max_iter=50) for kind in ("means", "samples"))
    assert set(by_means.codes(digits)) == {"codes"}
    assert not torch.allclose(by_means.encode(digits), by_samples.encode(digits))
    with pytest.raises(ValueError, match="codes must be one of"):
        vae.reshape("gaussian", codes="mean")


def test_a_run_that_was_loaded_needs_data(run, digits):
    loaded = pickle.loads(pickle.dumps(run))
    with pytest.raises(ValueError, match="data must be given: a run that was loaded, copied or unpickled"):
        loaded.reshape("gaussian")
    assert loaded.reshape("gaussian", digits, max_iter=5).dim == 2


class Foreign(torch.nn.Module):
    def __init__(self):
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(0)
            self.down, self.up = torch.nn.Linear(64, 4), torch.nn.Linear(2, 64)

    def encode(self, images):
        return self.down(images.flatten(1)).chunk(2, 1)

    def decode(self, codes):
        return {"sample": self.up(codes).reshape(-1, 1, 8, 8)}


def test_a_model_of_ones_own_is_reshaped_and_trains_through_the_map(digits):
    model = Foreign()
    reshaper = Reshaper("uniform", max_iter=20).fit(sl.latents(model, digits)["means"])
    with_map = reshaped(model, reshaper)
    images = digits.images[:50]
    means = model.encode(images)[0]
    assert torch.allclose(with_map.encode(images), torch.from_numpy(reshaper.transform(means)), atol=1e-6)
    assert torch.allclose(with_map(images), model.decode(means)["sample"], atol=1e-5)
    sl.mmd2(with_map.encode(images), sl.priors.Uniform(2).sample(50, torch.Generator().manual_seed(0))).backward()
    assert model.down.weight.grad.isfinite().all()
    assert model.down.weight.grad.abs().max() > 0
    assert all(parameter.grad is None for parameter in with_map.map.parameters())


def test_what_cannot_be_inside_a_model_is_refused(digits):
    model, codes = Foreign(), torch.randn(60, 2, generator=torch.Generator().manual_seed(0))
    with pytest.raises(TypeError, match="reshaper must be a Reshaper"):
        reshaped(model, "uniform")
    with pytest.raises(ValueError, match="must be fitted first"):
        reshaped(model, Reshaper())
    labels = [0, 1] * 30
    with pytest.raises(ValueError, match="one prior for all codes"):
        reshaped(model, Reshaper({0: sl.priors.Gaussian(2), 1: sl.priors.Gaussian(2)}, max_iter=5).fit(codes, labels))


def test_a_reshaper_of_other_codes_is_refused_and_single_precision_is_enough(digits):
    model, codes = Foreign(), torch.randn(200, 3, generator=torch.Generator().manual_seed(0))
    with pytest.raises(ValueError, match=r"codes must have the 3 column\(s\) of the fit, got 2"):
        reshaped(model, Reshaper(max_iter=5).fit(codes)).encode(digits.images[:4])
    single = reshaped(model, Reshaper(max_iter=5).fit(codes[:, :2])).float()
    assert single.encode(digits.images[:4]).dtype == torch.float32


def test_what_is_no_model_and_another_name_of_the_seed_are_refused(run, digits):
    reshaper = Reshaper(max_iter=2).fit(run.encode(digits))
    with pytest.raises(TypeError, match="model must be a torch module"):
        reshaped(None, reshaper)
    with pytest.raises(TypeError, match="takes seed, not random_state"):
        run.reshape("gaussian", random_state=3)
