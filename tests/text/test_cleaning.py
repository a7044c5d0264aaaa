from concurrent.futures import ThreadPoolExecutor

import nltk.corpus
import nltk.data
import numpy as np
import pandas as pd
import pytest
from naive_text import TAGS, WORDS, Naive, random_lines
from nltk.corpus.reader import WordNetCorpusReader
from nltk.corpus.util import LazyCorpusLoader
from nltk_cases import write_nltk_data
from repository import ROOT

from rakuten import storage
from rakuten.data import resources
from rakuten.text import cleaning

EXCERPT = ROOT.parent / "shared" / "rakuten_excerpt"
OPTIONS = {"min_token_length": 2, "lemmatize": True, "remove_stopwords": True}


@pytest.fixture(scope="module")
def small_folder(tmp_path_factory):
    return write_nltk_data(tmp_path_factory.mktemp("nltk"))


@pytest.fixture(scope="module")
def pinned_folder(tmp_path_factory):
    """The real NLTK data, fetched as the stage does."""
    folder = tmp_path_factory.mktemp("pinned")
    table = storage.read_yaml(ROOT / "rakuten/data/resources.yaml")
    names = ["wordnet", "stopwords", "punkt_tab"]
    moved = {n: table[n] | {"output": str(folder / table[n]["output"])} for n in names}
    resources.fetch(moved, names)
    return folder / "build/resources/nltk"


@pytest.fixture
def naive(small_folder, monkeypatch):
    return Naive(small_folder, monkeypatch)


@pytest.fixture(autouse=True)
def unloaded_wordnet(monkeypatch):
    """Let NLTK load WordNet again, from the folder of the test: it keeps one per process."""
    other_languages = LazyCorpusLoader("omw-1.4", WordNetCorpusReader, None)
    wordnet = LazyCorpusLoader("wordnet", WordNetCorpusReader, other_languages)
    monkeypatch.setattr(nltk.corpus, "wordnet", wordnet)


@pytest.fixture
def cleaner(small_folder):
    return cleaning.Cleaner(small_folder, **OPTIONS)


@pytest.mark.parametrize(
    ("title", "description", "language", "tokens"),
    [
        ("Lampe de bureau pour la chambre", "", "fr", "lampe bureau chambre"),
        ("The dogs and the boxes of the men", "", "en", "dog box man"),
        ("Der Tisch und die Knives", "mit der Lampe", "de", "tisch die knife lampe"),
        ("Magazine n°45 pour le wi-fi, 3.5 cm", "", "fr", "magazine n°45 wi-fi 3.5 cm"),
        ("Le bleu", "<p>Les   <b>jeux</b> &eacute;ducatifs</p>", "fr", "bleu jeux éducatifs"),
        ("Un pour les et de la", "", "fr", ""),
    ],
)
def test_known_products(cleaner, title, description, language, tokens):
    assert cleaner.clean([title], [description]) == {
        "has_text": [True],
        "language": [language],
        "tokens": [tokens],
        "num_tokens": [len(tokens.split())],
    }


def test_products_without_text(cleaner):
    columns = cleaner.clean(["", "<br>", " \t", "Lampe"], ["", "&nbsp;<p></p>", "", ""])
    assert columns["has_text"] == [False, False, False, True]
    assert columns["language"][:3] == columns["tokens"][:3] == ["", "", ""]
    assert columns["num_tokens"] == [0, 0, 0, 1]


def test_odd_products_are_cleaned(cleaner, naive):
    odd = ["x", ".", "\x00", "'", "...", "日", "<", "&", "-" * 2000, "mot. " * 300, "1" * 2000]
    columns = cleaner.clean(odd, [""] * len(odd))
    rows = [naive.clean(title, "", **OPTIONS) for title in odd]
    assert list(zip(*columns.values(), strict=True)) == rows
    assert all(columns["has_text"])


@pytest.mark.parametrize(
    "options",
    [
        OPTIONS,
        OPTIONS | {"min_token_length": 4},
        OPTIONS | {"lemmatize": False},
        OPTIONS | {"remove_stopwords": False, "min_token_length": 1},
    ],
)
@pytest.mark.filterwarnings("ignore::bs4.MarkupResemblesLocatorWarning")
@pytest.mark.filterwarnings("ignore::bs4.XMLParsedAsHTMLWarning")
def test_clean_equals_naive_row_by_row(small_folder, naive, options):
    titles, descriptions = random_lines(60, WORDS), random_lines(60, WORDS + TAGS[:14], seed=3)
    cleaner = cleaning.Cleaner(small_folder, **options)
    columns = cleaner.clean(titles, descriptions)
    expected = [naive.clean(*row, **options) for row in zip(titles, descriptions, strict=True)]
    assert list(zip(*columns.values(), strict=True)) == expected
    assert cleaner.clean(titles, descriptions) == columns, "the cache changes the result"


