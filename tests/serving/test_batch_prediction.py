"""Tests of batch prediction: formats, resumption, faulty rows."""

import contextlib
import os
import threading
import zipfile

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from prediction_cases import (
    ToyClassifier,
    challenge_rows,
    errors_of,
    jpeg,
    read_csv,
    run,
    write_csv,
)

from rakuten import categories
from rakuten.data import products
from rakuten.serving import batch_prediction, prediction_files, product_tables
from rakuten.serving.classifier import Product


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch):
    monkeypatch.setattr(batch_prediction, "CHUNK", 4)


@pytest.fixture
def source(tmp_path):
    return write_csv(tmp_path / "X_test_update.csv", challenge_rows())


@pytest.fixture
def folder(tmp_path):
    """Images of the even rows."""
    folder = tmp_path / "images"
    deep = folder / "images" / "image_test"
    deep.mkdir(parents=True)
    for i in range(0, 11, 2):
        (deep / products.image_name(i + 50, i)).write_bytes(jpeg(i))
    return folder


@pytest.fixture
def out(tmp_path):
    return tmp_path / "predictions.csv"


def test_csv_holds_every_product_in_its_order(source, out, tmp_path):
    assert run(source, "-o", out) == 0
    header, *rows = read_csv(out)
    assert header == [
        "index", "prdtypecode", "name", "probability", "top2_prdtypecode", "top2_probability",
        "top3_prdtypecode", "top3_probability", "top4_prdtypecode", "top4_probability",
        "top5_prdtypecode", "top5_probability", "text_contribution", "image_contribution",
    ]  # fmt: skip
    assert [int(row[0]) for row in rows] == [row[0] for row in challenge_rows()]
    for row, (_, title, description, *_) in zip(rows, challenge_rows(), strict=True):
        expected = ToyClassifier().predict_one(Product(title, description), 5)
        assert row[1:4] == [str(expected.code), expected.name, repr(expected.probability)]
        assert [int(code) for code in row[4:12:2]] == [c.code for c in expected.top[1:]]
        assert [float(share) for share in row[5:12:2]] == [c.probability for c in expected.top[1:]]
        assert row[12:] == ["1.25", ""]
    assert b"\r" not in out.read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([out.name, source.name])


def test_parquet_and_csv_hold_the_same(source, out, tmp_path):
    table = pd.read_csv(source).rename(columns={"Unnamed: 0": ""})
    table.to_parquet(tmp_path / "x.parquet", index=False)
    assert run(source, "-o", out) == 0
    assert run(tmp_path / "x.parquet", "-o", tmp_path / "out.parquet") == 0
    written = pd.read_parquet(tmp_path / "out.parquet")
    pd.testing.assert_frame_equal(written, pd.read_csv(out), check_exact=True)
    assert written["index"].dtype == written["top5_prdtypecode"].dtype == "int64"


@pytest.mark.parametrize("top", [1, 27])
def test_top_sets_the_columns(source, out, top):
    assert run(source, "-o", out, "--top", top) == 0
    assert {len(row) for row in read_csv(out)} == {6 + 2 * (top - 1)}


def test_folder_and_zip_give_the_same(source, folder, tmp_path, capsys):
    archive = tmp_path / "images.zip"
    with zipfile.ZipFile(archive, "w") as file:
        for path in folder.rglob("*.jpg"):
            file.write(path, path.relative_to(folder))
    one, other, text = (tmp_path / f"{name}.csv" for name in ("one", "other", "text"))
    assert run(source, "--images", folder, "-o", one) == 0
    assert "11 products, 5 of them without an image" in capsys.readouterr().out
    assert run(source, "--images", archive, "-o", other) == 0
    assert run(source, "-o", text) == 0
    assert one.read_bytes() == other.read_bytes()
    pairs = zip(read_csv(one)[1:], read_csv(text)[1:], strict=True)
    assert [row != without for row, without in pairs] == [i % 2 == 0 for i in range(11)]
    assert [row[-1] for row in read_csv(one)[1:]] == [
        "-0.5" if i % 2 == 0 else "" for i in range(11)
    ]


