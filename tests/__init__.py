"""Tests: `python -m tests` runs lint, types, layers, all tests and the benchmarks."""
