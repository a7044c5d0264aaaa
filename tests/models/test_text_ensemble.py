from dataclasses import replace

import numpy as np
import pytest
from scipy import sparse
from sklearn.naive_bayes import MultinomialNB
from sklearn.svm import LinearSVC

from rakuten.models import text_ensemble
from rakuten.models.text_ensemble import Settings, Texts
from rakuten.text import terms

SETTINGS = Settings(
    word_ngrams=2,
    character_ngrams=3,
    min_df=1,
    max_terms=5000,
    linear_svm_c=1.0,
    vector_scale=1.0,
    naive_bayes_alpha=0.01,
    bias_l2=1.0,
    correction_l2=1.0,
    folds=4,
    augmented_copies=0,
)
OPTIONS = {"seed": 5, "threads": 1}
WORDS = {
    0: "roman poche broche auteur tome edition",
    6: "figurine resine peinture warhammer socle armee",
    13: "table chaise bureau meuble bois tiroir",
    26: "telechargement steam licence windows code cle",
}
CENTRES = np.random.default_rng(0).normal(size=(2, 27, 12))


def catalogue(seed=0, per_category=12, labels=tuple(WORDS)):
    """Titles of three of a category's words, vectors near its centre, four folds."""
    generator = np.random.default_rng(seed)
    labels = np.repeat(labels, per_category)
    titles = [" ".join(generator.choice(WORDS[label].split(), 3)) for label in labels]
    descriptions = [
        generator.choice(WORDS[label].split()) if generator.random() < 0.5 else ""
        for label in labels
    ]
    return texts(titles, descriptions, labels, generator), labels, np.arange(len(labels)) % 4


def texts(titles, descriptions, labels, generator):
    near = CENTRES[:, labels] + generator.normal(scale=0.3, size=(2, len(labels), 12))
    near /= np.linalg.norm(near, axis=-1, keepdims=True)
    title, description = near.astype(np.float16)
    ids = np.arange(len(labels)) + 100
    return Texts(ids, titles, descriptions, {"title": title, "description": description})


def without_vectors(products):
    return replace(products, vectors={})


def accuracy(probabilities, labels):
    assert probabilities.dtype == np.float32
    assert probabilities.shape == (len(labels), 27)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-5)
    return (probabilities.argmax(axis=1) == labels).mean()


def content(folder, ensemble, out_of_fold):
    """The bytes of a fit: the files of the ensemble and the out-of-fold probabilities."""
    ensemble.write(folder)
    files = [(folder / name).read_bytes() for name in ("terms.json", "weights.npz")]
    return [*files, out_of_fold.tobytes()]


@pytest.fixture
def scores(monkeypatch):
    """The out-of-fold scores that each fit of a stacking on all products got."""
    recorded = []

    def spy(scores, labels, **options):
        if len(labels) == 48:
            recorded.append([values.copy() for values in scores])
        return fit(scores, labels, **options)

    fit = text_ensemble.stacking.fit
    monkeypatch.setattr(text_ensemble.stacking, "fit", spy)
    return recorded


@pytest.mark.parametrize("vectors", [True, False])
def test_the_ensemble_classifies_new_products(vectors):
    products, labels, folds = catalogue()
    new, expected, _ = catalogue(seed=1)
    if not vectors:
        products, new = without_vectors(products), without_vectors(new)
    ensemble, out_of_fold = text_ensemble.fit(products, labels, folds, SETTINGS, **OPTIONS)
    assert accuracy(ensemble.probabilities(new), expected) >= 0.95
    assert accuracy(out_of_fold, labels) >= 0.95
    assert ("title" in ensemble.classifiers["svm"].coefficients) == vectors
    assert list(ensemble.classifiers) == ["svm", "naive_bayes_words", "naive_bayes_characters"]


def test_vectors_classify_titles_of_unknown_words():
    products, labels, folds = catalogue()
    ensemble, _ = text_ensemble.fit(products, labels, folds, SETTINGS, **OPTIONS)
    new, expected, _ = catalogue(seed=1)
    unknown = replace(new, titles=["9"] * 48, descriptions=[""] * 48)
    assert accuracy(ensemble.probabilities(unknown), expected) > 0.9


def test_scores_do_not_depend_on_the_labels_of_their_fold(scores):
    products, labels, folds = catalogue()
    other = np.where(folds == 2, 0, labels)
    text_ensemble.fit(products, labels, folds, SETTINGS, **OPTIONS)
    text_ensemble.fit(products, other, folds, SETTINGS, **OPTIONS)
    own = folds == 2
    assert len(scores[0]) == 3
    for before, after in zip(*scores, strict=True):
        np.testing.assert_allclose(after[own], before[own], atol=1e-5)
        assert np.abs(after - before)[~own].max() > 0.1


