import gzip
import itertools
import json
import re
import zipfile
from pathlib import Path

import pytest
from challenge_files import (
    CODES,
    GIVEN,
    HEADER,
    IMAGE_FILES,
    IMAGES,
    MEMBERS,
    NAMES,
    TABLES,
    TEST_MEMBER,
    TITLES,
    X_TEST,
    X,
    Y,
    assert_consistent,
    digest,
    given,
    is_old,
    jpeg,
    make_old_repository,
    make_repository,
    names,
    tarred,
    track,
    write,
    x_of,
    zipped,
)

from rakuten import storage
from rakuten.data import importing, products
from rakuten.sample import import_command

EXCERPT = Path(__file__).parents[3] / "shared" / "rakuten_excerpt"


@pytest.fixture
def root(tmp_path):
    """A repository that holds older data."""
    return make_old_repository(tmp_path / "repository")


@pytest.fixture
def load(root, tmp_path):
    """Import the given files from a folder."""

    def load(contents, **options):
        folder = write(tmp_path / "given", contents)
        return importing.import_data([folder], root, **{"track": track, **options})

    return load


@pytest.fixture
def refuse(load, root):
    """Assert that the given files are refused and nothing changes; give the whole message."""

    def refuse(changes, **options):
        with pytest.raises(products.InvalidProductsError) as caught:
            load(given(changes), **options)
        assert_consistent(root)
        assert is_old(root)
        return str(caught.value)

    return refuse


@pytest.fixture(scope="module")
def expected(tmp_path_factory):
    """What data/ holds after an import of the files from a folder."""
    root = make_repository(tmp_path_factory.mktemp("repository"))
    importing.import_data([write(tmp_path_factory.mktemp("given"), GIVEN)], root, track=track)
    return digest(root / "data")


def test_writes_the_tables_unchanged_and_one_uncompressed_archive(root, load):
    assert load(GIVEN) == importing.Summary(
        products=12,
        categories=12,
        test_products=1,
        images=13,
        image_bytes=sum(map(len, [*IMAGES, IMAGES[0]])),
        without_text=0,
        without_title=0,
        without_image=0,
        unused_images=0,
    )
    folder = root / "data"
    assert names(folder) == [
        "X_test.csv", "X_train.csv", "Y_train.csv", "dataset.json", "images.zip"
    ]  # fmt: skip
    assert (folder / "dataset.json").read_text() == '{\n  "name": "imported data"\n}\n'
    assert (folder / "X_train.csv").read_bytes() == GIVEN[X]
    assert (folder / "Y_train.csv").read_bytes() == GIVEN[Y]
    assert (folder / "X_test.csv").read_bytes() == GIVEN[X_TEST]
    with zipfile.ZipFile(folder / "images.zip") as archive:
        members = archive.infolist()
    assert [member.filename for member in members] == [
        "image_test/image_7_product_8.jpg",
        *(f"image_train/{name}" for name in NAMES),
    ]
    assert {member.compress_type for member in members} == {zipfile.ZIP_STORED}
    assert {member.date_time for member in members} == {(1980, 1, 1, 0, 0, 0)}
    with storage.ImageArchive(folder / "images.zip") as archive:
        assert [archive.read(f"image_train/{name}") for name in NAMES] == IMAGES
    assert_consistent(root)


@pytest.mark.parametrize(
    "contents",
    [
        {f"a/b/{name}": body for name, body in GIVEN.items()},
        {"rakuten.zip": zipped(dict(reversed(GIVEN.items())))},
        {**TABLES, "images.zip": zipped(IMAGE_FILES, zipfile.ZIP_STORED)},
        {"all.zip": zipped({**TABLES, "deep/images.zip": zipped(IMAGE_FILES)})},
        {"all.tar": tarred(GIVEN, "w")},
        {**TABLES, "images.tar.gz": tarred(IMAGE_FILES, "w:gz")},
        {"all.zip": zipped({**TABLES, "images.tgz": tarred(IMAGE_FILES, "w:gz")})},
        {**TABLES, **{f"all/{Path(name).name}": body for name, body in IMAGE_FILES.items()}},
        {name.replace(".jpg", ".JPEG"): body for name, body in GIVEN.items()},
        {"all.zip": zipped({name.replace("/", "\\"): body for name, body in GIVEN.items()})},
        {"all.zip": zipped(GIVEN), **{f"all/{name}": body for name, body in GIVEN.items()}},
        {
            "X_train.csv": GIVEN[X],
            "Y_train.csv": GIVEN[Y],
            "X_test.csv": GIVEN[X_TEST],
            "images.zip": zipped(
                {name[len("images/") :]: body for name, body in IMAGE_FILES.items()}
            ),
        },
    ],
    ids=[
        "deep-folder",
        "zip",
        "tables-beside-zip",
        "zip-in-zip",
        "tar",
        "tar.gz",
        "tgz-in-zip",
        "flat",
        "other-ending",
        "backslashes",
        "zip-and-its-content",
        "data-folder",
    ],
)
def test_equal_files_give_equal_bytes_however_they_are_packed(root, load, expected, contents):
    load(contents)
    assert digest(root / "data") == expected


