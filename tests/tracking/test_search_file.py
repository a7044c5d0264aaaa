"""The file of a search: every mistake is reported before anything runs."""

import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from pipeline_code import PARAMS
from repository import ROOT

from rakuten import storage
from rakuten.tracking import search_file

DROPOUT = {"fusion.dropout": {"low": 0.1, "high": 0.7}}


def read(tmp_path, name="", **changes):
    declared = {
        "metric": "fusion.validation.log_loss",
        "direction": "minimize",
        "trials": 5,
        "ranges": DROPOUT,
    }
    declared = {k: v for k, v in (declared | changes).items() if v is not None}
    storage.write_json(tmp_path / "dropout.yaml", declared)
    return search_file.read(tmp_path / "dropout.yaml", PARAMS, name)


def test_the_example_of_the_documentation_is_valid():
    found = search_file.read(ROOT / "docs/search.yaml", PARAMS)
    assert found.name == "search"
    assert storage.entry(
        storage.read_json(ROOT / "reports/evaluate/metrics.json"), found.metric, "metrics.json"
    )
    assert found.present["fusion.dropout"] == PARAMS["fusion"]["dropout"]
    assert found.ranges["fusion.training.learning_rate"].log


def test_numbers_are_integers_where_the_parameter_is_one(tmp_path):
    ranges = {
        "fusion.dropout": {"low": 0, "high": 0.5, "step": 0.25},
        "late_fusion.bias_l2": {"low": 1, "high": 100, "log": True},
        "fusion.hidden_units": {"low": 512, "high": 2048, "step": 512},
        "image.scaling": {"choices": ["none", "sqrt_l2"]},
    }
    assert list(read(tmp_path, ranges=ranges).ranges.values()) == [
        FloatDistribution(0, 0.5, step=0.25),
        FloatDistribution(1, 100, log=True),
        IntDistribution(512, 2048, step=512),
        CategoricalDistribution(["none", "sqrt_l2"]),
    ]


def test_name_and_seeds(tmp_path):
    assert (read(tmp_path).name, read(tmp_path).seeds) == ("dropout", ())
    found = read(tmp_path, name="other", seeds=[3, 1])
    assert (found.name, found.seeds) == ("other", (3, 1))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"metric": "fusion.test.log_loss"}, "expected a validation metric"),
        ({"metric": None}, r"has the entries \['direction', 'ranges', 'trials'\]: expected"),
        ({"pruner": "median"}, "has the entries .*'pruner'"),
        ({"direction": "down"}, "direction is 'down': expected minimize or maximize"),
        ({"trials": 0}, "trials is 0: expected an integer of at least 1"),
        ({"seeds": []}, "seeds is .*: expected a list of different integers"),
        ({"seeds": [1, 1]}, "seeds is .*: expected a list of different integers"),
        ({"seeds": [-1]}, "seeds: seed is -1: expected an integer in"),
        ({"name": "a b"}, "name is 'a b': expected letters, .* pass another with --name"),
        ({"ranges": {}}, "expected parameters with their ranges"),
        ({"ranges": {"fusion.dropouts": DROPOUT}}, "no entry 'fusion.dropouts': it has"),
        ({"ranges": {"seed": {"low": 1, "high": 9}}}, "seed cannot be searched: the best seed"),
        ({"ranges": {"split.test_share": {"low": 0.1, "high": 0.2}}}, "cannot be searched: it ch"),
    ],
)
def test_a_wrong_entry_is_named(tmp_path, changes, message):
    with pytest.raises(search_file.SearchError, match=message):
        read(tmp_path, **changes)


@pytest.mark.parametrize(
    ("name", "limits", "message"),
    [
        ("fusion.dropout", [0.1, 0.7], r"expected {low: 0.1, high: 0.7}"),
        ("fusion.dropout", {"low": 0.1}, r"expected {low: 0.1, high: 0.7}"),
        ("fusion.dropout", {"low": 0.1, "high": 0.2, "mu": 0}, r"expected {low: 0.1, high: 0.7}"),
        ("fusion.dropout", {"low": 0.1, "high": 1.0}, r"is 1.0: expected a number in \[0, 1\)"),
        ("fusion.dropout", {"low": 0.7, "high": 0.1}, "low"),
        ("fusion.dropout", {"low": 0, "high": 0.5, "log": True}, "log"),
        ("fusion.hidden_units", {"low": 64.5, "high": 128}, "is 64.5: expected an integer"),
        ("image.scaling", {"choices": ["none", "sqrt"]}, "is 'sqrt': expected none or sqrt_l2"),
        ("fusion", {"choices": [1, 2]}, "expected a section"),
        ("encode_image.crops", {"choices": [["product"]]}, "a list of single values"),
        ("fusion.dropout", {"choices": []}, "choices"),
        ("fusion.dropout", {"low": 0.1, "high": 0.7, "step": "a"}, "expected numbers"),
        ("fusion.dropout", {"low": 0.1, "high": 0.7, "step": True}, "expected numbers"),
        ("fusion.hidden_units", {"low": 64, "high": 128, "step": 0.5}, "an integer as step"),
        ("fusion.hidden_units", {"low": 64, "high": 128, "step": 32.5}, "an integer as step"),
        ("fusion.dropout", {"low": 0.1, "high": 0.7, "log": "yes"}, "expected log: true or false"),
        ("extract.backbone", {"low": 1, "high": 2}, "expected numbers; list other values"),
    ],
)
def test_a_wrong_range_is_named(tmp_path, name, limits, message):
    with pytest.raises(search_file.SearchError, match=f"{name} is .*{message}"):
        read(tmp_path, ranges={name: limits})


@pytest.mark.parametrize("content", ["a: [1", "- 1\n", "", "a: 1\na: 2\n"])
def test_a_file_that_holds_no_entries_is_an_error(tmp_path, content):
    (tmp_path / "search.yaml").write_text(content)
    with pytest.raises(search_file.SearchError, match=r"search\.yaml"):
        search_file.read(tmp_path / "search.yaml", PARAMS)


def test_a_missing_file_is_an_error(tmp_path):
    with pytest.raises(search_file.SearchError, match=r"cannot be read: .*No such file"):
        search_file.read(tmp_path / "absent.yaml", PARAMS)
