"""Notebooks: committed without outputs, read-only, consistent with what the stages write."""

import ast
import base64
import json
import re

import nbformat
import numpy as np
import pandas as pd
import pytest
from nbclient import NotebookClient
from repository import ROOT

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

IMPORTS = {"json", "pathlib", "numpy", "pandas", "IPython.display"}
"""All that a notebook needs to read and show."""

WRITES = re.compile(
    r"^(fit|train|to_(?!frame|numpy)\w+|write\w*|save\w*|open|mkdir|unlink|system)$"
)
"""Names of calls that train, or write files."""

CHARTS = [
    "balance",
    "missing",
    "lengths",
    "languages",
    "borders",
    "colours",
    "projection",
    "comparison",
    "categories",
    "curves",
    "calibration",
    "confusion_late_fusion",
]
"""The charts that the notebooks show."""

DOT = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)  # a PNG of one pixel

every_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def read(path):
    return nbformat.read(path, as_version=4)


def sources(path):
    return [cell.source for cell in read(path).cells if cell.cell_type == "code"]


def execute(path, folder):
    """Run a notebook in a kernel that starts in `folder`; returns it with its outputs."""
    notebook = read(path)
    resources = {"metadata": {"path": str(folder)}}
    NotebookClient(notebook, timeout=None, kernel_name="python3", resources=resources).execute()
    return notebook


def run_cells(path, folder, monkeypatch):
    """Run the cells of a notebook in this process, in `folder`; returns the cells' last values."""
    monkeypatch.chdir(folder)
    space, shown = {}, []
    for source in sources(path):
        *statements, last = ast.parse(source).body
        exec(compile(ast.Module(statements, []), path.name, "exec"), space)
        if isinstance(last, ast.Expr):
            shown.append(eval(compile(ast.Expression(last.value), path.name, "eval"), space))
        else:
            exec(compile(ast.Module([last], []), path.name, "exec"), space)
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
    box = dict.fromkeys(["left", "top", "right", "bottom"], 1)
    facts = dict.fromkeys(["border_share", "mean_red", "mean_green", "mean_blue"], 0.5)
    images = pd.DataFrame({"id": ids, "has_image": has_image, **box, **facts})
    storage.write_table(root / "build/clean/products.parquet", products)
    storage.write_table(root / "build/extract/images.parquet", images)
    storage.write_json(root / "reports/clean.json", {"dataset": {"name": "test rows"}})
    storage.write_json(
        root / "build/timings/text.json",
        {"fit_seconds": 3.0, "measured_on": {"build/text/weights.npz": "0"}},
    )
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
    for name in CHARTS:
        storage.write_bytes(root / "reports/charts" / f"{name}.png", DOT)


def test_the_three_notebooks_are_there():
    assert [path.name for path in NOTEBOOKS] == [
        "01_text.ipynb",
        "02_images.ipynb",
        "03_results.ipynb",
    ]


@every_notebook
def test_committed_without_outputs(path):
    notebook = read(path)
    nbformat.validate(notebook)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            assert cell.outputs == []
            assert cell.execution_count is None
    assert notebook.metadata.kernelspec.name == "python3"
    assert "version" not in notebook.metadata.language_info


@every_notebook
def test_has_sections_and_conclusions(path):
    cells = read(path).cells
    assert cells[0].source.startswith("# ")
    assert cells[-1].cell_type == "markdown"
    text = "\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
    assert text.count("\n## ") >= 4
    assert "Consequences" in text or "Conclusions" in text


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
    assert sum(isinstance(value, pd.DataFrame) for value in shown) >= 3
    assert sorted(tmp_path.rglob("*")) == before


def test_results_show_confident_errors_with_their_titles(tmp_path, monkeypatch):
    write_reports(tmp_path)
    shown = run_cells(ROOT / "notebooks/03_results.ipynb", tmp_path, monkeypatch)
    errors = next(v for v in shown if isinstance(v, pd.DataFrame) and "designation" in v)
    assert sorted(errors["id"]) == list(range(9))
    assert errors["designation"].tolist() == ["Un titre"] * 9


@pytest.mark.slow
@every_notebook
@pytest.mark.parametrize("folder", [".", "notebooks"])
def test_runs_in_a_built_repository(path, folder, built_repository):
    """A real kernel on the reports of a real `dvc repro`."""
    notebook = execute(built_repository / "notebooks" / path.name, built_repository / folder)
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    kinds = json.dumps([list(output.get("data", {})) for output in outputs])
    assert "image/png" in kinds
    assert "text/html" in kinds
    assert not any(output.output_type == "error" for output in outputs)