def test_several_paths_are_one_import(root, tmp_path, expected):
    images = write(tmp_path / "images", IMAGE_FILES)
    tables = write(tmp_path / "tables", {"tables.zip": zipped({X: GIVEN[X], Y: GIVEN[Y]})})
    single = write(tmp_path / "single", {X_TEST: GIVEN[X_TEST]})
    importing.import_data([str(images), tables / "tables.zip", single / X_TEST], root, track=track)
    assert digest(root / "data") == expected


def in_drops(*bounds, header=HEADER):
    """The catalogue cut into drops, each with the images of its rows, lines ending with LF."""
    x, y = x_of(TITLES).decode().split("\r\n")[1:-1], CODES[::-1]
    return [
        {
            X: "\n".join([header if start else HEADER, *x[start:end]]).encode(),
            Y: "\n".join([",prdtypecode", *y[start:end], ""]).encode(),
            **dict(zip(MEMBERS[start:end], IMAGES[start:end], strict=True)),
        }
        for start, end in itertools.pairwise(bounds)
    ]


def test_drops_are_joined_in_their_order(root, tmp_path):
    """Three drops give the same bytes as one; those of the first drop come first."""
    paths = [write(tmp_path / str(n), drop) for n, drop in enumerate(in_drops(0, 7, 9, 12))]
    assert importing.import_data(paths, root, drops=True, track=track).products == 12
    joined = digest(root / "data")
    (whole,) = in_drops(0, 12)
    assert importing.import_data([write(tmp_path / "w", whole)], root, track=track).products == 12
    assert digest(root / "data") == joined
    with pytest.raises(products.InvalidProductsError, match=r"or --drops if they are drops of"):
        importing.import_data(paths, root, track=track)
    assert digest(root / "data") == joined


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["synthetic sample", "synthetic sample"], "synthetic sample"),
        (["synthetic sample", "shop"], "imported data"),
        (["synthetic sample", None], "imported data"),
    ],
)
def test_drops_of_the_same_data_keep_its_name(root, tmp_path, names, expected):
    paths = []
    for name, drop in zip(names, in_drops(0, 7, 12), strict=True):
        described = {"dataset.json": json.dumps({"name": name}).encode()} if name else {}
        paths.append(write(tmp_path / str(len(paths)), drop | described))
    importing.import_data(paths, root, drops=True, track=track)
    assert storage.read_json(root / "data/dataset.json") == {"name": expected}


def test_drops_that_do_not_fit_are_refused(root, tmp_path):
    first, other = in_drops(0, 7, 12, header=HEADER.replace("designation", "title"))
    paths = [write(tmp_path / "1", first), write(tmp_path / "2", other)]
    with pytest.raises(products.InvalidProductsError) as caught:
        importing.import_data(paths, root, drops=True, track=track)
    assert "drops of X_train.csv with another first line (1): 2/" in str(caught.value)
    assert is_old(root)
    same = in_drops(0, 7)[0] | {X: in_drops(0, 7)[0][X].replace(b"Titre", b"Autre")}
    with pytest.raises(products.InvalidProductsError, match="ids repeated in X_train"):
        importing.import_data(
            [paths[0], write(tmp_path / "3", same)], root, drops=True, track=track
        )


def test_its_own_output_can_be_imported_again(root, load, expected):
    load(GIVEN)
    importing.import_data([root / "data"], root, track=track)
    assert digest(root / "data") == expected


def test_without_x_test_only_train_images_are_imported(root, load):
    summary = load(given({X_TEST: None, "more/image_1_product_1.jpg": IMAGES[0]}))
    assert (summary.images, summary.unused_images, summary.test_products) == (12, 2, None)
    assert names(root / "data") == ["X_train.csv", "Y_train.csv", "dataset.json", "images.zip"]


