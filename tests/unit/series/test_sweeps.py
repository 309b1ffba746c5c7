"""Sweeps: what is finished survives every kill, processes share the work, and a folder of something else is refused."""

import errno
import json
import multiprocessing
import os
import platform
import random
import signal
import subprocess
import sys
import time
from functools import partial

import numpy as np
import pandas as pd
import pytest
from sklearn import linear_model
from sklearn.dummy import DummyClassifier

from sculptlab import cli
from sculptlab.series import recording, results, sweeps
from sculptlab.series.studies import joint_embedding
from sculptlab.series.studies.runner import run_study
from sculptlab.series.sweeps import Sweep, SweepFinished, cell_key
from sculptlab.training import DivergenceError

CONDITIONS, SEEDS = ("a", "b", "c c"), range(8)


def study(seconds=0.0, seeds=SEEDS):
    """A cheap study of 3 cells for each seed; the second row of a cell has no value in one column."""

    def evaluate(name, product, seed):
        time.sleep(seconds)
        return [{"mmd2": product / 3, "codes": "means"}, {"mmd2": float("nan"), "rows": seed}]

    options = {"columns": "objective", "constant": {"data": "digits"}, "progress": False}
    return run_study(CONDITIONS, seeds, lambda name, seed: len(name) * seed, evaluate, **options)


def swept(folder, seconds=0.0, seeds=SEEDS):
    with Sweep(folder, "cheap", "1").active():
        return study(seconds, seeds)


def fork(target, *arguments):
    process = multiprocessing.get_context("fork").Process(target=target, args=arguments)
    process.start()
    return process


posix = pytest.mark.skipif(os.name != "posix", reason="processes are forked and killed")


def test_a_sweep_gives_the_table_of_the_same_study_without_one(tmp_path):
    pd.testing.assert_frame_equal(swept(tmp_path), study())
    assert len(list((tmp_path / "cells").iterdir())) == 24
    assert not list((tmp_path / "claims").iterdir())


def test_finished_cells_are_not_computed_again(tmp_path, monkeypatch):
    first = swept(tmp_path)
    monkeypatch.setattr(time, "sleep", lambda _: pytest.fail("a cell was computed again"))
    pd.testing.assert_frame_equal(swept(tmp_path), first)


@posix
def test_after_thirty_kills_the_result_is_that_of_an_uninterrupted_run(tmp_path):
    delays, done, seeds = random.Random(0), [], range(100)
    for _ in range(30):
        process = fork(swept, tmp_path, 0.01, seeds)
        time.sleep(delays.uniform(0.0, 0.15))
        os.kill(process.pid, signal.SIGKILL)
        process.join()
        done.append(len(list((tmp_path / "cells").glob("*.json"))))
    assert done == sorted(done), "a finished cell was lost"
    assert 0 < done[-1] < 300
    pd.testing.assert_frame_equal(swept(tmp_path, seeds=seeds), study(seeds=seeds))


@posix
def test_processes_that_begin_at_once_share_a_new_folder(tmp_path):
    start = multiprocessing.get_context("fork").Barrier(4, timeout=60)

    def begin():
        for trial in range(25):
            start.wait()
            Sweep(tmp_path / "sweeps" / str(trial), "cheap", "1")

    workers = [fork(begin) for _ in range(4)]
    for process in workers:
        process.join(60)
    assert [process.exitcode for process in workers] == [0] * 4


@pytest.mark.parametrize("other", ["another", "cheap"])
def test_of_two_studies_that_begin_in_one_new_folder_at_once_the_first_has_it(tmp_path, monkeypatch, other):
    write = sweeps.write_file

    def write_late(*given, **options):
        """Both have seen that the folder is empty."""
        monkeypatch.setattr(sweeps, "write_file", write)
        Sweep(tmp_path, other, "1")
        write(*given, **options)

    monkeypatch.setattr(sweeps, "write_file", write_late)
    if other == "cheap":
        Sweep(tmp_path, "cheap", "1")
    else:
        with pytest.raises(ValueError, match=r"folder .* holds the sweep .*'another'.*: name another folder"):
            Sweep(tmp_path, "cheap", "1")
    assert json.loads((tmp_path / "sweep.json").read_text())["study"] == other
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cells", "claims", "sweep.json"]


