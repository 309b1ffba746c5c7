"""Training up to a step: the rows of the history, the progress bar, callbacks, checkpoints, and what ends it early."""

from __future__ import annotations

import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from sculptlab.training.checkpoints import Rows, save_checkpoint
from sculptlab.training.state import Record, Training
from sculptlab.validation import describe, whole


class Trainer:
    """Trains up to the step `total`, and writes the checkpoint at `path`, if there is one; the options are those of `fit`."""

    def __init__(self, total: int, log_every: int | None, progress: bool, callbacks: Any, path: Path | None) -> None:
        self.total, self.progress, self.path = total, progress, path
        self.every = whole("log_every", log_every) if log_every is not None else max(1, total // 200)
        self.callbacks = () if callbacks is None else (callbacks,) if callable(callbacks) else tuple(callbacks)
        for one in self.callbacks:
            if not callable(one) or isinstance(one, type):
                raise TypeError(f"callbacks must be a function of a record, or a list of them, got {describe(one)}")

    def train(self, training: Training, rows: Rows) -> str | None:
        """Train, append a row for each logged step, and return what ended it early, if anything did; then set eval mode."""
        from tqdm.auto import tqdm  # its bar for notebooks imports IPython

        total, path, before, stopped = self.total, self.path, rows[-1]["seconds"] if rows else 0.0, None
        training.optimization.decay_over = total
        try:
            if training.step < total:
                training.start()
            started = saved = time.perf_counter()
            with tqdm(total=total, initial=training.step, disable=not self.progress, delay=1.0, unit="step", leave=False) as bar:
                while training.step < total and stopped is None:
                    record = training.advance()
                    stopped = self._call(record)
                    if record.step % self.every and record.step not in (1, total) and stopped is None:
                        continue
                    now, terms = time.perf_counter(), {name: value.item() for name, value in record.terms.items()}
                    rows.append({"step": record.step, **terms, "seconds": before + now - started})
                    bar.update(record.step - bar.n)
                    bar.set_postfix(loss=f"{terms['loss']:.4g}", refresh=False)
                    if path is not None and now - saved > 60:
                        save_checkpoint(path, training, rows)
                        saved = now
                training.keep_good_weights()
                training.warn_if_inactive()
        except KeyboardInterrupt:
            stopped = "interrupted"
            warnings.warn(f"interrupted after {training.step} of {total} steps: the model is usable as it is", stacklevel=4)
        finally:
            training.end()
        if path is not None and training.step:  # not after a divergence: then the last good checkpoint stays
            save_checkpoint(path, training, rows)
        return stopped

    def _call(self, record: Record) -> str | None:
        """Call the callbacks, the model in eval mode meanwhile, and return "callback" if one of them returned True."""
        if not self.callbacks:
            return None
        answers = []
        record.model.eval()
        for callback in self.callbacks:
            try:
                answers.append(callback(record))
            except Exception as error:
                name = getattr(callback, "__qualname__", type(callback).__qualname__)
                error.add_note(f"raised by the callback {name} after step {record.step}; the model is usable as it is")
                raise
        record.model.train()
        return (
            "callback" if any((one.item() if isinstance(one, Tensor | np.generic) else one) is True for one in answers) else None
        )
