import io

import pandas as pd
import pytest

from rakuten import storage
from rakuten.data import products

X = '''\
,designation,description,productid,imageid
7,"Livre, tome 1 ""Été""","<p>Deux
lignes</p>",4200872287,1316129344
3,NA,,10,20
12,  ,null,11,20
5,Puzzle,,9007199254740993,1
'''
Y = ",prdtypecode\n3,2905\n5,10\n7,2583\n12,1180\n"


def read(text, **options):
    return pd.read_csv(io.BytesIO(text.encode()), **{**products.CSV_FORMAT, **options})


def problems_of(x, y=None):
    with pytest.raises(products.InvalidProductsError) as caught:
        products.join(read(x), None if y is None else read(y))
    return {problem.fault: problem.names for problem in caught.value.problems}


def test_join_returns_the_table_in_ascending_id():
    table = products.join(read(X), read(Y))
    assert table.astype(object).where(table.notna(), None).to_dict("list") == {
        "id": [3, 5, 7, 12],
        "designation": ["NA", "Puzzle", 'Livre, tome 1 "Été"', None],
        "description": [None, None, "<p>Deux\nlignes</p>", "null"],
        "productid": [10, 9007199254740993, 4200872287, 11],
        "imageid": [20, 1, 1316129344, 20],
        "prdtypecode": [2905, 10, 2583, 1180],
        "label": [26, 0, 23, 6],
    }
    assert table.dtypes.astype(str).to_dict() == products.DTYPES
    assert list(table.index) == [0, 1, 2, 3]


def test_join_without_y_stops_before_the_category():
    table = products.join(read(X))
    assert list(table) == ["id", "designation", "description", "productid", "imageid"]
    assert table["id"].tolist() == [3, 5, 7, 12]


def test_join_does_not_depend_on_the_order_of_the_rows():
    x, y = read(X), read(Y)
    shuffled = products.join(x.iloc[::-1].reset_index(drop=True), y.iloc[[2, 0, 3, 1]])
    pd.testing.assert_frame_equal(shuffled, products.join(x, y))


@pytest.mark.parametrize(
    "written",
    [
        X.replace("\n", "\r\n").replace("Deux\r\n", "Deux\n"),
        "\ufeff" + X,
        X.replace(",designation,", '"",designation,', 1),
        X.replace(",NA,,", ',"NA","",'),
    ],
    ids=["crlf", "byte-order-mark", "quoted-empty-header", "quoted-empty-fields"],
)
def test_the_same_table_however_the_file_is_written(written):
    pd.testing.assert_frame_equal(products.join(read(written)), products.join(read(X)))


def test_a_table_of_missing_texts_keeps_its_dtypes():
    table = products.join(read(",designation,description,productid,imageid\n1,,,2,3\n"))
    assert table.dtypes.astype(str).tolist() == ["int64", "str", "str", "int64", "int64"]
    assert table[["designation", "description"]].isna().all(axis=None)


def test_the_table_survives_parquet(tmp_path):
    table = products.join(read(X), read(Y))
    storage.write_table(tmp_path / "products.parquet", table)
    pd.testing.assert_frame_equal(storage.read_table(tmp_path / "products.parquet"), table)


def test_frames_built_in_memory_can_be_joined():
    x = pd.DataFrame(
        {
            "": [2, 1],
            "designation": [None, "Lampe"],
            "description": [None, None],
            "productid": [7, 8],
            "imageid": [5, 6],
        }
    )
    table = products.join(x)
    assert table["id"].tolist() == [1, 2]
    assert products.has_text(table).tolist() == [True, False]


def test_has_text_counts_title_or_description():
    table = products.join(read(X.replace("null", "")))
    assert products.has_text(table).tolist() == [True, True, True, False]
    assert products.has_text(products.join(read(X))).all()


def test_image_names():
    table = products.join(read(X))
    assert products.image_names(table) == [
        "image_20_product_10.jpg",
        "image_1_product_9007199254740993.jpg",
        "image_1316129344_product_4200872287.jpg",
        "image_20_product_11.jpg",
    ]
    assert products.image_name(12, 7) == "image_12_product_7.jpg"


@pytest.mark.parametrize(
    ("name", "numbers"),
    [
        ("image_12_product_7.jpg", (12, 7)),
        ("IMAGE_12_product_4200872287.JPEG", (12, 4200872287)),
        ("image_12_product_7.Jpe", (12, 7)),
        ("image_12_product_7.jfif", (12, 7)),
        ("image_12_product_7.png", None),
        ("image_12_product_7.jpg.txt", None),
        ("image_-1_product_7.jpg", None),
        ("image_٣_product_7.jpg", None),
        ("../image_12_product_7.jpg", None),
        ("image_9999999999999999999_product_7.jpg", None),
    ],
)
def test_parse_image_name(name, numbers):
    assert products.parse_image_name(name) == numbers


