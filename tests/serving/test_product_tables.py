"""Tests of reading untrusted product files: every row is read, with its faults."""

import tracemalloc
from dataclasses import replace

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from rakuten.serving import product_tables
from rakuten.serving.errors import InputError
from rakuten.serving.product_tables import Row, open_table, read_rows

HEADER = b",designation,description,productid,imageid\n"


@pytest.fixture
def table(tmp_path):
    """Write a file and open it."""

    def write(content, name="x.csv"):
        (tmp_path / name).write_bytes(content)
        return open_table(tmp_path / name)

    return write


def test_rows_hold_the_fields_of_the_file(table):
    rows = list(read_rows(table(HEADER + b'5, a ,"b, ""c""",7,9\n6,,,,\n')))
    assert rows == [
        Row(0, 2, 5, "a", 'b, "c"', "image_9_product_7.jpg", ()),
        Row(1, 3, 6, "", "", None, ()),
    ]


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
def test_all_line_ends_blank_lines_and_a_byte_order_mark_are_read(table, end):
    found = table(b"\xef\xbb\xbf" + end.join([HEADER.strip(), b'1,"a\nb",,,', b"", b"2,b,,,"]))
    assert found.rows == 2
    assert [(row.line, row.index, row.title) for row in read_rows(found)] == [
        (2, 1, "a\nb"),
        (5, 2, "b"),
    ]


@pytest.mark.parametrize("name", ["index", "id", "Unnamed: 0", "__index_level_0__"])
def test_the_index_has_several_names(table, name):
    (row,) = read_rows(table(f"designation,{name}\na,41\n".encode()))
    assert (row.index, row.title) == (41, "a")


def test_a_csv_file_is_read_from_the_row_before_the_first(tmp_path, monkeypatch):
    """A byte order mark, blank lines, line ends of all kinds, also within fields, broken UTF-8."""
    monkeypatch.setattr(product_tables, "GROUP", 2)
    text = b'\xef\xbb\xbfid,designation\r\n1,"a\r\nb"\r\n\n2,\xe9\n3,d\r\xef\xbb\xbf4,e\r\n'
    text += b'5,"f\rg\n"\r6,h'
    path = tmp_path / "x.csv"
    path.write_bytes(text)
    table = open_table(path)
    rows = list(read_rows(replace(table, groups=(0,))))
    assert [(row.line, row.title) for row in rows] == [
        (2, "a\r\nb"), (5, "\ufffd"), (6, "d"), (7, "e"), (8, "f\rg"), (11, "h"),
    ]  # fmt: skip
    assert table.groups == (0, 2, 4, 6)
    for first in range(6):
        assert list(read_rows(table, first)) == rows[first:]


def test_only_a_first_column_without_name_is_the_index(table):
    (row,) = read_rows(table(b"designation,\na,41\n"))
    assert row.index == 0


def test_an_open_quote_is_reported(table):
    *good, last = read_rows(table(HEADER + b'1,a,,,\n2,"b,,,\n3,c,,,\n'))
    assert [row.title for row in good] == ["a"]
    assert last.faults == (
        "a quote is left open",
        "expected 5 fields, received 2, over 3 lines: a quote may be left open",
    )


@pytest.mark.parametrize("end", [b"", b"\n"])
def test_an_open_quote_in_the_last_column_is_reported(table, end):
    found = table(b'id,designation\n1,a\n2,"b\n3,c' + end)
    assert [(row.title, row.faults) for row in read_rows(found)] == [
        ("a", ()),
        ("b\n3,c", ("a quote is left open",)),
    ]
    for closed in (b'id,designation\n1,"a"', b'id,designation\n1,"a\nb"\n\n'):
        assert [row.faults for row in read_rows(table(closed + end))] == [()]


@pytest.mark.parametrize("opening", [b"2,b,", b'2,b,"\n'])
def test_a_csv_field_that_is_too_long_is_an_error_that_names_its_line(table, opening):
    long = b"a" * (product_tables.MAX_FIELD + 1)
    with pytest.raises(InputError, match=r"x\.csv, line 3: field larger than .*shorten the text"):
        table(HEADER + b"1,a,,,\n" + opening + long + b"\n3,c,,,\n")


