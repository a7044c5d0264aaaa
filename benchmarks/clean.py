"""Measure cleaning in worker processes with caches against the libraries' functions row by row."""

import pandas as pd
import pytest

from benchmarks import measure
from rakuten.prefetch import available_cpus
from rakuten.text import cleaning
from tests.naive_text import Naive

PRODUCTS, NAIVE_PRODUCTS = 84_916, 2_000
OPTIONS = {"min_token_length": 2, "lemmatize": True, "remove_stopwords": True}
NLTK = measure.ROOT / "build/resources/nltk"


def main() -> None:
    """Clean a catalogue of the challenge's size three times, and a part of it row by row."""
    processes = available_cpus()
    with measure.scratch("clean") as folder, pytest.MonkeyPatch.context() as patch:
        table = measure.catalogue(folder / "text", PRODUCTS)
        some = table.iloc[:NAIVE_PRODUCTS]
        naive = Naive(NLTK, patch)
        found = {}

        def clean() -> None:
            found["ours"] = cleaning.clean(table, folder=NLTK, processes=processes, **OPTIONS)

        def row_by_row() -> None:
            pairs = some[["designation", "description"]].fillna("").itertuples(index=False)
            found["naive"] = [naive.clean(*pair, **OPTIONS) for pair in pairs]

        row_by_row()  # loads langid's model and the corpora
        seconds = measure.in_turns({"ours": clean, "naive": row_by_row}, repeats=3)
    columns = ["has_text", "language", "tokens", "num_tokens"]
    ours = pd.DataFrame({name: found["ours"][name] for name in columns}).iloc[:NAIVE_PRODUCTS]
    expected = pd.DataFrame(found["naive"], columns=columns)
    same = ours.reset_index(drop=True).astype(object).eq(expected.astype(object)).to_numpy().all()
    if not same:
        raise AssertionError("the columns differ from those of the naive loop: nothing is stored")
    note = f"{PRODUCTS:,} products; naive loop on the first {NAIVE_PRODUCTS:,}; same columns"
    row = measure.rate(
        "clean", "products", seconds["ours"], PRODUCTS, note,
        naive=seconds["naive"], naive_items=NAIVE_PRODUCTS,
    )  # fmt: skip
    measure.save("clean", [row])


if __name__ == "__main__":
    main()
