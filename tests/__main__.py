"""Everything that must hold: lint, format, types, layers, tests with the notebooks, benchmarks.

python -m tests                     all of it
python -m tests tests/unit/mmd      the same checks, these tests alone; further arguments go to pytest
"""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
CHECKS = {
    "lint": ["-m", "ruff", "check", "."],
    "format": ["-m", "ruff", "format", "--check", "."],
    "types": ["-m", "mypy"],
    "layers": ["-c", "from importlinter.cli import lint_imports_command; lint_imports_command()"],
}


def passes(name, *arguments):
    """Run this interpreter with these arguments in the repository's root; say what failed."""
    print(f"== {name}", flush=True)
    environment = {"OMP_NUM_THREADS": "1", **os.environ}  # pytest runs one process per core: more threads only slow it down
    passed = subprocess.run([sys.executable, *arguments], cwd=ROOT, env=environment).returncode == 0
    if not passed:
        print(f"{name} failed", flush=True)
    return passed


def main(arguments):
    """Run every check, then pytest; the benchmarks only where nothing else was asked for. Return the exit code."""
    results = [passes(name, *command) for name, command in CHECKS.items()]
    if not arguments:
        results.append(passes("benchmarks", "-m", "tests.benchmarks"))
    results.append(passes("tests", "-m", "pytest", *arguments))
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
