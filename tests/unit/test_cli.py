"""The commands: their exit codes, what they print, and a JupyterLab that really opens the first page."""

import json
import os
import re
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook

import sculptlab
from sculptlab import cli
from sculptlab.data import downloads, folders, sources
from sculptlab.series import pages
from sculptlab.series.claims import Claim
from sculptlab.series.pages import Report


def code_of(*words):
    with pytest.raises(SystemExit) as stop:
        cli.main(words)
    return stop.value.code


def report(path, **changes):
    claim = Claim("x", (1.0, 1.0, 1.0), above=0.0)
    given = {"seconds": 2.0, "cells": (), "claims": (claim,), "error": None, "swallowed": ()} | changes
    return Report(path.stem, path, path.with_suffix(".html"), **given)


@pytest.fixture
def ran(monkeypatch):
    """Two pages, and `pages.execute` replaced: nothing runs, the calls are noted."""
    calls = []
    monkeypatch.setattr(pages, "every", lambda: [Path("00_a.ipynb"), Path("01_b.ipynb")])
    monkeypatch.setattr(pages, "execute", lambda path, *rest: calls.append((path.stem, *rest)) or report(path))
    return calls


def test_version_and_help(capsys):
    assert code_of("--version") == 0
    assert capsys.readouterr().out == f"sculptlab {sculptlab.__version__}\n"
    assert code_of("--help") == 0
    said = capsys.readouterr().out
    assert [command for command in ("lab", "run", "doctor", "fetch") if f"\n    {command} " not in said] == []
    assert code_of("run", "--help") == 0
    assert "--profile {fast,full}" in capsys.readouterr().out
    assert code_of("fetch", "--help") == 0
    assert "--split {train,test}" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "\n    doctor "),  # the list of commands
        (["teach"], "invalid choice: 'teach'"),
        (["run", "--profile", "quick"], "invalid choice: 'quick'"),
        (["run", "--seed", "x"], "invalid int value: 'x'"),
        (["doctor", "--", "--port=1"], "unrecognized arguments"),
        (["fetch", "mnist", "--split", "all"], "invalid choice: 'all'"),
        (["fetch", "mnist", "cifar10"], "unrecognized arguments: cifar10"),
    ],
)
def test_wrong_usage_exits_with_2(capsys, words, message):
    assert code_of(*words) == 2
    assert message in capsys.readouterr().err


def test_a_negative_seed_is_wrong_usage(capsys):
    assert cli.main(["run", "0", "--seed", "-1"]) == 2
    assert "seed must be a whole number from 0 to 9999, got -1" in capsys.readouterr().err


def test_the_installed_command_starts_without_torch():
    command = [sys.executable, "-X", "importtime", "-m", "sculptlab.cli", "--help"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    loaded = {line.rsplit("|", 1)[-1].strip().split(".")[0] for line in done.stderr.splitlines()}
    assert "argparse" in loaded
    assert not loaded & {"torch", "numpy", "nbclient", "matplotlib", "IPython"}


def test_run_takes_every_page_by_default(ran, capsys):
    assert cli.main(["run"]) == 0
    assert ran == [("00_a", Path("executed"), None, None), ("01_b", Path("executed"), None, None)]
    assert "2 page(s) in 4.0 s, 2 of 2 claims hold\n" in capsys.readouterr().out


def test_run_passes_its_options_on(ran, tmp_path):
    assert cli.main(["run", "1", "--profile", "full", "--seed", "5", "--out", str(tmp_path)]) == 0
    assert ran == [("01_b", tmp_path, "full", 5)]


def test_run_names_an_unknown_page_before_running_any(ran, capsys):
    assert cli.main(["run", "00", "07"]) == 2
    assert "got '07'; the pages: 00_a, 01_b" in capsys.readouterr().err
    assert ran == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"error": "ValueError: no"},
        {"swallowed": ("ValueError: late",)},
        {"claims": (Claim("x", (0.0, 0.0, 0.0), above=1.0),)},
    ],
)
def test_run_fails_if_a_page_does_and_runs_the_others(ran, monkeypatch, capsys, wrong):
    monkeypatch.setattr(pages, "execute", lambda path, *_: report(path, **(wrong if path.stem == "00_a" else {})))
    assert cli.main(["run"]) == 1
    said = capsys.readouterr().out
    assert "FAILED: 00_a" in said
    assert "01_b  ok" in said


