"""The live widgets: the Sculptor, also without a kernel for a page of its own, the Explorer and the PredictabilityWidget."""

from sculptlab.live.explorer import Explorer
from sculptlab.live.predictability_widget import PredictabilityWidget
from sculptlab.live.sculptor import Sculptor
from sculptlab.live.standalone import sculptor_module, standalone_html, write_standalone

__all__ = ["Explorer", "PredictabilityWidget", "Sculptor", "sculptor_module", "standalone_html", "write_standalone"]
