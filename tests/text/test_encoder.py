import hashlib
import importlib
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from repository import ROOT

from rakuten import onnx_models, storage
from rakuten.data import resources
from rakuten.feature_store import FeatureStore
from rakuten.onnx_models import EncoderError
from rakuten.text import encoder, html
from rakuten.text.encoder import EncoderSpec

ENTRY = resources.read_table(ROOT / resources.TABLE)["use_multilingual"]
SPEC = EncoderSpec.from_table("use_multilingual", ENTRY)


def vector(text):
    """The fake network's vector of a text: of length 1, different for every text."""
    seed = int(hashlib.md5(text.encode()).hexdigest()[:8], 16)
    numbers = np.random.default_rng(seed).normal(size=SPEC.width)
    return (numbers / np.linalg.norm(numbers)).astype(np.float32)


@pytest.fixture
def calls():
    """The number of texts in each call of the network."""
    return []


@pytest.fixture
def encoded(monkeypatch, tmp_path, calls):
    """The texts that reached the network, which is a fake one."""
    texts = []

    class Input:
        name = "texts"

    class Session:
        def __init__(self, path, options, providers):
            assert options.intra_op_num_threads == options.inter_op_num_threads == 1

        def get_inputs(self):
            return [Input]

        def run(self, outputs, feeds):
            ((name, batch),) = feeds.items()
            assert name == "texts"
            calls.append(len(batch))
            texts.extend(batch)
            return [np.array([vector(text) for text in batch])]

    monkeypatch.setattr(onnx_models.onnxruntime, "InferenceSession", Session)
    monkeypatch.setattr(onnx_models, "tensorflow_imported_first", lambda: False)
    (tmp_path / "network.onnx").touch()
    return texts


@pytest.fixture
def encode(tmp_path):
    def call(kinds, spec=SPEC, **options):
        options = {"threads": 1} | options
        return encoder.encode((tmp_path / "network.onnx", spec), kinds, **options)

    return call


@pytest.mark.parametrize("batch", [1, 2, 256])
def test_equal_texts_are_encoded_once_and_rows_keep_their_order(
    encoded, encode, monkeypatch, batch
):
    monkeypatch.setattr(encoder, "BATCH", batch)
    titles = ["lampe", "jeu", "", "lampe", "lit"]
    descriptions = ["jeu", "un lit", "lampe", " ", ""]
    vectors = encode({"title": titles, "description": descriptions})
    assert list(vectors) == ["title", "description"]
    assert sorted(encoded) == ["jeu", "lampe", "lit", "un lit"]
    for found, texts in zip(vectors.values(), (titles, descriptions), strict=True):
        assert found.dtype == np.float16
        expected = [vector(text) if text.strip() else np.zeros(512) for text in texts]
        np.testing.assert_array_equal(found, np.array(expected, np.float16))


def test_blank_texts_are_rows_of_zeros_and_never_reach_the_network(encoded, encode):
    late = " " * SPEC.max_characters + "lampe"
    vectors = encode({"title": ["", " ", "\n\t", late]})
    assert vectors["title"].shape == (4, 512)
    assert not vectors["title"].any()
    assert encoded == []


def test_long_texts_are_cut_and_equal_beginnings_count_as_equal(encoded, encode):
    start = "é" * SPEC.max_characters
    vectors = encode({"title": [start + "a", start + "b", start, start[1:]]})["title"]
    assert encoded == [start, start[1:]]
    assert (vectors[0] == vectors[2]).all()
    assert (vectors[1] == vectors[2]).all()
    assert (vectors[3] != vectors[2]).any()


def test_the_encoder_cuts_long_texts(encoded, tmp_path):
    encoder.SentenceEncoder(tmp_path / "network.onnx", SPEC).encode(["x" * 1000, " " * 400 + "y"])
    assert encoded == ["x" * SPEC.max_characters]


@pytest.mark.parametrize(("batch", "expected"), [(1, [1, 1, 1, 1, 1]), (2, [2, 2, 1]), (9, [5])])
def test_texts_go_through_the_network_in_batches(encoded, calls, tmp_path, batch, expected):
    network = encoder.SentenceEncoder(tmp_path / "network.onnx", replace(SPEC, batch=batch))
    vectors = network.encode(["a", "", "b", "c", " ", "d", "e"])
    assert calls == expected
    assert vectors.any(axis=1).tolist() == [True, False, True, True, False, True, True]
    np.testing.assert_array_equal(vectors[5], vector("d").astype(np.float16))