def test_an_interrupted_run_exits_with_130(ran, monkeypatch, capsys):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(pages, "execute", interrupt)
    assert cli.main(["run", "00"]) == 130
    assert "interrupted" in capsys.readouterr().err


def test_run_into_a_file_is_one_readable_line(tmp_path, capsys):
    (tmp_path / "page.ipynb").write_text(nbformat.writes(new_notebook(cells=[new_code_cell("1")])))
    (tmp_path / "file").touch()
    for out in (tmp_path / "file", tmp_path / "file" / "below"):
        assert cli.main(["run", str(tmp_path / "page.ipynb"), "--out", str(out)]) == 2
        said = capsys.readouterr().err
        assert said == f"sculptlab run: --out must be a folder, got {out}: {tmp_path / 'file'} is a file\n"


@pytest.mark.skipif(os.name == "nt", reason="Windows removes no folder that is in use")
@pytest.mark.parametrize("words", [["doctor"], ["run", "00"], ["sweep", "lps_mixing"], ["site", "out"], ["train", "a.toml"]])
def test_a_working_folder_that_was_removed_is_one_readable_line(tmp_path, monkeypatch, capsys, words):
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    assert cli.main(words) == 1
    error = capsys.readouterr().err
    assert "the working folder cannot be read" in error
    assert len(error.splitlines()) == 1


def test_a_reader_who_leaves_early_sees_no_error():
    command = f"{sys.executable} -m sculptlab.cli fetch | true"
    done = subprocess.run(["bash", "-c", f"{command}; exit ${{PIPESTATUS[0]}}"], capture_output=True, text=True)
    assert done.stderr == ""


def test_fetch_lists_the_names(capsys):
    assert cli.main(["fetch"]) == 0
    assert capsys.readouterr().out.split()[2:] == list(sources.NAMES)


def test_fetch_says_where(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(downloads, "fetch", lambda name, split: tmp_path / name / str(split))
    assert cli.main(["fetch", "mnist"]) == 0
    assert capsys.readouterr().out == f"mnist: {tmp_path / 'mnist' / 'None'}\n"
    assert cli.main(["fetch", "tiny_imagenet", "--split", "train"]) == 0
    assert capsys.readouterr().out == f"tiny_imagenet: {tmp_path / 'tiny_imagenet' / 'train'}\n"


@pytest.mark.parametrize(
    "error",
    [downloads.DataNotFound("put it there"), OSError("disk full"), ImportError("no torch")],
    ids=lambda e: type(e).__name__,
)
def test_fetch_fails_in_words(monkeypatch, capsys, error):
    def fetch(name, split):
        raise error

    monkeypatch.setattr(downloads, "fetch", fetch)
    assert cli.main(["fetch", "mnist"]) == 1
    assert capsys.readouterr().err.startswith(f"sculptlab: {error}")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["mnits"], "name must be one of digits, .* got 'mnits'"),
        (["digits", "--split", "train"], "split must be None for digits"),
        (["--split", "train"], "name must be one of digits, .* got None"),
    ],
)
def test_fetch_refuses_what_is_not_there_to_be_had(capsys, words, message):
    assert cli.main(["fetch", *words]) == 2
    assert re.match(f"sculptlab fetch: {message}", capsys.readouterr().err)


def test_the_splits_are_those_of_the_sources():
    assert {split for published in sources.PUBLISHED.values() for split in published.splits} == {"train", "test", "all"}


@pytest.mark.parametrize("root", [True, False])
def test_lab_command(tmp_path, root, monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 0 if root else 1000)
    (tmp_path / pages.START).touch()
    command = cli.lab_command(tmp_path, ["--port=9000"])
    assert command[:3] == [sys.executable, "-m", "jupyterlab"]
    assert f"--ServerApp.root_dir={tmp_path}" in command
    assert "--LabApp.default_url=/lab/tree/00_start_here.ipynb" in command
    assert ("--allow-root" in command) is root
    assert command[-1] == "--port=9000"


def test_lab_becomes_jupyterlab_on_the_clones_pages(monkeypatch):
    became = []
    monkeypatch.setattr(os, "execve", lambda *call: became.append(call) or sys.exit(0))
    assert code_of("lab", "--", "--no-browser", "--port=9000") == 0
    ((program, command, environment),) = became
    assert program == sys.executable
    assert command == cli.lab_command(pages.notebooks_folder(), ["--no-browser", "--port=9000"])
    assert environment["JUPYTER_PREFER_ENV_PATH"] == "1"


