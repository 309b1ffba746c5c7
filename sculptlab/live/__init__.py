"""The live widgets: the Sculptor and the Explorer."""

from sculptlab.live.explorer import Explorer
from sculptlab.live.sculptor import Sculptor

__all__ = ["Explorer", "Sculptor"]
