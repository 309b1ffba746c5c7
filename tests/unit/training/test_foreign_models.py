import pytest
import torch
from torch import nn

import sculptlab as sl

MMD = sl.objectives.MMD("gaussian")
QUICK = {"steps": 4, "batch_size": 64, "device": "cpu", "progress": False}


class Own(nn.Module):
    """A linear autoencoder of digits, without any attribute that ours have."""

    def __init__(self, shape=(1, 8, 8), encoding=lambda z: z):
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            self.down, self.up = nn.Linear(64, 2), nn.Linear(2, 64)
        self.shape, self.encoding = shape, encoding

    def encode(self, x):
        return self.encoding(self.down(x.flatten(1)))

    def decode(self, z):
        return self.up(z).unflatten(1, self.shape)


@pytest.mark.parametrize("objective", [MMD, sl.objectives.MMD("gaussian", likelihood="bernoulli")])
def test_a_decoder_of_another_shape_is_refused(digits, objective):
    with pytest.raises(ValueError, match=r"images' shape \(n, 1, 8, 8\), a Own made \(64, 8, 8\) for 64 images"):
        sl.fit(Own((8, 8)), digits, objective, **QUICK)


def test_a_decoder_of_one_column_is_refused_for_a_table():
    model = sl.build_autoencoder("mlp", image_shape=(5,), dim=2, width=8, output="linear")
    with torch.random.fork_rng(devices=[]):
        model.decoder = nn.Linear(2, 1)
    table = torch.randn(100, 5, generator=torch.Generator().manual_seed(0))
    with pytest.raises(ValueError, match=r"shape \(n, 5\), a Autoencoder made \(64, 1\)"):
        sl.fit(model, table, MMD, **QUICK)
    run = sl.fit(model, table, lambda model, x, generator: model.encode(x).square().mean(), **QUICK)
    for measure in (run.reconstruct, run.reconstruction_error):
        with pytest.raises(ValueError, match=r"shape \(n, 5\), a Autoencoder made \(100, 1\)"):
            measure(table)


def test_an_encoder_of_means_and_log_variances_trains_with_kl(digits):
    model = Own(encoding=lambda z: (z, z - 3))
    run = sl.fit(model, digits, sl.objectives.KL(beta=0.1), **QUICK)
    assert {"kl", "loss"} <= set(run.history)
    assert list(run.codes(digits)) == ["means", "samples"]
    with pytest.raises(ValueError, match=r"needs a stochastic encoder: Own.encode gave codes alone"):
        sl.fit(Own(), digits, sl.objectives.KL(), **QUICK)


def with_frozen_weights():
    return Own().requires_grad_(False)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: nn.Sequential(nn.Flatten(), nn.Linear(64, 2)), "Sequential"),
        (lambda: nn.DataParallel(Own()), "DataParallel"),
        (lambda: nn.Identity(), "a Identity without parameters has none"),
        (with_frozen_weights, "all of Own are frozen"),
        (lambda: Own(encoding=lambda z: z[:, :, None, None]), "feature maps"),
        (lambda: Own().to("meta"), "on the device 'meta'"),
    ],
)
def test_a_model_that_cannot_be_trained_is_named(digits, make, words):
    with pytest.raises((TypeError, ValueError), match=words), torch.random.fork_rng(devices=[]):
        sl.fit(make(), digits, MMD, **QUICK)


def test_a_prior_of_another_dimension_is_named_before_training(digits):
    with pytest.raises(ValueError, match="2"):
        sl.fit(Own(), digits, sl.objectives.MMD(sl.priors.Gaussian(3)), **QUICK)


def test_fit_inside_no_grad_is_the_same(digits):
    def weights():
        model = sl.build_autoencoder("mlp", image_shape=(1, 8, 8), dim=2, width=8)
        sl.fit(model, digits, MMD, **QUICK)
        return torch.cat([weight.flatten() for weight in model.parameters()])

    with torch.no_grad():
        inside = weights()
    assert torch.equal(inside, weights())
    with torch.inference_mode(), pytest.raises(ValueError, match="inference_mode"):
        weights()


@pytest.mark.parametrize("defaults", [(torch.float64, "cpu"), (torch.float32, "meta")])
def test_default_dtype_and_device_change_nothing(digits, defaults):
    def weights():
        model = sl.build_autoencoder("mlp", image_shape=(1, 8, 8), dim=2, width=8)
        state = {name: weight.clone() for name, weight in model.state_dict().items()}

        def train():
            model.load_state_dict(state)
            run = sl.fit(model, digits, MMD, **QUICK)
            return run.encode(digits)

        return train

    train = weights()
    expected = train()
    try:
        torch.set_default_dtype(defaults[0])
        torch.set_default_device(defaults[1])
        found = train()
    finally:
        torch.set_default_dtype(torch.float32)
        torch.set_default_device(None)
    assert torch.equal(found, expected)


