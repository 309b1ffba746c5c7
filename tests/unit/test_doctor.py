"""Each check of `sculptlab doctor`: fine here, and with its remedy once the thing it looks at is broken."""

import importlib
import shutil
import sys
from collections import namedtuple
from importlib import metadata
from types import SimpleNamespace

import pytest

from sculptlab import cli, doctor
from sculptlab.data import downloads, folders, sources
from sculptlab.doctor import Finding
from sculptlab.series import execution, pages

Usage = namedtuple("Usage", "total used free")


def failing_import(monkeypatch, name, error):
    real = importlib.import_module

    def load(wanted, *rest):
        if wanted == name:
            raise error
        return real(wanted, *rest)

    monkeypatch.setattr(importlib, "import_module", load)


def finding(name):
    """What the check called `name` finds here."""
    (check,) = [check for check in doctor.CHECKS if check[0] == name]
    return doctor.run_check(*check)


def test_a_finding_is_one_line_and_its_remedy_another():
    assert str(Finding("GPU", None, "none")).split() == ["note", "GPU", "none"]
    assert str(Finding("torch", False, "gone", "install it")).splitlines()[1].strip() == "-> install it"


@pytest.mark.parametrize("name", ["Python", "sculptlab", "torch", "widgets", "working folder"])
def test_what_is_needed_works_here(name):
    assert finding(name).ok, finding(name)


@pytest.mark.parametrize(
    ("name", "error", "remedy"),
    [
        ("torch", ModuleNotFoundError("No module named 'torch'"), "torch torchvision"),
        ("torch", OSError("libcudart.so.12: cannot open shared object file"), "install both at once"),
        ("torchvision", RuntimeError("operator torchvision::nms does not exist"), "must fit each other"),
    ],
)
def test_a_broken_torch_is_a_problem(monkeypatch, name, error, remedy):
    failing_import(monkeypatch, name, error)
    found = finding("torch")
    assert found.ok is False
    assert str(error) in found.detail
    assert remedy in found.remedy


@pytest.mark.parametrize("driver", [None, "/usr/bin/nvidia-smi"])
def test_no_gpu_is_a_note(monkeypatch, driver):
    monkeypatch.setattr(importlib, "import_module", lambda name: SimpleNamespace(cuda=SimpleNamespace(is_available=bool)))
    monkeypatch.setattr(shutil, "which", lambda name: driver)
    found = finding("GPU")
    assert found.ok is None
    assert "everything runs on the CPU" in found.detail
    assert ("pytorch.org" in found.remedy) is bool(driver)


def test_a_gpu_is_named(monkeypatch):
    cuda = SimpleNamespace(is_available=lambda: True, device_count=lambda: 1, get_device_name=lambda i: f"Card {i}")
    monkeypatch.setattr(importlib, "import_module", lambda name: SimpleNamespace(cuda=cuda))
    assert finding("GPU") == Finding("GPU", True, "Card 0")


def test_a_gpu_cannot_be_seen_without_torch(monkeypatch):
    failing_import(monkeypatch, "torch", ImportError("no torch"))
    assert finding("GPU").ok is None


def test_data_sets_are_bundled_found_or_to_be_fetched(monkeypatch, tmp_path):
    monkeypatch.setattr(downloads, "locate", lambda name: tmp_path if name == "mnist" else None)
    assert [check[0].removeprefix("data: ") for check in doctor.CHECKS if "data: " in check[0]] == list(sources.NAMES)
    found = {name: finding(f"data: {name}") for name in sources.NAMES}
    assert {found[name].detail for name in sources.BUNDLED} == {"bundled"}
    assert (found["mnist"].ok, found["mnist"].detail) == (True, f"found in {tmp_path}")
    assert (found["cifar10"].ok, found["cifar10"].remedy) == (None, "sculptlab fetch cifar10")


def test_a_data_folder_that_is_a_file_is_a_problem(monkeypatch, tmp_path):
    (tmp_path / "file").touch()
    monkeypatch.setenv("SCULPTLAB_DATA", str(tmp_path / "file"))
    found = finding("data: mnist")
    assert found.ok is False
    assert "SCULPTLAB_DATA" in found.remedy


