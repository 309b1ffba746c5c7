"""Trainings as files: `sculptlab train`, alone and under torchrun, is `fit`."""

import errno
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest

import sculptlab as sl
from sculptlab import cli
from sculptlab.training.config import train_from
from sculptlab.training.run import Run

CONFIG = """
data = {name = "digits", n = 200}
objective = "KL(0.1) + MMD('gaussian', weight=100.0) + Predictability()"
out = "OUT"
timeout = 60
[model]
architecture = "mlp"
dim = 2
width = 16
stochastic = true
[training]
steps = 20
batch_size = 64
device = "cpu"
progress = false
"""


UNCLOSED = b"\x93NUMPY\x01\x00v\x00" + b"(" * 117 + b"\n"  # a header with as many parentheses


@pytest.fixture
def written(tmp_path):
    """Write a config, with a line replaced, and return its path."""

    def write(old="", new="", out="run", suffix="toml"):
        path = tmp_path / f"{out}.{suffix}"
        path.write_text(CONFIG.replace(old, new).replace("OUT", str(tmp_path / f"{out}.safetensors")))
        return path

    return write


def test_a_file_trains_as_fit_does_and_two_processes_as_one(written, tmp_path, capsys):
    assert cli.main(["train", str(written())]) == 0
    assert "20 steps, seed 0" in capsys.readouterr().out
    one = sl.load_run(tmp_path / "run.safetensors")
    model = sl.build_autoencoder("mlp", image_shape=(1, 8, 8), dim=2, width=16, stochastic=True)
    options = {"steps": 20, "batch_size": 64, "device": "cpu", "progress": False}
    by_hand = sl.fit(model, sl.load("digits", n=200), one.objective, **options)
    assert [row["loss"] for row in one.rows] == [row["loss"] for row in by_hand.rows]

    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    command = [*torchrun, "-m", "sculptlab", "train", str(written(out="two"))]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    two = sl.load_run(tmp_path / "two.safetensors")
    assert two.objective == one.objective
    for ours, theirs in zip(two.rows, one.rows, strict=True):
        assert {**ours, "seconds": 0} == pytest.approx({**theirs, "seconds": 0}, rel=1e-4, abs=1e-5)
    for name, value in two.export().items():
        assert np.allclose(value, one.export()[name], atol=1e-5), name


def test_a_python_file_sets_objects_and_numbers(tmp_path):
    np.save(tmp_path / "images.npy", np.random.default_rng(0).random((40, 1, 3, 3), dtype=np.float32))
    config = tmp_path / "config.py"
    config.write_text(
        f"import sculptlab as sl\ndata = {str(tmp_path / 'images.npy')!r}\nmodel = dict(architecture='mlp', dim=2, width=8)\n"
        "objective = sl.objectives.MMD(sl.priors.Ring())\ntraining = dict(steps=3, progress=False)\n"
    )
    run = train_from(config)
    assert (run.steps, run.objective.prior) == (3, sl.priors.Ring())
    assert sl.load_run(tmp_path / "config.safetensors").steps == 3


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("objective =", "objectives =", "config's names must be one of"),
        ("timeout = 60", "=", "config must be a TOML or a Python file"),
        ("KL(0.1)", "open('x')", "objective must be a sum of sl.objectives"),
        ("KL(0.1)", "Kl(0.1)", "there is no 'Kl' in sl.objectives; did you mean 'KL'?"),
        ("KL(0.1)", "KL(-1)", "beta must be >= 0, got -1"),
        ("KL(0.1)", "KL(gamma=1)", "unexpected keyword argument 'gamma'"),
        ("KL(0.1)", "priors", "priors cannot be read: classes stand without a prefix"),
        ("'gaussian'", "gaussian", "gaussian cannot be read: classes stand without a prefix, as in MMD(Ring()), and text"),
        ("'gaussian'", "priors.Ring()", "priors.Ring() cannot be read: classes stand without a prefix"),
        ("KL(0.1)", "sl.objectives.KL(0.1)", "sl.objectives.KL(0.1) cannot be read: classes stand without a prefix"),
        ("dim = 2", "dims = 2", "model's keys must be one of"),
        ("dim = 2", "dim = 'two'", "dim must be a whole number, got 'two'"),
        ("steps = 20", "step = 20", "training's keys must be one of"),
        ("steps = 20", "steps = 0", "steps must be at least 1, got 0"),
        ("timeout = 60", "timeout = 0", "timeout must be > 0"),
        ("timeout = 60", "timeout = 1e300", "timeout must be <= 1e+09"),
        ('{name = "digits", n = 200}', "3", "data must be"),
        ('{name = "digits", n = 200}', "[" * 20_000, "config must be a TOML or a Python file"),
        ('out = "OUT"', 'out = "/proc/none/run"', "out '/proc/none/run' cannot be written"),
        ('out = "OUT"', f'out = "{"n" * 5000}"', "cannot be written: File name too long"),
    ],
    ids=range(20),
)
def test_a_wrong_file_is_wrong_usage(written, capsys, monkeypatch, old, new, words):
    monkeypatch.setattr("sculptlab.training.state.Training.advance", lambda training: pytest.fail("it took a step"))
    assert cli.main(["train", str(written(old, new))]) == 2
    message = capsys.readouterr().err
    assert words in message
    assert len(message) <= 1000


