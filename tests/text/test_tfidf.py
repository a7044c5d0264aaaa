import json

import numpy as np
import pytest
from scipy import sparse
from sklearn.feature_extraction.text import TfidfVectorizer

from rakuten import storage
from rakuten.text import tfidf

TRAIN = ["lampe bleu lampe", "table bleu", "", "chaise bleu noir", "lampe noir"]
OPTIONS = {"max_features": 100, "min_df": 1, "max_df": 1.0, "ngram_max": 1}


def random_tokens(count, seed=0, words=300):
    """Products of up to forty tokens, frequent and rare ones; every tenth without any."""
    generator = np.random.default_rng(seed)
    weights = 1 / np.arange(1, words + 1)
    return [
        " ".join(f"mot{word}" for word in row) if number % 10 else ""
        for number, row in enumerate(
            generator.choice(words, generator.integers(1, 41), p=weights / weights.sum())
            for _ in range(count)
        )
    ]


def test_vocabulary_and_idf_of_a_few_products():
    """ln((1 + 5) / (1 + df)) + 1, terms in alphabetical order."""
    vocabulary, idf = tfidf.fit(TRAIN, **OPTIONS)
    assert vocabulary == ["bleu", "chaise", "lampe", "noir", "table"]
    documents = np.array([3, 1, 2, 2, 1])
    np.testing.assert_allclose(idf, np.log(6 / (1 + documents)) + 1, rtol=1e-6)
    assert idf.dtype == np.float32


def test_features_of_a_few_products():
    vocabulary, idf = tfidf.fit(TRAIN, **OPTIONS)
    tokens = ["lampe lampe inconnu table", "inconnu", ""]
    features = tfidf.transform(tokens, vocabulary, idf, ngram_max=1, sublinear_tf=False)
    assert isinstance(features, sparse.csr_array)
    assert features.dtype == np.float32
    row = np.array([0, 0, 2 * idf[2], 0, idf[4]])
    np.testing.assert_allclose(features[0].toarray(), row / np.linalg.norm(row), rtol=1e-6)
    assert features.indptr.tolist() == [0, 2, 2, 2], "no known term, no entry"


@pytest.mark.parametrize("ngram_max", [1, 2])
@pytest.mark.parametrize("sublinear_tf", [False, True])
def test_features_equal_a_fitted_vectorizer(ngram_max, sublinear_tf, tmp_path):
    """Vocabulary and idf from disk give the features of scikit-learn's vectorizer, bit by bit."""
    train, other = random_tokens(200), random_tokens(100, seed=1, words=400)
    fitted = TfidfVectorizer(
        tokenizer=str.split,
        token_pattern=None,
        lowercase=False,
        ngram_range=(1, ngram_max),
        sublinear_tf=sublinear_tf,
        min_df=2,
        dtype=np.float32,
    ).fit(train)
    options = OPTIONS | {"max_features": 10_000, "min_df": 2, "ngram_max": ngram_max}
    vocabulary, idf = tfidf.fit(train, **options)
    storage.write_json(tmp_path / "vocabulary.json", vocabulary)
    storage.write_array(tmp_path / "idf.npy", idf)
    features = tfidf.transform(
        other,
        json.loads((tmp_path / "vocabulary.json").read_text()),
        storage.read_array(tmp_path / "idf.npy"),
        ngram_max=ngram_max,
        sublinear_tf=sublinear_tf,
    )
    assert vocabulary == fitted.get_feature_names_out().tolist()
    expected = fitted.transform(other).toarray()
    np.testing.assert_array_equal(features.toarray(), expected)
    lengths = np.linalg.norm(expected, axis=1)
    np.testing.assert_allclose(lengths[lengths > 0], 1, rtol=1e-6)
    assert features.nnz == np.count_nonzero(expected)


def test_column_indices_are_sorted_in_each_row():
    vocabulary, idf = tfidf.fit(random_tokens(50), **OPTIONS)
    features = tfidf.transform(random_tokens(50), vocabulary, idf, ngram_max=1, sublinear_tf=False)
    for row in range(50):
        columns = features.indices[features.indptr[row] : features.indptr[row + 1]]
        assert (np.diff(columns) > 0).all()


