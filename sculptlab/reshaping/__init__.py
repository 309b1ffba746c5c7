"""The same after training: an invertible map from the codes of any model to any prior, and models with it inside."""

from sculptlab.reshaping.models import reshaped
from sculptlab.reshaping.reshaper import Reshaper

__all__ = ["Reshaper", "reshaped"]
