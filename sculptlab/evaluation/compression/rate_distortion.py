"""Compression by shaped codes: codes to few levels, files with real bytes, and rate against distortion.

Codes that fill a prior's box evenly need no fitted levels, no table and no entropy coder: k bits a latent are k bits. What that
is worth against codes of any other shape, with levels and a coder fitted to them, is measured here (`rate_distortion`).
"""

from __future__ import annotations

import math
import struct
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from sculptlab.evaluation.compression.entropy_coding import FrequencyCode, entropy
from sculptlab.evaluation.compression.quantizers import LEVELS, Quantized, Quantizer, levels_of, quantize
from sculptlab.evaluation.compression.rounding import RoundedCodes
from sculptlab.training.batches import as_images, as_unit_floats
from sculptlab.training.run import CHUNK
from sculptlab.validation import choice

__all__ = [
    "LEVELS", "Codec", "Quantized", "Quantizer", "RoundedCodes", "compressed_size", "decompress", "quantize", "rate_distortion",
]  # fmt: skip
_HEAD = struct.Struct("<IHH?I")  # rows, latents, levels, whether they are equally spaced, bytes of the description
_CHECK = struct.Struct("<I")


@dataclass(frozen=True, eq=False)
class Codec:
    """A quantizer and the frequencies of its symbols: codes to a file that holds all that it takes to read it, and back."""

    quantizer: Quantizer
    code: FrequencyCode

    @classmethod
    def fit(cls, quantizer: Quantizer, codes: Any) -> Codec:
        """The frequencies of the symbols of codes (n, d), the training codes, under `quantizer`."""
        return cls(quantizer, FrequencyCode.fit(quantizer.quantize(codes).symbols, quantizer.size))

    def description(self) -> bytes:
        """Origin and unit (8 bytes a latent), the levels' numbers (2 bytes each, unless even), frequencies (2 each); deflated."""
        q = self.quantizer
        scale = torch.stack([q.origin, q.unit]).numpy().astype("<f4").tobytes()
        numbers = b"" if q.even else q.numbers.numpy().astype("<u2").tobytes()
        return zlib.compress(scale + numbers + (self.code.frequencies - 1).astype("<u2").tobytes(), 9)

    def compress(self, codes: Any) -> bytes:
        """The file of codes (n, d): a head of 13 bytes, the description, the symbols, and 4 bytes that tell of damage (crc32)."""
        symbols = self.quantizer.quantize(codes).symbols
        description = self.description()
        head = _HEAD.pack(len(symbols), self.code.dim, self.quantizer.size, self.quantizer.even, len(description))
        file = head + description + self.code.encode(symbols)
        return file + _CHECK.pack(zlib.crc32(file))


def decompress(file: bytes) -> Tensor:
    """The dequantized codes (n, d) of a file that `Codec.compress` made; a ValueError where it is cut short or damaged."""
    body, check = file[: -_CHECK.size], file[-_CHECK.size :]
    if len(body) < _HEAD.size or check != _CHECK.pack(zlib.crc32(body)):
        raise ValueError(f"file must be whole, as Codec.compress made it: these {len(file)} bytes are cut short or damaged")
    n, dim, size, even, length = _HEAD.unpack_from(body)
    described = zlib.decompress(body[_HEAD.size : _HEAD.size + length])
    origin, unit = torch.from_numpy(np.frombuffer(described, "<f4", 2 * dim).astype(np.float32).reshape(2, dim))
    tables = torch.from_numpy(np.frombuffer(described, "<u2", offset=8 * dim).astype(np.int64).reshape(-1, dim, size))
    numbers = torch.arange(size).expand(dim, size) if even else tables[0]
    symbols = torch.from_numpy(FrequencyCode(1 + tables[-1].numpy()).decode(body[_HEAD.size + length :], n))
    return levels_of(origin[:, None] + unit[:, None] * numbers, symbols)


def compressed_size(codes: Any, codec: Codec) -> float:
    """Bits per row of the file that `codec` makes of codes (n, d), its head, levels and frequencies counted."""
    return 8 * len(codec.compress(codes)) / len(codes)


def rate_distortion(
    run: Any, training: Any, held_out: Any, bits: Iterable[int] = range(1, 9), *, levels: str = "range",
    support: tuple[float, float] | None = None,
) -> pd.DataFrame:  # fmt: skip
    """Rate and distortion of held-out images through quantized codes of `run`; a row for each of `bits`.

    training, held_out  images; levels and frequencies are fitted on the codes (a VAE's means) of the first.
    levels              as in `Quantizer.fit`; or "box": equal steps over `support` (low, high), which only this takes.
    Columns, rates in bits per image: nominal, of symbols of fixed length (d log2 of the number of levels, and no table); coded,
    the file's, everything counted; stream, without the description of levels and frequencies, which a decoder may hold instead;
    entropy, of each latent's own held-out symbols, summed. mse, the mean squared error per pixel of decoded quantized codes;
    unquantized, that of the codes themselves; clamped, the share of held-out codes outside the levels' range.
    Raises ValueError for bits outside 1 ... 12, unknown levels, a support without "box" or the reverse.
    """
    choice("levels", levels, LEVELS)
    if (levels == "box") != (support is not None):
        raise ValueError(f"support must be given for levels='box' and for no others, got {support} and {levels!r}")
    fitted, seen = (torch.as_tensor(run.encode(images)) for images in (training, held_out))
    images = as_unit_floats(as_images(held_out)).detach().cpu()
    unquantized = _error(run, seen, images)
    rows = []
    for k in bits:
        quantizer = Quantizer.fit(fitted, k, levels) if support is None else Quantizer.box(seen.shape[1], k, *support)
        measured = _measured(quantizer, fitted, seen)
        mse = _error(run, quantizer.quantize(seen).values, images)
        rows.append({"levels": levels, "bits": k, **measured, "mse": mse, "unquantized": unquantized})
    return pd.DataFrame(rows)


def _measured(quantizer: Quantizer, fitted: Tensor, seen: Tensor) -> dict[str, float]:
    codec = Codec.fit(quantizer, fitted)
    found = quantizer.quantize(seen)
    coded = compressed_size(seen, codec)
    return {
        "nominal": quantizer.dim * math.log2(quantizer.size),
        "coded": coded,
        "stream": coded - 8 * len(codec.description()) / len(seen),
        "entropy": entropy(found.symbols.numpy()),
        "clamped": found.clamped,
    }


def _error(run: Any, codes: Tensor, images: Tensor) -> float:
    parts = zip(codes.split(CHUNK), images.split(CHUNK), strict=True)
    return sum((run.decode(z) - x).double().square().sum().item() for z, x in parts) / images.numel()
