"""Everything that must hold: lint, format, types, layers, tests with the notebooks, benchmarks.

python -m tests                     all of it
python -m tests tests/unit/mmd      the same checks, these tests alone; further arguments go to pytest
"""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
CHECKS = {
    "lint": ["-m", "ruff", "check", "."],
    "format": ["-m", "ruff", "format", "--check", "."],
    "types": ["-m", "mypy"],
    "layers": ["-c", "from importlinter.cli import lint_imports_command; lint_imports_command()"],
}


def run(arguments, **options):
    """This interpreter with these arguments in the repository's root."""
    environment = {"OMP_NUM_THREADS": "1", **os.environ}  # pytest runs one process per core: more threads only slow it down
    return subprocess.run([sys.executable, *arguments], cwd=ROOT, env=environment, **options)


def main(arguments):
    """Run the checks, two at a time, then pytest; the benchmarks only where nothing else was asked for. Return the exit code."""
    checks = CHECKS if arguments else {**CHECKS, "benchmarks": ["-m", "tests.benchmarks"]}
    captured = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    failed = []
    with ThreadPoolExecutor(2) as pool:
        for name, done in zip(checks, pool.map(lambda command: run(command, **captured), checks.values()), strict=True):
            print(f"== {name}\n{done.stdout}", end="", flush=True)
            failed += [name] if done.returncode else []
    print("== tests", flush=True)
    failed += ["tests"] if run(["-m", "pytest", *arguments]).returncode else []
    for name in failed:
        print(f"{name} failed", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
