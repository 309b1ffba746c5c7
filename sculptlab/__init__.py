"""sculptlab: give an autoencoder's latent space the shape you want, and test whether it has it.

    import sculptlab as sl
    data = sl.load("digits")
    model = sl.build_autoencoder("mlp", image_shape=data.image_shape, dim=2, stochastic=True)
    run = sl.fit(model, data, sl.objectives.KL(beta=1.0), steps=1000, seed=0)
    sl.diagnose(run.codes(data), sl.priors.Gaussian(2)).plot()

Every name is imported on first use. `import sculptlab` is therefore fast, and `sculptlab doctor` works where torch does not.
"""

from importlib import import_module
from threading import RLock
from typing import TYPE_CHECKING, Any

__version__ = "0.2.0"

_ROOMS: dict[str, tuple[str, ...]] = {
    "data": ("Dataset", "load", "load_folder"),
    "estimator": ("SculptedAutoencoder",),
    "evaluation": ("compression", "copy_latents", "diagnose", "find_weight", "latents", "relevance"),
    "factors": (),
    "independence": ("independence_report", "lps", "lps_curve"),
    "live": ("Explorer", "PredictabilityWidget", "Sculptor"),
    "mmd": ("kernels", "mmd2", "mmd_test", "sliced_mmd2", "witness"),
    "plots": (),
    "priors": (),
    "reshaping": ("Reshaper", "reshaped"),
    "series": ("profiles",),
    "training": ("Run", "build_autoencoder", "fit", "load_run", "objectives", "steps"),
}
_importing = RLock()  # two threads that import the same modules in another order could wait for each other
__all__ = ["__version__", *_ROOMS, *(name for names in _ROOMS.values() for name in names)]

if TYPE_CHECKING:
    from sculptlab import data, evaluation, factors, independence, live, mmd, plots, priors, reshaping, series, training
    from sculptlab.data import Dataset, load, load_folder
    from sculptlab.estimator import SculptedAutoencoder
    from sculptlab.evaluation import compression, copy_latents, diagnose, find_weight
    from sculptlab.evaluation.latents import latents
    from sculptlab.evaluation.relevance import relevance
    from sculptlab.independence import independence_report, lps, lps_curve
    from sculptlab.live import Explorer, PredictabilityWidget, Sculptor
    from sculptlab.mmd import kernels, mmd2, mmd_test, sliced_mmd2, witness
    from sculptlab.reshaping import Reshaper, reshaped
    from sculptlab.series import profiles
    from sculptlab.training import Run, build_autoencoder, fit, load_run, objectives, steps


def __getattr__(name: str) -> Any:
    for room, names in _ROOMS.items():
        if name == room or name in names:
            with _importing:
                home = import_module(f"sculptlab.{room}")
                if name == room:
                    return home
                return getattr(home, name) if hasattr(home, name) else import_module(f"sculptlab.{room}.{name}")
    raise AttributeError(f"module 'sculptlab' has no attribute {name!r}; it has {', '.join(sorted(__all__))}")


def __dir__() -> list[str]:
    return sorted(__all__)