def test_a_column_of_file_names_replaces_the_ids(folder, out, tmp_path):
    name = products.image_name(52, 2)
    rows = [["a", name], ["b", f"some\\where/{name}"], ["c", ""], ["d", "nowhere.jpg"]]
    source = write_csv(tmp_path / "mine.csv", rows, ["designation", "image"])
    assert run(source, "--images", folder, "-o", out) == 0
    assert [row[-1] for row in read_csv(out)[1:]] == ["-0.5", "-0.5", "", ""]


def test_rows_without_an_index_are_numbered(out, tmp_path):
    source = write_csv(tmp_path / "x.csv", [[f"t{i}"] for i in range(6)], ["designation"])
    assert run(source, "-o", out) == 0
    assert [row[0] for row in read_csv(out)[1:]] == list("012345")


def test_submission_has_the_format_of_the_challenge(source, folder, tmp_path):
    out = tmp_path / "y_test.csv"
    assert run(source, "--images", folder, "--submission", "-o", out) == 0
    lines = out.read_bytes().decode().split("\n")
    assert lines[0] == ",prdtypecode"
    assert lines[-1] == ""
    assert [int(line.split(",")[0]) for line in lines[1:-1]] == [row[0] for row in challenge_rows()]
    assert {int(line.split(",")[1]) for line in lines[1:-1]} <= set(categories.CODES)


@pytest.mark.parametrize("name", ["a.csv", "a.parquet"])
def test_a_killed_run_continues_and_gives_the_same_bytes(source, folder, tmp_path, name):
    rows = [*challenge_rows(), ["x", "bad index", "", 1, 1]]
    write_csv(source, rows)
    whole, out = tmp_path / f"whole_{name}", tmp_path / name
    assert run(source, "--images", folder, "-o", whole) == 1
    with pytest.raises(RuntimeError, match="killed"):
        run(source, "--images", folder, "-o", out, load=ToyClassifier(fails_at=2))
    assert not out.exists()
    assert (tmp_path / f"{name}.partial").is_dir()
    second = ToyClassifier()
    assert run(source, "--images", folder, "-o", out, load=second) == 1
    assert second.seen == [row[1] for row in rows[8:]]
    assert out.read_bytes() == whole.read_bytes()
    assert errors_of(out) == errors_of(whole)
    assert not (tmp_path / f"{name}.partial").exists()


class PairwiseClassifier(ToyClassifier):
    """A classifier that waits until another thread encodes an image, too."""

    def __init__(self):
        super().__init__()
        self.together = threading.Barrier(2)

    def encode_image(self, prepared):
        self.together.wait(timeout=60)
        return prepared


def test_images_are_encoded_in_several_threads(source, folder, out, monkeypatch):
    monkeypatch.setattr(batch_prediction, "available_cpus", lambda: 2)
    write_csv(source, challenge_rows(10))  # of an odd number, one would wait
    assert run(source, "--images", folder, "-o", out, load=PairwiseClassifier()) == 0
    assert len(read_csv(out)) == 11


def test_the_progress_bar_counts_products_not_chunks(source, folder, out, monkeypatch):
    events = []

    class Toy(ToyClassifier):
        def classify(self, prepared, *, top=5):
            events.append("chunk")
            return super().classify(prepared, top=top)

    @contextlib.contextmanager
    def progress(items, *, total, unit, description, initial):
        assert (total, unit, initial) == (11, "product", 0)
        yield (events.append("product") or item for item in items)

    monkeypatch.setattr(batch_prediction.stage_log, "progress", progress)
    assert run(source, "--images", folder, "-o", out, load=Toy()) == 0
    # A chunk of four ends when the first product of the next one is there.
    first = [*["product"] * 5, "chunk", *["product"] * 4, "chunk", *["product"] * 2, "chunk"]
    assert events == first


