"""The methods that the scorecard compares, each with its source; this folder defines those that only the scorecard needs."""

from sculptlab.priors import Gaussian
from sculptlab.series.rivals.after_training import RESHAPER, WHITENING
from sculptlab.series.rivals.ard_vae import ARD_VAE
from sculptlab.series.rivals.flex_ae import FLEX_AE
from sculptlab.series.rivals.latent_quantization import LATENT_QUANTIZATION
from sculptlab.series.rivals.method import Method, of_objective
from sculptlab.series.rivals.nash_ae import NASH_AE
from sculptlab.series.rivals.spheres import MOMENTUM_CONTRAST, SPHERE_MMD
from sculptlab.series.rivals.two_moments import TWO_MOMENTS
from sculptlab.series.rivals.vamp_prior import VAMP_PRIOR
from sculptlab.series.rivals.variance_expansion import VARIANCE_EXPANSION
from sculptlab.training.objectives import (
    DIP,
    KL,
    MMD,
    BetaTC,
    FactorVAE,
    InfoVAE,
    Predictability,
    Reconstruction,
    SIGReg,
    SlicedMMD,
    SlicedWasserstein,
)  # fmt: skip

__all__ = ["METHODS", "PLAIN", "Method", "of_objective"]

PLAIN = "plain"
DISTANCE_WEIGHTS = (3.0, 10.0, 30.0, 100.0, 300.0, 1000.0)

_ALL = (
    of_objective(PLAIN, "no regularizer", "-", None, (0.0,), lambda _: Reconstruction()),
    WHITENING,
    RESHAPER,
    of_objective(
        "VAE", "variational", "Kingma and Welling 2014, arXiv 1312.6114; Higgins et al. 2017 (beta)", Gaussian,
        (0.1, 0.3, 0.5, 1.0, 2.0, 4.0), lambda w: KL(beta=w),
    ),
    of_objective(
        "beta-TCVAE", "variational", "Chen et al. 2018, arXiv 1802.04942", Gaussian,
        (1.1, 1.3, 1.6, 2.0, 4.0, 6.0), lambda w: BetaTC(beta=w),
    ),
    of_objective(
        "FactorVAE", "variational", "Kim and Mnih 2018, arXiv 1802.05983", Gaussian,
        (0.1, 0.3, 1.0, 3.0, 10.0, 35.0), lambda w: FactorVAE(gamma=w, width=200, depth=4),
    ),
    of_objective(
        "DIP-VAE-I", "variational", "Kumar et al. 2018, arXiv 1711.00848", Gaussian,
        (0.03, 0.1, 0.3, 1.0, 3.0, 10.0), lambda w: DIP(weight=w, kind="I"),
    ),
    of_objective(
        "DIP-VAE-II", "variational", "Kumar et al. 2018, arXiv 1711.00848", Gaussian,
        (0.03, 0.1, 0.3, 1.0, 3.0, 10.0), lambda w: DIP(weight=w, kind="II"),
    ),
    of_objective(
        "InfoVAE", "variational", "Zhao et al. 2019, arXiv 1706.02262", Gaussian,
        DISTANCE_WEIGHTS, lambda w: InfoVAE(alpha=0.0, lambda_=w),
    ),
    of_objective(
        "WAE-MMD", "distance to the prior", "Tolstikhin et al. 2018, arXiv 1711.01558", Gaussian,
        DISTANCE_WEIGHTS, lambda w: MMD("gaussian", w),
    ),
    of_objective(
        "sliced Wasserstein", "distance to the prior", "Kolouri et al. 2019, arXiv 1804.01947", Gaussian,
        (0.3, 1.0, 3.0, 10.0, 30.0, 100.0), lambda w: SlicedWasserstein("gaussian", w),
    ),
    of_objective(
        "SIGReg", "distance to the prior", "Balestriero and LeCun 2025, arXiv 2511.08544", Gaussian,
        (0.03, 0.1, 0.3, 1.0, 3.0, 10.0), lambda w: SIGReg(w, directions=64),
    ),
    of_objective(
        "sliced MMD", "distance to the prior", "here: `sculptlab.sliced_mmd2`", Gaussian,
        DISTANCE_WEIGHTS, lambda w: SlicedMMD("gaussian", w, directions=64),
    ),
    of_objective(
        "MMD + predictability", "predictability", "here, after Yeats et al. 2022 (ECCV); MMD with weight 100", Gaussian,
        (0.3, 1.0, 3.0, 10.0, 30.0, 100.0), lambda w: MMD("gaussian", 100.0) + Predictability(w),
    ),
    ARD_VAE,
    VAMP_PRIOR,
    FLEX_AE,
    MOMENTUM_CONTRAST,
    SPHERE_MMD,
    TWO_MOMENTS,
    VARIANCE_EXPANSION,
    NASH_AE,
    LATENT_QUANTIZATION,
)  # fmt: skip

METHODS: dict[str, Method] = {method.name: method for method in _ALL}