class Wrapped(Own):
    """The same network, which returns its codes in a mapping and its images in a tuple."""

    def encode(self, x):
        found = super().encode(x)
        return {"z": found} if isinstance(found, torch.Tensor) else dict(zip(("mu", "logvar"), found, strict=True))

    def decode(self, z):
        return (super().decode(z),)


IMAGES = torch.rand(40, 1, 8, 8, generator=torch.Generator().manual_seed(0))
SEEDED = torch.Generator().manual_seed(0)
CLASSES = sl.priors.Conditional({0: sl.priors.Gaussian(2), 1: sl.priors.Uniform(2)})


@pytest.mark.parametrize(
    "objective",
    [
        sl.objectives.Anchors(IMAGES[:4], torch.zeros(4, 2)),
        sl.objectives.LabeledMMD(CLASSES, IMAGES, torch.arange(40) % 2),
        sl.objectives.Isometry(),
        MMD + sl.objectives.Predictability(),
    ],
    ids=lambda objective: type(objective).__name__,
)
def test_objectives_that_use_the_model_read_whatever_it_returns(objective):
    plain, wrapped = Own(), Wrapped()
    wrapped.load_state_dict(plain.state_dict())
    first, second = (sl.fit(model, IMAGES, objective, **QUICK | {"batch_size": 32}) for model in (plain, wrapped))
    assert second.history.drop(columns="seconds").equals(first.history.drop(columns="seconds"))


@pytest.mark.parametrize("make", [Wrapped, lambda: Wrapped(encoding=lambda z: (z, z - 1))], ids=["codes", "posterior"])
def test_the_codes_of_any_model_are_copied_to(make):
    images = IMAGES.repeat(5, 1, 1, 1)
    found = sl.copy_latents(sl.priors.Ring().sample(200, SEEDED), make(), images, steps=2, device="cpu", progress=False)
    assert found.run.encode(images).shape == (200, 2)
    assert [*found.run.codes(images)] == (["codes"] if make is Wrapped else ["means", "samples"])


@pytest.mark.parametrize("layer", [nn.BatchNorm1d(2), nn.Dropout(0.5)], ids=lambda layer: type(layer).__name__)
def test_a_run_whose_model_is_in_train_mode_encodes_as_in_eval_mode(layer):
    with torch.random.fork_rng(devices=[]):  # dropout draws from the global generator in training
        run = sl.fit(Own(encoding=layer), IMAGES, MMD, **QUICK | {"batch_size": 32})
    codes, error, weights = run.encode(IMAGES), run.reconstruction_error(IMAGES), run.export()
    run.model.train()
    assert torch.equal(run.encode(IMAGES), codes)
    assert run.reconstruction_error(IMAGES) == error
    assert all(torch.equal(value, weights[name]) for name, value in run.export().items())
    assert run.model.training


def test_bfloat16_codes_of_arrays_are_arrays_of_float32():
    run = sl.fit(Own().bfloat16(), IMAGES, MMD, **QUICK | {"batch_size": 32})
    codes = run.encode(IMAGES.numpy())
    assert codes.dtype == "float32"
    assert torch.equal(torch.from_numpy(codes), run.encode(IMAGES).float())


def test_codes_of_another_number_of_columns_are_not_decoded():
    with pytest.raises(ValueError, match=r"codes must have 2 column\(s\), got 5"):
        sl.fit(Own(), IMAGES, MMD, **QUICK | {"batch_size": 32}).decode(torch.zeros(3, 5))


class WithoutGraph(Own):
    @torch.no_grad()
    def encode(self, x):
        return super().encode(x)

    @torch.no_grad()
    def decode(self, z):
        return super().decode(z)


def test_a_model_that_leaves_the_graph_is_named():
    with pytest.raises(ValueError, match="something in WithoutGraph or the objective leaves the graph"):
        sl.fit(WithoutGraph(), IMAGES, MMD, **QUICK | {"batch_size": 32})


def test_a_model_with_lazy_layers_is_named():
    with pytest.raises(ValueError, match="model must have made its lazy layers: call this LazyLinear on a few images"):
        sl.fit(nn.LazyLinear(2), IMAGES, MMD, **QUICK)
