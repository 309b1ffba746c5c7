"""How long the sliders of pages 01 and 02 take to answer: every setting drawn for the first time, then shown again.

    python tests/benchmarks/bench_widget.py

Times are of the kernel's side (draw, PNG, hand over to the widget); the pages aim at 100 ms and 300 ms.
"""

import itertools
import statistics
import time
from collections.abc import Callable, Mapping
from typing import Any

import sculptlab as sl
from sculptlab.series.figures import kl_failure as study_plots
from sculptlab.series.figures import scores as score_plots
from sculptlab.series.studies import kl_failure as studies
from sculptlab.series.studies import scores as score_studies


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


def main() -> None:
    for page in (page_01, page_02):
        started = time.perf_counter()
        controls, draw = page()
        print(f"{page.__name__}: backgrounds drawn once: {1000 * (time.perf_counter() - started):.0f} ms")
        browser = sl.series.browser.Browser(controls, draw)
        settings = [dict(zip(controls, values, strict=True)) for values in itertools.product(*controls.values())][1:]
        for words in ("drawn for the first time", "shown again"):
            times = [milliseconds(browser, at) for at in settings]
            print(f"  {words}: median {statistics.median(times):.0f} ms, slowest {max(times):.0f} ms of {len(times)} settings")


if __name__ == "__main__":
    main()
