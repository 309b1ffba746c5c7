"""What a model minimizes, and how: models, objectives, the training loop, and the run that it returns."""

from sculptlab.training.loop import fit, steps
from sculptlab.training.models import Autoencoder, Posterior, build_autoencoder
from sculptlab.training.run import Run, load_run
from sculptlab.training.state import DivergenceError

__all__ = ["Autoencoder", "DivergenceError", "Posterior", "Run", "build_autoencoder", "fit", "load_run", "steps"]
