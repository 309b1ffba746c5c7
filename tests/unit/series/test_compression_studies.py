"""The compression study: every objective and rule for levels, equal rates by a line in log error"""

import numpy as np
import pandas as pd
import pytest

from sculptlab.evaluation.compression import LEVELS
from sculptlab.priors import Uniform
from sculptlab.series.studies import compression as compression_studies
from sculptlab.series.studies.compression import at_rates, compression_objectives, compression_study
from sculptlab.series.studies.settings import PreparedImages, Setting
from sculptlab.training.objectives import KL

TINY = Setting("digits", 3, components=20, steps=20, width=16, betas=(0.01, 0.1))


@pytest.fixture(scope="module")
def frame():
    return compression_study(PreparedImages.of(TINY), [0, 1], bits=(1, 3, 5), trained_bits=(1, 2), progress=False)


def curve(condition, levels, rates, errors, seed=0):
    return pd.DataFrame({"condition": condition, "levels": levels, "seed": seed, "coded": rates, "nominal": rates, "mse": errors})


def test_every_objective_is_quantized_by_all_levels_and_only_the_uniform_one_by_its_box(frame):
    plain = frame[~frame["condition"].str.contains("aware")]
    assert (
        set(plain["condition"])
        == set(compression_objectives(3, (0.01, 0.1)))
        == {"uniform", "gaussian", "beta 0.01", "beta 0.1", "predictability", "no regularizer"}
    )
    for name, rows in plain.groupby("condition"):
        assert set(rows["levels"]) == set(LEVELS if name == "uniform" else LEVELS[1:])
    assert len(plain) == 2 * 3 * (5 + 4 * 5)
    aware = frame[frame["condition"].str.contains("aware")]
    assert set(aware["levels"]) == {"box"}
    assert len(aware) == 2 * 2 * 2


def test_errors_count_what_the_components_lose_and_rates_are_real(frame):
    prepared = PreparedImages.of(TINY)
    assert (frame["mse"] > prepared.lost).all()
    assert (frame["coded"] > frame["stream"]).all()
    assert (frame["stream"] > frame["entropy"] - 0.05).all()  # frequencies of training codes cost a little more
    fixed = frame[frame["levels"] != "step"]
    assert np.allclose(fixed["nominal"], 3 * fixed["bits"])


def test_objectives_differ_in_the_prior_alone():
    goals = compression_objectives(4, (0.1,))
    assert goals["uniform"].prior_for(4) == Uniform(4)
    assert repr(goals["uniform"]).replace("Uniform(dim=4, low=-1.7320508075688772, high=1.7320508075688772)", "P") == repr(
        goals["gaussian"]
    ).replace("Gaussian(dim=4)", "P")
    assert repr(goals["beta 0.1"]) == repr(KL(beta=0.1))


def test_equal_rates_lie_on_the_line_of_log_error():
    found = at_rates(curve("no regularizer", "range", [10, 30], [1.0, 0.01]), [5, 10, 20, 40])
    assert found["rate"].tolist() == [10, 20]  # nothing is made up outside
    assert found["mse"].tolist() == pytest.approx([1.0, 0.1])


def test_every_condition_takes_its_best_curve_and_betas_are_one_condition():
    rows = pd.concat(
        [
            curve("beta 0.1", "range", [0, 40], [1.0, 1.0]),
            curve("beta 1", "lloyd", [0, 40], [0.5, 2.0]),
            curve("beta 1", "step", [0, 40], [0.25, 4.0]),
        ]
    )
    assert at_rates(rows, [0, 20, 40])["curve"].tolist() == ["beta 1, step", "beta 0.1, range", "beta 0.1, range"]
    assert at_rates(rows, [0], rate="nominal")["curve"].tolist() == ["beta 1, lloyd"]  # "step" is meant for a coder
    with pytest.raises(ValueError, match="rate must be one of"):
        at_rates(rows, rate="bits")


def test_a_recording_names_its_setting(monkeypatch, tmp_path):
    monkeypatch.setattr(compression_studies, "COMPRESSIONS", {"tiny": TINY})
    monkeypatch.setattr("sculptlab.series.results.results_folder", lambda: tmp_path)
    monkeypatch.setattr(compression_studies, "compression_study", lambda *_, **bits: curve("uniform", "range", [1], [1.0]))
    recorded = compression_studies.record_compression("tiny", [0])
    assert recorded.provenance["settings"]["dim"] == 3
    assert recorded.provenance["settings"]["trained_bits"] == [1, 2, 3]
    assert len(recorded.frame) == 1
    with pytest.raises(ValueError, match="name must be one of"):
        compression_studies.record_compression("cifar10")