def test_the_out_of_fold_probability_of_a_mislabelled_product_is_low():
    products, labels, folds = catalogue()
    titles = ["unicum roman poche", *products.titles[1:]]
    products, labels = replace(products, titles=titles), np.concatenate([[13], labels[1:]])
    ensemble, out_of_fold = text_ensemble.fit(products, labels, folds, SETTINGS, **OPTIONS)
    seen = ensemble.probabilities(products.take(np.array([0])))
    assert out_of_fold[0, 13] < 0.1
    assert seen[0, 13] > 3 * out_of_fold[0, 13]


@pytest.fixture
def copied(monkeypatch):
    """Replace augmentation by copies with a word of their category that no product has."""
    asked = []

    def augment(titles, descriptions, ids, *, copies, seed):
        asked.append({"ids": ids, "copies": copies, "seed": seed})
        rows = np.arange(len(titles))[::-1]
        words = {word: f"{line.split()[0]}x" for line in WORDS.values() for word in line.split()}
        changed = [f"{titles[row]} {words[titles[row].split()[0]]}" for row in rows]
        return changed * copies, [descriptions[row] for row in rows] * copies, np.tile(rows, copies)

    monkeypatch.setattr(text_ensemble.augment, "augment", augment)
    return asked


def test_a_copy_is_in_the_fold_of_its_original(scores, copied):
    products, labels, folds = catalogue()
    settings = replace(SETTINGS, augmented_copies=2)
    other = np.where(folds == 2, 0, labels)
    for values in (labels, other):
        text_ensemble.fit(products, values, folds, settings, **OPTIONS)
    own = folds == 2
    for before, after in zip(*scores, strict=True):
        assert before.shape == (48, 27)
        np.testing.assert_allclose(after[own], before[own], atol=1e-5)
        assert np.abs(after - before)[~own].max() > 0.1


def test_copies_are_used_by_every_classifier(scores, copied):
    products, labels, folds = catalogue()
    text_ensemble.fit(products, labels, folds, SETTINGS, **OPTIONS)
    assert copied == []
    text_ensemble.fit(products, labels, folds, replace(SETTINGS, augmented_copies=2), **OPTIONS)
    assert [(call["copies"], call["seed"]) for call in copied] == [(2, 5)]
    np.testing.assert_array_equal(copied[0]["ids"], products.ids)
    assert min(abs(b - a).max() for a, b in zip(*scores, strict=True)) > 0.05


def test_a_copy_has_the_vectors_of_its_original(monkeypatch):
    """Exact copies in another order: the SVM equals one that counts every product twice."""
    products, labels, folds = catalogue()
    order = np.random.default_rng(1).permutation(48)

    def augment(titles, descriptions, ids, *, copies, seed):
        return [titles[row] for row in order], [descriptions[row] for row in order], order

    monkeypatch.setattr(text_ensemble.augment, "augment", augment)
    twice = replace(SETTINGS, augmented_copies=1, linear_svm_c=0.5)
    ensemble, _ = text_ensemble.fit(products, labels, folds, twice, **OPTIONS)
    once, _ = text_ensemble.fit(products, labels, folds, SETTINGS, **OPTIONS)
    for block, coefficients in once.classifiers["svm"].coefficients.items():
        found = ensemble.classifiers["svm"].coefficients[block]
        np.testing.assert_allclose(found, coefficients, atol=0.05)


@pytest.mark.parametrize("vectors", [True, False])
def test_an_ensemble_that_is_read_predicts_identically(vectors, tmp_path):
    products, labels, folds = catalogue()
    if not vectors:
        products = without_vectors(products)
    ensemble, _ = text_ensemble.fit(products, labels, folds, SETTINGS, **OPTIONS)
    ensemble.write(tmp_path)
    restored = text_ensemble.read(tmp_path, SETTINGS)
    expected = ensemble.probabilities(products)
    assert restored.probabilities(products).tobytes() == expected.tobytes()
    assert restored.summary() == ensemble.summary()


