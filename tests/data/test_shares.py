"""The choice of a share, whose products get the same parts alone as among all products."""

import numpy as np
import pandas as pd
import pytest

from rakuten.data import shares, splits

CODES = [10, 40, 50, 60, 1140]
PARTS = (0.7, 0.1, 0.2)
OPTIONS = {"test_share": 0.2, "validation_share": 0.1, "seed": 7}


def catalogue(seed: int, count: int, *, crossing: bool) -> tuple[pd.DataFrame, np.ndarray]:
    """Ids in random order; one product in ten shares a text, one in ten an image with another."""
    generator = np.random.default_rng(seed)
    codes = generator.choice(CODES, count, p=[0.4, 0.3, 0.2, 0.08, 0.02])
    texts = np.array([f"mot {row}" for row in range(count)], dtype=object)
    digests = np.array([f"{row:032x}" for row in range(count)], dtype=object)
    for values in (texts, digests):
        for row in generator.choice(count, count // 10, replace=False):
            others = np.arange(count) if crossing else np.flatnonzero(codes == codes[row])
            values[row] = values[generator.choice(others)]
    texts[generator.random(count) < 0.05] = ""
    digests[generator.random(count) < 0.3] = ""
    ids = 5 + 3 * generator.permutation(count)
    return pd.DataFrame({"id": ids, "tokens": texts, "prdtypecode": codes}), digests


@pytest.mark.parametrize("crossing", [False, True], ids=["within-categories", "across-categories"])
@pytest.mark.parametrize("share", [0.02, 0.05, 0.2, 0.5, 0.95, 1.0])
@pytest.mark.parametrize("together", [True, False], ids=["together", "row-by-row"])
@pytest.mark.parametrize("seed", range(4))
def test_the_share_is_split_as_in_the_whole(seed, together, share, crossing):
    frame, digests = catalogue(seed, 1500, crossing=crossing)
    options = OPTIONS | {"keep_duplicates_together": together}
    whole, _ = splits.split(frame, digests.tolist(), **options)
    groups = whole["group"] if together else whole["id"]
    ids, codes = frame["id"].to_numpy(), frame["prdtypecode"].to_numpy()
    chosen = shares.choose(ids, codes, groups.to_numpy(), share=share, parts=PARTS)
    part, _ = splits.split(frame[chosen], digests[chosen].tolist(), **options)
    assert part["part"].tolist() == whole["part"][chosen].tolist()
    assert not np.isin(groups[chosen], groups[~chosen]).any()
    sizes = pd.Series(chosen).groupby(codes).agg(["sum", "size"])
    wanted = np.minimum(np.maximum(np.round(share * sizes["size"]), 10), sizes["size"])
    assert (sizes["sum"] >= wanted).all()
    if not crossing:
        assert chosen.mean() == pytest.approx(wanted.sum() / len(ids), abs=0.01)
    if not together:
        assert sizes["sum"].tolist() == wanted.tolist()
        assert pd.crosstab(codes[chosen], part["part"]).to_numpy().min() >= 1


def test_the_oldest_products_of_each_category_are_chosen_in_any_order():
    codes = np.repeat([10, 40], [100, 20])
    ids = np.random.default_rng(0).permutation(120)
    chosen = shares.choose(ids, codes, ids, share=0.25, parts=PARTS)
    for code, count in ((10, 25), (40, 10)):
        own = np.sort(ids[codes == code])
        assert np.sort(ids[chosen & (codes == code)]).tolist() == own[:count].tolist()
    order = np.argsort(ids)
    ordered = shares.choose(ids[order], codes[order], ids[order], share=0.25, parts=PARTS)
    assert ordered.tolist() == chosen[order].tolist()


def test_parts_of_size_0_need_no_product():
    ids = np.arange(200)
    chosen = shares.choose(ids, np.full(200, 10), ids, share=0.01, parts=(0.75, 0.0, 0.25))
    assert chosen.sum() == 4
