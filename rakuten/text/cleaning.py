"""Detect the language of titles and descriptions, and clean them to tokens.

The steps are those of the original study: HTML parsed by Beautiful Soup (see `rakuten.text.html`),
language by langid, NLTK's sentence and word tokenizers, stop words of the detected language and
short tokens removed, WordNet lemmas.
"""

import re
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager, suppress
from functools import lru_cache, partial
from itertools import chain, islice, starmap
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import RLock

import nltk.data
import pandas as pd
from nltk.corpus.reader import WordListCorpusReader
from nltk.stem import WordNetLemmatizer
from nltk.tokenize import NLTKWordTokenizer, PunktTokenizer

from rakuten.text.html import plain_text
from rakuten.text.language import detect_language

ARCHIVES = ("corpora/wordnet.zip", "corpora/stopwords.zip", "tokenizers/punkt_tab.zip")
"""Files of NLTK's data that cleaning reads."""

LANGUAGES: dict[str, str] = {
    "ar": "arabic",
    "az": "azerbaijani",
    "bn": "bengali",
    "ca": "catalan",
    "cs": "czech",
    "da": "danish",
    "de": "german",
    "el": "greek",
    "en": "english",
    "es": "spanish",
    "et": "estonian",
    "eu": "basque",
    "fi": "finnish",
    "fr": "french",
    "he": "hebrew",
    "hu": "hungarian",
    "id": "indonesian",
    "it": "italian",
    "kk": "kazakh",
    "ml": "malayalam",
    "nb": "norwegian",
    "ne": "nepali",
    "nl": "dutch",
    "nn": "norwegian",
    "no": "norwegian",
    "pl": "polish",
    "pt": "portuguese",
    "ro": "romanian",
    "ru": "russian",
    "sl": "slovene",
    "sv": "swedish",
    "tr": "turkish",
    "zh": "chinese",
}
"""langid's codes and the names under which NLTK keeps stop words or sentence rules for them."""

DEFAULT_LANGUAGES = ("french", "english")
"""The catalogue's languages, for codes without NLTK data: sentences are split by the rules of the
first, stop words of both are removed. langid gives such codes to short French titles."""

BATCH = 1024
"""Products that a process cleans before it reports progress."""

PRODUCTS_PER_PROCESS = 4096
"""Products per process: with fewer, starting a process takes longer than cleaning them."""

CACHED_LEMMAS = 1 << 20
"""Distinct words whose lemmas stay in memory."""

_SEPARATOR = "\ue000"  # a private-use character: NLTK leaves it alone, texts hardly contain it
_FINAL_PERIOD = re.compile(r"(?<!\.)\.$")
_QUOTED_END = re.compile("\\.[\\])}>\"'\u00bb\u201d\u2019 ]+$")

_worker_cleaner: "Cleaner"  # set at the start of a worker process


