"""Studies of scores: LPS on trained models, beside scores that know the factors, and over what a score should not depend on."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from tqdm.auto import tqdm

from sculptlab import factors
from sculptlab.data.datasets import load
from sculptlab.evaluation.diagnosis import INACTIVE_BELOW
from sculptlab.independence.dependence import correlation, distance_correlations, hsics, standardized, total_correlation
from sculptlab.independence.lps import lps
from sculptlab.independence.regressors import REGRESSORS
from sculptlab.series.reference_codes import cases as reference_codes
from sculptlab.series.reference_codes.mixing import SOURCES, mixed
from sculptlab.series.results import Recorded, write
from sculptlab.series.studies.kl_failure import RELATIVES, Cell, beta_sweep, train, train_and_test
from sculptlab.training.objectives import KL, BetaTC, Objective, Reconstruction
from sculptlab.training.run import Run

ROWS = 4000  # held-out codes that are scored
MODELS: dict[str, Objective] = {
    **{name: RELATIVES[name] for name in ("no regularizer", "beta-TC", "DIP-I", "FactorVAE", "InfoVAE")},
    **beta_sweep((0.1, 1.0, 10.0)),
}
SPRITE_MODELS: dict[str, Objective] = {
    "no regularizer": Reconstruction(likelihood="bernoulli"),
    **{f"beta {beta:g}": KL(beta=beta, likelihood="bernoulli") for beta in (1.0, 4.0, 16.0)},
    "beta-TC": BetaTC(beta=6.0, likelihood="bernoulli"),
}
SPRITE_SIZE, SPRITES = 32, 20_000
LINES: dict[str, tuple[Any, str]] = {
    **{regressor: (regressor, "mean") for regressor in REGRESSORS},
    "squares": ("mlp", "square"),
    "bits": ("mlp", "distribution"),
}
ANGLES, BENDS = (0, 9, 18, 27, 36, 45), (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
SIZES, DIMENSIONS, LENGTHS = (250, 500, 1000, 2000, 4000, 8000, 16000), (3, 6, 12, 24, 48), (30, 100, 300, 1000, 3000)


def score(z: Tensor, *, permutations: int = 4, seed: int = 0, lines: Iterable[str] | None = None) -> dict[str, float]:
    """LPS of codes z (n, d) and its floor, by `lines` (None: all): "mlp", "linear", "boosting" of means; "squares", "bits".

    Beside them: n; dead, the dimensions below 5 % of a unit prior's standard deviation; alive, LPS (mlp) of those that are
    not dead, where a dead dimension's faint echo of the others would count as entanglement.
    """
    found: dict[str, float] = {"n": len(z)}
    for name in LINES if lines is None else lines:
        regressor, target = LINES[name]
        result = lps(z, regressor, target, permutations=permutations, seed=seed)
        found |= {name: result.score, f"{name}_chance": result.floor}
    live = z.std(0) >= INACTIVE_BELOW
    found |= {"dead": int((~live).sum()), "alive": np.nan}
    if live.all():
        found["alive"] = found.get("mlp", np.nan)
    elif live.sum() >= 2:
        found["alive"] = lps(z[:, live], permutations=0, seed=seed).score
    return found


def score_run(run: Run, held_out: Any, **options: Any) -> list[dict[str, Any]]:
    """A row for each kind of code that the run has (means, samples), scored on held-out images; options as in `score`."""
    codes = run.codes(held_out, seed=run.seed)
    error = run.reconstruction_error(held_out)
    return [{"codes": kind, "reconstruction_mse": error, **score(z, seed=run.seed, **options)} for kind, z in codes.items()]


def score_models(
    name: str,
    objectives: Mapping[str, Objective],
    seeds: Iterable[int],
    *,
    dim: int = 10,
    steps: int = 1500,
    width: int = 128,
    rows: int = ROWS,
    progress: bool = True,
    **options: Any,
) -> pd.DataFrame:
    """The models of page 01 on the data set `name`, trained anew, their held-out codes scored; one row per model and kind."""
    training, held_out = train_and_test(name)
    held_out = held_out.subset(range(min(rows, len(held_out))))
    found = []
    for cell in tqdm([Cell(name, dim, o, s) for o in objectives for s in seeds], disable=not progress, unit="model"):
        run = train(cell, objectives[cell.objective], training, steps=steps, width=width)
        found += [{**vars(cell), **row} for row in score_run(run, held_out, **options)]
    return pd.DataFrame(found)


def record_model_scores(name: str, seeds: Sequence[int] = range(5), *, steps: int = 1500, permutations: int = 4) -> Recorded:
    """Run page 02's study of models on the data set `name` and record it."""
    frame = score_models(name, MODELS, seeds, steps=steps, permutations=permutations)
    settings = {"steps": steps, "width": 128, "dim": 10, "rows": ROWS, "permutations": permutations, "lines": list(LINES)}
    return write(f"lps_models_{name}", frame, seeds=list(seeds), settings=settings)


