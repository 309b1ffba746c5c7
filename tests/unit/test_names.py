"""Names and paths as people type them."""

import os

import numpy as np
import pytest
import torch
from PIL import Image

import sculptlab as sl
from sculptlab.data import downloads, folders
from sculptlab.files import writable_path
from sculptlab.names import as_file, as_path, suggestion
from sculptlab.plots.style import Picture
from sculptlab.series import pages, scores
from sculptlab.training.config import train_from


@pytest.mark.parametrize(
    ("typed", "meant"),
    [("MNIST", "mnist"), ("Fashion-MNIST", "fashion_mnist"), ("cifar-10", "cifar10"), ("Tiny ImageNet", "tiny_imagenet")],
)
def test_the_name_of_a_set_is_suggested(typed, meant):
    with pytest.raises(ValueError, match=f"got '{typed}'; did you mean '{meant}'"):
        sl.load(typed)


def test_nothing_is_suggested_for_what_is_no_name():
    assert suggestion("entirely else", ["mnist", None]) == suggestion(3, ["mnist"]) == ""
    with pytest.raises(ValueError, match="did you mean 'gaussian'"):
        sl.priors.as_prior("Gaussian", dim=2)


def test_a_tilde_is_the_home_folder_in_every_path(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    np.save(tmp_path / "points.npy", np.eye(3))
    Image.fromarray(np.array([[0, 255], [255, 255]], np.uint8)).save(tmp_path / "dot.png")
    (tmp_path / "mine.ipynb").write_text('{"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}', encoding="utf-8")
    assert len(sl.load_folder("~", size=2)) == 1
    assert sl.priors.Samples("~/points.npy").dim == 3
    assert sl.priors.FromImage("~/dot.png").darkness.tolist() == [[1, 0], [0, 0]]
    assert writable_path("checkpoint", "~/runs/a.pt") == tmp_path / "runs" / "a.pt"
    assert pages.find("~/mine.ipynb") == (tmp_path / "mine.ipynb").resolve()
    Picture().savefig("~/figure.png")
    assert (tmp_path / "figure.png").is_file()
    monkeypatch.setenv("SCULPTLAB_DATA", "~/data")
    assert folders.given() == tmp_path / "data"


def test_a_tilde_without_a_folder_and_what_is_no_path_are_named(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=r"checkpoint must begin with a folder of this machine, got '~nosuchuser/a\.pt'"):
        writable_path("checkpoint", "~nosuchuser/a.pt")
    assert not list(tmp_path.iterdir())
    with pytest.raises(TypeError, match="folder must be a path, got 3"):
        as_path("folder", 3)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no such pipes")
@pytest.mark.parametrize(
    ("name", "read"),
    [
        ("a.toml", train_from),
        ("a.npy", sl.priors.Samples),
        ("a.csv", sl.priors.Samples),
        ("a.png", sl.priors.FromImage),
        ("a.png", lambda path: sl.load_folder(path.parent, size=8)),
        ("a.json", scores.read_score),
        ("a", lambda path: as_file("path", path)),
    ],
)
def test_a_pipe_without_a_writer_is_refused_instead_of_read_for_ever(tmp_path, name, read):
    os.mkfifo(tmp_path / name)
    with pytest.raises(ValueError, match="must be a file, got the pipe or device"):
        read(tmp_path / name)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no such pipes")
def test_data_of_a_training_that_are_a_pipe_are_refused(tmp_path):
    os.mkfifo(tmp_path / "a.npy")
    config = (
        f'data = "{(tmp_path / "a.npy").as_posix()}"\nobjective = "Reconstruction()"\n[model]\narchitecture = "mlp"\ndim = 2\n'
    )
    (tmp_path / "a.toml").write_text(config)
    with pytest.raises(ValueError, match="data must be a file, got the pipe or device"):
        train_from(tmp_path / "a.toml")


def test_pictures_that_unpack_to_too_many_pixels_are_refused(tmp_path, monkeypatch):
    Image.new("L", (30, 30)).save(tmp_path / "a.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 400)
    with pytest.raises(ValueError, match=r"a\.png' cannot be read as a picture .*exceeds limit of 800 pixels"):
        sl.load_folder(tmp_path, size=8)


def test_what_is_missing_is_left_to_the_reader_and_a_folder_is_named(tmp_path):
    assert as_file("path", tmp_path / "missing") == tmp_path / "missing"
    with pytest.raises(ValueError, match="path must be a file, got the folder"):
        as_file("path", tmp_path)


@pytest.mark.parametrize("older", [True, False])
def test_without_a_home_folder_bundled_sets_load_and_others_say_what_to_set(monkeypatch, tmp_path, older):
    def cache(name):
        if older:
            return folders.Path("~/.cache/sculptlab")
        raise RuntimeError("could not determine the home directory")

    monkeypatch.setattr(folders, "clone", lambda: None)
    monkeypatch.setattr(folders.platformdirs, "user_cache_path", cache)
    monkeypatch.delenv("SCULPTLAB_DATA", raising=False)
    monkeypatch.chdir(tmp_path)
    assert folders.cache() is None
    assert sl.load("digits").images.dtype == torch.float32
    assert not sl.data.available("mnist")
    with pytest.raises(downloads.DataNotFound, match="no home folder for a cache, so set SCULPTLAB_DATA"):
        sl.load("mnist")
    assert not list(tmp_path.iterdir())
