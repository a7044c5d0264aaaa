"""Pages of the documentation: linked from README once, and no link leads nowhere."""

import re
from collections import Counter

import pytest
from repository import ROOT

PAGES = sorted((ROOT / "docs").glob("*.md"))
NOTES = sorted((ROOT / "benchmarks").glob("*.md"))

LINK = re.compile(r"\]\((?!https?:)([^)#\s]*)(?:#([^)\s]+))?\)")
"""A link to a file of the repository, with the anchor of a heading."""


def links(path):
    """The linked files and anchors of a page; blocks of code have none."""
    text = re.sub(r"^```.*?^```", "", path.read_text(), flags=re.MULTILINE | re.DOTALL)
    return [((path.parent / name).resolve() if name else path, anchor)
            for name, anchor in LINK.findall(text)]  # fmt: skip


def anchors(path):
    """The anchors that GitHub gives to a page's headings."""
    headings = re.findall(r"^#+ (.+)$", path.read_text(), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_readme_links_every_page_once():
    linked = Counter(file for file, _ in links(ROOT / "README.md") if file.suffix == ".md")
    assert {page: linked[page] for page in PAGES} == dict.fromkeys(PAGES, 1)


@pytest.mark.parametrize(
    "page",
    [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *PAGES, *NOTES],
    ids=lambda page: page.relative_to(ROOT).as_posix(),
)
def test_every_link_leads_somewhere(page):
    for file, anchor in links(page):
        assert file.exists(), file
        assert not anchor or anchor in anchors(file), f"{file}#{anchor}"
