import hashlib
import importlib

import numpy as np
import pytest

from rakuten import storage
from rakuten.text import encoder

NETWORK = "build/resources/encoder/sentence_encoder.onnx"


def vector(text):
    """What the fake network says of a text: 512 numbers of length 1 that no other text has."""
    seed = int(hashlib.md5(text.encode()).hexdigest()[:8], 16)
    numbers = np.random.default_rng(seed).normal(size=encoder.WIDTH)
    return (numbers / np.linalg.norm(numbers)).astype(np.float32)


@pytest.fixture
def encode(tmp_path):
    def call(kinds, **options):
        options = {"encoder": "use_multilingual", "threads": 1} | options
        return encoder.encode(tmp_path / "network.onnx", kinds, **options)

    return call


@pytest.mark.parametrize("batch", [1, 2, 256])
def test_equal_texts_are_encoded_once_and_rows_keep_their_order(heard, encode, monkeypatch, batch):
    monkeypatch.setattr(encoder, "BATCH", batch)
    titles = ["lampe", "jeu", "", "lampe", "lit"]
    bodies = ["jeu", "un lit", "lampe", " ", ""]
    vectors = encode({"title": titles, "description": bodies})
    assert list(vectors) == ["title", "description"]
    assert sorted(heard) == ["jeu", "lampe", "lit", "un lit"]
    for found, texts in zip(vectors.values(), (titles, bodies), strict=True):
        assert found.dtype == np.float16
        expected = [vector(text) if text.strip() else np.zeros(512) for text in texts]
        np.testing.assert_array_equal(found, np.array(expected, np.float16))


def test_blank_texts_are_rows_of_zeros_and_never_reach_the_network(heard, encode):
    late = " " * encoder.MAX_CHARACTERS + "lampe"
    vectors = encode({"title": ["", " ", "\n\t", late]})
    assert vectors["title"].shape == (4, 512)
    assert not vectors["title"].any()
    assert heard == []


def test_long_texts_are_cut_and_equal_beginnings_count_as_equal(heard, encode):
    start = "é" * encoder.MAX_CHARACTERS
    vectors = encode({"title": [start + "a", start + "b", start, start[1:]]})["title"]
    assert heard == [start, start[1:]]
    assert (vectors[0] == vectors[2]).all()
    assert (vectors[1] == vectors[2]).all()
    assert (vectors[3] != vectors[2]).any()


def test_the_encoder_itself_cuts_too(heard, tmp_path):
    encoder.SentenceEncoder(tmp_path / "network.onnx").encode(["x" * 1000, " " * 400 + "y"])
    assert heard == ["x" * encoder.MAX_CHARACTERS]


def test_no_products(heard, encode):
    vectors = encode({"title": [], "description": []})
    assert {kind: found.shape for kind, found in vectors.items()} == {
        "title": (0, 512),
        "description": (0, 512),
    }


def test_progress_is_shown_by_batches(heard, encode, monkeypatch):
    monkeypatch.setattr(encoder, "BATCH", 2)
    shown = []

    def progress(items, **about):
        shown.append(about)
        yield from items

    vectors = encode({"title": ["a", "b", "c", "a"]}, progress=progress)
    assert shown == [{"total": 2, "unit": "batch", "description": "encode"}]
    assert vectors["title"].shape == (4, 512)


def test_few_texts_start_no_process(heard, encode):
    """A new process would not know the fake network."""
    assert encode({"title": ["a", "b"]}, threads=8)["title"].any(axis=1).all()


def test_none_gives_nothing_and_needs_no_file(tmp_path):
    kinds = {"title": ["lampe"]}
    assert encoder.encode(tmp_path / "none.onnx", kinds, encoder="none", threads=1) == {}


def test_an_unknown_encoder_is_refused(heard, encode):
    with pytest.raises(ValueError, match=r"encode\.encoder is 'bert': expected one of use_multi"):
        encode({"title": ["lampe"]}, encoder="bert")


def test_a_missing_network_says_what_to_do(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"none\.onnx is not there: run 'dvc repro res"):
        encoder.encode(
            tmp_path / "none.onnx", {"title": ["a"]}, encoder="use_multilingual", threads=1
        )


