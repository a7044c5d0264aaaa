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


def test_names_are_correctly_written():
    """Accents, an apostrophe that is not a foot mark, no identifiers of the study."""
    french = [category_names.category(code, "fr") for code in CODES]
    assert {"Décoration", "Jeux de société", "Jouets de l’enfance"} <= set(french)
    names = [*category_names.CATEGORIES.values(), *category_names.GROUPS.values()]
    for name in (name for pair in names for name in pair.values()):
        assert name[0].isupper()
        assert not {"_", "'"} & set(name)
