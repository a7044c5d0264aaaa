"""`dvc.yaml`, `stages/`, `params.yaml`, the Makefile and the README agree."""

import ast
import re
import subprocess

import pytest
import yaml
from dvc.config import Config
from dvc.utils.hydra import apply_overrides
from pipeline_code import (
    COMMAND_SECTIONS,
    DVC,
    OBSERVERS,
    PARAMS,
    ROOT,
    STAGES,
    code_of,
    outputs,
    reached,
    read_params_calls,
)

from rakuten.model_names import BY_STAGE

IMAGE_STAGES = {"extract", "encode_image", "image", "image_ensemble", "robust_image"}
TEXT_STAGES = {"clean", "vectorize", "encode_text", "text", "text_ensemble", "robust_text"}
COMPUTING = {*BY_STAGE, "resources", "clean", "split", "vectorize", "extract"} | {
    "encode_text",
    "encode_image",
    "refit",
    "audit",
    "robust_text",
    "robust_image",
}


def names_in_code(path):
    """The literal paths below build/, data/ and reports/ that a script mentions."""
    return {
        node.value
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
        if re.fullmatch(r"(build|data|reports)/[\w./-]+", node.value)
    }


def test_every_stage_is_a_script_and_every_script_a_stage():
    scripts = {path.stem for path in (ROOT / "stages").glob("*.py")} - {"__init__"}
    assert set(STAGES) == scripts
    for name, stage in STAGES.items():
        assert stage["cmd"] == f"python -m stages.{name}"


def test_the_lock_has_no_stages_of_the_past():
    assert set(yaml.safe_load((ROOT / "dvc.lock").read_text())["stages"]) <= set(STAGES)


@pytest.mark.parametrize("name", STAGES)
def test_code_deps_are_exactly_the_modules_reached_by_imports(name):
    declared = {dep for dep in STAGES[name]["deps"] if dep.endswith(".py")}
    missing, unused = sorted(code_of(name) - declared), sorted(declared - code_of(name))
    assert not missing + unused, f"deps of {name} in dvc.yaml: add {missing}, remove {unused}"


def test_no_dep_is_listed_twice():
    for name, stage in STAGES.items():
        assert len(set(stage["deps"])) == len(stage["deps"]), name


def test_stages_of_one_modality_do_not_depend_on_code_of_the_other():
    for name in TEXT_STAGES:
        assert not {dep for dep in code_of(name) if "image" in dep}, name
    for name in IMAGE_STAGES:
        assert not {dep for dep in code_of(name) if "text" in dep}, name


@pytest.mark.parametrize("name", sorted(COMPUTING))
def test_wording_and_charts_are_no_deps_of_what_computes(name):
    """A changed title, colour or sentence reruns no training and no robustness measurement."""
    wording = {"rakuten/model_names.py", "rakuten/category_names.py"}
    assert not code_of(name) & wording
    assert not {dep for dep in code_of(name) if dep.startswith("rakuten/reports/")}


@pytest.mark.parametrize("name", STAGES)
def test_no_stage_registers_or_promotes_a_model(name):
    assert "rakuten.tracking.registry" not in reached(name, observers=True)


def test_every_observer_is_a_module():
    for name in OBSERVERS:
        path = ROOT / name.replace(".", "/")
        assert path.is_dir() or path.with_suffix(".py").is_file()


@pytest.mark.parametrize("name", STAGES)
def test_params_read_are_exactly_the_params_declared(name):
    assert read_params_calls(name) == set(STAGES[name].get("params", []))


def test_every_param_belongs_to_a_stage_or_a_command():
    declared = {param for stage in STAGES.values() for param in stage.get("params", [])}
    assert {param.split(".")[0] for param in declared} == set(PARAMS) - COMMAND_SECTIONS
    assert set(PARAMS) >= COMMAND_SECTIONS


@pytest.mark.parametrize("name", STAGES)
def test_files_named_in_a_script_are_declared(name):
    declared = set(STAGES[name]["deps"]) | set(outputs(STAGES[name]))
    for path in names_in_code(ROOT / "stages" / f"{name}.py"):
        assert any(f"{path}/".startswith(f"{d}/") or d.startswith(path) for d in declared), (
            f"{name} mentions {path}, which dvc.yaml does not declare"
        )


def test_every_dep_is_code_data_or_the_output_of_a_stage():
    made = {out for stage in STAGES.values() for out in outputs(stage)}
    for name, stage in STAGES.items():
        for dep in stage["deps"]:
            known = dep in made or f"{dep}/".startswith("data/") or (ROOT / dep).is_file()
            assert known, f"{name} depends on {dep}, which no stage makes"


def test_large_outputs_lie_in_build_and_reports_are_kept_by_git():
    for stage in STAGES.values():
        for path, options in outputs(stage).items():
            assert path.startswith("build/" if options.get("cache", True) else "reports/")


