"""How long the slider of page 01 takes to answer: every setting drawn for the first time, then shown again.

    python tests/benchmarks/bench_widget.py

Times are of the kernel's side (draw, PNG, hand over to the widget); the page aims at 100 ms.
"""

import itertools
import statistics
import time

import sculptlab as sl
from sculptlab import studies, study_plots

RECORDED = {name: sl.results.read(f"kl_failure_{name}") for name in ("fashion_mnist", "digits")}
CONTROLS = {"data": list(RECORDED), "latents": [2, 10], "β": list(studies.BETAS)}


def milliseconds(browser: sl.widgets.Browser, values: tuple) -> float:
    started = time.perf_counter()
    browser.show(**dict(zip(CONTROLS, values, strict=True)))
    return 1000 * (time.perf_counter() - started)


def main() -> None:
    started = time.perf_counter()
    panels = {(name, dim): study_plots.CodesPanel(RECORDED[name], dim=dim) for name in RECORDED for dim in (2, 10)}
    print(f"backgrounds drawn once: {1000 * (time.perf_counter() - started):.0f} ms")
    browser = sl.widgets.Browser(CONTROLS, lambda at: panels[at["data"], at["latents"]].png(at["β"]))
    settings = list(itertools.product(*CONTROLS.values()))[1:]
    for words in ("drawn for the first time", "shown again"):
        times = [milliseconds(browser, values) for values in settings]
        print(f"{words}: median {statistics.median(times):.0f} ms, slowest {max(times):.0f} ms of {len(times)} settings")


if __name__ == "__main__":
    main()