def test_a_killed_run_goes_on_with_the_next_batch(heard, encode, monkeypatch, tmp_path):
    monkeypatch.setattr(encoder, "BATCH", 2)
    titles = ["a", "b", "c", "d", "e", "f"]
    expected = encode({"title": titles})["title"]

    def killed(items, **about):
        for number, item in enumerate(items):
            if number == 2:
                raise KeyboardInterrupt
            yield item

    shards = storage.Shards(tmp_path / "shards", "key")
    with pytest.raises(KeyboardInterrupt):
        encode({"title": titles}, progress=killed, shards=shards)
    heard.clear()
    found = encode({"title": ["z", *titles[:5]], "description": ["A"] * 6}, shards=shards)
    assert heard == ["z", "e"]
    assert found["title"][1:].tobytes() == expected[:5].tobytes()
    assert found["description"].tobytes() == expected[:1].repeat(6, axis=0).tobytes()
    heard.clear()
    again = encode({"title": titles[:5]}, shards=storage.Shards(tmp_path / "shards", "key"))
    assert heard == []
    assert again["title"].tobytes() == expected[:5].tobytes()


def test_parts_are_another_network_s_or_another_program_s(tmp_path, monkeypatch):
    network = tmp_path / "network.onnx"
    none = encoder.fingerprint(network)
    network.write_bytes(b"one")
    one = encoder.fingerprint(network)
    assert one == encoder.fingerprint(network) != none
    network.write_bytes(b"two")
    assert encoder.fingerprint(network) not in (one, none)
    network.write_bytes(b"one")
    monkeypatch.setattr(encoder.onnxruntime, "__version__", "0")
    assert encoder.fingerprint(network) != one


@pytest.mark.slow
def test_the_real_network_knows_languages_and_judges_each_text_by_itself(
    built_repository, monkeypatch
):
    importlib.import_module("tensorflow")  # as in a process that also sees pictures
    path = built_repository / NETWORK
    pairs = [
        ("Une lampe de bureau noire en métal", "A black metal desk lamp"),
        ("Jeu vidéo pour console Nintendo", "Video game for Nintendo console"),
        ("Piscine gonflable pour enfants", "Inflatable pool for children"),
    ]
    french, english = map(list, zip(*pairs, strict=True))
    options = {"encoder": "use_multilingual", "threads": 1}
    found = encoder.encode(path, {"french": french, "english": english}, **options)
    likeness = found["french"].astype(float) @ found["english"].astype(float).T
    np.testing.assert_allclose(np.linalg.norm(found["french"].astype(float), axis=1), 1, atol=1e-3)
    assert np.diag(likeness).min() > 0.6
    assert likeness[~np.eye(3, dtype=bool)].max() < 0.4
    alone = [encoder.encode(path, {"french": [text]}, **options)["french"][0] for text in french]
    assert np.array(alone).tobytes() == found["french"].tobytes()
    monkeypatch.setattr(encoder, "WORTH_A_PROCESS", 1)
    monkeypatch.setattr(encoder, "BATCH", 2)
    spread = encoder.encode(
        path, {"french": french, "english": english}, **options | {"threads": 2}
    )
    assert spread["english"].tobytes() == found["english"].tobytes()


def test_capitals_do_not_matter(heard, encode):
    vectors = encode({"title": ["GRANDE TABLE", "grande table", "Été"]})["title"]
    np.testing.assert_array_equal(vectors[0], vectors[1])
    assert heard == ["grande table", "été"]


@pytest.mark.parametrize("first", ["tensorflow", "onnxruntime"])
def test_a_network_is_not_loaded_after_tensorflow(first, monkeypatch, tmp_path):
    """The process would crash, as the slow test below would if it did not get another process."""
    second = {"tensorflow": "onnxruntime", "onnxruntime": "tensorflow"}[first]
    monkeypatch.setattr(encoder.sys, "modules", {"os": 1, first: 1, second: 1})
    assert encoder.tensorflow_imported_first() == (first == "tensorflow")
    if first == "tensorflow":
        with pytest.raises(encoder.ImportOrderError, match=r"import rakuten\.text\.encoder first"):
            encoder.SentenceEncoder(tmp_path / "network.onnx")