def test_an_image_of_the_other_part_does_not_count(refuse):
    moved = MEMBERS[0].replace("image_train", "image_test")
    message = refuse({MEMBERS[0]: None, moved: IMAGES[0]})
    assert f"images named by X_train.csv that were not found (1): {NAMES[0]}: " in message


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({X: None}, "files not found in what was given (1): X_train_update.csv: pass"),
        ({Y: None}, "files not found in what was given (1): Y_train_CVw08PX.csv: pass"),
        (
            {X: GIVEN[X].replace(b"description", b"details")},
            "columns missing from X_train.csv (1): 'description': expected the header",
        ),
        (
            {X_TEST: GIVEN[X_TEST].replace(b"description", b"description,price")},
            "unexpected columns of X_test.csv (1): 'price': expected the header",
        ),
        (
            {Y: GIVEN[Y].replace(b"\n0,10\n", b"\n0,11\n")},
            "rows of Y_train.csv with an unknown prdtypecode (1): 0 has 11: expected one of",
        ),
        (
            {Y: GIVEN[Y].replace(b"\n0,10\n", b"\n")},
            "rows of X_train.csv without a row in Y_train.csv (1): 0: ",
        ),
        (
            {Y: GIVEN[Y] + b"99,10\n"},
            "rows of Y_train.csv without a row in X_train.csv (1): 99: ",
        ),
        ({X: GIVEN[X].replace(b"\n3,", b"\n0,")}, "ids repeated in X_train.csv (1): 0: "),
        (
            {X: GIVEN[X].replace(b"\n3,", b"\n3.0,")},
            "rows of X_train.csv whose id is not an integer (1): row 2 '3.0': expected digits",
        ),
        (
            {X: x_of(['""', "   ", *TITLES[2:]])},
            "ids of X_train.csv without a title (2): 0, 3: complete them, or pass "
            "--allow-missing-titles",
        ),
        (
            {X_TEST: GIVEN[X_TEST].replace(b"84916", b"33")},
            "ids in both X_train.csv and X_test.csv (1): 33: ",
        ),
        (
            {MEMBERS[0]: None, MEMBERS[5]: None},
            f"images named by X_train.csv that were not found (2): {NAMES[0]}, {NAMES[5]}: "
            "pass the folder or archive that holds them, or --allow-missing-images",
        ),
        (
            {TEST_MEMBER: None},
            "images named by X_test.csv that were not found (1): image_7_product_8.jpg: ",
        ),
        (
            {f"again/{X}": x_of(TITLES[::-1])},
            f"different files that could be X_train.csv (2): given/{X}, given/again/{X}: ",
        ),
        (
            {f"again/{MEMBERS[4]}": IMAGES[5]},
            f"images of one name that differ (1): given/again/{MEMBERS[4]} and given/{MEMBERS[4]}",
        ),
        (
            {"a.zip": zipped({f"../{NAMES[0]}": IMAGES[0]})},
            f"members that would escape the target folder (1): given/a.zip/../{NAMES[0]}: ",
        ),
        (
            {X: GIVEN[X].decode().encode("latin-1")},
            "tables that are not CSV in UTF-8 (1): X_train.csv ('utf-8' codec can't decode",
        ),
        (
            {X: GIVEN[X] + b'99,"left open'},
            "tables that are not CSV in UTF-8 (1): X_train.csv (Error tokenizing data",
        ),
        (
            {X: GIVEN[X].replace(b",", b";")},
            "tables with semicolons instead of commas (1): X_train.csv: save them as CSV in UTF-8",
        ),
        (
            {X: GIVEN[X].replace(b",", b";").decode().encode("cp1252")},
            "tables with semicolons instead of commas (1): X_train.csv: save them as CSV in UTF-8",
        ),
        (
            {Y: b"\xef\xbb\xbf" + GIVEN[Y].replace(b",", b"\t")},
            "tables with tabs instead of commas (1): Y_train.csv: save them as CSV in UTF-8",
        ),
        (
            {X_TEST: GIVEN[X_TEST].replace(b",", b"|")},
            "tables with vertical bars instead of commas (1): X_test.csv: save them as CSV",
        ),
        ({Y: b""}, "tables that are not CSV in UTF-8 (1): Y_train.csv (No columns to parse"),
        (
            {X: GIVEN[X].decode().encode("utf-16")},
            "tables that are not CSV in UTF-8 (1): X_train.csv",
        ),
        ({X: gzip.compress(GIVEN[X])}, "tables that are not CSV in UTF-8 (1): X_train.csv"),
        *(
            (
                {X: None, f"a/x_train.{suffix}": b"table"},
                f"tables of another format (1): given/a/x_train.{suffix}: save them as CSV",
            )
            for suffix in ("tsv", "XLSX", "txt", "parquet")
        ),
    ],
)
def test_faulty_files_are_refused_with_a_message(refuse, changes, message):
    assert message in refuse(changes)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (jpeg(90, (300, 300))[:-500], "image file is truncated"),
        (IMAGES[3][:65], "65 bytes"),
        (b"", "not a JPEG, 0 bytes"),
        (b"<html>not found</html>", "not a JPEG, 22 bytes"),
        (jpeg(80, kind="PNG"), "not a JPEG"),
        (
            IMAGES[3].replace(b"\x00\x0c\x00\x10\x03", b"\x13\x88\x17\x70\x03"),
            "6000x5000 pixels, more than 25000000",
        ),
    ],
    ids=["truncated", "header-only", "empty", "web-page", "png", "bomb"],
)
@pytest.mark.parametrize("place", [MEMBERS[3], "elsewhere/image_1_product_1.jpg"])
def test_unreadable_images_are_always_refused_by_name(refuse, content, message, place):
    refusal = refuse({place: content}, allow_missing=("images", "titles"))
    assert f"images that cannot be read (1): given/{place} (" in refusal
    assert message in refusal


