"""Arguments that nobody should give: of wrong types, shapes, sizes and layouts, and legal ones that are rarely tried."""

import datetime
import decimal
import fractions
import pathlib
import warnings

import numpy as np
import pandas as pd
import scipy.sparse
import torch

NUMBERS = (
    -1, 0, 1, 1.5, -0.5, 1e-300, -1e300, 1e300, float("nan"), float("inf"), -float("inf"), 2**64, -(2**64), 10**400, True, False,
    1j, np.float32(2.5), np.int64(2), np.uint64(2**64 - 1), np.bool_(True), np.float64("nan"), fractions.Fraction(1, 3),
    decimal.Decimal("0.1"), np.array(2), np.array(1.5), torch.tensor(2), torch.tensor(float("nan")),
)  # fmt: skip
WORDS = (
    "",
    " ",
    "a",
    "mmd",
    "x\x00y",
    "\u202e{'\"}\n\t%s",
    "\ud800",
    "x" * 5000,
    "../x",
    "/dev/null",
    "/",
    b"bytes",
    np.str_("joint"),
)
OTHERS = (
    lambda: None, lambda: [], lambda: (), lambda: {}, lambda: {"a": 1}, lambda: {"a": [[0.0, 1.0]] * 40, "b": 2}, lambda: set(),
    lambda: [None], lambda: [[1.0, 2.0], [3.0]], lambda: ["a", "b"], lambda: list(range(5000)), lambda: ("x" * 5000,), lambda: range(3),
    lambda: slice(None), lambda: ..., object, lambda: int, lambda: len, lambda: (n for n in range(3)), lambda: lambda n: n,
    lambda: datetime.date(2020, 1, 1), lambda: pathlib.Path("nowhere"), lambda: Exception("x"), lambda: torch.nn.BatchNorm1d(2),
    lambda: np.array("joint"), lambda: np.array(["unbiased", "biased"]), lambda: np.array(["joint"] * 3000), lambda: np.zeros(3),
    lambda: torch.device("meta"), lambda: torch.float64, lambda: pd.Series([1.0, 2.0]), lambda: np.random.default_rng(0),
    lambda: torch.distributions.Normal(0.0, 1.0), lambda: ReprRaises(), lambda: LongRepr(), lambda: ArrayRaises(),
)  # fmt: skip


class ReprRaises:
    def __repr__(self):
        raise RuntimeError("no repr")


class LongRepr:
    def __repr__(self):
        return "long " * 2000


class ArrayRaises:
    def __array__(self, dtype=None, copy=None):
        raise RuntimeError("no array")


def anything(rng):
    """A value that has nothing to do with the argument."""
    if rng.random() < 0.5:
        pool = NUMBERS if rng.random() < 0.6 else WORDS
        return pool[rng.integers(len(pool))]
    if rng.random() < 0.2:
        return damaged(rng, rng.normal(size=(40, 2)))
    return OTHERS[rng.integers(len(OTHERS))]()


def damaged(rng, rows):
    """An array of the argument's size with something wrong, or another container of it."""
    rows = np.array(rows.detach() if isinstance(rows, torch.Tensor) else rows, dtype=float)
    return DAMAGES[rng.integers(len(DAMAGES))](rows)


def _with(value, every=7):
    def change(rows):
        rows = rows.copy()
        rows.reshape(-1)[::every] = value
        return rows

    return change


def _nested(rows):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a prototype
        return torch.nested.nested_tensor([torch.zeros(2), torch.zeros(3)])


def _quantized(rows):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a type that torch is about to drop
        return torch.quantize_per_tensor(torch.zeros(3, 2), 0.1, 0, torch.qint8)


DAMAGES = (
    _with(np.nan), _with(np.inf), _with(1e300, 11), _with(np.nan, 10**9), lambda rows: 1e150 * rows, lambda rows: 1e-200 * rows,
    lambda rows: 1e20 + rows, lambda rows: 0 * rows, np.ones_like, lambda rows: rows[:0], lambda rows: rows[:1], lambda rows: rows[:2],
    lambda rows: rows[..., :0], lambda rows: rows[0], lambda rows: rows.ravel(), lambda rows: rows[None], lambda rows: rows[..., None],
    lambda rows: rows.T, lambda rows: rows[::-1], lambda rows: np.asfortranarray(rows), lambda rows: rows.ravel()[0],
    lambda rows: np.concatenate([rows, rows], -1), lambda rows: rows + 1j, lambda rows: rows > 0, lambda rows: rows.astype(np.float16),
    lambda rows: rows.astype(np.longdouble), lambda rows: rows.astype(">f8"), lambda rows: (10 * abs(rows)).astype(np.uint8),
    lambda rows: (10 * abs(rows)).astype(np.uint16), lambda rows: np.full(rows.shape, 2**64 - 1, dtype=np.uint64),
    lambda rows: (10 * rows).astype(np.int64), lambda rows: rows.astype(object), lambda rows: rows.astype(str),
    lambda rows: np.ma.masked_array(rows, rows > 0), lambda rows: rows.tolist(), lambda rows: {"codes": rows}, lambda rows: [rows, rows],
    lambda rows: torch.tensor(rows).to(torch.bfloat16), lambda rows: torch.tensor(rows, requires_grad=True),
    lambda rows: torch.tensor((10 * abs(rows)).astype(np.uint16)), lambda rows: torch.full(rows.shape, 2**64 - 1, dtype=torch.uint64),
    lambda rows: torch.tensor(rows).to_sparse(), lambda rows: torch.zeros(rows.shape, device="meta"), _nested,
    lambda rows: torch.tensor(rows, dtype=torch.complex64), _quantized,
    lambda rows: scipy.sparse.csr_matrix(rows.reshape(len(rows), -1)), lambda rows: pd.DataFrame(rows.reshape(len(rows), -1)),
    lambda rows: pd.DataFrame({"a": ["x"] * len(rows)}), lambda rows: iter(rows), lambda rows: np.datetime64("2020") + (rows * 0).astype(int),
    lambda rows: torch.nn.Parameter(torch.tensor(rows, dtype=torch.float32)), lambda rows: np.zeros((10, 0)), lambda rows: np.zeros(()),
    lambda rows: np.zeros(len(rows), dtype=[("a", float), ("b", int)]),
)  # fmt: skip
