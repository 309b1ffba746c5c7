"""Compression of codes: quantizers, files with real bytes, and rate against distortion."""

from sculptlab.evaluation.compression.codec import Codec, decompress, rate_distortion
from sculptlab.evaluation.compression.quantizers import LEVELS, Quantized, Quantizer

__all__ = ["LEVELS", "Codec", "Quantized", "Quantizer", "decompress", "rate_distortion"]
