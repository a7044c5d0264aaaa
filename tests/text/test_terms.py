import json

import numpy as np
import pytest
from scipy import sparse
from sklearn.feature_extraction.text import TfidfVectorizer

from rakuten import storage
from rakuten.text import terms

NGRAMS = {"word_ngrams": 2, "character_ngrams": 4}
OPTIONS = NGRAMS | {"min_df": 1, "max_terms": 10_000}
TITLES = ["Lampe bleu, É 2", "lampe noir", "Jeu vidéo L'île", "", "jeux vidéos neuf neuf"]
DESCRIPTIONS = ["un pied", "", "pour console; lampe", "sans titre", "jeu"]


def names(fitted):
    return {block: list(found) for block, (found, _) in fitted.items()}


def transform(titles, descriptions, fitted, **ngrams):
    """The features of both blocks side by side."""
    features = terms.transform(titles, descriptions, fitted, **ngrams)
    assert list(features) == list(terms.BLOCKS)
    for block in features.values():
        assert isinstance(block, sparse.csr_array)
        assert block.dtype == np.float32
        assert block.has_canonical_format, "column indices are sorted"
    return sparse.csr_array(sparse.hstack(list(features.values())))


def test_vocabulary_and_weights_of_two_products():
    fitted = terms.fit(
        ["Le", "la"], ["lit bleu", ""], word_ngrams=2, character_ngrams=3, min_df=1, max_terms=99
    )
    assert names(fitted) == {
        "words": ["bleu", "la", "le", "le lit", "lit", "lit bleu"],
        "characters": [" l", " la", " le", "a ", "e ", "la", "la ", "le", "le "],
    }
    rare = np.log(3 / 2) + 1
    np.testing.assert_allclose(fitted["words"][1], [rare] * 6, rtol=1e-6)
    np.testing.assert_allclose(fitted["characters"][1], [1.0] + [rare] * 8, rtol=1e-6)
    assert fitted["words"][1].dtype == np.float32


def test_characters_come_from_titles_and_words_from_both_texts():
    found = names(terms.fit(["abc"], ["xyz"], **OPTIONS))
    assert found["words"] == ["abc", "abc xyz", "xyz"]
    assert "xy" not in found["characters"]
    assert "bc" in found["characters"]


def test_features_of_a_product():
    """(1 + ln count) * idf, rows of norm 1 in each block."""
    fitted = terms.fit(["aa", "bb"], ["bb", ""], **OPTIONS | {"word_ngrams": 1})
    features = transform(["bb"], ["bb aa zz"], fitted, word_ngrams=1, character_ngrams=4).toarray()[
        0
    ]
    assert names(fitted)["words"] == ["aa", "bb"]
    row = np.array([np.log(3 / 2) + 1, 1 + np.log(2)])
    np.testing.assert_allclose(features[:2], row / np.linalg.norm(row), rtol=1e-6)


@pytest.mark.parametrize("min_df", [1, 2])
def test_features_equal_scikit_learns_vectorizers_side_by_side(min_df):
    words = TfidfVectorizer(
        token_pattern=r"(?u)\b\w+\b",
        ngram_range=(1, 2),
        sublinear_tf=True,
        min_df=min_df,
        dtype=np.float32,
    )
    characters = TfidfVectorizer(
        analyzer="char_wb",
        ngram_range=(2, 4),
        sublinear_tf=True,
        min_df=min_df,
        dtype=np.float32,
    )
    both = [f"{title} {text}" for title, text in zip(TITLES, DESCRIPTIONS, strict=True)]
    words.fit(both)
    characters.fit(TITLES)
    fitted = terms.fit(TITLES, DESCRIPTIONS, **OPTIONS | {"min_df": min_df})
    assert names(fitted)["words"] == words.get_feature_names_out().tolist()
    assert names(fitted)["characters"] == characters.get_feature_names_out().tolist()
    titles, descriptions = [*TITLES, "lampes vidéo inconnu"], [*DESCRIPTIONS, "bleu bleu"]
    features = transform(titles, descriptions, fitted, **NGRAMS)
    both = [f"{title} {text}" for title, text in zip(titles, descriptions, strict=True)]
    expected = sparse.hstack([words.transform(both), characters.transform(titles)]).toarray()
    np.testing.assert_allclose(features.toarray(), expected, rtol=1e-5)


