"""The Sculptor in a real JupyterLab and chromium: time to first motion, frames and steps a second, slider latency, memory.

    python tests/benchmarks/bench_sculptor.py [minutes]

It needs chromium and a quiet machine, so it is run by hand and is no part of the quick benchmarks.

The aims, on two free cores: 10 frames and 100 steps a second on digits, a slider within 100 ms, first motion within 3 s of
running the cell in a kernel that has imported torch and made one optimizer before (a fresh kernel pays some 4 s of imports
besides, 1.3 s of them for torch._dynamo with the first optimizer), and memory that does not grow. The load of the machine is
printed beside the numbers.
"""

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright import sync_api

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "browser"))
from conftest import jupyterlab, open_notebook

COUNTS = """() => {
    const d = document.querySelector('.sculptor').dataset;
    return [+d.drawn, +d.step, performance.now() / 1000];
}"""
WARM = "import torch, sculptlab as sl\nsl.Sculptor().run(1)\nprint('wa' + 'rm')"
CELL = "a = sl.Sculptor()\na"
PLAY = """() => new Promise(done => {
    const began = performance.now();
    const look = () => {
        const root = document.querySelector('.sculptor');
        if (root?.dataset.frames && !root.dataset.pressed) {
            root.dataset.pressed = 1;
            root.querySelector('button.main').click();
        }
        if (+root?.dataset.step > 0) done((performance.now() - began) / 1000); else requestAnimationFrame(look);
    };
    window.jupyterapp.shell.currentWidget.content.activeCellIndex = 1;
    window.jupyterapp.commands.execute('notebook:run-cell');
    look();
})"""
DRAG = """value => new Promise(done => {
    const root = document.querySelector('.sculptor'), before = +root.dataset.revision;
    const input = [...root.querySelectorAll('.target input[type=range]')][0];
    const began = performance.now();
    input.value = value;
    input.dispatchEvent(new Event('input'));
    const look = () => (+root.dataset.revision > before ? done(performance.now() - began) : setTimeout(look, 1));
    look();
})"""


def kernel(server) -> int:
    """The process of the kernel below a JupyterLab."""
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            words = (entry / "cmdline").read_bytes()
            above = parent(int(entry.name))
        except OSError:
            continue
        if b"ipykernel_launcher" in words and above == server.pid:
            return int(entry.name)
    raise RuntimeError("no kernel found")


def parent(pid: int) -> int:
    return int((Path("/proc") / str(pid) / "stat").read_text().rpartition(")")[2].split()[1])


def is_ours(pid: int) -> bool:
    while pid > 1 and pid != os.getpid():
        pid = parent(pid)
    return pid == os.getpid()


def renderer() -> int:
    """The process of the page: of this browser's renderers the one with the most CPU time."""
    found = {}
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if b"--type=renderer" in (entry / "cmdline").read_bytes() and is_ours(int(entry.name)):
                found[int(entry.name)] = cpu_seconds(int(entry.name))
        except OSError:
            continue
    return max(found, key=found.get)


def megabytes(pid: int) -> float:
    lines = (Path("/proc") / str(pid) / "status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmRSS")).split()[1]) / 1024


def cpu_seconds(pid: int) -> float:
    fields = (Path("/proc") / str(pid) / "stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def wait_for_port(profile: Path) -> int:
    """The port for the driver, which chromium writes into its profile."""
    for _ in range(600):
        if (told := profile / "DevToolsActivePort").exists() and (text := told.read_text()):
            return int(text.split()[0])
        time.sleep(0.1)
    raise RuntimeError("chromium did not start")


@contextmanager
def chromium(folder: Path) -> Iterator[str]:
    """A separate chromium, and the address at which a driver can connect, leave and connect again."""
    profile = folder / "profile"
    words = ["--headless=new", "--no-sandbox", "--remote-debugging-port=0", f"--user-data-dir={profile}"]
    sizes = ["--window-size=1280,1000", "--enable-precise-memory-info", "about:blank"]
    running = subprocess.Popen([shutil.which("chromium"), *words, *sizes], stderr=subprocess.DEVNULL)
    try:
        yield f"http://127.0.0.1:{wait_for_port(profile)}"
    finally:
        running.terminate()
        running.wait(30)


def watch_memory(kernel_pid: int, page_pid: int, minutes: float) -> None:
    """Measure both processes while no driver is attached, because chromium's inspector keeps a copy of each message it sees."""
    until, rows = time.monotonic() + 60 * minutes, []
    while time.monotonic() < until or len(rows) < 2:
        time.sleep(min(15, 60 * minutes / 2))
        rows.append((megabytes(kernel_pid), megabytes(page_pid)))
    for name, column in zip(("kernel", "page"), zip(*rows, strict=True), strict=True):
        quarter = max(len(column) // 4, 1)
        quarters = [statistics.mean(column[k : k + quarter]) for k in range(0, len(column), quarter)]
        print(f"memory of the {name} over {minutes:g} min, quarter by quarter: {' '.join(f'{q:.0f}' for q in quarters)} MB")


def first_motion(page, url: str, folder: Path) -> None:
    run = open_notebook(page, f"{url}/doc/tree", folder, [WARM, CELL])
    run(0)
    page.get_by_text("warm", exact=True).wait_for()
    print(f"first motion: {page.evaluate(PLAY):.2f} s after the cell was run")
    page.wait_for_function("() => +document.querySelector('.sculptor').dataset.step > 30")


def speed(page, pid: int) -> None:
    before, used = page.evaluate(COUNTS), cpu_seconds(pid)
    time.sleep(10)
    after, used = page.evaluate(COUNTS), cpu_seconds(pid) - used
    frames, steps, seconds = (b - a for a, b in zip(before, after, strict=True))
    print(f"{frames / seconds:.1f} frames/s, {steps / seconds:.0f} steps/s; of the kernel {used / seconds:.2f} cores, "
          f"{steps / used:.0f} steps and {frames / used:.1f} frames per second of them")  # fmt: skip
    times = [page.evaluate(DRAG, 0.8 + 0.02 * k) for k in range(25)]
    print(f"slider to frame: median {statistics.median(times):.0f} ms, slowest {max(times):.0f} ms of {len(times)}")


def measure() -> None:
    minutes = float(sys.argv[1]) if len(sys.argv) > 1 else 1.0
    print(f"load of the last minute: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    with (
        tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name,
        jupyterlab(Path(name)) as (url, server),
        chromium(Path(name)) as address,
        sync_api.sync_playwright() as play,
    ):
        browser = play.chromium.connect_over_cdp(address)
        page = browser.contexts[0].pages[0]
        page.set_default_timeout(300_000)
        first_motion(page, url, Path(name))
        kernel_pid, page_pid = kernel(server), renderer()
        speed(page, kernel_pid)
        drawn = page.evaluate(COUNTS)[0]
        browser.close()
        watch_memory(kernel_pid, page_pid, minutes)
        page = play.chromium.connect_over_cdp(address).contexts[0].pages[0]
        after, step, _ = page.evaluate(COUNTS)
        heap = page.evaluate("() => performance.memory.usedJSHeapSize / 2**20")
        print(f"{after - drawn} frames drawn in that time, to step {step}; the scripts hold {heap:.0f} MB; "
              f"load now {os.getloadavg()[0]:.1f}")  # fmt: skip


if __name__ == "__main__":
    measure()
