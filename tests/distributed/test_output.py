"""Tests of the output folder of a distributed run."""

import json

import pandas as pd
import pytest

from rakuten.distributed.output import Output
from rakuten.distributed.partitions import Partition
from rakuten.serving import batch_prediction, prediction_files
from rakuten.serving.errors import InputError
from rakuten.serving.remote_files import RemotePath

PART = Partition(0, 2, 0, 0)
ERRORS = [(1, "x.csv", 3, "1", "bad")]
TABLE = prediction_files.tabulate(
    batch_prediction.columns_of(1), [[1, 10, "a", 0.5, None, 1.0]] * 2
)


@pytest.fixture
def output(tmp_path):
    opened = Output(str(tmp_path), "predictions")
    opened.open({"input": 1}, restart=False)
    return opened


def test_an_incomplete_partition_is_missing(output, tmp_path):
    written = output.write(PART, TABLE, ERRORS, 1)
    assert output.find(PART) == written
    with pytest.raises(
        InputError, match=r"changed while it was read: expected 2 rows .*received 1"
    ):
        output.write(PART, TABLE.slice(1), [], 0)
    file = tmp_path / "predictions" / PART.name
    file.write_bytes(file.read_bytes()[:-1])
    assert output.find(PART) is None
    with pytest.raises(InputError, match=r"another command \(input differ\)"):
        output.open({"input": 2}, restart=False)


def test_errors_and_their_partition_belong_together(output, tmp_path):
    """A kill may leave errors without their partition; a partition without them is unfinished."""
    errors, file = tmp_path / "errors" / PART.name, tmp_path / "predictions" / PART.name
    output.write(PART, TABLE, ERRORS, 1)
    errors.unlink()
    assert output.find(PART) is None
    output.write(PART, TABLE, ERRORS, 1)
    file.unlink()
    assert output.find(PART) is None
    written = output.write(PART, TABLE, [], 0)  # the rows have no faults any more
    assert not errors.exists()
    assert output.find(PART) == written


def test_files_of_killed_processes_are_not_read_and_are_deleted_in_the_end(output, tmp_path):
    done = output.write(PART, TABLE, [], 0)
    (tmp_path / "predictions" / f".{PART.name}.1f").write_bytes(b"PAR1")
    assert len(pd.read_parquet(tmp_path / "predictions")) == 2
    output.close({"input": 1}, {PART: done})
    assert [path.name for path in (tmp_path / "predictions").iterdir()] == [PART.name]
    assert json.loads((tmp_path / "manifest.json").read_text())["rows"] == 2


def test_a_restart_that_is_killed_leaves_no_complete_manifest(output, tmp_path, monkeypatch):
    output.close({"input": 1}, {PART: output.write(PART, TABLE, ERRORS, 1)})

    def kill(self):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(RemotePath, "delete", kill)
        output.open({"input": 2}, restart=True)
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    assert manifest == {"complete": False, "depends_on": {"input": 1}}
    output.open({"input": 2}, restart=True)
    assert output.find(PART) is None


def test_a_damaged_manifest_is_an_error_with_a_remedy(output, tmp_path):
    (tmp_path / "manifest.json").write_text('{"complete"')
    with pytest.raises(InputError, match="remove that folder, or name another"):
        output.open({"input": 1}, restart=False)
