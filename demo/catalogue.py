"""The products that the page shows, with their images, parts and predictions."""

import base64
import io
import threading
from functools import lru_cache
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from demo.paths import ARCHIVE, DATASET, PARTS, PREDICTIONS, PRODUCTS
from rakuten import storage
from rakuten.data import products
from rakuten.image import preprocessing
from rakuten.text.html import plain_text

THUMBNAIL = 176
"""Longer side of a thumbnail in pixels."""


class Catalogue:
    """All products by id, opened once and shared by all visitors.

    Args:
        root: The repository, or links to its files.

    Attributes:
        table: The product table indexed by id, with its `part` and whether it `has_image`.
    """

    def __init__(self, root: Path):
        table = storage.read_table(root / PRODUCTS).set_index("id")
        parts = storage.read_table(root / PARTS).set_index("id")
        self._archive = storage.ImageArchive(root / ARCHIVE)
        self._lock = threading.Lock()  # the archive's file has one read position
        names = [f"image_train/{name}" for name in products.image_names(table)]
        self.table = table.assign(
            part=parts["part"],
            file=names,
            has_image=[name in self._archive for name in names],
        )
        self.thumbnail = lru_cache(maxsize=2048)(self._thumbnail)

    def title(self, product: int) -> str:
        """Read a product's title as plain text, "" if it has none."""
        return self._text(product, "designation")

    def description(self, product: int) -> str:
        """Read a product's description as plain text, "" if it has none."""
        return self._text(product, "description")

    def code(self, product: int) -> int:
        """Look up a product's true `prdtypecode`."""
        return int(self.table.at[product, "prdtypecode"])

    def image(self, product: int) -> bytes | None:
        """Read the content of a product's image file, None without an image."""
        if not self.table.at[product, "has_image"]:
            return None
        with self._lock:
            return self._archive.read(self.table.at[product, "file"])

    def _thumbnail(self, product: int) -> str | None:
        """Make a thumbnail as a data URL, None without a readable image."""
        content = self.image(product)
        if content is None:
            return None
        try:
            return data_url(preprocessing.decode(content))
        except preprocessing.ImageError:
            return None

    def _text(self, product: int, field: str) -> str:
        value = self.table.at[product, field]
        return plain_text(value) if isinstance(value, str) else ""


def data_url(pixels: np.ndarray, *, side: int = THUMBNAIL) -> str:
    """Shrink pixels uint8 (height, width, 3) and encode them as a data URL with a JPEG."""
    image = Image.fromarray(pixels)
    image.thumbnail((side, side))
    content = io.BytesIO()
    image.save(content, "JPEG", quality=82)
    return f"data:image/jpeg;base64,{base64.b64encode(content.getvalue()).decode('ascii')}"


def predictions(root: Path) -> pd.DataFrame:
    """Read the predictions of late_fusion for the test part.

    Args:
        root: The repository, or links to its files.

    Returns:
        Columns id, actual and predicted (int64 codes), probability; ascending id.
    """
    table = storage.read_csv(root / PREDICTIONS)
    codes = {
        name: table[name].str.split(" ", n=1).str[0].astype("int64")
        for name in ("actual", "predicted")
    }
    score = table["score"].clip(upper=0.99995)  # rounded: a 1 in the file is less than 1
    return table.assign(**codes, score=score).rename(columns={"score": "probability"})


def dataset_name() -> str:
    """Read the name of the data."""
    return str(storage.read_json(DATASET)["name"])
