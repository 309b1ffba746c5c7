"""A cheap valid call of every public name: what is called, and all of its arguments, of which a few are then replaced."""

import functools
from pathlib import Path
from tempfile import mkdtemp

import numpy as np
import torch
from matplotlib.figure import Figure
from PIL import Image

import sculptlab as sl
from sculptlab.series.claims import claim
from sculptlab.series.results import read_result, record_result
from sculptlab.training.objectives import (
    DIP,
    KL,
    MMD,
    Anchors,
    BetaTC,
    Copying,
    Custom,
    EnergyDistance,
    FactorVAE,
    InfoVAE,
    Isometry,
    LabeledMMD,
    Predictability,
    Ramp,
    Reconstruction,
    SIGReg,
    SlicedMMD,
    SlicedWasserstein,
    SumObjective,
    as_objective,
)  # fmt: skip

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(40, 2)), RNG.normal(size=(30, 2))
T = torch.tensor(X, dtype=torch.float32)
FACTORS = RNG.integers(0, 4, (40, 2))
LABELS = RNG.integers(0, 3, 40)
IMAGES = torch.tensor(RNG.uniform(size=(40, 1, 4, 4)), dtype=torch.float32)
FOLDER = Path(mkdtemp())
Image.fromarray(RNG.integers(0, 255, (9, 7, 3), dtype=np.uint8)).save(FOLDER / "a.png")


def small(stochastic=False, seed=0):
    return sl.build_autoencoder("mlp", image_shape=(1, 4, 4), dim=2, width=4, stochastic=stochastic, seed=seed)


@functools.cache
def run():
    return sl.fit(small(), IMAGES, MMD("gaussian"), steps=3, progress=False, device="cpu")


@functools.cache
def vae():
    return sl.fit(small(True), IMAGES, KL(), steps=3, progress=False, device="cpu")


@functools.cache
def quantizer():
    return sl.compression.Quantizer.fit(X, 2)


@functools.cache
def codec():
    return sl.compression.Codec.fit(quantizer(), X)


@functools.cache
def reshaper():
    return sl.Reshaper(max_iter=2, n_layers=1, hidden_size=4).fit(X)


@functools.cache
def estimator():
    return sl.SculptedAutoencoder(max_iter=2, hidden_size=4).fit(X)


@functools.cache
def explorer():
    return sl.Explorer(small(), IMAGES)


@functools.cache
def found(what):
    """A result whose plot is drawn."""
    if what == "lps":
        return sl.lps(X, regressor="linear", permutations=1, progress=False)
    if what == "curve":
        return sl.lps_curve(X, regressor="linear", rows=(20, 30), progress=False)
    return sl.diagnose(X, "gaussian", permutations=9, max_rows=40)


def ax():
    return Figure().add_subplot()


def term(objective, **given):
    """The value of an objective's terms on codes, after a step of its companions."""

    def call(codes=T, **options):
        made = objective(**options).regularizer(dim=2, rows=40)
        value = made(codes, **given)
        made.update(codes)
        return value

    return call


def trained(objective, stochastic=False):
    """The weights after two steps of `fit` with an objective made from the arguments."""

    def call(**options):
        made = objective(**options)
        return sl.fit(small(stochastic), IMAGES, made, steps=2, progress=False, device="cpu").encode(IMAGES)

    return call


def drawn(family):
    """Draws of a prior made from the arguments."""

    def call(**options):
        return family(**options).sample(5, torch.Generator().manual_seed(0))

    return call


