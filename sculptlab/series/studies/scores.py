"""Studies of page 02: LPS of trained models, beside scores that know the factors, and what influences LPS."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import product
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from sculptlab import factors
from sculptlab.data import load
from sculptlab.evaluation.set_tables import INACTIVE_BELOW
from sculptlab.independence import dependence, lps
from sculptlab.independence.regressors import REGRESSORS
from sculptlab.series.reference_codes import cases as reference_codes
from sculptlab.series.reference_codes.mixing import SOURCES, Mixed, mixed
from sculptlab.series.results import Recorded, record_result
from sculptlab.series.studies.evaluators import lps_scores
from sculptlab.series.studies.kl_failure import RELATIVES, beta_sweep
from sculptlab.series.studies.runner import run_study
from sculptlab.series.studies.settings import Objectives, train_and_test, train_autoencoder
from sculptlab.training.objectives import BetaTC, Objective, Reconstruction
from sculptlab.training.run import Run
from sculptlab.validation import SEEDS, as_seed

SCORED_ROWS = 4000  # held-out codes
MODELS: dict[str, Objective] = {
    **{name: RELATIVES[name] for name in ("no regularizer", "beta-TC", "DIP-I", "FactorVAE", "InfoVAE")},
    **beta_sweep((0.1, 1.0, 10.0)),
}
SPRITE_MODELS: dict[str, Objective] = {
    "no regularizer": Reconstruction(likelihood="bernoulli"),
    **beta_sweep((1.0, 4.0, 16.0)),
    "beta-TC": BetaTC(beta=6.0, likelihood="bernoulli"),
}
LPS_NAMES = (*REGRESSORS, "squares", "bits")
ANGLES, BENDS = (0, 9, 18, 27, 36, 45), (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
SIZES, DIMENSIONS, TRAINING_STEPS = (250, 500, 1000, 2000, 4000, 8000, 16000), (3, 6, 12, 24, 48), (30, 100, 300, 1000, 3000)


def score_codes(z: Tensor, *, permutations: int = 4, seed: int = 0, names: Iterable[str] = LPS_NAMES) -> dict[str, float]:
    """LPS of codes z (n, d) and its chance level, by each of `names` (keys of `evaluators.LPS_COLUMNS`).

    Also the number of inactive latents ("dead") and LPS by networks of the others ("mlp_active"): an inactive latent may
    follow the others closely at a scale that no decoder uses, which would count as dependence.
    """
    found = {"evaluated": len(z), **lps_scores(z, names, permutations=permutations, seed=seed)}
    active = z.std(0) >= INACTIVE_BELOW
    score = found.get("mlp", np.nan) if active.all() else np.nan
    if 2 <= active.sum() < len(active):
        score = lps(z[:, active], "mlp", permutations=0, seed=seed).score
    return {**found, "dead": int((~active).sum()), "mlp_active": score}


def score_models(
    name: str, objectives: Objectives, seeds: Iterable[int], scoring: Mapping[str, Any], rows: int = SCORED_ROWS, **training: Any
) -> pd.DataFrame:
    """Train page 01's models on the data set `name` and score their held-out codes; a row for each model and kind of code.

    scoring: options of `score_codes`; training: options of `train_autoencoder`, such as dim and steps.
    """
    images, held_out = train_and_test(name)
    held_out = held_out.subset(range(min(rows, len(held_out))))

    def train(objective: Objective, seed: int) -> Run:
        return train_autoencoder(images, objective, stochastic=True, seed=seed, **training)

    def evaluate(_: Objective, run: Run, seed: int) -> list[dict[str, Any]]:
        error, codes = run.reconstruction_error(held_out), run.codes(held_out, seed=seed)
        return [{"codes": kind, "reconstruction_mse": error, **score_codes(z, seed=seed, **scoring)} for kind, z in codes.items()]

    constant = {"data": name, "dim": training["dim"]}
    return run_study(objectives, seeds, train, evaluate, columns="objective", constant=constant)


def record_model_scores(name: str, seeds: Sequence[int] = range(5), *, steps: int = 1500, permutations: int = 4) -> Recorded:
    """Run page 02's study of models on the data set `name` and record it."""
    training = {"steps": steps, "width": 128, "dim": 10}
    frame = score_models(name, MODELS, seeds, {"permutations": permutations, "names": LPS_NAMES}, **training)
    settings = {**training, "rows": SCORED_ROWS, "permutations": permutations, "lps": LPS_NAMES}
    return record_result(f"lps_models_{name}", frame, seeds=seeds, settings=settings)


