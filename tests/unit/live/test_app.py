"""`sculptlab app`: what it starts, and what it says where Voilà is missing."""

import nbformat

from sculptlab import cli
from sculptlab.doctor import PIP


def test_the_page_shows_a_sculptor_and_nothing_else():
    page = nbformat.read(cli.APP, as_version=4)
    nbformat.validate(page)
    assert [cell.source for cell in page.cells] == ["import sculptlab as sl\n\nsl.Sculptor()"]
    assert page.cells[0].outputs == []


def test_it_serves_to_this_machine_alone():
    command = cli.app_command(["--port=8870"])
    assert command[1:4] == ["-m", "voila", str(cli.APP)]
    assert "--Voila.ip=127.0.0.1" in command
    assert command[-1] == "--port=8870"
    assert [word for word in cli.app_command(["--Voila.ip=0.0.0.0"]) if "Voila.ip" in word] == ["--Voila.ip=0.0.0.0"]


def test_words_are_passed_on_and_the_kernel_is_this_environments(monkeypatch):
    started = []
    monkeypatch.setattr(cli, "find_spec", lambda name: object())
    monkeypatch.setattr(cli.os, "execve", lambda program, words, environment: started.append((words, environment)) or 0)
    monkeypatch.setattr(cli, "int", lambda code: code or 0, raising=False)
    cli.main(["app", "--", "--no-browser"])
    ((words, environment),) = started
    assert words[-1] == "--no-browser"
    assert environment["JUPYTER_PREFER_ENV_PATH"] == "1"


def test_without_voila_it_says_what_to_install(monkeypatch, capsys):
    monkeypatch.setattr(cli, "find_spec", lambda name: None)
    assert cli.main(["app"]) == cli.FAILED
    assert f"{PIP} install voila" in capsys.readouterr().err
