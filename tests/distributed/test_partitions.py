"""Tests of dividing a catalogue into partitions and reading them."""

import os

import pandas as pd
import pytest
from distributed_cases import append_faulty_rows, catalogue

from rakuten.distributed import partitions
from rakuten.serving.product_tables import open_table, read_rows


def read_all(parts, table):
    return [
        row
        for group in partitions.group_by_reader(parts, [table])
        for rows in partitions.read_partitions(group, table)
        for row in rows
    ]


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
@pytest.mark.parametrize("size", [1, 4, 7, 100])
def test_partitions_hold_the_rows_of_the_whole_file(tmp_path, suffix, size):
    source = catalogue(tmp_path, 23)
    if suffix == ".parquet":
        pd.read_csv(source).to_parquet(source.with_suffix(suffix), row_group_size=5)
    else:
        append_faulty_rows(tmp_path)
    path = source.with_suffix(suffix)
    table, identity = partitions.open_one(str(path), str(path))
    assert identity["size"] == path.stat().st_size
    parts = partitions.plan([table], size)
    assert len({part.name for part in parts}) == len(parts) == -(-table.rows // size)
    rows = list(read_rows(open_table(path)))
    assert read_all(parts, table) == rows
    some = parts[1::2]  # those that an interrupted run left
    expected = [row for part in some for row in rows[part.first : part.first + part.rows]]
    assert read_all(some, table) == expected


def test_a_reader_reads_a_csv_file_or_a_row_group(tmp_path):
    frame = pd.DataFrame({"designation": list("abcdefghij")})
    frame.to_csv(tmp_path / "a.csv")
    frame.to_parquet(tmp_path / "b.parquet", row_group_size=4)
    paths = partitions.list_tables(str(tmp_path))
    tables = [partitions.open_one(str(tmp_path), path)[0] for path in paths]
    groups = partitions.group_by_reader(partitions.plan(tables, 3), tables)
    starts = [[(part.file, part.start) for part in group] for group in groups]
    assert starts == [
        [(0, 0), (0, 3), (0, 6), (0, 9)],
        [(1, 0), (1, 3)], [(1, 6)], [(1, 9)],
    ]  # fmt: skip


def test_rows_of_several_files_are_numbered_consecutively(tmp_path):
    for name in ("b.csv", "a.csv"):
        (tmp_path / name).write_text(f"designation\n{name} 0\n{name} 1\n{name} 2\n")
    paths = partitions.list_tables(str(tmp_path))
    tables = [partitions.open_one(str(tmp_path), path)[0] for path in paths]
    parts = partitions.plan(tables, 2)
    rows = [
        row
        for group in partitions.group_by_reader(parts, tables)
        for found in partitions.read_partitions(group, tables[group[0].file])
        for row in found
    ]
    assert [(row.position, row.index, row.title) for row in rows] == [
        (i, i, f"{name} {i % 3}") for i, name in enumerate(["a.csv"] * 3 + ["b.csv"] * 3)
    ]
    assert len({part.name for part in parts}) == 4


def test_a_file_is_identified_by_its_time_too(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("designation\na\n")
    _, before = partitions.open_one(str(path), str(path))
    assert partitions.open_one(str(path), str(path))[1] == before
    os.utime(path, ns=(0, path.stat().st_mtime_ns + 1))
    _, after = partitions.open_one(str(path), str(path))
    assert {name for name in before if before[name] != after[name]} == {"modified"}
