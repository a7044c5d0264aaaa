"""Benchmarks of speed and memory, one script per subject: `make bench` runs them.

Every script prints a table and stores it under `reports/benchmarks/`, from which
`reports/benchmarks.md` is written. Where there is a naive implementation, the two run in
alternation: seconds depend on the machine, their ratio depends less on it.
"""