SIGNALS = """
import os, signal
def end(record):
    if record.step == 4 and os.environ.get("RANK", "1") == "1":
        os.kill(os.getpid(), signal.SIGNAL)
data, timeout = {"name": "digits", "n": 200}, 60
model, objective = {"architecture": "mlp", "dim": 2, "width": 8}, "MMD('gaussian')"
training = {"steps": 100_000, "batch_size": 64, "device": "cpu", "progress": False, "callbacks": end, "checkpoint": "here"}
"""


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
@pytest.mark.parametrize("ended", ["SIGTERM", "SIGKILL"])
def test_the_checkpoint_is_written_when_training_is_terminated_or_torchrun_ends_it(tmp_path, ended):
    (tmp_path / "config.py").write_text(SIGNALS.replace("SIGNAL", ended))
    torchrun = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]  # it terminates the rank that is left
    command = [sys.executable, *(torchrun if ended == "SIGKILL" else []), "-m", "sculptlab", "train", "config.py"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False, cwd=tmp_path)
    if ended == "SIGTERM":
        assert done.returncode == 130, done.stderr[-2000:]
        assert sl.load_run(tmp_path / "config.safetensors").stopped == "interrupted"
        assert "the same call goes on from the checkpoint" in done.stderr
    else:
        assert "rank 0 of 2 was" in done.stderr
    assert (tmp_path / "here").is_file()
    fit = sl.fit(
        sl.build_autoencoder("mlp", image_shape=(1, 8, 8), dim=2, width=8), sl.load("digits", n=200),
        sl.objectives.MMD("gaussian"), steps=6, batch_size=64, device="cpu", progress=False, checkpoint=tmp_path / "here",
    )  # fmt: skip
    assert fit.steps == 6
    assert fit.rows[0]["step"] == 1


def test_what_fit_takes_by_other_names_is_not_offered_in_its_table(written, capsys):
    assert cli.main(["train", str(written("steps = 20", "data = 'digits'"))]) == 2
    legal = capsys.readouterr().err
    assert "training's keys must be one of" in legal
    assert not any(f"'{name}'" in legal.split(", got")[0] for name in ("data", "model", "objective"))


def test_a_name_below_a_table_is_said_to_belong_to_it(tmp_path, capsys):
    text = "data = 'digits'\n[model]\narchitecture = 'mlp'\ndim = 2\nobjective = \"KL(0.1)\"\n"
    (tmp_path / "a.toml").write_text(text)
    assert cli.main(["train", str(tmp_path / "a.toml")]) == 2
    assert "lacks objective; a line below [model] or [training] belongs to that table" in capsys.readouterr().err
    (tmp_path / "a.toml").write_text("data = 'digits'\n[model]\ndim = 2\n")
    assert cli.main(["train", str(tmp_path / "a.toml")]) == 2
    assert capsys.readouterr().err.endswith("lacks objective\n")


def test_a_missing_name_or_file_is_named(tmp_path, capsys):
    (tmp_path / "a.toml").write_text("data = 'digits'")
    assert cli.main(["train", str(tmp_path / "a.toml")]) == 2
    assert "lacks model, objective" in capsys.readouterr().err
    assert cli.main(["train", str(tmp_path / "b.toml")]) == 1
    assert "b.toml" in capsys.readouterr().err


@pytest.mark.parametrize("content", [b"", b"no array", b"PK", b"\x93NUMPY\x01\x00", UNCLOSED], ids=range(5))
def test_data_that_are_no_array_are_wrong_usage(written, tmp_path, capsys, content):
    (tmp_path / "images.npy").write_bytes(content)
    config = written('{name = "digits", n = 200}', f'"{(tmp_path / "images.npy").as_posix()}"')
    assert cli.main(["train", str(config)]) == 2
    assert "data must be an array that np.save wrote" in capsys.readouterr().err


def test_a_run_whose_file_cannot_be_written_is_kept_elsewhere(written, tmp_path, monkeypatch, capsys):
    out, elsewhere, save = tmp_path / "run.safetensors", tmp_path / "temporary", Run.save
    elsewhere.mkdir()

    def full(run, path):
        if Path(path) == out:
            raise OSError(errno.ENOSPC, "No space left on device", str(path))
        return save(run, path)

    monkeypatch.setattr(Run, "save", full)
    monkeypatch.setattr(tempfile, "tempdir", str(elsewhere))
    with pytest.warns(UserWarning, match=r"run.safetensors.* could not be written .*No space left.*the run is in .*temporary"):
        run = train_from(written("steps = 20", "steps = 2"))
    (kept,) = elsewhere.iterdir()
    assert f"written to {kept}" in capsys.readouterr().out
    assert sl.load_run(kept).rows == run.rows
