"""`python -m rakuten import --share`."""

import shutil
import zipfile

import numpy as np
import pytest
from challenge_files import is_old, make_old_repository, make_repository, names, track
from repository import ROOT

from rakuten import storage
from rakuten.data import importing, products, shares, splits
from rakuten.sample import import_command
from rakuten.sample.catalogue import write_sample
from rakuten.sample.dataset import SAMPLE


@pytest.fixture(scope="module")
def given(tmp_path_factory):
    """A catalogue of 400 products, 10 of each category at least, and 5 to predict."""
    folder = tmp_path_factory.mktemp("given") / "catalogue"
    write_sample(folder, products=400, test_products=5, floor=12, images=120, quality=30)
    return folder


@pytest.fixture
def root(tmp_path, monkeypatch):
    """A repository with the files that the command reads; texts are cleaned by lowering them."""
    root = make_old_repository(tmp_path / "repository")
    shutil.copy(ROOT / "params.yaml", root)
    monkeypatch.chdir(root)
    monkeypatch.setattr(
        import_command, "tokens", lambda table, **_: table["designation"].str.lower().tolist()
    )
    return root


def load(folder, given, share=None):
    """Import a share with images optional."""
    part = share and shares.Share(share, lambda *all_: import_command.choose(*all_, share=share))
    return importing.import_data([given], folder, allow_missing=["images"], share=part, track=track)


def read(folder):
    """Read the product table, its parts and the names in the archive from data/."""
    tables = (storage.read_csv(folder / f"data/{part}_train.csv", **products.CSV_FORMAT)
              for part in "XY")  # fmt: skip
    table = products.join(*tables)
    with storage.ImageArchive(folder / "data/images.zip") as archive:
        members = [f"image_train/{name}" for name in products.image_names(table)]
        digests = [archive.digest(name) if name in archive else "" for name in members]
        kept = list(archive.names())
    table["tokens"] = table["designation"].str.lower()
    settings = storage.read_params("split", path=ROOT / "params.yaml")
    parts, _ = splits.split(table, digests, seed=20, **settings)
    return table.set_index("id"), parts.set_index("id"), kept


@pytest.mark.parametrize("share", [0.3, 0.6, 0.9])
def test_test_products_of_the_share_are_test_products_of_the_whole(root, given, share):
    load(root, given)
    table, parts, _ = read(root)
    summary = load(root, given, share)
    part_table, part_parts, kept = read(root)
    ids = part_table.index
    assert part_table.equals(table.loc[ids])
    assert part_parts.equals(parts.loc[ids])
    assert not set(parts["group"][ids]) & set(parts["group"].drop(ids))
    assert parts["group"].duplicated().sum() > 4
    assert (summary.products, summary.of_products) == (len(ids), 400)
    sizes = table["prdtypecode"].value_counts()
    wanted = np.minimum(np.maximum(np.round(share * sizes), 10), sizes).sum()
    assert wanted <= len(ids) < 1.05 * wanted
    assert set(part_table["prdtypecode"]) == set(table["prdtypecode"])
    with zipfile.ZipFile(given / "images.zip") as archive:
        available = {name.removeprefix("images/") for name in archive.namelist()}
    wanted = {f"image_train/{name}" for name in products.image_names(part_table)}
    assert set(kept) == wanted & available


def test_the_share_is_named_and_x_test_is_left_out(root, given):
    summary = load(root, given, 0.6)
    assert names(root / "data") == ["X_train.csv", "Y_train.csv", "dataset.json", "images.zip"]
    described = storage.read_json(root / "data/dataset.json")
    percent = f"{summary.products / 4:.3g} % of the products, by import --share 0.6"
    assert described == {
        "name": f"{SAMPLE} ({percent})", "share": 0.6, "of_products": 400
    }  # fmt: skip
    assert f"{summary.products} of 400 products in 27 categories, " in str(summary)
    load(root, given)
    assert storage.read_json(root / "data/dataset.json") == {"name": SAMPLE}


def test_a_fault_outside_the_share_is_still_a_fault(root, given, tmp_path):
    faulty = shutil.copytree(given, tmp_path / "faulty")
    labels = (faulty / "Y_train_CVw08PX.csv").read_text().splitlines()
    labels[-1] = labels[-1].split(",")[0] + ",11"
    (faulty / "Y_train_CVw08PX.csv").write_text("\n".join([*labels, ""]))
    with pytest.raises(products.InvalidProductsError, match="unknown prdtypecode"):
        load(root, faulty, 0.3)
    assert is_old(root)


