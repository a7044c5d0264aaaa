"""Corrected labels: their files, and what an import makes of them."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
import pytest
from challenge_files import (
    CODES,
    GIVEN,
    X,
    Y,
    given,
    is_old,
    make_old_repository,
    track,
    write,
    zipped,
)

from rakuten import storage
from rakuten.data import corrections, importing, products, splits

HEADER = "id,given,corrected\n"
FIRST = {int(id_): int(code) for id_, code in (row.split(",") for row in CODES)}


def rows(*triples):
    return pd.DataFrame(triples, columns=list(corrections.COLUMNS), dtype="int64")


def labels():
    return pd.DataFrame({"id": [1, 2, 3], "prdtypecode": [10, 40, 50]}, dtype="int64")


def test_a_file_without_rows_corrects_nothing():
    table, problems = corrections.parse(HEADER.encode(), "corrections.csv")
    assert (len(table), problems) == (0, [])


def test_reviewed_rows_are_read_and_the_others_left_out():
    text = "\ufefftitle,id,given,corrected\r\nété,7,10, 40 \r\n,8,50,\r\n,9,60,60\r\n"
    table, problems = corrections.parse(text.encode(), "corrections.csv")
    assert (table.to_numpy().tolist(), problems) == ([[7, 10, 40], [9, 60, 60]], [])
    assert table.dtypes.eq("int64").all()
    semicolons, _ = corrections.parse(text.replace(",", ";").encode(), "corrections.csv")
    assert semicolons.equals(table)


@pytest.mark.filterwarnings("error")
def test_a_trailing_comma_moves_no_field():
    table, problems = corrections.parse(b"id,given,corrected\n7,10,40,\n9,60,60,\n", "c.csv")
    assert (table.to_numpy().tolist(), problems) == ([[7, 10, 40], [9, 60, 60]], [])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("id,corrected\n1,10\n", "columns missing from c.csv (1): 'given': expected id,given"),
        (f"{HEADER}1,10,40.0\n", "rows of c.csv with an unknown corrected code (1): id 1 has '40"),
        (f"{HEADER}1,11,40\n", "rows of c.csv with an unknown given code (1): id 1 has '11': exp"),
        (f"{HEADER}2,10,\nx,10,40\n", "rows of c.csv whose id is not an integer (1): row 2 'x': "),
        (f'{HEADER}1,10,"40\n', "corrections that are not CSV in UTF-8 (1): c.csv (Error token"),
        ("", "corrections that are not CSV in UTF-8 (1): c.csv (No columns"),
    ],
)
def test_faulty_files_have_a_message(text, message):
    table, problems = corrections.parse(text.encode(), "c.csv")
    assert table.empty
    assert str(problems[0]).startswith(message)


@pytest.mark.parametrize(
    ("made", "codes"),
    [
        (rows(), [10, 40, 50]),
        (rows((2, 40, 60)), [10, 60, 50]),
        (rows((2, 40, 60), (2, 40, 60)), [10, 60, 50]),  # twice the same
        (rows((3, 10, 50)), [10, 40, 50]),  # applied before
        (rows((2, 10, 40), (2, 40, 60)), [10, 60, 50]),  # the first of a chain applied before
        (rows((1, 10, 10)), [10, 40, 50]),  # confirmed
    ],
)
def test_corrections_apply_in_a_chain_and_only_once(made, codes):
    changed, problems = corrections.apply(labels(), [made])
    assert (changed["prdtypecode"].tolist(), problems) == (codes, [])


@pytest.mark.parametrize(
    ("files", "code"),
    [
        ([rows((1, 40, 60)), rows((1, 10, 40))], 60),  # read in the order of the files' names
        ([rows((1, 40, 50), (1, 60, 10)), rows((1, 10, 40))], 50),
        ([rows((1, 40, 40)), rows((1, 10, 40))], 40),  # confirmed by a second reviewer
        ([rows((1, 40, 60), (1, 60, 40)), rows((1, 10, 40))], 40),
        ([rows((1, 10, 40), (1, 40, 10)), rows((1, 10, 40))], 10),
    ],
)
def test_a_chain_may_be_spread_over_files(files, code):
    changed, problems = corrections.apply(labels(), files)
    assert (changed["prdtypecode"].tolist(), problems) == ([code, 40, 50], [])


@pytest.mark.parametrize(
    "files",
    [
        [rows((1, 40, 10)), rows((1, 10, 40))],  # corrected back, or twice: nobody knows
        [rows((1, 10, 40), (1, 50, 60), (1, 60, 50))],
        [rows((1, 10, 40), (1, 50, 10), (1, 40, 50))],
    ],
)
def test_corrections_without_a_clear_last_one_are_a_conflict(files):
    changed, (problem,) = corrections.apply(labels(), files)
    assert changed.equals(labels())
    assert "conflicting corrections (1): 1 (" in str(problem)


@pytest.mark.parametrize(
    ("made", "message"),
    [
        (rows((9, 10, 40)), "ids of corrections that Y_train.csv does not have (1): 9: "),
        (rows((1, 10, 40), (1, 10, 50)), "conflicting corrections (1): 1 (10 to 40, 10 to 50): "),
        (rows((1, 10, 10), (1, 10, 50)), "conflicting corrections (1): 1 (10 to 10, 10 to 50): "),
        (rows((1, 10, 40), (1, 50, 60)), "conflicting corrections (1): 1 (10 to 40, 50 to 60): "),
        (rows((1, 40, 50)), "from a code that they do not have (1): 1 (from 40, but it has 10): "),
    ],
)
def test_corrections_that_do_not_fit_are_problems(made, message):
    changed, (problem,) = corrections.apply(labels(), [made])
    assert changed.equals(labels())
    assert message in str(problem)


def test_a_correction_is_replaced_removed_or_continued(tmp_path):
    path = tmp_path / "new" / "corrections.csv"
    steps = [
        ((1, 10, 40), [[1, 10, 40]]),
        ((2, 50, 60), [[1, 10, 40], [2, 50, 60]]),
        ((1, 10, 50), [[2, 50, 60], [1, 10, 50]]),  # another opinion
        ((1, 50, 60), [[2, 50, 60], [1, 10, 50], [1, 50, 60]]),  # after an import
        ((2, 50, 50), [[1, 10, 50], [1, 50, 60]]),  # withdrawn
        ((1, 10, 40), [[1, 10, 40]]),  # the older data again
    ]
    for made, held in steps:
        corrections.record(path, *made)
        assert corrections.read(path).to_numpy().tolist() == held


def test_a_file_that_a_spreadsheet_has_saved_is_continued(tmp_path):
    content = "\ufeffid;given;corrected\r\n7;10;40\r\n".encode()
    path = write(tmp_path, {"corrections.csv": content}) / "corrections.csv"
    corrections.record(path, 1, 10, 40)
    assert corrections.read(path).to_numpy().tolist() == [[7, 10, 40], [1, 10, 40]]


def test_sessions_that_write_at_once_lose_no_correction(tmp_path):
    path = tmp_path / "corrections.csv"
    with ThreadPoolExecutor(8) as sessions:
        list(sessions.map(lambda id_: corrections.record(path, id_, 10, 40), range(40)))
    assert sorted(corrections.read(path)["id"]) == list(range(40))


def test_a_damaged_file_is_not_overwritten(tmp_path):
    path = write(tmp_path, {"corrections.csv": b"id;corrected\n"}) / "corrections.csv"
    with pytest.raises(ValueError, match=r"corrections.csv: columns missing from corrections.csv"):
        corrections.record(path, 1, 10, 40)
    assert path.read_bytes() == b"id;corrected\n"


@pytest.mark.parametrize(
    "text", ["id,given,corrected,designation\n7,10,40,Titre\n", f"{HEADER}7,10,40\n8,50,\n"]
)
def test_the_file_of_a_reviewer_keeps_its_columns_and_rows(tmp_path, text):
    content = text.encode()
    path = write(tmp_path, {"corrections.csv": content}) / "corrections.csv"
    with pytest.raises(ValueError, match=r"other columns, or rows without correction; .* rename"):
        corrections.record(path, 1, 10, 40)
    assert path.read_bytes() == content


def catalogue():
    generator = np.random.default_rng(3)
    codes = generator.choice([10, 40, 50], 300)
    texts = [f"texte {number % 250}" for number in range(300)]
    return pd.DataFrame({"id": np.arange(300), "tokens": texts, "prdtypecode": codes})


def test_a_corrected_label_moves_no_product_to_another_part():
    options = {
        "test_share": 0.2, "validation_share": 0.1, "keep_duplicates_together": True, "seed": 4
    }  # fmt: skip
    before = catalogue()
    made = rows(*((id_, code, 60) for id_, code in before["prdtypecode"][:200:4].items()))
    after, _ = corrections.apply(before, [made])
    dataset = {"name": "n", "relabelled": corrections.relabelled([], before, after)}
    first = corrections.first_codes(after, dataset)
    assert first.tolist() == before["prdtypecode"].tolist()
    expected, _ = splits.split(before, [""] * 300, **options)
    parts, report = splits.split(after, [""] * 300, first, **options)
    assert parts.equals(expected)
    assert report["categories"]["60"]["products"] == len(made)
    moved, _ = splits.split(after, [""] * 300, **options)
    assert not moved.equals(expected)
    assert corrections.describe(dataset) == {"name": "n", "relabelled": len(made)}


@pytest.fixture
def root(tmp_path):
    return make_old_repository(tmp_path / "repository")


@pytest.fixture
def load(root, tmp_path):
    """Import the challenge's files and then other files, as drops."""

    def load(*drops, changes=None, **options):
        paths = [write(tmp_path / "first", given(changes or {}))]
        paths += [write(tmp_path / f"drop{n}", drop) for n, drop in enumerate(drops)]
        return importing.import_data(paths, root, track=track, **{"drops": True, **options})

    return load