def test_refuses_images_damaged_within_an_archive(refuse):
    archive = zipped(IMAGE_FILES, zipfile.ZIP_STORED).replace(IMAGES[3], IMAGES[3][:-9] + bytes(9))
    message = refuse({**dict.fromkeys(IMAGE_FILES), "images.zip": archive})
    assert f"given/images.zip/{MEMBERS[3]} (Bad CRC-32 for file" in message


def test_refuses_images_under_a_password(refuse):
    archive = bytearray(zipped({MEMBERS[3]: IMAGES[3]}))
    for header, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        archive[archive.index(header) + offset] |= 1
    message = refuse({MEMBERS[3]: None, "images.zip": bytes(archive)})
    fault = f"images that cannot be read (1): given/images.zip/{MEMBERS[3]} (it is encrypted)"
    assert fault in message


def test_lists_every_kind_of_fault_at_once(refuse):
    message = refuse(
        {
            X: x_of(['""', *TITLES[1:]]).replace(b",100\r", b",101.5\r") + b"0,Titre,,1,1\r\n",
            Y: GIVEN[Y].replace(b",40\n", b",41\n") + b"99,10\n",
            X_TEST: GIVEN[X_TEST].replace(b"designation", b"title"),
            MEMBERS[5]: None,
            MEMBERS[6]: IMAGES[6][:100],
            "a.zip": zipped({"/etc/cron": b""}),
            "b.zip": b"nothing",
        }
    )
    kinds = [re.match(r"  - (.*?) \(\d+\): ", line)[1] for line in message.splitlines()[1:]]
    assert message.startswith("12 kinds of fault in the product files:\n")
    assert sorted(kinds) == [
        "archive members that would escape the target folder",
        "archives that cannot be read",
        "columns missing from X_test.csv",
        "ids of X_test.csv without a title",
        "ids of X_train.csv without a title",
        "ids repeated in X_train.csv",
        "images named by X_train.csv that were not found",
        "images that cannot be read",
        "rows of X_train.csv whose imageid is not an integer",
        "rows of Y_train.csv with an unknown prdtypecode",
        "rows of Y_train.csv without a row in X_train.csv",
        "unexpected columns of X_test.csv",
    ]


def test_missing_images_can_be_allowed(root, load):
    summary = load(given({MEMBERS[0]: None, TEST_MEMBER: None}), allow_missing=["images"])
    assert (summary.images, summary.without_image) == (11, 2)
    with storage.ImageArchive(root / "data" / "images.zip") as archive:
        assert archive.names() == [f"image_train/{name}" for name in NAMES[1:]]


@pytest.mark.parametrize("name", ["images.7z", "images.rar", "images.tar.xz", "images.tar.bz2"])
def test_packed_images_are_never_passed_over(refuse, name):
    without = dict.fromkeys(IMAGE_FILES)
    message = refuse({**without, name: b"packed"}, allow_missing=["images"])
    assert f"archives other than .zip .tar .tar.gz .tgz (1): given/{name}: unpack them" in message


def test_tables_of_another_format_do_no_harm_beside_the_challenges(root, load, expected):
    load({**GIVEN, "X_train.xlsx": b"the same", "y_train.parquet": b"the same"})
    assert digest(root / "data") == expected


@pytest.mark.parametrize("name", ["12.jpg", "image_1_product_1.jpg", "images/100_4200872200.png"])
def test_images_of_which_no_row_names_one_are_refused(refuse, name):
    changes = {**dict.fromkeys(IMAGE_FILES), name: IMAGES[0]}
    message = refuse(changes, allow_missing=["images"])
    assert (
        f"images given, none of which a row names (1): given/{name}: expected names such as "
        f"{NAMES[0]}, in a folder image_train" in message
    )


