"""The Explorer: its state without a display, and its answers to a page."""

import base64
import io

import numpy as np
import pytest
import torch
from matplotlib.image import imread

import sculptlab as sl
from sculptlab.data import Dataset
from sculptlab.live.engine import Engine
from sculptlab.live.explorer import STOPS
from sculptlab.live.frames import frame_message


class Linear(torch.nn.Module):
    """Codes are the first `dim` of 6 pixels; decoding puts them back."""

    dim, stochastic, output, image_shape = 3, False, "sigmoid", (1, 2, 3)

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.eye(6)[:, :3])

    def encode(self, images):
        return images.flatten(1) @ self.weight

    def decode(self, codes):
        return (codes @ self.weight.T).reshape(-1, 1, 2, 3)


@pytest.fixture
def images():
    made = torch.rand(300, 1, 2, 3, generator=torch.Generator().manual_seed(0))
    made[:, 0, 0, 1] = made[:, 0, 0, 0]  # latent 1 is latent 0 again
    return made


@pytest.fixture
def run():
    return sl.Run(Linear(), sl.objectives.Reconstruction(), [], seed=0, steps=0)


def test_codes_ranges_and_scores(run, images):
    state = sl.Explorer(run, images)
    assert state.codes.shape == (300, 3)
    assert np.allclose(state.low, 0.01, atol=0.03)
    assert np.allclose(state.high, 0.99, atol=0.03)
    assert state.lps[0] > 0.8
    assert state.lps[1] > 0.8
    assert state.lps[2] < 0.1
    assert state.spec["matrix"][0][1] == 1


def test_a_traversal_moves_one_latent_and_no_other(run, images):
    state = sl.Explorer(run, images)
    paths = state.traversals([0.5, 0.25, 0.75])
    assert paths.shape == (3, STOPS, 3)
    for i in range(3):
        others = [j for j in range(3) if j != i]
        assert np.allclose(paths[i][:, others], np.array([0.5, 0.25, 0.75])[others])
        assert np.allclose(paths[i, [0, -1], i], [state.low[i], state.high[i]])
    decoded = state.decode(paths[2])
    assert decoded.shape == (STOPS, 2, 3, 1)
    assert (np.diff(decoded[:, 0, 2, 0].astype(int)) > 0).all()
    assert (decoded[:, 0, 0, 0] == 128).all()


@pytest.mark.parametrize(
    ("data", "words"),
    [(torch.rand(10, 1, 2, 3), "at least 20 images"), (torch.rand(50, 1, 2, 4), "data must have shape")],
)
def test_unusable_data_is_refused(run, data, words):
    with pytest.raises(ValueError, match=words):
        sl.Explorer(run, data)


class Foreign(torch.nn.Module):
    """Somebody else's model of images in [-1, 1]: feature maps with a posterior, named outputs, weights of its own type."""

    def __init__(self, channels=1):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones((), dtype=torch.float64))
        self.channels, self.dropout = channels, torch.nn.Dropout()

    def encode(self, images):
        assert images.dtype == torch.float64
        return {"mean": self.dropout(images[:, :1, :, :2]), "std": 0.1}

    def decode(self, codes):
        assert codes.shape[1:] == (1, 2, 2)
        return {"sample": torch.cat([codes, codes[..., :1]], 3).repeat(1, self.channels, 1, 1), "loss": None}


@pytest.mark.parametrize("channels", [1, 3])
def test_a_model_of_others(channels):
    images = 2 * torch.rand(50, channels, 2, 3, generator=torch.Generator().manual_seed(0)) - 1
    model = Foreign(channels)
    explorer = sl.Explorer(model, images.numpy())
    assert explorer.codes.shape == (50, 4)
    assert {tuple(code) for code in explorer.codes} == {tuple(code) for code in images[:, 0, :, :2].flatten(1).numpy()}
    shades = explorer.decode(np.array([[images.min(), 1.0, 0, 0]]))
    assert shades.shape == (1, 2, 3, channels)
    assert shades[0, 0, :, 0].tolist() == [0, 255, 0]
    assert explorer.traversals(explorer.a).shape == (4, STOPS, 4)
    assert model.dropout.training


def test_the_run_and_its_model_give_the_same(run, images):
    given = sl.Explorer(run, images), sl.Explorer(run.model, images)
    assert np.array_equal(*(explorer.codes for explorer in given))
    assert np.array_equal(*(explorer.decode(explorer.codes) for explorer in given))


@pytest.mark.parametrize(
    ("model", "error", "words"),
    [
        (torch.nn.Flatten(), TypeError, "model must have a method encode, .*; a Flatten has none"),
        (np.ones((5, 2)), TypeError, "model must be a torch module"),
        (Foreign(3), ValueError, r"model must decode to images \(1, 2, 3\), got \(3, 2, 3\) by Foreign"),
    ],
    ids=str,
)
def test_what_is_no_autoencoder_is_refused(model, error, words, images):
    with pytest.raises(error, match=words):
        sl.Explorer(model, images)


