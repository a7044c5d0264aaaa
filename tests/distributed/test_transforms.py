"""Tests of what is computed for every product."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from distributed_cases import SMALL, WIDTHS, ToyExtraction

from rakuten.distributed import transforms
from rakuten.image.preprocessing import Facts
from rakuten.serving import batch_prediction
from rakuten.serving.classifier import Prepared
from rakuten.serving.product_tables import Row


def test_other_files_or_threads_change_the_identity(tmp_path):
    (tmp_path / "nltk" / "a").mkdir(parents=True)
    for name in ("w.npz", "nltk/x", "nltk/a/x"):
        (tmp_path / name).write_bytes(bytes(3 << 20))
    extract = ToyExtraction(str(tmp_path / "w.npz"), SMALL, 2)
    makers = {
        "w.npz": lambda: transforms.Extraction(extract.weights, SMALL, 2),
        "nltk/x": lambda: transforms.Cleaning(str(tmp_path), {}),
        "nltk/a/x": lambda: transforms.Prediction(str(tmp_path), 3),
    }
    for name, make in makers.items():
        before = make().identity()
        assert make().identity() == before
        with (tmp_path / name).open("r+b") as file:
            file.seek(3 << 19)  # in the middle, the size stays
            file.write(b"changed")
        assert make().identity() != before, name
    one = replace(makers["w.npz"](), threads=1)
    assert one.identity() != makers["w.npz"]().identity()
    assert one.takes_gpu
    assert not replace(one, settings=replace(SMALL, precision="int8")).takes_gpu


@pytest.mark.parametrize("has", [[True, False, True], [False, False], [True]])
def test_features_are_null_without_an_image_and_can_be_read(tmp_path, has):
    """PyArrow cannot read lists of fixed size from Parquet if some are null."""
    facts = [0.0] * len(Facts._fields)
    image = np.zeros((2, 32, 32, 3), np.uint8), facts
    prepared_rows = [
        batch_prediction.PreparedRow(
            Row(i, i, i, "", "", None, ()),
            Prepared("", "", image if there else None),
            (),
            False,
        )
        for i, there in enumerate(has)
    ]
    transform = ToyExtraction(str(tmp_path), replace(SMALL, views=["product", "flip"]), 1)
    pq.write_table(transform.load()(prepared_rows), tmp_path / "x.parquet")
    found = pd.read_parquet(tmp_path / "x.parquet")
    assert found["has_image"].tolist() == has
    for kind, width in WIDTHS.items():
        sizes = [None if row is None else len(row) for row in found[kind]]
        views = 1 if kind == "average" else 2
        assert sizes == [width * views if there else None for there in has]