@posix
def test_two_processes_share_the_cells_and_both_get_the_whole_table(tmp_path):
    both = multiprocessing.get_context("fork").Barrier(2, timeout=30)  # on a busy machine one could be done before the other

    def counted():
        names = []
        both.wait()
        with Sweep(tmp_path, "cheap", "1").active():
            run_study(
                CONDITIONS, SEEDS, lambda name, seed: names.append(name), lambda *_: [{"rate": time.sleep(0.02)}], progress=False
            )
        (tmp_path / "cells" / f"count {os.getpid()}").write_text(str(len(names)))

    workers = [fork(counted) for _ in range(2)]
    for process in workers:
        process.join(30)
        assert process.exitcode == 0
    counts = [int(path.read_text()) for path in (tmp_path / "cells").glob("count *")]
    assert sum(counts) == 24
    assert min(counts) > 0


@posix
def test_the_claim_of_a_killed_process_is_taken_over_and_that_of_a_living_one_is_not(tmp_path):
    Sweep(tmp_path, "cheap", "1")
    process = fork(swept, tmp_path, 60.0)
    while not (claims := list((tmp_path / "claims").iterdir())) or not claims[0].read_text():
        time.sleep(0.01)
    assert not sweeps._ended(claims[0])
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    assert sweeps._ended(claims[0])
    pd.testing.assert_frame_equal(swept(tmp_path), study())


@pytest.mark.parametrize(
    ("owner", "age", "ended"),
    [
        ({"host": "another", "process": 1, "started": ""}, 10.0, False),
        ({"host": "another", "process": 1, "started": ""}, 1000.0, True),
        ({"host": platform.node(), "process": os.getpid(), "started": sweeps._started(os.getpid())}, 10.0, False),
        pytest.param({"host": platform.node(), "process": os.getpid(), "started": "another time"}, 10.0, True, marks=posix),
        (None, 1.0, False),
        (None, 10.0, True),
    ],
)
def test_whether_the_process_of_a_claim_has_ended(tmp_path, owner, age, ended):
    claim = tmp_path / "cell.0"
    claim.write_text("" if owner is None else json.dumps(owner))
    os.utime(claim, (time.time() - age,) * 2)
    assert sweeps._ended(claim) is ended


@pytest.mark.parametrize(
    "content",
    [b"", b'{"rows": [{"mm', b"\0" * 100, b"[]", b'{"rows": 3}', b'{"rows": [3]}', b"\xff", b"[" * 100_000],
    ids=range(8),
)
def test_a_damaged_cell_is_computed_again(tmp_path, content):
    first = swept(tmp_path)
    broken = sorted((tmp_path / "cells").iterdir())[0]
    broken.write_bytes(content)
    pd.testing.assert_frame_equal(swept(tmp_path), first)
    assert json.loads(broken.read_text())["rows"]


@pytest.mark.parametrize(
    "content",
    [
        b"[]", b"3", b"{}", b"\xff\xfe", b'{"host": "a"', b'{"host": "", "process": "b"}', b"[" * 100_000,
        json.dumps({"host": platform.node(), "process": 2**70, "started": ""}).encode(),
    ],
    ids=range(8),
)  # fmt: skip
def test_a_claim_that_is_no_claim_is_that_of_a_process_that_has_ended(tmp_path, content):
    sweep = Sweep(tmp_path, "study", "1", progress=False)
    (tmp_path / "claims" / "k.0").write_bytes(content)
    os.utime(tmp_path / "claims" / "k.0", (0, 0))
    assert sweep.run({"k": lambda: [{"a": 1}]}) == {"k": [{"a": 1}]}
    assert not list((tmp_path / "claims").iterdir())


@pytest.mark.parametrize("name", ["k.0~", "k.swp", "k.0.bak"])
def test_other_files_among_the_claims_are_left_alone(tmp_path, name):
    sweep = Sweep(tmp_path, "study", "1", progress=False)
    (tmp_path / "claims" / name).write_text("x")
    os.utime(tmp_path / "claims" / name, (0, 0))
    assert sweep.run({"k": lambda: [{"a": 1}]}) == {"k": [{"a": 1}]}
    assert [path.name for path in (tmp_path / "claims").iterdir()] == [name]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no such pipes")