def test_classifiers_equal_those_of_scikit_learn():
    products, labels, folds = catalogue()
    settings = replace(SETTINGS, vector_scale=2.0)
    ensemble, _ = text_ensemble.fit(products, labels, folds, settings, **OPTIONS)
    features = terms.transform(
        products.titles, products.descriptions, ensemble.terms, **SETTINGS.ngrams
    )
    vectors = {kind: values.astype(np.float32) for kind, values in products.vectors.items()}
    features |= {"title": 2 * vectors["title"], "description": vectors["description"]}
    stacked = sparse.csr_array(sparse.hstack([*map(sparse.csr_array, features.values())]))
    svm = LinearSVC(C=1.0, random_state=5).fit(stacked, labels)
    expected = {"svm": svm.decision_function(stacked)}
    for block in ("words", "characters"):
        bayes = MultinomialNB(alpha=0.01).fit(features[block], labels)
        expected[f"naive_bayes_{block}"] = bayes.predict_joint_log_proba(features[block])
    for name, classifier in ensemble.classifiers.items():
        found = classifier.decision_function(features)[:, list(WORDS)]
        np.testing.assert_allclose(found, expected[name], atol=0.1 if name == "svm" else 1e-4)


@pytest.mark.parametrize("vectors", [True, False])
def test_refit_keeps_the_stacking_and_uses_the_words_of_all_products(vectors, tmp_path):
    products, labels, folds = catalogue()
    titles = [*products.titles[:-3], *["nouveau cle"] * 3]
    products = replace(products, titles=titles)
    if not vectors:
        products = without_vectors(products)
    fewer = np.arange(45)
    ensemble, _ = text_ensemble.fit(
        products.take(fewer), labels[fewer], folds[fewer], SETTINGS, **OPTIONS
    )
    ensemble.write(tmp_path)
    stored = text_ensemble.read(tmp_path, SETTINGS)
    again = text_ensemble.refit(products, labels, stored, SETTINGS, seed=5)
    for name, values in ensemble.stacking.arrays().items():
        np.testing.assert_array_equal(again.stacking.arrays()[name], values)
    assert "nouveau" not in ensemble.terms["words"][0]
    assert "nouveau" in again.terms["words"][0]
    assert accuracy(again.probabilities(products), labels) >= 0.95


def test_refit_on_the_same_rows_changes_nothing(tmp_path):
    products, labels, folds = catalogue()
    ensemble, out_of_fold = text_ensemble.fit(products, labels, folds, SETTINGS, **OPTIONS)
    again = text_ensemble.refit(products, labels, ensemble, SETTINGS, seed=5)
    assert content(tmp_path, again, out_of_fold) == content(tmp_path, ensemble, out_of_fold)


def test_with_one_fold_out_of_fold_scores_are_constant(scores):
    products, labels, _ = catalogue()
    ensemble, out_of_fold = text_ensemble.fit(products, labels, np.full(48, 1), SETTINGS, **OPTIONS)
    assert len(scores[0]) == 3
    assert all(np.ptp(values, axis=0).max() == 0 for values in scores[0])
    assert np.ptp(out_of_fold, axis=0).max() == 0
    assert np.isfinite(ensemble.probabilities(products)).all()


@pytest.mark.slow
def test_threads_and_another_run_give_the_same_bytes(tmp_path):
    products, labels, folds = catalogue()
    one, two, again = (
        content(
            tmp_path,
            *text_ensemble.fit(products, labels, folds, SETTINGS, seed=5, threads=threads),
        )
        for threads in (1, 2, 2)
    )
    assert one == two == again


def test_out_of_fold_probabilities_hardly_depend_on_the_labels_of_their_fold():
    """Only through the scores of other folds, which the stacking is fitted on."""
    products, labels, folds = catalogue()
    other = np.where(folds == 2, 0, labels)
    _, before = text_ensemble.fit(products, labels, folds, SETTINGS, **OPTIONS)
    _, after = text_ensemble.fit(products, other, folds, SETTINGS, **OPTIONS)
    own = folds == 2
    assert np.abs(after - before)[own].max() < 0.15
    assert np.abs(after - before)[~own].max() > 0.3


def test_permuting_products_permutes_probabilities():
    products, labels, folds = catalogue()
    order = np.random.default_rng(2).permutation(48)
    _, out_of_fold = text_ensemble.fit(products, labels, folds, SETTINGS, **OPTIONS)
    _, moved = text_ensemble.fit(
        products.take(order), labels[order], folds[order], SETTINGS, **OPTIONS
    )
    np.testing.assert_allclose(moved, out_of_fold[order], atol=0.02)


@pytest.mark.parametrize("labels", [(0, 6), (26, 13)])
def test_two_categories(labels):
    products, expected, folds = catalogue(labels=labels)
    products = without_vectors(products)
    ensemble, out_of_fold = text_ensemble.fit(products, expected, folds, SETTINGS, **OPTIONS)
    assert accuracy(out_of_fold, expected) >= 0.9
    assert accuracy(ensemble.probabilities(products), expected) == 1