def test_a_damaged_chunk_is_computed_again(source, out, tmp_path):
    with pytest.raises(RuntimeError, match="killed"):
        run(source, "-o", out, load=ToyClassifier(fails_at=2))
    (tmp_path / "predictions.csv.partial" / "00000000.json").write_bytes(b'{"rows"')
    second = ToyClassifier()
    assert run(source, "-o", out, load=second) == 0
    assert len(second.seen) == 7


def test_chunks_of_another_command_are_refused(source, out, capsys):
    with pytest.raises(RuntimeError, match="killed"):
        run(source, "-o", out, load=ToyClassifier(fails_at=1))
    assert run(source, "-o", out, "--top", 3) == 2
    message = capsys.readouterr().err
    assert "--top was 5 and is 3" in message
    assert "pass --restart" in message
    assert run(source, "-o", out, "--model", "text") == 2
    assert "--model was 'late_fusion' and is 'text'" in capsys.readouterr().err
    write_csv(source, challenge_rows(12))
    assert run(source, "-o", out) == 2
    assert "input size was" in capsys.readouterr().err
    second = ToyClassifier()
    assert run(source, "-o", out, "--restart", load=second) == 0
    assert len(second.seen) == 12


@pytest.mark.parametrize("packed", [False, True])
def test_an_input_that_changed_is_not_continued(source, folder, out, tmp_path, packed, capsys):
    """Size, first and last bytes stay the same: only the time tells."""
    images = folder
    if packed:
        images = tmp_path / "images.zip"
        with zipfile.ZipFile(images, "w") as file:
            for path in folder.rglob("*.jpg"):
                file.write(path, path.name)
    words = (source, "--images", images, "-o", out)
    with pytest.raises(RuntimeError, match="killed"):
        run(*words, load=ToyClassifier(fails_at=1))
    changed = images if packed else next(folder.rglob("*.jpg"))
    before = changed.stat()
    os.utime(changed, ns=(0, before.st_mtime_ns + 1000))
    assert run(*words) == 2
    assert "images content was" in capsys.readouterr().err
    os.utime(changed, ns=(0, before.st_mtime_ns))
    os.utime(source, ns=(0, source.stat().st_mtime_ns + 1000))
    assert run(*words) == 2
    assert "input modified was" in capsys.readouterr().err
    assert run(*words, "--restart") == 0


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_a_run_that_writes_into_the_folder_of_images_continues(source, folder, tmp_path, suffix):
    out = folder / f"out{suffix}"
    words = (source.rename(folder / "x.csv"), "--images", folder, "-o", out)
    with pytest.raises(RuntimeError, match="killed"):
        run(*words, load=ToyClassifier(fails_at=1))
    second = ToyClassifier()
    assert run(*words, load=second) == 0
    assert len(second.seen) == 7


def test_images_are_found_as_the_import_finds_them(source, out, tmp_path, capsys):
    """A catalogue zipped on Windows, within another archive, with other endings."""
    with zipfile.ZipFile(tmp_path / "inner.zip", "w") as file:
        for i, suffix in enumerate((".JPG", ".jpeg", ".Jpg")):
            name = products.image_name(i + 50, i).replace(".jpg", suffix)
            file.writestr(f"images\\image_test\\{name}", jpeg(i))
    with zipfile.ZipFile(tmp_path / "outer.zip", "w") as file:
        file.write(tmp_path / "inner.zip", "rakuten/inner.zip")
    assert run(source, "--images", tmp_path / "outer.zip", "-o", out) == 0
    assert "11 products, 8 of them without an image" in capsys.readouterr().out


