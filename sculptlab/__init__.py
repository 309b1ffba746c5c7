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

_MODULES = (
    "ablation_studies", "alignment", "alignment_cases", "alignment_plots", "alignment_recipe", "alignment_studies",
    "autoencoders", "checks", "claims", "compression", "compression_plots", "compression_studies", "copy_measures",
    "copying", "copying_plots", "copying_studies", "curve_plots", "curve_studies", "datasets", "dependence", "diagnostics",
    "divergences", "factors", "figures", "isometry", "kernels", "mixing", "mmd", "mmd_plots", "objectives", "particles",
    "plots", "power_plots", "power_studies", "predictability", "principal", "prior_gallery", "prior_plots", "prior_studies",
    "priors", "profiles", "reference_codes", "results", "score_plots", "score_studies", "sculpting_plots",
    "sculpting_studies", "sprites", "studies", "study_plots", "training", "weights", "widgets",
)  # fmt: skip
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
    "lps_curve": "predictability_curve",
    "independence": "independence_table",
    "claim": "claims",
    "find_weight": "weights",
    "copy_latents": "copying",
    "load_folder": "image_folders",
    "Sculptor": "sculptor",
    "Explorer": "explorer",
    "SculptedAutoencoder": "estimator",
}
__all__ = ["__version__", *_MODULES, *_NAMES]

if TYPE_CHECKING:
    from sculptlab import (
        ablation_studies,
        alignment,
        alignment_cases,
        alignment_plots,
        alignment_recipe,
        alignment_studies,
        autoencoders,
        checks,
        claims,
        compression,
        compression_plots,
        compression_studies,
        copy_measures,
        copying,
        copying_plots,
        copying_studies,
        curve_plots,
        curve_studies,
        datasets,
        dependence,
        diagnostics,
        divergences,
        factors,
        figures,
        isometry,
        kernels,
        mixing,
        mmd,
        mmd_plots,
        objectives,
        particles,
        plots,
        power_plots,
        power_studies,
        predictability,
        principal,
        prior_gallery,
        prior_plots,
        prior_studies,
        priors,
        profiles,
        reference_codes,
        results,
        score_plots,
        score_studies,
        sculpting_plots,
        sculpting_studies,
        sprites,
        studies,
        study_plots,
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
    from sculptlab.explorer import Explorer
    from sculptlab.image_folders import load_folder
    from sculptlab.independence_table import independence
    from sculptlab.mmd import mmd2, mmd_test, witness
    from sculptlab.predictability import lps
    from sculptlab.predictability_curve import lps_curve
    from sculptlab.profiles import budget
    from sculptlab.runs import Run
    from sculptlab.sculptor import Sculptor
    from sculptlab.training import fit, steps
    from sculptlab.weights import find_weight


def __getattr__(name: str) -> Any:
    if name in _NAMES:
        return getattr(import_module(f"sculptlab.{_NAMES[name]}"), name)
    if name in _MODULES:
        return import_module(f"sculptlab.{name}")
    raise AttributeError(f"module 'sculptlab' has no attribute {name!r}; it has {', '.join(sorted(__all__))}")


def __dir__() -> list[str]:
    return sorted(__all__)
