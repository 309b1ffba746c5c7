"""Hostile arguments for every public name: `python -m tests.fuzz --calls 20000 --seed 7` by hand, tests/unit/test_fuzz.py in CI."""