def test_one_category():
    products, labels, folds = catalogue(labels=(6,))
    ensemble, out_of_fold = text_ensemble.fit(products, labels, folds, SETTINGS, **OPTIONS)
    assert accuracy(out_of_fold, labels) == accuracy(ensemble.probabilities(products), labels) == 1


def test_a_category_of_one_fold_is_unknown_to_the_other_folds(scores):
    """Its out-of-fold scores are the lowest; only the calibration's bias raises its probability."""
    products, labels, folds = catalogue()
    folds = np.where(labels == 26, 1, folds)
    ensemble, out_of_fold = text_ensemble.fit(products, labels, folds, SETTINGS, **OPTIONS)
    assert accuracy(out_of_fold[labels != 26], labels[labels != 26]) >= 0.9
    svm_scores, *bayes_scores = (values[labels == 26] for values in scores[0])
    assert (svm_scores[:, 26] == -1).all()
    for values in bayes_scores:
        assert (values[:, 26] == values.min(axis=1)).all()
    assert accuracy(ensemble.probabilities(products), labels) >= 0.9


def test_categories_without_a_train_product_are_never_predicted():
    products, labels, folds = catalogue()
    ensemble, out_of_fold = text_ensemble.fit(products, labels, folds, SETTINGS, **OPTIONS)
    titles, descriptions = ["", "9", "roman steam socle tiroir"], ["", "zz", ""]
    unknown = texts(titles, descriptions, np.array([1, 2, 3]), np.random.default_rng(0))
    predicted = np.concatenate([ensemble.probabilities(unknown), out_of_fold]).argmax(axis=1)
    assert set(predicted) <= set(WORDS)


@pytest.mark.parametrize("vectors", [True, False])
def test_texts_without_any_term(vectors):
    products, labels, folds = catalogue(labels=(0, 6, 6, 6))
    products = replace(products, titles=[""] * 48, descriptions=["?"] * 48)
    if not vectors:
        products = without_vectors(products)
    ensemble, out_of_fold = text_ensemble.fit(products, labels, folds, SETTINGS, **OPTIONS)
    assert ensemble.summary()["terms"] == 0
    assert accuracy(out_of_fold, labels) == pytest.approx(1 if vectors else 0.75)
    assert accuracy(ensemble.probabilities(products), labels) == pytest.approx(
        1 if vectors else 0.75
    )


@pytest.mark.parametrize("vectors", [True, False])
def test_no_rows(vectors, tmp_path):
    products, labels, folds = catalogue()
    if not vectors:
        products = without_vectors(products)
    none = np.zeros(0, np.int64)
    ensemble, out_of_fold = text_ensemble.fit(
        products.take(none), labels[:0], folds[:0], SETTINGS, **OPTIONS
    )
    assert out_of_fold.shape == (0, 27)
    assert ensemble.summary()["terms"] == 0
    ensemble.write(tmp_path)
    restored = text_ensemble.read(tmp_path, SETTINGS)
    np.testing.assert_allclose(restored.probabilities(products), 1 / 27, rtol=1e-6)


def test_no_products_to_classify():
    products, labels, folds = catalogue()
    ensemble, _ = text_ensemble.fit(products, labels, folds, SETTINGS, **OPTIONS)
    assert ensemble.probabilities(products.take(np.zeros(0, np.int64))).shape == (0, 27)


def test_summary_counts_terms_and_parameters():
    products, labels, folds = catalogue()
    ensemble, _ = text_ensemble.fit(products, labels, folds, SETTINGS, **OPTIONS)
    count = sum(len(found) for found, _ in ensemble.terms.values())
    svm, naive_bayes, corrections = count + 24, count, 3 * 27
    assert ensemble.summary() == {
        "terms": count,
        "parameters": 27 * (svm + naive_bayes + corrections),
    }


def test_take_selects_all_fields():
    products, _, _ = catalogue()
    taken = products.take(np.array([3, 1]))
    assert taken.ids.tolist() == [103, 101]
    assert taken.titles == [products.titles[3], products.titles[1]]
    assert taken.descriptions == [products.descriptions[3], products.descriptions[1]]
    assert taken.vectors.keys() == products.vectors.keys()
    for kind in taken.vectors:
        np.testing.assert_array_equal(taken.vectors[kind], products.vectors[kind][[3, 1]])