def test_the_result_does_not_depend_on_the_number_of_threads(encoded, encode, monkeypatch):
    monkeypatch.setattr(encoder, "BATCH", 3)
    titles = [f"titre {number}" for number in range(50)]
    expected = encode({"title": titles})["title"]
    assert encode({"title": titles}, threads=4)["title"].tobytes() == expected.tobytes()


def test_no_products(encoded, encode):
    vectors = encode({"title": [], "description": []})
    assert {kind: found.shape for kind, found in vectors.items()} == {
        "title": (0, 512),
        "description": (0, 512),
    }


def test_progress_is_shown_by_batches(encoded, encode, monkeypatch):
    monkeypatch.setattr(encoder, "BATCH", 2)
    shown = []

    def progress(items, **about):
        shown.append(about)
        yield from items

    vectors = encode({"title": ["a", "b", "c", "a"]}, progress=progress)
    assert shown == [{"total": 2, "unit": "batch", "description": "encode"}]
    assert vectors["title"].shape == (4, 512)


def test_without_an_encoder_there_are_no_vectors():
    assert encoder.find("none") is None
    assert encoder.encode(None, {"title": ["lampe"]}, threads=1) == {}


def test_the_encoder_is_found_in_the_folder_that_resources_wrote(tmp_path):
    (tmp_path / "mine.onnx").touch()
    storage.write_json(tmp_path / "index.json", {"mine": {**ENTRY, "file": "mine.onnx"}})
    assert encoder.find("mine", tmp_path) == (tmp_path / "mine.onnx", replace(SPEC, name="mine"))
    with pytest.raises(FileNotFoundError, match=r"the encoder 'bert': run 'dvc repro resources'"):
        encoder.find("bert", tmp_path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"modality": "image"}, "has modality 'image', expected 'text'"),
        ({"language": "fr"}, "has other keys than expected .*'language'"),
    ],
)
def test_an_entry_with_other_keys_is_refused(changes, message):
    entry = {**ENTRY, "encoder": {**ENTRY["encoder"], **changes}}
    with pytest.raises(EncoderError, match=f"the encoder 'mine' {message}.*: correct its entry"):
        EncoderSpec.from_table("mine", entry)


def test_vectors_of_another_length_are_refused(encoded, encode):
    with pytest.raises(EncoderError, match=r"returns \(1, 512\), expected \(1, 300\)"):
        encode({"title": ["lampe"]}, spec=replace(SPEC, width=300))


def test_a_package_carries_the_spec_as_json(tmp_path):
    storage.write_json(tmp_path / "spec.json", SPEC.to_json())
    assert EncoderSpec.from_json(storage.read_json(tmp_path / "spec.json")) == SPEC


def test_a_killed_run_continues_without_encoding_known_texts_again(
    encoded, encode, monkeypatch, tmp_path
):
    monkeypatch.setattr(encoder, "BATCH", 2)
    titles = ["a", "b", "c", "d", "e", "f"]
    expected = encode({"title": titles})["title"]

    def killed(items, **about):
        for number, item in enumerate(items):
            if number == 2:
                raise KeyboardInterrupt
            yield item

    store = FeatureStore(tmp_path, "key")
    with pytest.raises(KeyboardInterrupt):
        encode({"title": titles}, progress=killed, store=store)
    encoded.clear()
    found = encode({"title": ["z", *titles[:5]], "description": ["A"] * 6}, store=store)
    assert encoded == ["z", "e"]
    assert found["title"][1:].tobytes() == expected[:5].tobytes()
    assert found["description"].tobytes() == expected[:1].repeat(6, axis=0).tobytes()
    encoded.clear()
    again = encode({"title": titles[:5]}, store=FeatureStore(tmp_path, "key"))
    assert encoded == []
    assert again["title"].tobytes() == expected[:5].tobytes()


def test_fingerprint_changes_with_the_network_its_use_and_the_library(monkeypatch):
    specs = [SPEC, *(replace(SPEC, **change) for change in CHANGES)]
    known = {encoder.fingerprint(("network.onnx", spec)) for spec in specs}
    known.add(encoder.fingerprint(None))
    assert len(known) == len(specs) + 1
    assert encoder.fingerprint(("elsewhere.onnx", replace(SPEC))) in known
    monkeypatch.setattr(onnx_models, "VERSION", "0")
    assert encoder.fingerprint(("network.onnx", SPEC)) not in known


def open_session(path, *, custom_operators):
    """Leave the options at their defaults."""
    return onnx_models.onnxruntime.InferenceSession(path)


def test_fingerprint_changes_with_the_options_of_the_session(monkeypatch):
    known = encoder.fingerprint(("network.onnx", SPEC))
    monkeypatch.setattr(onnx_models, "open_session", open_session)
    assert encoder.fingerprint(("network.onnx", SPEC)) != known


