"""Training up to a step: the rows of the history, the progress bar, callbacks, checkpoints, and what ends it early."""

from __future__ import annotations

import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from sculptlab.training.checkpoints import Rows, save_checkpoint
from sculptlab.training.distributed import RankError
from sculptlab.training.interrupts import Interrupts
from sculptlab.training.state import DivergenceError, Record, Training
from sculptlab.validation import describe, flag, items, whole

REASONS = (None, "callback", "interrupted")
SAVE_EVERY = 60.0  # seconds between checkpoints


class Trainer:
    """Trains up to the step `total`, and writes the checkpoint at `path`, if there is one; the options are those of `fit`."""

    def __init__(self, total: int, log_every: int | None, progress: bool, callbacks: Any, path: Path | None) -> None:
        self.total, self.progress, self.path = total, flag("progress", progress), path
        self.every = whole("log_every", log_every) if log_every is not None else max(1, total // 200)
        self.callbacks = () if callbacks is None else (callbacks,) if callable(callbacks) else items("callbacks", callbacks)
        for one in self.callbacks:
            if not callable(one) or isinstance(one, type):
                raise TypeError(f"callbacks must be a function of a record, or a list of them, got {describe(one)}")

    def train(self, training: Training, rows: Rows, interrupts: Interrupts) -> str | None:
        """Train, append a row for each logged step, and return what ended it early, if anything did; then set eval mode."""
        from tqdm.auto import tqdm  # its bar for notebooks imports IPython

        total, before, stopped, cause = self.total, rows[-1]["seconds"] if rows else 0.0, None, ""
        training.optimization.decay_over = total
        shown = self.progress and (training.ranks is None or training.ranks.rank == 0)
        try:
            if training.step < total:
                training.start()
            started = saved = time.perf_counter()
            with tqdm(total=total, initial=training.step, disable=not shown, delay=1.0, unit="step", leave=False) as bar:
                while training.step < total and stopped is None:
                    record = training.advance()
                    stopped = self._call(record) or ("interrupted" if interrupts.pending else None)
                    if training.ranks is not None:  # all end after the same step
                        stopped = REASONS[training.ranks.largest(REASONS.index(stopped), training.device)]
                    if record.step % self.every and record.step not in (1, total) and stopped is None:
                        continue
                    now, terms = time.perf_counter(), {name: value.item() for name, value in record.terms.items()}
                    rows.append({"step": record.step, **terms, "seconds": before + now - started})
                    bar.update(record.step - bar.n)
                    bar.set_postfix(loss=f"{terms['loss']:.4g}", refresh=False)
                    if now - saved > SAVE_EVERY:
                        self._save(training, rows)
                        saved = now
            training.warn_if_inactive()
        except KeyboardInterrupt:
            stopped = "interrupted"
        except Exception as error:
            if isinstance(error, RankError):
                self._save(training, rows)
            if not interrupts.pending or isinstance(error, DivergenceError | RankError):
                raise
            # Ctrl-C also reaches the processes of a DataLoader, which then fails.
            stopped, cause = "interrupted", f" (the last step ended with {type(error).__name__}: {error})"
        finally:
            training.end()
        rows[:] = [row for row in rows if row["step"] <= training.step]
        self._save(training, rows)
        if interrupts.pending or stopped == "interrupted":
            stopped = "interrupted"
            resume = "" if self.path is None else ", and the same call goes on from the checkpoint"
            warnings.warn(
                f"interrupted after {training.step} of {total} steps{cause}: the model is usable as it is{resume}", stacklevel=4
            )
        return stopped

    def _save(self, training: Training, rows: Rows) -> None:
        """Write the checkpoint, if there is one; warn if that is not possible. Weights that are not finite are not saved."""
        training.keep_good_state()  # after a divergence the last good checkpoint stays
        if self.path is None or not training.step:
            return
        try:
            save_checkpoint(self.path, training, rows)
        except Exception as error:  # of a full disk, memory, or a state that cannot be written
            warnings.warn(
                f"checkpoint {str(self.path)!r} of step {training.step} could not be written ({type(error).__name__}: {error}); "
                "training goes on, and the run is complete without it", stacklevel=5
            )  # fmt: skip

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