def test_two_processes_cannot_write_the_same_output(source, out, capsys):
    class Nested(ToyClassifier):
        def classify(self, prepared, *, top=5):
            assert run(source, "-o", out) == 2
            return super().classify(prepared, top=top)

    assert run(source, "-o", out, load=Nested()) == 0
    assert "another process writes" in capsys.readouterr().err
    assert len(read_csv(out)) == 12


def test_an_existing_output_is_kept_without_restart(source, out, capsys):
    out.write_text("keep this")
    assert run(source, "-o", out) == 2
    assert "exists already" in capsys.readouterr().err
    assert out.read_text() == "keep this"
    assert run(source, "-o", out, "--restart") == 0
    assert len(read_csv(out)) == 12


def test_a_killed_restart_continues_without_restart(source, out):
    out.write_text("old")
    with pytest.raises(RuntimeError, match="killed"):
        run(source, "-o", out, "--restart", load=ToyClassifier(fails_at=2))
    second = ToyClassifier()
    assert run(source, "-o", out, load=second) == 0
    assert len(second.seen) == 3


def test_a_restart_that_fails_early_keeps_the_output(source, out, tmp_path):
    out.write_text("old")
    assert run(source, "-o", out, "--restart", "--images", tmp_path / "gone") == 2
    assert out.read_text() == "old"


def test_the_input_is_never_overwritten(source, capsys):
    before = source.read_bytes()
    assert run(source, "-o", source, "--restart") == 2
    assert "is the input itself" in capsys.readouterr().err
    assert source.read_bytes() == before


def test_faulty_rows_are_listed_and_the_others_are_predicted(folder, out, tmp_path, capsys):
    (folder / products.image_name(50, 0)).write_bytes(
        b"not an image"
    )  # comes before the deeper one
    source = tmp_path / "x.csv"
    source.write_bytes(
        b"\xef\xbb\xbf,designation,description,productid,imageid\n"
        b"1,fine,,2,52\n"
        b"2,corrupt image,,0,50\n"
        b'3,"two\nlines",,2,52\n'
        b"4,caf\xe9,latin,2,52\n"
        b"5,too,many,fields,2,52\n"
        b"6,few\n"
        b"seven,index,,2,52\n"
        b"8,nul\0byte,,2,52\n"
        b"\n"
        b"9,,,999,999\n"
        b"10,ids,,12.0,52\n"
        b"11,last,,2,52\n"
    )
    toy = ToyClassifier()
    assert run(source, "--images", folder, "-o", out, load=toy) == 1
    assert [row[0] for row in read_csv(out)[1:]] == [
        *map(str, range(1, 7)), "seven", *map(str, range(8, 12)),
    ]  # fmt: skip
    reasons = {(line, index): reason for line, index, reason in errors_of(out)}
    expected = {
        ("3", "2"): "image image_50_product_0.jpg cannot be used",
        ("6", "4"): "designation is not UTF-8",
        ("7", "5"): "expected 5 fields, received 6",
        ("8", "6"): "expected 5 fields, received 2",
        ("9", "seven"): "index is not a number: 'seven'",
        ("10", "8"): "designation holds NUL bytes",
        ("12", "9"): "nothing that late_fusion uses: predicted the most frequent category",
        ("13", "10"): "productid is not an integer: '12.0'",
    }
    assert list(reasons) == list(expected)
    for place, reason in expected.items():
        assert reasons[place].startswith(reason)
    assert "caf\ufffd" in toy.seen
    assert "nul byte" in toy.seen
    shown = capsys.readouterr().out
    assert "8 rows that could not be read in full, computed from part of their data or" in shown


def test_a_submission_is_complete_despite_faulty_rows(folder, out, tmp_path):
    rows = [[1, "", "", "", ""], ["x\0y", "t", "", 2, 52], [3, "", "", 2, 52], [4, "t", "", 2, 52]]
    source = write_csv(tmp_path / "x.csv", rows)
    toy = ToyClassifier()
    assert run(source, "--images", folder, "--submission", "-o", out, load=toy) == 1
    assert [row[0] for row in read_csv(out)[1:]] == ["1", "x y", "3", "4"]
    (nothing,) = toy.classify([Product()])
    assert read_csv(out)[1][1] == str(nothing.code)  # the prediction of an empty product
    assert [row[1] for row in errors_of(out)] == ["1", "x y"]