def codes_of_factors(known: Any, dim: int = 10, seed: int = 0) -> dict[str, Tensor]:
    """Codes (n, dim) made from factors (n, k), k < dim, that are disentangled, entangled or empty by construction.

    aligned           each factor, by its rank, as one standard normal latent; independent noise in the other latents
    uniform           the same with uniform latents
    rotated           "aligned" after a random rotation; rotated uniform: "uniform" after the same rotation
    network           a random tanh layer of "uniform"
    duplicated        each factor twice (dim = 2 k)
    noise             independent of the factors
    """
    generator = torch.Generator().manual_seed(as_seed("seed", seed))
    values = torch.as_tensor(known, dtype=torch.float64, device="cpu")
    n, k = values.shape
    noise = torch.rand(n, dim - k, generator=generator, dtype=torch.float64, device="cpu")
    # ties are broken at random, so that every latent is exactly uniform
    small = 1e-6 * torch.rand(k, n, generator=generator, device="cpu", dtype=torch.float32)
    ranks = (values + small.T).argsort(0).argsort(0)
    quantiles = torch.cat([(ranks + 0.5) / n, noise], 1)
    uniform, normal = 12**0.5 * (quantiles - 0.5), torch.special.ndtri(quantiles.clamp(1e-6, 1 - 1e-6))
    rotation = torch.linalg.qr(torch.randn(dim, dim, generator=generator, dtype=torch.float64, device="cpu"))[0]
    layer = torch.randn(dim, dim, generator=generator, dtype=torch.float64, device="cpu")
    made = {
        "aligned": normal,
        "uniform": uniform,
        "rotated": normal @ rotation,
        "rotated uniform": uniform @ rotation,
        "network": torch.tanh(uniform @ layer),
        "duplicated": torch.cat([normal[:, :k], normal[:, :k]], 1),
        "noise": torch.randn(n, dim, generator=generator, dtype=torch.float64, device="cpu"),
    }
    return {name: z.float() for name, z in made.items()}


def score_against_factors(z: Tensor, known: Any, *, seed: int = 0, permutations: int = 1) -> dict[str, float]:
    """LPS (mlp, linear, squares, bits) of codes z (n, d) beside the scores that know the factors."""
    own = score_codes(z, permutations=permutations, seed=seed, names=("mlp", "linear", "squares", "bits"))
    return {**own, **factor_scores(z, known, seed)}


def factor_scores(z: Tensor, known: Any, seed: int = 0) -> dict[str, float]:
    """Scores of codes z (n, d) that know the factors (n, k); DCI by random forests."""
    options: dict[str, Any] = {"baselines": False, "seed": seed}
    dci = factors.dci(z, known, estimator="forest", **options).parts
    parts = factors.modularity(z, known, **options).parts
    return {
        "MIG": factors.mig(z, known, **options).score,
        "SAP": factors.sap(z, known, **options).score,
        **{f"DCI {name}": value for name, value in dci.items()},
        "FactorVAE": factors.factor_vae(z, known, train_votes=2000, test_votes=1000, **options).score,
        "BetaVAE": factors.beta_vae(z, known, train_votes=2000, test_votes=1000, **options).score,
        "modularity": parts["modularity"],
        "explicitness": parts["explicitness"],
    }


def record_factor_scores(seeds: Sequence[int] = range(5), *, steps: int = 2000, n: int = 20_000) -> Recorded:
    """Run page 02's study on sprites and record it: codes made of the factors, and the means of trained models."""
    training, held_out = load("sprites", n=n, size=32).split(test=0.3, seed=0)
    known = held_out.factors

    def make(name: str, seed: int) -> Tensor:
        return codes_of_factors(known, seed=seed)[name]

    def score(_: str, z: Tensor, seed: int) -> list[dict[str, Any]]:
        return [score_against_factors(z, known, seed=seed)]

    def train(objective: Objective, seed: int) -> Run:
        return train_autoencoder(training, objective, dim=10, steps=steps, stochastic=True, seed=seed)

    def evaluate(_: Objective, run: Run, seed: int) -> list[dict[str, Any]]:
        return [{"reconstruction_mse": run.reconstruction_error(held_out), **score("", run.encode(held_out), seed)[0]}]

    made = run_study(list(codes_of_factors(known)), seeds, make, score, columns="codes", constant={"kind": "made"})
    trained = run_study(SPRITE_MODELS, seeds, train, evaluate, columns="codes", constant={"kind": "model"})
    settings = {"steps": steps, "width": 128, "dim": 10, "images": n, "size": 32, "held_out": len(held_out)}
    frame = pd.concat([made, trained], ignore_index=True).assign(data="sprites")
    return record_result("lps_sprites", frame, seeds=seeds, settings=settings)


