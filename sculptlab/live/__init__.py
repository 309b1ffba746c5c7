"""The live widgets, the Sculptor and the Explorer; and the Sculptor without a kernel, for a page of its own."""

from sculptlab.live.explorer import Explorer
from sculptlab.live.sculptor import Sculptor
from sculptlab.live.standalone import sculptor_module, standalone_html, write_standalone

__all__ = ["Explorer", "Sculptor", "sculptor_module", "standalone_html", "write_standalone"]
