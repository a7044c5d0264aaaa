"""Tests of the limits of the parameters: each is checked by its name when a stage starts."""

import re
import subprocess
import sys

import pytest
from pipeline_code import PARAMS, ROOT

from rakuten import parameters, storage


def leaves(values, name=""):
    if not isinstance(values, dict):
        return {name: values}
    found = {}
    for key, value in values.items():
        found |= leaves(value, f"{name}.{key}" if name else key)
    return found


def documented_ranges():
    """The ends of the ranges in the comments of params.yaml, by the parameter's name."""
    path, found = [], {}
    for line in (ROOT / "params.yaml").read_text().splitlines():
        match = re.match(r"( *)(\w+):(.*)", line)
        if match:
            path = [*path[: len(match[1]) // 2], match[2]]
            ends = re.search(r"# ([0-9.]+?)\.\.([0-9.]*[0-9])", match[3])
            if ends:
                found[".".join(path)] = [
                    storage.parse_yaml(f"x: {end}")["x"] for end in ends.groups()
                ]
    return found


NUMBERS = {name: value for name, value in leaves(PARAMS).items() if isinstance(value, int | float)}


def test_the_values_of_the_project_are_within_the_limits():
    for name, value in PARAMS.items():
        parameters.check(name, value, "params.yaml")


@pytest.mark.parametrize("name", NUMBERS)
def test_every_number_and_switch_has_limits(name):
    for wrong in ("abc", None, [1], float("nan"), -1e9, {}, {"a": 1}):
        with pytest.raises(ValueError, match=rf"^{name} is .*: expected .* in params.yaml"):
            parameters.check(name, wrong, "params.yaml")
    if not isinstance(NUMBERS[name], bool):
        with pytest.raises(ValueError, match=name):
            parameters.check(name, True, "params.yaml")


@pytest.mark.parametrize(("name", "ends"), documented_ranges().items())
def test_the_range_that_params_yaml_describes_is_accepted(name, ends):
    for value in ends:
        parameters.check(name, value, "params.yaml")


def test_ranges_are_found_for_most_numbers():
    assert len(documented_ranges()) > 50


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("text.dropout", "abc", "a number in [0, 1)"),
        ("fusion.first_dropout", 1.0, "a number in [0, 1)"),
        ("evaluate.confidence", 1.5, "a number in (0, 1)"),
        ("evaluate.confidence", 95, "a number in (0, 1)"),
        ("threads", 0, "an integer of at least 1"),
        ("text.hidden_units", 2.5, "an integer of at least 1"),
        ("image.training.learning_rate", 0, "a number above 0"),
        ("text.baselines.linear_svm_c", -1, "a number above 0"),
        ("clean.lemmatize", "yes", "true or false"),
        ("clean.lemmatize", 1, "true or false"),
        ("fusion.training.class_weights", "even", "none or balanced"),
        ("vectorize.max_df", 0, "a number in (0, 1]"),
        ("text_ensemble.folds", 1, "an integer of at least 2"),
        ("extract.size", 7, "an integer of at least 32"),
        ("text", "abc", "a section of several parameters"),
        ("text", None, "a section of several parameters"),
        ("image.training", 5, "a section of several parameters"),
        ("fusion.start", {}, "a section of several parameters"),
        ("text.dropout", {"a": 1}, "a number in [0, 1)"),
    ],
)
def test_a_wrong_value_is_named_with_what_was_expected(tmp_path, name, value, expected):
    path = tmp_path / "params.yaml"
    storage.write_json(path, {name.split(".")[0]: nested(name.split(".")[1:], value)})
    with pytest.raises(ValueError, match=re.escape(f"{name} is {value!r}: expected {expected};")):
        storage.read_params(name.split(".")[0], path=path)


def nested(names, value):
    return {names[0]: nested(names[1:], value)} if names else value


def test_every_section_is_known_as_one():
    for name, value in PARAMS.items():
        for section in sections(value, name):
            with pytest.raises(ValueError, match=rf"^{section} is 5: expected a section"):
                parameters.check(section, 5, "params.yaml")


def sections(values, name):
    if isinstance(values, dict):
        yield name
        for key, value in values.items():
            yield from sections(value, f"{name}.{key}")


@pytest.mark.parametrize("name", ["capitals.share", "encode_text.encoder", "mine"])
def test_other_parameters_have_no_limits(name):
    parameters.check(name, "anything", "params.yaml")


@pytest.mark.parametrize(
    ("stage", "section", "name", "value"),
    [("evaluate", "evaluate", "confidence", 1.5), ("late_fusion", "late_fusion", "bias_l2", "abc")],
)
def test_a_stage_ends_at_once_and_names_the_parameter(tmp_path, stage, section, name, value):
    """There is no input in the folder: the parameter is reported first."""
    params = {**PARAMS, section: {**PARAMS[section], name: value}}
    storage.write_json(tmp_path / "params.yaml", params)
    done = subprocess.run(
        [sys.executable, "-m", f"stages.{stage}"],
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT), "PATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert f"{section}.{name} is {value!r}: expected a number " in done.stderr
