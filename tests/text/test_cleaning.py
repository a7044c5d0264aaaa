import subprocess
import sys
import zipfile
from pathlib import Path

import nltk.corpus
import nltk.data
import nltk.tokenize
import numpy as np
import pandas as pd
import pytest
from naive_text import TAGS, WORDS, Naive, random_lines
from nltk.corpus.reader.wordnet import WordNetCorpusReader
from nltk.tokenize import sent_tokenize, word_tokenize

from rakuten import storage
from rakuten.data import resources
from rakuten.text import cleaning

ROOT = Path(__file__).parents[2]
EXCERPT = ROOT.parent / "shared" / "rakuten_excerpt"
OPTIONS = {"min_token_length": 2, "lemmatize": True, "remove_stopwords": True}

STOP_WORDS = {
    "french": "de la le les et pour un avec",
    "english": "the and of with for",
    "german": "und der mit",
}
NOUNS = ("dog", "box", "wolf", "man", "country", "jeu", "us", "u", "bus", "knife", "datum")
PUNKT = {
    "french": {"abbreviations": "dr m etc vol", "collocations": [("bleu", "mer")]},
    "english": {"abbreviations": "mr vs etc", "collocations": []},
    "german": {"abbreviations": "z.b nr", "collocations": []},
}
ORTHOGRAPHY = {"mer": 46, "dupont": 2, "suite": 46, "le": 46}


@pytest.fixture(scope="module")
def arrays(tmp_path_factory):
    folder = tmp_path_factory.mktemp("langid")
    pinned = storage.read_yaml(ROOT / "rakuten/data/resources.yaml")["langid"]
    table = {"langid": pinned | {"output": str(folder / "langid.npz")}}
    resources.fetch(table, ["langid"], cache=folder)
    return storage.read_arrays(folder / "langid.npz")


@pytest.fixture(scope="module")
def small_folder(tmp_path_factory):
    """NLTK data of three languages and eleven nouns, in NLTK's formats."""
    folder = tmp_path_factory.mktemp("nltk")
    archives = {
        "corpora/wordnet.zip": {f"wordnet/{name}": "" for name in WordNetCorpusReader._FILES}
        | {
            "wordnet/lexnames": "00\tadj.all\t3\n",
            "wordnet/index.noun": "  1 licence\n"
            + "".join(f"{noun} n 1 0 1 0 0000000{i}  \n" for i, noun in enumerate(sorted(NOUNS))),
            "wordnet/noun.exc": "men man\ndata datum\nknives knife\n",
        },
        "corpora/stopwords.zip": {"stopwords/README": "x\n"}
        | {f"stopwords/{name}": words.replace(" ", "\n") for name, words in STOP_WORDS.items()},
        "tokenizers/punkt_tab.zip": {
            f"punkt_tab/{name}/{member}": content
            for name, rules in PUNKT.items()
            for member, content in (
                ("abbrev_types.txt", rules["abbreviations"].replace(" ", "\n")),
                ("collocations.tab", "\n".join(map("\t".join, rules["collocations"]))),
                ("sent_starters.txt", "le\nthe"),
                ("ortho_context.tab", "\n".join(f"{w}\t{n}" for w, n in ORTHOGRAPHY.items())),
            )
        },
    }
    for path, members in archives.items():
        (folder / path).parent.mkdir(exist_ok=True)
        with zipfile.ZipFile(folder / path, "w") as archive:
            for name, content in members.items():
                archive.writestr(name, content)
    return folder


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


@pytest.fixture(scope="module")
def cleaner(small_folder, arrays):
    return cleaning.Cleaner(small_folder, arrays, **OPTIONS)


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
def test_clean_equals_naive_row_by_row(small_folder, arrays, naive, options):
    titles, descriptions = random_lines(120, WORDS), random_lines(120, WORDS + TAGS[:14], seed=3)
    cleaner = cleaning.Cleaner(small_folder, arrays, **options)
    columns = cleaner.clean(titles, descriptions)
    expected = [naive.clean(*row, **options) for row in zip(titles, descriptions, strict=True)]
    assert list(zip(*columns.values(), strict=True)) == expected
    assert cleaner.clean(titles, descriptions) == columns, "what is remembered changes the result"


