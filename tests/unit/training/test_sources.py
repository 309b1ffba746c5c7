import tracemalloc
import warnings

import h5py
import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset, IterableDataset, Subset, TensorDataset

import sculptlab as sl
from sculptlab.training import sources
from sculptlab.training.sources import as_images, as_source

MMD = sl.objectives.MMD("gaussian")
QUICK = {"steps": 12, "device": "cpu", "progress": False}


class Items(Dataset):
    """A data set that makes each item when it is asked for."""

    def __init__(self, images, item=lambda image, row: (image, row)):
        self.images, self.item = images, item  # an attribute `images` is not what items are

    def __len__(self):
        return len(self.images)

    def __getitem__(self, row):
        return self.item(self.images[row], row)


class Stream(IterableDataset):
    def __init__(self, images):
        self.rows = images

    def __iter__(self):
        return iter(self.rows)


@pytest.fixture
def images(digits):
    return digits.images


@pytest.fixture
def files(images, tmp_path):
    """The same images in files."""
    memory = np.memmap(tmp_path / "a", np.float32, "w+", shape=tuple(images.shape))
    memory[:] = images.numpy()
    memory.flush()
    with h5py.File(tmp_path / "b", "w") as file:
        yield {
            "memmap": np.memmap(tmp_path / "a", np.float32, "r", shape=tuple(images.shape)),
            "torch": torch.from_file(str(tmp_path / "a"), shared=True, size=images.numel()).view(images.shape),
            "hdf5": file.create_dataset("x", data=images.numpy()),
        }


def loader_of(data, batch_size=1):
    """Without a generator of its own, a DataLoader draws from torch's global one."""
    return DataLoader(data, batch_size=batch_size, generator=torch.Generator())


def model_of(images, **options):
    return sl.build_autoencoder("mlp", image_shape=images.shape[1:], dim=2, width=16, **options)


def trained(data, like, **options):
    model = model_of(like)
    run = sl.fit(model, data, MMD, **QUICK | options)
    return run, torch.cat([weight.flatten() for weight in model.parameters()])


def same_as_array(data, images):
    run, weights = trained(data, images, batch_size=64)
    _, expected = trained(images, images, batch_size=64)
    return torch.equal(weights, expected) and torch.equal(torch.as_tensor(run.encode(data)), run.encode(images))


@pytest.mark.parametrize(
    "item",
    [
        lambda image, row: image,
        lambda image, row: (image, row),
        lambda image, row: [image.numpy(), str(row)],
        lambda image, row: {"label": row, "pixel_values": image},
        lambda image, row: {"anything": image.double()},
    ],
)
def test_a_data_set_of_items_trains_and_encodes_as_the_array_does(images, item):
    assert same_as_array(Items(images, item), images)


def test_other_data_with_rows_give_the_bits_of_the_array(images, files):
    for data in (*files.values(), TensorDataset(images, images), Subset(Items(images), range(1797)), [(x, 0) for x in images]):
        assert same_as_array(data, images)


def test_pillow_images_of_all_modes(images):
    bytes_ = (images * 255).byte()
    assert same_as_array([Image.fromarray(x[0].numpy()) for x in bytes_], bytes_)
    for mode, channels in (("RGB", 3), ("P", 3), ("1", 1), ("RGBA", 4)):
        first = as_source([Image.new(mode, (5, 4))] * 3).first
        assert (tuple(first.shape), first.dtype) == ((3, channels, 4, 5), torch.uint8)


def test_files_and_items_are_not_read_before_they_are_needed(images):
    asked = []
    data = Items(images, lambda image, row: asked.append(row) or image)
    source = as_source(data)
    assert asked == [*range(sources.FEW)]
    assert source.rows == 1797
    assert source.steps_per_epoch(64) == 28
    source.take(torch.tensor([5, 3]))
    assert asked[sources.FEW :] == [5, 3]


def test_memory_does_not_grow_with_the_size_of_the_data():
    """Arrays of NumPy are counted by tracemalloc; 20,000 images of 12 kB would be 246 MB."""
    rows = 20_000

    class Made:
        def __len__(self):
            return rows

        def __getitem__(self, row):
            return np.full((3, 32, 32), row / rows, np.float32)

    model = sl.build_autoencoder("mlp", image_shape=(3, 32, 32), dim=2, width=8)
    tracemalloc.start()
    run = sl.fit(model, Made(), MMD, **QUICK)
    codes = run.encode(Made())
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert codes.shape == (rows, 2)
    assert peak < 80e6  # one chunk is 50 MB


