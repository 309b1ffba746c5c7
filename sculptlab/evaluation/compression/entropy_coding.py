"""Entropy coding: symbols to bytes and back, about as long as their frequencies allow. The coder itself is constriction's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from constriction import stream

from sculptlab.validation import whole

TOTAL = 1 << 16  # the frequencies of a column add up to this, so that each fits into two bytes
MOST_SYMBOLS = 4096


@dataclass(frozen=True, eq=False)
class FrequencyCode:
    """A code for rows of d symbols; row i of `frequencies` (d, m) holds those of column i, positive, of sum 65,536.

    Columns are coded independently of each other. No such code is shorter than the sum of the columns' entropies.
    The coder is an asymmetric numeral system (Duda 2013, arXiv 1311.2540) with a 64-bit state.
    """

    frequencies: np.ndarray

    @classmethod
    def fit(cls, symbols: Any, size: int) -> FrequencyCode:
        """Frequencies of symbols (n, d) from 0 to size - 1. A symbol that does not occur gets 1 of 65,536: it costs 16 bits."""
        rows = valid_symbols(symbols, whole("size", size))
        if size > MOST_SYMBOLS:
            raise ValueError(f"size must be at most {MOST_SYMBOLS} symbols, got {size}")
        counts = np.stack([np.bincount(column, minlength=size) for column in rows.T])
        table = 1 + counts * (TOTAL - size) // len(rows)
        table[np.arange(len(table)), counts.argmax(1)] += TOTAL - table.sum(1)  # the remainder of rounding down
        return cls(table)

    def encode(self, symbols: Any) -> bytes:
        """The bytes of symbols (n, d), in words of four."""
        rows = valid_symbols(symbols, self.frequencies.shape[1], len(self.frequencies)).astype(np.int32)
        coder = stream.stack.AnsCoder()
        for column, model in zip(rows.T[::-1], self._models()[::-1], strict=True):  # a stack: decoded in reverse order
            coder.encode_reverse(np.ascontiguousarray(column), model)
        return coder.get_compressed().astype("<u4").tobytes()

    def decode(self, data: bytes, n: int) -> np.ndarray:
        """The n rows (n, d) that became `data`; a ValueError where it is too short, too long, or of another code."""
        wrong = f"data must be {whole('n', n)} rows of this code, got {len(data)} bytes: cut short, damaged or another code's"
        if len(data) % 4:
            raise ValueError(wrong)
        coder = stream.stack.AnsCoder(np.frombuffer(data, "<u4").astype(np.uint32))
        rows = np.stack([coder.decode(model, n) for model in self._models()], 1)
        if not coder.is_empty():
            raise ValueError(wrong)
        return rows.astype(np.int64)

    def _models(self) -> list[Any]:
        padded = np.pad(self.frequencies, [(0, 0), (0, self.frequencies.shape[1] == 1)])  # a model needs two symbols at least
        return [stream.model.Categorical(row.astype(float), perfect=False) for row in padded]


def entropy(symbols: Any) -> float:
    """The entropy of each column of symbols (n, d) by its own frequencies, summed, in bits per row."""
    shares = [np.unique(column, return_counts=True)[1] / len(column) for column in valid_symbols(symbols, None).T]
    return float(sum(-(share * np.log2(share)).sum() for share in shares)) + 0.0  # never -0.0


def valid_symbols(symbols: Any, size: int | None, dim: int | None = None) -> np.ndarray:
    """`symbols` as a NumPy array (n, d), if they are whole numbers from 0 to size - 1 and, if given, d is `dim`."""
    rows = np.asarray(symbols)
    if rows.dtype.kind not in "iu":
        raise TypeError(f"symbols must be whole numbers, got {rows.dtype}")
    if rows.ndim != 2 or not rows.size or (dim is not None and rows.shape[1] != dim):
        raise ValueError(f"symbols must have shape (n, {dim or 'd'}) with at least one row, got {rows.shape}")
    if rows.min() < 0 or (size is not None and rows.max() >= size):
        raise ValueError(f"symbols must lie in 0 ... {'' if size is None else size - 1}, got {rows.min()} ... {rows.max()}")
    return rows