def check_tokens(cleaner, naive, codes, lines):
    """Compare sentences and tokens with NLTK's, whatever langid says of the lines."""
    for code in codes:
        name = naive.sentences_of(code)
        splitter = cleaner._sentence_splitter(code)
        words = [cleaner._words(line, code) for line in lines]
        cleaner._learn(code, [word for row in words for word in row])
        for line, row in zip(lines, words, strict=True):
            assert splitter.tokenize(line) == sent_tokenize(line, name), (code, line)
            kept = " ".join(filter(None, map(cleaner._kept[code].__getitem__, row)))
            tokens = [token.lower() for token in word_tokenize(line, name)]
            expected = " ".join(t for t in tokens if any(c.isalnum() for c in t))
            assert kept == expected, (code, line)


def test_sentences_and_tokens_equal_nltk(small_folder, arrays, naive):
    """No stop words, no lemmas, no least length: every token NLTK finds must come through."""
    options = {"min_token_length": 1, "lemmatize": False, "remove_stopwords": False}
    cleaner = cleaning.Cleaner(small_folder, arrays, **options)
    lines = [" ".join(line.split()) for line in random_lines(800, WORDS)]
    check_tokens(cleaner, naive, ["fr", "de"], [*filter(None, lines), "Un bleu. Mer", "Dr. Le"])


def test_lemmas_equal_nltk(small_folder, naive):
    lemmatizer = cleaning._NounLemmatizer(small_folder)
    stems = [*NOUNS, "dat", "m", "countr", ""]
    endings = ["", "s", "es", "ies", "men", "ves", "ses", "xes", "ches", "y"]
    for word in [stem + ending for stem in stems for ending in endings] + ["data", "men", "knives"]:
        assert lemmatizer.lemmatize(word) == naive.lemmatizer.lemmatize(word)
    assert [*map(lemmatizer.lemmatize, ("countries", "data"))] == ["country", "datum"]


def test_languages_without_a_list_lose_french_and_english_stop_words(cleaner):
    assert cleaner._stop_words_of("br") == frozenset(
        (STOP_WORDS["french"] + " " + STOP_WORDS["english"]).split()
    )
    assert cleaner._stop_words_of("de") == frozenset(STOP_WORDS["german"].split())


def test_what_is_remembered_stays_bounded(small_folder, arrays, monkeypatch):
    monkeypatch.setattr(cleaning, "REMEMBERED", 50)
    titles = random_lines(60, WORDS)
    expected = cleaning.Cleaner(small_folder, arrays, **OPTIONS).clean(titles, [""] * 60)
    cleaner = cleaning.Cleaner(small_folder, arrays, **OPTIONS)
    single = [cleaner.clean([title], [""]) for title in titles]
    assert [row["tokens"][0] for row in single] == expected["tokens"]
    assert max(map(len, cleaner._kept.values())) < 50 + 30


def test_min_token_length_is_checked(small_folder, arrays):
    with pytest.raises(ValueError, match=r"at least 1, received 0: set clean\.min_token_length"):
        cleaning.Cleaner(small_folder, arrays, **OPTIONS | {"min_token_length": 0})


def test_missing_data_is_named_with_the_remedy(tmp_path, arrays):
    with pytest.raises(
        FileNotFoundError, match=r"no corpora/wordnet\.zip .* 'dvc repro resources'"
    ):
        cleaning.Cleaner(tmp_path, arrays, **OPTIONS)


def table(count):
    lines = random_lines(count, WORDS, seed=7)
    frame = pd.DataFrame({"designation": lines, "description": lines[::-1]}, dtype="str")
    frame.loc[::3, "description"] = np.nan
    frame.loc[5, "designation"] = np.nan
    frame.loc[6] = np.nan
    return frame


def test_clean_is_the_same_in_batches_and_processes(small_folder, arrays, monkeypatch):
    frame = table(40)
    arguments = {"folder": small_folder, **OPTIONS}
    one = cleaning.clean(frame, arrays, threads=1, **arguments)
    assert list(one) == ["has_text", "language", "tokens", "num_tokens"]
    assert not one["has_text"][6]
    assert one["has_text"][5]
    assert all(len(column) == 40 for column in one.values())
    monkeypatch.setattr(cleaning, "BATCH", 7)
    monkeypatch.setattr(cleaning, "WORTH_A_PROCESS", 10)
    assert cleaning.clean(frame, arrays, threads=1, **arguments) == one
    assert cleaning.clean(frame, arrays, threads=2, **arguments) == one