def read(root):
    """The labels by id, and the description of the data."""
    table = storage.read_csv(root / "data/Y_train.csv", **products.CSV_FORMAT)
    codes = dict(zip(table[products.UNNAMED].astype(int), table["prdtypecode"].astype(int),
                     strict=True))  # fmt: skip
    return codes, storage.read_json(root / "data/dataset.json")


def file(*lines):
    return {"corrections.csv": "\n".join([HEADER.strip(), *lines]).encode()}


def test_an_import_replaces_labels_and_nothing_else(root, load):
    assert FIRST[0] != 2905 != FIRST[3]
    summary = load(file(f"0,{FIRST[0]},2905"), {"a.zip": zipped(file(f"3,{FIRST[3]},{FIRST[3]}"))})
    assert summary.relabelled == 1
    assert "corrected labels: 1" in str(summary)
    codes, described = read(root)
    assert codes == FIRST | {0: 2905}
    assert list(codes) == list(FIRST)  # the rows keep their order
    assert described == {"name": "imported data", "relabelled": {"0": FIRST[0]}}
    assert (root / "data/X_train.csv").read_bytes() == GIVEN[X]
    assert summary.images == 13


def test_earlier_data_keep_their_name_and_first_codes(root, load):
    load(file(f"0,{FIRST[0]},2905"), name="mine")
    again = [root / "data", write(root.parent / "more", file("0,2905,60", f"6,{FIRST[6]},10"))]
    summary = importing.import_data(again, root, drops=True, track=track)
    codes, described = read(root)
    assert summary.relabelled == 2
    assert codes == FIRST | {0: 60, 6: 10}
    assert described == {"name": "mine", "relabelled": {"0": FIRST[0], "6": FIRST[6]}}
    back = [root / "data", write(root.parent / "back", file(f"0,60,{FIRST[0]}"))]
    importing.import_data(back, root, drops=True, track=track)
    assert read(root)[1]["relabelled"] == {"6": FIRST[6]}


