"""A throw-away JupyterLab and Debian's chromium, driven by Playwright."""

import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from pathlib import Path

import nbformat
import pytest
from playwright import sync_api

SCREENSHOTS = Path(__file__).resolve().parents[2] / "build" / "screenshots"  # kept to be looked at, ignored by git
START_SECONDS = 90
PATIENCE = 180_000  # ms, for what the page shows: a first import of torch on a cold, busy machine takes a minute


@pytest.fixture(scope="session")
def chromium():
    """The path of chromium: without it these tests are skipped on a person's machine and fail in CI."""
    path = shutil.which("chromium")
    if path is None:
        message = "chromium is not installed (Debian: apt-get install chromium)"
        (pytest.fail if os.environ.get("CI") else pytest.skip)(message)
    return path


@pytest.fixture(scope="session")
def whole_lab(tmp_path_factory, chromium):
    """The address of one JupyterLab for all tests, which starts in seconds, and the folder of its settings."""
    root = tmp_path_factory.getbasetemp()  # the folder of each test's `tmp_path`
    settings = tmp_path_factory.mktemp("settings")
    with jupyterlab(settings, root) as (url, _):
        yield url, settings


@pytest.fixture
def lab(tmp_path, whole_lab):
    """The address of JupyterLab's files in `tmp_path`; kernels, layout and changed settings are gone for the next test."""
    url, settings = whole_lab
    assert not answer(f"{url}/api/kernels")
    yield f"{url}/doc/tree/{tmp_path.name}"
    for kernel in answer(f"{url}/api/kernels"):
        answer(f"{url}/api/kernels/{kernel['id']}", method="DELETE")
    for changed in ("lab_workspaces_dir", "lab_settings_dir/@jupyterlab/apputils-extension/themes.jupyterlab-settings"):
        path = settings / changed
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)


def answer(url, method="GET"):
    """What the server's REST interface answers, or None."""
    with urllib.request.urlopen(urllib.request.Request(url, method=method), timeout=START_SECONDS) as found:
        return json.loads(found.read() or b"null")


@contextmanager
def jupyterlab(tmp_path, root=None):
    """The address and the process of a JupyterLab without token, news or user settings, rooted at `root`, else at `tmp_path`."""
    quiet = tmp_path / "lab_settings_dir" / "@jupyterlab" / "apputils-extension" / "notification.jupyterlab-settings"
    quiet.parent.mkdir(parents=True)
    quiet.write_text('{"fetchNews": "false"}')  # else a question about news lies over the page
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", "--IdentityProvider.token=",
               "--LabApp.expose_app_in_browser=True", "--LabApp.news_url=None", "--ServerApp.disable_check_xsrf=True",
               f"--ServerApp.root_dir={root or tmp_path}"]  # fmt: skip
    with served(command, tmp_path) as found:
        yield found


@contextmanager
def served(command, tmp_path):
    """The address and the process of a server of Jupyter's, started on a free port, once it answers."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    names = ("_CONFIG_DIR", "_DATA_DIR", "LAB_SETTINGS_DIR", "LAB_WORKSPACES_DIR")
    home = {f"JUPYTER{name}": str(tmp_path / name.strip("_").lower()) for name in names}
    command = [*command, f"--port={port}"]
    server = subprocess.Popen(command, env=os.environ | home, stdout=subprocess.DEVNULL, stderr=subprocess.STDOUT)
    try:
        yield _wait_for(server, f"http://127.0.0.1:{port}"), server
    finally:
        server.terminate()
        server.wait(30)


def _wait_for(server, url):
    for _ in range(2 * START_SECONDS):
        assert server.poll() is None, "the server ended before it answered"
        try:
            urllib.request.urlopen(f"{url}/api", timeout=1)
        except urllib.error.HTTPError:  # Voilà has no such path, and says so
            return url
        except OSError:
            time.sleep(0.5)
        else:
            return url
    raise AssertionError(f"the server did not answer within {START_SECONDS} s")


@pytest.fixture(scope="module")  # not of a session: Playwright's loop would run on in the tests of other files
def browser(chromium):
    """Chromium, which takes a second to start."""
    with sync_api.sync_playwright() as play:
        browser = play.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def page(browser):
    """A browser page; what went wrong inside it is in `page.errors`, what it wrote to the console as an error in `page.said`.

    It has a context of its own: no cookies, no storage, no permissions of other tests.
    """
    context = browser.new_context(viewport={"width": 1280, "height": 1000})
    page = context.new_page()
    page.set_default_timeout(PATIENCE)
    sync_api.expect.set_options(timeout=PATIENCE)
    page.errors, page.said = [], []
    page.on("pageerror", lambda error: page.errors.append(str(error)))
    page.on("console", lambda message: page.said.append(message.text) if message.type == "error" else None)
    yield page
    context.close()


IDLE = "() => window.jupyterapp?.shell.currentWidget?.sessionContext?.session?.kernel?.status === 'idle'"


@pytest.fixture
def idle(page):
    """idle(): wait until the kernel has done what it was given."""
    return lambda: page.wait_for_function(IDLE)


@pytest.fixture
def serve(tmp_path, chromium):
    """serve(command): a context manager, the address and the process of this server."""
    return lambda command: served(command, tmp_path)


@pytest.fixture
def notebook(page, lab, tmp_path):
    """notebook(sources): open a notebook with these cells in JupyterLab; it gives a function that runs the cell of a number."""

    return lambda sources: open_notebook(page, lab, tmp_path, sources)


def open_notebook(page, url, folder, sources):
    """Write a notebook with these cells to the folder and open it at its address; a function that runs the cell of a number."""
    made = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in sources])
    made.metadata.kernelspec = {"name": "python3", "display_name": "Python 3"}
    nbformat.write(made, folder / "n.ipynb")
    page.goto(f"{url}/n.ipynb")
    page.wait_for_function(IDLE)
    return lambda index: page.evaluate(
        """index => {
            window.jupyterapp.shell.currentWidget.content.activeCellIndex = index;
            window.jupyterapp.commands.execute('notebook:run-cell');
        }""",
        index,
    )


@pytest.fixture
def keep(page, request):
    """keep(name): save what the screen shows now; keep(name, locator): of one thing on it."""
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    return lambda name, what=page: what.screenshot(path=SCREENSHOTS / f"{request.node.name}-{name}.png")