def test_a_loader_keeps_its_batches_and_its_order(images):
    seen = []

    def watch(model, batch, generator):
        seen.append(batch)
        return model.encode(batch).square().mean()

    loader = loader_of(Items(images[:200]), batch_size=64)
    sl.fit(model_of(images), loader, watch, **QUICK | {"steps": 5})
    assert [len(batch) for batch in seen] == [64, 64, 64, 8, 64]
    assert torch.equal(torch.cat(seen[:4]), images[:200])
    assert torch.equal(seen[4], images[:64])
    assert as_source(loader).steps_per_epoch(64) == 4
    with pytest.raises(ValueError, match="batch_size must be None for data that come in batches"):
        sl.fit(model_of(images), loader, watch, batch_size=32, **QUICK)


@pytest.mark.parametrize("start", ["fork", "spawn"])
def test_the_workers_of_a_loader_give_the_bits_of_one_process(images, start):
    data = TensorDataset(images[:256].clone())
    options = {"batch_size": 64, "multiprocessing_context": start, "num_workers": 2, "generator": torch.Generator()}
    alone, weights = trained(loader_of(data, 64), images)
    run, others = trained(DataLoader(data, **options), images)
    torch.testing.assert_close(others, weights, rtol=0, atol=0)
    torch.testing.assert_close(run.encode(DataLoader(data, **options)), alone.encode(images[:256]), rtol=0, atol=0)


def test_batches_with_too_few_rows_for_the_objective_are_left_out(images):
    run, _ = trained(loader_of(images[:65], batch_size=64), images, log_every=1)
    assert np.isfinite(run.history["loss"]).all()
    with pytest.raises(ValueError, match="batches of at least 2 rows"):
        trained(loader_of(images, batch_size=1), images)


def test_single_images_of_a_stream_are_grouped(images):
    seen = []

    def watch(model, batch, generator):
        seen.append(batch)
        return model.encode(batch).square().mean()

    run = sl.fit(model_of(images), Stream(images[:100]), watch, batch_size=32, **QUICK | {"steps": 4})
    assert torch.equal(torch.cat(seen), torch.cat([images[:96], images[:32]]))
    assert torch.equal(run.encode(Stream(images)), run.encode(images))


def test_a_function_that_returns_an_iterator_can_be_started_again(images):
    run, _ = trained(lambda: iter(images[:128].split(64)), images)
    assert run.steps == 12
    assert torch.allclose(run.encode(lambda: images.split(64)), run.encode(images), atol=1e-6)


def test_a_generator_that_ends_too_early_leaves_the_model_that_was_trained(images):
    model, before = model_of(images), model_of(images).state_dict()
    with pytest.raises(ValueError, match=r"ended before step 4 .* a function that returns an iterator"):
        sl.fit(model, (batch for batch in images[:192].split(64)), MMD, **QUICK)
    sl.fit(same := model_of(images), iter(images[:192].split(64)), MMD, **QUICK | {"steps": 3, "scheduler": "constant"})
    assert not model.training
    assert not torch.equal(model.encoder[1].weight, before["encoder.1.weight"])
    assert torch.allclose(model.encoder[1].weight, same.encoder[1].weight, atol=1e-3)


def test_all_else_that_takes_images_takes_data_sets(images):
    run, _ = trained(images, images)
    data = Items(images)
    loader = loader_of(data, batch_size=100)
    assert run.reconstruction_error(data) == run.reconstruction_error(images)
    assert run.reconstruction_error(loader) == pytest.approx(run.reconstruction_error(images), rel=1e-5)
    assert torch.allclose(sl.latents(run.model, loader)["codes"], run.encode(images), atol=1e-6)
    anchors = sl.objectives.Anchors(Subset(data, range(5)), torch.zeros(5, 2))
    assert torch.equal(anchors.images, images[:5])
    with pytest.raises(TypeError, match="data must have rows"):
        sl.copy_latents(run, model_of(images, seed=1), loader, steps=2)
    copies = [sl.copy_latents(run, model_of(images, seed=1), x, steps=3, progress=False, device="cpu") for x in (data, images)]
    assert copies[0].report.equals(copies[1].report)


BROKEN = {
    "nan": lambda image, row: image * float("nan") if row == 70 else image,
    "range": lambda image, row: image + 5 if row == 70 else image,
    "shape": lambda image, row: image[:, 1:] if row == 70 else image,
    "type": lambda image, row: image.byte() if row == 70 else image,
    "error": lambda image, row: {}[row] if row == 70 else image,
}


@pytest.mark.parametrize("kind", BROKEN)
def test_a_bad_row_is_named(images, kind):
    model = model_of(images)
    with pytest.raises((ValueError, RuntimeError), match="row 70 of data"):
        sl.fit(model, Items(images[:80], BROKEN[kind]), MMD, batch_size=80, **QUICK)
    assert not model.training


