"""Text cleaning of the original study, row by row: the reference for `rakuten.text.cleaning`."""

import importlib
import random
import warnings
from contextlib import suppress

import langid
import nltk.data
from bs4 import BeautifulSoup
from nltk.corpus.reader import StopwordsCorpusReader, WordNetCorpusReader
from nltk.stem import WordNetLemmatizer
from nltk.tokenize import NLTKWordTokenizer, PunktTokenizer

from rakuten.text import cleaning


class Naive:
    """The libraries' own functions, called for each row and each token, with NLTK's data."""

    def __init__(self, folder, monkeypatch):
        with cleaning.nltk_data(folder), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # this WordNet has one language
            wordnet = WordNetCorpusReader(nltk.data.find("corpora/wordnet/"), None)
            lists = StopwordsCorpusReader(
                nltk.data.find("corpora/stopwords/"), r"(?!README|\.).*", encoding="utf8"
            )
            self.stop_words = {  # one list has a stray space
                name: {word.strip() for word in lists.words(name)} for name in lists.fileids()
            }
            self.sentence_tokenizers = {}
            for name in {*cleaning.LANGUAGES.values()}:
                with suppress(LookupError):
                    self.sentence_tokenizers[name] = PunktTokenizer(name)
        monkeypatch.setattr(importlib.import_module("nltk.corpus"), "wordnet", wordnet)
        self.lemmatizer = WordNetLemmatizer()

    def word_tokenize(self, text, name):
        """Tokenize as `nltk.word_tokenize` does, which keeps one folder's rules per process."""
        sentences = self.sentence_tokenizers.get(name, self.sentence_tokenizers["french"])
        words = NLTKWordTokenizer()
        return [token for line in sentences.tokenize(text) for token in words.tokenize(line)]

    def clean(self, designation, description, *, min_token_length, lemmatize, remove_stopwords):
        plain = " ".join(f"{self.plain(designation)} {self.plain(description)}".split())
        if not plain:
            return False, "", "", 0
        code, _ = langid.classify(plain)
        name = cleaning.LANGUAGES.get(code)
        both = self.stop_words["french"] | self.stop_words["english"]
        stop_words = self.stop_words.get(name, both)
        tokens = []
        for word in self.word_tokenize(plain, name):
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


WORD_LIST = r"""
bleu noir. L'aquarium d'une dogs boxes wolves men Knives countries us bus jeux data Dupont suite
Le la de et the of und mit Dr. M. etc. vol. J. n°45 3.5 12. 2:30 a:b x,y 1,000 U.S.A. www.x.fr
bleu. Mer mer. cannot Gonna gimme d'ye 'tis more'n wanna it's he'll don't can't don’t 's l' 'l
. .. ... ! ? !? , : ; -- - ( ) [ ] { } @ # $ % * " ' '' `` ` « » “ ” ‘ ’ – — / \ é É ß İ ı ² ½ 日本
🎉 wi-fi PS4 50x70cm c. p. 1er aujourd'hui _ a_b é. "Bleu (noir) noir.) noir.” fin!
"""  # noqa: RUF001
WORDS = [*WORD_LIST.split(), "\ue000", "\x00"]
GLUE = [" ", " ", " ", "", "", ". ", "! ", "? ", ".", '"', ": ", ", ", ".) ", '." ', ".. ", "\n"]
TAG_LIST = """
<b> </b> <br> <br/> </br> <p> </p> <P|align=center> <a|href="x|y"> </a> <li> </|li> < & >
&amp; &eacute; &eacute &#233; &#xe9 &# &nbsp; &foo; <img|src=a.jpg> <script> </script> <style>
</style> <!--|c|--> <!-- --> <![CDATA[x]]> <!x> <?p?> <td|width=5> <hr> <o:p> <textarea>
</textarea> <rt> <a|href=x/> <a|href=' <em </p|class='u'> <pre> </pre> <template> </template>
<b|=x> <font|color="#fff"|size=+1>
"""
TAGS = TAG_LIST.split()


def random_lines(count, pieces, seed=11):
    """Lines of one to fourteen pieces, glued in all ways, from a fixed seed."""
    generator = random.Random(seed)
    return [
        "".join(
            generator.choice(pieces).replace("|", " ") + generator.choice(GLUE)
            for _ in range(generator.randint(1, 14))
        )
        for _ in range(count)
    ]
