"""A progress bar for statistics that may take long: it stays away while they are quick."""

import time
from types import TracebackType
from typing import Any


class Progress:
    """A bar of `total` equal pieces of work, with the time that is left; it appears after `delay` seconds, if `show`.

    tqdm's bar for notebooks imports IPython, so tqdm is imported when the bar appears.
    """

    delay = 5.0

    def __init__(self, label: str, total: int, show: bool = True) -> None:
        self.label, self.total, self.show = label, total, show
        self.done, self.started = 0, time.time()
        self.bar: Any = None

    def advance(self, pieces: int = 0) -> None:
        """Count `pieces` of work as done; 0 only refreshes the bar."""
        self.done += pieces
        if self.bar is None and self.show and time.time() - self.started > self.delay:
            from tqdm.auto import tqdm

            self.bar = tqdm(total=self.total, desc=self.label, unit="fit", leave=False, smoothing=0)
            self.bar.start_t = self.started  # so that the time left follows from all work since the start
        if self.bar is not None:
            self.bar.update(self.done - self.bar.n)

    def __enter__(self) -> "Progress":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self.bar is not None:
            self.bar.close()
