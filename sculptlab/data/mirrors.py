"""Download one file from the first mirror that serves the published content, with a progress bar."""

import sys
import threading
import urllib.request
from concurrent.futures import Future
from http.client import HTTPException
from pathlib import Path
from typing import Any

from tqdm.auto import tqdm

from sculptlab.data import checksums
from sculptlab.data.sources import Download

TIMEOUT = 10.0  # seconds to wait for an answer, and for each further block


def download(wanted: Download, path: Path) -> list[str]:
    """Write the published file to `path` and return []; if no mirror serves it, return one error message per mirror."""
    failures = []
    for url in wanted.urls:
        try:
            _save(url, path, wanted)
            actual = checksums.compute_checksum(path, wanted.checksum.partition(":")[0])
            if actual == wanted.checksum:
                return []
            failures.append(f"{url}: got {path.stat().st_size:,} bytes, {actual} instead of {wanted.checksum}")
        except (OSError, HTTPException) as error:
            failures.append(f"{url}: {error or type(error).__name__}")
    return failures


def _save(url: str, path: Path, wanted: Download) -> None:
    with _open(url) as response, path.open("wb") as file:
        total = int(response.headers.get("Content-Length") or 0) or wanted.size
        with tqdm(total=total, unit="B", unit_scale=True, desc=Path(wanted.path).name, file=sys.stderr) as bar:
            while block := response.read(1 << 16):
                file.write(block)
                bar.update(len(block))


def _open(url: str) -> Any:
    """Open `url` in a thread: looking up a name, or trying several dead addresses, can outlast a socket's timeout."""
    answer: Future[Any] = Future()
    request = urllib.request.Request(url, headers={"User-Agent": "sculptlab"})

    def open_url() -> None:
        try:
            answer.set_result(urllib.request.urlopen(request, timeout=TIMEOUT))
        except Exception as error:
            answer.set_exception(error)

    threading.Thread(target=open_url, daemon=True).start()
    try:
        return answer.result(TIMEOUT)
    except TimeoutError:
        raise TimeoutError(f"no answer within {TIMEOUT:g} s") from None
