import contextlib
import csv
import re
import subprocess
import zlib

import numpy as np
import pandas as pd
import pytest

from sculptlab.series import results


def test_what_is_written_is_read_back(tmp_path, monkeypatch):
    monkeypatch.setattr(results, "results_folder", lambda: tmp_path / "results")
    frame = pd.DataFrame({"seed": [0, 1], "kl": [0.1, 1.0]})
    arrays = {"codes": np.arange(6, dtype=np.float16).reshape(3, 2)}
    recorded = results.record_result("kl", frame, seeds=[0, 1], settings={"steps": 10}, arrays=arrays)
    assert results.recorded_names() == ["kl"]
    assert recorded.frame.equals(frame)
    assert np.array_equal(recorded.arrays["codes"], arrays["codes"])
    assert recorded.provenance["settings"] == {"steps": 10}
    for fact in ("date", "commit", "machine", "python", "torch"):
        assert recorded.provenance[fact]
    assert "2 seeds (0-1), 2 rows" in str(recorded)


def test_unknown_names_are_listed(tmp_path, monkeypatch):
    monkeypatch.setattr(results, "results_folder", lambda: tmp_path)
    with pytest.raises(ValueError, match="name must be one of"):
        results.read_result("nothing")


ONE_SEED = {"priors_hands_fashion_mnist"}  # shown by a slider; no claim rests on it


def test_every_recorded_result_of_the_project_says_where_it_comes_from():
    assert results.recorded_names()
    for name in results.recorded_names():
        recorded = results.read_result(name)
        assert len(recorded.provenance["seeds"]) >= (1 if name in ONE_SEED else 5)
        assert len(recorded.frame)
        assert "dirty" not in recorded.provenance["commit"]


OLD_WORDS = (
    "floor", "price", "judge", "game", "arm", "knob", "blank", "stray", "holes", "told", "guess", "lens", "bag", "island",
    "alive", "regulariser", "place",
)  # fmt: skip
# row count and CRC-32 of the numbers of each table, and array count and CRC-32 of the arrays, as they were recorded. Columns
# have been renamed and sorted since, and ADDED tables have received the constant column dim.
ADDED = ("curves", "compression", "priors")
TABLES = {
    "ablations_architecture": (45, 2036526849),
    "ablations_architecture_long": (20, 301654411),
    "ablations_cifar10": (230, 1050847293),
    "ablations_fashion_mnist": (90, 2507739458),
    "ablations_fashion_mnist_long": (20, 2288094828),
    "alignment": (224, 24363276),
    "compression_fashion_mnist": (1190, 743419168),
    "copies": (210, 2020597909),
    "curves_cifar10_16": (240, 3519051018),
    "curves_cifar10_64": (120, 2296775803),
    "curves_tiny_imagenet_32": (240, 1247073174),
    "frontier_cifar10_16": (55, 362676467),
    "frontier_cifar10_16_kl": (35, 3320576709),
    "frontier_cifar10_64": (45, 2232101953),
    "frontier_tiny_imagenet_32": (55, 2633345626),
    "frontier_tiny_imagenet_32_kl": (35, 2760994724),
    "kl_failure_digits": (280, 2444253757),
    "kl_failure_fashion_mnist": (280, 4184240946),
    "lps_mixing": (540, 2531932282),
    "lps_models_digits": (80, 2962046260),
    "lps_models_fashion_mnist": (80, 1396845155),
    "lps_sensitivity": (870, 2617268593),
    "lps_sprites": (60, 2763552806),
    "mmd_power": (1120, 1384295751),
    "priors_fashion_mnist": (135, 4249384421),
    "priors_hands_fashion_mnist": (20, 1289139491),
    "priors_topology_fashion_mnist": (45, 760126355),
}
ARRAYS = {
    "kl_failure_digits": (57, 2737082965),
    "kl_failure_fashion_mnist": (57, 3936582803),
    "priors_fashion_mnist": (27, 3524045678),
    "priors_hands_fashion_mnist": (41, 3001962289),
}


def numbers(row):
    for cell in row.values():
        with contextlib.suppress(ValueError):
            float(cell)
            yield cell


@pytest.mark.parametrize("name", results.recorded_names())
def test_recorded_columns_are_described_and_in_order(name):
    frame = results.read_result(name).frame
    assert [column for column in frame if results.base_column(column) not in results.COLUMNS] == []
    assert list(results.order_columns(frame)) == list(frame)


@pytest.mark.parametrize("name", results.recorded_names())
def test_recorded_results_use_the_words_of_the_field(name):
    recorded = results.read_result(name)
    text = recorded.frame.select_dtypes(exclude="number").fillna("").astype(str).to_numpy().ravel()
    words = {*recorded.frame, *text, *recorded.arrays, *_keys(recorded.provenance["settings"])}
    found = {word for text in words for word in re.findall("[a-z]+", text.lower()) if word.rstrip("s") in OLD_WORDS}
    assert found == set()


def _keys(settings):
    for key, value in settings.items():
        yield key
        yield from _keys(value) if isinstance(value, dict) else ()


@pytest.mark.parametrize("name", TABLES)
def test_recorded_numbers_are_those_that_were_measured(name):
    with (results.results_folder() / f"{name}.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    if name.startswith(ADDED):
        assert len({row.pop("dim") for row in rows}) == 1
    lines = [" ".join(sorted(numbers(row))) for row in rows]
    assert (len(rows), zlib.crc32("\n".join(lines).encode())) == TABLES[name]


@pytest.mark.parametrize("name", ARRAYS)
def test_recorded_arrays_are_those_that_were_measured(name):
    arrays = results.read_result(name).arrays
    assert (len(arrays), zlib.crc32(b"".join(array.tobytes() for array in arrays.values()))) == ARRAYS[name]


def test_undescribed_columns_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(results, "results_folder", lambda: tmp_path)
    with pytest.raises(ValueError, match=r"columns of results.COLUMNS only, got \['price'\]"):
        results.record_result("new", pd.DataFrame({"seed": [0], "price": [1.0]}), seeds=[0], settings={})


def test_columns_at_chance_level_follow_their_own_column():
    frame = pd.DataFrame([[0] * 6], columns=["own", "chance_c2st", "c2st", "aligned x", "seed", "data"])
    assert list(results.order_columns(frame)) == ["data", "seed", "chance_c2st", "c2st", "aligned x", "own"]


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
    assert not results.commit().endswith("dirty")
    (tmp_path / "sculptlab/code.py").write_text("2")
    assert results.commit().endswith("-dirty")
