"""Choose 12 test products as examples: easy and hard ones."""

from dataclasses import dataclass

import pandas as pd

from rakuten.categories import GROUPS

COUNT = 12
PER_GROUP = 2


@dataclass(frozen=True)
class Example:
    """An example.

    Attributes:
        product: Its id.
        kind: Why it was chosen: "plain", "group", "no_description", "no_image", "wrong".
        group: Its confusable group if that is why, else "".
        with_image: Whether the model gets its image.
    """

    product: int
    kind: str
    group: str = ""
    with_image: bool = True


def candidates(predictions: pd.DataFrame, table: pd.DataFrame) -> pd.DataFrame:
    """Add the columns that `choose` needs to the test predictions.

    Args:
        predictions: As `demo.catalogue.predictions`, m rows.
        table: As `demo.catalogue.Catalogue.table`.

    Returns:
        The m rows, the most probable first, with has_description and has_image.
    """
    facts = table.loc[predictions["id"]]
    return predictions.assign(
        has_description=facts["description"].notna().to_numpy(),
        has_image=facts["has_image"].to_numpy(),
    ).sort_values(["probability", "id"], ascending=[False, True], ignore_index=True)


def choose(rows: pd.DataFrame) -> list[Example]:
    """Choose the examples.

    Args:
        rows: See `candidates`.

    Returns:
        At most `COUNT` products of different categories: plain ones, two of each confusable group,
        one without a description, one without an image (left out if all have one), one that is
        misclassified. Fewer if the test part has none of a kind.
    """
    right = rows["actual"] == rows["predicted"]
    whole = right & rows["has_description"] & rows["has_image"]
    chosen: list[Example] = []
    seen: set[int] = set()  # categories of the chosen products

    def take(mask: pd.Series, count: int, kind: str, group: str = "", image: bool = True) -> None:
        free = rows[mask & ~rows["actual"].isin(seen)].drop_duplicates("actual")[:count]
        seen.update(free["actual"])
        chosen.extend(Example(int(product), kind, group, image) for product in free["id"])

    grouped = rows["actual"].isin([code for codes in GROUPS.values() for code in codes])
    wrong = rows[~right & grouped] if (~right & grouped).any() else rows[~right]
    special = [Example(int(product), "wrong") for product in wrong["id"][:1]]
    seen.update(wrong["actual"][:1])
    for group, codes in GROUPS.items():
        take(whole & rows["actual"].isin(codes), PER_GROUP, "group", group)
    take(right & ~rows["has_description"] & rows["has_image"], 1, "no_description")
    bare = right & ~rows["has_image"]
    take(bare if bare.any() else whole, 1, "no_image", image=False)
    missing = COUNT - len(chosen) - len(special)
    others = chosen.copy()
    chosen.clear()
    take(whole, missing, "plain")
    return chosen + others + special
