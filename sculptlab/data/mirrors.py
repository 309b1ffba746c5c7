"""Get one file from the first mirror that delivers the published bytes, with a progress bar."""

import queue
import sys
import threading
import urllib.request
from http.client import HTTPException
from pathlib import Path
from typing import Any

from tqdm.auto import tqdm

from sculptlab.data import checksums
from sculptlab.data.sources import Download

PATIENCE = 10.0  # seconds without an answer or without a byte until a mirror is given up


def download(wanted: Download, path: Path) -> list[str]:
    """Fill `path` with the published bytes and return []; else what went wrong at each mirror, a line each."""
    failures = []
    for url in wanted.urls:
        try:
            _stream(url, path, wanted)
            actual = checksums.measure(path, wanted.checksum.partition(":")[0])
            if actual == wanted.checksum:
                return []
            failures.append(f"{url}: got {path.stat().st_size:,} bytes, {actual} instead of {wanted.checksum}")
        except (OSError, HTTPException) as error:
            failures.append(f"{url}: {error or type(error).__name__}")
    return failures


def _stream(url: str, path: Path, wanted: Download) -> None:
    with _answer(url) as response, path.open("wb") as file:
        total = int(response.headers.get("Content-Length") or 0) or wanted.size
        with tqdm(total=total, unit="B", unit_scale=True, desc=Path(wanted.path).name, file=sys.stderr) as bar:
            while block := response.read(1 << 16):
                file.write(block)
                bar.update(len(block))


def _answer(url: str) -> Any:
    """The opened response; opened in a thread, as name look-up and many dead addresses outlast a socket's timeout."""
    box: queue.Queue[Any] = queue.Queue(1)
    request = urllib.request.Request(url, headers={"User-Agent": "sculptlab"})

    def open_it() -> None:
        try:
            box.put(urllib.request.urlopen(request, timeout=PATIENCE))
        except Exception as error:
            box.put(error)

    threading.Thread(target=open_it, daemon=True).start()
    try:
        answer = box.get(timeout=PATIENCE)
    except queue.Empty:
        raise TimeoutError(f"no answer within {PATIENCE:g} s") from None
    if isinstance(answer, Exception):
        raise answer
    return answer
