"""Reading files that nobody has checked: every row comes through, with its faults."""

import csv
import io
import itertools
import random
import zipfile

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from rakuten.data import sources
from rakuten.serving import product_files
from rakuten.serving.product_files import InputError, Pictures, Row, open_table, read_rows

HEADER = b",designation,description,productid,imageid\n"


@pytest.fixture
def table(tmp_path):
    """Write a file and open it."""

    def write(content, name="x.csv"):
        (tmp_path / name).write_bytes(content)
        return open_table(tmp_path / name)

    return write


def test_rows_hold_what_the_file_does(table):
    rows = list(read_rows(table(HEADER + b'5, a ,"b, ""c""",7,9\n6,,,,\n')))
    assert rows == [
        Row(0, 2, 5, "a", 'b, "c"', "image_9_product_7.jpg", ()),
        Row(1, 3, 6, "", "", None, ()),
    ]


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
def test_any_line_ends_and_blank_lines_are_read(table, end):
    found = table(end.join([HEADER.strip(), b"1,a,,,", b"", b"2,b,,,"]))
    assert found.rows == 2
    assert [(row.line, row.index, row.title) for row in read_rows(found)] == [
        (2, 1, "a"),
        (4, 2, "b"),
    ]


@pytest.mark.parametrize("name", ["index", "id", "Unnamed: 0", "__index_level_0__"])
def test_the_index_has_several_names(table, name):
    (row,) = read_rows(table(f"designation,{name}\na,41\n".encode()))
    assert (row.index, row.title) == (41, "a")


def test_only_the_first_unnamed_column_is_the_index(table):
    (row,) = read_rows(table(b"designation,\na,41\n"))
    assert row.index == 0


def test_a_quote_left_open_is_told(table):
    *good, last = read_rows(table(HEADER + b'1,a,,,\n2,"b,,,\n3,c,,,\n'))
    assert [row.title for row in good] == ["a"]
    assert last.faults == ("expected 5 fields, received 2, over 3 lines: a quote may be left open",)


def test_rows_go_on_after_a_field_that_is_too_long(table, monkeypatch):
    monkeypatch.setattr(product_files, "MAX_FIELD", 100)
    endless = b"a" * 101
    lines = b"1," + endless + b",,,\n2,b,,,\n3,c," + endless + b",1,51\n"
    found = table(HEADER + lines)
    title, good, description = read_rows(found)
    assert found.rows == 3
    assert (title.line, title.index, title.title) == (2, 1, "")
    assert (good.line, good.index, good.faults) == (3, 2, ())
    assert description[1:6] == (4, 3, "c", "", None)  # what stands in front of it is read
    for row in (title, description):
        assert row.faults[0].startswith("not readable as CSV: field larger")


def titles_and_faults(found):
    return [(row.line, row.index, row.title, bool(row.faults)) for row in read_rows(found)]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize(
    "text",
    [
        '"' + "line of text<end>" * 20 + '"',
        '"""said<end>"", ' + 'more ""and<end>' * 20 + '<end>"',
        '"<end>' + "a" * 101 + '<end>,b<end>"',
        '"' + "a" * 101 + '<end>"" still ""<end>" thus',
        '"' + "a" * 101 + '"',
        'a "quote" ' + "a" * 101,
    ],
)
def test_a_long_field_of_many_lines_is_one_row(table, monkeypatch, end, text):
    monkeypatch.setattr(product_files, "MAX_FIELD", 100)
    text = text.replace("<end>", end)
    content = end.join([HEADER.decode().strip(), "1,a,,,", f"2,b,{text},7,9", '3,"c",,,', ""])
    found = table(content.encode())
    third = 4 + text.replace("\r\n", "\n").replace("\r", "\n").count("\n")
    assert titles_and_faults(found) == [
        (2, 1, "a", False),
        (3, 2, "b", True),
        (third, 3, "c", False),
    ]
    assert found.rows == 3
    marked = open_table(found.path, every=1)
    assert [next(read_rows(marked, mark)).line for mark in marked.marks] == [2, 3, third]


def test_drawn_files_have_the_rows_that_the_csv_module_finds_without_a_limit(monkeypatch):
    pieces = ["a", "bb", '"', '""', ",", "\n", "\r\n", "\r", 'c"d', '"x', 'y"']
    draws, compared = random.Random(1), 0
    for _ in range(3000):
        content = "".join(draws.choices(pieces, k=draws.randint(1, 40)))
        lines = io.StringIO(content + "\nend\n", newline="").readlines()
        lines = [line for text in lines for line in text.splitlines(keepends=True)]
        *expected, last = filter(None, csv.reader(lines))
        if last != ["end"]:
            continue  # a quote was never closed
        with monkeypatch.context() as patch:
            patch.setattr(product_files, "MAX_FIELD", 12)
            read = product_files._Lines(io.BytesIO("".join(lines).encode()))
            *found, _ = product_files._csv_records(read)
        assert len(found) == len(expected), content
        for (_, _, fields, fault), right in zip(found, expected, strict=True):
            assert bool(fault) or fields == right, content
            assert bool(fault) >= any(len(field) > 12 for field in right), content
            compared += bool(fault)
    assert compared > 500


