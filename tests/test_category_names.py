import pytest

from rakuten import category_names
from rakuten.categories import CODES, GROUPS


def test_every_category_and_group_has_a_display_name_in_both_languages():
    assert tuple(category_names.CATEGORIES) == CODES
    assert tuple(category_names.GROUPS) == tuple(GROUPS)


@pytest.mark.parametrize("language", ["fr", "en"])
def test_display_names_are_distinct(language):
    for names in (
        [category_names.category(code, language) for code in CODES],
        [category_names.group(group, language) for group in GROUPS],
    ):
        assert all(names)
        assert len(set(names)) == len(names)
