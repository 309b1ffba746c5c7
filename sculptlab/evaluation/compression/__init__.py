"""Compression of codes: quantizers, files with real bytes, and rate against distortion."""

from sculptlab.evaluation.compression.codec import Codec, decompress, rate_distortion
from sculptlab.evaluation.compression.quantizers import LEVELS, Quantized, Quantizer, RoundedCodes, quantize

__all__ = ["LEVELS", "Codec", "Quantized", "Quantizer", "RoundedCodes", "decompress", "quantize", "rate_distortion"]