def test_pipes_in_the_place_of_a_cell_or_a_claim_do_not_stop_a_sweep(tmp_path):
    sweep = Sweep(tmp_path, "study", "1", progress=False)
    os.mkfifo(tmp_path / "claims" / "k.0")
    os.utime(tmp_path / "claims" / "k.0", (0, 0))
    assert sweep.run({"k": lambda: [{"a": 1}]}) == {"k": [{"a": 1}]}
    os.mkfifo(tmp_path / "cells" / "other.json")
    with pytest.raises(OSError, match="must be a file"):
        sweep.run({"other": lambda: [{"a": 1}]})


def test_an_error_in_a_cell_leaves_no_claim_and_the_cells_before_it(tmp_path):
    def fail(name, seed):
        if (name, seed) == ("b", 1):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), Sweep(tmp_path, "cheap", "1").active():
        run_study(CONDITIONS, SEEDS, fail, lambda *_: [], progress=False)
    assert len(list((tmp_path / "cells").iterdir())) == 4
    assert not list((tmp_path / "claims").iterdir())


@pytest.mark.parametrize(("study", "version"), [("another", "1"), ("cheap", "2")])
def test_a_folder_of_another_study_or_version_is_refused(tmp_path, study, version):
    swept(tmp_path)
    with pytest.raises(ValueError, match=r"folder .* holds the sweep .*'cheap'.*: name another folder"):
        Sweep(tmp_path, study, version)


@pytest.mark.parametrize(
    ("file", "message", "content"),
    [
        ("notes.txt", "holds other files", "mine"), ("sweep.json", "holds the sweep", "mine"),
        ("sweep.json", "holds the sweep", "[" * 100_000),
    ],
    ids=range(3),
)  # fmt: skip
def test_a_folder_of_other_files_is_refused(tmp_path, file, message, content):
    (tmp_path / file).write_text(content)
    with pytest.raises(ValueError, match=message):
        Sweep(tmp_path, "cheap", "1")
    assert [path.name for path in tmp_path.iterdir()] == [file]


def test_a_full_disk_says_what_to_do_and_keeps_the_finished_cells(tmp_path, monkeypatch):
    written, write = [], sweeps.write_file

    def write_some(path, content):
        if len(written) == 5:
            raise OSError(errno.ENOSPC, "No space left on device", str(path))
        written.append(path)
        write(path, content)

    sweep = Sweep(tmp_path, "cheap", "1")
    monkeypatch.setattr(sweeps, "write_file", write_some)
    said = r"No space left on device\. The finished cells stay: make room, and run the same command"
    with pytest.raises(OSError, match=said), sweep.active():
        study()
    assert len(list((tmp_path / "cells").iterdir())) == 5
    assert not list((tmp_path / "claims").iterdir())
    monkeypatch.undo()
    pd.testing.assert_frame_equal(swept(tmp_path), study())


def test_a_model_that_diverges_gives_a_row_that_says_so(tmp_path):
    def train(name, seed):
        if name == "b":
            raise DivergenceError("the loss is not finite")

    def run(**options):
        return run_study(CONDITIONS, [0], train, lambda *_: [{"rate": 1.0}], progress=False, **options)

    with pytest.raises(DivergenceError):
        run()
    with Sweep(tmp_path, "cheap", "1").active():
        frame = run(may_diverge=True)
    assert frame.set_index("condition")["failed"].dropna().to_dict() == {"b": "the loss is not finite"}
    assert frame["rate"].tolist()[::2] == [1.0, 1.0]
    assert frame["rate"].isna().tolist() == [False, True, False]


def test_only_the_process_that_records_writes_a_result_and_it_names_the_commits(tmp_path, monkeypatch):
    monkeypatch.setattr(results, "results_folder", lambda: tmp_path / "results")
    folder = tmp_path / "sweep"
    with Sweep(folder, "cheap", "1", {"commit": "abc"}).active(), pytest.raises(SweepFinished):
        results.record_result("cheap", study(), seeds=SEEDS, settings={})
    assert not (tmp_path / "results").exists()
    with Sweep(folder, "cheap", "1", {"commit": "def"}, records=True).active():
        found = results.record_result("cheap", study(), seeds=SEEDS, settings={})
    assert found.provenance["commits"] == ["abc"]
    assert len(found.frame) == 48


