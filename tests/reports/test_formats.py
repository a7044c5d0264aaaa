import numpy as np
import pytest

from rakuten.reports import formats


@pytest.mark.parametrize(
    ("formatted", "expected"),
    [
        (formats.percent(0.772), "77.2 %"),
        (formats.percent(0.772, 0), "77 %"),
        (formats.percent(np.nan), "-"),
        (formats.points(0.0211), "+2.1"),
        (formats.points(-0.00001), "+0.0"),
        (formats.points(None), "-"),
        (formats.decimal(1234.5678, 2), "1,234.57"),
        (formats.decimal(np.nan), "-"),
        (formats.count(84916.0), "84,916"),
        (formats.count(None), "-"),
        (formats.number_of(0, "category", "categories"), "no categories"),
        (formats.number_of(1, "category", "categories"), "1 category"),
        (formats.number_of(2000, "product"), "2,000 products"),
        (formats.listing([]), ""),
        (formats.listing(["a"]), "a"),
        (formats.listing(["a", "b", "c"]), "a, b and c"),
    ],
)
def test_figures_are_formatted_for_readers(formatted, expected):
    assert formatted == expected