def record_mixing(seeds: Sequence[int] = range(5), *, n: int = 1000) -> Recorded:
    """Score mixed sources over the grid of page 02's slider and record it; angle 0 and bend 0 show the chance level."""
    frame = run_study(
        product(SOURCES, ANGLES, BENDS), seeds, lambda condition, seed: mixed(*condition, n=n, seed=seed),
        lambda _, pair, seed: [mixing_scores(pair, seed)], columns=("source", "angle", "bend"),
    )  # fmt: skip
    return record_result("lps_mixing", frame, seeds=seeds, settings={"n": n, "dim": 2})


def mixing_scores(pair: Mixed, seed: int = 0) -> dict[str, float]:
    """Every score of two mixed sources: dependence of the codes (n, 2) on each other, and alignment with the sources."""
    z, sources = pair
    return {
        "|correlation|": abs(float(dependence.correlation(z)[0, 1])),
        **lps_scores(z, LPS_NAMES, seed=seed),
        "distance correlation": float(dependence.distance_correlation_to_rest(z, max_rows=len(z)).mean()),
        "HSIC": float(dependence.hsic_to_rest(z, max_rows=len(z)).mean()),
        "total correlation": dependence.gaussian_total_correlation(z),
        "MIG": factors.mig(z, sources, baselines=False, seed=seed).score,
        "SAP (continuous)": factors.sap(z, sources, kind="continuous", baselines=False, seed=seed).score,
    }


def record_sensitivity(seeds: Sequence[int] = range(5)) -> Recorded:
    """Record how LPS depends on rows, dimensions and regressor, for reference codes, and on the training steps of a model."""
    cases: dict[str, Callable[[int], reference_codes.ReferenceCode]] = {
        "independent": lambda dim: reference_codes.independent("gaussian", dim),
        "three-way sign XOR": reference_codes.sign_xor,
        "parabola": reference_codes.parabola,
        "equicorrelated": lambda dim: reference_codes.equicorrelated(0.5, dim),
    }
    grid = [("n", n, n, 6) for n in SIZES] + [("d", dim, 4000, dim) for dim in DIMENSIONS]
    known = {(name, value, case): (cases[case](dim), n, value) for name, value, n, dim in grid for case in cases}

    def sample(condition: tuple[reference_codes.ReferenceCode, int, int], seed: int) -> tuple[Tensor, Any, dict[str, Any]]:
        case, n, value = condition
        best = np.array(case.best["mean"])
        predictable = best > 0 if best.any() else np.full(case.dim, True)
        truth = {"truth": case.truth["mean"], "raw_truth": best[predictable].mean()}
        return case.sample(n, (1000 * seed + value) % SEEDS), predictable, truth

    def evaluate(_: Any, sampled: tuple[Tensor, Any, dict[str, Any]], seed: int) -> list[dict[str, Any]]:
        z, predictable, truth = sampled
        scores = {name: lps(z, name, permutations=0, seed=seed) for name in REGRESSORS}
        return [{"regressor": r, "score": s.score, "raw": s.raw[predictable].mean(), **truth} for r, s in scores.items()]

    training, held_out = train_and_test("digits")

    def train(condition: tuple[str, int, str], seed: int) -> tuple[Tensor, Any, dict[str, Any]]:
        _, steps, name = condition
        run = train_autoencoder(training, MODELS[name], dim=10, steps=steps, stochastic=True, seed=seed)
        return run.encode(held_out), slice(None), {}

    models = product(["steps"], TRAINING_STEPS, ["no regularizer", "beta 1"])
    columns = ("hyperparameter", "value", "codes")
    frames = [run_study(known, seeds, sample, evaluate, columns=columns)]
    frames += [run_study(models, seeds, train, evaluate, columns=columns)]
    settings = {"n_while_dim_varies": 4000, "dim_while_n_varies": 6}
    return record_result("lps_sensitivity", pd.concat(frames, ignore_index=True), seeds=seeds, settings=settings)
