"""Sculpting after training: the codes of plain autoencoders as they are, whitened, and reshaped to priors."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import pandas as pd
import torch
from torch import Tensor

from sculptlab.evaluation.two_samples import c2st
from sculptlab.independence import lps_curve
from sculptlab.priors import Gaussian, Prior
from sculptlab.reshaping import Reshaper
from sculptlab.reshaping.maps import Linear
from sculptlab.reshaping.targets import map_of
from sculptlab.series.results import Recorded, record_result
from sculptlab.series.studies.evaluators import LPS_COLUMNS, prior_measures
from sculptlab.series.studies.prior_gallery import gallery_priors
from sculptlab.series.studies.runner import run_study
from sculptlab.series.studies.sculpting import FRONTIERS
from sculptlab.series.studies.settings import PreparedImages, Setting
from sculptlab.training.objectives import Reconstruction
from sculptlab.training.run import Run
from sculptlab.validation import choice

EVALUATORS = ("mlp", "boosting", "squares", "squares boosting")
PLANE = Setting("fashion_mnist", 2)


def independence_study(
    images: PreparedImages, seeds: Iterable[int], *, evaluators: Sequence[str] = EVALUATORS, progress: bool = True, **options: Any
) -> pd.DataFrame:
    """Train a plain autoencoder with every seed; a row for each kind of codes and each evaluator.

    The conditions are the codes as they are ("plain"), whitened linearly, and reshaped to N(0, I) by `Reshaper(**options)`; both
    maps are fitted to training codes. Evaluators are keys of `LPS_COLUMNS`, fitted to all training codes and scored on all
    held-out codes; trees predict at most 256 / d latents. c2st is the C2ST accuracy of held-out codes against N(0, I).
    """

    def evaluate(_: Any, run: Run, seed: int) -> list[dict[Any, Any]]:
        z, held_out = (run.encode(x).double() for x in (images.training, images.held_out))
        whitening = Linear.whitening(z)
        reshaped = run.reshape("gaussian", images.training, seed=seed, **options)
        after, unseen_after = (reshaped.encode(x) for x in (images.training, images.held_out))
        kinds: Mapping[str, tuple[Run, Tensor, Tensor]] = {
            "plain": (run, z, held_out),
            "whitened": (run, whitening(z)[0], whitening(held_out)[0]),
            "reshaped": (reshaped, after, unseen_after),
        }
        plain = images.error(run)
        drawn = Gaussian(z.shape[1]).sample(len(held_out), torch.Generator().manual_seed(seed))
        found = []
        for condition, (model, codes, unseen) in kinds.items():
            error = images.error(model)
            common = {
                "condition": condition, "reconstruction_mse": error, "relative_error": error / plain, "evaluated": len(unseen),
                "c2st": c2st(unseen, drawn, seed).accuracy,
            }  # fmt: skip
            for name in evaluators:
                regressor, target = LPS_COLUMNS[name]
                latents = min(z.shape[1], 256 // z.shape[1]) if regressor == "boosting" else None
                curve = lps_curve(
                    codes.float(), unseen.float(), regressor, target, rows=(len(z),), latents=latents, seed=seed, progress=False
                )
                found += curve.frame.assign(regressor=name, **common).to_dict("records")
        return found

    return _plain_autoencoders(images, seeds, evaluate, progress)


def planar_study(
    images: PreparedImages, priors: Mapping[str, Prior], seeds: Iterable[int], *, progress: bool = True, **options: Any
) -> pd.DataFrame:
    """Train a plain autoencoder of two latents with every seed, and reshape its codes to each prior; a row for each of them.

    Held-out codes are compared with the prior by `prior_measures`. The map from codes to N(0, I) is fitted once for each
    seed; the map from there to a prior is a table of the prior's quantiles.
    """

    def evaluate(_: Any, run: Run, seed: int) -> list[dict[Any, Any]]:
        reshaper = Reshaper("gaussian", random_state=seed, **options).fit(run.encode(images.training))
        z = torch.from_numpy(reshaper.transform(run.encode(images.held_out))).double()
        found = []
        for name, prior in priors.items():
            codes = map_of(prior, seed=seed).inverse(z).float()
            found.append({"prior": name, "evaluated": len(codes), **prior_measures(codes, prior, seed)})
        return found

    return _plain_autoencoders(images, seeds, evaluate, progress)


def _plain_autoencoders(images: PreparedImages, seeds: Iterable[int], evaluate: Callable, progress: bool) -> pd.DataFrame:
    """Train a plain autoencoder with every seed, and collect the rows of `evaluate` in one table."""
    return run_study(
        ["plain autoencoder"], seeds, lambda _, seed: images.train(Reconstruction(), seed), evaluate, progress=progress,
        constant={"data": images.setting.data, "dim": images.setting.dim},
    )  # fmt: skip


def record_independence(name: str, seeds: Sequence[int] = range(1, 6)) -> Recorded:
    """Run the study of independence for a setting of `FRONTIERS` and record it as "reshaping_NAME"."""
    setting = FRONTIERS[choice("name", name, ("cifar10_16", "tiny_imagenet_32", "cifar10_64"))]
    frame = independence_study(PreparedImages.of(setting), seeds)
    return record_result(f"reshaping_{name}", frame, seeds=seeds, settings=vars(setting))


def record_plane(seeds: Sequence[int] = range(1, 6)) -> Recorded:
    """Run the study of planar priors on Fashion-MNIST and record it as "reshaping_plane"."""
    planar = {name: prior for name, prior in gallery_priors().items() if prior.dim == 2}
    frame = planar_study(PreparedImages.of(PLANE), planar, seeds)
    return record_result("reshaping_plane", frame, seeds=seeds, settings={**vars(PLANE), "priors": list(planar)})
