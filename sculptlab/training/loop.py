"""Training: `steps()` yields one record per step, `fit()` drains it with a history, a progress bar and checkpoints."""

import os
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import nn
from tqdm.auto import tqdm

from sculptlab.training.checkpoints import read_checkpoint, writable_path, write_checkpoint
from sculptlab.training.run import Run
from sculptlab.training.state import DivergenceError, Record, Training
from sculptlab.validation import choice, whole

__all__ = ["DivergenceError", "Record", "Training", "fit", "steps"]

CHECKPOINT_SECONDS = 60.0


def steps(
    model: nn.Module,
    data: Any,
    objective: Any,
    *,
    batch_size: int | None = None,
    learning_rate: float = 1e-3,
    decay_over: int | None = None,
    seed: int = 0,
    device: str | torch.device = "auto",
    precision: str = "auto",
    compile: bool = False,
) -> Iterator[Record]:
    """Train `model` without end, one step for each record taken; `fit` says what the arguments mean.

    decay_over   the learning rate falls to 0 along half a cosine over this many steps; None keeps it constant.
    Arguments are checked at the call, before the first record. Stopping early leaves a usable model, whose convolutions on a
    GPU or in bfloat16 lie channels-last in memory; `fit` turns them back.
    """
    training = Training(
        model, data, objective, batch_size=batch_size, learning_rate=learning_rate, decay_over=decay_over, seed=seed,
        device=device, precision=precision, compile=compile,
    )  # fmt: skip
    return _advance_forever(training)


def _advance_forever(training: Training) -> Iterator[Record]:
    training.start()
    while True:
        yield training.advance()


def fit(
    model: nn.Module,
    data: Any,
    objective: Any,
    *,
    steps: int = 2000,
    batch_size: int | None = None,
    learning_rate: float = 1e-3,
    schedule: str = "cosine",
    seed: int = 0,
    device: str | torch.device = "auto",
    precision: str = "auto",
    compile: bool = False,
    log_every: int | None = None,
    progress: bool = True,
    checkpoint: str | os.PathLike[str] | None = None,
) -> Run:
    """Train `model` in place for `steps` steps of Adam and return the Run: model, history, and what to do with them.

    model          any module with encode and decode (`build_autoencoder`); a stochastic one with posterior besides. With a
                   function as objective: any module at all.
    data           a Dataset, or images (n, ...) as tensor or array: floats in the range the model puts out, or uint8, which
                   is scaled by 1/255. Kept whole on the device.
    objective      an `objectives` object, or a function (model, images, generator) -> loss.
    batch_size     images per step; None takes 256, or all of a smaller set.
    schedule       "cosine": the learning rate falls to 0 along half a cosine; "constant": it stays.
    seed           of batch order, noise and adversaries. The same seed and model give the same bits on the same CPU, unless a
                   layer of the model draws from torch's global generator (dropout).
    device         "auto": the GPU if there is one, else the CPU; or any torch device.
    precision      of the model's layers: "float32" (a GPU's convolutions as PyTorch's TF32 flag says); "bfloat16", by autocast;
                   "auto": bfloat16 on a GPU with units for it, else float32. Weights, losses, distances, adversaries and the
                   Run itself are in float32 either way.
    compile        whether torch.compile is to make one program of each network: seconds to minutes once, then faster steps.
                   Where that fails, which an extra first step without an update shows, a warning says so.
    log_every      steps between rows of the history; None logs about 200 rows.
    checkpoint     a file: saved whole every minute and at the end. If it is there, training goes on from it, to the same bits;
                   if it was written under other settings it is refused (with "cosine", steps is one of them). Of functions, as
                   objective or as its schedule, the name alone is compared: all lambdas of one place count as the same.
    Raises ValueError/TypeError for unusable arguments, DivergenceError when the loss explodes. Ctrl-C ends training with a
    warning and returns the Run so far (`run.stopped` says so).
    """
    total = whole("steps", steps)
    choice("schedule", schedule, ("cosine", "constant"))
    every = whole("log_every", log_every) if log_every is not None else max(1, total // 200)
    training = Training(
        model, data, objective, batch_size=batch_size, learning_rate=learning_rate,
        decay_over=total if schedule == "cosine" else None, seed=seed, device=device,
        precision=precision, compile=compile,
    )  # fmt: skip
    path = None if checkpoint is None else writable_path(checkpoint)
    rows = _resume(training, path, total)
    stopped = None
    try:
        if training.step < total:
            training.start()
        _drain(training, rows, total, every, progress, path)
    except KeyboardInterrupt:
        stopped = "interrupted"
        warnings.warn(f"interrupted after {training.step} of {total} steps: the model is usable as it is", stacklevel=2)
    finally:
        training.stage.leave()
    _save(training, rows, path)  # not after a divergence: the last good checkpoint stays
    return Run(model, training.objective, rows, seed=training.seed, steps=training.step, stopped=stopped)


def _drain(training: Training, rows: list[dict[str, float]], total: int, every: int, progress: bool, path: Path | None) -> None:
    started, saved = time.perf_counter(), time.perf_counter()
    before = rows[-1]["seconds"] if rows else 0.0
    with tqdm(total=total, initial=training.step, disable=not progress, delay=1.0, unit="step", leave=False) as bar:
        while training.step < total:
            record = training.advance()
            if record.step % every and record.step != total and record.step != 1:
                continue
            now = time.perf_counter()
            rows.append(
                {
                    "step": record.step,
                    **{k: v.item() for k, v in record.terms.items()},
                    "seconds": before + now - started,
                }
            )
            bar.update(record.step - bar.n)
            bar.set_postfix(loss=f"{rows[-1]['loss']:.4g}", refresh=False)
            if path is not None and now - saved > CHECKPOINT_SECONDS:
                _save(training, rows, path)
                saved = now
        training.keep_if_good()


def _save(training: Training, rows: list[dict[str, float]], path: Path | None) -> None:
    if path is not None and training.step:
        write_checkpoint(path, {"settings": training.settings(), "state": training.state(), "rows": rows})


def _resume(training: Training, path: Path | None, total: int) -> list[dict[str, float]]:
    if path is None or not path.exists():
        return []
    saved = read_checkpoint(path, training.settings())
    if saved["state"]["step"] > total:
        raise ValueError(f"checkpoint {str(path)!r} is {saved['state']['step']} steps along, steps asks for {total}")
    training.restore(saved["state"])
    return list(saved["rows"])
