"""Full disks, kills and odd targets: a file is the old one or the new one in full, and errors name it."""

import contextlib
import errno
import os
import resource
import signal
import subprocess
import sys
import time
import zlib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

import sculptlab as sl
from sculptlab import files
from sculptlab.files import replacing, writable_path, write_file
from sculptlab.plots.style import Picture
from sculptlab.series import results
from sculptlab.training import trainer
from sculptlab.training.objectives import Reconstruction

DATA = torch.rand(40, 1, 3, 3, generator=torch.Generator().manual_seed(0))
QUICK = {"steps": 4, "batch_size": 16, "device": "cpu", "progress": False}


def make():
    return sl.build_autoencoder("mlp", image_shape=(1, 3, 3), dim=2, width=8)


@contextlib.contextmanager
def room_for(size):
    """Let no file of this process grow beyond `size` bytes, as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_full_disk_leaves_the_old_file_and_names_it(tmp_path):
    path = tmp_path / "a"
    write_file(path, "old")
    with room_for(1000), pytest.raises(OSError, match=r"File too large; what was there before stays: .*a'"):
        write_file(path, b"n" * 10_000)
    assert path.read_text() == "old"
    assert names(tmp_path) == ["a"]


def test_after_training_a_full_disk_is_warned_of_and_the_run_is_returned(tmp_path):
    path = tmp_path / "a.pt"
    sl.fit(make(), DATA, Reconstruction(), **QUICK | {"scheduler": "constant"}, checkpoint=path)
    before = path.read_bytes()
    with room_for(1000), pytest.warns(UserWarning, match=r"checkpoint '.*a\.pt' of step 9 could not be written .*File too large"):
        run = sl.fit(make(), DATA, Reconstruction(), **QUICK | {"steps": 9, "scheduler": "constant"}, checkpoint=path)
    assert (run.steps, run.stopped) == (9, None)
    assert path.read_bytes() == before
    with room_for(1000), pytest.raises(OSError, match=r"File too large; .*run'"):
        run.save(tmp_path / "run")
    with room_for(1000), pytest.raises(OSError, match=r"File too large; .*figure\.png'"):
        Picture().savefig(tmp_path / "figure.png")
    assert not [name for name in names(tmp_path) if "part" in name or name in ("run", "figure.png")]
    run.save(tmp_path / "run")


@pytest.mark.parametrize("fault", [RuntimeError("unexpected pos"), MemoryError(), AttributeError("Can't pickle")])
def test_training_does_not_die_of_a_save_that_fails(tmp_path, monkeypatch, fault):
    def fails(*given, **options):
        raise fault

    monkeypatch.setattr(trainer, "save_checkpoint", fails)
    with pytest.warns(UserWarning, match=rf"could not be written \({type(fault).__name__}"):
        assert sl.fit(make(), DATA, Reconstruction(), **QUICK, checkpoint=tmp_path / "a.pt").steps == 4


@pytest.mark.parametrize("length", [250, 255, 300, 5000])
def test_a_long_name_is_refused_before_the_first_step_or_works(tmp_path, length):
    steps = []
    with pytest.raises(ValueError, match=r"checkpoint '.* cannot be written: .*File name too long"):
        sl.fit(make(), DATA, Reconstruction(), **QUICK, checkpoint=tmp_path / ("n" * length), callbacks=steps.append)
    assert not steps
    run = sl.fit(make(), DATA, Reconstruction(), **QUICK)
    if length <= 255:
        assert sl.load_run(run.save(tmp_path / ("n" * length)), device="cpu").steps == 4
    else:
        with pytest.raises(ValueError, match=r"path '.* cannot be written"):
            run.save(tmp_path / ("n" * length))


def test_what_is_no_file_is_refused_and_left_alone(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    for given in (tmp_path / "pipe", tmp_path / "folder", tmp_path / "loop", Path("/dev/null"), "a\0b"):
        with pytest.raises(ValueError, match=r"checkpoint .* cannot be written"):
            writable_path("checkpoint", given)
    for given in (tmp_path / "pipe", Path("/dev/null")):
        with pytest.raises(OSError, match="must be a file"):
            write_file(given, "x")
    assert (tmp_path / "pipe").is_fifo()


def test_a_link_stays_a_link_and_the_mode_stays(tmp_path):
    (tmp_path / "disk").mkdir()
    (tmp_path / "disk" / "real").write_text("old")
    (tmp_path / "disk" / "real").chmod(0o600)
    (tmp_path / "link").symlink_to(tmp_path / "disk" / "real")
    (tmp_path / "new").symlink_to(tmp_path / "disk" / "other")
    for name in ("link", "new"):
        write_file(writable_path("path", tmp_path / name), "written")
        assert (tmp_path / name).is_symlink()
    assert (tmp_path / "disk" / "real").read_text() == (tmp_path / "disk" / "other").read_text() == "written"
    assert (tmp_path / "disk" / "real").stat().st_mode & 0o777 == 0o600


def test_parts_of_killed_processes_are_removed_and_those_of_others_stay(tmp_path):
    path, code = tmp_path / "a[1].pt", "import os, sys; from sculptlab.files import replacing; from pathlib import Path\n"
    code += "with replacing(Path(sys.argv[1])) as part: part.write_text('half'); os.kill(os.getpid(), 9)"
    killed = subprocess.run([sys.executable, "-c", code, str(path)], check=False)
    assert killed.returncode == -signal.SIGKILL
    (left,) = tmp_path.iterdir()
    running, elsewhere = (left.with_name(left.name.replace(*change)) for change in (
        (left.name.rsplit(".", 2)[1], f"{os.getppid()}-1"), (left.name.rsplit(".", 3)[1], "00000000"),
    ))  # fmt: skip
    old = left.with_name(left.name.replace(left.name.rsplit(".", 3)[1], "11111111"))
    for part in (running, elsewhere, old):
        part.write_text("half")
    os.utime(old, (time.time() - 90_000,) * 2)
    write_file(path, "whole")
    assert names(tmp_path) == sorted([running.name, elsewhere.name, path.name])


@pytest.mark.parametrize("links", [True, False])
def test_a_new_file_leaves_one_that_is_there(tmp_path, monkeypatch, links):
    def refuse(*_):
        raise PermissionError(errno.EPERM, "Operation not permitted")  # of a file system without hard links

    if not links:
        monkeypatch.setattr(files.os, "link", refuse)
    files.write_file(tmp_path / "a", "first", new=True)
    assert (tmp_path / "a").read_text() == "first"
    if links:
        with pytest.raises(FileExistsError, match="what was there before stays"):
            files.write_file(tmp_path / "a", "second", new=True)
        assert (tmp_path / "a").read_text() == "first"
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_the_content_is_on_the_disk_before_it_is_moved_into_place(tmp_path, monkeypatch):
    done = []
    for name in ("fsync", "replace"):
        real = getattr(os, name)
        monkeypatch.setattr(os, name, lambda *given, real=real, name=name: (done.append(name), real(*given))[1])
    with replacing(tmp_path / "a") as part:
        part.write_text("x")
    assert done == ["fsync", "replace", "fsync"]  # of the file, and of the folder


@pytest.mark.parametrize("fault", [KeyboardInterrupt, OSError(28, "No space left on device")], ids=["ended", "full disk"])
def test_a_record_is_the_old_one_or_the_new_one_whatever_ends_its_writing(tmp_path, monkeypatch, fault):
    monkeypatch.setattr(results, "results_folder", lambda: tmp_path)

    def record(seed, steps):
        frame = pd.DataFrame({"seed": [seed], "kl": [0.5]})
        return results.record_result("one", frame, seeds=[seed], settings={"steps": steps}, arrays={"z": np.full(3, seed)})

    record(0, 10)
    finished = 0
    for moment in range(40):
        with monkeypatch.context() as patch, contextlib.suppress(KeyboardInterrupt, OSError):
            calls = iter(range(1000))
            for owner, name in ((os, "replace"), (os, "fsync"), (Path, "write_bytes"), (os, "open")):
                real = getattr(owner, name)

                def run(*given, real=real, calls=calls, moment=moment):
                    if next(calls) // 2 == moment // 2:  # and once more, on the way out
                        if moment % 2:
                            real(*given)
                        raise fault
                    return real(*given)

                patch.setattr(owner, name, run)
            record(moment + 1, moment + 1)
            finished += 1
        read = results.read_result("one")
        seed = read.frame["seed"][0]
        assert seed == read.provenance["seeds"][0] == read.arrays["z"][0]
        assert read.provenance["settings"]["steps"] == seed or (seed, read.provenance["settings"]["steps"]) == (0, 10)
    assert 0 < finished < 30


def test_a_record_that_was_changed_by_hand_is_refused_but_not_for_its_line_ends(tmp_path, monkeypatch):
    monkeypatch.setattr(results, "results_folder", lambda: tmp_path)
    results.record_result("one", pd.DataFrame({"seed": [0], "kl": [0.5]}), seeds=[0], settings={})
    path = tmp_path / "one.csv"
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    assert results.read_result("one").frame["kl"][0] == 0.5
    path.write_bytes(path.read_bytes().replace(b"0.5", b"0.6"))
    with pytest.raises(ValueError, match=r"one\.csv is damaged, or was changed after it was recorded"):
        results.read_result("one")
    with pytest.raises(ValueError, match="name must consist of letters, digits and underscores"):
        results.record_result("../x", pd.DataFrame({"seed": [0]}), seeds=[0], settings={})


def test_no_other_function_of_the_package_opens_a_file_for_writing():
    writes = (
        ".write_text(", ".write_bytes(", '"w"', '"wb"', ".to_csv(", "np.save(", "np.savez", "torch.save(", ".savefig(",
        "copyfile(",
    )  # fmt: skip
    allowed = {
        "files.py": 1,  # write_file
        "data/downloads.py": 1,  # to a part, of a fixed name
        "data/readers.py": 3,  # to a temporary folder, and to a part
        "series/site/building.py": 4,  # to a new folder
        "series/results.py": 2, "series/studies/runner.py": 1,  # to memory
        "training/checkpoints.py": 1, "training/objectives/regularizer.py": 1,  # to memory
        "plots/style.py": 3,  # to memory, or to a file that the caller has opened
    }  # fmt: skip
    room = Path(files.__file__).parent
    texts = {path.relative_to(room).as_posix(): path.read_text(encoding="utf-8") for path in room.rglob("*.py")}
    found = {name: sum(map(text.count, writes)) for name, text in texts.items()}
    assert {name: count for name, count in found.items() if count} == allowed


def test_the_lock_of_a_checkpoint_refuses_a_second_training(tmp_path):
    path, seen = tmp_path / "a.pt", []

    def second(record):
        with pytest.raises(ValueError, match=r"checkpoint '.*a\.pt' is being written by another training: name another file"):
            sl.fit(make(), DATA, Reconstruction(), **QUICK, checkpoint=path)
        code = "import sculptlab as sl, torch, sys; from pathlib import Path; from sculptlab.training.checkpoints import locked\n"
        code += "with locked(Path(sys.argv[1])): pass"
        seen.append(subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=False).stderr)
        return True

    sl.fit(make(), DATA, Reconstruction(), **QUICK | {"scheduler": "constant"}, checkpoint=path, callbacks=second)
    assert "is being written by another training" in seen[0]
    assert sl.fit(make(), DATA, Reconstruction(), **QUICK | {"scheduler": "constant"}, checkpoint=path).steps == 4
    assert zlib.crc32(path.read_bytes())
