"""Change the reports that the cards are written from."""

from copy import deepcopy
from dataclasses import replace


def renamed(reports, name):
    """The same reports of a data set with another name."""
    values = deepcopy(reports.values)
    values["clean"]["dataset"]["name"] = name
    return replace(reports, values=values)


def with_table(reports, name, table):
    return replace(reports, tables=reports.tables | {name: table})


def section(text, title):
    return text.split(f"\n## {title}\n")[1].split("\n## ")[0]
