"""Codes as real bytes: quantisers, rounding while training, an entropy coder."""
