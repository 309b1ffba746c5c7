"""sculptlab: give an autoencoder's latent space the shape you want, and prove that it took.

    import sculptlab as sl
    data = sl.load("digits")
    model = sl.build_autoencoder("mlp", image_shape=data.image_shape, dim=2, stochastic=True)
    run = sl.fit(model, data, sl.objectives.KL(beta=1.0), steps=1000, seed=0)
    sl.diagnose(run.codes(data), sl.priors.Gaussian(2)).plot()

Names load on first use, so that `sculptlab doctor` can still speak where torch cannot be imported.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

# the modules one uses, by the folder they lie in
_ROOMS = {
    "": "alignment autoencoders checks claims compression copy_measures copying datasets diagnostics divergences factors "
    "kernels mmd objectives plots predictability principal priors profiles results sprites training weights widgets",
    "experiments": "ablation_studies alignment_cases alignment_recipe alignment_studies compression_studies copying_studies "
    "curve_studies power_studies prior_gallery prior_studies score_studies sculpting_studies studies",
    "judges": "dependence mixing reference_codes",
    "objectives": "isometry",
    "pictures": "alignment_plots compression_plots copying_plots curve_plots figures mmd_plots particles power_plots prior_plots "
    "score_plots sculpting_plots study_plots",
}
_MODULES = {name: ".".join(filter(None, ("sculptlab", room, name))) for room, names in _ROOMS.items() for name in names.split()}
_NAMES = {
    "load": "datasets",
    "budget": "profiles",
    "build_autoencoder": "autoencoders",
    "steps": "training",
    "fit": "training",
    "Run": "runs",
    "mmd2": "mmd",
    "mmd_test": "mmd",
    "witness": "mmd",
    "diagnose": "diagnostics",
    "lps": "predictability",
    "lps_curve": "judges.predictability_curve",
    "independence": "judges.independence_table",
    "claim": "claims",
    "find_weight": "weights",
    "copy_latents": "copying",
    "load_folder": "image_sets.image_folders",
    "Sculptor": "live.sculptor",
    "Explorer": "live.explorer",
    "SculptedAutoencoder": "estimator",
}
__all__ = ["__version__", *_MODULES, *_NAMES]

if TYPE_CHECKING:
    from sculptlab import (
        alignment,
        autoencoders,
        checks,
        claims,
        compression,
        copy_measures,
        copying,
        datasets,
        diagnostics,
        divergences,
        factors,
        kernels,
        mmd,
        objectives,
        plots,
        predictability,
        principal,
        priors,
        profiles,
        results,
        sprites,
        training,
        weights,
        widgets,
    )
    from sculptlab.autoencoders import build_autoencoder
    from sculptlab.claims import claim
    from sculptlab.copying import copy_latents
    from sculptlab.datasets import load
    from sculptlab.diagnostics import diagnose
    from sculptlab.estimator import SculptedAutoencoder
    from sculptlab.experiments import (
        ablation_studies,
        alignment_cases,
        alignment_recipe,
        alignment_studies,
        compression_studies,
        copying_studies,
        curve_studies,
        power_studies,
        prior_gallery,
        prior_studies,
        score_studies,
        sculpting_studies,
        studies,
    )
    from sculptlab.image_sets.image_folders import load_folder
    from sculptlab.judges import dependence, mixing, reference_codes
    from sculptlab.judges.independence_table import independence
    from sculptlab.judges.predictability_curve import lps_curve
    from sculptlab.live.explorer import Explorer
    from sculptlab.live.sculptor import Sculptor
    from sculptlab.mmd import mmd2, mmd_test, witness
    from sculptlab.objectives import isometry
    from sculptlab.pictures import (
        alignment_plots,
        compression_plots,
        copying_plots,
        curve_plots,
        figures,
        mmd_plots,
        particles,
        power_plots,
        prior_plots,
        score_plots,
        sculpting_plots,
        study_plots,
    )
    from sculptlab.predictability import lps
    from sculptlab.profiles import budget
    from sculptlab.runs import Run
    from sculptlab.training import fit, steps
    from sculptlab.weights import find_weight


def __getattr__(name: str) -> Any:
    if name in _NAMES:
        return getattr(import_module(f"sculptlab.{_NAMES[name]}"), name)
    if name in _MODULES:
        return import_module(_MODULES[name])
    raise AttributeError(f"module 'sculptlab' has no attribute {name!r}; it has {', '.join(sorted(__all__))}")


def __dir__() -> list[str]:
    return sorted(__all__)
