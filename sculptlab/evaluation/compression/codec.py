"""Files of quantized codes: an entropy coder for the symbols, the file around it, and rate against distortion."""

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
from constriction import stream
from torch import Tensor

from sculptlab.evaluation.compression.quantizers import LEVELS, Quantizer
from sculptlab.training.batches import of_shape
from sculptlab.training.images import as_unit_floats
from sculptlab.training.sources import as_images
from sculptlab.validation import choice, describe, is_model, items

TOTAL = 1 << 16  # the frequencies of a latent add up to this, so that each fits into two bytes
HEAD = struct.Struct("<IHH?I")  # rows, latents, levels, whether they are equally spaced, bytes of the description


@dataclass(frozen=True, eq=False)
class Codec:
    """Turns codes into a file that holds all that `decompress` needs. `Codec.fit(quantizer, codes)` makes one.

    The symbols of each latent are coded by themselves, so no file is shorter than the sum of the latents' entropies. The coder
    is constriction's asymmetric numeral system with a 64-bit state (Duda 2013, arXiv 1311.2540).

    Parameters
    ----------
    quantizer : Quantizer
    frequencies : ndarray of shape (d, m)
        How often each latent has each symbol, of 65,536; at least 1.
    """

    quantizer: Quantizer
    frequencies: np.ndarray

    @classmethod
    def fit(cls, quantizer: Quantizer, codes: Any) -> Codec:
        """A codec with the frequencies of the symbols of training codes (n, d); a symbol that has none costs 16 bits."""
        return cls(quantizer, symbol_frequencies(quantizer.quantize(codes).symbols.numpy(), quantizer.numbers.shape[1]))

    def compress(self, codes: Any) -> bytes:
        """The file of codes (n, d): 13 bytes, the zlib-compressed levels and frequencies, the symbols, a checksum of 4 bytes."""
        symbols, numbers = self.quantizer.quantize(codes).symbols.numpy(), self.quantizer.numbers.numpy()
        equally_spaced = bool((numbers == np.arange(numbers.shape[1])).all())
        scale = torch.stack([self.quantizer.origin, self.quantizer.unit]).numpy().astype("<f4")
        tables = [scale, *([] if equally_spaced else [numbers.astype("<u2")]), (self.frequencies - 1).astype("<u2")]
        description = zlib.compress(b"".join(table.tobytes() for table in tables), 9)
        head = HEAD.pack(len(symbols), *numbers.shape, equally_spaced, len(description))
        file = head + description + encode_symbols(symbols, self.frequencies)
        return file + zlib.crc32(file).to_bytes(4, "little")


def decompress(file: bytes) -> Tensor:
    """Read the codes from a file that `Codec.compress` made.

    Parameters
    ----------
    file : bytes

    Returns
    -------
    Tensor of shape (n, d)
        The quantized codes, float32.

    Raises
    ------
    ValueError
        If the file is cut short or damaged.
    """
    if not isinstance(file, bytes | bytearray):
        raise TypeError(f"file must be bytes, as Codec.compress made them, got {describe(file)}")
    body, check = file[:-4], file[-4:]
    if len(body) < HEAD.size or check != zlib.crc32(body).to_bytes(4, "little"):
        raise ValueError(f"file must be whole, as Codec.compress made it: these {len(file)} bytes are cut short or damaged")
    n, dim, size, equally_spaced, length = HEAD.unpack_from(body)
    description = zlib.decompress(body[HEAD.size : HEAD.size + length])
    origin, unit = torch.from_numpy(np.frombuffer(description, "<f4", 2 * dim).astype(np.float32).reshape(2, dim, 1))
    tables = np.frombuffer(description, "<u2", offset=8 * dim).astype(np.int64).reshape(-1, dim, size)
    numbers = torch.arange(size, device="cpu").expand(dim, size) if equally_spaced else torch.from_numpy(tables[0])
    symbols = torch.from_numpy(decode_symbols(body[HEAD.size + length :], 1 + tables[-1], n))
    return (origin + unit * numbers).gather(1, symbols.T).T.contiguous()