def test_tokens_equal_nltk_sentence_by_sentence(small_folder, naive):
    """No stop words, no lemmas, no least length: every token that NLTK finds is kept."""
    options = {"min_token_length": 1, "lemmatize": False, "remove_stopwords": False}
    lines = [" ".join(line.split()) for line in random_lines(800, WORDS, seed=5)]
    columns = cleaning.Cleaner(small_folder, **options).clean(lines, [""] * len(lines))
    for line, code, tokens in zip(lines, columns["language"], columns["tokens"], strict=True):
        words = naive.word_tokenize(naive.plain(line), cleaning.LANGUAGES.get(code))
        assert tokens.split() == [w.lower() for w in words if any(map(str.isalnum, w))], line


def test_languages_without_stop_words_use_french_and_english_ones(cleaner, monkeypatch):
    title = "Lampe de la the of und mit"
    expected = {"br": "lampe und mit", "de": "lampe de la the of", "en": "lampe de la und mit"}
    for code, tokens in expected.items():
        monkeypatch.setattr(cleaning, "detect_language", lambda text, code=code: code)
        assert cleaner.clean([title], [""])["tokens"] == [tokens]


def test_languages_without_sentence_rules_use_french_ones(small_folder, monkeypatch):
    """The period of an abbreviation stays in its token; vol. is one in French only."""
    cleaner = cleaning.Cleaner(small_folder, **OPTIONS)
    for code, token in (("br", "vol."), ("fr", "vol."), ("de", "vol")):
        monkeypatch.setattr(cleaning, "detect_language", lambda text, code=code: code)
        assert cleaner.clean(["Magazine vol. Mer"], [""])["tokens"] == [f"magazine {token} mer"]


def test_linked_data_that_others_may_write_is_read(small_folder, tmp_path):
    """NLTK itself refuses both; a DVC cache of links and a group-writable checkout have them."""
    for name in cleaning.ARCHIVES:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).hardlink_to(small_folder / name)
    for path in (tmp_path, *tmp_path.iterdir()):
        path.chmod(0o777)
    before = list(nltk.data.path)
    columns = cleaning.Cleaner(tmp_path, **OPTIONS).clean(["Le bleu"], [""])
    assert columns["tokens"] == ["bleu"]
    assert nltk.data.path == before


def test_min_token_length_is_checked(small_folder):
    with pytest.raises(ValueError, match=r"at least 1, received 0: set clean\.min_token_length"):
        cleaning.Cleaner(small_folder, **OPTIONS | {"min_token_length": 0})


def test_missing_data_is_named_with_the_remedy(tmp_path):
    with pytest.raises(
        FileNotFoundError, match=r"no corpora/wordnet\.zip .* 'dvc repro resources'"
    ):
        cleaning.Cleaner(tmp_path, **OPTIONS)


def table(count):
    lines = random_lines(count, WORDS, seed=7)
    frame = pd.DataFrame({"designation": lines, "description": lines[::-1]}, dtype="str")
    frame.loc[::3, "description"] = np.nan
    frame.loc[5, "designation"] = np.nan
    frame.loc[6] = np.nan
    return frame


@pytest.mark.slow
def test_clean_is_the_same_in_batches_and_processes(small_folder, monkeypatch):
    frame = table(40)
    arguments = {"folder": small_folder, **OPTIONS}
    one = cleaning.clean(frame, processes=1, **arguments)
    assert list(one) == ["has_text", "language", "tokens", "num_tokens"]
    assert not one["has_text"][6]
    assert one["has_text"][5]
    assert all(len(column) == 40 for column in one.values())
    monkeypatch.setattr(cleaning, "BATCH", 7)
    monkeypatch.setattr(cleaning, "PRODUCTS_PER_PROCESS", 10)
    assert cleaning.clean(frame, processes=1, **arguments) == one
    assert cleaning.clean(frame, processes=2, **arguments) == one


