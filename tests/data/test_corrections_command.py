"""`python -m rakuten corrections`, and an import of what it has written."""

import pandas as pd
import pytest
from challenge_files import GIVEN, X, Y
from repository import run

from rakuten import storage
from rakuten.category_names import category
from rakuten.data import corrections_command

SUSPECT = {"id": [3, 0], "given": [40, 10], "suggested": [2905, 2403],
           "probability_suggested": [0.99, 0.9]}  # fmt: skip


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A repository with data and two suspect labels."""
    monkeypatch.chdir(tmp_path)
    storage.write_bytes("data/X_train.csv", GIVEN[X])
    storage.write_bytes("data/Y_train.csv", GIVEN[Y])
    storage.write_csv(corrections_command.SUSPECTS, pd.DataFrame(SUSPECT))
    return tmp_path


def fill(path, **corrected):
    """Fill in the file as a reviewer does with a spreadsheet that writes semicolons."""
    rows = pd.read_csv(path, dtype=str, encoding="utf-8-sig")
    rows["corrected"] = [corrected.get(f"id{id_}", "") for id_ in rows["id"]]
    rows.to_csv(path, index=False, sep=";", encoding="utf-8-sig")


def test_suspects_are_exported_reviewed_and_checked(folder, capsys):
    assert corrections_command.main(["export"]) == 0
    path = folder / "corrections" / "corrections_suspects.csv"
    assert f"2 suspect labels written to {path.relative_to(folder)}: " in capsys.readouterr().out
    written = pd.read_csv(path, encoding="utf-8-sig")
    assert tuple(written) == corrections_command.COLUMNS
    first = written.iloc[0]
    assert (first["id"], first["productid"], first["probability"]) == (3, 4200872201, 0.99)
    assert first["designation"] == 'Titre n° 1, "été"'
    assert (first["given_name"], first["suggested_name"]) == (
        category(40, "fr"),
        category(2905, "fr"),
    )
    assert written["corrected"].isna().all()

    assert corrections_command.main(["check", str(path)]) == 0
    assert capsys.readouterr().out == "reviewed products: 0, labels that would change: 0\n"
    fill(path, id3="2905", id0="10")
    assert corrections_command.main(["check", str(path)]) == 0
    assert capsys.readouterr().out == "reviewed products: 2, labels that would change: 1\n"
    assert corrections_command.main(["export"]) == 1
    assert "exists: name another file, or move it elsewhere" in capsys.readouterr().err


def test_an_interrupted_export_leaves_no_file(folder, monkeypatch):
    def interrupt(descriptor):
        raise KeyboardInterrupt

    monkeypatch.setattr("os.fsync", interrupt)  # the file is written, but not yet complete
    with pytest.raises(KeyboardInterrupt):
        corrections_command.main(["export"])
    assert not list((folder / "corrections").iterdir())


def test_every_fault_of_the_files_is_listed(folder, capsys):
    (folder / "a.csv").write_text("id,given,corrected\n0,10,1\n9,100,40\n")
    (folder / "b.csv").write_text("id,given,corrected\n7,10,40\n")
    assert corrections_command.main(["check", "a.csv", "b.csv"]) == 1
    shown = capsys.readouterr().err
    assert "rows of a.csv with an unknown corrected code (1): id 0 has '1': " in shown
    assert "rows of a.csv with an unknown given code (1): id 9 has '100': " in shown
    assert "ids of corrections that Y_train.csv does not have (1): 7: " in shown


@pytest.mark.parametrize("changes", [{"id": [3, 1]}, {"given": [50, 10]}])
def test_suspects_of_other_data_are_refused(folder, capsys, changes):
    storage.write_csv(corrections_command.SUSPECTS, pd.DataFrame(SUSPECT | changes))
    assert corrections_command.main(["export"]) == 1
    shown = capsys.readouterr().err
    assert "was made from other data: 1 of 2 suspects" in shown
    assert not (folder / "corrections").exists()


@pytest.mark.slow(minutes=1)
def test_corrected_suspects_are_imported_and_keep_their_part(experiments_repository):
    """Export, review, import and split in a built repository, with DVC."""
    folder = experiments_repository
    before = storage.read_table(folder / "build/split/parts.parquet")
    run("python -m rakuten corrections export", folder)
    path = folder / "corrections/corrections_suspects.csv"
    suspects = pd.read_csv(path, encoding="utf-8-sig")
    fill(path, **{f"id{row.id}": str(row.suggested) for row in suspects.itertuples()})
    shown = run("python -m rakuten import --drops data corrections", folder)
    assert f"corrected labels: {len(suspects)}\n" in shown
    run("dvc repro split", folder)
    products = storage.read_table(folder / "build/clean/products.parquet").set_index("id")
    assert products.loc[suspects["id"], "prdtypecode"].tolist() == suspects["suggested"].tolist()
    assert storage.read_table(folder / "build/split/parts.parquet").equals(before)
    dataset = storage.read_json(folder / "reports/clean.json")["dataset"]
    assert dataset == {"name": "synthetic sample", "relabelled": len(suspects)}
    run("python -m rakuten cards write", folder)
    line = f"Labels corrected by reviewers: {len(suspects)} products."
    assert line in (folder / "docs/data_card.md").read_text()
