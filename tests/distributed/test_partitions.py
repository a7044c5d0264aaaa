"""Tests of dividing a catalogue into partitions and reading them."""

import os
from dataclasses import replace
from types import SimpleNamespace

import pandas as pd
import pytest
from distributed_cases import ToyPrediction, append_faulty_rows, catalogue

from rakuten.distributed import partitions, worker
from rakuten.distributed.output import Output
from rakuten.distributed.worker import Attempts, Inputs, Worker
from rakuten.serving import product_tables
from rakuten.serving.errors import InputError
from rakuten.serving.product_tables import open_table, read_rows


def read_all(parts, tables):
    return [row for part in parts for row in partitions.read_partition(part, tables[part.file])]


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
@pytest.mark.parametrize("size", [1, 4, 7, 100])
def test_partitions_hold_the_rows_of_the_whole_file(tmp_path, monkeypatch, suffix, size):
    monkeypatch.setattr(product_tables, "GROUP", 4)
    source = catalogue(tmp_path, 23)
    if suffix == ".parquet":
        pd.read_csv(source).to_parquet(source.with_suffix(suffix), row_group_size=5)
    else:
        append_faulty_rows(tmp_path)
    path = source.with_suffix(suffix)
    table, identity = partitions.open_one(str(path), str(path))
    assert len(table.groups) >= 5
    assert identity["size"] == path.stat().st_size
    parts = partitions.plan([table], size)
    assert len({part.name for part in parts}) == len(parts) == -(-table.rows // size)
    rows = list(read_rows(replace(table, groups=(0,))))
    assert read_all(parts, [table]) == rows
    some = parts[1::2]  # those that an interrupted run left
    expected = [row for part in some for row in rows[part.first : part.first + part.rows]]
    assert read_all(some, [table]) == expected


def test_rows_of_several_files_are_numbered_consecutively(tmp_path):
    for hidden in (".ipynb_checkpoints/a-checkpoint.csv", "_temporary/0/part.csv", "._a.csv"):
        (tmp_path / hidden).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / hidden).write_text("designation\nhidden\n")
    for name in ("b.csv", "a.csv"):
        (tmp_path / name).write_text(f"designation\n{name} 0\n{name} 1\n{name} 2\n")
    paths = partitions.list_tables(str(tmp_path))
    tables = [partitions.open_one(str(tmp_path), path)[0] for path in paths]
    parts = partitions.plan(tables, 2)
    rows = read_all(parts, tables)
    assert [(row.position, row.index, row.title) for row in rows] == [
        (i, i, f"{name} {i % 3}") for i, name in enumerate(["a.csv"] * 3 + ["b.csv"] * 3)
    ]
    assert len({part.name for part in parts}) == 4


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
@pytest.mark.parametrize("left", [8, 4])
def test_a_file_that_loses_rows_during_a_run_is_an_error_with_a_remedy(
    tmp_path, monkeypatch, suffix, left
):
    """A partition loses all its rows or some."""
    source = tmp_path / f"x{suffix}"

    def write(count):
        frame = pd.DataFrame({"designation": list("abcdefghijklmnop")[:count]})
        if suffix == ".csv":
            frame.to_csv(source, index=False)
        else:
            frame.to_parquet(source, row_group_size=4)

    monkeypatch.setattr(product_tables, "GROUP", 4)
    write(16)
    inputs = Inputs([open_table(source)], None)
    write(left)
    monkeypatch.setattr(worker, "import_ray", lambda: SimpleNamespace(get=lambda value: value))
    attempts = SimpleNamespace(begin=SimpleNamespace(remote=Attempts().begin))
    transform = ToyPrediction(str(tmp_path), 3, chunk=2, partition=6)
    output = Output(str(tmp_path / "out"), "predictions")
    compute = Worker(transform, inputs, output, attempts, 1)
    done, *lost = partitions.plan(inputs.tables, 6)
    if left == 8:
        assert compute(done._asdict())["digest"]
    else:
        lost = [done, *lost]
    for partition in lost:
        with pytest.raises(InputError, match=r"input changed while .*--restart"):
            compute(partition._asdict())


def test_a_file_is_identified_by_its_time_too(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("designation\na\n")
    _, before = partitions.open_one(str(path), str(path))
    assert partitions.open_one(str(path), str(path))[1] == before
    os.utime(path, ns=(0, path.stat().st_mtime_ns + 1))
    _, after = partitions.open_one(str(path), str(path))
    assert {name for name in before if before[name] != after[name]} == {"modified"}
