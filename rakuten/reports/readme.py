"""The figures of `reports/`, shown in the terminal or written between README.md's markers."""

import argparse
import re
from pathlib import Path

import pandas as pd

from rakuten import storage
from rakuten.evaluation import metrics

README = "README.md"
MODELS = "reports/evaluate/models.json"
INTERVALS = "reports/evaluate/tables/intervals.csv"

SAMPLE = "synthetic sample"
"""What `make sample` calls the embedded data."""

DIFFERENCES = (
    "Models against each other on the same test products, with bootstrap intervals; where an "
    "interval\nholds 0, this test part does not tell the two apart.\n"
)

SAMPLE_CAVEAT = "**These are sample figures, not Rakuten figures**, on the test part."


def sections() -> dict[str, str]:
    """Write what the README holds of the reports.

    Returns:
        Markdown by the name of the README's marker.
    """
    clean = storage.read_json("reports/clean.json")
    split = storage.read_json("reports/split.json")
    table = metrics.readme_table(storage.read_json(MODELS))
    lines = "".join(f"- {line}\n" for line in difference_lines())
    return {
        "results": f"{caveat(clean['dataset']['name'])}\n\n{table}",
        "differences": f"{DIFFERENCES}\n{lines}",
        "data": data_line(clean, split),
    }


def caveat(name: str) -> str:
    """Say what kind of figures those of a data set are, by the name of the data."""
    return SAMPLE_CAVEAT if name == SAMPLE else f"Figures on {name}, measured here."


def difference_lines() -> list[str]:
    """Say of each pair of models by how much the first is better, a line each."""
    return metrics.difference_lines(storage.read_csv(INTERVALS, keep_default_na=False))


def data_line(clean: dict, split: dict) -> str:
    """Say in a line what data the figures are of.

    Args:
        clean: `reports/clean.json`.
        split: `reports/split.json`.

    Returns:
        One line of Markdown.
    """
    counts = ", ".join(f"{count:,} {part}" for part, count in split["parts"].items())
    return f"Data: {clean['dataset']['name']}, {clean['products']:,} products ({counts}).\n"


def fill(text: str, filled: dict[str, str]) -> str:
    """Put sections between their markers `<!-- name -->` and `<!-- /name -->`.

    Args:
        text: The README.
        filled: Markdown by the name of the marker.

    Returns:
        The README with the sections replaced, everything else untouched.

    Raises:
        ValueError: If the README lacks a marker.
    """
    for name, content in filled.items():
        pattern = re.compile(rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)", re.DOTALL)
        if not pattern.search(text):
            raise ValueError(f"{README} has no markers <!-- {name} --> and <!-- /{name} -->")
        text = pattern.sub(lambda found, content=content: found[1] + content + found[2], text)
    return text


def terminal_table() -> str:
    """Lay the models' test figures out for a terminal, the published accuracy beside them."""
    table = metrics.comparison_table(storage.read_json(MODELS))
    columns = {
        "title": "test part",
        "accuracy": "accuracy",
        "weighted_f1": "weighted F1",
        "macro_f1": "macro F1",
        "log_loss": "log loss",
        "ece": "calibration error",
        "rows": "rows",
        "published_accuracy": "published accuracy",
    }
    shown = table[list(columns)].rename(columns=columns)
    with pd.option_context("display.float_format", "{:.3f}".format, "display.width", 140):
        return shown.to_string(index=False, na_rep="-")


def settle(fresh: dict[str, str], action: str) -> int:
    """Write generated files, or check that they are what would be written.

    Args:
        fresh: What the files should hold, by path.
        action: "write" or "check".

    Returns:
        The exit status: 1 if a check found a file that is stale or not there.
    """
    stale = [
        path
        for path, text in fresh.items()
        if not Path(path).exists() or storage.read_text(path) != text
    ]
    for path in stale:
        if action == "write":
            storage.write_text(path, fresh[path])
        else:
            print(f"{path} does not show the figures of reports/: run 'make readme'")
    return int(action == "check" and bool(stale))


def main(arguments: list[str]) -> int:
    """Run the command line: `python -m rakuten readme show|write|check`."""
    parser = argparse.ArgumentParser(prog="python -m rakuten readme", description=__doc__)
    parser.add_argument("action", choices=["show", "write", "check"])
    action = parser.parse_args(arguments).action
    if action == "show":
        print(terminal_table())
        filled = sections()
        print(f"\n{filled['differences']}\n{filled['data'].strip()}")
        return 0
    return settle({README: fill(storage.read_text(README), sections())}, action)
