"""Pages are found, run in this interpreter, read for their claims, and red for errors that stop no cell."""

import asyncio
import logging
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from html import unescape
from pathlib import Path
from queue import Empty
from types import SimpleNamespace

import nbformat
import pytest
from jupyter_client.kernelspec import KernelSpecManager
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from sculptlab.data import folders
from sculptlab.series import handouts, kernel_errors, pages, questions
from sculptlab.series.claims import Claim, claims_of
from sculptlab.series.execution import StrictClient, polling, swallowed

ROOT = Path(__file__).resolve().parents[3]

# What each cell hides, and the line that must come to light (None: nothing to hide).
HIDING = {
    "thread": ("Thread(target=err, args=['thread']).start(); time.sleep(0.1)", "ValueError: thread"),
    "thread that outlives its cell": ("Timer(0.2, err, ['late thread']).start()", "ValueError: late thread"),
    "interact": ("w.interact(lambda x: err(f'interact {x}'), x=(3, 3));", "ValueError: interact 3"),
    "interactive_output": ("w.interactive_output(err, {'text': w.IntText(7)})", "ValueError: 7"),
    "Output": ("with w.Output():\n    err('output')", "ValueError: output"),
    "Output.capture": ("w.Output().capture()(err)('capture')", "ValueError: capture"),
    "task kept": ("kept = asyncio.create_task(later('kept task'))", "ValueError: kept task"),
    "task lost": ("asyncio.create_task(later('lost task'));", "ValueError: lost task"),
    "showtraceback": ("try:\n    err('shown')\nexcept ValueError:\n    get_ipython().showtraceback()", "ValueError: shown"),
    "destructor": ("del Dying().x", "ValueError: destructor"),
    "logged": ("try:\n    err('logged')\nexcept ValueError:\n    logging.exception('hm')", "ValueError: logged"),
    "warning": ("warnings.warn('only a warning'); print('fine', file=sys.stderr)", None),
    "interact that works": ("w.interact(lambda x: x, x=(0, 3));", None),
}
SETUP = """import asyncio, logging, sys, time, warnings
from threading import Thread, Timer
import ipywidgets as w
def err(text): raise ValueError(text)
async def later(text): err(text)
class Dying:
    x = property(lambda self: None, lambda self, v: None, lambda self: None)
    def __del__(self): err('destructor')"""


def page(folder, *sources, name="05_page.ipynb"):
    cells = [source if not isinstance(source, str) else new_code_cell(source) for source in sources]
    folder.mkdir(exist_ok=True)
    nbformat.write(new_notebook(cells=cells), folder / name)
    return folder / name


def notebook_with(*outputs, tags=(), state=None):
    cell = new_code_cell("x", outputs=list(outputs), metadata={"tags": list(tags)})
    widgets = {"application/vnd.jupyter.widget-state+json": {"state": state}} if state else {}
    return new_notebook(cells=[new_markdown_cell("# x"), cell], metadata={"widgets": widgets})


def stderr(text):
    return new_output("stream", name="stderr", text=text)


@pytest.fixture
def wheel(tmp_path, monkeypatch):
    """Three pages as an installed package has them."""
    place = tmp_path / "site" / "share" / "notebooks"
    place.mkdir(parents=True)
    for name in ("00_start_here", "01_kl_failure", "10_later"):
        page(place, f"'{name}'", name=f"{name}.ipynb")
    (place / "conftest.py").touch()
    monkeypatch.setattr(folders, "clone", lambda: None)
    monkeypatch.setattr(pages, "_PACKAGE", tmp_path / "site")
    return place


def test_the_clone_has_its_own_pages():
    assert pages.notebooks_folder() == ROOT / "notebooks"


@pytest.mark.parametrize("name", ["01", "1", "01_kl_failure", "01_kl_failure.ipynb"])
def test_a_page_is_found_by_number_or_name(wheel, name):
    assert pages.find(name) == wheel / "01_kl_failure.ipynb"


def test_a_page_is_found_by_path(wheel, tmp_path):
    assert pages.find(str(page(tmp_path, "1"))) == tmp_path / "05_page.ipynb"


