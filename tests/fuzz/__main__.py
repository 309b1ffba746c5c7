"""python -m tests.fuzz [PATH ...] [--calls N] [--seed S]: N hostile calls of each public name, and all faults."""

import argparse
import collections
import contextlib
import tempfile
import time

from tests.fuzz.calling import fault, within
from tests.fuzz.calls import VALID


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("paths", nargs="*", help="beginnings of names; by default all")
    parser.add_argument("--calls", type=int, default=14)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    spent, faults, calls = collections.Counter(), 0, 0
    for path in VALID:
        if options.paths and not path.startswith(tuple(options.paths)):
            continue
        for k in range(options.calls):
            started = time.process_time()
            within(30)
            found = fault(path, options.seed + k)
            within(0)
            spent[path] += time.process_time() - started
            calls += 1
            if found:
                faults += 1
                print(f"{options.seed + k}: {found}", flush=True)
    print(f"{calls} calls, {faults} faults, {sum(spent.values()):.0f} s of CPU; the longest: {spent.most_common(12)}")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):  # some of the paths that are tried can be written to
        main()
