import re
from itertools import pairwise

import pytest
import yaml
from conftest import ROOT
from test_pipeline import STAGES

from rakuten.reports import dag

LINE = {"a": {"outs": ["build/a"]}, "b": {"deps": ["build/a"], "outs": ["build/b/outputs.npz"]}}


def test_the_picture_is_that_of_the_pipeline(monkeypatch, capsys):
    monkeypatch.chdir(ROOT)
    assert dag.main(["check"]) == 0, capsys.readouterr().out


def test_a_new_stage_makes_the_picture_stale(monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "dvc.yaml").write_text(yaml.safe_dump({"stages": LINE}))
    dag.main(["write"])
    assert dag.main(["check"]) == 0
    more = LINE | {"c": {"deps": ["build/b/outputs.npz"], "outs": ["reports/c.json"]}}
    (tmp_path / "dvc.yaml").write_text(yaml.safe_dump({"stages": more}))
    assert dag.main(["check"]) == 1
    assert "make readme" in capsys.readouterr().out


def test_kinds_and_ways_come_from_outs_and_deps():
    stages = LINE | {
        "c": {
            "deps": ["build/b/outputs.npz", "build/a/table.csv", "data/x.csv"],
            "metrics": [{"reports/c.json": {"cache": False}}],
        }
    }
    kinds, edges = dag.graph(stages)
    assert kinds == {"data.dvc": "data", "a": "prepare", "b": "model", "c": "report"}
    assert edges == {("a", "b"), ("b", "c"), ("data.dvc", "c")}  # a to c is implied


def test_every_stage_is_there_and_every_way_goes_to_the_right():
    kinds, edges = dag.graph(STAGES)
    assert set(kinds) == {"data.dvc", *STAGES}
    order = dag.layers(list(kinds), edges)
    depth = {node: number for number, nodes in enumerate(order) for node in nodes}
    assert all(depth[a] < depth[b] for a, b in edges)
    assert all(len(set(nodes)) == len(nodes) for nodes in order)


@pytest.fixture
def boxes():
    text = dag.draw(*dag.graph(STAGES))
    found = re.findall(r'<rect x="([\d.]+)" y="([\d.]+)" width="116".*?>([\w.]+)</text>', text)
    return {name: (float(x), float(y)) for x, y, name in found}


def test_no_boxes_overlap_and_names_fit(boxes):
    assert set(boxes) == {"data.dvc", *STAGES}
    columns = {}
    for name, (x, y) in boxes.items():
        columns.setdefault(x, []).append(y)
        assert 7.5 * len(name) < dag.WIDTH, name
    for rows in columns.values():
        assert all(below - above >= dag.HEIGHT for above, below in pairwise(sorted(rows)))


def test_no_stage_reaches_the_picture():
    from test_pipeline import reached

    for name in STAGES:
        assert "dag" not in reached(ROOT / "stages" / f"{name}.py")