def test_a_long_field_is_read_up_to_the_limit(out, tmp_path):
    rows = [[1, "a", "b" * 200_000, "", ""], [2, "c", "", "", ""]]
    classifier = ToyClassifier()
    assert run(write_csv(tmp_path / "x.csv", rows), "-o", out, load=classifier) == 0
    assert classifier.seen == ["a", "c"]


def test_a_field_beyond_the_limit_is_an_error_that_names_its_line(out, tmp_path, capsys):
    rows = [[1, "a", "", "", ""], [2, "b", "b" * (product_tables.MAX_FIELD + 1), "", ""]]
    source = write_csv(tmp_path / "x.csv", rows)
    assert run(source, "-o", out) == 2
    assert f"{source}, line 3: field larger than field limit" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == [source]


def test_parquet_columns_of_any_type_are_read(out, tmp_path):
    table = pa.table(
        {
            "__index_level_0__": pa.array([7, 8, None]),
            "designation": pa.array(["a", "b", "a"]).dictionary_encode(),
            "description": pa.array([b"ok", b"caf\xe9", None]),
            "productid": pa.array([2.0, None, 4.0]),
            "imageid": pa.array([52, None, 54], pa.int32()),
            "more": pa.array([[1], [2], [3]]),
        }
    )
    pq.write_table(table, tmp_path / "x.parquet")
    toy = ToyClassifier()
    assert run(tmp_path / "x.parquet", "-o", out, load=toy) == 1
    assert toy.seen == ["a", "b", "a"]
    assert errors_of(out) == [
        ["2", "8", "description is not UTF-8"],
        ["3", "", "index is not a number: ''"],
    ]


def write_unusable_inputs(tmp_path):
    """Write inputs from which nothing can be predicted."""
    (tmp_path / "folder.csv").mkdir()
    write_csv(tmp_path / "columns.csv", [[1, "t"]], ["", "title"])
    write_csv(tmp_path / "twice.csv", [["a", "b"]], ["designation", "designation"])
    write_csv(tmp_path / "empty.csv", [])
    (tmp_path / "nothing.csv").write_bytes(b"")
    (tmp_path / "wrong.parquet").write_bytes(b"PAR1 is not enough")
    (tmp_path / "x.txt").write_text("designation\na\n")
    write_csv(tmp_path / "good.csv", [["a"]], ["designation"])
    write_csv(tmp_path / "ids.csv", [["a", 1, 2]], ["designation", "productid", "imageid"])
    (tmp_path / "wrong.zip").write_bytes(b"not an archive")
    (tmp_path / "none").mkdir()
    (tmp_path / "images.7z").write_bytes(b"7z")
    with zipfile.ZipFile(tmp_path / "others.zip", "w") as archive:
        archive.writestr("deep/photo.jpg", jpeg(1))
    (tmp_path / "tabs.csv").write_text("\tdesignation\tproductid\timageid\n0\ta\t1\t2\n")
    (tmp_path / "short_tabs.csv").write_text("\tdesignation\n0\ta\n")
    (tmp_path / "semicolons.csv").write_text(";designation;description\n0;a;b\n")
    (tmp_path / "spaces.csv").write_text(" designation\n0 a\n")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("missing.csv",), "is not a file: pass the path"),
        (("folder.csv",), "is not a file: pass the path"),
        (("columns.csv",), "has no column designation: expected the header ',designation,"),
        (("twice.csv",), "has the column designation twice"),
        (("empty.csv",), "has no rows below its header"),
        (("nothing.csv",), "has no column designation"),
        (("wrong.parquet",), "cannot be read"),
        (("x.txt",), "must end in .csv or .parquet"),
        (("good.csv", "--images", "none"), "expected the columns productid and imageid"),
        (("ids.csv", "--images", "none"), "holds no files"),
        (("ids.csv", "--images", "wrong.zip"), "expected a folder or an archive"),
        (("ids.csv", "--images", "gone.zip"), "expected a folder or an archive"),
        (
            ("ids.csv", "--images", "others.zip"),
            "others.zip contains none of the images named in the table, for example "
            "image_2_product_1.jpg; it contains, for example, ",
        ),
        (("ids.csv", "--images", "others.zip"), "others.zip/deep/photo.jpg: pass the images of"),
        (("ids.csv", "--images", "images.7z"), "images.7z: unpack them first"),
        (
            ("tabs.csv",),
            "tabs.csv has tabs instead of commas: save it as CSV in UTF-8, with commas",
        ),
        (("short_tabs.csv",), "short_tabs.csv has tabs instead of commas"),
        (("semicolons.csv",), "semicolons.csv has semicolons instead of commas"),
        (("spaces.csv",), "has no column designation"),
    ],
)
def test_unusable_input_ends_with_2_before_the_classifier_loads(
    tmp_path, monkeypatch, capsys, arguments, message
):
    write_unusable_inputs(tmp_path)
    monkeypatch.chdir(tmp_path)
    toy = ToyClassifier()
    before = sorted(tmp_path.iterdir())
    assert run(*arguments, "-o", "out.csv", load=toy) == 2
    assert message in capsys.readouterr().err
    assert toy.loads == 0
    assert sorted(tmp_path.iterdir()) == before