CHANGES = (
    {"sha256": "0" * 64},
    {"width": 300},
    {"max_characters": 300},
    {"lowercase": False},
    {"batch": 1},
)


@pytest.mark.parametrize(
    ("old", "new", "harmless"),
    [
        ('"""Encode texts, `spec', '"""Encode the texts, `spec', True),
        ("has other keys than", "has keys other than", True),
        ("start.lower()", "start.upper()", False),
    ],
)
def test_fingerprint_changes_only_with_edits_that_can_change_vectors(tmp_path, old, new, harmless):
    library = Path(encoder.__file__).parents[1]
    shutil.copytree(library, tmp_path / "rakuten")
    module = tmp_path / "rakuten/text/encoder.py"
    assert old in module.read_text()
    module.write_text(module.read_text().replace(old, new))
    code = "from rakuten.text import encoder; print(encoder.fingerprint(None))"
    edited = subprocess.check_output([sys.executable, "-c", code], cwd=tmp_path, text=True)
    assert (edited.strip() == encoder.fingerprint(None)) == harmless


@pytest.mark.slow
def test_the_real_network_matches_translations(built_repository, monkeypatch):
    importlib.import_module("tensorflow")  # as in a process that also uses images
    found = encoder.find("use_multilingual", built_repository / encoder.FOLDER)
    pairs = [
        ("Une lampe de bureau noire en métal", "A black metal desk lamp"),
        ("Jeu vidéo pour console Nintendo", "Video game for Nintendo console"),
        ("Piscine gonflable pour enfants", "Inflatable pool for children"),
    ]
    french, english = map(list, zip(*pairs, strict=True))
    vectors = encoder.encode(found, {"french": french, "english": english}, threads=1)
    similarity = vectors["french"].astype(float) @ vectors["english"].astype(float).T
    lengths = np.linalg.norm(vectors["french"].astype(float), axis=1)
    np.testing.assert_allclose(lengths, 1, atol=1e-3)
    assert np.diag(similarity).min() > 0.6
    assert similarity[~np.eye(3, dtype=bool)].max() < 0.4
    monkeypatch.setattr(encoder, "TEXTS_PER_PROCESS", 1)
    monkeypatch.setattr(encoder, "BATCH", 2)
    spread = encoder.encode(found, {"french": french, "english": english}, threads=2)
    assert spread["english"].tobytes() == vectors["english"].tobytes()


@pytest.mark.slow
def test_a_vector_does_not_depend_on_the_texts_of_its_batch(built_repository):
    path, spec = encoder.find("use_multilingual", built_repository / encoder.FOLDER)
    products = storage.read_table(built_repository / "build/clean/products.parquet")
    texts = [
        text for both in zip(*html.plain_texts(products), strict=True) for text in both if text
    ]
    texts = texts[:400]
    alone = encoder.SentenceEncoder(path, replace(spec, batch=1)).encode(texts)
    generator = np.random.default_rng(0)
    for size in (2, spec.batch, 100):
        order = generator.permutation(len(texts))
        network = encoder.SentenceEncoder(path, replace(spec, batch=size))
        found = network.encode([texts[row] for row in order])
        assert found.tobytes() == alone[order].tobytes()


def test_capitals_do_not_matter(encoded, encode):
    vectors = encode({"title": ["GRANDE TABLE", "grande table", "Été"]})["title"]
    np.testing.assert_array_equal(vectors[0], vectors[1])
    assert encoded == ["grande table", "été"]


@pytest.mark.parametrize("first", ["tensorflow", "onnxruntime"])
def test_the_network_is_not_loaded_after_tensorflow(first, monkeypatch, tmp_path):
    """It would crash the process."""
    second = {"tensorflow": "onnxruntime", "onnxruntime": "tensorflow"}[first]
    modules = SimpleNamespace(modules={"os": 1, first: 1, second: 1})
    monkeypatch.setattr(onnx_models, "sys", modules)
    assert onnx_models.tensorflow_imported_first() == (first == "tensorflow")
    if first == "tensorflow":
        with pytest.raises(
            onnx_models.ImportOrderError, match=r"import rakuten\.onnx_models first"
        ):
            encoder.SentenceEncoder(tmp_path / "network.onnx", SPEC)


@pytest.mark.slow
@pytest.mark.tensorflow
def test_tensorflow_imported_through_the_library_comes_second():
    code = "from rakuten.image import backbones; from rakuten import onnx_models; "
    code += "print(onnx_models.tensorflow_imported_first())"
    found = subprocess.check_output([sys.executable, "-c", code], text=True)
    assert found.strip() == "False"