@pytest.mark.parametrize("kind", ["string", "binary", "dictionary"])
def test_a_parquet_field_that_is_too_long_is_a_fault_of_its_row(tmp_path, monkeypatch, kind):
    monkeypatch.setattr(product_tables, "MAX_FIELD", 100)
    texts = ["short", "a" * 101, None, "b" * 100]
    texts = [text and text.encode() for text in texts] if kind == "binary" else texts
    column = pa.array(texts)
    column = column.dictionary_encode() if kind == "dictionary" else column
    path = tmp_path / "x.parquet"
    pq.write_table(
        pa.table({"index": range(4), "designation": list("abcd"), "description": column}), path
    )
    rows = list(read_rows(open_table(path)))
    assert [row.title for row in rows] == list("abcd")
    assert [row.description for row in rows] == ["short", "", "", "b" * 100]
    assert [row.faults for row in rows] == [
        (), ("description larger than field limit (100)",), (), (),
    ]  # fmt: skip


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_reading_can_start_at_any_row(tmp_path, suffix):
    frame = pd.DataFrame({"designation": [f"a\n{i}" for i in range(23)]}, index=range(5, 28))
    path = tmp_path / f"x{suffix}"
    if suffix == ".csv":
        frame.to_csv(path)
    else:
        frame.to_parquet(path, row_group_size=5)
    table = open_table(path)
    assert table.groups == ((0,) if suffix == ".csv" else (0, 5, 10, 15, 20))
    rows = list(read_rows(table))
    assert [(row.position, row.index) for row in rows] == [(i, i + 5) for i in range(23)]
    for first in range(24):
        assert list(read_rows(table, first)) == rows[first:]
        assert list(read_rows(table, first, 4)) == rows[first : first + 4]


@pytest.mark.slow
@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_memory_does_not_grow_with_the_file(tmp_path, suffix):
    frame = pd.DataFrame({"designation": ["a text of some length " * 20] * 20_000})  # 9 MB
    path = tmp_path / f"x{suffix}"
    if suffix == ".csv":
        frame.to_csv(path)
    else:
        frame.to_parquet(path, row_group_size=1000)
    tracemalloc.start()
    try:
        assert sum(1 for _ in read_rows(open_table(path))) == 20_000
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 3e6


@pytest.mark.parametrize("index", [(84916, 84917), (84916, 84918), (9, 3)])
def test_parquet_written_by_pandas_gives_the_rows_of_csv(table, tmp_path, index):
    """Pandas stores an index that is a range as metadata, not as a column."""
    one, other = index
    found = table(HEADER + f"{one},é,,7,9\n{other},b,c,,\n".encode())
    frame = pd.read_csv(found.path, index_col=0)
    frame.to_parquet(tmp_path / "x.parquet")
    frame.set_axis(pd.RangeIndex(one, other + (other - one), other - one)).to_parquet(
        tmp_path / "range.parquet"
    )
    written = list(read_rows(open_table(tmp_path / "x.parquet")))
    assert written == list(read_rows(open_table(tmp_path / "range.parquet")))
    assert [replace(row, line=row.line + 1) for row in written] == list(read_rows(found))


@pytest.mark.parametrize(
    "content",
    [b"", b"a,title,b\n1,2,3\n", b" designation\n0 a\n", HEADER.decode().encode("utf-16")],
)
def test_a_file_without_designations_is_refused(table, content):
    with pytest.raises(InputError, match=r"no column designation: expected .*received"):
        table(content)


@pytest.mark.parametrize(
    ("delimiter", "name"), [("\t", "tabs"), (";", "semicolons"), ("|", "vertical bars")]
)
@pytest.mark.parametrize(
    "header",
    [HEADER.decode(), ",designation\n", "designation,\n", "a,designation,b\n", ",Designation,b\n"],
)
def test_a_file_with_other_delimiters_is_refused_by_their_name(table, delimiter, name, header):
    with pytest.raises(InputError, match=rf"has {name} instead of commas: save it as CSV"):
        table(header.replace(",", delimiter).encode() + b"1\n")


@pytest.mark.parametrize("names", ['"a,b"', "prix,eur"])
def test_other_delimiters_are_named_although_a_name_holds_a_comma(table, names):
    with pytest.raises(InputError, match="has semicolons instead of commas"):
        table(f";designation;{names}\n0;Vase;x\n".encode())


@pytest.mark.parametrize(
    "content",
    [HEADER.decode().encode("utf-16"), HEADER.decode().encode("utf-16-be"), b"PK\3\4\x14\0\n"],
)
def test_a_file_that_is_no_text_is_refused_as_such(table, content):
    with pytest.raises(InputError, match=r"is not text in UTF-8.*save the file .* as UTF-8"):
        table(content)


def test_names_of_columns_may_have_spaces_and_other_delimiters_around_them(table):
    (row,) = read_rows(table(b"id, designation ,a;b\n7,x,y\n"))
    assert (row.index, row.title) == (7, "x")
