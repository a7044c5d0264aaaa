"""Metrics, intervals, tables, audit, robustness, exploration."""
