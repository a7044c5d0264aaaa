"""Titles and descriptions to language and tokens.

The steps are those of the original study: HTML parsed by Beautiful Soup (see `rakuten.text.html`),
language by langid, NLTK's word tokenizer, WordNet lemmas, stop words of the detected language and
short tokens removed. Words repeat, so each distinct word goes through NLTK once; the result is the
same as row by row.
"""

import io
import re
import sys
import zipfile
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from functools import partial
from itertools import chain
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pandas as pd

from rakuten.text.html import join_texts
from rakuten.text.language import LanguageModel


@contextmanager
def _not_installed(*packages: str) -> Iterator[None]:
    """Let imports of packages fail that nobody has imported yet."""
    absent = [name for name in packages if name not in sys.modules]
    sys.modules.update(dict.fromkeys(absent))
    try:
        yield
    finally:
        for name in absent:
            del sys.modules[name]


with _not_installed("scipy.stats", "sklearn"):  # NLTK does without, in a third of the time
    from nltk.corpus.reader.wordnet import WordNetCorpusReader
    from nltk.stem import WordNetLemmatizer
    from nltk.tabdata import PunktDecoder
    from nltk.tokenize.destructive import NLTKWordTokenizer
    from nltk.tokenize.punkt import PunktParameters, PunktSentenceTokenizer

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
"""The catalogue's own languages, for codes that NLTK knows nothing of: sentences are split as in
the first, stop words of both are removed. langid gives such codes to short French titles."""

BATCH = 1024
"""Products cleaned at a time, in one process."""

WORTH_A_PROCESS = 8192
"""Products whose cleaning takes as long as a new process needs to begin."""

REMEMBERED = 2_000_000
"""Words of a language, or decisions, kept in memory before a long-lived process starts anew."""

_PERIOD = re.compile(  # NLTK's pattern of what may end a sentence, for text with single spaces
    "[.?!](?=(?P<after>[)\";}\\]*:@'({\\[\u2018\u2019\u201c\u201d\xab\xbb?!]| (?P<next>\\S+)))"
)
_CLOSING = tuple("\"')]}\u2018\u2019\u201c\u201d\xab\xbb")  # what NLTK moves to the sentence before
_CLOSERS = "])}>\"'\xbb\u201d\u2019"  # what may follow the period that ends a sentence
_CONTRACTION = re.compile("cannot|gimme|gonna|gotta|lemme|wanna", re.IGNORECASE)
_MARK = "\n"  # follows what ends its sentence; no word holds a line break
_FENCE = "\ue000"  # stands between words that NLTK tokenizes in one call