@pytest.mark.parametrize(
    ("x", "y", "expected"),
    [
        (
            X.replace("description", "desc"),
            Y,
            {
                "columns missing from X_train.csv": ("'description'",),
                "unexpected columns of X_train.csv": ("'desc'",),
            },
        ),
        (
            X.replace(",designation", "id,designation", 1),
            None,
            {
                "columns missing from X_train.csv": ("''",),
                "unexpected columns of X_train.csv": ("'id'",),
            },
        ),
        (
            ",designation,description,productid,imageid\n1,a,b,c,2,3\n2,a,b,c,2,3\n",
            None,
            {"rows of X_train.csv with more fields than the header": ("row 1", "row 2")},
        ),
        (
            X.replace("\n7,", "\nseven,").replace("10,20", "10.0,"),
            None,
            {
                "rows of X_train.csv whose id is not an integer": ("row 1 'seven'",),
                "rows of X_train.csv whose productid is not an integer": ("row 2 '10.0'",),
                "rows of X_train.csv whose imageid is not an integer": ("row 2 is empty",),
            },
        ),
        (X.replace("\n12,", "\n3,"), None, {"ids repeated in X_train.csv": ("3",)}),
        (X, Y.replace("5,10", "3,10") + "5,10\n", {"ids repeated in Y_train.csv": ("3",)}),
        (
            X,
            Y.replace("2583", "2584").replace("1180", "-1"),
            {
                "rows of Y_train.csv whose prdtypecode is not an integer": ("row 4 '-1'",),
                "rows of Y_train.csv with an unknown prdtypecode": ("7 has 2584",),
            },
        ),
        (
            X,
            Y.replace("\n7,", "\n8,"),
            {
                "rows of X_train.csv without a row in Y_train.csv": ("7",),
                "rows of Y_train.csv without a row in X_train.csv": ("8",),
            },
        ),
        (X.splitlines()[0], Y, {"files without rows": ("X_train.csv",)}),
        (
            X.replace("imageid", "image"),
            Y.replace("prdtypecode", "code"),
            {
                "columns missing from X_train.csv": ("'imageid'",),
                "unexpected columns of X_train.csv": ("'image'",),
                "columns missing from Y_train.csv": ("'prdtypecode'",),
                "unexpected columns of Y_train.csv": ("'code'",),
            },
        ),
    ],
    ids=[
        "renamed-column",
        "named-index",
        "unquoted-comma",
        "no-integers",
        "repeated-x",
        "repeated-y",
        "unknown-code",
        "other-rows",
        "no-rows",
        "both-headers",
    ],
)
def test_every_fault_is_listed_with_what_has_it(x, y, expected):
    assert problems_of(x, y) == expected


def test_the_message_counts_lists_the_first_names_and_gives_the_remedy():
    rows = "".join(f"{number},1\n" for number in range(8))
    with pytest.raises(
        products.InvalidProductsError,
        match=r"prdtypecode \(8\): 0 has 1, 1 has 1, 2 has 1, 3 has 1, 4 has 1 and 3 more: "
        r"expected one of the 27 codes",
    ):
        products.join(read(X), read(",prdtypecode\n" + rows))


def test_control_characters_in_names_are_escaped():
    problem = products.Problem("files", ("a\x1b[31mb",), "beware")
    assert str(problem) == "files (1): 'a\\x1b[31mb': beware"


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("image_12_product_7.jpg", "image_12_product_7.jpg"),
        ("images/image_train/IMAGE_12_PRODUCT_7.JPEG", "image_12_product_7.jpg"),
        ("images\\image_test\\image_0012_product_07.jpg", "image_12_product_7.jpg"),
        ("./image_test/image_12_product_7.jfif", "image_12_product_7.jpg"),
        ("image_12_product_7.png", "image_12_product_7.png"),
        ("C:\\Photos\\Vase Bleu.PNG", "vase bleu.png"),
        ("E\u0301te\u0301.jpg", "\u00e9t\u00e9.jpg"),
        ("\u00c9T\u00c9.jpg", "\u00e9t\u00e9.jpg"),
        ("Straße.jpg", "strasse.jpg"),
        ("", ""),
    ],
)
def test_equal_names_of_images_have_equal_keys(name, key):
    assert products.image_key(name) == key
    assert products.image_key(key) == key


@pytest.mark.parametrize(
    ("header", "delimiter"),
    [
        (",designation,description,productid,imageid", None),
        ("id,designation", None),
        ("designation", None),
        ("a;b,designation", None),
        ("title;price", None),
        ("", None),
        (";designation;description", "semicolons"),
        ('"";"designation"', "semicolons"),
        ("\tdesignation", "tabs"),
        ("designation\t", "tabs"),
        (";prdtypecode", "semicolons"),
        ("|designation|productid", "vertical bars"),
        (";DESIGNATION;Description", "semicolons"),
    ],
)
def test_other_delimiters_are_recognized_by_the_columns(header, delimiter):
    assert products.other_delimiter(header) == delimiter
