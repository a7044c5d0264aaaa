import numpy as np

from rakuten import storage
from rakuten.models import calibration, ensemble_files, image_ensemble, text_ensemble
from rakuten.models.text_ensemble import Settings, Texts

SETTINGS = Settings(
    word_ngrams=1, character_ngrams=3, min_df=1, max_terms=500, svm_regularization=1.0,
    smoothing=0.1, landmarks=20, ridge=0.1, offsets=1.0, folds=2, augmented_copies=0,
)  # fmt: skip


def test_classifiers_that_were_written_predict_as_before(tmp_path):
    generator = np.random.default_rng(0)
    labels, folds = np.tile([0, 1, 2], 8), np.repeat([0, 1], 12)
    vectors = {"title": generator.standard_normal((24, 8)).astype(np.float16)}
    titles = [f"{('livre', 'jeu', 'table')[label]} {row}" for row, label in enumerate(labels)]
    texts = Texts(np.arange(24), titles, [""] * 24, vectors)
    text, _ = text_ensemble.fit(texts, labels, folds, SETTINGS, seed=0, threads=1)
    ensemble_files.write_text(tmp_path / "text", text)
    again = ensemble_files.read_text(tmp_path / "text", SETTINGS)
    np.testing.assert_array_equal(again.probabilities(texts), text.probabilities(texts))

    settings = image_ensemble.Settings(
        average=1.0, grid=0.0, middle=0.0, frame=0.0, landmarks=20, ridge=0.1, offsets=1.0, folds=2
    )
    view = {"average": generator.random((24, 8), np.float32)}
    image, _ = image_ensemble.fit([view], labels, folds, settings, seed=0)
    storage.write_arrays(tmp_path / "image" / "weights.npz", **image.arrays())
    again = ensemble_files.read_image(tmp_path / "image")
    np.testing.assert_array_equal(again.probabilities([view]), image.probabilities([view]))

    pool = calibration.Pool(np.array([0.8, 0.6]), np.linspace(-1, 1, 27))
    storage.write_arrays(
        tmp_path / "fusion" / "weights.npz", weights=pool.weights, offsets=pool.offsets
    )
    again = ensemble_files.read_fusion(tmp_path / "fusion")
    np.testing.assert_array_equal(again.weights, pool.weights)
    np.testing.assert_array_equal(again.offsets, pool.offsets)
