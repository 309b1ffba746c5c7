"""The training loop: `steps` yields one record per step; `fit` adds a history, a progress bar, callbacks and checkpoints."""

import os
from collections.abc import Callable, Generator, Sequence
from typing import Any

import torch
from torch import nn

from sculptlab.files import writable_path
from sculptlab.training.checkpoints import locked, predecessor, resume_from
from sculptlab.training.devices import one_thread_if_small
from sculptlab.training.run import Run, train
from sculptlab.training.state import Record, Training
from sculptlab.training.trainer import Trainer
from sculptlab.validation import known_options, whole


def steps(model: nn.Module, data: Any, objective: Any, *, decay_over: int | None = None, **options: Any) -> Generator[Record]:
    """Train `model` in place without end, by one step for each record that is taken.

    Once the generator is closed or no longer referenced, as after `break`, the model is in eval mode and without gradients.

    Parameters
    ----------
    model, data, objective, **options
        As in `fit`, with the options batch_size, seed, device, precision, compile, learning_rate, optimizer, weight_decay,
        scheduler (by default "constant") and max_grad_norm. They are checked at the call, before the first record.
    decay_over : int, optional
        Steps over which the learning rate falls to 0 along half a cosine, which scheduler="cosine" needs.

    Yields
    ------
    Record
        `step`, counted from 1; `terms`: "loss", "reconstruction" and the regularizers by name, as 0-d tensors in nats; `model`;
        `learning_rate` of the step.

    Examples
    --------
    >>> from itertools import islice
    >>> import sculptlab as sl
    >>> model = sl.build_autoencoder("mlp", image_shape=(1, 8, 8), dim=2)
    >>> records = sl.steps(model, sl.load("digits"), sl.objectives.MMD("gaussian"))
    >>> [record.step for record in islice(records, 3)]
    [1, 2, 3]
    """
    known_options(steps, options, Training.__init__)
    if decay_over is not None:
        decay_over, options = whole("decay_over", decay_over), {"scheduler": "cosine"} | options
    if (decay_over is None) == (options.get("scheduler") == "cosine"):
        raise ValueError(f"decay_over must be given with scheduler='cosine', and with no other, got {decay_over}")
    training = Training(model, data, objective, **options)
    training.optimization.decay_over = decay_over or 0
    return _records(training)


def _records(training: Training) -> Generator[Record]:
    try:
        training.start()
        while True:
            yield training.advance()
    finally:
        training.end()


def fit_to_the_end(*given: Any, **options: Any) -> Run:
    """As `fit`, for one of several models that are compared: Ctrl-C ends the comparison with KeyboardInterrupt."""
    run = fit(*given, **options)
    if run.stopped == "interrupted":
        raise KeyboardInterrupt
    return run


def fit(
    model: nn.Module,
    data: Any,
    objective: Any,
    *,
    steps: int | None = None,
    epochs: int | None = None,
    batch_size: int | None = None,
    learning_rate: float | None = None,
    optimizer: Any = None,
    weight_decay: float | None = None,
    scheduler: Any = "cosine",
    max_grad_norm: float | None = None,
    seed: int = 0,
    device: str | torch.device | None = "auto",
    precision: str = "auto",
    compile: bool = False,
    log_every: int | None = None,
    progress: bool = True,
    callbacks: Callable[[Record], Any] | Sequence[Callable[[Record], Any]] | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
) -> Run:
    """Train `model` in place and return a `Run`: the model, its history, and methods that use them.

    Ctrl-C ends training after the present step, a second one at once, with a warning, and returns the run so far, its model in
    eval mode; `run.stopped` is then "interrupted". `run.train_more` goes on. A warning tells if every latent of a VAE is inactive
    at the end: its codes then say nothing.

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
    steps, epochs : int, optional
        Optimizer steps, or how often all images are used; by default 2,000 steps. Only one of the two can be given. An epoch is
        n // batch_size steps.
    batch_size : int, optional
        Images per step; by default 256, or all of a smaller set. None for data that come in batches.
    learning_rate : float, optional
        At the first step; by default 1e-3, or what the `optimizer` given has.
    optimizer : callable or torch.optim.Optimizer, optional
        By default Adam. A class or function (parameters) -> Optimizer, such as torch.optim.SGD or functools.partial(SGD, lr=0.1,
        momentum=0.9), is called with lr=learning_rate and weight_decay=weight_decay where these are given. An Optimizer made
        over the model's parameters (it may have others too) keeps its own; the two must then be None.
    weight_decay : float, optional
        By default 0, or what the `optimizer` given has. Without an `optimizer`, more than 0 means AdamW, whose decay does not
        depend on the gradient. All weights of the model decay, biases too; those of companions do not.
    scheduler : {"cosine", "constant"} or callable
        "cosine": the learning rate falls to 0 along half a cosine, at the last step. A function optimizer -> LRScheduler, such as
        lambda o: torch.optim.lr_scheduler.StepLR(o, 500): the scheduler is stepped once a step.
    max_grad_norm : float, optional
        A gradient over all weights whose Euclidean norm is larger is scaled down to it.
    seed : int
        Seed of batch order, noise and companions. The same seed and model give the same bits on the same CPU, unless a layer
        of the model draws from torch's global generator, as dropout does.
    device : str, torch.device or None
        "auto" or None is a CUDA GPU if there is one, else the CPU. "gpu" is a CUDA or an Apple GPU; or any device of torch's.
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
    callbacks : callable or list of callables, optional
        Each is called after every step with a `Record`: `step`, `terms` (0-d tensors), `model` (in eval mode meanwhile) and
        `learning_rate`. If one returns True, training ends, and `run.stopped` is "callback".
    checkpoint : path, optional
        A file that is written every minute and at the end; the one before is kept beside it as NAME.previous, and is used if the
        last one is damaged. A file that cannot be written is warned of, and training goes on. If it exists, training resumes
        from it with bit-identical results, if need be with more steps; under "cosine" the learning rate then follows the cosine
        over the new number of steps from there on. If it was written under other settings, or if another training is writing it,
        a ValueError says so. A function is known by its name alone, so all lambdas defined in one scope count as the same.

    Returns
    -------
    Run

    Notes
    -----
    On a CPU, small networks of dense layers train with one thread of torch: more gain nothing there, and where other programs use
    the cores they slow training down many times. All else uses torch's number of threads.

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
    if steps is not None and epochs is not None:
        raise ValueError(f"steps and epochs cannot both be given, got steps={steps!r} and epochs={epochs!r}")
    total = whole("steps", 2000 if steps is None else steps) if epochs is None else whole("epochs", epochs)
    options = {
        "batch_size": batch_size, "learning_rate": learning_rate, "optimizer": optimizer, "weight_decay": weight_decay,
        "scheduler": scheduler, "max_grad_norm": max_grad_norm, "seed": seed, "device": device, "precision": precision,
        "compile": compile,
    }  # fmt: skip
    training = Training(model, data, objective, **options)
    if epochs is not None:
        total *= training.steps_per_epoch
    path = None if checkpoint is None else writable_path("checkpoint", checkpoint)
    if path is not None:
        writable_path("checkpoint", predecessor(path))  # whose name is longer
    written = path if training.ranks is None or training.ranks.rank == 0 else None
    trainer = Trainer(total, log_every, progress, callbacks, written)
    with locked(written), one_thread_if_small(training.weights(), training.batches.size, training.device):
        rows = [] if path is None else resume_from(path, training, total)
        return train(Run(model, training.objective, rows, training.seed, training.step), training, trainer, data, options)
