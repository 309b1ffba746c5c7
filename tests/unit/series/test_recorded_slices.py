"""One small slice of recorded results, computed again from the real image sets.

Training repeats the recorded numbers to their last digit on the machine that recorded them; other processors round differently,
and the differences grow with training. Bounds are 2 % and the spread of the evaluators between two draws of the prior.
"""

import pytest

from sculptlab.series.results import read_result
from sculptlab.series.studies import ablations, kl_failure, prior_gallery, priors
from sculptlab.series.studies.settings import PreparedImages, train_and_test, train_autoencoder
from sculptlab.training.objectives import Reconstruction
from sculptlab.training.objectives.divergences import kl_to_standard_normal

pytestmark = [pytest.mark.real_data, pytest.mark.usefixtures("real")]


def recorded(name, query):
    """The first recorded row that a query finds."""
    return read_result(name).frame.query(query).iloc[0]


def test_a_beta_vae_of_page_01():
    training, held_out = train_and_test("fashion_mnist")
    objective = kl_failure.beta_sweep()["beta 1"]
    run = train_autoencoder(training, objective, dim=2, steps=1500, width=128, stochastic=True, seed=0)
    row = recorded("kl_failure_fashion_mnist", "dim == 2 and objective == 'beta 1' and seed == 0")
    assert held_out.images.var(0, correction=0).mean().item() == pytest.approx(row["baseline_mse"], rel=1e-4)
    assert run.reconstruction_error(held_out) == pytest.approx(row["reconstruction_mse"], rel=0.02)
    assert kl_to_standard_normal(run.posterior(held_out)).mean(0).sum().item() == pytest.approx(row["kl"], rel=0.02)


def test_a_ring_of_page_05():
    ring = {"Ring": prior_gallery.gallery_priors()["Ring"]}
    (found,) = priors.train_to_priors(ring, priors.SETTINGS["fashion_mnist"], [0], plain=False, progress=False).iloc
    row = recorded("priors_fashion_mnist", "prior == 'Ring' and seed == 0")
    assert found["reconstruction_mse"] == pytest.approx(row["reconstruction_mse"], rel=0.02)
    assert found["off_support"] == pytest.approx(row["off_support"], abs=0.02)
    assert found["c2st"] == pytest.approx(row["c2st"], abs=0.05)


def test_a_plain_autoencoder_of_page_04():
    images = PreparedImages.of(ablations.COMPONENTS)
    row = recorded("ablations_cifar10", "hyperparameter == 'base' and condition == 'no regularizer' and seed == 0")
    assert images.error(images.train(Reconstruction(), 0)) == pytest.approx(row["reconstruction_mse"], rel=0.02)
