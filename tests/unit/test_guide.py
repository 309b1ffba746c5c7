"""The examples of README.md and GUIDE.md run as they stand, with fewer steps, permutations, rows and columns."""

import re
from pathlib import Path

import matplotlib.pyplot as plt
import pytest
import torch
from PIL import Image

import sculptlab as sl

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = [
    pytest.param(block, id=f"{name}-{number}")
    for name in ("README.md", "GUIDE.md")
    for number, block in enumerate(re.findall(r"```python\n(.*?)```", (ROOT / name).read_text(encoding="utf-8"), re.DOTALL), 1)
]
FEWER = [
    (r"\bsteps=\d+", "steps=5"),
    (r"\bepochs=\d+", "epochs=1"),
    (r"train_more\(\d+", "train_more(5"),
    (r"n_components=2", "n_components=2, max_iter=5"),
    (r"Reshaper\((?=.)", "Reshaper(max_iter=5, prior="),
    (r"\.reshape\((sl\.priors\.\w+\(\))", r".reshape(\1, max_iter=5"),
    (r"\bsl\.lps\(", "sl.lps(permutations=1, z="),
    (r'\bsl\.load\("digits"\)', 'sl.load("digits", n=400)'),
    (r"\b1200\b", "200"),
    (r"\bload_digits\(\)", "load_digits(n_class=2)"),
    (r"\bPCA\(8,", "PCA(3,"),
    (r"\brange\(3\)", "range(1)"),
]


@pytest.mark.filterwarnings("ignore")  # of models that have hardly been trained
@pytest.mark.parametrize("block", EXAMPLES)
def test_an_example_runs(block, tmp_path, monkeypatch):
    (tmp_path / "photos").mkdir()
    for number, pixels in enumerate(sl.load("patches", n=8, dtype="uint8").images):
        Image.fromarray(pixels.permute(1, 2, 0).numpy()).save(tmp_path / "photos" / f"{number}.png")
    monkeypatch.chdir(tmp_path)
    for pattern, replacement in FEWER:
        block = re.sub(pattern, replacement, block)
    with torch.random.fork_rng():
        exec(block, {})
    plt.close("all")


def test_every_pattern_still_shortens_an_example():
    blocks = "".join(example.values[0] for example in EXAMPLES)
    assert [pattern for pattern, _ in FEWER if not re.search(pattern, blocks)] == []


def test_there_are_examples_for_every_reader():
    names = [str(example.id) for example in EXAMPLES]
    assert sum(name.startswith("README") for name in names) >= 3
    assert sum(name.startswith("GUIDE") for name in names) >= 7
