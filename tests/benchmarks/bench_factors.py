"""Scores against known factors: the cost of ceiling and chance level, and the information estimate against scikit-learn's."""

import time

import numpy as np
from sklearn.feature_selection import mutual_info_classif

from sculptlab import factors as scores
from sculptlab.factors.information import neighbor_information


def seconds(call):
    started = time.process_time()
    call()
    return time.process_time() - started


def main(n=1500):
    """Rows (name, ratio): with baselines over without, and scikit-learn's time over ours."""
    rng = np.random.default_rng(0)
    factors = np.stack([rng.integers(0, count, n) for count in (3, 6, 8, 8)], axis=1)
    perfect = (factors - factors.mean(0)) / factors.std(0)
    codes = np.concatenate([perfect, rng.normal(size=perfect.shape)], axis=1) + 0.1 * rng.normal(size=(n, 8))
    votes = {"train_votes": 1000, "test_votes": 500}
    calls = {
        "mig": {},
        "sap": {"kind": "continuous"},
        "factor_vae": votes,
        "beta_vae": votes,
        "modularity": {},
        "info_mec": {},
        "dci": {"estimator": "forest"},
    }
    rows = []
    for name, options in calls.items():
        without, with_both = (
            seconds(lambda on=on, name=name, options=options: getattr(scores, name)(codes, factors, baselines=on, **options))
            for on in (False, True)
        )
        rows.append((f"{name}, {n} rows: with ceiling and chance level / without", with_both / without))
    standard = codes / codes.std(0)
    ours = seconds(lambda: neighbor_information(standard, factors, 0))
    theirs = seconds(lambda: [mutual_info_classif(standard, column, n_neighbors=10) for column in factors.T])
    rows.append((f"nearest-neighbor information, {n} rows: scikit-learn / ours", theirs / ours))
    return rows


if __name__ == "__main__":
    for name, ratio in main():
        print(f"{ratio:8.2f}  {name}")