def test_clean_shows_its_progress(small_folder, monkeypatch):
    monkeypatch.setattr(cleaning, "BATCH", 15)
    shown = []

    def progress(items, **about):
        shown.append(about)
        yield from items

    cleaning.clean(table(40), folder=small_folder, processes=1, progress=progress, **OPTIONS)
    assert shown == [{"total": 3, "unit": "batch", "description": "clean"}]


def test_clean_of_no_products(small_folder):
    columns = cleaning.clean(table(40)[:0], folder=small_folder, processes=2, **OPTIONS)
    assert columns == {"has_text": [], "language": [], "tokens": [], "num_tokens": []}


def test_summary():
    frame = pd.DataFrame(
        {
            "has_text": [True, True, True, False, True],
            "language": ["fr", "en", "fr", "", "de"],
            "tokens": ["lampe bleu", "lampe", "", "", "tisch tisch tisch"],
            "num_tokens": [2, 1, 0, 0, 3],
        }
    )
    assert cleaning.summarize(frame) == {
        "products": 5,
        "without_text": 1,
        "without_tokens": 1,
        "distinct_tokens": 3,
        "tokens_mean": 1.5,
        "tokens_median": 1.5,
        "languages": {"fr": 2, "de": 1, "en": 1},
    }
    assert list(cleaning.summarize(frame)["languages"]) == ["fr", "de", "en"]
    assert cleaning.summarize(frame[3:4])["tokens_mean"] == 0


def check_every_row(paths, folder, naive):
    """Clean the products of files and compare all columns; returns the number of rows."""
    frame = pd.concat([pd.read_csv(path) for path in paths])
    frame = frame[["designation", "description"]].astype("str").fillna("")
    columns = cleaning.clean(frame, folder=folder, processes=1, **OPTIONS)
    expected = [naive.clean(*row, **OPTIONS) for row in frame.itertuples(index=False)]
    rows = list(zip(*columns.values(), strict=True))
    assert [i for i, row in enumerate(rows) if row != expected[i]] == []
    return len(rows)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::bs4.MarkupResemblesLocatorWarning")
@pytest.mark.filterwarnings("ignore::bs4.XMLParsedAsHTMLWarning")
def test_clean_equals_naive_with_the_pinned_data(pinned_folder, monkeypatch):
    """The stop words and sentence rules of every language, plural nouns."""
    naive = Naive(pinned_folder, monkeypatch)
    cleaner = cleaning.Cleaner(pinned_folder, **OPTIONS)
    nouns = ["dogs", "knives", "women", "boxes", "churches", "abaci", "us", "data", "buses"]
    lines = random_lines(60, WORDS + nouns * 5, seed=2)
    for code in [*cleaning.LANGUAGES, "br"]:
        monkeypatch.setattr(cleaning, "detect_language", lambda text, code=code: code)
        monkeypatch.setattr("langid.classify", lambda text, code=code: (code, 0.0))
        columns = cleaner.clean(lines, [""] * len(lines))
        expected = [naive.clean(line, "", **OPTIONS) for line in lines]
        assert list(zip(*columns.values(), strict=True)) == expected, code


@pytest.mark.slow
def test_clean_equals_naive_on_the_sample(built_repository, pinned_folder, monkeypatch):
    naive = Naive(pinned_folder, monkeypatch)
    paths = [built_repository / "data/X_train.csv"]
    assert check_every_row(paths, pinned_folder, naive) == 1350


@pytest.mark.slow
@pytest.mark.skipif(not EXCERPT.exists(), reason="the excerpt of the challenge is not here")
def test_clean_equals_naive_on_the_excerpt(pinned_folder, monkeypatch):
    naive = Naive(pinned_folder, monkeypatch)
    paths = sorted(EXCERPT.glob("*/X_*.csv"))
    assert check_every_row(paths, pinned_folder, naive) > 4000


def test_threads_load_nltk_data_one_after_the_other(small_folder):
    before = list(nltk.data.path)

    def enter():
        with cleaning.nltk_data(small_folder):
            return list(nltk.data.path)

    with ThreadPoolExecutor(1) as threads:
        with cleaning.nltk_data(small_folder):
            first = list(nltk.data.path)
            other = threads.submit(enter)
            with pytest.raises(TimeoutError):
                other.result(timeout=0.3)
            assert nltk.data.path == first
        assert other.result(timeout=60) not in (before, first)
    assert nltk.data.path == before