def test_a_quote_that_is_never_closed_costs_no_rows_beyond_the_limit(table, monkeypatch):
    monkeypatch.setattr(product_files, "MAX_FIELD", 100)
    lines = [f"{number},title {number},,," for number in range(1, 31)]
    lines[4] = '5,"left open,,,'
    found = table(HEADER + "\n".join(lines).encode())
    rows = titles_and_faults(found)
    assert [row for row in rows if row[3]] == [(6, 5, "", True)]
    assert rows[0] == (2, 1, "title 1", False)
    after = range(14, 31)  # a hundred characters later
    assert rows[-len(after) :] == [(at + 1, at, f"title {at}", False) for at in after]


@pytest.mark.parametrize("kind", ["string", "binary", "dictionary"])
def test_a_field_of_parquet_that_is_too_long_is_told(tmp_path, monkeypatch, kind):
    monkeypatch.setattr(product_files, "MAX_FIELD", 100)
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


def test_rows_are_read_one_by_one(table, monkeypatch):
    """The second row is asked for only after the first was taken: no list of them all."""
    read = []
    parse = product_files._parse
    monkeypatch.setattr(product_files, "_parse", lambda *a: read.append(a[0]) or parse(*a))
    rows = read_rows(table(HEADER + b"1,a,,,\n" * 1000))
    list(itertools.islice(rows, 3))
    assert read == [0, 1, 2]


@pytest.mark.parametrize("index", [(84916, 84917), (84916, 84918), (9, 3)])
def test_parquet_by_pandas_gives_the_rows_of_csv(table, tmp_path, index):
    """An index without gaps is no column there, but a note."""
    one, other = index
    found = table(HEADER + f"{one},é,,7,9\n{other},b,c,,\n".encode())
    frame = pd.read_csv(found.path, index_col=0)
    frame.to_parquet(tmp_path / "x.parquet")
    frame.set_axis(pd.RangeIndex(one, other + (other - one), other - one)).to_parquet(
        tmp_path / "range.parquet"
    )
    written = list(read_rows(open_table(tmp_path / "x.parquet")))
    assert written == list(read_rows(open_table(tmp_path / "range.parquet")))
    assert [row._replace(line=row.line + 1) for row in written] == list(read_rows(found))


@pytest.mark.parametrize(
    "content", [b"", b"a;designation;b\n1;2;3\n", HEADER.decode().encode("utf-16")]
)
def test_a_file_without_titles_is_refused(table, content):
    with pytest.raises(InputError, match=r"no column designation: expected .*received"):
        table(content)


def test_pictures_are_found_at_any_depth_the_first_folder_first(tmp_path):
    for place in ("b/deep", "a", "."):
        (tmp_path / "p" / place).mkdir(parents=True, exist_ok=True)
        (tmp_path / "p" / place / f"{place[0]}.jpg").write_bytes(place.encode())
    for place in ("b", "a"):
        (tmp_path / "p" / place / "twice.jpg").write_bytes(place.encode())
    for place in ("a", ""):
        (tmp_path / "p" / place / "z.jpg").write_bytes(f"z in {place or 'p'}".encode())
    with zipfile.ZipFile(tmp_path / "p.zip", "w") as archive:
        for path in (tmp_path / "p").rglob("*.jpg"):
            archive.write(path, path.relative_to(tmp_path))
    for path in (tmp_path / "p", tmp_path / "p.zip"):
        pictures = Pictures(path)
        assert pictures.read("b.jpg") == b"b/deep"
        assert pictures.read("a.jpg") == pictures.read("twice.jpg") == b"a"
        assert pictures.read("..jpg") == b"."
        assert pictures.read("z.jpg") == b"z in p"
        assert pictures.read("c.jpg") is None
        pictures.close()


def test_a_picture_that_is_too_large_is_not_read(tmp_path, monkeypatch):
    (tmp_path / "a.jpg").write_bytes(b"12345")
    monkeypatch.setattr(product_files, "MAX_IMAGE", 4)
    with pytest.raises(InputError, match="expected at most 4 bytes, received more"):
        Pictures(tmp_path).read("a.jpg")
    assert sources.MAX_IMAGE > 1 << 20


def test_a_damaged_member_raises_what_callers_expect(tmp_path):
    with zipfile.ZipFile(tmp_path / "p.zip", "w") as archive:
        archive.writestr("a.jpg", b"content of a picture")
    content = (tmp_path / "p.zip").read_bytes().replace(b"content", b"damaged")
    (tmp_path / "p.zip").write_bytes(content)
    with pytest.raises(product_files.READ_FAULTS, match="CRC"):
        Pictures(tmp_path / "p.zip").read("a.jpg")
