"""Tests of what is computed for every product."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from distributed_cases import BACKBONE, SPEC, WIDTHS, ToyEncoding, blank, section

from rakuten.distributed.cleaning import Cleaning
from rakuten.distributed.features import Encoding, Extraction
from rakuten.distributed.prediction import Prediction
from rakuten.image import preprocessing
from rakuten.serving import batch_prediction
from rakuten.serving.classifier import Prepared
from rakuten.serving.product_tables import Row


def test_other_files_or_threads_change_the_identity(tmp_path):
    (tmp_path / "nltk" / "a").mkdir(parents=True)
    for name in ("w.npz", "o.onnx", "nltk/x", "nltk/a/x"):
        (tmp_path / name).write_bytes(bytes(3 << 20))
    weights = str(tmp_path / "w.npz")
    makers = {
        "w.npz": lambda: Extraction(weights, BACKBONE, 2),
        "o.onnx": lambda: Encoding(str(tmp_path / "o.onnx"), SPEC, section("original")),
        "nltk/x": lambda: Cleaning(str(tmp_path), {}),
        "nltk/a/x": lambda: Prediction(str(tmp_path), 3, 256),
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
    encoding = makers["o.onnx"]()
    assert replace(encoding, section=section("flip")).identity() != encoding.identity()
    assert not encoding.takes_gpu
    assert one.takes_gpu
    assert not replace(one, settings=replace(BACKBONE, precision="int8")).takes_gpu


@pytest.mark.parametrize("transform", [Prediction("gone", 3, 256), Cleaning("gone", {})])
def test_a_missing_folder_has_no_identity(tmp_path, monkeypatch, transform):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FileNotFoundError, match=r"gone.* does not exist or contains no files"):
        transform.identity()


@pytest.mark.parametrize("has", [[True, False, True], [False, False], [True]])
def test_features_are_null_without_an_image_and_can_be_read(tmp_path, has):
    """PyArrow cannot read lists of fixed size from Parquet if some are null."""
    one = blank()
    image = preprocessing.Prepared(*(np.concatenate([part, part]) for part in one))
    prepared_rows = [
        batch_prediction.PreparedRow(
            Row(i, i, i, "", "", None, ()),
            Prepared("", "", image if there else None),
            (),
            False,
        )
        for i, there in enumerate(has)
    ]
    transform = ToyEncoding(str(tmp_path), SPEC, section("original", "flip"))
    pq.write_table(transform.load().compute(prepared_rows), tmp_path / "x.parquet")
    found = pd.read_parquet(tmp_path / "x.parquet")
    assert found["has_image"].tolist() == has
    for kind, width in WIDTHS.items():
        sizes = [None if row is None else len(row) for row in found[kind]]
        assert sizes == [2 * width if there else None for there in has]
    for field in ("border_share", "border_share_flip"):
        assert found[field].isna().tolist() == [not there for there in has]