def test_keys_are_names_of_files_and_differ_between_cells():
    abouts = [{"objective": "β=1 / 2", "seed": seed} for seed in (0, 1)] + [{"objective": "x" * 300, "seed": 0}]
    keys = {cell_key(call, about) for call in (1, 2) for about in abouts}
    assert len(keys) == 6
    assert all(len(key) < 90 and key.isascii() and not set(key) & set('/\\:*?"<>| ') for key in keys)


def test_arrays_that_a_study_keeps_are_those_of_the_study_without_a_sweep(tmp_path):
    def keeping(rate=0.5):
        def keep(name, seed, trained):
            return {f"{name}|{seed}|codes": trained, f"{name}|{seed}|image": np.full((2, 3), seed, np.uint8)} if seed else {}

        arrays = {}
        frame = run_study(
            ["a", "b"], [0, 1], lambda name, seed: np.full(4, seed + rate, np.float16), lambda *_: [{"rate": rate}], keep=keep,
            arrays=arrays, progress=False,
        )  # fmt: skip
        return frame, arrays

    alone = keeping()
    for rate in (0.5, 7.0):  # the second time all cells are there: nothing is computed, so the rate is that of the first
        with Sweep(tmp_path, "cheap", "1").active():
            frame, arrays = keeping(rate)
        pd.testing.assert_frame_equal(frame, alone[0])
        assert list(arrays) == ["a|1|codes", "a|1|image", "b|1|codes", "b|1|image"] == list(alone[1])
        for name, array in arrays.items():
            np.testing.assert_array_equal(array, alone[1][name], strict=True)


def test_an_array_of_objects_is_not_kept():  # reading it back would run code
    with pytest.raises(TypeError, match=r"arrays of objects: \['x'\]"):
        run_study(["a"], [0], lambda *_: 0, lambda *_: [], keep=lambda *_: {"x": np.array([{}])}, progress=False)


def test_every_study_that_can_be_swept_has_a_function():
    for module, function, _ in recording.studies().values():
        assert callable(getattr(recording._study_module(module), function))


def test_the_studies_of_a_name_hold_the_one_of_this_name():
    every = recording.studies()
    for name, study in every.items():
        assert recording.studies(name)[name] == study
    assert recording.studies("no such") == {}
    for wrong in ("no such", 3, ["joint_embedding"]):
        with pytest.raises((ValueError, TypeError), match="STUDY must be"):
            recording.work(wrong, "nowhere")


def test_every_recorded_result_can_be_made_by_a_sweep():
    assert set(results.recorded_names()) - set(recording.studies()) == {"scaling"}  # which starts processes itself


def test_the_command_runs_a_real_study_in_two_processes(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(results, "results_folder", lambda: tmp_path / "results")
    assert cli.main(["sweep"]) == 0
    assert "joint_embedding" in capsys.readouterr().out
    assert cli.main(["sweep", "no such"]) == 2
    assert "STUDY must be one of" in capsys.readouterr().err
    assert cli.main(["sweep", "joint_embedding", "--jobs", "0"]) == 2
    folder, train = tmp_path / "swept", joint_embedding.train_embedding
    monkeypatch.setattr(joint_embedding, "train_embedding", partial(train, steps=0))
    monkeypatch.setattr(linear_model, "LogisticRegression", lambda **_: DummyClassifier())
    recording.work("joint_embedding", folder, progress=False)
    cells = sorted((folder / "cells").iterdir())
    kept = {cell: cell.read_bytes() for cell in cells[1:]}
    cells[0].unlink()  # it is left to the command, which trains it
    command = [
        sys.executable,
        "-m",
        "sculptlab.cli",
        "sweep",
        "joint_embedding",
        "--jobs",
        "2",
        "--folder",
        str(folder),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "all cells are done" in done.stdout
    assert sorted((folder / "cells").iterdir()) == cells
    assert len(cells) == 20
    assert {cell: cell.read_bytes() for cell in kept} == kept
