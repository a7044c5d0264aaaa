"""`dvc.yaml`, `stages/`, `params.yaml`, the Makefile and the README held against each other."""

import ast
import re
import subprocess
from pathlib import Path

import pytest
import yaml

from rakuten.tracking.results import MODELS

ROOT = Path(__file__).parents[1]
DVC = yaml.safe_load((ROOT / "dvc.yaml").read_text())
PARAMS = yaml.safe_load((ROOT / "params.yaml").read_text())
STAGES = DVC["stages"]


def file(module):
    """The file of a module of rakuten, None if it is no module: "storage", "tracking.registry".

    A package's own file holds a docstring alone, which a test of its own shows.
    """
    path = (ROOT / "rakuten" / module.replace(".", "/")).with_suffix(".py")
    return path if path.is_file() else None


def imports(path):
    """The rakuten modules that a file imports, at its top or within a function."""
    dotted = set()
    for node in ast.walk(ast.parse(path.read_text())):
        assert not isinstance(node, ast.ImportFrom) or not node.level, f"relative import in {path}"
        if isinstance(node, ast.ImportFrom):
            dotted |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
        elif isinstance(node, ast.Import):
            dotted |= {alias.name for alias in node.names}
    names = {name.removeprefix("rakuten.") for name in dotted if name.startswith("rakuten.")}
    return {name for name in names if file(name)}


def reached(path):
    """The rakuten modules that a file imports, directly or through others."""
    waiting, seen = [path], set()
    while waiting:
        new = imports(waiting.pop()) - seen
        seen |= new
        waiting += [file(name) for name in new]
    return seen


def outs(stage):
    found = [out for kind in ("outs", "metrics", "plots") for out in stage.get(kind, [])]
    return {next(iter(out)) if isinstance(out, dict) else out for out in found}


def read_params_calls(path):
    """The entries of params.yaml that a stage asks for."""
    return {
        argument.value
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("read_params")
        for argument in node.args
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


@pytest.mark.parametrize("name", STAGES)
def test_code_deps_are_exactly_the_modules_reached_by_imports(name):
    script = ROOT / "stages" / f"{name}.py"
    code = {dep for dep in STAGES[name]["deps"] if dep.endswith(".py")}
    used = {file(module).relative_to(ROOT).as_posix() for module in reached(script)}
    assert code == {f"stages/{name}.py"} | used


@pytest.mark.parametrize("name", STAGES)
def test_no_stage_registers_or_promotes(name):
    found = reached(ROOT / "stages" / f"{name}.py")
    assert not {module for module in found if module.startswith("tracking.re")} - {
        "tracking.results"
    }


def test_names_are_told_from_modules():
    found = imports(ROOT / "rakuten" / "tracking" / "registry.py")
    assert {"tracking.runs", "tracking.requirements", "tracking.comparison"} <= found
    assert not {"tracking.runs.Mirror", "tracking.Mirror"} & found
    assert imports(ROOT / "stages" / "evaluate.py") >= {"tracking.runs", "storage"}


@pytest.mark.parametrize("name", STAGES)
def test_params_read_are_exactly_the_params_declared(name):
    assert read_params_calls(ROOT / "stages" / f"{name}.py") == set(STAGES[name].get("params", []))


def test_every_param_belongs_to_a_stage():
    declared = {param for stage in STAGES.values() for param in stage.get("params", [])}
    assert {param.split(".")[0] for param in declared} == set(PARAMS)


@pytest.mark.parametrize("name", STAGES)
def test_files_named_in_a_script_are_declared(name):
    declared = set(STAGES[name]["deps"]) | outs(STAGES[name])
    for path in names_in_code(ROOT / "stages" / f"{name}.py"):
        assert any(f"{path}/".startswith(f"{d}/") or d.startswith(path) for d in declared), (
            f"{name} mentions {path}, which dvc.yaml does not declare"
        )


def test_every_dep_is_code_data_or_the_output_of_a_stage():
    made = {out for stage in STAGES.values() for out in outs(stage)}
    for name, stage in STAGES.items():
        for dep in stage["deps"]:
            known = dep in made or f"{dep}/".startswith("data/") or (ROOT / dep).is_file()
            assert known, f"{name} depends on {dep}, which no stage makes"


def test_outputs_lie_in_build_uncached_ones_in_reports():
    for stage in STAGES.values():
        for kind in ("outs", "metrics", "plots"):
            for out in stage.get(kind, []):
                path, options = next(iter(out.items())) if isinstance(out, dict) else (out, {})
                if options.get("cache", True):
                    assert path.startswith("build/")
                else:
                    assert path.startswith("reports/")
                assert "persist" not in options
        assert "always_changed" not in stage


def test_metrics_are_of_models():
    """Counts per category and language would fill `dvc exp show` with a hundred columns more."""
    for name, stage in STAGES.items():
        if "metrics" in stage:
            assert name in {*MODELS, "evaluate"}


def test_trained_models_depend_on_files_alone():
    """Their key is computed from the digests of files while they train; folders have none."""
    folders = {out for stage in STAGES.values() for out in outs(stage) if not Path(out).suffix}
    for name in MODELS:
        assert not set(STAGES[name]["deps"]) & folders


@pytest.mark.parametrize("name", STAGES)
def test_a_stage_fits_on_a_page(name):
    lines = (ROOT / "stages" / f"{name}.py").read_text().splitlines()
    assert len(lines) <= 50
    tree = ast.parse("\n".join(lines))
    assert not any(isinstance(node, ast.Try | ast.While) for node in ast.walk(tree))


def third_party(path):
    tree = ast.walk(ast.parse(path.read_text()))
    names = set()
    for node in tree:
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module.split(".")[0])
    return names


def test_heavy_libraries_stay_in_their_rooms():
    for path in (ROOT / "rakuten").rglob("*.py"):
        used = third_party(path)
        if used & {"tensorflow", "keras"}:
            assert path.stem in {
                "checkpoints",
                "backbones",
                "determinism",
                "nets",
                "training",
            }, path
        if "onnxruntime" in used:
            assert path.stem in {"encoder", "quantization"}
        if "mlflow" in used:
            assert path.parent.name == "tracking"


def test_packages_hold_a_docstring_alone():
    """They are deps of no stage, so they may hold nothing that a result shows."""
    for path in (ROOT / "rakuten").rglob("__init__.py"):
        body = ast.parse(path.read_text()).body
        assert len(body) == 1, path
        assert isinstance(body[0], ast.Expr), path


def test_what_every_stage_runs_first_only_quiets_tensorflow():
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


def test_each_parameter_has_a_comment():
    for line in (ROOT / "params.yaml").read_text().splitlines():
        if re.match(r"\s*\w+: \S", line):
            assert "# " in line, f"no range and reason: {line}"
