"""Run every quick benchmark and print one table of ratios, each measured within this run. No time is asserted.

Each module here with a function `main` that returns rows (name, ratio) takes part. The others are run by hand.
"""

import time
from importlib import import_module
from pkgutil import iter_modules

from tests import benchmarks


def main():
    """Print the table: what was compared, and how many times as fast (or as slow) the first was."""
    for module in sorted(module.name for module in iter_modules(benchmarks.__path__)):
        if not module.startswith("bench_"):
            continue
        run = getattr(import_module(f"tests.benchmarks.{module}"), "main", None)
        if run is None:
            continue
        started = time.perf_counter()
        for name, ratio in run():
            print(f"{module.removeprefix('bench_'):12s} {name:70s} {ratio:8.2f}", flush=True)
        print(f"{module.removeprefix('bench_'):12s} took {time.perf_counter() - started:.0f} s", flush=True)


if __name__ == "__main__":
    main()
