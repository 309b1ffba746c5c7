"""One loop for every study: conditions times seeds, each trained and evaluated, collected in one table."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from itertools import product
from typing import Any

import pandas as pd
from tqdm.auto import tqdm

from sculptlab.series.results import order_columns
from sculptlab.series.studies.settings import Objectives, PreparedImages
from sculptlab.series.sweeps import active_sweep, cell_key
from sculptlab.training.state import DivergenceError
from sculptlab.validation import as_seed


def run_study(
    conditions: Mapping[Any, Any] | Iterable[Any],
    seeds: Iterable[int],
    train: Callable[[Any, int], Any],
    evaluate: Callable[[Any, Any, int], Iterable[Mapping[Any, Any]]],
    *,
    columns: str | Sequence[str] = "condition",
    constant: Mapping[str, Any] | None = None,
    on_trained: Callable[[Any, int, Any], None] | None = None,
    may_diverge: bool = False,
    progress: bool = True,
) -> pd.DataFrame:
    """Train and evaluate every condition with every seed; return one table of all rows.

    Inside an active `Sweep` the rows are taken from its folder, where other processes and earlier runs left them.

    conditions   name -> what `train` needs, or only names. A name is a value of the column `columns`; where `columns` are
                 several, it is a tuple with a value for each of them.
    train        (condition, seed) -> a trained model, or a sample of codes where nothing is trained
    evaluate     (condition, what `train` returned, seed) -> rows {column: value}, which may overwrite the condition's columns
    constant     columns with the same value in every row, such as the data set
    on_trained   called with (name, seed, what `train` returned), for example to keep codes for a figure; not in a sweep
    may_diverge  a model that diverges gives a row with the reason in the column "failed"; else its error ends the study
    """
    named = conditions if isinstance(conditions, Mapping) else {name: name for name in conditions}
    valid_seeds = [as_seed("seeds", seed) for seed in seeds]

    def about(name: Any, seed: int) -> dict[Any, Any]:
        own = {columns: name} if isinstance(columns, str) else dict(zip(columns, name, strict=True))
        return {**(constant or {}), **own, "seed": seed}

    def finished(name: Any, seed: int) -> list[dict[Any, Any]]:
        try:
            trained = train(named[name], seed)
            rows = [{**about(name, seed), **row} for row in evaluate(named[name], trained, seed)]
        except DivergenceError as error:
            if not may_diverge:
                raise
            return [{**about(name, seed), "failed": str(error)}]
        if on_trained is not None:
            on_trained(name, seed, trained)
        return rows

    cells = [(name, seed) for seed, name in product(valid_seeds, named)]
    sweep = active_sweep()
    if sweep is None:
        found = [finished(*cell) for cell in tqdm(cells, disable=not progress, unit="model")]
    elif on_trained is not None:
        raise ValueError("a study that keeps codes of its models cannot be run as a sweep: call its function")
    else:
        sweep.calls += 1
        shared = {cell_key(sweep.calls, about(*cell)): partial(finished, *cell) for cell in cells}
        found = list(sweep.run(shared, progress).values())
    return order_columns(pd.DataFrame([row for rows in found for row in rows]))


def compare_objectives(
    images: PreparedImages, objectives: Objectives, seeds: Iterable[int], evaluate: Callable[..., Any], **options: Any
) -> pd.DataFrame:
    """`run_study` for objectives on images, with relative_error: reconstruction_mse over its mean for "no regularizer"."""
    constant = {"data": images.setting.data, "dim": images.setting.dim}
    frame = run_study(objectives, seeds, images.train, evaluate, columns="objective", constant=constant, **options)
    plain = frame.loc[frame["objective"] == "no regularizer", "reconstruction_mse"].mean()
    return frame.assign(relative_error=frame["reconstruction_mse"] / plain)
