"""Nets, baselines and ensembles."""
