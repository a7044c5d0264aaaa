"""`dvc.yaml`, `params.yaml` and the modules that each stage reaches through its imports."""

import ast
import functools
from pathlib import Path

import grimp
import yaml

ROOT = Path(__file__).parents[1]
DVC = yaml.safe_load((ROOT / "dvc.yaml").read_text())
PARAMS = yaml.safe_load((ROOT / "params.yaml").read_text())
STAGES = DVC["stages"]

# What only observes a stage: log lines, the hint at a faster precision, progress bars, the check of
# parameters (it returns nothing), the MLflow mirror. No stage depends on it.
# `test_observers.py` runs the stages without it and finds the same outputs.
OBSERVERS = (
    "rakuten.image.processor",
    "rakuten.parameters",
    "rakuten.stage_log",
    "rakuten.tracking",
)

# Sections of params.yaml that commands read, and no stage.
COMMAND_SECTIONS = {"drift"}


@functools.cache
def import_graph(*, observers: bool = False) -> grimp.ImportGraph:
    """Build the import graph of rakuten and the stages, function-level imports included."""
    graph = grimp.build_graph("rakuten", "stages", exclude_type_checking_imports=True)
    if not observers:
        for module in list(graph.modules):
            if module.startswith(OBSERVERS):
                graph.remove_module(module)
    return graph


def file(module: str) -> str:
    """Name the file of a module: "stages/text.py"."""
    path = module.replace(".", "/")
    return f"{path}/__init__.py" if (ROOT / path).is_dir() else f"{path}.py"


def reached(stage: str, *, observers: bool = False) -> set[str]:
    """Name the modules that a stage's script imports, directly or through others."""
    graph = import_graph(observers=observers)
    return graph.find_upstream_modules(f"stages.{stage}")


def code_of(stage: str) -> set[str]:
    """Name the files of code that a stage depends on; packages hold a docstring alone."""
    files = {file(module) for module in {f"stages.{stage}"} | reached(stage)}
    return {name for name in files if not name.endswith("__init__.py")}


def outputs(stage: dict) -> dict[str, dict]:
    """Map the outputs of a stage of dvc.yaml to their options."""
    found = [out for kind in ("outs", "metrics", "plots") for out in stage.get(kind, [])]
    return {k: v for out in found for k, v in (out if isinstance(out, dict) else {out: {}}).items()}


def read_params_calls(stage: str) -> set[str]:
    """List the entries of params.yaml that a stage's script asks for."""
    tree = ast.parse((ROOT / "stages" / f"{stage}.py").read_text())
    return {
        argument.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("read_params")
        for argument in node.args
        if isinstance(argument, ast.Constant)
    }