class Cleaner:
    """Clean texts with langid and NLTK.

    NLTK loads WordNet once per process, from the folder of the first cleaner that lemmatizes.
    """

    def __init__(
        self,
        folder: str | Path,
        *,
        min_token_length: int,
        lemmatize: bool,
        remove_stopwords: bool,
    ):
        """Load NLTK's data.

        Args:
            folder: NLTK's data, with the files `ARCHIVES`.
            min_token_length: Shorter tokens are removed; characters, at least 1.
            lemmatize: Whether tokens become WordNet's noun lemmas.
            remove_stopwords: Whether stop words of the detected language are removed.

        Raises:
            ValueError: If `min_token_length` is below 1.
            FileNotFoundError: If the folder lacks a file.
        """
        if min_token_length < 1:
            raise ValueError(
                f"min_token_length must be at least 1, received {min_token_length}: set "
                "clean.min_token_length in params.yaml"
            )
        self._min_token_length = min_token_length
        with nltk_data(folder):
            self._sentence_tokenizers = _load_sentence_tokenizers()
            self._stop_words = _load_stop_words() if remove_stopwords else {}
            self._lemma: Callable[[str], str] = str
            if lemmatize:
                self._lemma = lru_cache(CACHED_LEMMAS)(WordNetLemmatizer().lemmatize)
                self._lemma("words")  # NLTK loads WordNet with the first word
        defaults = (self._stop_words.get(name, frozenset()) for name in DEFAULT_LANGUAGES)
        self._default_stop_words = frozenset().union(*defaults)

    def clean(self, designations: Sequence[str], descriptions: Sequence[str]) -> dict[str, list]:
        """Clean products.

        Args:
            designations: n titles, "" where missing.
            descriptions: n descriptions, "" where missing.

        Returns:
            Four lists of n, in the order of the products: `has_text` (bool, whether text is left
            without markup), `language` (langid's code, "" without text), `tokens` (kept lemmas
            joined by a space), `num_tokens` (number of tokens kept).
        """
        pairs = zip(designations, descriptions, strict=True)
        return self.clean_plain(
            [f"{plain_text(title)} {plain_text(rest)}".strip() for title, rest in pairs]
        )

    def clean_plain(self, texts: Sequence[str]) -> dict[str, list]:
        """Clean plain texts.

        Args:
            texts: n texts without markup, title and description joined by a space, "" where both
                are missing.

        Returns:
            See `clean`.
        """
        languages = [detect_language(text) if text else "" for text in texts]
        sentences = list(map(self._split_sentences, texts, languages))
        words = iter(_tokenize_words([line for lines in sentences for line in lines]))
        tokens = [
            self._keep(chain.from_iterable(islice(words, len(lines))), language)
            for lines, language in zip(sentences, languages, strict=True)
        ]
        return {
            "has_text": [text != "" for text in texts],
            "language": languages,
            "tokens": list(map(" ".join, tokens)),
            "num_tokens": list(map(len, tokens)),
        }

    def _split_sentences(self, text: str, language: str) -> list[str]:
        """Split a text by the rules of its language."""
        name = LANGUAGES.get(language, "")
        if name not in self._sentence_tokenizers:
            name = DEFAULT_LANGUAGES[0]
        return self._sentence_tokenizers[name].tokenize(text)

    def _keep(self, words: Iterable[str], language: str) -> list[str]:
        """Lowercase and lemmatize words; drop short ones, punctuation and stop words."""
        stop_words = self._stop_words.get(LANGUAGES.get(language, ""), self._default_stop_words)
        return [
            self._lemma(word)
            for word in map(str.lower, words)
            if len(word) >= self._min_token_length
            and word not in stop_words
            and any(map(str.isalnum, word))
        ]


