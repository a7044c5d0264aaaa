"""The page of a comparison, and its lines in the terminal."""

from html.parser import HTMLParser

import pytest

from rakuten.reports import drift_page


def measurement(name, title, kind, drift=False, **values):
    bins = [{"name": n, "reference": 0.75, "new": 0.25} for n in values.pop("bins")]
    return {
        "name": name, "title": title, "kind": kind, "drift": drift, "psi": 0.0, "p_value": 1.0,
        "missing": [], "bins": bins, "reference_products": 100, "new_products": 50, **values,
    }  # fmt: skip


@pytest.fixture
def report():
    return {
        "file": "a<b>.csv",
        "products": 50,
        "data": "small",
        "package": "0123456789abcdef",
        "predicted_from": "text alone",
        "limits": {"psi": 0.2, "missing": 0.5, "alpha": 0.01},
        "drift": True,
        "measurements": [
            measurement("title_length", "title length", "number", reference=65.25, new=1234.0,
                        bins=["to 40", "above 40"]),
            measurement("category", "predicted category", "category", reference="10", new="40",
                        bins=["10", "40"], drift=True, psi=0.4, p_value=1e-20, missing=["10"]),
            measurement("missing_title", "title missing", "flag", reference=0.0, new=0.035,
                        bins=["no", "yes"], psi=0.1, p_value=0.034),
        ],
        "not_measured": ["brightness", "colour"],
    }  # fmt: skip


class Words(HTMLParser):
    """Collects the text and checks that every tag is closed."""

    def __init__(self):
        super().__init__()
        self.words, self.opened = [], []

    def handle_starttag(self, tag, attrs):
        if tag != "meta":
            self.opened.append(tag)

    def handle_endtag(self, tag):
        assert self.opened.pop() == tag

    def handle_data(self, data):
        self.words.append(data)


def test_the_page_is_complete_and_drift_comes_first(report):
    page = drift_page.render(report)
    parser = Words()
    parser.feed(page)
    assert parser.opened == []
    text = " ".join(" ".join(parser.words).split())
    assert "a<b>.csv: drift" in text
    order = [text.index(title) for title in ("predicted category", "title missing", "title length")]
    assert order == sorted(order)
    assert "missing: 10 Books for adults" in text
    assert "10 (75 %)" in text
    assert "Not measured: brightness and colour." in text
    assert "<b>" not in page
    assert "http" not in page  # it needs no other file


def test_the_lines_are_a_table(report):
    lines = drift_page.lines(report).splitlines()
    assert [line.split("  ")[0] for line in lines[:4]] == [
        "measurement", "title length", "predicted category", "title missing"
    ]  # fmt: skip
    assert lines[1].split()[2:] == ["65.2", "1,234", "0.000", "1"]
    assert lines[2].endswith("0.400  <1e-16  drift, missing: 10")
    assert lines[3].split()[2:] == ["0.0", "%", "3.5", "%", "0.100", "0.034"]
    assert lines[4] == "not measured: brightness and colour"