def test_too_many_latents_and_codes_that_are_not_finite(run, images):
    model = Foreign()
    model.encode = lambda x: x.new_zeros(len(x), 5, 4, 4)
    with pytest.raises(ValueError, match=r"at most 64 latents, got \(5, 4, 4\) by Foreign"):
        sl.Explorer(model, images)
    model.encode = lambda x: x.new_full((len(x), 2), torch.nan)
    with pytest.raises(ValueError, match="those of this Foreign are NaN"):
        sl.Explorer(model, images)


class Heard(list):
    def __call__(self, content, buffers=None):
        self.append((content, buffers))


@pytest.fixture
def explorer(run, images):
    made = sl.Explorer(run, images)
    made.heard = Heard()
    made.send = made.heard
    return made


def tell(explorer, **patch):
    explorer.asked = {**explorer.asked, **patch}
    return explorer.heard[-1]


def test_a_page_that_opens_gets_everything(explorer):
    content, buffers = tell(explorer, views=1)
    count = 2 + STOPS + 3 * STOPS
    assert content["shape"] == (count, 2, 3, 1)
    assert list(map(len, buffers)) == [300 * 8, 300 * 8, count * 6]  # of points, labels, images


def test_sliders_clicks_and_pairs(explorer):
    content, buffers = tell(explorer, views=1, revision=1, a=[0.1, 0.2, 0.3], b=[0.9, 0.8, 0.7], pair=[2, 0], active="a")
    assert content["pair"] == [2, 0]
    images = np.frombuffer(buffers[2], np.uint8).reshape(content["shape"])
    assert images[0, 0, :, 0].tolist() == [26, 51, 76]
    assert content["apart"] == pytest.approx((0.8**2 + 0.6**2 + 0.4**2) / 6, abs=0.01)
    points = np.frombuffer(buffers[0], np.float32).reshape(-1, 2)
    assert np.abs(images[2 + STOPS // 2, 0, :, 0] - 127.5).max() <= 1  # halfway on the straight line from A to B
    content, _ = tell(explorer, revision=2, pick=points[11].tolist(), active="b", a=content["a"], b=content["b"])
    assert content["b"] == explorer.codes[11].astype(float).tolist()
    assert content["a"] == [0.1, 0.2, 0.3]


@pytest.mark.parametrize("bad", [{"a": [1, 2]}, {"a": [0, 0, None]}, {"pair": [0, 9]}, {"pair": [0]}, {"b": "x"}])
def test_bad_input_gives_a_notice_and_changes_nothing(explorer, bad):
    before = explorer.a.tolist(), explorer.b.tolist()
    content, _ = tell(explorer, views=1, revision=1, **bad)
    assert content["notice"]
    assert (explorer.a.tolist(), explorer.b.tolist()) == before


def test_late_messages_do_nothing(explorer):
    tell(explorer, views=1, revision=2, a=[0.1, 0.1, 0.1])
    count = len(explorer.heard)
    explorer.asked = {"views": 1, "revision": 1, "a": [0.9, 0.9, 0.9]}
    assert len(explorer.heard) == count
    assert explorer.a.tolist() == [0.1, 0.1, 0.1]


def test_from_python_and_as_a_figure(explorer):
    explorer.compare([0, 0, 0], [1, 1, 1])
    assert explorer.heard[-1][0]["b"] == [1, 1, 1]
    with pytest.raises(ValueError, match=r"3 finite number"):
        explorer.compare([0, 0], [1, 1, 1])
    data, metadata = explorer._repr_mimebundle_()
    assert metadata["image/png"]["alt"].startswith("Each row moves one latent")
    assert imread(io.BytesIO(base64.b64decode(data["image/png"]))).std() > 0.05


def test_labels_of_any_size_reach_the_page(digits):
    labels = np.arange(30) + 250
    labels[0] = -1
    data = Dataset("many", digits.images[:30], torch.from_numpy(labels))
    model = sl.build_autoencoder("mlp", image_shape=(1, 8, 8), dim=2)
    explorer, sent = sl.Explorer(sl.fit(model, data, sl.objectives.MMD("uniform"), steps=1, progress=False), data), []
    explorer.send = lambda content, buffers: sent.append(buffers)
    explorer.compare([0, 0], [1, 1])
    assert sorted(np.frombuffer(sent[0][1], np.float64)) == sorted(labels)
    engine = Engine(Dataset("many", digits.images[:200], torch.arange(200) + 200))
    content, buffers = frame_message(engine, None, 3.0, settled=False)
    assert np.array_equal(np.frombuffer(buffers[content["labels"]], np.float64), engine.images.labels.numpy())