class Cleaner:
    """Cleans texts with NLTK's and langid's data, and remembers every word it has seen.

    Not safe to share between threads: give each its own.
    """

    def __init__(
        self,
        folder: str | Path,
        language_arrays: Mapping[str, np.ndarray],
        *,
        min_token_length: int,
        lemmatize: bool,
        remove_stopwords: bool,
    ):
        """Load what cleaning needs.

        Args:
            folder: NLTK's data: corpora/wordnet.zip, corpora/stopwords.zip,
                tokenizers/punkt_tab.zip. It is read here, not searched by NLTK, which refuses
                folders that the user's group may write to.
            language_arrays: langid's model, see `LanguageModel`.
            min_token_length: Shorter tokens are removed; characters, at least 1.
            lemmatize: Whether tokens become WordNet's noun lemmas.
            remove_stopwords: Whether stop words of the detected language are removed.
        """
        if min_token_length < 1:
            raise ValueError(
                f"min_token_length must be at least 1, received {min_token_length}: set "
                "clean.min_token_length in params.yaml"
            )
        folder = Path(folder)
        for archive in ("corpora/wordnet", "corpora/stopwords", "tokenizers/punkt_tab"):
            if not (folder / f"{archive}.zip").exists():
                raise FileNotFoundError(
                    f"{folder} has no {archive}.zip of NLTK's data: run 'dvc repro resources'"
                )
        self._languages = LanguageModel(language_arrays)
        self._min_token_length = min_token_length
        self._stop_words = _read_stop_words(folder) if remove_stopwords else {}
        self._lemmatizer = _NounLemmatizer(folder) if lemmatize else None
        self._punkt = zipfile.ZipFile(folder / "tokenizers" / "punkt_tab.zip")
        self._sentences: dict[str, _Sentences] = {}
        self._kept: dict[str, dict[str, str]] = {}

    def clean(self, designations: Sequence[str], descriptions: Sequence[str]) -> dict[str, list]:
        """Clean products.

        Args:
            designations: n titles, "" where missing.
            descriptions: n descriptions, "" where missing.

        Returns:
            Four lists of n, in the order of the products: `has_text` (bool, whether words are left
            once markup is gone), `language` (langid's code, "" without text), `tokens` (kept
            lemmas joined by a space), `num_tokens` (number of tokens kept).
        """
        texts = list(map(join_texts, designations, descriptions))
        codes = self._languages.classify(texts)
        languages = [code if text else "" for code, text in zip(codes, texts, strict=True)]
        words = [self._words(text, code) for text, code in zip(texts, languages, strict=True)]
        for code in sorted(set(languages)):
            rows = (row for row, other in zip(words, languages, strict=True) if other == code)
            self._learn(code, chain.from_iterable(rows))
        tokens = [
            " ".join(filter(None, map(self._kept[code].__getitem__, row)))
            for row, code in zip(words, languages, strict=True)
        ]
        return {
            "has_text": [text != "" for text in texts],
            "language": languages,
            "tokens": tokens,
            "num_tokens": [row.count(" ") + 1 if row else 0 for row in tokens],
        }

    def _words(self, text: str, code: str) -> list[str]:
        """Split a plain text at its spaces, with a mark on what ends a sentence.

        NLTK's word tokenizer sees a word the same way wherever it stands, but for the period, with
        what closes after it, that ends a sentence; tests hold this against NLTK.
        """
        if "." in text or "?" in text or "!" in text:
            sentences = self._sentence_splitter(code).tokenize(text)
        else:
            sentences = [text] if text else []
        words: list[str] = []
        for sentence in sentences:
            row = sentence.split()
            last = len(row) - 1
            while last > 0 and not row[last].strip(_CLOSERS):
                last -= 1
            end = " ".join(row[last:])
            del row[last:]
            if end.endswith(".") and end[:-1].isalnum():
                end = end[:-1]  # the period becomes a token of its own, which is never kept
            elif not end.isalnum():
                end += _MARK
            row.append(end)
            words += row
        return words

    def _learn(self, code: str, words: Iterable[str]) -> None:
        """Find out what is kept of each word not seen in this language before."""
        kept = self._kept.setdefault(code, {})
        _bound(kept)
        stop_words = self._stop_words_of(code)
        unknown = list(set(words) - kept.keys())
        for word, tokens in zip(unknown, _tokenize_words(unknown), strict=True):
            kept[word] = " ".join(self._keep(tokens, stop_words))

    def _keep(self, tokens: list[str], stop_words: frozenset[str]) -> list[str]:
        """Lower the tokens, drop those that are short, without letter or digit, or stop words."""
        kept = [
            token
            for token in map(str.lower, tokens)
            if len(token) >= self._min_token_length
            and token not in stop_words
            and (token.isalnum() or any(map(str.isalnum, token)))
        ]
        return list(map(self._lemmatizer.lemmatize, kept)) if self._lemmatizer else kept

    def _stop_words_of(self, code: str) -> frozenset[str]:
        """Take the list of the language, or those of the catalogue's own languages."""
        names = [LANGUAGES.get(code, "")]
        if names[0] not in self._stop_words:
            names = list(DEFAULT_LANGUAGES)
        return frozenset().union(*(self._stop_words.get(name, ()) for name in names))

    def _sentence_splitter(self, code: str) -> "_Sentences":
        """Load the sentence rules of a language when it first occurs."""
        name = LANGUAGES.get(code, "")
        if f"punkt_tab/{name}/abbrev_types.txt" not in self._punkt.NameToInfo:
            name = DEFAULT_LANGUAGES[0]
        if name not in self._sentences:
            self._sentences[name] = _Sentences(self._punkt, name)
        return self._sentences[name]


