"""Benchmarks: `python -m tests.benchmarks` runs the quick ones and prints a table of ratios; nothing is asserted."""