@pytest.mark.parametrize("kind", BROKEN)
def test_a_bad_batch_is_named_with_its_epoch_and_step(images, kind, tmp_path):
    def batches():
        starts.append(0)
        for number, batch in enumerate(images[:320].split(64), 1):
            bad = number == 3 and len(starts) == 2
            yield BROKEN[kind](batch[:, :, 1:] if kind == "shape" and bad else batch, 70 if bad else 0)

    if kind == "type":
        pytest.skip("a batch of bytes is a batch of images")
    starts, model, path = [], model_of(images), tmp_path / "checkpoint"
    sl.fit(model, images, MMD, checkpoint=path, **QUICK)
    with pytest.raises((ValueError, RuntimeError), match=r"batch 3 of epoch 2 \(step 8\) of data"):
        sl.fit(model_of(images), batches, MMD, **QUICK)
    assert path.exists()


def test_the_error_of_a_loader_is_chained(images):
    with pytest.raises(RuntimeError, match="KeyError: 70") as caught:
        trained(loader_of(Items(images[:80], BROKEN["error"]), batch_size=64), images)
    assert isinstance(caught.value.__cause__, KeyError)


@pytest.mark.parametrize("data", [iter([]), loader_of([]), lambda: iter(()), Stream([])])
def test_data_that_yield_nothing_are_named(images, data):
    with pytest.raises(ValueError, match="data must give at least one batch"):
        trained(data, images)


@pytest.mark.parametrize(
    ("item", "words"),
    [
        ({"label": 1, "score": 2.0}, r"under one of the keys \['image', .*\['label', 'score'\]"),
        ((torch.zeros(1, 8, 8),) * 3, "3 arrays of one shape"),
        (torch.zeros(1, 8, 8, dtype=torch.int16), "must be uint8 or floats"),
    ],
)
def test_items_that_are_no_images_are_named(images, item, words):
    with pytest.raises(TypeError, match=words):
        trained(Items([item] * 4, lambda image, row: image), images)


