import pytest
import yaml

from rakuten import storage
from rakuten.tracking import sweep

DECLARED = {
    "target": "evaluate",
    "metric": "image.validation.accuracy",
    "higher_is_better": True,
    "grid": {"image.dropout": [0.1, 0.2]},
}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "params.yaml").write_text("seed: 1\nimage:\n  dropout: 0.5\n")
    _, _, metrics = found("built", 0.5)
    storage.write_json(tmp_path / sweep.METRICS, metrics)
    return tmp_path


def declare(folder, **changes):
    entries = {k: v for k, v in {**DECLARED, **changes}.items() if v is not None}
    (folder / "sweep.yaml").write_text(yaml.safe_dump(entries))
    return "sweep.yaml"


def test_a_declared_sweep_is_read(folder):
    assert sweep.read(declare(folder)) == DECLARED


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"metric": None}, "metric is missing"),
        ({"metric": "image.test.accuracy"}, "no entry 'image.test.accuracy': it has validation"),
        ({"more": 1}, "more is unknown"),
        ({"higher_is_better": "yes"}, "higher_is_better is 'yes', expected bool"),
        ({"grid": {"image.dropout": 0.1}}, "image.dropout is 0.1, expected a list"),
        ({"grid": {"image.dropout": []}}, "image.dropout is \\[\\], expected a list"),
        ({"grid": {"image.dropuot": [0.1]}}, "no entry 'image.dropuot': it has dropout"),
    ],
)
def test_a_faulty_sweep_is_refused_before_anything_is_queued(folder, capsys, changes, message):
    path = declare(folder, **changes)
    with pytest.raises(ValueError, match=message):
        sweep.read(path)
    assert sweep.main([path]) == 2
    assert "cannot be run" in capsys.readouterr().out


def test_every_combination_once():
    assert sweep.combinations({"a": [1, 2], "b": [3, 4]}) == [
        {"a": 1, "b": 3},
        {"a": 1, "b": 4},
        {"a": 2, "b": 3},
        {"a": 2, "b": 4},
    ]


def found(name, value):
    return name, {"x": name}, {"image": {"validation": {"accuracy": value}}}


@pytest.mark.parametrize(("higher", "order"), [(True, ["b", "d", "a"]), (False, ["a", "b", "d"])])
def test_the_best_comes_first_and_the_unmeasured_not_at_all(higher, order):
    results = [found("d", 0.5), found("a", 0.1), found("b", 0.5), found("c", None)]
    ranked = sweep.rank(results, "image.validation.accuracy", higher_is_better=higher)
    assert [name for _, name, _ in ranked] == order


def test_a_metric_that_does_not_exist_is_named():
    with pytest.raises(KeyError, match=r"no entry 'image\.validation\.acuracy'"):
        sweep.rank([found("a", 0.1)], "image.validation.acuracy", higher_is_better=True)


def test_the_sweep_of_the_project_can_be_run():
    declared = sweep.read("sweep.yaml")
    assert len(sweep.combinations(declared["grid"])) >= 4
