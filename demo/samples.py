"""Which test products the page offers to try: a dozen that show what is easy and what is hard."""

from dataclasses import dataclass

import pandas as pd

from rakuten.categories import GROUPS

COUNT = 12
PER_GROUP = 2


@dataclass(frozen=True)
class Sample:
    """A product to try.

    Attributes:
        product: Its id.
        kind: Why it was chosen: "plain", "group", "no_description", "no_picture", "wrong".
        group: The confusable group that it stands for, "" otherwise.
        with_picture: Whether its picture is shown to the model.
    """

    product: int
    kind: str
    group: str = ""
    with_picture: bool = True


def candidates(predictions: pd.DataFrame, table: pd.DataFrame) -> pd.DataFrame:
    """Add what the choice looks at to the predictions of the test part.

    Args:
        predictions: As `demo.catalogue.predictions`, m rows.
        table: As `demo.catalogue.Catalogue.table`.

    Returns:
        The m rows, the most probable first, with has_description and has_picture.
    """
    facts = table.loc[predictions["id"]]
    return predictions.assign(
        has_description=facts["description"].notna().to_numpy(),
        has_picture=facts["has_picture"].to_numpy(),
    ).sort_values(["probability", "id"], ascending=[False, True], ignore_index=True)


def choose(rows: pd.DataFrame) -> list[Sample]:
    """Choose the products to offer.

    Args:
        rows: As `candidates` gives them.

    Returns:
        At most `COUNT` different products: plain ones, two of each confusable group, one without a
        description, one without a picture (one whose picture is left out if all have one), one
        that the model gets wrong. Fewer where the test part has none of a kind.
    """
    right = rows["actual"] == rows["predicted"]
    whole = right & rows["has_description"] & rows["has_picture"]
    chosen: list[Sample] = []
    seen: set[int] = set()  # categories shown already

    def take(mask: pd.Series, count: int, kind: str, group: str = "", picture: bool = True) -> None:
        free = rows[mask & ~rows["actual"].isin(seen)].drop_duplicates("actual")[:count]
        seen.update(free["actual"])
        chosen.extend(Sample(int(product), kind, group, picture) for product in free["id"])

    grouped = rows["actual"].isin([code for codes in GROUPS.values() for code in codes])
    wrong = rows[~right & grouped] if (~right & grouped).any() else rows[~right]
    special = [Sample(int(product), "wrong") for product in wrong["id"][:1]]
    seen.update(wrong["actual"][:1])
    for group, codes in GROUPS.items():
        take(whole & rows["actual"].isin(codes), PER_GROUP, "group", group)
    take(right & ~rows["has_description"] & rows["has_picture"], 1, "no_description")
    bare = right & ~rows["has_picture"]
    take(bare if bare.any() else whole, 1, "no_picture", picture=False)
    missing = COUNT - len(chosen) - len(special)
    others = chosen.copy()
    chosen.clear()
    take(whole, missing, "plain")
    return chosen + others + special
