"""The text steps as the original study has them: what `rakuten.text.cleaning` is held against."""

import random
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

from rakuten.text import cleaning


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
        name = cleaning.LANGUAGES.get(code, "french")
        return name if nltk.tokenize.punkt_model_available(name) else "french"

    def clean(self, designation, description, *, min_token_length, lemmatize, remove_stopwords):
        plain = " ".join(f"{self.plain(designation)} {self.plain(description)}".split())
        if not plain:
            return False, "", "", 0
        code = langid.classify(plain)[0]
        both = self.stop_words["french"] | self.stop_words["english"]
        stop_words = self.stop_words.get(cleaning.LANGUAGES.get(code), both)
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