@pytest.mark.parametrize("name", ["02", "", "kl", "nowhere/07_x.ipynb", "."])
def test_an_unknown_page_lists_the_pages(wheel, name):
    with pytest.raises(ValueError, match=f"got {re.escape(repr(name))}; the pages: 00_start_here, 01_kl_failure, 10_later"):
        pages.find(name)


def test_missing_pages_are_reported(wheel):
    shutil.rmtree(wheel)
    with pytest.raises(FileNotFoundError, match="reinstall sculptlab"):
        pages.find("01")


def test_copied_pages_never_replace_changed_ones(wheel, tmp_path):
    target = tmp_path / "copied"
    assert pages.copy_pages(target) == []
    assert sorted(path.name for path in target.iterdir()) == [path.name for path in pages.every()]
    (target / "01_kl_failure.ipynb").write_text("mine")
    (target / "10_later.ipynb").unlink()
    assert pages.copy_pages(target) == [target / "01_kl_failure.ipynb"]
    assert (target / "01_kl_failure.ipynb").read_text() == "mine"
    assert (target / "10_later.ipynb").exists()


def test_a_student_edition_has_hints_and_no_solutions(tmp_path):
    files = pages.student_edition(tmp_path / "class")
    assert [file.name for file in files] == [path.name for path in pages.every()]
    for file, page in zip(files, pages.every(), strict=True):
        before, after = page.read_text(encoding="utf-8"), file.read_text(encoding="utf-8")
        assert "<summary>Solution</summary>" in before
        assert "<summary>Solution</summary>" not in after
        assert "colab.research" in before  # the badge opens the page with its solutions
        assert "colab.research" not in after
        assert after.count("<summary>Hint</summary>") == before.count("<summary>Hint</summary>")
        assert after.count("<details>") == after.count("</details>")
        kept = [cell.source for cell in nbformat.read(file, as_version=4).cells if cell.cell_type == "code"]
        assert kept == [cell.source for cell in nbformat.read(page, as_version=4).cells if cell.cell_type == "code"]


def test_a_student_edition_with_a_seed(tmp_path):
    file = pages.student_edition(tmp_path / "class", seed=7)[0]
    first, setup = [cell.source for cell in nbformat.read(file, as_version=4).cells if cell.cell_type == "code"][:2]
    assert "SCULPTLAB_SEED" not in first
    assert setup.startswith('import os\n\nos.environ["SCULPTLAB_SEED"] = "7"')
    with pytest.raises(ValueError, match="seed must be"):
        pages.student_edition(tmp_path / "class", seed=-1)


def test_the_pages_themselves_are_never_a_student_edition():
    with pytest.raises(ValueError, match="out must not be the folder of the pages themselves"):
        pages.student_edition(pages.notebooks_folder())


def test_the_answers_of_a_page_are_those_that_it_shows(monkeypatch, tmp_path):
    monkeypatch.setattr(questions, "QUIZZES", tmp_path)
    (tmp_path / "05.toml").write_text(
        '[[question]]\ntext = "Why?"\noptions = ["x", "y"]\nanswer = "b"\nreasons = ["no", "yes"]\n'
    )
    shown = new_output("display_data", data={"text/plain": "You predicted (a). Measured: (b). It falls."})
    cells = [
        new_markdown_cell("# 05 · A page?"),
        new_markdown_cell("Words.\n\n**Predict.** Does it (a) rise, (b) fall?"),
        new_code_cell("prediction = ''"),
        new_code_cell("show()", outputs=[shown]),
        new_code_cell('sl.series.quiz("05", "?")'),
    ]
    text = handouts.answers(new_notebook(cells=cells))
    assert text.startswith("# Answers: 05 · A page?\n")
    assert "- **Predict.** Does it (a) rise, (b) fall?\n  Measured: **(b). It falls.**\n" in text
    assert "- Why? **(b)**\n  (a) x: no\n  (b) y: yes\n" in text


@pytest.mark.parametrize("cells", [[], [""], ["", "# Mine"], ["\n \n", "# Mine"]])
def test_a_page_may_be_empty_or_begin_with_an_empty_cell(cells):
    title = "Mine" if "# Mine" in cells else ""
    text = handouts.answers(new_notebook(cells=[new_code_cell(""), *map(new_markdown_cell, cells)][bool(cells) :]))
    assert text.splitlines()[0] == f"# Answers: {title}"