def codes_of_factors(known: Any, dim: int = 10, seed: int = 0) -> dict[str, Tensor]:
    """Codes (n, dim) made from factors (n, k), k < dim: disentangled, entangled or empty by construction.

    aligned: each factor by its rank, as a standard normal dimension, noise in the others. uniform: the same, uniform.
    rotated: the aligned ones after a random rotation. rotated uniform: the uniform ones after the same. network: a random
    tanh layer of the uniform ones. duplicated: each factor twice (dim = 2 k). noise: nothing of the factors.
    """
    values = torch.as_tensor(known, dtype=torch.float64)
    n, k = values.shape
    generator = torch.Generator().manual_seed(seed)
    noise = torch.rand(n, dim - k, generator=generator, dtype=torch.float64)
    # ties are broken at random: a class becomes an interval, so that every dimension has the whole marginal
    order = torch.stack([torch.argsort(torch.argsort(v + 1e-6 * torch.rand(n, generator=generator))) for v in values.T], 1)
    shares = torch.cat([(order + 0.5) / n, noise], 1)
    uniform, normal = 12**0.5 * (shares - 0.5), torch.special.ndtri(shares.clamp(1e-6, 1 - 1e-6))
    turn = torch.linalg.qr(torch.randn(dim, dim, generator=generator, dtype=torch.float64))[0]
    layer = torch.randn(dim, dim, generator=generator, dtype=torch.float64)
    made = {
        "aligned": normal,
        "uniform": uniform,
        "rotated": normal @ turn,
        "rotated uniform": uniform @ turn,
        "network": torch.tanh(uniform @ layer),
        "duplicated": torch.cat([normal[:, :k], normal[:, :k]], 1),
        "noise": torch.randn(n, dim, generator=generator, dtype=torch.float64),
    }
    return {name: z.float() for name, z in made.items()}


def score_against_factors(z: Tensor, known: Any, *, seed: int = 0, permutations: int = 1) -> dict[str, float]:
    """LPS (mlp: mean, squares, bits; linear) of codes z (n, d) beside the scores that know the factors; DCI by "forest"."""
    options: dict[str, Any] = {"baselines": False, "seed": seed}
    dci = factors.dci(z, known, estimator="forest", **options).parts
    parts = factors.modularity(z, known, **options).parts
    return {
        **score(z, permutations=permutations, seed=seed, lines=("mlp", "linear", "squares", "bits")),
        "MIG": factors.mig(z, known, **options).score,
        "SAP": factors.sap(z, known, **options).score,
        **{f"DCI {name}": value for name, value in dci.items()},
        "FactorVAE": factors.factor_vae(z, known, train=2000, test=1000, **options).score,
        "BetaVAE": factors.beta_vae(z, known, train=2000, test=1000, **options).score,
        "modularity": parts["modularity"],
        "explicitness": parts["explicitness"],
    }


def record_factor_scores(seeds: Sequence[int] = range(5), *, steps: int = 2000, n: int = SPRITES) -> Recorded:
    """Run page 02's study on sprites and record it: codes made of the factors, and the means of trained models."""
    data = load("sprites", n=n, size=SPRITE_SIZE)
    training, held_out = data.split(test=0.3, seed=0)
    rows = []
    for seed in seeds:
        for name, z in codes_of_factors(held_out.factors, seed=seed).items():
            rows.append({"kind": "made", "codes": name, "seed": seed, **score_against_factors(z, held_out.factors, seed=seed)})
    for name, objective in SPRITE_MODELS.items():
        for seed in seeds:
            run = train(Cell("sprites", 10, name, seed), objective, training, steps=steps)
            z = run.codes(held_out, seed=seed)["means"]
            rows.append({"kind": "model", "codes": name, "seed": seed, "reconstruction_mse": run.reconstruction_error(held_out),
                         **score_against_factors(z, held_out.factors, seed=seed)})  # fmt: skip
    settings = {"steps": steps, "width": 128, "dim": 10, "images": n, "size": SPRITE_SIZE, "held_out": len(held_out)}
    return write("lps_sprites", pd.DataFrame(rows), seeds=list(seeds), settings=settings)


