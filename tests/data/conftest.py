import pytest
from challenge_files import (
    GIVEN,
    assert_consistent,
    digest,
    given,
    is_old,
    make_repository,
    track,
    write,
)

from rakuten.data import importing, products


@pytest.fixture
def root(tmp_path):
    """A repository that holds older data."""
    root = make_repository(tmp_path / "repository")
    write(root, {"data/X_train.csv": b"old", "data/images.zip": b"old"})
    track(root)
    return root


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
