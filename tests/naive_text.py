"""The text steps as the original study has them: what `rakuten.text` is held against."""

import warnings

import langid
import nltk.corpus
import nltk.data
import nltk.tokenize
from bs4 import BeautifulSoup
from nltk.corpus.reader import StopwordsCorpusReader
from nltk.corpus.reader.wordnet import WordNetCorpusReader
from nltk.stem import WordNetLemmatizer
from nltk.tokenize import word_tokenize

from rakuten import text


class Naive:
    """The steps row by row with the libraries' own functions, NLTK reading `folder`."""

    def __init__(self, folder, monkeypatch):
        monkeypatch.setattr(nltk.data, "path", [str(folder)])
        nltk.tokenize._get_punkt_tokenizer.cache_clear()
        find = nltk.data.find
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that it is WordNet of one language
            wordnet = WordNetCorpusReader(find("corpora/wordnet.zip/wordnet/"), None)
        monkeypatch.setattr(nltk.corpus, "wordnet", wordnet)
        stop_words = StopwordsCorpusReader(
            find("corpora/stopwords.zip/stopwords/"), r"(?!README|\.).*", encoding="utf8"
        )
        self.stop_words = {  # one list has a stray space
            name: {word.strip() for word in stop_words.words(name)} for name in stop_words.fileids()
        }
        self.lemmatizer = WordNetLemmatizer()

    def sentences_of(self, code):
        name = text.LANGUAGES.get(code, "french")
        return name if nltk.tokenize.punkt_model_available(name) else "french"

    def clean(self, designation, description, *, min_token_length, lemmatize, remove_stopwords):
        plain = " ".join(f"{self.plain(designation)} {self.plain(description)}".split())
        if not plain:
            return False, "", "", 0
        code = langid.classify(plain)[0]
        both = self.stop_words["french"] | self.stop_words["english"]
        stop_words = self.stop_words.get(text.LANGUAGES.get(code), both)
        tokens = []
        for word in word_tokenize(plain, self.sentences_of(code)):
            token = word.lower()
            if len(token) < min_token_length or not any(c.isalnum() for c in token):
                continue
            if remove_stopwords and token in stop_words:
                continue
            tokens.append(self.lemmatizer.lemmatize(token) if lemmatize else token)
        return True, code, " ".join(tokens), len(tokens)

    @staticmethod
    def plain(html):
        return BeautifulSoup(html, "html.parser").get_text(" ")
