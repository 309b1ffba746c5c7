"""Errors that stop no cell, noted inside a page's kernel. Imports the standard library alone, which costs a page nothing."""

import asyncio
import gc
import logging
import sys
import threading
import traceback
from typing import Any

_noted: list[str] = []


def watch() -> None:
    """Note the errors of threads and destructors, and those that asyncio logs; all are still printed as before."""
    threading.excepthook = _noting(threading.excepthook)
    sys.unraisablehook = _noting(sys.unraisablehook)
    logging.getLogger("asyncio").addFilter(_note_record)


def report() -> list[str]:
    """The tracebacks noted since `watch`, then those of asyncio tasks whose error was never retrieved."""
    # asyncio reports such a task when it is collected; one that a variable holds is collected after the page's last output
    futures = [thing for thing in gc.get_objects() if issubclass(type(thing), asyncio.Future)]
    unretrieved = [future for future in futures if future.done() and getattr(future, "_log_traceback", False)]
    errors = [error for future in unretrieved if (error := future.exception()) is not None]
    return _noted + [_traceback(error) for error in errors]


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


def _traceback(error: BaseException) -> str:
    return "".join(traceback.format_exception(error))
