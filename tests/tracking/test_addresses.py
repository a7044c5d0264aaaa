"""Addresses of MLflow stores, with and without passwords."""

from pathlib import Path

import pytest
import sqlalchemy

from rakuten.tracking import addresses

ROOT = Path("/srv/rakuten")


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("", "sqlite:////srv/rakuten/mlflow.db"),
        ("sqlite:///mlflow.db", "sqlite:////srv/rakuten/mlflow.db"),
        ("sqlite:///runs/a.db?timeout=5", "sqlite:////srv/rakuten/runs/a.db?timeout=5"),
        ("sqlite:////data/a.db", "sqlite:////data/a.db"),
        ("sqlite:///:memory:", "sqlite:///:memory:"),
        ("mlruns", "file:///srv/rakuten/mlruns"),
        ("./mlruns", "file:///srv/rakuten/mlruns"),
        ("file:mlruns", "file:///srv/rakuten/mlruns"),
        ("/data/mlruns", "file:///data/mlruns"),
        ("file:///data/mlruns", "file:///data/mlruns"),
        ("http://localhost:5000", "http://localhost:5000"),
        ("postgresql+psycopg2://me:x@db/mlflow", "postgresql+psycopg2://me:x@db/mlflow"),
        ("databricks", "databricks"),
    ],
)
def test_a_relative_address_starts_from_the_project(address, expected):
    assert addresses.resolve(address, ROOT) == expected


def test_artifacts_lie_beside_a_sqlite_file():
    assert addresses.artifact_folder("sqlite:////a/b.db?x=1") == Path("/a/mlartifacts")
    assert addresses.artifact_folder("http://localhost:5000") is None
    assert addresses.artifact_folder("sqlite:///:memory:") is None


@pytest.mark.parametrize(
    ("address", "secrets"),
    [
        ("http://me:g3heim@host:5000", ["g3heim"]),
        ("postgresql+psycopg2://me:g3heim@host/mlflow", ["g3heim"]),
        ("http://me:g3%40heim@host:5000", ["g3%40heim", "g3@heim"]),
        ("postgresql://me:g3@heim@host/mlflow", ["g3@heim", "g3%40heim", "heim"]),
        ("postgresql://me:g3/heim@host/mlflow", ["g3/heim", "g3%2Fheim"]),
        ("postgresql://host/mlflow?user=me&password=g3heim", ["g3heim"]),
        ("mysql+pymysql://host/mlflow?user=me&passwd=g3heim", ["g3heim"]),
        (
            "mssql+pyodbc:///?odbc_connect=SERVER%3Da%3BPWD%3Dg3heim&driver=host",
            ["SERVER=a;PWD=g3heim", "SERVER%3Da%3BPWD%3Dg3heim"],
        ),
    ],
)
def test_passwords_are_masked(address, secrets):
    for text in (address, f"connection to '{address}' failed", *secrets):
        masked = addresses.mask(text, address)
        assert "***" in masked
        assert not any(secret in masked for secret in secrets)
    assert "host" in addresses.mask(address, address)


def test_the_password_of_the_environment_is_masked(monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://me:g3heim@host")
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", "t0ken")
    assert addresses.mask("g3heim, t0ken and http://you:other@host") == (
        "***, *** and http://you:***@host"
    )


def test_text_without_a_password_is_unchanged():
    text = "GET http://localhost:5000/api/2.0 failed: time 12:30, mail me@example.org"
    assert addresses.mask(text, "http://localhost:5000") == text


@pytest.mark.parametrize("name", ["a%20b #1", "a?b"])
def test_a_folder_with_characters_of_addresses_holds_its_own_database(tmp_path, name):
    root = tmp_path / name
    root.mkdir()
    address = addresses.resolve("", root)
    engine = sqlalchemy.create_engine(address)
    with engine.begin() as connection:
        connection.execute(sqlalchemy.text("create table t (x integer)"))
    engine.dispose()
    assert (root / "mlflow.db").stat().st_size > 0
    assert addresses.artifact_folder(address) == root / "mlartifacts"
    assert [path.name for path in tmp_path.iterdir()] == [name]
