"""Show the results in the terminal, or write the generated sections of README.md and the docs."""

import argparse
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import networkx
import pandas as pd

from rakuten import storage
from rakuten.evaluation.tables import comparison_table
from rakuten.reports.formats import decimal, percent
from rakuten.reports.report_tables import read_table
from rakuten.sample.dataset import is_sample

README, PIPELINE = "README.md", "docs/pipeline.md"
MODELS = "reports/evaluate/models.json"
INTERVALS = "reports/evaluate/tables/intervals.csv"

SAMPLE_CAVEAT = "These are **sample figures, not Rakuten's**, measured on the test part."

DIFFERENCES = (
    "Differences between models on the same test products, with bootstrap intervals. If an "
    "interval\ncontains 0, the difference is not significant on this test part.\n"
)


def sections() -> dict[str, dict[str, str]]:
    """Render the generated sections from the reports and the pipeline of the workspace.

    Returns:
        By file, Markdown by the name of its marker.
    """
    clean = storage.read_json("reports/clean.json")
    split = storage.read_json("reports/split.json")
    table = results_table(storage.read_json(MODELS))
    return {
        README: {
            "results": f"{caveat(clean['dataset']['name'])} {data_line(clean, split)}\n{table}",
        },
        PIPELINE: {"pipeline": pipeline_graph()},
    }


def caveat(name: str) -> str:
    """State on which data the figures were measured, by the name of the data."""
    return SAMPLE_CAVEAT if is_sample(name) else f"Figures on {name}, measured here."


def data_line(clean: Mapping, split: Mapping) -> str:
    """Describe the data in a line.

    Args:
        clean: `reports/clean.json`.
        split: `reports/split.json`.

    Returns:
        One line of Markdown.
    """
    counts = ", ".join(f"{count:,} {part}" for part, count in split["parts"].items())
    return f"Data: {clean['dataset']['name']}, {clean['products']:,} products ({counts}).\n"