def test_terms_that_were_not_fitted_get_no_column():
    fitted = terms.fit(TITLES[:3], DESCRIPTIONS[:3], **OPTIONS)
    found = names(fitted)
    assert not {"neuf", "sans", "jeux"} & set(found["words"])
    assert "lampe" in found["words"]
    features = transform(["zq"], ["neuf sans"], fitted, **NGRAMS)
    assert features.shape == (1, len(found["words"]) + len(found["characters"]))
    assert features.nnz == 0


def test_rare_terms_can_be_left_out():
    found = names(terms.fit(TITLES, DESCRIPTIONS, **OPTIONS | {"min_df": 2, "word_ngrams": 1}))
    assert found["words"] == ["jeu", "lampe"], "neuf occurs twice, but in one product"


def test_terms_of_most_products_are_kept_and_ties_are_alphabetical():
    titles = ["d d d d", "b a", "c a", "b e"]
    for most, expected in ((1, "a"), (2, "ab"), (3, "abc"), (4, "abcd")):
        options = OPTIONS | {"word_ngrams": 1, "max_terms": most}
        fitted = terms.fit(titles, [""] * 4, **options)
        assert names(fitted)["words"] == list(expected)
        assert {len(found) for found, _ in fitted.values()} == {most}
        weights = {"a": 2, "b": 2, "c": 1, "d": 1}
        idf = [np.log(5 / (1 + weights[term])) + 1 for term in expected]
        np.testing.assert_allclose(fitted["words"][1], idf, rtol=1e-6)


@pytest.mark.parametrize("count", [0, 2])
def test_without_any_term(count):
    fitted = terms.fit([""] * count, ["?!"] * count, **OPTIONS)
    assert names(fitted) == {"words": [], "characters": []}
    assert transform(["a", ""], ["", ""], fitted, **NGRAMS).shape == (2, 0)


def test_products_without_titles_have_no_character_terms():
    fitted = terms.fit(["", ""], ["lit bleu", "lit"], **OPTIONS)
    assert names(fitted) == {"words": ["bleu", "lit", "lit bleu"], "characters": []}
    assert transform([""], ["lit"], fitted, **NGRAMS).toarray().tolist() == [[0, 1, 0]]


def test_no_products_to_transform():
    fitted = terms.fit(TITLES, DESCRIPTIONS, **OPTIONS)
    features = transform([], [], fitted, **NGRAMS)
    assert features.shape == (0, sum(map(len, names(fitted).values())))


@pytest.mark.parametrize(("words", "characters"), [(0, 3), (1, 1)])
def test_ngrams_that_are_too_short_are_an_error(words, characters):
    with pytest.raises(ValueError, match=f"word_ngrams is {words} and character_ngrams"):
        terms.fit(
            TITLES, DESCRIPTIONS, **OPTIONS | {"word_ngrams": words, "character_ngrams": characters}
        )


def test_features_do_not_depend_on_the_order_of_products():
    order = [3, 0, 4, 2, 1]
    titles, descriptions = [TITLES[row] for row in order], [DESCRIPTIONS[row] for row in order]
    fitted, again = (
        terms.fit(TITLES, DESCRIPTIONS, **OPTIONS),
        terms.fit(titles, descriptions, **OPTIONS),
    )
    assert names(fitted) == names(again)
    features = transform(TITLES, DESCRIPTIONS, fitted, **NGRAMS).toarray()
    moved = transform(titles, descriptions, again, **NGRAMS).toarray()
    np.testing.assert_array_equal(features[order], moved)


def test_restored_terms_give_the_same_features(tmp_path):
    fitted = terms.fit(TITLES, DESCRIPTIONS, **OPTIONS)
    storage.write_json(tmp_path / "terms.json", names(fitted))
    storage.write_arrays(tmp_path / "idf.npz", **terms.arrays(fitted))
    restored = terms.restore(
        json.loads((tmp_path / "terms.json").read_text()),
        storage.read_arrays(tmp_path / "idf.npz"),
    )
    expected = transform(TITLES, DESCRIPTIONS, fitted, **NGRAMS)
    features = transform(TITLES, DESCRIPTIONS, restored, **NGRAMS)
    np.testing.assert_array_equal(features.toarray(), expected.toarray())
