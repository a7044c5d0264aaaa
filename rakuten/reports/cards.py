"""The model card and the data card, written from `reports/`: `python -m rakuten.reports.cards write`.

Every figure and every sentence about the data comes from what the stages reported, so that the
cards are as true of imported files as of the sample. What the cards hold is in `rakuten.reports.model_card`
and `rakuten.reports.data_card`; this room reads and writes.
"""

import argparse
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from rakuten import storage
from rakuten.data import resources
from rakuten.reports import data_card, model_card, readme
from rakuten.tracking import results

CARDS = {"docs/model_card.md": model_card.write, "docs/data_card.md": data_card.write}
"""The files and what writes them."""

VALUES = (
    "clean",
    "split",
    "explore/summary",
    "evaluate/models",
    "audit/summary",
)
"""What is read of `reports/`, JSON."""

TABLES = (
    "explore/tables/balance",
    "explore/tables/languages",
    "explore/tables/lengths",
    "explore/tables/missing",
    "evaluate/tables/calibration",
    "evaluate/tables/categories",
    "evaluate/tables/comparison",
    "evaluate/tables/confusion",
    "evaluate/tables/groups",
    "evaluate/tables/intervals",
    "evaluate/tables/slices",
    "audit/tables/leakage",
    "audit/tables/suspect_classes",
    "robust_text/table",
    "robust_image/table",
)
"""What is read of `reports/`, CSV."""

TEXT_COLUMNS = ("minus", "language", "group")
"""Columns in which an empty field is "", and "none" or "nan" a word like any other."""


@dataclass(frozen=True)
class Reports:
    """What the cards are written from.

    Attributes:
        values: `VALUES` by name.
        tables: `TABLES` by name.
        pictures: Paths of the pictures below `reports/` that are there.
        params: `params.yaml`.
        stages: The stages that make models, with `desc` of `dvc.yaml` and `report`, what they
            reported of themselves, by the model's name.
        resources: Licence and output of what a build with these parameters uses, by name.
        tracked: What `data.dvc` says of `data/`: md5, size in bytes, nfiles.
    """

    values: dict[str, dict]
    tables: dict[str, pd.DataFrame]
    pictures: frozenset[str]
    params: dict
    stages: dict[str, dict]
    resources: dict[str, dict]
    tracked: dict

    @property
    def data(self) -> str:
        """The name of the data."""
        return self.values["clean"]["dataset"]["name"]

    @property
    def is_sample(self) -> bool:
        """Whether the data are the synthetic catalogue that the repository embeds."""
        return self.data == readme.SAMPLE


def read(root: str | Path = ".") -> Reports:
    """Read what the cards are written from.

    Args:
        root: A repository in which `dvc repro` has run.
    """
    root = Path(root)
    params = storage.read_yaml(root / "params.yaml")
    pinned = storage.read_yaml(root / "rakuten/data/resources.yaml")
    declared = storage.read_yaml(root / "dvc.yaml")["stages"]
    used = resources.choose(
        pinned, backbone=params["extract"]["backbone"], encoder=params["encode"]["encoder"]
    )
    return Reports(
        values={name: storage.read_json(root / f"reports/{name}.json") for name in VALUES},
        tables={name: _table(root / f"reports/{name}.csv") for name in TABLES},
        pictures=frozenset(
            path.relative_to(root).as_posix() for path in (root / "reports").rglob("*.png")
        ),
        params=params,
        stages={
            model: {
                "name": stage,
                "desc": declared[stage]["desc"],
                "report": storage.read_json(root / f"reports/{stage}/metrics.json"),
            }
            for stage, model in results.MODELS.items()
        },
        resources={name: pinned[name] for name in used},
        tracked=storage.read_yaml(root / "data.dvc")["outs"][0],
    )


def _table(path: Path) -> pd.DataFrame:
    """Read a table, words as they are written."""
    table = storage.read_csv(path, keep_default_na=True)
    columns = {name: str for name in TEXT_COLUMNS if name in table}
    if not columns:
        return table
    words = storage.read_csv(path, dtype=str, keep_default_na=False)
    return table.assign(**{name: words[name] for name in columns})


def main(arguments: list[str]) -> int:
    """Run the command line: `python -m rakuten cards write|check`."""
    parser = argparse.ArgumentParser(prog="python -m rakuten cards", description=__doc__)
    parser.add_argument("action", choices=["write", "check"])
    action = parser.parse_args(arguments).action
    reports = read()
    return readme.write_or_check({path: write(reports) for path, write in CARDS.items()}, action)
