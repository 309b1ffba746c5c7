"""The lookout inside a page's kernel: it notes the errors that end no cell. Standard library alone: costs nothing."""

import asyncio
import gc
import logging
import sys
import threading
import traceback
from typing import Any

_noted: list[str] = []


def post() -> None:
    """From now on, note what ends a thread, what a destructor raises, what asyncio logs; all still prints as before."""
    threading.excepthook = _noting(threading.excepthook)
    sys.unraisablehook = _noting(sys.unraisablehook)
    logging.getLogger("asyncio").addFilter(_note_record)


def report() -> list[str]:
    """Tracebacks of what was noted since `post`, then of asyncio tasks whose error nobody has asked for."""
    return _noted + [_traceback(error) for error in _unretrieved()]


def _noting(hook: Any) -> Any:
    def note(args: Any) -> None:
        if args.exc_value is not None and not isinstance(args.exc_value, SystemExit):
            _noted.append(_traceback(args.exc_value))
        hook(args)

    return note


def _note_record(record: logging.LogRecord) -> bool:
    if record.exc_info and record.exc_info[1] is not None:
        _noted.append(_traceback(record.exc_info[1]))
    return True


def _unretrieved() -> list[BaseException]:
    # A task kept in a variable is never collected, so asyncio's own complaint would come after the last output.
    futures = [thing for thing in gc.get_objects() if issubclass(type(thing), asyncio.Future)]
    waiting = [future for future in futures if future.done() and getattr(future, "_log_traceback", False)]
    return [error for future in waiting if (error := future.exception()) is not None]


def _traceback(error: BaseException) -> str:
    return "".join(traceback.format_exception(error))
