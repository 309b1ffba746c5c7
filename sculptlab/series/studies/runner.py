"""One loop for every study: conditions times seeds, each trained and evaluated, collected in one table."""

import base64
import io
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from itertools import product
from typing import Any

import numpy as np
import pandas as pd
from tqdm.auto import tqdm

from sculptlab.series.results import order_columns
from sculptlab.series.studies.settings import Objectives, PreparedImages
from sculptlab.series.sweeps import active_sweep, cell_key
from sculptlab.training.state import DivergenceError
from sculptlab.validation import as_seed

PACKED = "packed arrays"  # the key of the row that holds what `keep` returned for a cell


def run_study(
    conditions: Mapping[Any, Any] | Iterable[Any],
    seeds: Iterable[int],
    train: Callable[[Any, int], Any],
    evaluate: Callable[[Any, Any, int], Iterable[Mapping[Any, Any]]],
    *,
    columns: str | Sequence[str] = "condition",
    constant: Mapping[str, Any] | None = None,
    keep: Callable[[Any, int, Any], Mapping[str, np.ndarray]] | None = None,
    arrays: dict[str, np.ndarray] | None = None,
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
    keep         (name, seed, what `train` returned) -> arrays by name, for example codes for a figure
    arrays       a dictionary that gets what `keep` returned, of all cells
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
        return rows if keep is None else [*rows, {PACKED: _pack(keep(name, seed, trained))}]

    cells = [(name, seed) for seed, name in product(valid_seeds, named)]
    sweep = active_sweep()
    if sweep is None:
        found = [finished(*cell) for cell in tqdm(cells, disable=not progress, unit="model")]
    else:
        sweep.calls += 1
        shared = {cell_key(sweep.calls, about(*cell)): partial(finished, *cell) for cell in cells}
        found = list(sweep.run(shared, progress).values())
    for packed in (row[PACKED] for rows in found for row in rows if PACKED in row):
        if arrays is not None:
            arrays.update(_unpack(packed))
    return order_columns(pd.DataFrame([row for rows in found for row in rows if PACKED not in row]))


def _pack(arrays: Mapping[str, Any]) -> str:
    """Arrays as text, for the file of a cell."""
    if unreadable := [name for name, array in arrays.items() if np.asarray(array).dtype.hasobject]:
        raise TypeError(f"keep must return arrays of numbers or text, got arrays of objects: {unreadable}")
    np.savez_compressed(buffer := io.BytesIO(), **dict(arrays))
    return base64.b64encode(buffer.getvalue()).decode("ascii")


def _unpack(packed: str) -> dict[str, np.ndarray]:
    with np.load(io.BytesIO(base64.b64decode(packed))) as stored:
        return dict(stored)


def compare_objectives(
    images: PreparedImages, objectives: Objectives, seeds: Iterable[int], evaluate: Callable[..., Any], **options: Any
) -> pd.DataFrame:
    """`run_study` for objectives on images, with relative_error: reconstruction_mse over its mean for "no regularizer"."""
    constant = {"data": images.setting.data, "dim": images.setting.dim}
    frame = run_study(objectives, seeds, images.train, evaluate, columns="objective", constant=constant, **options)
    plain = frame.loc[frame["objective"] == "no regularizer", "reconstruction_mse"].mean()
    return frame.assign(relative_error=frame["reconstruction_mse"] / plain)
