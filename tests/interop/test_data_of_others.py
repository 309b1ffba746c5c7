"""`sl.fit` and what encodes with a genuine data set of Hugging Face `datasets` (extra `interop`), made here."""

import numpy as np
import pytest
import torch
from datasets import Array3D, Dataset, Features, Image, Value
from PIL import Image as Picture

import sculptlab as sl

OPTIONS = {"steps": 12, "batch_size": 32, "device": "cpu", "progress": False, "seed": 2}
ROWS = np.random.default_rng(0).random((90, 1, 8, 8)).astype(np.float32)
BYTES = np.random.default_rng(1).integers(0, 256, (90, 8, 8, 3), dtype=np.uint8)


def model(channels):
    return sl.build_autoencoder("mlp", image_shape=(channels, 8, 8), dim=2, width=16)


def arrays():
    features = Features({"image": Array3D((1, 8, 8), "float32"), "label": Value("int64")})
    return Dataset.from_dict({"image": list(ROWS), "label": list(range(90))}, features=features)


@pytest.mark.parametrize("kind", ["torch", "numpy", None])
def test_rows_give_the_bits_of_the_array(kind):
    data = arrays().with_format(kind)
    expected, found = (sl.fit(model(1), images, sl.objectives.MMD("uniform"), **OPTIONS) for images in (ROWS, data))
    assert torch.equal(torch.as_tensor(found.encode(data)), torch.as_tensor(expected.encode(ROWS)))
    assert torch.equal(torch.as_tensor(sl.latents(found, data)["codes"]), torch.as_tensor(expected.encode(ROWS)))


def test_pictures_are_read_as_bytes():
    data = Dataset.from_dict({"img": [Picture.fromarray(rows) for rows in BYTES]}, features=Features({"img": Image()}))
    run = sl.fit(model(3), data, sl.objectives.MMD("uniform"), **OPTIONS)
    assert torch.equal(torch.as_tensor(run.encode(data)), torch.as_tensor(run.encode(BYTES.transpose(0, 3, 1, 2).copy())))


def test_a_stream_is_trained_on():
    run = sl.fit(model(1), arrays().with_format("torch").to_iterable_dataset(), sl.objectives.MMD("uniform"), **OPTIONS)
    assert run.steps == 12
    assert len(run.encode(arrays().with_format("torch").to_iterable_dataset())) == 90


def test_the_estimator_reads_it():
    fitted = sl.SculptedAutoencoder(max_iter=3).fit(arrays().with_format("torch"))
    assert fitted.transform(arrays().with_format("torch")).shape == (90, 2)
