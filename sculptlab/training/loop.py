"""The training loop: `steps` yields one record per step; `fit` adds a history, a progress bar and checkpoints."""

import os
import time
import warnings
from collections.abc import Iterator
from typing import Any

import torch
from torch import nn

from sculptlab.training.checkpoints import Rows, resume_from, save_checkpoint, writable_path
from sculptlab.training.run import Run
from sculptlab.training.state import Record, Training
from sculptlab.validation import choice, whole


def steps(model: nn.Module, data: Any, objective: Any, *, decay_over: int | None = None, **options: Any) -> Iterator[Record]:
    """Train `model` in place without end, by one step for each record that is taken.

    Stopping early leaves a usable model, in train mode, with gradients; its convolutions on a GPU or in bfloat16 are then in
    channels-last layout.

    Parameters
    ----------
    model, data, objective, **options
        As in `fit`, with the options batch_size, learning_rate, seed, device, precision and compile. They are checked at the
        call, before the first record.
    decay_over : int, optional
        Steps over which the learning rate falls to 0 along half a cosine; by default it is constant.

    Yields
    ------
    Record
        `step`, counted from 1, and `terms`: "loss", "reconstruction" and the regularizers by name, as 0-d tensors in nats.

    Examples
    --------
    >>> from itertools import islice
    >>> import sculptlab as sl
    >>> model = sl.build_autoencoder("mlp", image_shape=(1, 8, 8), dim=2)
    >>> records = sl.steps(model, sl.load("digits"), sl.objectives.MMD("gaussian"))
    >>> [record.step for record in islice(records, 3)]
    [1, 2, 3]
    """
    training = Training(model, data, objective, decay_over=decay_over, **options)
    training.start()
    return iter(training.advance, None)  # `advance` never returns None


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
    """Train `model` in place by Adam and return a `Run`: the model, its history, and methods that use them.

    Ctrl-C ends training with a warning and returns the run so far; `run.stopped` is then "interrupted".

    Parameters
    ----------
    model : nn.Module
        Any module with `encode` and `decode`, such as `build_autoencoder` makes; a stochastic one has `posterior` too. With a
        function as objective, any module at all.
    data : Dataset, array_like (n, ...), torch Dataset, DataLoader, iterable of batches, or function that returns an iterator
        Images: floats in the range of the model's output, or uint8, which is divided by 255. The device holds all of an array.
        Memory maps, HDF5 and data sets with a length are read when needed, in the order that an array would have. A `DataLoader`
        keeps its batches and their order (give it a `generator` for the same ones again; without one it draws from torch's
        global generator). Streams start again when they end, and at an epoch's start after resuming. Items may be pairs (image,
        label) or mappings such as {"image": ...}. A batch with too few rows for the objective is left out.
    objective : Objective or callable
        One of `objectives`, or a function (model, images, generator) -> loss.
    steps : int
        Optimizer steps.
    batch_size : int, optional
        Images per step; by default 256, or all of a smaller set. None for data that come in batches.
    learning_rate : float
        Learning rate of Adam at the first step.
    schedule : {"cosine", "constant"}
        Whether the learning rate falls to 0 along half a cosine.
    seed : int
        Seed of batch order, noise and companions. The same seed and model give the same bits on the same CPU, unless a layer
        of the model draws from torch's global generator, as dropout does.
    device : str or torch.device
        "auto" is the GPU if there is one, else the CPU.
    precision : {"auto", "float32", "bfloat16"}
        Number format of the model's layers. "auto" is bfloat16 on a GPU that supports it, else float32. Weights, losses,
        distances, companions and the run itself are float32 either way.
    compile : bool
        Whether torch.compile compiles the networks: this takes seconds to minutes once, and makes steps faster. A warning says
        where it fails; training then goes on without it.
    log_every : int, optional
        Steps between rows of the history; by default about 200 rows are logged.
    progress : bool
        Whether to show a progress bar.
    checkpoint : path, optional
        A file that is written every minute and at the end. If it exists, training resumes from it with bit-identical results;
        if it was written under other settings, a ValueError says which (under "cosine", steps is one of them). A function is
        known by its name alone, so all lambdas defined in one scope count as the same.

    Returns
    -------
    Run

    Raises
    ------
    DivergenceError
        If the loss explodes; the model is put back to its last good weights.

    Examples
    --------
    >>> import sculptlab as sl
    >>> model = sl.build_autoencoder("mlp", image_shape=(1, 8, 8), dim=2)
    >>> run = fit(model, sl.load("digits"), sl.objectives.MMD("uniform"), steps=20, progress=False)
    >>> run.sample(16).shape
    torch.Size([16, 1, 8, 8])
    """
    from tqdm.auto import tqdm  # its bar for notebooks imports IPython

    total, decays = whole("steps", steps), choice("schedule", schedule, ("cosine", "constant")) == "cosine"
    every = whole("log_every", log_every) if log_every is not None else max(1, total // 200)
    training = Training(
        model, data, objective, batch_size=batch_size, learning_rate=learning_rate, seed=seed, device=device,
        decay_over=total if decays else None, precision=precision, compile=compile,
    )  # fmt: skip
    path = None if checkpoint is None else writable_path(checkpoint)
    rows: Rows = [] if path is None else resume_from(path, training, total)
    before, stopped = rows[-1]["seconds"] if rows else 0.0, None
    try:
        if training.step < total:
            training.start()
        started = saved = time.perf_counter()
        with tqdm(total=total, initial=training.step, disable=not progress, delay=1.0, unit="step", leave=False) as bar:
            while training.step < total:
                record = training.advance()
                if record.step % every and record.step not in (1, total):
                    continue
                now, terms = time.perf_counter(), {name: value.item() for name, value in record.terms.items()}
                rows.append({"step": record.step, **terms, "seconds": before + now - started})
                bar.update(record.step - bar.n)
                bar.set_postfix(loss=f"{terms['loss']:.4g}", refresh=False)
                if path is not None and now - saved > 60:
                    save_checkpoint(path, training, rows)
                    saved = now
            training.keep_good_weights()
    except KeyboardInterrupt:
        stopped = "interrupted"
        warnings.warn(f"interrupted after {training.step} of {total} steps: the model is usable as it is", stacklevel=2)
    finally:
        training.execution.end()
    if path is not None and training.step:  # not after a divergence: then the last good checkpoint stays
        save_checkpoint(path, training, rows)
    return Run(model, training.objective, rows, seed=training.seed, steps=training.step, stopped=stopped)
