import random
from pathlib import Path

import numpy as np
import pytest
from langid import langid

from rakuten import storage
from rakuten.data import resources
from rakuten.text import language

ROOT = Path(__file__).parents[2]

TEXTS = [
    "Piscine hors sol ronde avec pompe de filtration et échelle",
    "Stainless steel water bottle, keeps drinks cold for a whole day",
    "Ein großer Tisch aus Eiche für den Garten und die Küche",
    "Lot de 3 coussins",
    "PS4",
    "",
    " ",
    "12345 67890",
    "日本語の本",
    "Ж" * 3,
    "\x00\x01",
    "bonjour " * 3000,
    "a" * 70_000,
]


@pytest.fixture(scope="module")
def arrays(tmp_path_factory):
    folder = tmp_path_factory.mktemp("langid")
    pinned = storage.read_yaml(ROOT / "rakuten/data/resources.yaml")["langid"]
    table = {"langid": pinned | {"output": str(folder / "langid.npz")}}
    resources.fetch(table, ["langid"], cache=folder)
    return storage.read_arrays(folder / "langid.npz")


@pytest.fixture(scope="module")
def model(arrays):
    return language.LanguageModel(arrays)


def random_texts(count: int) -> list[str]:
    """Texts of one to sixty words of several languages and noise, from a fixed seed."""
    generator = random.Random(5)
    words = [*" ".join(TEXTS[:10]).split(), "le", "the", "und", "di", "ñ", "œuvre", "x9", "§"]
    return [" ".join(generator.choices(words, k=generator.randint(1, 60))) for _ in range(count)]


def test_the_installed_model_is_the_pinned_one(arrays):
    """The fixture has checked its hash; this is what the arrays hold."""
    assert arrays["log_likelihood"].shape == (7480, 97)
    assert arrays["log_prior"].shape == arrays["codes"].shape == (97,)
    assert arrays["next_state"].shape == (9118 * 256,)
    assert arrays["output_state"].shape == arrays["output_feature"].shape == (10369,)


def test_labels_of_known_languages(model):
    assert model.classify(TEXTS[:3]) == ["fr", "en", "de"]


def test_labels_equal_langid_row_by_row(model):
    texts = TEXTS + random_texts(80)
    assert model.classify(texts) == [langid.classify(text)[0] for text in texts]


def test_batches_do_not_change_labels(model, monkeypatch):
    texts = TEXTS + random_texts(40)
    expected = model.classify(texts)
    monkeypatch.setattr(language, "BATCH_BYTES", 100)
    assert model.classify(texts) == expected
    assert [model.classify([text])[0] for text in texts] == expected


def test_no_texts(model):
    assert model.classify([]) == []


def test_close_calls_are_left_to_langid(model, monkeypatch):
    """With an endless margin every text is a close call."""
    texts = TEXTS + random_texts(20)
    asked = []
    classify = langid.LanguageIdentifier.classify
    monkeypatch.setattr(
        langid.LanguageIdentifier,
        "classify",
        lambda self, text: asked.append(text) or classify(self, text),
    )
    monkeypatch.setattr(language, "MARGIN", np.inf)
    labels = model.classify(texts)
    assert asked == texts
    assert labels == [langid.classify(text)[0] for text in texts]


def test_languages_that_tie_are_decided_as_langid_does(arrays):
    """Two columns made equal: langid takes the first, whatever the last bits of a product say."""
    columns = {name: arrays[name].copy() for name in ("log_likelihood", "log_prior")}
    codes = arrays["codes"].tolist()
    french, other = codes.index("fr"), codes.index("af")
    for column in columns.values():
        column[..., other] = column[..., french]
    assert other < french
    tied = language.LanguageModel(arrays | columns)
    assert tied.classify(TEXTS[:3]) == ["af", "en", "de"]
