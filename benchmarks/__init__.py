"""Measurements of slmkit, one script a part; `python -m benchmarks` runs them all.

Each prints a table and writes `benchmarks/results/NAME.json`.
"""