def test_a_missing_classifier_ends_with_2_and_writes_nothing(source, out, tmp_path, capsys):
    def load(folder):
        raise FileNotFoundError(f"{folder} does not exist: run 'make repro' to build it")

    assert run(source, "-o", out, load=load) == 2
    assert "run 'make repro'" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == [source]


def test_a_row_without_what_the_model_uses_is_listed(source, folder, out):
    toy = ToyClassifier(model_name="image")
    assert run(source, "-o", out, "--model", "image", "--images", folder, load=toy) == 1
    expected = "nothing that image uses: predicted the most frequent category"
    assert {reason for *_, reason in errors_of(out)} == {expected}
    assert [int(k) for _, k, _ in errors_of(out)] == [84916 + 3 * i for i in range(1, 11, 2)]


@pytest.mark.parametrize("model", ["image", "image_ensemble"])
def test_a_model_of_images_needs_images(source, out, model, capsys):
    toy = ToyClassifier()
    assert run(source, "-o", out, "--model", model, load=toy) == 2
    assert f"{model} predicts from images: pass --images" in capsys.readouterr().err
    assert not toy.loads
    assert not out.exists()


def test_a_submission_holds_each_index_once(folder, out, tmp_path, capsys):
    source = write_csv(tmp_path / "x.csv", [[4, "a", "", "", ""], [5, "b", "", "", ""]] * 2)
    toy = ToyClassifier()
    assert run(source, "--submission", "-o", out, load=toy) == 2
    assert "line 4 has the index 4 of line 2" in capsys.readouterr().err
    assert not toy.seen
    assert not out.exists()
    assert run(source, "-o", out, load=toy) == 0


def test_a_submission_cannot_be_parquet(source, tmp_path, capsys):
    assert run(source, "--submission", "-o", tmp_path / "y.parquet") == 2
    assert "the challenge expects CSV" in capsys.readouterr().err


def test_one_row_is_reported_in_the_singular():
    summary = prediction_files.Summary(products=1, bad_rows=1)
    assert summary.report("y.csv", None, "y.csv.errors.csv") == (
        "y.csv: 1 product\ny.csv.errors.csv: 1 row that could not be read in full, computed from "
        "part of its data or from none\n"
    )
