"""The scorecard: every method of `rivals.METHODS` with one budget, evaluated against the distribution that it declares."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from sculptlab import factors
from sculptlab.data import load
from sculptlab.evaluation import c2st
from sculptlab.evaluation.set_tables import INACTIVE_BELOW, effective_rank
from sculptlab.independence.dependence import distance_correlation_to_rest
from sculptlab.series.results import Recorded, record_result
from sculptlab.series.rivals import METHODS, PLAIN, Method
from sculptlab.series.studies.evaluators import lps_scores, prior_measures
from sculptlab.series.studies.runner import run_study
from sculptlab.series.studies.samples import sample_quality
from sculptlab.series.studies.scores import factor_scores
from sculptlab.series.studies.settings import PreparedImages, Setting
from sculptlab.series.studies.tables import breast_cancer, pulses
from sculptlab.training import DivergenceError
from sculptlab.training.objectives import Reconstruction
from sculptlab.training.run import Run
from sculptlab.validation import choice

TOLERANCE = 1.10  # times the plain autoencoder's error: the most that a method may cost when its weight is chosen
ASIDE = 0.25  # share of the training images by which weights are chosen
SCORECARDS: dict[str, Setting] = {
    "digits": Setting("digits", 6, components=64, steps=300, width=128, batch_size=128, learning_rate=3e-3),
    "sprites": Setting("sprites", 10, components=256, steps=1000, width=128, batch_size=128, evaluated=1500),
    "fashion_mnist": Setting(
        "fashion_mnist", 16, components=64, steps=1000, width=128, batch_size=128, rows=20_000, evaluated=2000
    ),
    "breast_cancer": Setting("breast_cancer", 5, components=30, steps=300, width=64, batch_size=64, learning_rate=3e-3),
    "pulses": Setting("pulses", 4, components=64, steps=300, width=128, batch_size=128, learning_rate=3e-3),
    "cifar10": Setting("cifar10", 16, components=128, steps=1000, width=128, batch_size=128, rows=20_000, evaluated=2000),
}
LPS_NAMES = ("mlp", "boosting", "squares")
FACTOR_SCORES = ("MIG", "SAP", "DCI disentanglement", "DCI completeness", "modularity", "InfoM", "InfoC", "FactorVAE", "BetaVAE")


@dataclass(frozen=True, eq=False)
class Scorecard:
    """The images of a scorecard; the factors (n, k) of its held-out images, where they are known."""

    images: PreparedImages
    known: np.ndarray | None = None

    @classmethod
    def of(cls, name: str) -> Scorecard:
        """Load the images of `SCORECARDS[name]`, of sprites 10,000 with a side of 32 pixels; or the rows of a table."""
        setting = SCORECARDS[choice("name", name, list(SCORECARDS))]
        if name == "breast_cancer":
            return cls(PreparedImages.of(setting, breast_cancer()))
        if name == "pulses":
            training, held_out, known = pulses()
            return cls(PreparedImages.of(setting, (training, held_out)), known)
        if name != "sprites":
            return cls(PreparedImages.of(setting))
        sets = load("sprites", n=10_000, size=32).split(test=0.3, seed=0)
        return cls(PreparedImages.of(setting, sets), np.asarray(sets[1].factors))

    def with_decoder_variance(self, progress: bool = True) -> Scorecard:
        """The same with the decoder variance that a plain autoencoder leaves: the squared error of a component, by seed 0.

        Regularizers are then weighed against the likelihood of a Gaussian decoder of this variance. So a weight means the same
        for all data, and a beta of 1 is a VAE.
        """
        part = self.images.set_aside(ASIDE)

        def evaluate(_: Any, run: Run, seed: int) -> list[dict[str, Any]]:
            return [{"mse": run.reconstruction_error(part.held_out)}]

        options: dict[str, Any] = {"constant": self.constant, "progress": progress}
        frame = run_study([PLAIN], [0], lambda _, seed: part.train(Reconstruction(), seed), evaluate, **options)
        return replace(self, images=replace(self.images, decoder_variance=float(frame["mse"].iloc[0])))

    @property
    def constant(self) -> dict[str, Any]:
        """The columns that all rows share."""
        return {"data": self.images.setting.data, "dim": self.images.setting.dim}

    def try_weights(self, methods: Mapping[str, Method], **options: Any) -> pd.DataFrame:
        """Train every method with each of its weights and seed 0, without the images set aside; a row for each.

        On these: the error, relative to the plain autoencoder's, and LPS by networks.
        """
        part = replace(self.images.set_aside(ASIDE), decoder_variance=self.images.decoder_variance)
        grid = {(name, weight): methods[name] for name in methods for weight in methods[name].weights}

        def train(condition: tuple[Method, float], seed: int) -> Run:
            return condition[0].train(part, condition[1], seed)

        def evaluate(_: Any, run: Run, seed: int) -> list[dict[str, Any]]:
            z = active_latents(_finite(run.encode(part.held_out[: part.setting.evaluated])))
            return [{"reconstruction_mse": part.error(run), "active_latents": z.shape[1], **_lps(z, ("mlp",), seed)}]

        conditions = {key: (method, key[1]) for key, method in grid.items()}
        options |= {"columns": ("method", "weight"), "constant": {"kind": "tried", **self.constant}, "may_diverge": True}
        return relative_to_plain(run_study(conditions, [0], train, evaluate, **options))

    def compare(
        self, methods: Mapping[str, Method], weights: Mapping[str, float], seeds: Iterable[int], *, quick: bool = False,
        **options: Any,
    ) -> pd.DataFrame:  # fmt: skip
        """Train every method with its chosen weight and every seed; a row of `measures` for each, of held-out images."""
        conditions = {(name, weights[name]): (methods[name], weights[name]) for name in methods}

        def train(condition: tuple[Method, float], seed: int) -> tuple[Run, float]:
            started = time.process_time()
            return condition[0].train(self.images, condition[1], seed), time.process_time() - started

        def evaluate(condition: tuple[Method, float], trained: tuple[Run, float], seed: int) -> list[dict[str, Any]]:
            run, seconds = trained
            return [{**self.measures(condition[0], run, seed, quick=quick), "seconds": seconds}]

        options |= {"columns": ("method", "weight"), "constant": {"kind": "chosen", **self.constant}, "may_diverge": True}
        return relative_to_plain(run_study(conditions, seeds, train, evaluate, **options))

    def reference(self, name: str, seed: int) -> dict[str, float]:
        """What the factors themselves ("factors"), or independent normal codes ("noise"), get from scores that know factors."""
        known = np.asarray(self.known, dtype=np.float32)[: self.images.setting.evaluated]
        generator = torch.Generator().manual_seed(seed)
        noise = torch.randn(len(known), self.images.setting.dim, generator=generator, dtype=torch.float32, device="cpu")
        return known_scores(torch.from_numpy(known) if name == "factors" else noise, known, seed)

    def measures(self, method: Method, run: Run, seed: int, *, quick: bool = False) -> dict[str, Any]:
        """What one trained model gets; `quick` leaves all out but the error, LPS by networks and the C2ST.

        Of a stochastic encoder the means are judged by LPS and by scores that know the factors, and draws of the posteriors
        against the declared distribution, which is what such a method pulls there.
        """
        images, n = self.images, self.images.setting.evaluated
        codes = run.codes(images.held_out[:n], seed=seed)
        z = _finite(codes["means" if "means" in codes else "codes"])
        active, prior = active_latents(z), method.declared(run, z.shape[1])
        found = {"reconstruction_mse": images.error(run), "evaluated": len(z), "active_latents": active.shape[1]}
        found |= {"rank": effective_rank(z), **_lps(active, ("mlp",) if quick else LPS_NAMES, seed)}
        if not quick and active.shape[1] > 1:
            found["dcor_rest"] = distance_correlation_to_rest(active, seed=seed).mean().item()
        if prior is not None:
            drawn, own = prior.sample(len(z), torch.Generator().manual_seed(1000 + seed)).to(z), codes.get("samples", z)
            found["c2st"] = c2st(own, drawn, seed).accuracy
        if prior is not None and not quick:
            against = prior_measures(own, prior, seed)
            found |= {name: against[name] for name in PRIOR_COLUMNS}
            found |= sample_quality(run.decode(drawn), images.held_out[: len(z)], seed)
        if self.known is not None and not quick:
            found |= known_scores(z, self.known[: len(z)], seed)
        return found


PRIOR_COLUMNS = ("chance_c2st", "mmd_p", "coverage_gap", "chance_coverage_gap")


def active_latents(z: Tensor) -> Tensor:
    """The columns of codes z (n, d) that vary by at least 5 % of the widest one; the others carry nothing that is decoded."""
    return z[:, active_columns(z)]


def active_columns(z: Tensor) -> Tensor:
    """Which columns of codes z (n, d) `active_latents` keeps, as booleans (d,)."""
    std = z.std(0)
    return std >= INACTIVE_BELOW * std.max()


def _lps(active: Tensor, names: Sequence[str], seed: int) -> dict[str, float]:
    if active.shape[1] < 2:  # nothing to predict, or to predict from
        return dict.fromkeys(names, math.nan)
    return lps_scores(active, names, seed=seed)


def _finite(z: Tensor) -> Tensor:
    if not z.isfinite().all():
        raise DivergenceError("codes are not finite")
    return z


def known_scores(z: Tensor, known: np.ndarray, seed: int = 0) -> dict[str, float]:
    """All scores of codes z (n, d) against known factors (n, k)."""
    parts = factors.info_mec(z, known, baselines=False, seed=seed).parts
    return {**factor_scores(z, known, seed), **{name: parts[name] for name in ("InfoM", "InfoC", "InfoE")}}


def relative_to_plain(frame: pd.DataFrame) -> pd.DataFrame:
    """`frame` with relative_error: reconstruction_mse over its mean for the plain autoencoder."""
    plain = frame.loc[frame["method"] == PLAIN, "reconstruction_mse"].mean()
    return frame.assign(relative_error=frame["reconstruction_mse"] / plain)


def chosen_weights(tried: pd.DataFrame, tolerance: float = TOLERANCE) -> dict[str, float]:
    """For each method, of the weights whose error is within the tolerance, that of the least LPS by networks.

    Where none is within, the weight of the least error. A weight that diverged, or left fewer than two active latents, is not
    taken; a method all of whose weights did is left out.
    """
    chosen: dict[str, float] = {}
    for name, rows in tried.groupby("method", sort=False):
        rows = rows.dropna(subset=["relative_error", "mlp"])
        within = rows[rows["relative_error"] <= tolerance]
        if len(rows):
            best = within.loc[within["mlp"].idxmin()] if len(within) else rows.loc[rows["relative_error"].idxmin()]
            chosen[str(name)] = float(best["weight"])
    return chosen


def never_allowed(tried: pd.DataFrame, tolerance: float = TOLERANCE) -> list[str]:
    """The methods of which no weight that was tried has an error within the tolerance."""
    least = tried.groupby("method", sort=False)["relative_error"].min()
    return [str(name) for name in least.index[~(least <= tolerance)]]


def rank_correlations(frame: pd.DataFrame, columns: Sequence[str], by: str = "mlp") -> pd.Series:
    """Spearman's correlation over methods of the mean of `by` with that of each column."""
    means = frame.groupby("method")[[by, *columns]].mean()
    return means.corr(method="spearman")[by].drop(by)


