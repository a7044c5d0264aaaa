"""Features, labels and parts of the same products, matched by id."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy import sparse

from rakuten.categories import NUM_CATEGORIES

if TYPE_CHECKING:
    import pandas as pd

PARTS = ("train", "validation", "test")
"""The parts of the data: for fitting, for choosing parameters, for the final measurement."""

Features = np.ndarray | sparse.csr_array
"""A feature matrix float32 (n, d), dense or CSR."""


@dataclass(frozen=True)
class Examples:
    """Products in ascending id with one kind of features.

    Attributes:
        ids: int64 (n,), ascending.
        features: float32 (n, d), dense or CSR, rows of zeros where the modality is missing. None
            if the features are not one matrix and are kept elsewhere, in the order of the ids.
        present: bool (n,), whether the product has the modality.
        labels: int64 (n,), class indices in 0..26.
        parts: str (n,), each one of `PARTS`.
    """

    ids: np.ndarray
    features: Features | None
    present: np.ndarray
    labels: np.ndarray
    parts: np.ndarray

    def rows(self, part: str) -> np.ndarray:
        """Find the rows of a part that have the modality: int64 (m,), ascending."""
        return np.flatnonzero((self.parts == part) & self.present)

    def features_of(self, rows: np.ndarray) -> Features:
        """Select rows of the feature matrix.

        Args:
            rows: int64 (m,), positions.

        Returns:
            float32 (m, d), dense or CSR.

        Raises:
            ValueError: If the examples have no feature matrix.
        """
        if self.features is None:
            raise ValueError("these examples have no feature matrix: pass one to `join`")
        return self.features[rows]

    def prior(self) -> np.ndarray:
        """Compute the category frequencies of all train rows: float32 (27,), sums to 1.

        They are the probabilities of products that lack the modality.
        """
        counts = np.bincount(self.labels[self.parts == "train"], minlength=NUM_CATEGORIES)
        return (counts / counts.sum()).astype(np.float32)


def out_of_fold_outputs(
    examples: Examples, out_of_fold: np.ndarray, predict: Callable[[np.ndarray], np.ndarray]
) -> dict[str, np.ndarray]:
    """Collect a classifier's outputs for every product, each by a fit that excludes it.

    Args:
        examples: n products.
        out_of_fold: float32 (m, 27), out-of-fold probabilities of the train rows that have the
            modality, in their order.
        predict: A function from rows int64 (k,) to their probabilities float32 (k, 27), called for
            the other rows.

    Returns:
        ids int64 (n,), present bool (n,), probabilities float32 (n, 27), the category frequencies
        of the train part where the modality is missing. Without a train row every product counts
        as missing.
    """
    train = examples.rows("train")
    present = examples.present & bool(train.size)
    probabilities = np.tile(examples.prior(), (len(examples.ids), 1))  # (n, 27)
    others = np.flatnonzero(present & (examples.parts != "train"))
    if train.size:
        probabilities[train] = out_of_fold
    if others.size:
        probabilities[others] = predict(others)
    return {"ids": examples.ids, "present": present, "probabilities": probabilities}


def sparse_features(arrays: Mapping[str, np.ndarray]) -> sparse.csr_array:
    """Build a CSR matrix (n, d) from the arrays of `sparse_arrays`."""
    return sparse.csr_array(
        (arrays["data"], arrays["indices"], arrays["indptr"]), shape=tuple(arrays["shape"])
    )


def sparse_arrays(features: sparse.csr_array) -> dict[str, np.ndarray]:
    """Return a CSR matrix as arrays: data, indices int32, indptr int32, shape int64 (2,)."""
    return {
        "data": features.data,
        "indices": features.indices.astype(np.int32),
        "indptr": features.indptr.astype(np.int32),
        "shape": np.array(features.shape, dtype=np.int64),
    }


def side_by_side(
    text: Mapping[str, np.ndarray], image: Mapping[str, np.ndarray]
) -> dict[str, np.ndarray]:
    """Concatenate the hidden layers of the text net and the image net.

    Args:
        text: The text net's outputs: ids int64 (n,), present bool (n,), hidden float32 (n, t).
        image: The image net's outputs: ids int64 (n,), present bool (n,), hidden float32 (n, i).

    Returns:
        ids int64 (n,), present bool (n,), whether either modality is present, features float32
        (n, t + i).

    Raises:
        ValueError: If the two do not have the same products in the same order.
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
    features: Features | None,
) -> Examples:
    """Match features with labels and parts by id.

    Args:
        products: Columns id, label; one row per product, ascending id.
        parts: Columns id, part; the same ids in the same order.
        ids: int64 (n,), ids of the feature rows.
        present: bool (n,), whether the product has the modality.
        features: float32 (n, d), or None.

    Returns:
        The examples, in ascending id.

    Raises:
        ValueError: If the ids of the three differ or are in another order.
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


def check_ids(expected: np.ndarray, received: np.ndarray, name: str) -> None:
    """Reject arrays of other products, or of the same products in another order.

    Args:
        expected: int64 (n,).
        received: int64 (m,).
        name: The name of the arrays in the message.

    Raises:
        ValueError: With the numbers of rows, or the first id that differs.
    """
    if expected.shape != received.shape:
        raise ValueError(
            f"{name} hold {len(received):,} products, expected {len(expected):,}: run 'dvc repro'"
        )
    different = np.flatnonzero(expected != received)
    if different.size:
        row = different[0]
        raise ValueError(
            f"{name} are of other products: row {row} is id {received[row]}, expected "
            f"{expected[row]}, both in ascending id; run 'dvc repro'"
        )