def test_every_stage_has_a_run_cache():
    """DVC keeps none for a stage that has an uncached entry in `outs`, persists or always runs."""
    for name, stage in STAGES.items():
        assert "always_changed" not in stage
        for path, options in outputs(stage).items():
            assert "persist" not in options, path
        uncached = [out for out in stage.get("outs", []) if isinstance(out, dict)]
        assert not uncached, f"{name}: declare {uncached} as metrics or plots"


def test_the_charts_of_make_plots_are_those_that_dvc_yaml_defines():
    (command,) = re.findall(
        r"^\tdvc plots show (.+)$", (ROOT / "Makefile").read_text(), re.MULTILINE
    )
    named = {next(iter(chart)).partition("/")[0] for chart in DVC["plots"]}
    assert named == {target for target in command.split() if "/" not in target}
    drawn = {path for stage in STAGES.values() for path in outputs(stage)}
    for target in command.split():
        assert "/" not in target or any(target.startswith(path) for path in drawn), target


def test_dvc_yaml_is_read_from_top_to_bottom():
    """A stage comes after those whose outputs it reads."""
    made = set()
    for name, stage in STAGES.items():
        later = {path for other in STAGES.values() for path in outputs(other)} - made
        assert not later & set(stage["deps"]), name
        made |= set(outputs(stage))


def test_only_the_evaluation_declares_metrics():
    """Every entry is a column of `dvc exp show`, where experiments are chosen by validation."""
    declared = {name: stage["metrics"] for name, stage in STAGES.items() if "metrics" in stage}
    assert declared == {"evaluate": [{"reports/evaluate/metrics.json": {"cache": False}}]}


def test_trained_models_depend_on_files_alone():
    """Their key is computed from the digests of files while they train; folders have none."""
    folders = {out for stage in STAGES.values() for out in outputs(stage) if "." not in out}
    for name in BY_STAGE:
        assert not set(STAGES[name]["deps"]) & folders


@pytest.mark.parametrize("name", STAGES)
def test_a_stage_fits_on_a_page(name):
    lines = (ROOT / "stages" / f"{name}.py").read_text().splitlines()
    assert len(lines) <= 50
    tree = ast.parse("\n".join(lines))
    assert not any(isinstance(node, ast.Try | ast.While) for node in ast.walk(tree))


def test_packages_hold_a_docstring_alone():
    """They are deps of no stage, so they may hold nothing that a result shows."""
    for path in (ROOT / "rakuten").rglob("__init__.py"):
        body = ast.parse(path.read_text()).body
        assert len(body) == 1, path
        assert isinstance(body[0], ast.Expr), path


def test_the_stages_package_only_silences_tensorflow():
    """`stages/__init__.py` is no dep of any stage, so it may hold nothing that a result shows."""
    _, *body = ast.parse((ROOT / "stages" / "__init__.py").read_text()).body
    assert [ast.unparse(line) for line in body] == [
        "import os",
        "os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '3')",
    ]


def test_make_help_lists_every_target_in_its_group():
    makefile = (ROOT / "Makefile").read_text()
    (targets,) = re.findall(r"^\.PHONY: help (.+)$", makefile, re.MULTILINE)
    shown = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True).stdout
    assert re.findall(r"^  make (\S+) +\w", shown, re.MULTILINE) == targets.split()
    columns = {len(line) - len(line[7:].split(maxsplit=1)[1]) for line in shown.splitlines()
               if line.startswith("  make ")}  # fmt: skip
    assert len(columns) == 1
    assert re.findall(r"^\w+$", shown, re.MULTILINE) == [
        "Build", "Compare", "Use", "Check", "Maintain",
    ]  # fmt: skip


def test_only_the_sample_is_in_the_embedded_remote():
    """`dvc exp push` would resolve its relative address against `/`, and write there."""
    config = Config.load_file(str(ROOT / ".dvc" / "config"))
    assert "remote" not in config["core"], "a default remote is the user's choice"
    (data,) = yaml.safe_load((ROOT / "data.dvc").read_text())["outs"]
    assert (data["remote"], data["push"]) == ("embedded", False)


def test_each_parameter_has_a_comment():
    for line in (ROOT / "params.yaml").read_text().splitlines():
        if re.match(r"\s*\w+: \S", line):
            assert "# " in line, f"no range and reason: {line}"


def test_an_experiment_rewrites_only_the_value_it_sets(tmp_path):
    """`dvc exp run -S` parses and rewrites the whole file: formatting and comments must survive."""
    text = (ROOT / "params.yaml").read_text()
    path = tmp_path / "params.yaml"
    path.write_text(text)
    apply_overrides(str(path), ["fusion.dropout=0.4"])
    before, after = text.splitlines(), path.read_text().splitlines()
    changed = [pair for pair in zip(before, after, strict=True) if pair[0] != pair[1]]
    assert [(old.split("#")[0].split(), new.split("#")[0].split()) for old, new in changed] == [
        (["dropout:", "0.5"], ["dropout:", "0.4"])
    ]
    apply_overrides(str(path), ["fusion.dropout=0.5"])
    assert path.read_text() == text
