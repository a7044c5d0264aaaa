"""What a trainer sees: features, labels and parts of the same products, matched by id."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy import sparse

from rakuten.categories import NUM_CATEGORIES

if TYPE_CHECKING:
    import pandas as pd

PARTS = ("train", "validation", "test")
"""The parts in the order in which they are used: fitted on, chosen by, looked at once."""


@dataclass(frozen=True)
class Examples:
    """Products in ascending id with one kind of features.

    Attributes:
        ids: int64 (n,), ascending.
        features: float32 (n, d), dense or CSR; rows of zeros where the modality is missing. None
            where they are not one matrix and are kept elsewhere, in the order of the ids.
        present: bool (n,), whether the product has the modality.
        labels: int64 (n,) class indices in 0..26.
        parts: str (n,), each one of `PARTS`.
    """

    ids: np.ndarray
    features: np.ndarray | sparse.csr_array | None
    present: np.ndarray
    labels: np.ndarray
    parts: np.ndarray

    def rows(self, part: str) -> np.ndarray:
        """Find the rows of a part that have the modality: int64 (m,), ascending."""
        return np.flatnonzero((self.parts == part) & self.present)

    def prior(self) -> np.ndarray:
        """Count the categories among all train rows: float32 (27,), sums to 1.

        It stands in for the probabilities of products that lack the modality.
        """
        counts = np.bincount(self.labels[self.parts == "train"], minlength=NUM_CATEGORIES)
        return (counts / counts.sum()).astype(np.float32)


def out_of_fold_outputs(
    examples: Examples, left_out: np.ndarray, predict: Callable[[np.ndarray], np.ndarray]
) -> dict[str, np.ndarray]:
    """Put together what a classifier says of every product, of none that it has seen.

    Args:
        examples: n products.
        left_out: float32 (m, 27), the out-of-fold probabilities of the train rows that have the
            modality, in their order.
        predict: Rows int64 (k,) -> their probabilities float32 (k, 27); asked for the others.

    Returns:
        ids int64 (n,), present bool (n,), probabilities float32 (n, 27): the categories'
        frequencies in the train part where the modality is missing. Without a train row every
        product counts as missing.
    """
    train = examples.rows("train")
    present = examples.present & bool(train.size)
    probabilities = np.tile(examples.prior(), (len(examples.ids), 1))  # (n, 27)
    others = np.flatnonzero(present & (examples.parts != "train"))
    if train.size:
        probabilities[train] = left_out
    if others.size:
        probabilities[others] = predict(others)
    return {"ids": examples.ids, "present": present, "probabilities": probabilities}


def sparse_features(arrays: dict[str, np.ndarray]) -> sparse.csr_array:
    """Assemble the CSR matrix (n, d) that the vectorize stage wrote as plain arrays."""
    return sparse.csr_array(
        (arrays["data"], arrays["indices"], arrays["indptr"]), shape=tuple(arrays["shape"])
    )


def sparse_arrays(features: sparse.csr_array) -> dict[str, np.ndarray]:
    """Take a CSR matrix apart into the plain arrays that `sparse_features` assembles again."""
    return {
        "data": features.data,
        "indices": features.indices.astype(np.int32),
        "indptr": features.indptr.astype(np.int32),
        "shape": np.array(features.shape, dtype=np.int64),
    }


def side_by_side(text: dict[str, np.ndarray], image: dict[str, np.ndarray]) -> dict:
    """Put the hidden layers of both nets next to each other.

    Args:
        text: The text net's outputs: ids (n,), present (n,), hidden (n, t).
        image: The image net's outputs: ids (n,), present (n,), hidden (n, i).

    Returns:
        ids (n,), present (n,): whether either modality is there, features (n, t + i).

    Raises:
        ValueError: If the two do not hold the same products in the same order.
    """
    check_ids(text["ids"], image["ids"], "image outputs")
    return {
        "ids": text["ids"],
        "present": text["present"] | image["present"],
        "features": np.concatenate([text["hidden"], image["hidden"]], axis=1),
    }


def join(
    products: "pd.DataFrame",
    parts: "pd.DataFrame",
    ids: np.ndarray,
    present: np.ndarray,
    features: np.ndarray | sparse.csr_array | None,
) -> Examples:
    """Match features with labels and parts by the products' ids.

    Args:
        products: Columns id, label; one row per product, ascending id.
        parts: Columns id, part; the same ids in the same order.
        ids: int64 (n,) ids of the feature rows.
        present: bool (n,).
        features: float32 (n, d), or None.

    Returns:
        The examples, in ascending id.

    Raises:
        ValueError: If the ids of the three differ or are not in the same order.
    """
    expected = products["id"].to_numpy()
    check_ids(expected, parts["id"].to_numpy(), "parts")
    check_ids(expected, ids, "features")
    return Examples(
        ids=expected,
        features=features,
        present=present,
        labels=products["label"].to_numpy(),
        parts=parts["part"].to_numpy(dtype=str),
    )


def check_ids(expected: np.ndarray, received: np.ndarray, what: str) -> None:
    """Refuse arrays of other products, or of the same products in another order.

    Raises:
        ValueError: With the number of rows, or the first id that differs.
    """
    if expected.shape != received.shape:
        raise ValueError(
            f"{what} hold {len(received):,} products, expected {len(expected):,}: run 'dvc repro'"
        )
    different = np.flatnonzero(expected != received)
    if different.size:
        row = different[0]
        raise ValueError(
            f"{what} are of other products: row {row} is id {received[row]}, expected "
            f"{expected[row]}, both in ascending id; run 'dvc repro'"
        )