def test_a_stalled_loader_is_warned_of_with_its_place(images, monkeypatch):
    import time

    def batches():
        yield images[:64]
        time.sleep(0.4)
        yield images[64:128]

    monkeypatch.setattr(sources, "STALLED", 0.1)
    with pytest.warns(UserWarning, match=r"batch 2 of epoch 1 \(step 2\) of data has not come for 0.1 seconds"):
        trained(batches(), images, steps=2)
    monkeypatch.setattr(sources, "STALLED", 60.0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        trained(iter(images[:128].split(64)), images, steps=2)


def test_data_in_a_graph_are_detached(images):
    leaf = images.clone().requires_grad_()
    for data in (leaf, leaf * 1, Items(leaf), loader_of(Items(leaf), batch_size=64)):
        trained(data, images)
    assert leaf.grad is None


@pytest.mark.parametrize("dtype", ["uint16", "uint32", "uint64", "int16", "int64"])
def test_whole_numbers_other_than_bytes_are_refused_with_a_remedy(images, dtype):
    with pytest.raises(TypeError, match=r"divide images by their largest possible value, such as 65535.0"):
        trained((images * 255).numpy().astype(dtype), images)


def test_a_list_of_batches_or_of_pairs_of_batches_is_a_stream(images):
    for data in ([*images[:192].split(64)], [(batch, torch.arange(64)) for batch in images[:192].split(64)]):
        run = sl.fit(model_of(images), data, MMD, **QUICK)
        assert torch.equal(torch.as_tensor(run.encode(data)), torch.as_tensor(run.encode(images[:192])))
    with pytest.raises(ValueError, match=r"batch 2 of epoch 1 .* must have shape"):
        sl.fit(model_of(images), [images[:64], images[:64, :, :4]], MMD, **QUICK)


def test_single_images_of_a_stream_are_checked_and_named(images):
    class Stream(IterableDataset):
        def __iter__(self):
            for number, image in enumerate(images):
                yield image * float("nan") if number == 70 else image

    with pytest.raises(ValueError, match=r"image 71 of epoch 1 .* NaN or infinite"):
        sl.fit(model_of(images), Stream(), MMD, **QUICK | {"batch_size": 32, "steps": 9})


@pytest.mark.parametrize("loader", [False, True])
def test_a_label_before_its_image_is_named(images, loader):
    pairs = [(number, image) for number, image in enumerate(images[:64])]
    data = [(torch.arange(32), images[:32]), (torch.arange(32), images[32:64])] if loader else Subset(pairs, range(64))
    with pytest.raises(TypeError, match="must be a pair \\(image, label\\), got the label first"):
        sl.fit(model_of(images), iter(data) if loader else data, MMD, **QUICK)


def test_a_data_set_without_a_length_is_named(images):
    class Endless(torch.utils.data.Dataset):
        def __getitem__(self, row):
            return images[0]

    with pytest.raises(TypeError, match="data must have a length, `__len__`, or be an IterableDataset, which a Endless is not"):
        sl.latents(model_of(images), Endless())


def test_a_shuffled_loader_is_resumed(images, tmp_path):
    loader = torch.utils.data.DataLoader(images, 64, shuffle=True, generator=torch.Generator().manual_seed(0))
    sl.fit(model_of(images), loader, MMD, **QUICK, checkpoint=tmp_path / "a.pt")
    run = sl.fit(model_of(images), loader, MMD, **QUICK | {"steps": QUICK["steps"] + 3}, checkpoint=tmp_path / "a.pt")
    assert run.steps == QUICK["steps"] + 3


def shuffled(data, **options):
    return torch.utils.data.DataLoader(data, 64, generator=torch.Generator().manual_seed(0), **options)


def test_the_order_of_a_loader_is_kept_and_one_that_shuffles_is_warned_of(images):
    run, _ = trained(images, images)
    order = torch.randperm(len(images), generator=torch.Generator().manual_seed(1))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert torch.allclose(run.encode(shuffled(images, sampler=order.tolist())), run.encode(images)[order], atol=1e-6)
        run.reconstruction_error(shuffled(images, shuffle=True))  # a mean, whose rows may have any order
        sl.fit(run.model, shuffled(images, shuffle=True), MMD, **QUICK)
    sampler = torch.utils.data.SubsetRandomSampler(range(99), torch.Generator())
    batches = torch.utils.data.BatchSampler(sampler, 9, False)
    for data in (
        shuffled(images, shuffle=True), shuffled(images, sampler=sampler),
        DataLoader(images, batch_sampler=batches, generator=torch.Generator()),
    ):  # fmt: skip
        for call in (run.encode, run.codes, run.reconstruct, lambda data: sl.latents(run.model, data)):
            with pytest.warns(UserWarning, match="data is a DataLoader that shuffles: .*shuffle=False"):
                call(data)


class Plain(torch.nn.Module):
    """A model without `image_shape`."""

    def __init__(self, images):
        super().__init__()
        self.net = model_of(images)

    def encode(self, images):
        return self.net.encode(images)

    def decode(self, codes):
        return self.net.decode(codes)


def test_without_an_image_shape_single_images_are_known_by_their_label_or_refused(images):
    model = Plain(images).eval()
    expected = sl.latents(model, images)["codes"]
    for data in (
        lambda: ((image, row) for row, image in enumerate(images)),
        lambda: ((image.numpy(), "a word") for image in images),
        lambda: ([image, 0.5, np.float32(1)] for image in images),
        lambda: ({"image": image, "label": torch.tensor(3)} for image in images),
        lambda: images.split(64),
        lambda: ((batch, torch.zeros(len(batch))) for batch in images.split(64)),
        Stream(images),
    ):
        assert torch.allclose(sl.latents(model, data)["codes"], expected, atol=1e-6)
    for call in (lambda data: sl.fit(model, data, MMD, **QUICK), lambda data: sl.latents(model, data)):
        with pytest.raises(ValueError, match=r"batch 1 of epoch 1 of data has shape \(1, 8, 8\): it may be one image"):
            call(iter(images))
    assert torch.allclose(sl.latents(model.net, iter(images))["codes"], expected, atol=1e-6)  # whose shape is known


def test_without_an_image_shape_single_rows_of_a_table_are_rows():
    table = torch.rand(40, 5, generator=torch.Generator().manual_seed(0))
    model = sl.build_autoencoder("mlp", image_shape=(5,), dim=2, width=8)
    expected = sl.latents(model, table)["codes"]
    del model.image_shape
    for data in (iter(table), iter(table.split(8))):
        assert torch.allclose(sl.latents(model, data)["codes"], expected, atol=1e-6)


@pytest.mark.parametrize("make", [tuple, list])
def test_of_a_pair_of_arrays_the_images_are_taken(make):
    images, labels = torch.rand(6, 1, 4, 4, generator=torch.Generator().manual_seed(0)), torch.arange(6)
    for pair in ((images, labels), (images.numpy(), labels.numpy())):
        assert torch.equal(as_images(make(pair)), images)
    assert torch.equal(as_images(make((images[:, 0, 0], labels))), images[:, 0, 0])  # a table
    assert len(as_images(make((images, images)))) == 12  # two batches


class BytesAndFloats(IterableDataset):
    def __iter__(self):
        return iter([torch.ones(1, 4, 4), torch.full((1, 4, 4), 255, dtype=torch.uint8)])


def test_single_images_of_different_types_are_refused():
    with pytest.raises(TypeError, match=r"data must be images of one type, got torch\.float32 and torch\.uint8"):
        as_images(BytesAndFloats())


def test_a_path_is_no_column_of_texts():
    model = sl.build_autoencoder("mlp", image_shape=(4,), dim=2, width=8)
    with pytest.raises(TypeError, match=r"data must be what the model encodes, got 'images\.npy'"):
        sl.latents(model, "images.npy")
