"""Run the recipes of docs/extending.md as written. Slow: each takes minutes."""

import os
import re
import sys

import pandas as pd
import pytest
from mlflow_store import runs
from repository import ROOT, clone, run, share_environment

DOCUMENT = (ROOT / "docs/extending.md").read_text()

BLOCK = re.compile(
    r"(?:New file `(?P<new>[^`]+)`:|At the end of `(?P<end>[^`]+)`:"
    r"|In `(?P<file>[^`]+)`, above the line `(?P<line>[^`]+)`)\n\n```\w+\n(?P<text>.*?)```\n",
    re.DOTALL,
)


def recipe(title):
    return DOCUMENT.split(f"\n## {title}\n")[1].split("\n## ")[0]


def follow(text, folder):
    """Apply a recipe's blocks, in their order; return the commands that end it."""
    for block in BLOCK.finditer(text):
        path = folder / (block["new"] or block["end"] or block["file"])
        if block["new"]:
            assert not path.exists(), f"{path} is there already"
            path.write_text(block["text"])
            continue
        lines = path.read_text().splitlines(keepends=True)
        if block["end"]:
            lines.append(block["text"])
        else:
            assert lines.count(f"{block['line']}\n") == 1, block["line"]
            lines.insert(lines.index(f"{block['line']}\n"), block["text"])
        path.write_text("".join(lines))
    (commands,) = re.findall(r"```bash\n(.*?)```", text, re.DOTALL)
    return commands.splitlines()


@pytest.mark.parametrize("title", ["Add a stage", "Add a model"])
def test_every_block_says_where_it_belongs(title, tmp_path):
    """Quick: the lines that a recipe names are there, and no block is left over."""
    text = recipe(title)
    assert len(re.findall(r"^```\w", text, re.MULTILINE)) == len(BLOCK.findall(text)) + 1
    for block in BLOCK.finditer(text):
        if block["line"]:
            lines = (ROOT / block["file"]).read_text().splitlines()
            assert lines.count(block["line"]) == 1, block["line"]
        if block["new"]:
            assert not (ROOT / block["new"]).exists()
            compile(block["text"], block["new"], "exec")


@pytest.fixture
def repository(built_repository, tmp_path):
    """A clone of the project that takes what was built from the built repository's cache."""
    folder = clone(tmp_path / "rakuten")
    share_environment(folder, built_repository)
    run(["dvc", "cache", "dir", "--local", str(built_repository / ".dvc/cache")], folder)
    built = f"'{built_repository}'"
    run(f"rm -r reports && cp -r {built}/reports {built}/dvc.lock .", folder)
    run("git add -A && git commit --quiet --allow-empty -m 'as built on this machine'", folder)
    run("dvc checkout --quiet", folder)
    return folder


def carry_out(title, folder):
    """Follow a recipe and run its commands; return the output of DVC."""
    printed = ""
    for command in follow(recipe(title), folder):
        if command.startswith("python -m pytest"):  # the environment of a build has no pytest
            command = command.replace("python", sys.executable, 1)
            run(command, folder, PATH=os.environ["PATH"])
        elif command == "make readme":  # without its installation, which is shared, and notebooks
            for command in ("readme", "cards"):
                run(f"python -m rakuten {command} write", folder)
        else:
            printed += run(command, folder)
    return printed


@pytest.mark.slow
def test_a_stage_is_added_by_the_recipe(repository):
    printed = carry_out("Add a stage", repository)
    assert re.findall(r"Running stage '(\w+)'", printed) == ["capitals"]
    table = pd.read_csv(repository / "reports/capitals/table.csv")
    assert len(table) == 27
    assert 0 < table["capitals"].sum() < table["titles"].sum()
    assert "clean --> capitals" in (repository / "docs/pipeline.md").read_text()
    assert "up to date" in run(["dvc", "repro"], repository)


@pytest.mark.slow(minutes=2)
def test_a_model_is_added_by_the_recipe(repository):
    printed = carry_out("Add a model", repository)
    ran = set(re.findall(r"Running stage '(\w+)'", printed))
    cached = set(re.findall(r"Stage '(\w+)' is cached", printed))  # where the recipe ran before
    assert {"text_neighbours", "evaluate"} <= ran | cached
    assert not {"extract", "encode_text", "encode_image", "text_ensemble", "image_ensemble"} & ran
    table = pd.read_csv(repository / "reports/evaluate/tables/comparison.csv", index_col="model")
    assert 0.3 < table["accuracy"]["text_neighbours"] < table["accuracy"]["late_fusion"]
    assert "Neighbours on text" in (repository / "README.md").read_text()
    assert "Neighbours on text" in (repository / "docs/model_card.md").read_text()
    run("python -m rakuten sync", repository)
    assert "Neighbours on text" in [found.info.run_name for found in runs(repository)]