def clean(
    table: pd.DataFrame,
    language_arrays: Mapping[str, np.ndarray],
    *,
    folder: str | Path,
    threads: int,
    progress: Callable[..., Iterable] | None = None,
    **options,
) -> dict[str, list]:
    """Clean the texts of a product table, in several processes where it is large.

    Args:
        table: Columns designation and description, str or missing; n rows.
        language_arrays: langid's model, see `LanguageModel`.
        folder: NLTK's data, see `Cleaner`.
        threads: Processes to use, at least 1. The result does not depend on it.
        progress: Wraps the iterable of finished batches in a bar, as `stage_log.progress` does.
        **options: The keyword arguments of `Cleaner`: min_token_length, lemmatize,
            remove_stopwords.

    Returns:
        The columns has_text, language, tokens and num_tokens of `Cleaner.clean`, in the order of
        the rows.
    """
    start = partial(Cleaner, folder, dict(language_arrays), **options)
    designations = table["designation"].fillna("").tolist()
    descriptions = table["description"].fillna("").tolist()
    starts = range(0, len(table), BATCH)
    batches = [(designations[i : i + BATCH], descriptions[i : i + BATCH]) for i in starts]
    processes = max(1, min(threads, len(table) // WORTH_A_PROCESS))
    results = _clean_batches(start, batches, processes)
    if progress:
        results = progress(results, total=len(batches), unit="batch", description="clean")
    columns: dict[str, list] = {"has_text": [], "language": [], "tokens": [], "num_tokens": []}
    for result in results:
        for name, values in result.items():
            columns[name] += values
    return columns


def summarize(table: pd.DataFrame) -> dict:
    """Count what cleaning found, for the report.

    Args:
        table: Columns has_text, language, tokens and num_tokens as `clean` gives them.

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


def _clean_batches(
    start: Callable[[], Cleaner], batches: list[tuple[list[str], list[str]]], processes: int
) -> Iterator[dict[str, list]]:
    """Clean batches in their order, in this process and, from the last one on, in others.

    A new process needs a second to import NLTK; this one works meanwhile.
    """
    cleaner = start()
    if processes == 1:
        yield from (cleaner.clean(*batch) for batch in batches)
        return
    context = get_context("spawn")  # a fork would copy the locks of other libraries' threads
    with ProcessPoolExecutor(processes - 1, context, _start_worker, (start,)) as pool:
        backwards = [pool.submit(_clean_in_worker, *batch) for batch in reversed(batches)]
        for batch, future in zip(batches, reversed(backwards), strict=True):
            yield cleaner.clean(*batch) if future.cancel() else future.result()


def _start_worker(start: Callable[[], Cleaner]) -> None:
    """Make the cleaner of a new process."""
    global _worker
    _worker = start()


def _clean_in_worker(designations: list[str], descriptions: list[str]) -> dict[str, list]:
    """Clean a batch with this process's cleaner."""
    return _worker.clean(designations, descriptions)


def _tokenize_words(words: Sequence[str]) -> list[list[str]]:
    """Tokenize words as NLTK does it inside a sentence, or at its edge where a mark says so."""
    tokenize = NLTKWordTokenizer().tokenize
    tokens: list[list[str]] = [[word] for word in words]
    inner = []
    for i, word in enumerate(words):
        if word.isalnum() and not _CONTRACTION.fullmatch(word):
            continue
        if _MARK not in word and _FENCE not in word:
            inner.append(i)
            continue
        ending = word.endswith(_MARK)
        tokens[i] = tokenize(f"x {word[:-1]}" if ending else f"x {word} x")[
            1 : None if ending else -1
        ]
    for begin in range(0, len(inner), 1000):
        some = inner[begin : begin + 1000]
        found = iter(tokenize(f"{_FENCE} " + " ".join(f"{words[i]} {_FENCE}" for i in some)))
        next(found)
        for i in some:
            tokens[i] = list(iter(found.__next__, _FENCE))
    return tokens


class _NounLemmatizer(WordNetLemmatizer):
    """NLTK's lemmatizer with the nouns of WordNet only, the part that `lemmatize` looks at.

    NLTK's own reader loads all parts of speech and takes seconds.
    """

    MORPHOLOGICAL_SUBSTITUTIONS = WordNetCorpusReader.MORPHOLOGICAL_SUBSTITUTIONS
    _morphy = WordNetCorpusReader._morphy

    def __init__(self, folder: Path):
        with zipfile.ZipFile(folder / "corpora" / "wordnet.zip") as archive:
            nouns = _read_lines(archive, "wordnet/index.noun")
            exceptions = list(map(str.split, _read_lines(archive, "wordnet/noun.exc")))
        lemmas = (line.partition(" ")[0] for line in nouns if not line.startswith(" "))
        self._lemma_pos_offset_map = dict.fromkeys(lemmas, "n")
        self._exception_map = {"n": {form: forms for form, *forms in exceptions}}
        self._endings = tuple(ending for ending, _ in self.MORPHOLOGICAL_SUBSTITUTIONS["n"])
        self._lemmas: dict[str, str] = {}

    def lemmatize(self, word: str, pos: str = "n") -> str:
        """Look up a word, or let NLTK find its lemma; most have no plural ending to begin with."""
        if not word.endswith(self._endings) and word not in self._exception_map["n"]:
            return word
        if word not in self._lemmas:
            _bound(self._lemmas)
            self._lemmas[word] = super().lemmatize(word, pos)
        return self._lemmas[word]


class _Sentences(PunktSentenceTokenizer):
    """NLTK's sentence splitter for one language, with its decisions remembered."""

    def __init__(self, archive: zipfile.ZipFile, name: str):
        decoder, parameters = PunktDecoder(), PunktParameters()
        lines = partial(_read_lines, archive)
        root = f"punkt_tab/{name}"
        parameters.collocations = set(decoder.tab2tups(lines(f"{root}/collocations.tab")))
        parameters.sent_starters = decoder.txt2set(lines(f"{root}/sent_starters.txt"))
        parameters.abbrev_types = decoder.txt2set(lines(f"{root}/abbrev_types.txt"))
        fields = "\t".join(lines(f"{root}/ortho_context.tab")).split("\t")
        contexts = zip(fields[::2], map(int, fields[1::2]), strict=True)
        parameters.ortho_context = defaultdict(int, contexts)
        super().__init__(parameters)
        self._collocated = {first for first, _ in parameters.collocations}
        self._decisions: dict[str, bool] = {}

    def tokenize(self, text: str, realign_boundaries: bool = True) -> list[str]:
        """Split a text with single spaces into its sentences, as NLTK does."""
        parts = list(self._slices_from_text(text))
        if any(text.startswith(_CLOSING, part.start) for part in parts[1:]):
            parts = self._realign_boundaries(text, iter(parts))
        return [text[part] for part in parts if part.start < part.stop]

    def _slices_from_text(self, text: str) -> Iterator[slice]:
        """Cut where something may end a sentence and does; of a run of marks the last is judged."""
        last_break = start = stop = 0
        pending = None
        for match in _PERIOD.finditer(text):
            space = text.rfind(" ", stop, match.start())
            word = space + 1 if space > stop else start
            if pending and stop <= word and self._ends_sentence(text[start:stop], pending):
                yield slice(last_break, pending.end())
                last_break = pending.start("next") if pending["next"] else pending.end()
            start, stop, pending = word, match.start(), match
        if pending and self._ends_sentence(text[start:stop], pending):
            yield slice(last_break, pending.end())
            last_break = pending.start("next") if pending["next"] else pending.end()
        yield slice(last_break, len(text))

    def _ends_sentence(self, word: str, match: re.Match) -> bool:
        """Let NLTK decide, but for the common cases, in which no rule can object."""
        if match[0] != ".":
            return True
        if len(word) > 1 and word.isalpha():
            lower = word.lower()
            if lower not in self._params.abbrev_types and lower not in self._collocated:
                return True
        context = f"{word}.{match['after']}"
        if context not in self._decisions:
            _bound(self._decisions)
            self._decisions[context] = self.text_contains_sentbreak(context)
        return self._decisions[context]


def _bound(remembered: dict) -> None:
    """Forget everything where it has grown too much."""
    if len(remembered) > REMEMBERED:
        remembered.clear()


def _read_stop_words(folder: Path) -> dict[str, frozenset[str]]:
    """Read NLTK's stop words by the language's English name."""
    with zipfile.ZipFile(folder / "corpora" / "stopwords.zip") as archive:
        members = [name for name in archive.namelist() if not name.endswith(("/", "README"))]
        return {
            name.rpartition("/")[2]: frozenset(map(str.strip, _read_lines(archive, name))) - {""}
            for name in members
        }


def _read_lines(archive: zipfile.ZipFile, member: str) -> list[str]:
    """Read the lines of a UTF-8 member, with their ends."""
    return list(io.StringIO(archive.read(member).decode()))