def rate_distortion(
    run: Any, training: Any, held_out: Any, bits: Iterable[int] = range(1, 9), *, levels: str = "range", support: Any = None
) -> pd.DataFrame:
    """Measure rate and distortion of held-out images through quantized codes.

    Parameters
    ----------
    run : Run
        A trained model; anything with `encode` and `decode`. A VAE's codes are its means.
    training, held_out : Dataset or array_like
        Images: those whose codes levels and frequencies are fitted to, and those that are compressed.
    bits : iterable of int
        1 to 12 bits per latent; a row for each.
    levels : {"box", "range", "quantile", "lloyd", "step"}
        "box": equal steps over `support`; the others as in `Quantizer.fit`.
    support : tuple (low, high), optional
        The range of "box", and of no other.

    Returns
    -------
    pandas.DataFrame
        "levels" and "bits", and rates in bits per image. "nominal": symbols of fixed length, d log2 of the number of levels.
        "coded": the whole file. "stream": the file without levels and frequencies, which a decoder may hold instead. "entropy":
        of each latent's own held-out symbols, summed. "clamped": share of held-out codes outside the levels' range. "mse": mean
        squared error per pixel of images decoded from quantized codes; "unquantized": from the codes themselves.
    """
    choice("levels", levels, LEVELS)
    if (levels == "box") != (support is not None):
        raise ValueError(f"support must be given for levels='box' and for no others, got {describe(support)} for {levels!r}")
    if not is_model(run):
        raise TypeError(f"run must be a Run, or have encode and decode, got {describe(run)}")
    sizes = items("bits", bits)
    fitted, seen = (torch.as_tensor(run.encode(images), device="cpu") for images in (training, held_out))
    images = as_unit_floats(as_images(held_out)).detach().cpu()

    def error(codes: Tensor) -> float:
        return (of_shape(torch.as_tensor(run.decode(codes), device="cpu"), images, run) - images).double().square().mean().item()

    rows = []
    for k in sizes:
        quantizer = Quantizer.fit(fitted, k, levels) if support is None else Quantizer.box(seen.shape[1], k, *support)
        file, found = Codec.fit(quantizer, fitted).compress(seen), quantizer.quantize(seen)
        _, dim, size, _, description = HEAD.unpack_from(file)
        coded = 8 * len(file) / len(seen)
        rows.append({
            "levels": levels, "bits": k, "nominal": dim * math.log2(size), "coded": coded,
            "stream": coded - 8 * description / len(seen), "entropy": entropy(found.symbols), "clamped": found.clamped,
            "mse": error(found.values),
        })  # fmt: skip
    return pd.DataFrame(rows).assign(unquantized=error(seen))


def entropy(symbols: Any) -> float:
    """The entropy of each column of symbols (n, d) by its own frequencies, summed, in bits per row."""
    shares = [np.unique(column, return_counts=True)[1] / len(column) for column in np.asarray(symbols).T]
    return float(sum(-(share * np.log2(share)).sum() for share in shares))


def symbol_frequencies(symbols: np.ndarray, size: int) -> np.ndarray:
    """Frequencies (d, size), of sum 65,536 each, of symbols (n, d) from 0 to size - 1; 1 for a symbol that does not occur."""
    counts = np.stack([np.bincount(column, minlength=size) for column in symbols.T])
    table = 1 + counts * (TOTAL - size) // len(symbols)
    table[np.arange(len(table)), counts.argmax(1)] += TOTAL - table.sum(1)  # the remainder of rounding down
    return table


def encode_symbols(symbols: np.ndarray, frequencies: np.ndarray) -> bytes:
    """The bytes, in words of four, of symbols (n, d) that have about these frequencies (d, m)."""
    coder = stream.stack.AnsCoder()
    for column, model in zip(symbols.T[::-1], _models(frequencies)[::-1], strict=True):  # a stack: decoded in reverse order
        coder.encode_reverse(np.ascontiguousarray(column, np.int32), model)
    return coder.get_compressed().astype("<u4").tobytes()


def decode_symbols(data: bytes, frequencies: np.ndarray, n: int) -> np.ndarray:
    """The symbols (n, d) that `encode_symbols` made `data` of."""
    coder = stream.stack.AnsCoder(np.frombuffer(data, "<u4").astype(np.uint32))
    return np.stack([coder.decode(model, n) for model in _models(frequencies)], 1).astype(np.int64)


def _models(frequencies: np.ndarray) -> list[Any]:
    padded = np.pad(frequencies, [(0, 0), (0, frequencies.shape[1] == 1)])  # a model needs two symbols at least
    return [stream.model.Categorical(row.astype(float), perfect=False) for row in padded]
