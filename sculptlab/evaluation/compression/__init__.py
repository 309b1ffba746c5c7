"""Compression of codes: quantizers, files with real bytes, and rate against distortion."""

from sculptlab.evaluation.compression.quantizers import LEVELS, Quantized, Quantizer, quantize
from sculptlab.evaluation.compression.rate_distortion import Codec, decompress, rate_distortion
from sculptlab.evaluation.compression.rounding import RoundedCodes

__all__ = ["LEVELS", "Codec", "Quantized", "Quantizer", "RoundedCodes", "decompress", "quantize", "rate_distortion"]
