"""Run the whole pipeline on real rows, if they are available beside the repository."""

import json

import pytest
from repository import ROOT, clone, run, share_environment

EXCERPT = ROOT.parent / "shared" / "rakuten_excerpt"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not EXCERPT.is_dir(), reason="no real rows in ../shared/rakuten_excerpt"),
]


@pytest.fixture
def repository(built_repository, tmp_path):
    """A clone that shares the environment and the cache of the built one."""
    folder = clone(tmp_path / "rakuten")
    share_environment(folder, built_repository)
    run(["dvc", "cache", "dir", "--local", str(built_repository / ".dvc/cache")], folder)
    return folder


def rebuild(repository, part, *options):
    """Import a part of the excerpt and rebuild everything on it."""
    command = ["python", "-m", "rakuten", "import", "--name", f"excerpt {part}"]
    run([*command, *options, str(EXCERPT / part)], repository)
    run(["dvc", "repro"], repository)
    assert "up to date" in run(["dvc", "status"], repository)
    return json.loads((repository / "reports/evaluate/models.json").read_text())


@pytest.mark.slow(minutes=4)
def test_products_with_text_and_image(repository):
    models = rebuild(repository, "multimodal")
    (rows,) = {parts["test"]["rows"] for parts in models.values()}
    assert rows == pytest.approx(168, abs=27)  # each category is rounded by itself
    for net in ("text", "image", "fusion"):
        assert models[net]["test"]["accuracy"] > 3 / 27
    assert "excerpt multimodal" in run(["python", "-m", "rakuten", "readme", "show"], repository)


@pytest.mark.slow(minutes=4)
def test_products_with_text_alone(repository):
    models = rebuild(repository, "text_only", "--allow-missing-images")
    assert models["image"]["test"] == dict.fromkeys(models["image"]["test"]) | {"rows": 0}
    assert models["text"]["test"]["rows"] == models["fusion"]["test"]["rows"]
    assert models["text"]["test"]["rows"] == pytest.approx(600, abs=27)
    assert models["text"]["test"]["accuracy"] > 0.4
    assert models["fusion"]["test"]["accuracy"] > 0.4


@pytest.mark.slow(minutes=4)
def test_products_with_an_image_alone(repository):
    models = rebuild(repository, "image_only", "--allow-missing-titles")
    assert models["text"]["test"]["rows"] == 0
    assert models["image"]["test"]["rows"] == models["fusion"]["test"]["rows"] > 70
    assert models["image"]["test"]["accuracy"] > 3 / 27


def test_a_corrupt_image_is_refused_by_name(repository):
    before = (repository / "data.dvc").read_bytes()
    command = f"! python -m rakuten import {EXCERPT / 'multimodal'} {EXCERPT / 'corrupt_images'}"
    assert "image_973610497_product_269246742.jpg" in run(command, repository)
    assert (repository / "data.dvc").read_bytes() == before
