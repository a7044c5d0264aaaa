"""Notebooks: committed with the outputs of the current reports, small, read-only."""

import ast
import re
import shutil

import nbformat
import numpy as np
import pandas as pd
import pytest
from repository import ROOT, run

from notebooks import write
from rakuten import storage
from rakuten.evaluation import (
    audit,
    exploration,
    image_robustness,
    inputs,
    near_duplicates,
    robustness,
    tables,
    text_robustness,
)
from rakuten.model_names import named

NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))

IMPORTS = {"json", "pathlib", "numpy", "pandas"}
"""All that a notebook needs to read and show."""

WRITES = re.compile(
    r"^(fit|train|to_(?!frame|numpy)\w+|write\w*|save\w*|open|mkdir|unlink|system)$"
)
"""Names of calls that train, or write files."""

CHART = re.compile(r"!\[[^\]]+\]\(\.\./(reports/charts/\w+\.png)\)")
"""A chart in a text cell: a link, so that the notebook shows the chart of the last `dvc repro`."""

PRODUCTS = "build/clean/products.parquet"
"""The only input of the notebooks that is not in git."""

every_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def read(path):
    return nbformat.read(path, as_version=4)


def sources(path):
    return [cell.source for cell in read(path).cells if cell.cell_type == "code"]


def run_cells(path, folder, monkeypatch, *, skip="nothing"):
    """Run the cells of a notebook in this process, in `folder`.

    Returns the table that each cell shows, and its HTML; None for a cell that contains `skip`,
    which is left out.
    """
    monkeypatch.chdir(folder)
    space, shown = {}, []
    with pd.option_context("display.max_colwidth", 50):  # the notebooks change it
        for source in sources(path):
            if skip in source:
                shown.append(None)
                continue
            *statements, last = ast.parse(source).body
            exec(compile(ast.Module(statements, []), path.name, "exec"), space)
            table = eval(compile(ast.Expression(last.value), path.name, "eval"), space)
            shown.append((table, table._repr_html_()))
    return shown


def write_reports(root, *, has_text=True, has_image=True):
    """Write what the stages would: 54 products, all in the test part."""
    rows = 54
    ids, labels = np.arange(rows), np.arange(rows) % 27
    products = pd.DataFrame(
        {
            "id": ids,
            "designation": ["Un titre"] * rows if has_text else [None] * rows,
            "description": ["<b>gras</b>", None] * 27 if has_text else [None] * rows,
            "prdtypecode": 10,
            "label": labels,
            "has_text": has_text,
            "language": "fr" if has_text else "",
            "tokens": "titre gras" if has_text else "",
            "num_tokens": 2 if has_text else 0,
        }
    )
    facts = dict.fromkeys(["border_share", "mean_red", "mean_green", "mean_blue"], 0.5)
    images = pd.DataFrame({"id": ids, "has_image": has_image, **facts})
    storage.write_table(root / PRODUCTS, products)
    storage.write_json(root / "reports/clean.json", {"dataset": {"name": "test rows"}})
    storage.write_text(root / "dvc.yaml", "stages: {}\n")

    catalogue = exploration.join(products, images)
    features = np.random.default_rng(0).normal(size=(rows, 6)).astype(np.float32)
    arrays = {"ids": ids, "present": np.full(rows, has_image), "features": features}
    explored = exploration.tables(catalogue, arrays, points=40, words=2, seed=0)
    storage.write_json(root / "reports/explore/summary.json", exploration.summary(catalogue))
    for name, table in explored.items():
        storage.write_csv(root / f"reports/explore/tables/{name}.csv", table)

    parts = pd.DataFrame({"id": ids, "part": "test", "group": ids})
    described = inputs.describe(products, parts, np.full(rows, has_image))
    sure = np.eye(27, dtype=np.float32)[np.where(ids < 9, 26 - labels, labels)]  # 9 are wrong
    absent = np.full((rows, 27), np.nan, np.float32)
    scores = {
        "text": sure if has_text else absent,
        "image": sure if has_image else absent,
        "fusion": sure,
    }
    scores |= {named("ensemble", model): values for model, values in scores.items()}
    metrics = tables.measure_parts(described, scores)
    tested = tables.tables(metrics, described, scores, resamples=20, confidence=0.9, seed=0)
    for name, table in tested.items():
        storage.write_csv(root / f"reports/evaluate/tables/{name}.csv", table)
    model = {("text_ensemble", "plain"): lambda name: sure}
    for kind, names in (
        ("text", text_robustness.PERTURBATIONS),
        ("image", image_robustness.PERTURBATIONS),
    ):
        table = robustness.table(kind, labels, model, names)
        storage.write_csv(root / f"reports/robust_{kind}/table.csv", table)
    near = near_duplicates.near_duplicate_texts(
        ids, ["texte"] * rows, labels, parts["part"].to_numpy(str), text_similarity=0.9, threads=1
    )
    table = audit.leakage_table(ids, {"text_ensemble": np.ones(rows)}, near, near)
    storage.write_csv(root / "reports/audit/tables/leakage.csv", table)


