"""Small NLTK data for tests of cleaning and of prediction."""

import zipfile

STOP_WORDS = {
    "french": "de la le les et pour un avec",
    "english": "the and of with for",
    "german": "und der mit",
}
KINDS, PARTS = ("index", "data"), ("adj", "adv", "noun", "verb")
NOUNS = ("dog", "box", "wolf", "man", "country", "jeu", "us", "u", "bus", "knife", "datum")
PUNKT = {
    "french": {"abbreviations": "dr m etc vol", "collocations": [("bleu", "mer")]},
    "english": {"abbreviations": "mr vs etc", "collocations": []},
    "german": {"abbreviations": "z.b nr", "collocations": []},
}
ORTHOGRAPHY = {"mer": 46, "dupont": 2, "suite": 46, "le": 46}


def write_nltk_data(folder):
    """Write NLTK data of three languages and eleven nouns, in NLTK's formats."""
    archives = {
        "corpora/wordnet.zip": {f"wordnet/{kind}.{part}": "" for kind in KINDS for part in PARTS}
        | {
            "wordnet/cntlist.rev": "",
            "wordnet/index.sense": "",
            "wordnet/lexnames": "00\tadj.all\t3\n",
            "wordnet/index.noun": "  1 licence\n"
            + "".join(f"{noun} n 1 0 1 0 0000000{i}  \n" for i, noun in enumerate(sorted(NOUNS))),
            **{f"wordnet/{part}.exc": "" for part in PARTS},
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
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        with zipfile.ZipFile(folder / path, "w") as archive:
            for name, content in members.items():
                archive.writestr(name, content)
    return folder
