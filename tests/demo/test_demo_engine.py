"""The classifier behind the page, with small models."""

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from package_cases import colour, jpeg, title, write_package

from demo.engine import Engine
from demo.paths import FEATURES, PACKAGE, VECTORS
from rakuten import storage
from rakuten.image import extraction
from rakuten.serving import neighbours
from rakuten.serving.classifier import Product, ProductClassifier

PRODUCT = title(3), "beau", jpeg(colour(3))


@pytest.fixture
def engine(tmp_path):
    """The models of a small package, with two train products."""
    write_package(tmp_path / PACKAGE)
    ids, vectors = np.array([1, 2]), np.eye(2, 4)
    storage.write_arrays(tmp_path / VECTORS, ids=ids, title=vectors, description=vectors)
    average = np.ones((1, 2, 3))
    present = np.array([True, True])
    storage.write_arrays(tmp_path / FEATURES, ids=ids, present=present, average=average)
    opened = Engine(ids, tmp_path)
    for thread in threading.enumerate():
        if thread.name == "warm-up":
            thread.join()
    return opened


def test_an_image_is_encoded_once_for_the_answer_and_similar_products(
    engine, tmp_path, monkeypatch
):
    encodings, compute = [], extraction.compute_features

    def count(*arguments):
        encodings.append(arguments)
        return compute(*arguments)

    monkeypatch.setattr(extraction, "compute_features", count)
    answer = engine.answer(*PRODUCT)
    assert [id_ for id_, _ in engine.similar(answer, "image")] == [1, 2]
    assert engine.answer(*PRODUCT) is answer
    assert len(encodings) == 1
    expected = ProductClassifier.load(tmp_path / PACKAGE).predict([Product(*PRODUCT)])
    assert [answer.prediction] == expected


def test_a_cached_answer_does_not_wait_for_similar_products(engine, monkeypatch):
    answer = engine.answer(*PRODUCT)

    def look_up(query, *_, **options):
        assert visitor.submit(engine.answer, *PRODUCT).result(timeout=60) is answer
        return np.array([0]), np.array([1.0])

    monkeypatch.setattr(neighbours, "nearest", look_up)
    with ThreadPoolExecutor(1) as visitor:
        assert engine.similar(answer, "text") == [(1, 1.0)]