def stability(frame: pd.DataFrame, columns: Sequence[str]) -> pd.DataFrame:
    """How far each column ranks the methods alike with every seed.

    rank agreement is the mean over pairs of seeds of Spearman's correlation over methods; 1 if all seeds rank alike. noise is
    the standard deviation over seeds, as root mean square over methods, over the standard deviation of the methods' means.
    """
    rows = {}
    for column in columns:
        table = frame.pivot(index="method", columns="seed", values=column)
        pairs = table.corr(method="spearman").to_numpy()[np.triu_indices(table.shape[1], 1)]
        rows[column] = {"rank agreement": pairs.mean(), "noise": math.sqrt(table.var(axis=1).mean()) / table.mean(axis=1).std()}
    return pd.DataFrame(rows).T


def pareto(frame: pd.DataFrame, x: str = "relative_error", y: str = "mlp") -> list[str]:
    """The methods that no other one beats in the means of both columns, of which less is better, by x."""
    means = frame.groupby("method")[[x, y]].mean().dropna().round(6).sort_values([x, y])
    return means.index[means[y] < means[y].cummin().shift(fill_value=math.inf)].tolist()


def record_scorecard(name: str, seeds: Sequence[int] = range(1, 6), methods: Mapping[str, Method] = METHODS) -> Recorded:
    """Choose the weights, compare the methods and record both as "scorecard_NAME" (column "kind": tried, chosen).

    Where factors are known, rows of kind "reference" are what the factors themselves and noise get.
    """
    card = Scorecard.of(name).with_decoder_variance()
    tried = card.try_weights(methods)
    weights = chosen_weights(tried)
    chosen = card.compare({method: methods[method] for method in weights}, weights, seeds)
    frames = [tried, chosen]
    if card.known is not None:
        frames.append(run_study(["factors", "noise"], seeds, card.reference, lambda _, row, seed: [row], columns="method",
                                constant={"kind": "reference", **card.constant}))  # fmt: skip
    settings = {**vars(card.images.setting), "decoder_variance": card.images.decoder_variance, "tolerance": TOLERANCE}
    settings |= {"aside": ASIDE, "sources": {method: methods[method].source for method in methods}}
    settings["families"] = {method: methods[method].family for method in methods}
    return record_result(f"scorecard_{name}", pd.concat(frames, ignore_index=True), seeds=seeds, settings=settings)