def record_mixing(seeds: Sequence[int] = range(5), *, n: int = 1000) -> Recorded:
    """Run page 02's slider over its grid of sources, angles and bends and record every score: nothing is permuted here, the
    floor is the setting 0, 0."""
    rows = []
    for source in SOURCES:
        for angle in ANGLES:
            for bend in BENDS:
                for seed in seeds:
                    z, sources = mixed(source, angle, bend, n=n, seed=seed)
                    rows.append({"source": source, "angle": angle, "bend": bend, "seed": seed, **mixing_scores(z, sources, seed)})
    return write("lps_mixing", pd.DataFrame(rows), seeds=list(seeds), settings={"n": n, "dim": 2})


def mixing_scores(z: Tensor, sources: Tensor, seed: int = 0) -> dict[str, float]:
    """Every score of two mixed sources: dependence of the codes z (n, 2) on each other, and alignment with the sources (n, 2)."""
    data = standardized(z)[0]
    lines = {name: lps(z, *LINES[name], permutations=0, seed=seed).score for name in LINES}
    return {
        "|correlation|": abs(float(correlation(z)[0, 1])),
        **lines,
        "distance correlation": float(distance_correlations(data).mean()),
        "HSIC": float(hsics(data).mean()),
        "total correlation": total_correlation(data),
        "MIG": factors.mig(z, sources, baselines=False, seed=seed).score,
        "SAP (continuous)": factors.sap(z, sources, kind="continuous", baselines=False, seed=seed).score,
    }


def record_sensitivity(seeds: Sequence[int] = range(5)) -> Recorded:
    """Run page 02's study of what moves the score, and record it: rows, dimensions, regressor, training length of the model."""
    rows: list[dict[str, Any]] = []
    cases: dict[str, Callable[[int], reference_codes.ReferenceCode]] = {
        "independent": lambda dim: reference_codes.independent("gaussian", dim),
        "three-way sign XOR": reference_codes.sign_xor,
        "parabola": reference_codes.parabola,
        "equicorrelated": lambda dim: reference_codes.equicorrelated(0.5, dim),
    }
    grid = [("n", n, 6, n) for n in SIZES] + [("d", 4000, d, d) for d in DIMENSIONS]
    for seed in seeds:
        for knob, n, dim, value in grid:
            for name, case in cases.items():
                known = case(dim)
                for regressor in REGRESSORS:
                    found = lps(known.sample(n, 1000 * seed + value), regressor, permutations=0, seed=seed)
                    moved = [i for i, best in enumerate(known.best["mean"]) if best > 0] or range(dim)
                    rows.append({"hyperparameter": knob, "value": value, "codes": name, "regressor": regressor, "seed": seed,
                                 "score": found.score, "raw": found.raw[moved].mean(), "truth": known.truth["mean"],
                                 "truth_of_moved": np.mean([known.best["mean"][i] for i in moved])})  # fmt: skip
    training, held_out = train_and_test("digits")
    for seed in seeds:
        for name in ("no regularizer", "beta 1"):
            for steps in LENGTHS:
                run = train(Cell("digits", 10, name, seed), MODELS[name], training, steps=steps)
                z = run.codes(held_out, seed=seed)["means"]
                for regressor in REGRESSORS:
                    found = lps(z, regressor, permutations=0, seed=seed)
                    rows.append({"hyperparameter": "steps", "value": steps, "codes": name, "regressor": regressor, "seed": seed,
                                 "score": found.score, "raw": found.raw.mean()})  # fmt: skip
    return write("lps_sensitivity", pd.DataFrame(rows), seeds=list(seeds), settings={"d at n": 4000, "n at d": 6})