def results_table(metrics: Mapping[str, Mapping[str, Mapping]]) -> str:
    """Render the models' test metrics beside the published accuracy.

    Args:
        metrics: Model -> part -> metric, as `reports/evaluate/models.json` has it.

    Returns:
        A Markdown table, ended by a line end: all but the baselines in bold, a dash where there is
        no figure.
    """
    lines = [
        "| Model | Accuracy | Weighted F1 | Macro F1 | Log loss | Published accuracy |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    for row in comparison_table(metrics).to_dict("records"):
        cells = [
            row["title"] if row["baseline"] else f"**{row['title']}**",
            *(percent(row[metric]) for metric in ("accuracy", "weighted_f1", "macro_f1")),
            decimal(row["log_loss"]),
            percent(row["published_accuracy"]),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def differences(intervals: pd.DataFrame) -> str:
    """List the differences between models below their explanation, in Markdown.

    Args:
        intervals: Table of `intervals.interval_table`; `minus` is "" for a single model, not NaN.

    Returns:
        Markdown, ended by a line end.
    """
    lines = "".join(f"- {line}\n" for line in difference_lines(intervals))
    return f"{DIFFERENCES}\n{lines}" if lines else "No two models score the same products.\n"


def difference_lines(intervals: pd.DataFrame) -> list[str]:
    """Describe the difference of each pair of models.

    Args:
        intervals: Table of `intervals.interval_table`; `minus` is "" for a single model, not NaN.

    Returns:
        One line per pair and kind of rows, such as `late_fusion minus text_ensemble: +2.1 points
        weighted F1 [0.8, 3.4], 160 rows with both`; only one where all rows have both.
    """
    chosen = intervals[intervals["minus"].ne("") & intervals["metric"].eq("weighted_f1")]
    lines = []
    chosen = chosen.drop_duplicates(["model", "minus", "rows"], keep="last")
    for row in chosen.to_dict("records"):
        value, low, high = (round(100 * row[name], 1) + 0.0 for name in ("value", "low", "high"))
        counted = "rows with both" if row["rows_of"] == "both modalities" else "rows"
        lines.append(
            f"{row['model']} minus {row['minus']}: {value:+.1f} points weighted F1 "
            f"[{low:.1f}, {high:.1f}], {row['rows']:,} {counted}"
        )
    return lines


def pipeline_graph() -> str:
    """Draw the stages as a Mermaid graph: `dvc dag`, without edges that longer paths imply.

    Returns:
        A fenced Markdown block, ended by a line end.
    """
    shown = subprocess.run(
        [sys.executable, "-m", "dvc", "dag", "--mermaid"],
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    names = dict(re.findall(r'^\s*(node\d+)\["(.+)"\]$', shown, re.MULTILINE))
    edges = {
        (names[start], names[end])
        for start, end in re.findall(r"^\s*(node\d+)-->(node\d+)$", shown, re.MULTILINE)
    }
    reduced = networkx.transitive_reduction(networkx.DiGraph(edges)).edges
    lines = [f"    {_node(start)} --> {_node(end)}" for start, end in sorted(reduced)]
    return "\n".join(["```mermaid", "flowchart TD", *lines, "```"]) + "\n"


def _node(name: str) -> str:
    """Write a Mermaid node; only an identifier can be its own label."""
    return name if name.isidentifier() else f'{re.sub(r"[^A-Za-z0-9]", "_", name)}["{name}"]'


def fill(text: str, filled: Mapping[str, str]) -> str:
    """Put sections between their markers `<!-- name -->` and `<!-- /name -->`.

    Args:
        text: A Markdown file.
        filled: Markdown by the name of the marker.

    Returns:
        The text with the sections replaced and everything else unchanged.

    Raises:
        ValueError: If a marker is missing.
    """
    for name, content in filled.items():
        pattern = re.compile(rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)", re.DOTALL)
        found = pattern.search(text)
        if not found:
            raise ValueError(
                f"expected the markers <!-- {name} --> and <!-- /{name} -->, found none: add them "
                "where the section belongs"
            )
        text = text[: found.end(1)] + content + text[found.start(2) :]
    return text


def terminal_table() -> str:
    """Render the models' test metrics for a terminal, beside the published accuracy."""
    table = comparison_table(storage.read_json(MODELS))
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


def write_or_check(files: Mapping[str, str], action: str) -> int:
    """Write generated files, or check that they are up to date.

    Args:
        files: The expected text by path.
        action: "write" or "check".

    Returns:
        The exit status: 1 if a check found a file that is stale or missing.
    """
    stale = [
        path
        for path, text in files.items()
        if not Path(path).exists() or storage.read_text(path) != text
    ]
    for path in stale:
        if action == "write":
            storage.write_text(path, files[path])
        else:
            print(f"{path} does not match reports/ and dvc.yaml: run 'make readme'")
    return int(action == "check" and bool(stale))


def main(arguments: list[str]) -> int:
    """Run `python -m rakuten readme show|write|check`."""
    parser = argparse.ArgumentParser(
        prog="python -m rakuten readme",
        description="Show the results of the last rebuild ('make results'), or bring the generated "
        f"sections of {README} and {PIPELINE} up to date with it ('make readme').",
    )
    parser.add_argument(
        "action",
        choices=["show", "write", "check"],
        help="show: print each model's test figures, the differences between models and the size "
        "of the data; write: fill in the sections; check: list the files that are out of date, "
        "exit status 1 if there are any",
    )
    action = parser.parse_args(arguments).action
    if action == "show":
        clean, split = (storage.read_json(f"reports/{name}.json") for name in ("clean", "split"))
        shown = [
            terminal_table(),
            differences(read_table(INTERVALS)),
            data_line(clean, split).strip(),
        ]
        print("\n\n".join(shown))
        return 0
    files = {path: fill(storage.read_text(path), filled) for path, filled in sections().items()}
    return write_or_check(files, action)
