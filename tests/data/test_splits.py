import numpy as np
import pandas as pd
import pytest

from rakuten import categories
from rakuten.data import splits

SHARES = {"test_share": 0.2, "validation_share": 0.1}
OPTIONS = SHARES | {"keep_duplicates_together": True, "seed": 7}


def catalogue(seed: int = 0, per_category: int = 60) -> tuple[pd.DataFrame, list[str]]:
    """Four categories, ids in random order, a fifth of the products with duplicates."""
    generator = np.random.default_rng(seed)
    codes = np.repeat([10, 40, 50, 60], per_category)
    count = len(codes)
    texts = np.array([f"mot {row}" for row in range(count)], dtype=object)
    digests = np.array([f"{row:032x}" for row in range(count)], dtype=object)
    for values in (texts, digests):
        rows = generator.choice(count - 1, count // 10, replace=False)
        values[rows] = values[rows + 1]
    texts[::9] = ""
    digests[4::9] = ""
    order = generator.permutation(count)
    frame = pd.DataFrame({"id": 1000 + order, "tokens": texts, "prdtypecode": codes})
    return frame, digests.tolist()


def naive_groups(ids, texts, digests) -> list[int]:
    """Propagate the smaller id over matching pairs until nothing changes."""
    groups, changed = list(ids), True
    while changed:
        changed = False
        for a in range(len(ids)):
            for b in range(len(ids)):
                match = texts[a] == texts[b] != "" or digests[a] == digests[b] != ""
                if match and groups[b] < groups[a]:
                    groups[a], changed = groups[b], True
    return groups


def test_groups_by_text_by_image_and_through_others():
    ids = np.array([9, 3, 5, 7, 1, 2, 8])
    texts = ["livre", "livre", "", "", "jeu", "lampe", "jeux"]
    digests = ["", "aa", "aa", "", "", "", "bb"]
    groups = splits.duplicate_groups(ids, texts, digests)
    assert groups.tolist() == [3, 3, 3, 7, 1, 2, 8]
    assert groups.dtype == np.int64


def test_a_text_does_not_match_an_image_digest():
    assert splits.duplicate_groups(np.array([1, 2]), ["aa", ""], ["", "aa"]).tolist() == [1, 2]


def test_groups_equal_a_naive_search():
    frame, digests = catalogue(per_category=20)
    ids, texts = frame["id"].to_numpy(), frame["tokens"].tolist()
    groups = splits.duplicate_groups(ids, texts, digests)
    assert groups.tolist() == naive_groups(ids, texts, digests)
    assert len(np.unique(groups)) < len(ids)


def test_parts_are_disjoint_complete_and_no_group_crosses():
    frame, digests = catalogue()
    parts, _ = splits.split(frame, digests, **OPTIONS)
    assert parts["id"].tolist() == frame["id"].tolist()
    assert parts.columns.tolist() == ["id", "part", "group"]
    assert set(parts["part"]) == {"train", "validation", "test"}
    assert (parts.groupby("group")["part"].nunique() == 1).all()
    assert parts["group"].duplicated().sum() > 20


def deviations(codes, parts, *, test_share=0.2, validation_share=0.1):
    """The largest difference between a category's row count in a part and its share."""
    counts = pd.crosstab(codes, parts).reindex(columns=["train", "validation", "test"])
    shares = np.array([1 - test_share - validation_share, validation_share, test_share])
    expected = counts.sum(axis=1).to_numpy()[:, None] * shares
    return np.abs(counts.fillna(0).to_numpy() - expected).max()


def test_without_duplicates_the_challenge_is_split_as_in_the_study():
    """The study tests on 16,984 of 84,916 products; each of 27 categories is rounded by itself."""
    codes = np.repeat(list(categories.SIZES), list(categories.SIZES.values()))
    codes = np.random.default_rng(0).permutation(codes)
    ids = np.arange(len(codes))
    parts = splits.assign_parts(ids, codes, ids, **SHARES, seed=0)
    counts = pd.Series(parts).value_counts()
    assert counts["test"] == pytest.approx(16_984, abs=27)
    assert counts["validation"] == pytest.approx(8_492, abs=27)
    assert deviations(codes, parts) < 1


@pytest.mark.parametrize(
    ("test", "validation"), [(0.2, 0.1), (0.15, 0.15), (0.4, 0.3), (0.0, 0.05)]
)
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_at_every_size_categories_differ_from_their_shares_by_less_than_a_product(
    test, validation, seed
):
    codes = np.random.default_rng(seed).choice([10, 40, 50], 240, p=[0.6, 0.3, 0.1])
    ids = np.arange(240)
    shares = {"test_share": test, "validation_share": validation}
    parts = splits.assign_parts(ids, codes, ids, **shares, seed=seed)
    for part, share in (
        ("train", 1 - test - validation),
        ("validation", validation),
        ("test", test),
    ):
        for code in (10, 40, 50):
            counts = np.cumsum(parts[codes == code] == part)
            assert np.abs(counts - share * np.arange(1, len(counts) + 1)).max() < 1


def test_later_groups_make_up_for_groups_of_several_products():
    generator = np.random.default_rng(0)
    ids = np.arange(1200)
    codes = generator.choice([10, 40, 50], 1200)
    founders = generator.integers(0, 400, 1200)  # groups of three on average, across categories
    groups = np.where(ids < 700, founders, ids)
    for seed in range(5):
        parts = splits.assign_parts(ids, codes, groups, **SHARES, seed=seed)
        assert (pd.Series(parts).groupby(groups).nunique() == 1).all()
        assert deviations(codes[:700], parts[:700]) > 1
        assert deviations(codes, parts) < 1


def second_drop(frame: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """Products with larger ids, of old and new categories: some duplicate an old text or image."""
    added, digests = catalogue(seed=1, per_category=30)
    added["id"] += 5000
    added["prdtypecode"] = added["prdtypecode"].replace({40: 1140})
    added["tokens"] = [text and f"nouveau {text}" for text in added["tokens"]]
    added.loc[added.index[:9], "tokens"] = frame["tokens"].to_numpy()[1:90:10]
    return added, [digest and f"n{digest}" for digest in digests]


@pytest.mark.parametrize("together", [True, False])
@pytest.mark.parametrize("seed", [7, 8])
def test_a_second_drop_moves_no_product(together, seed):
    options = OPTIONS | {"keep_duplicates_together": together, "seed": seed}
    frame, digests = catalogue()
    added, more = second_drop(frame)
    before, _ = splits.split(frame, digests, **options)
    after, report = splits.split(pd.concat([added, frame]), [*more, *digests], **options)
    old = after[after["id"] < 5000].reset_index(drop=True)
    pd.testing.assert_frame_equal(old, before)
    assert report["duplicates"]["groups"] > 40
    joined = after[(after["id"] > 5000) & (after["group"] < 5000)]
    assert len(joined) > 5
    if together:
        assert (after.groupby("group")["part"].nunique() == 1).all()


def test_an_added_product_that_links_two_groups_moves_only_the_younger_group():
    frame, digests = catalogue()
    before, _ = splits.split(frame, digests, **OPTIONS)
    alone = before[~before["group"].duplicated(keep=False)]
    with_text = alone[frame.loc[alone.index, "tokens"] != ""].set_index("part")["id"]
    with_image = alone[np.array(digests)[alone.index] != ""].set_index("part")["id"]
    for older, younger in (("train", "test"), ("test", "train")):
        ids = sorted([*with_text[older], *with_image[younger]])
        first = next(id_ for id_ in ids if id_ in set(with_text[older]))
        second = next(id_ for id_ in ids[::-1] if id_ in set(with_image[younger]) and id_ > first)
        link = pd.DataFrame({
            "id": [9000, 9001],
            "tokens": [frame.set_index("id").loc[first, "tokens"], "autre"],
            "prdtypecode": [10, 10],
        })  # fmt: skip
        digest = dict(zip(frame["id"], digests, strict=True))[second]
        after, _ = splits.split(pd.concat([frame, link]), [*digests, digest, ""], **OPTIONS)
        moved = after[: len(frame)]["part"].ne(before["part"]).to_numpy()
        assert frame["id"][moved].tolist() == [second]
        assert after.set_index("id").loc[[first, second, 9000], "part"].tolist() == [older] * 3


def test_permuting_rows_does_not_change_their_parts():
    frame, digests = catalogue()
    expected, report = splits.split(frame, digests, **OPTIONS)
    order = np.random.default_rng(5).permutation(len(frame))
    parts, permuted = splits.split(frame.iloc[order], np.array(digests)[order], **OPTIONS)
    pd.testing.assert_frame_equal(parts, expected.iloc[order].reset_index(drop=True))
    assert permuted == report


def test_the_seed_determines_the_parts():
    frame, digests = catalogue()
    first, again, other = (
        splits.split(frame, digests, **OPTIONS | {"seed": seed})[0] for seed in (1, 1, 2)
    )
    pd.testing.assert_frame_equal(first, again)
    assert (first["part"] != other["part"]).mean() > 0.2


def test_report_counts_the_duplicates_that_a_split_without_groups_separates():
    frame, digests = catalogue()
    together, report = splits.split(frame, digests, **OPTIONS)
    by_row, loose = splits.split(frame, digests, **OPTIONS | {"keep_duplicates_together": False})
    assert report["split_apart"] == {"groups": 0, "test_products_with_duplicate_in_train": 0}
    apart = report["split_apart_row_by_row"]
    assert apart == loose["split_apart"] == loose["split_apart_row_by_row"]
    crossing = by_row.groupby("group")["part"].nunique() > 1
    assert apart["groups"] == crossing.sum() > 0
    trained_on = set(by_row.loc[by_row["part"] == "train", "group"])
    leaked = by_row[(by_row["part"] == "test") & by_row["group"].isin(trained_on)]
    assert apart["test_products_with_duplicate_in_train"] == len(leaked) > 0
    assert report["kept_together"] is True
    assert report["parts"] == together["part"].value_counts().to_dict()


def test_report_counts_duplicates():
    frame = pd.DataFrame(
        {
            "id": range(8),
            "tokens": ["a b", "a b", "a b", "", "", "c", "d", "e"],
            "prdtypecode": [10, 10, 40, 40, 40, 10, 10, 10],
        }
    )
    digests = ["", "", "x", "x", "", "y", "", "y"]
    _, report = splits.split(frame, digests, **OPTIONS)
    assert report["products"] == 8
    assert report["products_sharing"] == {"text": 3, "image": 4}
    assert report["duplicates"] == {
        "groups": 2,
        "products": 6,
        "largest_group": 4,
        "groups_of_several_categories": 1,
    }
    assert report["categories"]["40"]["products"] == 3


def test_the_first_group_of_a_category_goes_to_train():
    codes = np.array([10] * 20 + [40] * 2 + [50] + [60] * 4)
    ids = np.random.default_rng(0).permutation(len(codes))
    groups = np.where(codes == 60, ids[codes == 60].min(), ids)  # four products, one group
    for seed in range(20):
        parts = splits.assign_parts(ids, codes, groups, **SHARES, seed=seed)
        assert set(parts[np.isin(codes, [50, 60])]) == {"train"}
        assert parts[codes == 40][ids[codes == 40].argmin()] == "train"
        assert pd.Series(parts[codes == 10]).value_counts().to_dict() == {
            "train": 14,
            "test": 4,
            "validation": 2,
        }


def test_every_category_keeps_a_train_product():
    codes = np.repeat([10, 40], 3)
    ids = np.arange(6)
    parts = splits.assign_parts(ids, codes, ids, test_share=0.6, validation_share=0.35, seed=0)
    assert set(codes[parts == "train"]) == {10, 40}


def test_a_category_that_begins_in_a_group_of_another_category_still_gets_a_train_product():
    codes = np.array([10] * 30 + [40] * 2)
    ids = np.arange(32)
    for seed in range(20):
        alone = splits.assign_parts(ids, codes, ids, **SHARES, seed=seed)
        tested = int(np.flatnonzero(alone == "test")[0])
        groups = np.where(ids == 30, tested, ids)
        parts = splits.assign_parts(ids, codes, groups, **SHARES, seed=seed)
        assert parts[30:].tolist() == ["test", "train"]


@pytest.mark.parametrize(("test", "validation"), [(0.9, 0.1), (-0.1, 0.1), (0.2, -0.2)])
def test_invalid_shares_are_rejected(test, validation):
    ids = np.arange(10)
    with pytest.raises(ValueError, match=f"test_share is {test} and validation_share {validation}"):
        splits.assign_parts(ids, ids % 2, ids, test_share=test, validation_share=validation, seed=0)


def test_a_share_of_zero_leaves_a_part_empty():
    ids = np.arange(12)
    parts = splits.assign_parts(ids, ids % 2, ids, test_share=0.25, validation_share=0.0, seed=0)
    assert set(parts) == {"train", "test"}


def folds_of(per_category=30, seed=0, count=5):
    """Four categories in groups of one to three rows, a group within one category."""
    labels = np.repeat([0, 3, 11, 26], per_category)
    groups = np.arange(len(labels)) // np.tile([1, 2, 3], len(labels))[: len(labels)]
    groups = groups * 100 + labels
    return labels, groups, splits.folds(labels, groups, count=count, seed=seed)


@pytest.mark.parametrize("count", [2, 5, 7])
def test_folds_keep_duplicates_together_and_balance_rows_and_categories(count):
    labels, groups, folds = folds_of(count=count)
    frame = pd.DataFrame({"label": labels, "group": groups, "fold": folds})
    assert len(np.unique(groups)) < len(groups)
    assert (frame.groupby("group")["fold"].nunique() == 1).all()
    assert np.ptp(np.bincount(folds, minlength=count)) <= 6
    counts = pd.crosstab(frame["label"], frame["fold"])
    assert counts.shape == (4, count)
    assert (counts.max(axis=1) - counts.min(axis=1) <= 3).all()
    assert folds.dtype == np.int64


def test_folds_have_similar_sizes_with_large_groups_of_duplicates():
    """Group sizes from 1 to 300: balancing groups gives folds of 684 to 1,442 rows."""
    generator = np.random.default_rng(0)
    sizes = np.minimum(300, np.ceil(generator.pareto(0.9, 600))).astype(int)
    labels = np.repeat(generator.integers(0, 5, len(sizes)), sizes)
    groups = np.repeat(generator.permutation(len(sizes)), sizes)
    folds = splits.folds(labels, groups, count=5, seed=0)
    rows = np.bincount(folds)
    assert sizes.max() == 300
    assert rows.max() / rows.min() < 1.2
    counts = pd.crosstab(labels, folds)
    assert counts.shape == (5, 5)
    assert counts.min(axis=None) > 0


def test_permuting_rows_does_not_change_their_folds():
    labels, groups, folds = folds_of()
    order = np.random.default_rng(5).permutation(len(labels))
    moved = splits.folds(labels[order], groups[order], count=5, seed=0)
    np.testing.assert_array_equal(moved, folds[order])


def test_the_seed_determines_the_folds():
    first, again, other = (folds_of(seed=seed)[2] for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert (first != other).mean() > 0.3


def test_folds_of_few_rows():
    none = np.zeros(0, np.int64)
    assert splits.folds(none, none, count=5, seed=0).shape == (0,)
    assert splits.folds(np.array([3]), np.array([8]), count=5, seed=0).tolist() == [0]
    one_group = splits.folds(np.array([3, 3, 4]), np.array([8, 8, 8]), count=2, seed=0)
    assert one_group.tolist() == [0, 0, 0]
    different = splits.folds(np.array([3, 4, 5]), np.array([1, 2, 3]), count=2, seed=0)
    assert different.tolist() == [0, 0, 0]
    three = splits.folds(np.array([3, 3, 4]), np.array([1, 2, 3]), count=5, seed=0)
    assert set(three) == {0, 1}


@pytest.mark.filterwarnings("error")
def test_a_category_smaller_than_the_number_of_folds_is_spread_silently():
    labels = np.array([0] * 12 + [1] * 2)
    folds = splits.folds(labels, np.arange(14), count=4, seed=0)
    assert len(set(folds[12:])) == 2
    assert set(folds) == {0, 1, 2, 3}


def test_one_fold_is_rejected():
    with pytest.raises(ValueError, match="folds is 1: expected at least 2"):
        splits.folds(np.array([3]), np.array([8]), count=1, seed=0)


@pytest.mark.parametrize("seed", range(3))
def test_at_every_size_only_merged_groups_move(seed):
    """Many duplicates by text and by image, across categories, so that groups often merge."""
    generator = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "id": np.sort(generator.choice(500, 80, replace=False)),
            "tokens": [f"mot {number}" for number in generator.integers(0, 70, 80)],
            "prdtypecode": generator.choice([10, 40], 80),
        }
    )
    digests = [f"{number:032x}" for number in generator.integers(0, 70, 80)]
    whole, report = splits.split(frame, digests, **OPTIONS)
    assert report["duplicates"]["largest_group"] > 3
    merged = 0
    for size in range(9, 80, 10):
        part, _ = splits.split(frame[:size], digests[:size], **OPTIONS)
        moved = part["part"] != whole["part"][:size]
        of_merged_group = part["group"] != whole["group"][:size]
        assert not (moved & ~of_merged_group).any()
        merged += of_merged_group.sum()
    assert merged


def test_folds_have_no_gaps():
    """Here scikit-learn leaves the third of four folds empty."""
    labels, groups = np.array([1, 0, 0, 1, 1, 0, 1, 1, 1]), np.array([3, 1, 2, 0, 0, 1, 0, 2, 2])
    assert set(splits.folds(labels, groups, count=5, seed=0)) == {0, 1, 2}
