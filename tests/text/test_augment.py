import numpy as np
import pytest

from rakuten.text import augment

IDS = np.array([3, 7, 11])
TITLES = ["Cœur brodé à la main", "Jeu vidéo Zelda", ""]
DESCRIPTIONS = ["Très joli", "", "Une table solide"]


@pytest.mark.parametrize(
    ("name", "titles", "descriptions"),
    [
        (
            "upper_case",
            ["CŒUR BRODÉ À LA MAIN", "JEU VIDÉO ZELDA", ""],
            ["TRÈS JOLI", "", "UNE TABLE SOLIDE"],
        ),
        (
            "no_accents",
            ["Coeur brode a la main", "Jeu video Zelda", ""],
            ["Tres joli", "", "Une table solide"],
        ),
        (
            "lower_case",
            ["cœur brodé à la main", "jeu vidéo zelda", ""],
            [text.lower() for text in DESCRIPTIONS],
        ),
        ("cut_title", ["Cœur brodé à", "Jeu vidéo", ""], DESCRIPTIONS),
        ("no_description", TITLES, ["", "", "Une table solide"]),
    ],
)
def test_each_perturbation_changes_texts_as_listed(name, titles, descriptions):
    assert augment.perturb(name, TITLES, DESCRIPTIONS, IDS, seed=1) == (titles, descriptions)


def test_typos_touch_some_long_words_and_nothing_else():
    text = " ".join(["abc", "1234", "bouteille"] * 300)
    words = augment.add_typos(text, np.random.default_rng(0)).split(" ")
    assert words[0::3] == ["abc"] * 300
    assert words[1::3] == ["1234"] * 300
    mistyped = [word for word in words[2::3] if word != "bouteille"]
    assert 0.2 < len(mistyped) / 300 < 0.4
    for word in mistyped:
        assert word[0] == "b"
        assert abs(len(word) - 9) <= 1
    assert {len(word) for word in mistyped} == {8, 9, 10}


@pytest.mark.parametrize("word", ["pomme", "poupée", "PISCINE", "Ménage", "aaaa"])
def test_a_typo_changes_the_word_and_keeps_its_case(word, monkeypatch):
    monkeypatch.setattr(augment, "TYPO_RATE", 1.0)
    generator = np.random.default_rng(0)
    for _ in range(200):
        typo = augment.add_typos(word, generator)
        assert typo != word
        assert typo.isupper() == word.isupper()


@pytest.mark.parametrize("text", ["10 m²", "½ litre", "чай", "été №5"])
def test_symbols_and_other_scripts_keep_their_accents(text):
    assert augment.strip_accents(text) == text.replace("é", "e")


@pytest.mark.parametrize("name", augment.PERTURBATIONS)
def test_a_product_is_perturbed_independently_of_others(name):
    titles, descriptions = augment.perturb(
        name, TITLES * 5, DESCRIPTIONS * 5, np.arange(15), seed=1
    )
    reverse = slice(None, None, -1)
    order = np.arange(15)[reverse]
    other = augment.perturb(name, (TITLES * 5)[reverse], (DESCRIPTIONS * 5)[reverse], order, seed=1)
    assert (other[0][reverse], other[1][reverse]) == (titles, descriptions)


def test_typos_depend_on_the_seed():
    long = ["bouteille plastique transparente"] * 3
    one, same, other = (
        augment.perturb("typos", long, DESCRIPTIONS, IDS, seed=seed) for seed in (1, 1, 2)
    )
    assert one == same != other
    assert len(set(one[0])) > 1, "products have different typos"


def test_an_unknown_perturbation_is_an_error():
    with pytest.raises(ValueError, match="no perturbation 'typo': expected one of typos, upper"):
        augment.perturb("typo", TITLES, DESCRIPTIONS, IDS, seed=1)


def test_copies_come_with_the_positions_of_their_originals():
    titles = [f"Bouteille numéro {row} en verre transparent" for row in range(50)]
    descriptions = [f"Elle tient {row} litres" for row in range(50)]
    ids = np.arange(100, 150)
    more = augment.augment(titles, descriptions, ids, copies=2, seed=3)
    assert more[2].tolist() == [*range(50), *range(50)]
    changed = sum(
        (title, body) != (titles[row], descriptions[row])
        for title, body, row in zip(*more, strict=True)
    )
    assert changed > 90  # a copy under typos may by chance have none
    assert more[0][:50] != more[0][50:], "the copies of a product differ"
    again = augment.augment(titles[10:], descriptions[10:], ids[10:], copies=2, seed=3)
    assert again[0] == more[0][10:50] + more[0][60:], "copies depend on their product only"
    assert [len(part) for part in augment.augment(titles, descriptions, ids, copies=0, seed=3)] == [
        0
    ] * 3
