"""Select the locked packages that scripts need: those they import, and their dependencies."""

import ast
import re
import sys
from collections.abc import Iterable, Sequence
from importlib.metadata import packages_distributions
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from rakuten import storage

LIBRARY = Path(__file__).parents[1]
"""The folder of the package `rakuten`."""


def pinned(scripts: Sequence[Path], lock: Path) -> list[str]:
    """Select the packages of a lock file that scripts need.

    Args:
        scripts: Python files.
        lock: A requirements.txt written by `make lock`, where "# via" names the packages that
            require a package.

    Returns:
        `name==version`, sorted, for the running Python version.

    Raises:
        ValueError: If a package that they import is not in the lock file.
    """
    versions, needed_by = _parse(storage.read_text(lock))
    installed = packages_distributions()
    waiting: set[str] = {
        canonicalize_name(distribution)
        for module in _third_party(_reached(scripts))
        for distribution in installed.get(module, [module])
    }
    if unknown := sorted(waiting - set(versions)):
        names = " and ".join(script.name for script in scripts)
        raise ValueError(
            f"{names} need {', '.join(unknown)}, which {lock.name} does not pin: add it to "
            "requirements/base.in and run 'make lock'"
        )
    selected: set[str] = set()
    while waiting:
        selected |= waiting
        waiting = {name for name, users in needed_by.items() if users & selected} - selected
    return sorted(f"{name}=={versions[name]}" for name in selected)


def _parse(text: str) -> tuple[dict[str, str], dict[str, set[str]]]:
    """Read versions and dependents by name, for the running Python version."""
    versions: dict[str, str] = {}
    needed_by: dict[str, set[str]] = {}
    name: str | None = None
    for line in text.splitlines():
        if line and not line.startswith(("#", " ")):
            requirement = Requirement(line)
            applies = requirement.marker is None or requirement.marker.evaluate()
            name = canonicalize_name(requirement.name) if applies else None
            if name:
                versions[name] = str(requirement.specifier).removeprefix("==")
                needed_by[name] = set()
        elif name and (user := re.fullmatch(r"\s+#\s+(?:via )?([\w.-]+)", line)):
            needed_by[name].add(canonicalize_name(user[1]))
    return versions, needed_by


def _reached(scripts: Iterable[Path]) -> set[Path]:
    """List scripts and the files of the library that they import, directly or indirectly."""
    waiting: set[Path] = set(scripts)
    seen: set[Path] = set()
    while waiting:
        path = waiting.pop()
        seen.add(path)
        for first, *names in _imports(path):
            for depth in range(1, len(names) + 1) if first == LIBRARY.name else ():
                module = LIBRARY.joinpath(*names[:depth])
                files = {module.with_suffix(".py"), module / "__init__.py"}
                waiting |= {file for file in files if file.exists()} - seen
    return seen


def _third_party(paths: Iterable[Path]) -> set[str]:
    """List the imported modules that belong neither to Python nor to the library."""
    roots = {names[0] for path in paths for names in _imports(path)}
    return roots - set(sys.stdlib_module_names) - {LIBRARY.name}


def _imports(path: Path) -> list[list[str]]:
    """List the names that a file imports, at its top or in a function, split at the dots."""
    found = []
    for node in ast.walk(ast.parse(storage.read_text(path))):
        if isinstance(node, ast.Import):
            found += [alias.name.split(".") for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            found += [[*node.module.split("."), alias.name] for alias in node.names]
    return found