def clean(
    table: pd.DataFrame,
    *,
    folder: str | Path,
    processes: int,
    progress: Callable[..., Iterable] | None = None,
    **options,
) -> dict[str, list]:
    """Clean the texts of a product table, in several processes where it is large.

    Args:
        table: Columns designation and description, str or missing; n rows.
        folder: NLTK's data, see `Cleaner`.
        processes: Maximum number of processes, at least 1. The result does not depend on it.
        progress: Wraps the finished batches in a progress bar, as `stage_log.progress` does.
        **options: The keyword arguments of `Cleaner`: min_token_length, lemmatize,
            remove_stopwords.

    Returns:
        The columns has_text, language, tokens and num_tokens of `Cleaner.clean`, in the order of
        the rows.
    """
    designations = table["designation"].fillna("").tolist()
    descriptions = table["description"].fillna("").tolist()
    starts = range(0, len(table), BATCH)
    batches = [(designations[i : i + BATCH], descriptions[i : i + BATCH]) for i in starts]
    processes = max(1, min(processes, len(table) // PRODUCTS_PER_PROCESS))
    results: Iterable = _clean_batches(partial(Cleaner, folder, **options), batches, processes)
    if progress:
        results = progress(results, total=len(batches), unit="batch", description="clean")
    columns: dict[str, list] = {"has_text": [], "language": [], "tokens": [], "num_tokens": []}
    for result in results:
        for name, values in result.items():
            columns[name] += values
    return columns


def summarize(table: pd.DataFrame) -> dict:
    """Count products, tokens and languages of cleaned texts.

    Args:
        table: Columns has_text, language, tokens and num_tokens as `clean` returns them.

    Returns:
        Counts of products, products without text and without any token, distinct tokens, mean and
        median number of tokens of products with text (0 if there are none), and products by
        language, the most frequent first.
    """
    with_text = table[table["has_text"]]
    numbers = with_text["num_tokens"]
    distinct = set(chain.from_iterable(map(str.split, with_text["tokens"])))
    languages = with_text["language"].value_counts().sort_index()
    languages = languages.sort_values(ascending=False, kind="stable")
    return {
        "products": len(table),
        "without_text": len(table) - len(with_text),
        "without_tokens": int((numbers == 0).sum()),
        "distinct_tokens": len(distinct),
        "tokens_mean": round(float(numbers.mean()), 2) if len(numbers) else 0,
        "tokens_median": float(numbers.median()) if len(numbers) else 0,
        "languages": {code: int(count) for code, count in languages.items()},
    }


_nltk_path = RLock()  # NLTK's path is one for all threads


@contextmanager
def nltk_data(folder: str | Path) -> Iterator[None]:
    """Let NLTK read a folder of its data, and no other, within a `with` block.

    NLTK refuses links, which DVC makes, and files that other users may write. It gets a copy. Other
    threads wait until the block ends.

    Args:
        folder: NLTK's data, with the files `ARCHIVES`.

    Raises:
        FileNotFoundError: If the folder lacks a file.
    """
    with _nltk_path, TemporaryDirectory(prefix="nltk-") as copy:
        for name in ARCHIVES:
            if not Path(folder, name).exists():
                raise FileNotFoundError(
                    f"{folder} has no {name} of NLTK's data: run 'dvc repro resources'"
                )
            private = Path(copy, name)
            private.parent.mkdir(mode=0o700, exist_ok=True)
            shutil.copyfile(Path(folder, name), private)
            private.chmod(0o600)
        before = list(nltk.data.path)
        nltk.data.path[:] = [str(Path(copy).resolve())]
        try:
            yield
        finally:
            nltk.data.path[:] = before


def _clean_batches(
    load: Callable[[], Cleaner], batches: list[tuple[list[str], list[str]]], processes: int
) -> Iterator[dict[str, list]]:
    """Clean batches in their order, in this process or in several new ones."""
    if processes == 1:
        yield from starmap(load().clean, batches)
        return
    context = get_context("spawn")  # a fork would copy the locks of other libraries' threads
    with ProcessPoolExecutor(processes, context, _start_worker, (load,)) as pool:
        yield from pool.map(_clean_in_worker, batches)


def _start_worker(load: Callable[[], Cleaner]) -> None:
    """Load the cleaner of a new process."""
    global _worker_cleaner
    _worker_cleaner = load()


def _clean_in_worker(batch: tuple[list[str], list[str]]) -> dict[str, list]:
    """Clean a batch with this process's cleaner."""
    return _worker_cleaner.clean(*batch)


def _tokenize_words(sentences: Sequence[str]) -> list[list[str]]:
    """Tokenize sentences as NLTK does, in one call: a call per sentence takes twice as long."""
    # NLTK looks beyond a word only for the period that ends a sentence. It makes a token of that
    # period, which cleaning drops, so it is cut off here. Sentences that end with a period and
    # quotes or brackets are tokenized one by one.
    tokenize = NLTKWordTokenizer().tokenize
    alone = [_SEPARATOR in line or bool(_QUOTED_END.search(line)) for line in sentences]
    joined = (
        "" if single else _FINAL_PERIOD.sub("", line)
        for line, single in zip(sentences, alone, strict=True)
    )
    tokens: list[list[str]] = [[]]
    for token in tokenize(f" {_SEPARATOR} ".join(joined)):
        if token == _SEPARATOR:
            tokens.append([])
        else:
            tokens[-1].append(token)
    pairs = zip(sentences, alone, strict=True)
    return [tokenize(line) if single else tokens[i] for i, (line, single) in enumerate(pairs)]


def _load_sentence_tokenizers() -> dict[str, PunktTokenizer]:
    """Load NLTK's sentence rules by language; it lacks those of some languages."""
    tokenizers = {name: PunktTokenizer(name) for name in DEFAULT_LANGUAGES}
    for name in set(LANGUAGES.values()) - set(DEFAULT_LANGUAGES):
        with suppress(LookupError):
            tokenizers[name] = PunktTokenizer(name)
    return tokenizers


def _load_stop_words() -> dict[str, frozenset[str]]:
    """Load NLTK's stop words by language; some of its lists have stray spaces."""
    root = nltk.data.find("corpora/stopwords/")
    reader = WordListCorpusReader(root, r"(?!README|\.).*", encoding="utf8")
    return {name: frozenset(map(str.strip, reader.words(name))) for name in reader.fileids()}
