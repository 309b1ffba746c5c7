"""A real entropy coder: symbols to bytes and back, at the length that their frequencies allow (asymmetric numeral systems)."""

from __future__ import annotations

import struct
from bisect import bisect_right
from dataclasses import dataclass
from itertools import cycle, islice
from typing import Any

import numpy as np

from sculptlab.validation import whole

PRECISION = 16  # bits of a frequency: those of one column add up to 2^16
MOST = 4096  # symbols of one column
_WORD, _LEAST = 32, 1 << 32  # the state stays in [2^32, 2^64) and moves 32 bits at a time


@dataclass(frozen=True, eq=False)
class FrequencyCode:
    """A code for rows of d symbols, column i with its own frequencies (of 2^16) in row i of `frequencies` (d, m), all >= 1.

    Columns are coded apart from each other, rows one after another: no code that treats them so can be shorter than the entropy
    of each column, summed. Source: Duda 2013, arXiv 1311.2540 (rANS, here with a 64-bit state and words of 32 bits).
    """

    frequencies: np.ndarray

    def __post_init__(self) -> None:
        table = np.asarray(self.frequencies)
        if table.ndim != 2 or table.dtype.kind not in "iu" or (table < 1).any() or (table.sum(1) != 1 << PRECISION).any():
            raise ValueError(f"frequencies must be whole numbers (d, m), all >= 1, rows of sum {1 << PRECISION}, got {table!r}")

    @classmethod
    def fit(cls, symbols: Any, size: int) -> FrequencyCode:
        """Frequencies of symbols (n, d) from 0 to size - 1; each that does not occur gets 1 of 65,536, so it costs 16 bits."""
        rows = _symbols(symbols, whole("size", size))
        if size > MOST:
            raise ValueError(f"size must be at most {MOST} symbols, got {size}")
        counts = np.stack([np.bincount(column, minlength=size) for column in rows.T])
        table = 1 + counts * ((1 << PRECISION) - size) // len(rows)
        table[np.arange(len(table)), counts.argmax(1)] += (1 << PRECISION) - table.sum(1)  # what rounding down left
        return cls(table)

    @property
    def dim(self) -> int:
        return len(self.frequencies)

    def ideal_bits(self, symbols: Any) -> float:
        """-sum log2 p(symbol) over all of symbols (n, d): what `encode` comes within a few bytes of."""
        rows = _symbols(symbols, self.frequencies.shape[1], self.dim)
        return float((PRECISION - np.log2(self.frequencies[np.arange(self.dim), rows])).sum())

    def encode(self, symbols: Any) -> bytes:
        """The bytes of symbols (n, d): the last state (8 bytes), then words of 4 bytes in the order `decode` reads them."""
        rows = _symbols(symbols, self.frequencies.shape[1], self.dim)
        columns = np.arange(self.dim)
        frequencies = self.frequencies[columns, rows].ravel()[::-1].tolist()  # what is coded last is decoded first
        starts = self._starts()[columns, rows].ravel()[::-1].tolist()
        state, words = _LEAST, []
        for frequency, start in zip(frequencies, starts, strict=True):
            if state >= frequency << (2 * _WORD - PRECISION):
                words.append(state & (_LEAST - 1))
                state >>= _WORD
            state = (state // frequency << PRECISION) + state % frequency + start
        return struct.pack("<Q", state) + np.array(words[::-1], dtype="<u4").tobytes()

    def decode(self, data: bytes, n: int) -> np.ndarray:
        """The n rows (n, d) that became `data`; a ValueError where it is too short, too long, or of another code."""
        if len(data) < 8 or len(data) % 4:
            raise ValueError(f"data must be 8 bytes and a multiple of 4 more, got {len(data)}: cut short?")
        state = struct.unpack_from("<Q", data)[0]
        words = iter(np.frombuffer(data, dtype="<u4", offset=8).tolist())
        tables = list(zip(self._starts().tolist(), self.frequencies.tolist(), strict=True))
        found = []
        for starts, frequencies in islice(cycle(tables), whole("n", n) * self.dim):
            slot = state & ((1 << PRECISION) - 1)
            symbol = bisect_right(starts, slot) - 1
            found.append(symbol)
            state = frequencies[symbol] * (state >> PRECISION) + slot - starts[symbol]
            if state < _LEAST:
                state = state << _WORD | next(words, 0)
        if state != _LEAST or next(words, None) is not None:
            raise ValueError(f"data must be {n} rows of this code: it is cut short, damaged or another code's")
        return np.array(found, dtype=np.int64).reshape(n, self.dim)

    def _starts(self) -> np.ndarray:
        return np.cumsum(self.frequencies, 1) - self.frequencies


def entropy(symbols: Any) -> float:
    """The entropy of each column of symbols (n, d), summed, in bits per row: of the frequencies that they have themselves."""
    shares = [np.unique(column, return_counts=True)[1] / len(column) for column in _symbols(symbols, None).T]
    return float(sum(-(share * np.log2(share)).sum() for share in shares)) + 0.0


def _symbols(symbols: Any, size: int | None, dim: int | None = None) -> np.ndarray:
    """`symbols` as a NumPy array (n, d), if they are whole numbers from 0 to size - 1 and, if given, d is `dim`."""
    rows = np.asarray(symbols)
    if rows.dtype.kind not in "iu":
        raise TypeError(f"symbols must be whole numbers, got {rows.dtype}")
    if rows.ndim != 2 or not rows.size or (dim is not None and rows.shape[1] != dim):
        raise ValueError(f"symbols must have shape (n, {dim or 'd'}) with at least one row, got {rows.shape}")
    if rows.min() < 0 or (size is not None and rows.max() >= size):
        raise ValueError(f"symbols must lie in 0 ... {'' if size is None else size - 1}, got {rows.min()} ... {rows.max()}")
    return rows