def test_on_windows_lab_is_a_child_whose_exit_code_is_passed_on(monkeypatch):
    called = []
    monkeypatch.setattr(cli.os, "name", "nt")
    monkeypatch.setattr(cli.subprocess, "call", lambda command, env: called.append((command, env)) or 3)
    with pytest.raises(SystemExit) as ended:
        cli._become([sys.executable, "-m", "jupyterlab", "--ServerApp.root_dir=C:/a folder"])
    assert ended.value.code == 3
    ((command, environment),) = called
    assert command[-1] == "--ServerApp.root_dir=C:/a folder"
    assert environment["JUPYTER_PREFER_ENV_PATH"] == "1"


def test_lab_from_a_wheel_works_on_a_copy(monkeypatch, tmp_path, capsys):
    source = tmp_path / "site" / "share" / "notebooks"
    source.mkdir(parents=True)
    (source / pages.START).write_text("theirs")
    monkeypatch.setattr(folders, "clone", lambda: None)
    monkeypatch.setattr(pages, "_PACKAGE", tmp_path / "site")
    monkeypatch.setattr(os, "execve", lambda *call: sys.exit(0))
    monkeypatch.chdir(tmp_path)
    assert code_of("lab") == 0
    mine = tmp_path / "sculptlab-notebooks" / pages.START
    assert mine.read_text() == "theirs"
    mine.write_text("mine")
    assert code_of("lab") == 0
    assert mine.read_text() == "mine"
    assert f"kept your changed {mine}" in capsys.readouterr().out


def answer(url):
    with urllib.request.urlopen(url, timeout=5) as reply:
        return reply.geturl(), reply.read()


@pytest.fixture
def server(tmp_path):
    """The address of a JupyterLab started by our command on a folder with one page, without user settings."""
    (tmp_path / "pages").mkdir()
    (tmp_path / "pages" / pages.START).write_text(nbformat.writes(new_notebook(cells=[new_code_cell("40 + 2")])))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    extra = ["--no-browser", f"--port={port}", "--ServerApp.port_retries=0", "--IdentityProvider.token="]
    places = ("JUPYTER_CONFIG_DIR", "JUPYTER_RUNTIME_DIR", "JUPYTERLAB_SETTINGS_DIR", "JUPYTERLAB_WORKSPACES_DIR")
    environment = os.environ | {name: str(tmp_path / name) for name in places}
    with (tmp_path / "log").open("w") as log:
        lab = subprocess.Popen(cli.lab_command(tmp_path / "pages", extra), env=environment, stdout=log, stderr=log)
    address = f"http://127.0.0.1:{port}"
    for _ in range(300):
        try:
            answer(f"{address}/api")
            break
        except OSError:
            assert lab.poll() is None, (tmp_path / "log").read_text()
            time.sleep(0.1)
    yield address
    lab.terminate()
    lab.wait(20)


def test_lab_really_opens_the_first_page(server):
    assert "version" in json.loads(answer(f"{server}/api")[1])
    assert answer(server)[0] == f"{server}/lab/tree/00_start_here.ipynb"
    page = json.loads(answer(f"{server}/api/contents/00_start_here.ipynb")[1])
    assert page["content"]["cells"][0]["source"] == "40 + 2"


def test_a_report_reaches_a_console_of_another_encoding():
    code = (
        "from sculptlab import cli, doctor; doctor.CHECKS = (('x', lambda: 'MMD\\u00b2 \\u2192 \\u4e2d', ''),); "
        "raise SystemExit(cli.main(['doctor']))"
    )
    environment = os.environ | {"PYTHONIOENCODING": "cp1252", "PYTHONUTF8": "0"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, env=environment, check=True)
    assert "MMD\u00b2 \\u2192 \\u4e2d".encode("cp1252") in done.stdout


@pytest.mark.parametrize(
    "text", ["{}", "[]", '{"a": 1}', "no JSON", '{"cells": 3, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}']
)
def test_run_names_a_file_that_is_no_notebook_before_running_any_page(ran, capsys, tmp_path, text):
    (tmp_path / "mine.ipynb").write_text(text, encoding="utf-8")
    assert cli.main(["run", "0", str(tmp_path / "mine.ipynb")]) == 2
    assert "page must be a Jupyter notebook, got" in capsys.readouterr().err
    assert ran == []


def test_out_may_begin_with_a_tilde(ran, monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cli.main(["run", "0", "--out", "~/pages"]) == 0
    assert ran == [("00_a", tmp_path / "pages", None, None)]
