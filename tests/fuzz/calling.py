"""One call with hostile arguments, and the classification of what came of it."""

import math
import os
import signal
import traceback
import warnings
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import torch

import sculptlab
from sculptlab.data import DataDamaged, DataNotFound
from sculptlab.training import DivergenceError
from tests.fuzz.calls import VALID
from tests.fuzz.values import anything, damaged

OURS = os.path.dirname(sculptlab.__file__) + os.sep
SCIKIT_LEARN = f"{os.sep}sklearn{os.sep}"
LONGEST = 1000  # characters of a message
DOCUMENTED = DivergenceError, DataNotFound, DataDamaged
NOT_A_NUMBER = {"evaluation.find_weight", "evaluation.diagnose"}  # NaN means: not measured, as their docstrings say
ALSO_CALLED = {
    "obj": "prior",
    "bank": "prior",
    "marginal": "prior",
    "y": "prior",
    "target": "prior",
}  # what messages call an argument
FUNCTIONS = "callbacks", "function", "encode", "optimizer", "scheduler", "schedule", "objective", "build", "source"


def arguments(path, seed):
    """The arguments of a call of `path`, and the names of those that were replaced."""
    rng = np.random.default_rng([seed, *path.encode()])
    valid = dict(VALID[path][1])
    replaced = rng.choice(list(valid), size=min(len(valid), 1 + (rng.random() < 0.15)), replace=False)
    for name in map(str, replaced):
        numbers = isinstance(valid[name], np.ndarray | torch.Tensor)
        valid[name] = damaged(rng, valid[name]) if numbers and rng.random() < 0.7 else anything(rng)
    return valid, list(map(str, replaced))


def fault(path, seed):
    """What is wrong with the answer to call number `seed` of `path`; None if it is as it should be."""
    given, names = arguments(path, seed)
    if any(given[name] is None for name in names if name in ("steps", "max_iter")) or given.get("compile") is True:
        return None  # legal, and long
    if any(callable(given[name]) for name in names if name in FUNCTIONS):
        return None  # of the caller, whose errors pass through
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            result = VALID[path][0](**given)
    except DOCUMENTED:
        return None
    except AssertionError as error:
        return None if path == "series.claims.claim" else told(path, given, names, error, "AssertionError")
    except (ValueError, TypeError) as error:
        message, frames = str(error), traceback.extract_tb(error.__traceback__)
        last = frames[-1]
        if any(SCIKIT_LEARN in frame.filename for frame in frames) and path.startswith(("estimator", "reshaping.Reshaper")):
            return None  # check_estimator wants its words
        if len(message) > LONGEST:
            return told(path, given, names, error, f"a message of {len(message)} characters")
        if not last.filename.startswith(OURS):
            return told(path, given, names, error, f"raised by {last.filename}:{last.lineno}")
        if not any(name in message or ALSO_CALLED.get(name, name) in message for name in given):
            return told(path, given, names, error, "the message names no argument")
        return None
    except Exception as error:
        return told(path, given, names, error, "another exception")
    if path not in NOT_A_NUMBER and not finite(result):
        return told(path, given, names, None, f"a value that is not finite: {str(result)[:200]}")
    return None


def finite(result):
    """Whether every number in a result is finite."""
    if isinstance(result, torch.Tensor):
        return not result.is_floating_point() or bool(torch.isfinite(result).all())
    if isinstance(result, np.ndarray):
        return result.dtype.kind not in "fc" or bool(np.isfinite(result).all())
    if isinstance(result, float):
        return math.isfinite(result)
    if isinstance(result, pd.DataFrame):
        return all(finite(result[column].to_numpy()) for column in result)
    if isinstance(result, Mapping):
        return all(map(finite, result.values()))
    if isinstance(result, list | tuple):
        return all(map(finite, result))
    return True


def told(path, given, names, error, what):
    values = {name: shown(given[name]) for name in names}
    where = ""
    if error is not None:
        frames = [f for f in traceback.extract_tb(error.__traceback__) if f.filename.startswith(OURS)]
        where = (
            f"\n    at {'/'.join(Path(frames[-1].filename).parts[-2:])}:{frames[-1].lineno} {frames[-1].line}" if frames else ""
        )
        where += f"\n    {type(error).__name__}: {str(error)[:300]}"
    return f"{path}({values}): {what}{where}"


def shown(value):
    try:
        text = repr(value)
    except Exception:
        text = f"<{type(value).__name__} without repr>"
    plain = isinstance(value, np.ndarray) or (isinstance(value, torch.Tensor) and not value.is_nested)
    kind = f" {value.dtype}{tuple(value.shape)}" if plain else ""
    return f"{text[:90]}{kind}"


def within(seconds):
    """Raise TimeoutError in this process after `seconds`, for calls by hand."""

    def stop(*_):
        raise TimeoutError(f"longer than {seconds} s")

    signal.signal(signal.SIGALRM, stop)
    signal.alarm(seconds)