def test_the_most_frequent_terms_are_kept_and_ties_are_alphabetical():
    """Frequency counts occurrences, not products."""
    train = ["d d d", "c b", "b a", "e e", "a c"]
    choose = {n: tfidf.fit(train, **OPTIONS | {"max_features": n})[0] for n in range(1, 6)}
    assert choose[1] == ["d"]
    assert choose[2] == ["a", "d"]
    assert choose[3] == ["a", "b", "d"]
    assert choose[4] == ["a", "b", "c", "d"]


def test_ties_among_many_terms_and_the_idf_of_those_kept():
    generator = np.random.default_rng(0)
    counts = {f"t{number:04d}": int(generator.integers(1, 4)) for number in range(3000)}
    train = [" ".join([term] * count) for term, count in counts.items()]
    train += [" ".join(sorted(counts)[:2000:7])]
    vocabulary, idf = tfidf.fit(train, **OPTIONS | {"max_features": 1000})
    totals = {term: sum(row.split().count(term) for row in train[-1:]) for term in counts}
    totals = {term: totals[term] + counts[term] for term in counts}
    assert vocabulary == sorted(sorted(counts, key=lambda term: (-totals[term], term))[:1000])
    everything, all_idf = tfidf.fit(train, **OPTIONS | {"max_features": 3000})
    weights = dict(zip(everything, all_idf.tolist(), strict=True))
    assert idf.tolist() == [weights[term] for term in vocabulary]


def test_rare_and_ubiquitous_terms_can_be_left_out():
    assert tfidf.fit(TRAIN, **OPTIONS | {"min_df": 2})[0] == ["bleu", "lampe", "noir"]
    assert tfidf.fit(TRAIN, **OPTIONS | {"max_df": 0.5})[0] == [
        "chaise",
        "lampe",
        "noir",
        "table",
    ]
    assert tfidf.fit(TRAIN, **OPTIONS | {"max_df": 1})[0] == tfidf.fit(TRAIN, **OPTIONS)[0]


def test_pairs_of_tokens():
    vocabulary, _ = tfidf.fit(["lampe bleu noir"], **OPTIONS | {"ngram_max": 2})
    assert vocabulary == ["bleu", "bleu noir", "lampe", "lampe bleu", "noir"]


def test_tokens_are_not_changed():
    """Case, punctuation and single characters stay."""
    vocabulary, _ = tfidf.fit(["n°45 L'eau PS4 é 3.5"], **OPTIONS)
    assert vocabulary == ["3.5", "L'eau", "PS4", "n°45", "é"]


def test_the_vocabulary_holds_train_terms_only():
    tokens = random_tokens(60)
    train = tokens[:40]
    vocabulary, idf = tfidf.fit(train, **OPTIONS | {"max_features": 10_000})
    seen = {word for row in train for word in row.split()}
    unseen = {word for row in tokens[40:] for word in row.split()} - seen
    assert unseen
    assert set(vocabulary) == seen
    assert (
        tfidf.transform([" ".join(unseen)], vocabulary, idf, ngram_max=1, sublinear_tf=False).nnz
        == 0
    )


def test_features_do_not_depend_on_the_order_of_products():
    tokens = random_tokens(80)
    order = np.random.default_rng(2).permutation(80)
    shuffled = [tokens[row] for row in order]
    vocabulary, idf = tfidf.fit(tokens, **OPTIONS)
    again, idf_again = tfidf.fit(shuffled, **OPTIONS)
    assert vocabulary == again
    np.testing.assert_array_equal(idf, idf_again)
    options = {"ngram_max": 1, "sublinear_tf": False}
    features = tfidf.transform(tokens, vocabulary, idf, **options)
    moved = tfidf.transform(shuffled, vocabulary, idf, **options)
    np.testing.assert_array_equal(features.toarray()[order], moved.toarray())


@pytest.mark.parametrize("train", [[], ["", ""]])
def test_no_tokens_at_all(train):
    vocabulary, idf = tfidf.fit(train, **OPTIONS)
    assert vocabulary == []
    assert idf.shape == (0,)
    features = tfidf.transform(["a", ""], vocabulary, idf, ngram_max=1, sublinear_tf=False)
    assert features.shape == (2, 0)