def test_without_any_image_the_archive_exists_and_is_empty(root, load):
    summary = load(TABLES, allow_missing=["images"])
    assert (summary.images, summary.without_image) == (0, 13)
    with storage.ImageArchive(root / "data" / "images.zip") as archive:
        assert archive.names() == []


def test_missing_titles_can_be_allowed(root, load):
    rows = x_of(['""'] * 12).replace(b'\n0,"",,', b'\n0,"",Une description,')
    summary = load(given({X: rows}), allow_missing=["titles"])
    assert (summary.without_title, summary.without_text, summary.images) == (12, 11, 13)
    assert (root / "data" / "X_train.csv").read_bytes() == rows


def test_products_with_neither_text_nor_image_are_always_refused(refuse, load):
    allowed = {"allow_missing": ("images", "titles")}
    changes = {X: x_of(['""', '""', *TITLES[2:]]), MEMBERS[1]: None, MEMBERS[2]: None}
    message = refuse(changes, **allowed)
    assert message.splitlines()[1:] == [
        "  - ids of X_train.csv with neither text nor image (1): 3: there is nothing to classify "
        "them by, leave them out"
    ]


def test_command_line_refuses_without_a_traceback(root, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(root)
    folder = write(tmp_path / "given", given({MEMBERS[2]: IMAGES[2][:80]}))
    assert import_command.main([str(folder), "--allow-missing-images"]) == 1
    error = capsys.readouterr().err
    assert "error: nothing was imported: 1 kind of fault in the product files:\n" in error
    assert f"images that cannot be read (1): given/{MEMBERS[2]} (" in error
    assert "Traceback" not in error
    monkeypatch.chdir(tmp_path)
    assert import_command.main([str(folder)]) == 1
    assert "is not the root of a DVC repository" in capsys.readouterr().err


def test_command_line_imports_with_dvc(tmp_path, monkeypatch, capsys, expected):
    """The one quick test with the real DVC: the archive it tracks is the one that was written."""
    root = make_repository(tmp_path / "repository")
    monkeypatch.chdir(root)
    assert import_command.main([str(write(tmp_path / "given", GIVEN))]) == 0
    assert capsys.readouterr().out == (
        "imported 12 products in 12 categories, 1 products to predict, 13 images (0.0 MB)\n"
        "missing: 0 titles (0 products have no text), 0 images; left out: 0 images that no row "
        "names\ndata/ and data.dvc are written; next: make repro\n"
    )
    assert digest(root / "data") == expected
    assert storage.read_yaml(root / "data.dvc")["outs"][0]["nfiles"] == 5
    cached = root / ".dvc/cache/files/md5"
    assert all((cached / md5[:2] / md5[2:]).exists() for md5 in expected.values())


@pytest.mark.slow
@pytest.mark.skipif(not EXCERPT.exists(), reason="needs the excerpt of the challenge")
@pytest.mark.parametrize(
    ("folders", "options", "imported"),
    [
        (["multimodal"], {}, (840, 840, 0, 0)),
        (["multimodal", "challenge_test"], {}, (840, 960, 0, 0)),
        (["text_only"], {"allow_missing": ["images"]}, (3000, 0, 0, 3000)),
        (["image_only"], {"allow_missing": ["titles"]}, (408, 408, 408, 0)),
    ],
)
def test_real_rows_are_imported(root, folders, options, imported):
    paths = [EXCERPT / folder for folder in folders]
    summary = importing.import_data(paths, root, track=track, **options)
    assert imported == (
        summary.products,
        summary.images,
        summary.without_title,
        summary.without_image,
    )


@pytest.mark.slow
@pytest.mark.skipif(not EXCERPT.exists(), reason="needs the excerpt of the challenge")
@pytest.mark.parametrize(
    ("folders", "message"),
    [
        (["text_only"], r"not found \(3000\)"),
        (["image_only"], r"without a title \(408\)"),
        (["challenge_test"], r"not found in what was given \(2\): X_train_update.csv, Y_train_CVw"),
        (["corrupt_images"], r"cannot be read \(1\): corrupt_images/image_973610497_product_2692"),
        (["multimodal", "corrupt_images"], r"cannot be read \(1\): corrupt_images/image_97361049"),
    ],
)
def test_faulty_real_files_are_refused(root, folders, message):
    with pytest.raises(products.InvalidProductsError, match=message):
        importing.import_data([EXCERPT / folder for folder in folders], root, track=track)
    assert is_old(root)
    assert_consistent(root)
