"""Studies by the names of their results, run as sweeps: in one process, in several, or in those of several hosts."""

from __future__ import annotations

import os
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any

from sculptlab.validation import choice

# first word of a result's name -> module of `studies`, function that records it, and the names it takes (a mapping of the module)
FAMILIES: dict[str, tuple[str, str, str | tuple[str, ...]]] = {
    "ablations": ("ablations", "record_ablations", "ABLATIONS"),
    "alignment": ("alignment", "record_alignment", ()),
    "compression": ("compression", "record_compression", ("fashion_mnist",)),
    "copies": ("copying", "record_copies", ()),
    "curves": ("curves", "record_curves", "CURVES"),
    "frontier": ("sculpting", "record_frontier", "FRONTIERS"),
    "joint_embedding": ("joint_embedding", "record_joint_embedding", ()),
    "kl_failure": ("kl_failure", "record_kl_failure", ("digits", "fashion_mnist")),
    "labels": ("labels", "record_labels", ()),
    "lps_mixing": ("scores", "record_mixing", ()),
    "lps_models": ("scores", "record_model_scores", ("digits", "fashion_mnist")),
    "lps_sensitivity": ("scores", "record_sensitivity", ()),
    "lps_sprites": ("scores", "record_factor_scores", ()),
    "many_latents": ("many_latents", "record_many_latents", "MANY_LATENTS"),
    "map_inside_fashion_mnist": ("samples", "record_map_inside", ()),
    "mmd_power": ("power", "record_power", ()),
    "mmd_power_sliced": ("power", "record_sliced_power", ()),
    "priors": ("priors", "record_priors", ("fashion_mnist",)),
    "priors_hands": ("priors", "record_hands", ("fashion_mnist",)),
    "priors_topology": ("priors", "record_topology", ("fashion_mnist",)),
    "reshaping": ("reshaping", "record_independence", ("cifar10_16", "tiny_imagenet_32", "cifar10_64")),
    "reshaping_plane": ("reshaping", "record_plane", ()),
    "rotations": ("rotations", "record_rotations", ()),
    "samples_fashion_mnist": ("samples", "record_samples", ()),
    "scorecard": ("scorecard", "record_scorecard", "SCORECARDS"),
    "standard_vae_mnist": ("standard_vae", "record_standard_vae", ()),
    "thin_codes": ("thin_codes", "record_thin_codes", ()),
}


def studies(start: str | None = None) -> dict[str, tuple[str, str, tuple[Any, ...]]]:
    """Every study that can be swept: the name of its result -> module, function and arguments.

    With `start`, only those of families whose word `start` begins with: the modules of the others are not imported.
    """
    found: dict[str, tuple[str, str, tuple[Any, ...]]] = {}
    for family, (module, function, given) in FAMILIES.items():
        if start is not None and not start.startswith(family):
            continue
        names: Any = getattr(_study_module(module), given) if isinstance(given, str) else given
        found |= (
            {f"{family}_{name}": (module, function, (name,)) for name in names} if names else {family: (module, function, ())}
        )
    return dict(sorted(found.items()))


def _study_module(name: str) -> Any:
    return import_module(f"sculptlab.series.studies.{name}")


def work(study: str, folder: str | os.PathLike[str], *, record: bool = False, progress: bool = True) -> Any:
    """Compute cells of a study until all of them are done, and with `record` write its result to data/results.

    Several calls may share a folder, in processes of one host or of several: `sculptlab sweep` makes them on one machine, a Slurm
    array on many. With Dask:
    `with joblib.parallel_config("dask"): joblib.Parallel(9)(joblib.delayed(work)(study, folder) for _ in range(9))`.

    Returns the table of the result, or None where it is not recorded.
    """
    from sculptlab.series.results import commit
    from sculptlab.series.sweeps import Sweep, SweepFinished
    from sculptlab.threads import one_thread

    known = studies(study) if isinstance(study, str) else {}
    if not isinstance(study, str) or study not in known:
        choice("STUDY", study, list(studies()))  # it raises the error
    module, function, arguments = known[study]
    version = import_module("sculptlab").__version__
    shared = Sweep(Path(folder), study, version, {"commit": commit()}, records=record, progress=progress)
    with shared.active(), one_thread(), suppress(SweepFinished):  # on one thread the rows do not depend on the machine's cores
        return getattr(_study_module(module), function)(*arguments)


def sweep(study: str, folder: Path, jobs: int, record: bool = False) -> Any:
    """`work` in `jobs` processes of this machine, of which this is the first; only this one records."""
    import multiprocessing

    context = multiprocessing.get_context("spawn")
    others = [
        context.Process(target=work, args=(study, folder), kwargs={"progress": False}, daemon=True) for _ in range(jobs - 1)
    ]
    for process in others:
        process.start()
    try:
        return work(study, folder, record=record)
    finally:
        for process in others:
            process.join(10)
            process.terminate()