def test_fields_of_the_share_are_as_they_were(root, given, tmp_path):
    """Quotes, line ends within a field, entities, and texts that look like missing values."""
    changed = shutil.copytree(given, tmp_path / "changed")
    path = changed / "X_train_update.csv"
    table = storage.read_csv(path, **products.CSV_FORMAT)
    texts = ['NA "x", y', "a\r\nb", "c\rd", " e&eacute; ", "nan", "-", "'", "é\u2028"]
    table.loc[: len(texts) - 1, "description"] = texts
    table.rename(columns={products.UNNAMED: ""}).to_csv(path, index=False, lineterminator="\r\n")
    load(root, changed, 0.5)
    found = read(root)[0]["description"]
    assert found.loc[: len(texts) - 1].tolist() == [t for i, t in enumerate(texts) if i in found]


def test_row_by_row_splits_are_kept_too(root, given):
    params = (root / "params.yaml").read_text()
    changed = params.replace("keep_duplicates_together: true", "keep_duplicates_together: false")
    (root / "params.yaml").write_text(changed)
    table = products.join(
        *(storage.read_csv(given / name, **products.CSV_FORMAT)
          for name in ("X_train_update.csv", "Y_train_CVw08PX.csv"))
    )  # fmt: skip
    chosen = import_command.choose(table, [""] * len(table), share=0.5)
    for code, own in table.groupby("prdtypecode"):
        count = chosen[own.index].sum()
        assert count == max(round(0.5 * len(own)), min(10, len(own))), code
        assert chosen[own.index[:count]].all()


def test_without_parameters_the_message_names_them(root, given):
    (root / "params.yaml").write_text("seed: 1\n")
    with pytest.raises(importing.DataError, match=r"params.yaml has no entry 'clean'"):
        load(root, given, 0.5)
    assert is_old(root)


@pytest.mark.parametrize("share", ["0", "-0.1", "1.01", "nan", "5%", ""])
def test_a_share_out_of_range_is_refused(root, given, capsys, share):
    with pytest.raises(SystemExit):
        import_command.main([str(given), f"--share={share}"])
    assert "expected above 0, at most 1, such as 0.05" in capsys.readouterr().err
    assert is_old(root)


def test_drops_are_joined_before_the_share_is_chosen(root, given, tmp_path):
    load(root, given, 0.5)
    expected = read(root)[0]
    lines = {name: (given / name).read_text().split("\n")
             for name in ("X_train_update.csv", "Y_train_CVw08PX.csv")}  # fmt: skip
    x = storage.read_csv(given / "X_train_update.csv", **products.CSV_FORMAT)
    y = lines["Y_train_CVw08PX.csv"]
    for number, rows in enumerate((slice(0, 250), slice(250, None))):
        drop = tmp_path / str(number)
        drop.mkdir()
        part = x[rows].rename(columns={products.UNNAMED: ""})
        part.to_csv(drop / "X_train_update.csv", index=False)
        labels = [line for line in y[1:][rows] if line]
        (drop / "Y_train_CVw08PX.csv").write_text("\n".join([y[0], *labels, ""]))
    shutil.copy(given / "images.zip", tmp_path / "0")
    part = shares.Share(0.5, lambda *all_: import_command.choose(*all_, share=0.5))
    paths = [tmp_path / "0", tmp_path / "1"]
    importing.import_data(
        paths, root, allow_missing=["images"], drops=True, share=part, track=track
    )
    assert read(root)[0].equals(expected)


@pytest.mark.slow
def test_the_command_imports_a_share_with_the_pinned_tokenizer(
    tmp_path, monkeypatch, given, capsys
):
    root = make_repository(tmp_path / "repository")
    shutil.copy(ROOT / "params.yaml", root)
    (root / "rakuten/data").mkdir(parents=True)
    shutil.copy(ROOT / "rakuten/data/resources.yaml", root / "rakuten/data")
    monkeypatch.chdir(root)
    assert import_command.main([str(given), "--allow-missing-images", "--share", "0.5"]) == 0
    shown = capsys.readouterr().out
    assert " of 400 products in 27 categories" in shown
    assert "at least 10 products of each category are kept" in shown
    assert not np.any([path.name == "build" for path in root.iterdir()])