def test_the_three_notebooks_are_there():
    assert [path.name for path in NOTEBOOKS] == [
        "01_text.ipynb",
        "02_images.ipynb",
        "03_results.ipynb",
    ]


@every_notebook
def test_committed_executed_and_small(path):
    notebook = read(path)
    nbformat.validate(notebook)
    assert path.stat().st_size < 300_000
    assert "version" not in notebook.metadata.language_info
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    for cell in cells:
        (output,) = cell.outputs
        assert set(output.data) == {"text/html", "text/plain"}
        assert not cell.metadata


@every_notebook
def test_outputs_are_those_of_the_current_reports(path, monkeypatch):
    """Cells that read `build/` are compared where `dvc checkout` or `make repro` has filled it."""
    skip = "nothing" if (ROOT / PRODUCTS).exists() else "build/"
    committed = [cell.outputs[0].data for cell in read(path).cells if cell.cell_type == "code"]
    shown = run_cells(path, ROOT, monkeypatch, skip=skip)
    for output, current in zip(committed, shown, strict=True):
        if current is not None:
            assert output["text/html"] == current[1], f"{path.name} is stale: run 'make readme'"


@every_notebook
def test_each_section_asks_a_question_and_answers_it(path):
    cells = read(path).cells
    text = "\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
    title, *sections, last = re.split(r"^#{1,2} ", text, flags=re.MULTILINE)[1:]
    assert title.partition("\n")[0].endswith("?")
    assert len(sections) >= 3
    assert last.startswith("Summary\n")
    for section in sections:
        assert section.partition("\n")[0].endswith("?")
        assert section.index("**What we see.**") < section.index("**What it means.**")


@every_notebook
def test_every_chart_is_there(path):
    charts = CHART.findall("\n".join(cell.source for cell in read(path).cells))
    assert len(charts) >= 3
    for chart in charts:
        assert (ROOT / chart).exists(), chart


@every_notebook
def test_notebooks_neither_train_nor_write_files(path):
    tree = ast.parse("\n".join(sources(path)))
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            assert {alias.name for alias in node.names} <= IMPORTS
        elif isinstance(node, ast.ImportFrom):
            assert node.module in IMPORTS
        elif isinstance(node, ast.Call):
            called = getattr(node.func, "attr", getattr(node.func, "id", ""))
            assert not WRITES.match(called), called


@pytest.mark.parametrize("call", ["model.fit(x)", "t.to_csv(p)", "open(p)", "p.write_text('')"])
def test_a_call_that_writes_is_detected(call):
    function = ast.parse(call).body[0].value.func
    assert WRITES.match(getattr(function, "attr", getattr(function, "id", "")))


@every_notebook
@pytest.mark.parametrize("missing", ["nothing", "has_text", "has_image"])
def test_runs_on_what_the_stages_write(path, missing, tmp_path, monkeypatch):
    """From the root or from notebooks/, also for products of one modality."""
    write_reports(tmp_path, **({} if missing == "nothing" else {missing: False}))
    folder = tmp_path / "notebooks"
    folder.mkdir()
    before = sorted(tmp_path.rglob("*"))
    shown = run_cells(path, tmp_path if missing == "nothing" else folder, monkeypatch)
    assert all(isinstance(table, pd.DataFrame) for table, _ in shown)
    assert sorted(tmp_path.rglob("*")) == before


def test_results_show_confident_errors_with_their_titles(tmp_path, monkeypatch):
    write_reports(tmp_path)
    shown = run_cells(ROOT / "notebooks/03_results.ipynb", tmp_path, monkeypatch)
    errors = next(table for table, _ in shown if "designation" in table)
    assert sorted(errors.index) == list(range(9))
    assert errors["designation"].tolist() == ["Un titre"] * 9


def test_a_changed_report_makes_the_outputs_stale(tmp_path, monkeypatch):
    notebook = ROOT / "notebooks/02_images.ipynb"
    shutil.copytree(ROOT / "reports/explore", tmp_path / "reports/explore")
    (tmp_path / "dvc.yaml").touch()
    before = run_cells(notebook, tmp_path, monkeypatch)
    path = tmp_path / "reports/explore/tables/images.csv"
    storage.write_csv(path, storage.read_csv(path).assign(border_median=0.25))
    after = run_cells(notebook, tmp_path, monkeypatch)
    assert [old[1] == new[1] for old, new in zip(before, after, strict=True)] == [
        True, False, True, True,
    ]  # fmt: skip


@pytest.mark.slow
@every_notebook
def test_executes_in_a_built_repository(path, built_repository):
    """A real kernel on the reports of a real `dvc repro` shows what running the cells does here."""
    copy = built_repository / "notebooks" / path.name
    executed = write.execute(copy)
    assert executed.cells == write.execute(copy).cells
    unchanged = run(["git", "status", "--porcelain", "reports"], built_repository) == ""
    if unchanged:  # the machine computes the committed figures
        assert executed == read(path)
