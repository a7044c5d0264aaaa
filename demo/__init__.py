"""The product classifier as a page: `make demo`, or `python -m demo`."""
