"""The observers of `pipeline_code.OBSERVERS` change no output: the stages run without them."""

import hashlib

import pytest
from pipeline_code import OBSERVERS, STAGES, import_graph, outputs
from repository import run, share_environment

# Runs a stage with modules that do nothing in the place of the observers.
WITHOUT_OBSERVERS = """
import runpy, sys, types


class Silent:
    '''Accept every call and return nothing but a way through for the items of an iterable.'''

    def __init__(self, items=()):
        self.items = items

    def __call__(self, *arguments, **options):
        return Silent(arguments[0] if arguments else ())

    def __getattr__(self, name):
        return Silent()

    def __enter__(self):
        return self

    def __exit__(self, *error):
        return None

    def __iter__(self):
        return iter(self.items)

    def __format__(self, form):
        return ""


stage, *observers = sys.argv[1:]
for name in observers:
    module = sys.modules[name] = types.ModuleType(name)
    module.__path__ = []
    module.__getattr__ = lambda attribute: Silent()
sys.argv = [stage]
runpy.run_module(f"stages.{stage}", run_name="__main__")
"""


def digests(folder, stage):
    """Hash every file among the outputs of a stage."""
    paths = [folder / path for path in outputs(STAGES[stage])]
    files = [
        f for p in paths for f in ([p] if p.is_file() else sorted(p.rglob("*"))) if f.is_file()
    ]
    return {str(f.relative_to(folder)): hashlib.sha256(f.read_bytes()).hexdigest() for f in files}


@pytest.mark.slow(minutes=4)
def test_outputs_are_the_same_without_the_observers(built_repository, tmp_path):
    folder = tmp_path / "rakuten"
    folder.mkdir()
    copy = "--exclude ./.venv --exclude ./.git --exclude ./.dvc"
    run(f"tar -C '{built_repository}' {copy} -cf - . | tar -xf -", folder)
    share_environment(folder, built_repository)
    modules = sorted(m for m in import_graph(observers=True).modules if m.startswith(OBSERVERS))
    for stage in STAGES:
        if stage == "resources":  # reads only pinned downloads
            continue
        before = digests(folder, stage)
        for path in before:
            (folder / path).unlink()
        run(["python", "-c", WITHOUT_OBSERVERS, stage, *modules], folder)
        assert digests(folder, stage) == before, stage