P, K = sl.priors, sl.kernels
POSTERIOR = {"posterior": (T, -torch.ones_like(T))}
SCORES = {"codes": X, "factors": FACTORS, "bins": 4, "continuous": None, "baselines": False, "seed": 0}
FIT = {
    "data": IMAGES, "objective": Reconstruction(), "steps": 2, "epochs": None, "batch_size": 20, "learning_rate": 1e-3, "optimizer": None,
    "weight_decay": 0.0, "scheduler": "constant", "max_grad_norm": 1.0, "seed": 0, "device": "cpu", "precision": "float32",
    "compile": False, "log_every": 1, "progress": False, "callbacks": None, "checkpoint": None,
}  # fmt: skip
STEPS = {name: FIT[name] for name in ("data", "objective", "batch_size", "learning_rate", "seed", "device", "precision")}
VALID = {  # path: (function, arguments)
    "data.Dataset": (sl.Dataset, {"name": "set", "images": IMAGES, "labels": torch.tensor(LABELS), "factors": torch.tensor(FACTORS), "factor_names": ("a", "b"), "label_names": ("x", "y", "z")}),
    "data.Dataset.split": (sl.Dataset("set", IMAGES).split, {"test": 0.2, "seed": 0}),
    "data.Dataset.subset": (sl.Dataset("set", IMAGES).subset, {"indices": [0, 2]}),
    "data.Dataset.to": (sl.Dataset("set", IMAGES).to, {"device": "cpu"}),
    "data.available": (sl.data.available, {"name": "digits", "split": None}),
    "data.fetch": (sl.data.fetch, {"name": "digits", "split": None}),
    "data.load": (sl.load, {"name": "digits", "split": None, "n": 5, "seed": 0, "dtype": "uint8", "device": "cpu", "stride": None, "size": None}),
    "data.load patches": (functools.partial(sl.load, "patches", n=5), {"stride": 64, "dtype": "uint8"}),
    "data.load sprites": (functools.partial(sl.load, "sprites"), {"n": 5, "size": 8, "dtype": "uint8"}),
    "data.load_folder": (sl.load_folder, {"folder": FOLDER, "size": 4, "color": True}),
    "priors.Affine": (drawn(P.Affine), {"prior": P.Uniform(2), "matrix": np.eye(2), "offset": [0.0, 1.0]}),
    "priors.Ball": (drawn(P.Ball), {"dim": 2, "standardize": True}),
    "priors.Checkerboard": (drawn(P.Checkerboard), {"squares": 4, "standardize": True}),
    "priors.Conditional": (drawn(P.Conditional), {"priors": {0: P.Uniform(2), 1: P.Ring()}, "weights": [0.5, 0.5]}),
    "priors.Conditional.given": (P.Conditional({0: P.Uniform(2), 1: P.Ring()}).given, {"labels": [0, 1, 0], "generator": None, "device": None}),
    "priors.Copula": (drawn(P.Copula), {"marginals": [P.Uniform(1), P.Laplace(1)], "correlation": [[1.0, 0.5], [0.5, 1.0]]}),
    "priors.Curve": (drawn(P.Ring), {"noise": 0.1, "standardize": True}),
    "priors.Dirichlet": (drawn(P.Dirichlet), {"concentration": [1.0, 2.0, 3.0], "standardize": True}),
    "priors.Drawn": (drawn(P.Drawn), {"dim": 2, "source": lambda n: torch.zeros(n, 2)}),
    "priors.FromImage": (drawn(P.FromImage), {"image": np.eye(8), "invert": False, "crc32": None, "standardize": True}),
    "priors.FromText": (drawn(P.FromText), {"text": "A", "bold": True, "standardize": True}),
    "priors.Gaussian": (drawn(P.Gaussian), {"dim": 2, "mean": [0.0, 1.0], "covariance": [[1.0, 0.5], [0.5, 1.0]]}),
    "priors.GaussianMixture": (drawn(P.GaussianMixture), {"means": X[:3], "covariances": 0.5, "weights": [0.2, 0.3, 0.5]}),
    "priors.Grid": (drawn(P.Grid), {"dim": 2, "levels": 4, "noise": 0.05, "standardize": True}),
    "priors.Laplace": (drawn(P.Laplace), {"dim": 2, "standardize": True}),
    "priors.Logistic": (drawn(P.Logistic), {"dim": 2, "standardize": True}),
    "priors.Mixture": (drawn(P.Mixture), {"parts": [P.Uniform(2), P.Ring()], "weights": [0.5, 0.5]}),
    "priors.Moons": (drawn(P.Moons), {"noise": 0.1, "standardize": True}),
    "priors.Product": (drawn(P.Product), {"parts": [P.Uniform(1), P.Ring()]}),
    "priors.Ring": (drawn(P.Ring), {"noise": 0.1, "standardize": True}),
    "priors.Samples": (drawn(P.Samples), {"bank": X, "crc32": None}),
    "priors.Simplex": (drawn(P.Simplex), {"dim": 2, "concentration": 1.0, "standardize": True}),
    "priors.Sphere": (drawn(P.Sphere), {"dim": 2, "standardize": True}),
    "priors.Spirals": (drawn(P.Spirals), {"noise": 0.1, "arms": 2, "turns": 1.5, "standardize": True}),
    "priors.StudentT": (drawn(P.StudentT), {"dim": 2, "df": 5.0, "standardize": True}),
    "priors.SwissRoll": (drawn(P.SwissRoll), {"noise": 0.1, "standardize": True}),
    "priors.Tied": (drawn(P.Tied), {"marginal": P.Uniform(1), "low": 0.0, "high": 1.0, "correlation": 0.9}),
    "priors.Tied.given": (P.Tied(P.Uniform(1)).given, {"labels": abs(X[:, 0]) / 3, "generator": None, "device": None}),
    "priors.Uniform": (drawn(P.Uniform), {"dim": 2, "low": -1.0, "high": 1.0}),
    "priors.as_prior": (P.as_prior, {"obj": X, "dim": 2}),
    "priors.Prior.sample": (P.Ring().sample, {"n": 3, "generator": None, "device": None}),
    "priors.Prior.icdf": (P.Uniform(2).icdf, {"u": 0.5 * np.ones((3, 2))}),
    "priors.Prior.affine": (P.Ring().affine, {"matrix": np.eye(2), "offset": [0.0, 1.0]}),
    "priors.Prior.scaled": (P.Ring().scaled, {"factor": 2.0}),
    "priors.Prior.shifted": (P.Ring().shifted, {"offset": 2.0}),
    "priors.Prior.rotated": (P.Ring().rotated, {"angle": 2.0, "plane": (0, 1)}),
    "mmd.mmd2": (sl.mmd2, {"x": X, "y": Y, "kernel": None, "estimator": "unbiased", "views": "pairs", "reduction": "mean"}),
    "mmd.mmd_test": (sl.mmd_test, {"x": X, "y": X[::-1] ** 2, "kernel": None, "permutations": 5, "seed": 0, "views": "joint", "reduction": "mean", "group_size": 1}),
    "mmd.sliced_mmd2": (sl.sliced_mmd2, {"x": X, "y": Y, "directions": 4, "kernel": None, "estimator": "unbiased", "seed": 0}),
    "mmd.witness": (sl.witness, {"x": X, "y": Y, "points": X[:5], "kernel": None}),
    "mmd.kernels.squared_distances": (K.squared_distances, {"x": T, "y": T[:5]}),
    "mmd.kernels.IMQ": (lambda **o: K.IMQ(**o)(X, Y), {"scales": (1.0, 2.0), "base": None}),
    "mmd.kernels.RBF": (lambda **o: K.RBF(**o)(X, Y), {"bandwidth": 1.0}),
    "mmd.kernels.Laplacian": (lambda **o: K.Laplacian(**o)(X, Y), {"bandwidth": 1.0}),
    "mmd.kernels.RationalQuadratic": (lambda **o: K.RationalQuadratic(**o)(X, Y), {"bandwidth": 1.0, "alpha": 1.0}),
    "mmd.kernels.MultiScale": (lambda **o: K.MultiScale(**o)(X, Y), {"kernel": K.RBF(1.0), "factors": (1.0, 2.0)}),
    "mmd.kernels.SumKernel": (lambda **o: K.SumKernel(**o)(X, Y), {"kernels": (K.RBF(1.0),)}),
    "mmd.kernels.Energy": (K.Energy(), {"x": X, "y": Y}),
    "mmd.kernels.Kernel.fit": (lambda **o: K.IMQ().fit(**o)(X, Y), {"target": X}),
    "mmd.kernels.Kernel.widened": (lambda **o: K.RBF(1.0).widened(**o)(X, Y), {"factor": 2.0}),
    "independence.independence_report": (sl.independence_report, {"z": X, "regressor": "linear", "latents": None, "group_size": 1, "permutations": 1, "max_rows": 40, "seed": 0, "progress": False}),
    "independence.lps": (sl.lps, {"z": X, "regressor": "linear", "target": "mean", "latents": None, "folds": 2, "group_size": 1, "permutations": 1, "device": None, "seed": 0, "progress": False}),
    "independence.lps_curve": (sl.lps_curve, {"z": X, "held_out": None, "regressor": "linear", "target": "mean", "rows": (20, 30), "latents": None, "group_size": 1, "permutations": 1, "seed": 0, "progress": False}),
    "factors.alignment": (sl.factors.alignment, {"codes": X, "factors": FACTORS, "angles": ()}),
    "factors.beta_vae": (sl.factors.beta_vae, {**SCORES, "train_votes": 20, "test_votes": 10, "batch": 4, "standardize": True}),
    "factors.dci": (sl.factors.dci, {**SCORES, "estimator": "lasso", "train": 30, "test": 10}),
    "factors.factor_vae": (sl.factors.factor_vae, {**SCORES, "train_votes": 20, "test_votes": 10, "batch": 4, "prune": 0.05}),
    "factors.info_mec": (sl.factors.info_mec, {**SCORES, "prune": 0.05, "train": 30, "test": 10}),
    "factors.mig": (sl.factors.mig, {**SCORES, "binning": "width", "rows": 40}),
    "factors.modularity": (sl.factors.modularity, {**SCORES, "binning": "width", "train": 30, "test": 10}),
    "factors.sap": (sl.factors.sap, {**SCORES, "kind": "discrete", "standardize": True, "train": 30, "test": 10}),
    "training.build_autoencoder": (lambda **o: sl.build_autoencoder(**o).encode(IMAGES), {"architecture": "mlp", "image_shape": (1, 4, 4), "dim": 2, "stochastic": False, "width": 4, "output": "sigmoid", "seed": 0}),
    "training.fit": (lambda **o: sl.fit(small(), **o).encode(IMAGES), FIT),
    "training.fit model": (lambda model: sl.fit(model, IMAGES, Reconstruction(), steps=1, progress=False), {"model": torch.nn.Identity()}),
    "training.steps": (lambda **o: next(sl.steps(small(), **o)).terms, {**STEPS, "decay_over": None}),
    "training.load_run": (sl.load_run, {"path": FOLDER / "run.safetensors", "model": None, "objective": None, "device": "cpu"}),
    "training.Run.encode": (lambda data: run().encode(data), {"data": IMAGES}),
    "training.Run.codes": (lambda data, seed: vae().codes(data, seed=seed), {"data": IMAGES, "seed": 0}),
    "training.Run.posterior": (lambda data: vae().posterior(data), {"data": IMAGES}),
    "training.Run.decode": (lambda codes: run().decode(codes), {"codes": X}),
    "training.Run.reconstruct": (lambda data: run().reconstruct(data), {"data": IMAGES}),
    "training.Run.reconstruction_error": (lambda data: run().reconstruction_error(data), {"data": IMAGES}),
    "training.Run.sample": (lambda **o: run().sample(**o), {"n": 3, "prior": None, "seed": 0}),
    "training.Run.train_more": (lambda **o: sl.fit(small(), IMAGES, Reconstruction(), steps=1, progress=False).train_more(**o), {"steps": 1, "data": None, "log_every": 1, "progress": False, "callbacks": None}),
    "training.Run.reshape": (lambda **o: run().reshape(max_iter=2, n_layers=1, hidden_size=4, **o), {"prior": "gaussian", "data": None, "codes": "means", "seed": 0}),
    "training.Run.save": (lambda path: run().save(path), {"path": FOLDER / "saved.safetensors"}),
    "training.objectives.DIP": (trained(DIP, True), {"weight": 1.0, "kind": "I", "diagonal": None, "likelihood": "gaussian"}),
    "training.objectives.KL": (trained(KL, True), {"beta": 1.0, "likelihood": "gaussian"}),
    "training.objectives.MMD": (trained(MMD), {"prior": "gaussian", "weight": 1.0, "kernel": None, "views": "pairs", "subset": 1, "likelihood": "gaussian", "schedule": Ramp(10)}),
    "training.objectives.MMD codes": (term(MMD), {"codes": T, "prior": "gaussian", "views": "marginal"}),
    "training.objectives.Anchors": (trained(Anchors), {"images": IMAGES[:3], "codes": X[:3], "weight": 1.0, "unit": [1.0, 2.0], "likelihood": "gaussian"}),
    "training.objectives.BetaTC": (trained(BetaTC, True), {"beta": 1.0, "likelihood": "gaussian"}),
    "training.objectives.Copying": (trained(Copying), {"source": np.vstack([X, Y]), "weight": 1.0, "kernel": None, "likelihood": "gaussian", "schedule": None}),
    "training.objectives.Custom": (trained(Custom), {"function": lambda model, images, generator: model(images).square().sum(), "likelihood": "gaussian"}),
    "training.objectives.EnergyDistance": (trained(EnergyDistance), {"prior": "gaussian", "weight": 1.0, "views": "joint", "subset": None, "likelihood": "gaussian", "schedule": None}),
    "training.objectives.FactorVAE": (trained(FactorVAE, True), {"gamma": 1.0, "width": 4, "depth": 1, "likelihood": "gaussian"}),
    "training.objectives.InfoVAE": (trained(InfoVAE, True), {"alpha": 0.0, "lambda_": 1.0, "likelihood": "gaussian"}),
    "training.objectives.Isometry": (trained(Isometry), {"weight": 1.0, "reach": 0.1, "likelihood": "gaussian"}),
    "training.objectives.LabeledMMD": (trained(LabeledMMD), {"prior": P.Tied(P.Uniform(1)), "images": IMAGES, "labels": abs(X[:, 0]) / 3, "weight": 1.0, "latents": [0], "kernel": None, "reach": 0.3, "likelihood": "gaussian"}),
    "training.objectives.Predictability": (trained(Predictability), {"weight": 1.0, "penalty": "nats", "width": 4, "rounds": 1, "likelihood": "gaussian"}),
    "training.objectives.Ramp": (lambda **o: Ramp(**o)(5), {"end": 10, "begin": 0, "start": 0.0}),
    "training.objectives.Reconstruction": (trained(Reconstruction), {"likelihood": "gaussian"}),
    "training.objectives.Regularizer": (lambda **o: MMD("gaussian").regularizer(**o)(T), {"dim": 2, "rows": None, "seed": 0}),
    "training.objectives.Regularizer.forward": (KL().regularizer(2), {"codes": T, "posterior": POSTERIOR["posterior"], "model": None}),
    "training.objectives.Regularizer.update": (lambda **o: Predictability(width=4).regularizer(2).update(**o), {"codes": T, "model": None}),
    "training.objectives.SIGReg": (trained(SIGReg), {"weight": 1.0, "directions": 4, "knots": None, "likelihood": "gaussian", "schedule": None}),
    "training.objectives.SlicedMMD": (trained(SlicedMMD), {"prior": "gaussian", "weight": 1.0, "kernel": None, "directions": 4, "likelihood": "gaussian", "schedule": None}),
    "training.objectives.SlicedWasserstein": (trained(SlicedWasserstein), {"prior": "gaussian", "weight": 1.0, "projections": 4, "likelihood": "gaussian", "schedule": None}),
    "training.objectives.SumObjective": (trained(SumObjective), {"parts": (KL(), MMD("gaussian"))[1:], "likelihood": "gaussian"}),
    "training.objectives.as_objective": (as_objective, {"objective": KL()}),
    "reshaping.Reshaper": (lambda **o: sl.Reshaper(**o).fit(X).transform(X), {"prior": "gaussian", "max_iter": 2, "batch_size": 20, "learning_rate": 1e-3, "weight_decay": 1.0, "validation_fraction": 0.1, "n_iter_no_change": 10, "n_layers": 1, "hidden_size": 4, "low_rank": "drop", "device": "cpu", "random_state": 0, "verbose": False}),
    "reshaping.Reshaper.fit": (lambda **o: sl.Reshaper(max_iter=2, n_layers=1, hidden_size=4).fit(**o).rank_, {"X": X, "y": None}),
    "reshaping.Reshaper.transform": (lambda **o: reshaper().transform(**o), {"X": X, "y": None}),
    "reshaping.Reshaper.inverse_transform": (lambda **o: reshaper().inverse_transform(**o), {"Z": X, "y": None}),
    "reshaping.Reshaper.sample": (lambda **o: reshaper().sample(**o), {"n": 3, "y": None, "random_state": 0}),
    "reshaping.Reshaper.score": (lambda **o: reshaper().score(**o), {"X": X, "y": None}),
    "reshaping.Reshaper.with_prior": (lambda **o: reshaper().with_prior(**o).transform(X), {"prior": "uniform"}),
    "reshaping.reshaped": (sl.reshaped, {"model": small(), "reshaper": reshaper()}),
    "evaluation.alignment_error": (sl.evaluation.alignment_error, {"z": X, "target": X[::-1]}),
    "evaluation.c2st": (sl.evaluation.c2st, {"x": X, "y": Y, "seed": 0, "group_size": 1}),
    "evaluation.copy_latents": (lambda **o: sl.copy_latents(**o).codes, {"source": X[RNG.integers(0, 40, 120)], "model": small(), "data": IMAGES.repeat(3, 1, 1, 1), "anchors": None, "weight": 1.0, "anchor_weight": 1.0, "objective": None, "held_out": 0.4, "steps": 1, "seed": 0}),
    "evaluation.coverage_gap": (sl.evaluation.coverage_gap, {"z": X, "target": Y, "second": Y[::-1]}),
    "evaluation.diagnose": (sl.diagnose, {"z": X, "prior": "gaussian", "data": None, "max_rows": 40, "permutations": 5, "seed": 0}),
    "evaluation.find_weight": (lambda **o: sl.find_weight(batch_size=20, **o), {"objective": lambda w: MMD("gaussian", w), "build": lambda seed: small(seed=seed), "data": IMAGES, "weights": (1.0,), "tolerance": 0.1, "steps": 1, "seeds": (0,), "held_out": 0.5, "progress": False}),
    "evaluation.latents": (sl.latents, {"model": small(), "data": IMAGES, "seed": 0, "encode": None, "places": "one", "batch_size": 20}),
    "evaluation.off_support": (sl.evaluation.off_support, {"z": X, "prior": P.Ring(), "seed": 0}),
    "evaluation.relevance": (sl.relevance, {"model": small(), "codes": X[:, :2], "rows": 20, "seed": 0}),
    "evaluation.precision_recall": (sl.evaluation.precision_recall, {"x": X, "reference": Y, "neighbors": 3}),
    "evaluation.compression.Codec.fit": (lambda codes: sl.compression.Codec.fit(quantizer(), codes).frequencies, {"codes": X}),
    "evaluation.compression.Codec.compress": (lambda codes: codec().compress(codes), {"codes": X}),
    "evaluation.compression.Quantizer.box": (lambda **o: sl.compression.Quantizer.box(**o).quantize(X), {"dim": 2, "bits": 2, "low": -1.0, "high": 1.0}),
    "evaluation.compression.Quantizer.fit": (lambda **o: sl.compression.Quantizer.fit(**o).unit, {"codes": X, "bits": 2, "levels": "range"}),
    "evaluation.compression.Quantizer.quantize": (lambda codes: quantizer().quantize(codes), {"codes": X}),
    "evaluation.compression.decompress": (sl.compression.decompress, {"file": codec().compress(X)}),
    "evaluation.compression.rate_distortion": (sl.compression.rate_distortion, {"run": run(), "training": IMAGES, "held_out": IMAGES, "bits": (1, 2), "levels": "range", "support": None}),
    "estimator.SculptedAutoencoder": (lambda **o: sl.SculptedAutoencoder(**o).fit(X).transform(X), {"prior": "uniform", "n_components": 2, "objective": "mmd", "weight": 1.0, "architecture": "mlp", "hidden_size": 4, "image_shape": None, "max_iter": 2, "batch_size": 20, "learning_rate": 1e-3, "device": "cpu", "random_state": 0, "verbose": False}),
    "estimator.SculptedAutoencoder.fit": (lambda **o: sl.SculptedAutoencoder(max_iter=2, hidden_size=4).fit(**o).n_features_in_, {"X": X, "y": None}),
    "estimator.SculptedAutoencoder.transform": (lambda X: estimator().transform(X), {"X": X}),
    "estimator.SculptedAutoencoder.inverse_transform": (lambda Z: estimator().inverse_transform(Z), {"Z": X}),
    "estimator.SculptedAutoencoder.sample": (lambda **o: estimator().sample(**o), {"n": 3, "random_state": 0}),
    "estimator.SculptedAutoencoder.score": (lambda **o: estimator().score(**o), {"X": X, "y": None}),
    "plots.density": (lambda **o: sl.plots.density(**{"ax": ax(), **o}), {"z": X, "prior": P.Ring(), "labels": LABELS, "named": None, "color": "#0072B2", "title": "a"}),
    "plots.density ax": (functools.partial(sl.plots.density, X), {"ax": ax()}),
    "plots.image_grid": (lambda **o: sl.plots.image_grid(**{"ax": ax(), **o}), {"images": IMAGES, "columns": 4, "title": "a"}),
    "plots.image_grid ax": (functools.partial(sl.plots.image_grid, IMAGES), {"ax": ax()}),
    "plots.panels": (sl.plots.panels, {"rows": 1, "columns": 2, "height": 2.0, "width": 4.0}),
    "plots.style": (lambda **o: sl.plots.style(**{"ax": ax(), **o}), {"title": "a", "x": "b", "y": "c"}),
    "plots.style ax": (sl.plots.style, {"ax": ax()}),
    "priors.Prior.plot": (P.Ring().plot, {"ax": ax()}),
    "independence.LPSResult.plot": (lambda ax: found("lps").plot(ax), {"ax": ax()}),
    "independence.LPSCurve.plot": (lambda ax: found("curve").plot(ax), {"ax": ax()}),
    "evaluation.Diagnosis.plot": (lambda kind: found("diagnosis").plot(kind), {"kind": "marginals"}),
    "evaluation.Diagnosis.verdict": (lambda name: found("diagnosis").verdict(name), {"name": "codes"}),
    "live.Explorer": (lambda **o: sl.Explorer(**o).close(), {"model": small(), "data": IMAGES, "seed": 0}),
    "live.Explorer.compare": (lambda **o: explorer().compare(**o), {"a": X[0], "b": X[1]}),
    "live.Explorer.decode": (lambda codes: explorer().decode(codes), {"codes": X}),
    "live.Explorer.traversals": (lambda code: explorer().traversals(code), {"code": X[0]}),
    "live.PredictabilityWidget": (lambda **o: sl.PredictabilityWidget(**o).close(), {"data": "digits", "latents": 2, "penalty": False, "weight": 1.0, "seed": 0, "show": "codes"}),
    "live.Sculptor": (lambda **o: sl.Sculptor(**o).close(), {"data": "digits", "prior": "ring", "settings": None, "weight": 10.0, "rate": 1e-3, "batch": 64, "seed": 0, "noise": 0.1, "kernel": "imq", "compare": False}),
    "live.standalone_html": (sl.live.standalone_html, {"steps": 2}),
    "live.write_standalone": (sl.live.write_standalone, {"folder": FOLDER / "site", "steps": 2}),
    "series.results.read_result": (read_result, {"name": "many_latents"}),
    "series.results.record_result": (record_result, {"name": "a/b", "frame": None, "seeds": [], "settings": {}}),
    "series.claims.claim": (claim, {"statement": "a", "values": (1.0, 2.0), "above": 0.0, "below": None}),
}  # fmt: skip

run().save(FOLDER / "run.safetensors")

# Results that the package makes, base classes, exceptions and names without arguments.
WITHOUT_ARGUMENTS_TO_CHECK = {
    "data.DataDamaged", "data.DataNotFound", "training.DivergenceError", "priors.Prior", "priors.Shape", "priors.Drawing",
    "mmd.MMDTestResult", "mmd.kernels.Kernel", "independence.IndependenceReport", "independence.LPSCurve", "independence.LPSResult",
    "factors.FactorScore", "training.Autoencoder", "training.Posterior", "training.Run", "training.objectives.Batch",
    "training.objectives.Companion", "training.objectives.Objective", "training.objectives.Term", "evaluation.Advice",
    "evaluation.C2STResult", "evaluation.CopyResult", "evaluation.Diagnosis", "evaluation.WeightCurve", "evaluation.compression.Codec",
    "evaluation.compression.Quantized", "evaluation.compression.Quantizer", "plots.Picture", "live.sculptor_module",
}  # fmt: skip