def test_clean_shows_its_progress(small_folder, arrays, monkeypatch):
    monkeypatch.setattr(cleaning, "BATCH", 15)
    shown = []

    def progress(items, **about):
        shown.append(about)
        yield from items

    cleaning.clean(table(40), arrays, folder=small_folder, threads=1, progress=progress, **OPTIONS)
    assert shown == [{"total": 3, "unit": "batch", "description": "clean"}]


def test_clean_of_no_products(small_folder, arrays):
    columns = cleaning.clean(table(40)[:0], arrays, folder=small_folder, threads=2, **OPTIONS)
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


@pytest.mark.slow
def test_pinned_data_gives_what_nltk_gives(pinned_folder, arrays, monkeypatch):
    """All sentence models, all stop words and all nouns of the real data."""
    naive = Naive(pinned_folder, monkeypatch)
    options = {"min_token_length": 1, "lemmatize": False, "remove_stopwords": True}
    cleaner = cleaning.Cleaner(pinned_folder, arrays, **options)
    for code, name in cleaning.LANGUAGES.items():
        if nltk.tokenize.punkt_model_available(name):
            own = cleaner._sentence_splitter(code)._params
            its = nltk.tokenize._get_punkt_tokenizer(name)._params
            for part in ("abbrev_types", "collocations", "sent_starters", "ortho_context"):
                assert getattr(own, part) == getattr(its, part), (name, part)
        if name in naive.stop_words:
            assert cleaner._stop_words_of(code) == naive.stop_words[name]
    nouns = {w for w, parts in nltk.corpus.wordnet._lemma_pos_offset_map.items() if "n" in parts}
    lemmatizer = cleaning._NounLemmatizer(pinned_folder)
    assert len(nouns) > 100_000
    for word in sorted(nouns)[::20]:
        for form in (word, f"{word}s", f"{word}es"):
            assert lemmatizer.lemmatize(form) == naive.lemmatizer.lemmatize(form)
    plain = cleaning.Cleaner(pinned_folder, arrays, **options | {"remove_stopwords": False})
    lines = [" ".join(line.split()) for line in random_lines(3000, WORDS, seed=2)]
    check_tokens(plain, naive, ["fr", "en", "de", "it", "ru", "zz"], list(filter(None, lines)))


def check_every_row(paths, folder, arrays, naive):
    """Clean the products of files and compare all columns; returns the number of rows."""
    frame = pd.concat([pd.read_csv(path) for path in paths])
    frame = frame[["designation", "description"]].astype("str").fillna("")
    columns = cleaning.clean(frame, arrays, folder=folder, threads=1, **OPTIONS)
    expected = [naive.clean(*row, **OPTIONS) for row in frame.itertuples(index=False)]
    rows = list(zip(*columns.values(), strict=True))
    assert [i for i, row in enumerate(rows) if row != expected[i]] == []
    return len(rows)


@pytest.mark.slow
def test_clean_equals_naive_on_the_sample(built_repository, pinned_folder, arrays, monkeypatch):
    naive = Naive(pinned_folder, monkeypatch)
    paths = [built_repository / "data/X_train.csv"]
    assert check_every_row(paths, pinned_folder, arrays, naive) == 1350


@pytest.mark.slow
@pytest.mark.skipif(not EXCERPT.exists(), reason="the excerpt of the challenge is not here")
def test_clean_equals_naive_on_the_excerpt(pinned_folder, arrays, monkeypatch):
    naive = Naive(pinned_folder, monkeypatch)
    paths = sorted(EXCERPT.glob("*/X_*.csv"))
    assert check_every_row(paths, pinned_folder, arrays, naive) > 4000


def test_nltk_without_its_optional_packages_leaves_them_to_others():
    code = """
import sys
from rakuten import text
assert not {"scipy.stats", "sklearn"} & set(sys.modules)
import scipy.stats, sklearn.feature_extraction, nltk
assert nltk.word_tokenize
"""
    subprocess.run([sys.executable, "-c", code], check=True)