def test_a_cache_that_cannot_be_written_is_a_problem(monkeypatch, tmp_path):
    (tmp_path / "file").touch()
    monkeypatch.setattr(folders, "cache", lambda: tmp_path / "file" / "below")
    assert finding("data cache").ok is False
    assert "SCULPTLAB_DATA" in finding("data cache").remedy
    monkeypatch.setattr(folders, "cache", lambda: tmp_path / "new")
    assert finding("data cache").ok is not False


def test_little_space_is_noticed(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(folders, "cache", lambda: tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda place: Usage(1e9, 9e8, 1e8))
    assert finding("data cache").ok is None
    assert "free some space" in finding("data cache").remedy
    assert finding("working folder").ok is False
    assert "free some space" in finding("working folder").remedy


def test_a_working_folder_that_cannot_be_written_is_noted(monkeypatch):
    monkeypatch.setattr(doctor.os, "access", lambda *_: False)
    assert finding("working folder").ok is None
    assert "--out" in finding("working folder").remedy


def test_missing_widgets_are_a_problem(monkeypatch):
    def version(name):
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "version", version)
    assert finding("widgets").ok is False
    assert "ipywidgets" in finding("widgets").remedy


def test_a_missing_labextension_is_a_problem(monkeypatch, tmp_path):
    monkeypatch.setattr("jupyter_core.paths.jupyter_path", lambda *_: [str(tmp_path)])
    assert finding("widgets").ok is False
    assert "jupyterlab_widgets" in finding("widgets").remedy


def test_the_kernel_really_answers():
    assert finding("kernel") == Finding("kernel", True, "starts and answers")
    assert execution.ask_kernel("6*7") == "42"


@pytest.mark.parametrize("answer", ["3", RuntimeError("Kernel didn't respond in 60 seconds")])
def test_a_kernel_that_does_not_answer_is_a_problem(monkeypatch, answer):
    def ask(expression):
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(execution, "ask_kernel", ask)
    assert finding("kernel").ok is False
    assert str(answer) in finding("kernel").detail
    assert "ipykernel" in finding("kernel").remedy


def test_a_kernel_that_dies_at_its_start_is_a_problem(monkeypatch):
    monkeypatch.setattr(
        "ipykernel.kernelspec.make_ipkernel_cmd", lambda *_, **__: [sys.executable, "-c", "exit(3)", "{connection_file}"]
    )
    found = finding("kernel")
    assert found.ok is False
    assert "ipykernel" in found.remedy


def test_missing_notebooks_are_a_problem(monkeypatch, tmp_path):
    monkeypatch.setattr(pages, "_PACKAGE", tmp_path)
    monkeypatch.setattr(folders, "clone", lambda: None)
    assert "reinstall" in finding("notebooks").remedy
    (tmp_path / "share" / "notebooks").mkdir(parents=True)
    assert finding("notebooks").ok is False
    (tmp_path / "share" / "notebooks" / "00_start_here.ipynb").touch()
    assert finding("notebooks").ok is True


def test_the_exit_code_counts_problems_alone(monkeypatch, capsys):
    def note():
        raise doctor.Note("absent", "fetch it")

    def problem():
        raise OSError("broken")

    monkeypatch.setattr(doctor, "CHECKS", (("a", note, ""),))
    assert cli.main(["doctor"]) == 0
    monkeypatch.setattr(doctor, "CHECKS", (("a", note, ""), ("b", problem, "repair it")))
    assert cli.main(["doctor"]) == 1
    assert "repair it" in capsys.readouterr().out


def test_a_missing_home_folder_is_a_problem_of_its_own(monkeypatch):
    def home():
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(doctor.Path, "home", home)
    monkeypatch.setattr(folders, "cache", lambda: None)
    assert finding("home folder").ok is False
    assert "set HOME" in finding("home folder").remedy
    assert finding("data cache").detail == "no home folder, so there is no place for a cache"
