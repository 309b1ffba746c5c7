"""Principal components: the exact ones, Pythagoras, bytes, an autoencoder trained on them, bad input."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import sculptlab as sl
from sculptlab.series.studies.principal_components import PrincipalComponents


def rows(n=200, d=12, seed=0):
    """Columns of spread 1, 1/2, 1/3 …, turned at random and moved off the origin."""
    generator = torch.Generator().manual_seed(seed)
    turn = torch.linalg.qr(torch.randn(d, d, generator=generator)).Q
    return torch.randn(n, d, generator=generator) / torch.arange(1, d + 1) @ turn + 3.0


@pytest.mark.parametrize("k", [1, 3, 12])
def test_they_are_the_exact_ones(k):
    """The first right singular vectors of the centered rows, up to sign."""
    x = rows()
    found = PrincipalComponents.fit(x, k)
    exact = torch.linalg.svd(x.double() - x.double().mean(0), full_matrices=False).Vh[:k].float()
    assert torch.allclose((found.basis @ exact.T).abs(), torch.eye(k), atol=2e-3)
    assert torch.allclose(found.mean, x.mean(0), atol=1e-5)
    assert (found.basis.shape, found.pixels) == ((k, 12), 12)


def test_what_is_lost_is_the_variance_left_out():
    x = rows()
    spectrum = torch.linalg.svdvals(x.double() - x.double().mean(0)).square() / x.numel()
    for k in (1, 5, 11):
        assert PrincipalComponents.fit(x, k).lost(x) == pytest.approx(spectrum[k:].sum().item(), rel=1e-3)
    assert PrincipalComponents.fit(x, 12).lost(x) == pytest.approx(0.0, abs=1e-6)


def test_there_and_back():
    x = rows()
    found = PrincipalComponents.fit(x, 12)
    assert torch.allclose(found.restore(found.project(x)), x, atol=1e-4)
    some = PrincipalComponents.fit(x, 4)
    once = some.restore(some.project(x))
    assert torch.allclose(some.restore(some.project(once)), once, atol=1e-4)  # a projection
    assert some.lost(x) == pytest.approx((once - x).square().mean().item(), rel=1e-3)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 1000), n=st.integers(5, 40), d=st.integers(2, 10), k=st.integers(1, 5))
def test_an_orthonormal_basis_keeps_distances_within_it(seed, n, d, k):
    k = min(k, n, d)
    found = PrincipalComponents.fit(rows(n, d, seed), k)
    assert torch.allclose(found.basis @ found.basis.T, torch.eye(k), atol=1e-4)
    a, b = torch.randn(2, 6, k, generator=torch.Generator().manual_seed(seed))
    assert torch.allclose((found.restore(a) - found.restore(b)).norm(dim=1), (a - b).norm(dim=1), rtol=1e-3)


def test_pythagoras(digits):
    """The error of whole images is the error within the basis plus what the basis lost: the two are at right angles."""
    found = PrincipalComponents.fit(digits, 10)
    kept = found.project(digits)
    model = sl.build_autoencoder("mlp", image_shape=(10,), dim=2, width=16, output="linear")
    run = sl.fit(model, kept, sl.objectives.Reconstruction(), steps=30, device="cpu", progress=False)
    whole = found.restore(run.reconstruct(kept)) - digits.images.flatten(1)
    assert found.error(run, digits) == pytest.approx(whole.square().mean().item(), rel=1e-4)
    held_out = torch.rand(50, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    whole = found.restore(run.reconstruct(found.project(held_out))) - held_out.flatten(1)
    assert found.error(run, held_out) == pytest.approx(whole.square().mean().item(), rel=1e-4)


def test_a_loss_on_the_components_has_the_gradient_of_one_on_the_images(digits):
    found = PrincipalComponents.fit(digits, 6)
    prediction = torch.randn(len(digits.images), 6, generator=torch.Generator().manual_seed(0)).requires_grad_()
    (one,) = torch.autograd.grad((prediction - found.project(digits)).square().sum(), prediction)
    (two,) = torch.autograd.grad((found.restore(prediction) - digits.images.flatten(1)).square().sum(), prediction)
    assert torch.allclose(one, two, atol=1e-3)


def test_bytes_arrays_and_datasets_alike(digits):
    images = (digits.images * 255).round().to(torch.uint8)
    found = PrincipalComponents.fit(images, 5)
    for same in (images.float() / 255, images.numpy(), (images.double() / 255).numpy()):
        other = PrincipalComponents.fit(same, 5)
        assert torch.allclose(other.basis, found.basis, atol=1e-4)
        assert torch.allclose(other.project(same), found.project(images), atol=1e-4)
        assert other.lost(same) == pytest.approx(found.lost(images), rel=1e-4)
    assert torch.equal(PrincipalComponents.fit(digits, 5).basis, PrincipalComponents.fit(digits.images, 5).basis)


def test_the_same_seed_gives_the_same_bits(digits):
    assert torch.equal(PrincipalComponents.fit(digits, 5, seed=3).basis, PrincipalComponents.fit(digits, 5, seed=3).basis)


def test_numpys_global_generator_is_left_alone(digits):
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    PrincipalComponents.fit(digits, 5)
    assert (np.random.get_state()[1] == before).all()  # noqa: NPY002


@pytest.mark.parametrize(
    ("images", "components", "error", "words"),
    [
        (rows(10, 4), 5, ValueError, "components must be at most 4"),
        (rows(3, 12), 4, ValueError, "components must be at most 3"),
        (rows(10, 4), 0, ValueError, "components must be at least 1"),
        (rows(10, 4), 2.0, TypeError, "components must be a whole number"),
        (rows(10, 4) / 0.0, 2, ValueError, "NaN or infinite"),
        (torch.zeros(10), 2, ValueError, r"must have shape \(n, ...\)"),
        (torch.zeros(0, 4), 1, ValueError, "at least one row"),
        (torch.zeros(10, 4, dtype=torch.int64), 2, TypeError, "must be uint8 or floats"),
        ([["a", "b"]], 1, TypeError, "real numbers"),
    ],
)
def test_bad_input_is_named(images, components, error, words):
    with pytest.raises(error, match=words):
        PrincipalComponents.fit(images, components)


@pytest.mark.parametrize("width", [1, 3, 5])  # 1 would broadcast
def test_images_of_another_size_are_refused(width):
    found = PrincipalComponents.fit(rows(10, 4), 2)
    for use in (found.project, found.lost):
        with pytest.raises(ValueError, match=f"images must have 4 pixels as those of the basis, got {width}"):
            use(torch.zeros(5, width))
