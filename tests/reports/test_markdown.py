import numpy as np
import pytest

from rakuten.reports import markdown


def test_a_table_aligns_what_is_marked_and_keeps_bars_in_their_cell():
    assert markdown.table(["name", ">rows"], [("a|b", "1"), ("c\nd", "2")]) == (
        "| name | rows |\n| --- | ---: |\n| a\\|b | 1 |\n| c d | 2 |\n"
    )


def test_a_table_without_rows_is_nothing():
    assert markdown.table(["name"], []) == ""


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (markdown.percent(0.772), "77.2 %"),
        (markdown.percent(0.772, 0), "77 %"),
        (markdown.percent(np.nan), "-"),
        (markdown.points(0.0211), "+2.1"),
        (markdown.points(-0.00001), "+0.0"),
        (markdown.points(None), "-"),
        (markdown.decimal(1234.5678, 2), "1,234.57"),
        (markdown.decimal(np.nan), "-"),
        (markdown.count(84916.0), "84,916"),
        (markdown.count(None), "-"),
        (markdown.number_of(0, "category"), "no category"),
        (markdown.number_of(1, "category", "categories"), "1 category"),
        (markdown.number_of(2000, "category", "categories"), "2,000 categories"),
        (markdown.listing(["a"]), "a"),
        (markdown.listing(["a", "b", "c"]), "a, b and c"),
    ],
)
def test_figures_are_written_as_people_read_them(written, expected):
    assert written == expected
