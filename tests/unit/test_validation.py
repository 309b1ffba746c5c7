import numpy as np
import pandas as pd
import pytest
import scipy.sparse
import torch

import sculptlab as sl
from sculptlab import validation as v


@pytest.mark.parametrize(
    "value",
    [[[1, 2], [3, 4]], np.array([[1, 2], [3, 4]]), np.array([[1, 2], [3, 4]], dtype=np.float16), torch.tensor([[1, 2], [3, 4]]),
     pd.DataFrame({"a": [1, 3], "b": [2, 4]}), torch.tensor([[1, 2], [3, 4]], dtype=torch.bfloat16)],
)  # fmt: skip
def test_codes_come_as_floats(value):
    z = v.codes("z", value)
    assert z.dtype == torch.float32
    assert z.tolist() == [[1, 2], [3, 4]]


def test_doubles_stay_doubles_and_tensors_keep_their_graph():
    z = torch.ones(3, 2, dtype=torch.float64, requires_grad=True)
    assert v.codes("z", z) is z


@pytest.mark.filterwarnings("error")
def test_read_only_arrays_are_copied():
    array = np.ones((3, 2))
    array.flags.writeable = False
    v.codes("z", array).add_(1)
    assert array.max() == 1


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: v.codes("z", [1.0, 2.0]), ValueError, r"z must have shape \(n, d\)"),
        (lambda: v.codes("z", [[1.0]]), ValueError, "z must have at least 2 row"),
        (lambda: v.codes("z", np.zeros((3, 0))), ValueError, "1 column"),
        (lambda: v.codes("z", np.zeros((3, 2)), dim=4), ValueError, "z must have 4 column"),
        (lambda: v.codes("z", [[np.nan, 1], [2, np.inf]]), ValueError, "z has 2 value.*of 4"),
        (lambda: v.codes("z", [["a", "b"], ["c", "d"]]), TypeError, "z must be real numbers"),
        (lambda: v.codes("z", np.zeros((3, 2), dtype=complex)), TypeError, "z must be real numbers"),
        (lambda: v.choice("kind", "x", ("a", "b")), ValueError, r"kind must be one of \['a', 'b'\], got 'x'$"),
        (lambda: v.choice("kernel", "weigth", ("bias", "weight")), ValueError, r"got 'weigth'; did you mean 'weight'\?$"),
        (lambda: v.choice("size", 3, (1, "3")), ValueError, r"size must be one of \[1, '3'\], got 3$"),
        (lambda: v.whole("n", 0), ValueError, "n must be at least 1, got 0"),
        (lambda: v.whole("n", True), TypeError, "n must be a whole number"),
        (lambda: v.whole("n", 1.0), TypeError, "n must be a whole number"),
        (lambda: v.number("w", float("inf")), ValueError, "w must be finite"),
        (lambda: v.number("w", 0, above=0), ValueError, "w must be > 0"),
        (lambda: v.number("w", "1"), TypeError, "w must be a number"),
    ],
)
def test_each_refusal_names_the_argument(call, error, words):
    with pytest.raises(error, match=words):
        call()


def test_reversed_arrays_are_copied():
    array = np.arange(6.0).reshape(3, 2)[::-1, ::-1]
    assert v.as_tensor("z", array).tolist() == [[5, 4], [3, 2], [1, 0]]


def test_whole_numbers_keep_their_value():
    assert v.codes("z", np.array([[1, 2], [3, 4]])).dtype == torch.float32
    seconds = np.array([[1_600_000_001, 2], [1_600_000_002, 3]])
    assert v.codes("z", seconds).tolist() == seconds.tolist()
    assert v.codes("z", torch.tensor([[True, False], [False, True]])).tolist() == [[1, 0], [0, 1]]


@pytest.mark.parametrize(
    "value",
    [
        np.array([[1, 2], [3, 4]], dtype=">f4"),
        np.array([[1, 2], [3, 4]], dtype=np.longdouble),
        pd.DataFrame({"a": [1, 3], "b": [2, 4]}, dtype="Int64"),
        pd.DataFrame({"a": [True, True], "b": [2.0, 4.0]}).assign(a=[1, 3]),
        np.ma.MaskedArray([[1, 2], [3, 4]], mask=False),
    ],
)
def test_unusual_arrays_are_read(value):
    assert v.codes("z", value).tolist() == [[1, 2], [3, 4]]


def test_a_mixed_frame_is_read():
    assert v.codes("z", pd.DataFrame({"a": [True, False], "b": [2.5, 4]})).tolist() == [[1, 2.5], [0, 4]]


@pytest.mark.parametrize(
    ("value", "error", "message"),
    [
        (np.ma.MaskedArray([[1.0, 2], [3, 4]], mask=[[0, 1], [0, 0]]), ValueError, "z has masked values"),
        ({"means": [[1, 2]], "samples": [[1, 2]]}, TypeError, r"got a mapping of \['means', 'samples'\]: choose one"),
        ([1.0, 2.0], ValueError, r"z\[:, None\]"),
        ([], ValueError, r"z must have at least 2 row\(s\) and 1 column, got \(0,\): it is empty"),
        ([[], []], ValueError, r"got \(2, 0\): it is empty"),
        ([[1.0, 2.0], [3.0]], ValueError, "z must be an array of numbers, every row of the same length"),
        (None, TypeError, "z must be an array of real numbers, got None"),
        (np.array, TypeError, "z must be an array of real numbers, got the function array: call it first"),
        (np.ndarray, TypeError, "z must be an array of real numbers, got the class ndarray: call it first"),
        (torch.eye(3).to_sparse(), TypeError, "z must be a dense tensor"),
        (pd.DataFrame({"a": [1, None], "b": [2, 4]}, dtype="Int64"), ValueError, "z has 1 value"),
        (pd.DataFrame({"a": ["x", "y"]}), TypeError, "z must be real numbers"),
    ],
)
def test_what_cannot_be_read(value, error, message):
    with pytest.raises(error, match=message):
        v.codes("z", value)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: scipy.sparse.csr_array(np.eye(3)), r"must be a dense array, got a csr_array; use \.toarray\(\)"),
        (lambda: scipy.sparse.coo_matrix(np.eye(3)), r"must be a dense array, got a coo_matrix; use \.toarray\(\)"),
        (lambda: torch.eye(3).to_sparse(), r"must be a dense tensor, got layout torch\.sparse_coo"),
        (lambda: torch.empty(3, 2, device="meta"), "must be in memory, got a tensor on the device 'meta'"),
    ],
)
def test_arrays_without_dense_values_in_memory_are_named(make, words):
    model = sl.build_autoencoder("mlp", image_shape=(3,), dim=2, output="linear", width=8)
    quick = {"steps": 1, "device": "cpu", "progress": False}
    for name, call in {
        "z": lambda value: v.codes("z", value),
        "x": lambda value: sl.mmd2(value, np.eye(3)),
        "data": lambda value: sl.fit(model, value, sl.objectives.Reconstruction(), **quick),
    }.items():
        with pytest.raises(TypeError, match=f"{name} {words}"):
            call(make())
    with pytest.raises(TypeError, match=f"data {words}"):
        sl.latents(model, make())
