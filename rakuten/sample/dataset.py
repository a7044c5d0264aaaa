"""The name of the synthetic catalogue, by which reports tell its figures from real ones."""

SAMPLE = "synthetic sample"
"""The name of a catalogue that `python -m rakuten sample` wrote."""


def is_sample(name: str) -> bool:
    """Check whether data of this name are the synthetic catalogue, or a share of it.

    Args:
        name: The name in `data/dataset.json`; `import --share` appends the share in parentheses.
    """
    return name == SAMPLE or name.startswith(f"{SAMPLE} (")