def test_swallowed_reads_each_hiding_place():
    trace = "Exception in thread T:\nTraceback (most recent call last):\n  File x\n    a b\nValueError: one\n"
    colors = "\x1b[31mTrace\x1b[0mback (most recent\x1b[1m call last)\x1b[0m:\n  File x\n\x1b[31mKeyError\x1b[0m: 'two'\n"
    error = new_output("error", ename="OSError", evalue="three", traceback=[])
    state = {"a": {"state": {"outputs": [error]}}, "b": {"state": {"outputs": [stderr(trace)]}}, "c": {"state": {}}}
    assert swallowed(notebook_with(stderr(trace + "more\n" + trace))) == ["ValueError: one"]
    assert swallowed(notebook_with(stderr(colors))) == ["KeyError: 'two'"]
    assert swallowed(notebook_with(state=state)) == ["OSError: three", "ValueError: one"]
    assert swallowed(notebook_with(error)) == ["OSError: three"]
    lost = "Task exception was never retrieved\nfuture: <Task finished exception=ValueError('four')>\n"
    assert swallowed(notebook_with(stderr(lost))) == ["Task exception was never retrieved"]


def test_a_divided_traceback_is_counted_once():
    """A thread's traceback may be cut where its cell ends; kernel_errors has it whole, and half of one still fails."""
    half = "Exception in thread T:\nTraceback (most recent call last):\n  File x, line 4, in err\n"
    whole = half + "ValueError: late\n"
    assert swallowed(notebook_with(stderr(half), stderr(whole))) == ["ValueError: late"]
    assert swallowed(notebook_with(stderr(half))) == ["a traceback whose end is missing"]
    assert swallowed(notebook_with(stderr(half + whole.replace("thread T", "thread Thread-4")))) == ["ValueError: late"]


def test_swallowed_ignores_what_is_no_error():
    stdout = new_output("stream", name="stdout", text="Traceback (most recent call last) is what Python prints")
    error = new_output("error", ename="OSError", evalue="meant", traceback=[])
    assert swallowed(notebook_with(stdout, stderr("UserWarning: hm"))) == []
    assert swallowed(notebook_with(error, tags=["raises-exception"])) == []


def test_every_kind_of_hidden_error_is_found():
    notebook = new_notebook(cells=[new_code_cell(s) for s in (SETUP, *(s for s, _ in HIDING.values()), "time.sleep(0.3)")])
    StrictClient(notebook).execute()  # no cell fails
    assert sorted(swallowed(notebook)) == sorted(line for _, line in HIDING.values() if line)


def test_a_reply_whose_arrival_was_missed_is_found_at_the_next_poll():
    looks = []

    async def missing(timeout=None):
        looks.append(timeout)
        assert timeout is not None, "it would sleep for ever"
        if len(looks) < 3:
            raise Empty
        return "reply"

    assert asyncio.run(polling(missing)()) == "reply"
    assert looks == [1.0, 1.0, 1.0]
    looks.clear()
    with pytest.raises(Empty):
        asyncio.run(polling(missing)(timeout=1.5))
    assert looks == [1.0, 0.5]


def test_noted_errors_are_still_printed(monkeypatch):
    printed = []
    monkeypatch.setattr(threading, "excepthook", printed.append)
    monkeypatch.setattr(sys, "unraisablehook", printed.append)
    monkeypatch.setattr(kernel_errors, "_noted", [])
    kernel_errors.watch()
    try:
        for target in (lambda: 1 / 0, sys.exit):
            thread = threading.Thread(target=target)
            thread.start()
            thread.join()
        assert [args.exc_type for args in printed] == [ZeroDivisionError, SystemExit]  # leaving is no error: passed on, not noted
        sys.unraisablehook(SimpleNamespace(exc_value=KeyError("destructor")))
        logging.getLogger("asyncio").critical("hm", exc_info=OSError("logged"))
        future = asyncio.Future(loop=asyncio.new_event_loop())
        future.set_exception(ValueError("nobody asked"))
        seen = [text.splitlines()[-1] for text in kernel_errors.report()]
    finally:
        logging.getLogger("asyncio").removeFilter(kernel_errors._note_record)
    wanted = ["ZeroDivisionError: division by zero", "KeyError: 'destructor'", "OSError: logged", "ValueError: nobody asked"]
    assert [line for line in seen if line in wanted] == wanted
    assert not any("SystemExit" in line for line in seen)
    assert kernel_errors.report() == kernel_errors._noted  # a task's error is asked for once


