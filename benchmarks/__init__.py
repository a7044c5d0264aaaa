"""How fast it is: one script per subject, `make bench` runs them all.

Every script prints a table and keeps it under `reports/benchmarks/`, from which
`reports/benchmarks.md` is written. A naive way, where there is one, runs in turns with ours in the
same process or minutes: only the ratio of the two carries over to another machine.
"""