def test_a_label_is_corrected_again_in_a_file_that_is_read_first(root, load):
    load(
        {
            "corrections_demo.csv": file("0,2905,60")["corrections.csv"],
            "corrections_suspects.csv": file(f"0,{FIRST[0]},2905")["corrections.csv"],
        }
    )
    assert read(root)[0] == FIRST | {0: 60}


@pytest.mark.parametrize(
    ("drop", "options", "message"),
    [
        (file("0,10,40"), {"drops": False}, r"corrected labels without --drops \(1\): drop0/corr"),
        (file("1,10,40"), {}, r"ids of corrections that Y_train.csv does not have \(1\): 1: "),
        (file("0,10,41"), {}, r"drop0/corrections.csv with an unknown corrected code \(1\): id 0"),
        (file("0,10,40", "0,10,50"), {}, r"conflicting corrections \(1\): 0 \(10 to 40, 10 to 50"),
        (file("0,40,50"), {}, r"from a code that they do not have \(1\): 0 \(from 40, but it ha"),
        ({"corrections.xlsx": b"0"}, {}, r"corrections of another format \(1\): drop0/corrections"),
        (
            {X: b"\n".join(GIVEN[X].split(b"\r\n")[:2]), Y: b",prdtypecode\n0,40\n"},
            {},
            r"ids repeated in Y_train.csv \(1\): 0: .* corrected labels as a file corrections.csv",
        ),
    ],
)
def test_corrections_that_do_not_fit_are_refused(root, load, drop, options, message):
    with pytest.raises(products.InvalidProductsError, match=message):
        load(drop, **options)
    assert is_old(root)


def test_other_json_files_named_dataset_are_ignored(root, load):
    for content in (b"[1", b'["x"]', b'{"name": 1}', b'{"name": "x", "relabelled": {"0": 11}}'):
        load({"dataset.json": content})
        assert read(root)[1] == {"name": "imported data"}