def test_nbmake_turns_red(tmp_path):
    shutil.copy(ROOT / "notebooks" / "conftest.py", tmp_path)
    page(tmp_path, "import threading\nt = threading.Thread(target=lambda: 1 / 0); t.start(); t.join()", name="00_bad.ipynb")
    page(tmp_path, "import os\nassert os.environ['SCULPTLAB_PROFILE'] == 'fast'", name="01_good.ipynb")
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    command = [sys.executable, "-m", "pytest", "-p", "nbmake.pytest_plugin", "--nbmake", str(tmp_path)]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("SCULPTLAB_")}
    environment["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"  # nbmake alone: starts in half the time
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert "1 failed, 1 passed" in done.stdout, done.stdout + done.stderr
    assert "an error that stopped no cell: ZeroDivisi" in done.stdout  # the summary line is cut
    assert "\nZeroDivisionError: division by zero" in done.stdout


def test_a_users_kernel_spec_cannot_take_the_name(tmp_path, monkeypatch):
    spec = tmp_path / "jupyter" / "kernels" / "python3" / "kernel.json"
    spec.parent.mkdir(parents=True)
    spec.write_text('{"argv": ["/bin/false", "{connection_file}"], "display_name": "Mine", "language": "python"}')
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "jupyter"))
    assert KernelSpecManager().get_kernel_spec("python3").argv[0] == "/bin/false"  # it would
    notebook = new_notebook(cells=[new_code_cell("import sys; print(sys.executable)")])
    StrictClient(notebook).execute()
    assert notebook.cells[0].outputs[0].text.strip() == sys.executable


def test_a_good_page_is_run_written_and_read(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("MPLBACKEND", "agg")
    monkeypatch.delenv("SCULPTLAB_SEED", raising=False)
    path = page(
        tmp_path / "pages",
        new_markdown_cell("# Title\n\n## Settings"),
        "import os, time\nprint(os.environ['SCULPTLAB_PROFILE'], os.environ['SCULPTLAB_SEED'], os.getcwd())",
        "import matplotlib.pyplot as plt\nplt.plot([1, 2]); time.sleep(0.2)",
        "from sculptlab.series.claims import claim\nclaim('it stands', [0.8, 0.86], above=0.5)",
        "import ipywidgets\nipywidgets.IntSlider(value=5)",
    )
    report = pages.execute(path, tmp_path / "out", "full", 7)
    assert report.ok
    assert report.claims == (Claim("it stands", (0.8, 0.86), above=0.5),)
    assert [label for label, _ in report.cells][:2] == ["Settings", "plt.plot([1, 2]); time.sleep(0.2)"]
    assert 0.2 <= report.cells[1][1] < report.seconds
    copy = nbformat.read(report.notebook, 4)
    assert copy.cells[1].outputs[0].text == f"full 7 {tmp_path / 'pages'}\n"
    assert "image/png" in copy.cells[2].outputs[-1].data
    assert "widget-state+json" in report.html.read_text()
    assert "data:image/png;base64" in report.html.read_text()
    assert "SCULPTLAB_SEED" not in os.environ
    assert "✓  it stands: 0.83 ± 0.042 over 2 seed(s), claimed > 0.5" in str(report)
    assert str(report.html) in str(report)
    assert "4/4 cells" in capsys.readouterr().err
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "05_page.html", "05_page.ipynb", "05_page_answers.md", "figures",
    ]  # fmt: skip
    (figure,) = (tmp_path / "out" / "figures").iterdir()
    assert figure.name == "05_page_1.png"
    assert figure.read_bytes().startswith(b"\x89PNG")


