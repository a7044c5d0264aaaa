"""Tests of the output folder of a distributed run."""

import pytest

from rakuten.distributed.output import Output
from rakuten.distributed.partitions import Partition
from rakuten.serving import batch_prediction, prediction_files
from rakuten.serving.errors import InputError

PART = Partition(0, 2, 0, 0)
ERRORS = [(1, "x.csv", 3, "1", "bad")]
TABLE = prediction_files.tabulate(
    batch_prediction.columns_of(1), [[1, 10, "a", 0.5, None, 1.0]] * 2
)


def test_a_damaged_partition_is_missing(tmp_path):
    output = Output(str(tmp_path), "predictions", {"input": 1}, restart=False)
    written = output.write(PART, TABLE, ERRORS, 1)
    assert output.finished([PART]) == {PART.name: written}
    with pytest.raises(
        InputError, match=r"changed while it was read: expected 2 rows .*received 1"
    ):
        output.write(PART, TABLE.slice(1), [], 0)
    file = tmp_path / "predictions" / PART.name
    file.write_bytes(file.read_bytes()[:-1])
    assert output.finished([PART]) == {}
    with pytest.raises(InputError, match=r"another command \(input differ\)"):
        Output(str(tmp_path), "predictions", {"input": 2}, restart=False)


def test_errors_and_their_partition_belong_together(tmp_path):
    """A kill may leave errors without their partition; a partition without them is unfinished."""
    output = Output(str(tmp_path), "predictions", {"input": 1}, restart=False)
    errors, file = tmp_path / "errors" / PART.name, tmp_path / "predictions" / PART.name
    output.write(PART, TABLE, ERRORS, 1)
    errors.unlink()
    assert output.finished([PART]) == {}
    output.write(PART, TABLE, ERRORS, 1)
    file.unlink()
    assert output.finished([PART]) == {}
    assert not errors.exists()
    written = output.write(PART, TABLE, [], 0)  # the rows have no faults any more
    assert output.finished([PART]) == {PART.name: written}


def test_a_damaged_manifest_is_an_error_with_a_remedy(tmp_path):
    Output(str(tmp_path), "predictions", {"input": 1}, restart=False)
    (tmp_path / "manifest.json").write_text('{"complete"')
    with pytest.raises(InputError, match="remove that folder, or name another"):
        Output(str(tmp_path), "predictions", {"input": 1}, restart=False)
