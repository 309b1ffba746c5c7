import subprocess

import numpy as np
import pandas as pd
import pytest

from sculptlab.series import results


def test_what_is_written_is_read_back(tmp_path, monkeypatch):
    monkeypatch.setattr(results, "folder", lambda: tmp_path / "results")
    frame = pd.DataFrame({"beta": [0.1, 1.0], "seed": [0, 1]})
    arrays = {"codes": np.arange(6, dtype=np.float16).reshape(3, 2)}
    recorded = results.write("kl", frame, seeds=[0, 1], settings={"steps": 10}, arrays=arrays)
    assert results.names() == ["kl"]
    assert recorded.frame.equals(frame)
    assert np.array_equal(recorded.arrays["codes"], arrays["codes"])
    assert recorded.provenance["settings"] == {"steps": 10}
    for fact in ("date", "commit", "machine", "python", "torch"):
        assert recorded.provenance[fact]
    assert "2 seeds (0-1), 2 rows" in str(recorded)


def test_unknown_names_are_listed(tmp_path, monkeypatch):
    monkeypatch.setattr(results, "folder", lambda: tmp_path)
    with pytest.raises(ValueError, match="name must be one of"):
        results.read("nothing")


PICTURES = {"priors_hands_fashion_mnist"}  # what a slider shows: one seed a setting, and no claim rests on it


def test_every_recorded_result_of_the_project_says_where_it_comes_from():
    assert results.names()
    for name in results.names():
        recorded = results.read(name)
        assert len(recorded.provenance["seeds"]) >= (1 if name in PICTURES else 5)
        assert len(recorded.frame)
        assert "dirty" not in recorded.provenance["commit"]


def test_a_study_that_rewrites_its_result_does_not_make_its_commit_dirty(monkeypatch, tmp_path):
    def git(*words):
        subprocess.run(
            ["git", "-c", "user.name=a", "-c", "user.email=a@b", *words], cwd=tmp_path, check=True, capture_output=True
        )

    for file in ("sculptlab/code.py", "data/results/one.csv"):
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).write_text("1")
    git("init"), git("add", "."), git("commit", "-m", "one")
    monkeypatch.setattr(results, "PACKAGE", tmp_path / "sculptlab")
    (tmp_path / "data/results/one.csv").write_text("2")
    assert not results._commit().endswith("dirty")
    (tmp_path / "sculptlab/code.py").write_text("2")
    assert results._commit().endswith("-dirty")