def test_the_html_has_alternative_texts(tmp_path):
    code = "from sculptlab import plots\npicture, ((ax,),) = plots.panels()\nplots.style(ax, title='1 < \"2\"')\npicture"
    html = pages.execute(page(tmp_path / "pages", code), tmp_path / "out", "fast", 0).html.read_text()
    (image,) = re.findall(r"<img [^>]*?src=", html)
    assert unescape(image).startswith("<img alt='1 < \"2\"' ")


def test_a_failing_page_is_written_up_to_its_error(tmp_path):
    path = page(tmp_path / "pages", "x = 1", "x / 0", "print('never')")
    report = pages.execute(path, tmp_path / "out", progress=False)
    assert not report.ok
    assert report.error == "ZeroDivisionError: division by zero, in the cell 'x / 0'"
    assert report.swallowed == ()
    copy = nbformat.read(report.notebook, 4)
    assert copy.cells[1].outputs[0].ename == "ZeroDivisionError"
    assert copy.cells[2].outputs == []
    assert "ZeroDivisionError" in report.html.read_text()


def test_a_broken_claim_and_a_hidden_error_fail_a_page(tmp_path):
    hidden = "import threading\nt = threading.Thread(target=lambda: 1 / 0); t.start(); t.join()"
    broken = "from sculptlab.series.claims import claim\nclaim('it falls', [0.1, 0.2], above=0.5)"
    report = pages.execute(page(tmp_path / "pages", hidden, broken), tmp_path / "out", progress=False)
    assert not report.ok
    assert [claim.holds for claim in report.claims] == [False]
    assert report.swallowed == ("ZeroDivisionError: division by zero",)
    assert "✗ DOES NOT HOLD  it falls: 0.15" in str(report)


def test_a_kernel_that_dies_is_reported(tmp_path):
    path = page(tmp_path / "pages", "import os, signal", "os.kill(os.getpid(), signal.SIGKILL)")
    report = pages.execute(path, tmp_path / "out", progress=False)
    assert "the kernel died in the cell 'os.kill(os.getpid(), signal.SIGKILL)'" in report.error
    assert report.notebook.exists()


def test_ctrl_c_stops_the_kernel(tmp_path):
    work = "import os, pathlib, time\npathlib.Path('pid').write_text(str(os.getpid()))\ntime.sleep(60)"
    path = page(tmp_path / "pages", "print('first')", work)
    run = subprocess.Popen(
        [sys.executable, "-m", "sculptlab.cli", "run", str(path), "--out", str(tmp_path / "out")],
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
    )
    pid = tmp_path / "pages" / "pid"
    deadline = time.monotonic() + 60
    while not (pid.exists() and pid.read_text()) and run.poll() is None and time.monotonic() < deadline:
        time.sleep(0.05)
    run.send_signal(signal.SIGINT)
    _, said = run.communicate(timeout=60)
    assert run.returncode == 130
    assert "interrupted" in said
    assert "Traceback" not in said
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid.read_text()), 0)
    assert nbformat.read(tmp_path / "out" / "05_page.ipynb", 4).cells[0].outputs[0].text == "first\n"


def test_claims_are_read_from_what_a_page_shows():
    made = Claim("x < y", (1.0, 3.0), above=1.5)
    shown = new_output("display_data", data=made._repr_mimebundle_())
    assert claims_of(notebook_with(shown, shown)) == (made,)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"profile": "quick"}, "profile must be one of .* got 'quick'"),
        ({"seed": -1}, "seed must be a whole number from 0 to 9999, got -1"),
        ({"seed": 1.5}, "seed must be a whole number from 0 to 9999, got 1.5"),
        ({"seed": True}, "seed must be a whole number from 0 to 9999, got True"),
    ],
)
def test_bad_settings_are_refused(tmp_path, arguments, message):
    path = page(tmp_path / "pages", "1")
    with pytest.raises(ValueError, match=message):
        pages.execute(path, tmp_path / "out", **arguments)
    assert not (tmp_path / "out").exists()


def test_a_page_never_overwrites_itself(tmp_path):
    path = page(tmp_path / "pages", "1")
    with pytest.raises(ValueError, match="out must not be the folder of the page itself"):
        pages.execute(path, tmp_path / "pages")
    assert nbformat.read(path, 4).cells[0].outputs == []
