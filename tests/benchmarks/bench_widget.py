"""The kernel's side of the widgets: the sliders of pages 01 and 02 against their aims, and the frames of the Sculptor.

    python tests/benchmarks/bench_widget.py

The sliders of page 01 aim at 100 ms for a setting drawn for the first time, those of page 02 at 300 ms, on a free core. A frame
of the Sculptor, sent at most 16 times a second, should not cost more than a few of the training steps between two frames.
"""

import itertools
import statistics
import time
from collections.abc import Callable, Mapping
from typing import Any

import sculptlab as sl
from sculptlab.live.engine import Engine
from sculptlab.live.frames import frame_message
from sculptlab.live.targets import EXTENT
from sculptlab.series.figures import kl_failure as study_plots
from sculptlab.series.figures import scores as score_plots
from sculptlab.series.studies import kl_failure as studies
from sculptlab.series.studies import scores as score_studies
from sculptlab.threads import one_thread


def milliseconds(browser: sl.series.browser.Browser, settings: Mapping[str, Any]) -> float:
    started = time.perf_counter()
    browser.show(**settings)
    return 1000 * (time.perf_counter() - started)


def page_01() -> tuple[dict[str, list], Callable]:
    recorded = {name: sl.series.results.read_result(f"kl_failure_{name}") for name in ("fashion_mnist", "digits")}
    panels = {(name, dim): study_plots.CodesPanel(recorded[name], dim=dim) for name in recorded for dim in (2, 10)}
    controls = {"data": list(recorded), "latents": [2, 10], "β": list(studies.BETAS)}
    return controls, lambda at: panels[at["data"], at["latents"]].png(at["β"])


def page_02() -> tuple[dict[str, list], Callable]:
    controls = {
        "source": ["uniform", "gaussian", "laplace"],
        "angle": list(score_studies.ANGLES),
        "bend": list(score_studies.BENDS),
    }
    return controls, score_plots.MixingPanel(sl.series.results.read_result("lps_mixing").frame, n=1000)


def frame_against_step(frames: int = 20, steps: int = 100) -> float:
    """How many training steps of the Sculptor cost as much as one of its frames."""
    engine = Engine()
    engine.run(20)
    started = time.perf_counter()
    for _ in range(steps):
        engine.advance()
    step = (time.perf_counter() - started) / steps
    started = time.perf_counter()
    for _ in range(frames):
        frame_message(engine, {"lane": "mmd", "at": [0.0, 0.0]}, EXTENT, settled=True)
    return (time.perf_counter() - started) / frames / step


def main() -> list[tuple[str, float]]:
    """Rows (name, ratio)."""
    rows = []
    for page, aim in ((page_01, 100), (page_02, 300)):
        controls, draw = page()
        browser = sl.series.browser.Browser(controls, draw)
        settings = [dict(zip(controls, values, strict=True)) for values in itertools.product(*controls.values())][1::4]
        times = [milliseconds(browser, at) for at in settings]
        rows.append((f"{page.__name__}: a setting drawn for the first time / {aim} ms", statistics.median(times) / aim))
        again = [milliseconds(browser, at) for at in settings]
        rows.append((f"{page.__name__}: a setting shown again / {aim} ms", statistics.median(again) / aim))
    with one_thread():
        rows.append(("Sculptor: a frame / a training step", frame_against_step()))
    return rows


if __name__ == "__main__":
    for name, ratio in main():
        print(f"{ratio:8.3f}  {name}")
