import numpy as np
import pandas as pd
import pytest

from sculptlab import results


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


def test_every_recorded_result_of_the_project_says_where_it_comes_from():
    assert results.names()
    for name in results.names():
        recorded = results.read(name)
        assert len(recorded.provenance["seeds"]) >= 5
        assert len(recorded.frame)
        assert "dirty" not in recorded.provenance["commit"]
