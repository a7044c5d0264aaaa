"""What a script needs of requirements.txt: the packages it reaches, and what those need in turn."""

import ast
import re
import sys
from collections.abc import Iterable
from importlib.metadata import packages_distributions
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from rakuten import storage

LIBRARY = Path(__file__).parents[1]
"""The folder of the package `rakuten`."""


def pinned(script: Path, lock: Path) -> list[str]:
    """Select the lines of a lock file that a script cannot do without.

    Args:
        script: A Python file.
        lock: A requirements.txt as `make lock` writes it, where "# via" names who needs a package.

    Returns:
        `name==version`, sorted, as they hold for this Python.

    Raises:
        ValueError: If a package that the script imports is not in the lock file.
    """
    versions, needed_by = _parse(storage.read_text(lock))
    installed = packages_distributions()
    waiting = {
        canonicalize_name(distribution)
        for module in _third_party(_reached(script))
        for distribution in installed.get(module, [module])
    }
    if unknown := sorted(waiting - set(versions)):
        raise ValueError(
            f"{script.name} needs {', '.join(unknown)}, which {lock.name} does not pin: add it to "
            "requirements.in and run 'make lock'"
        )
    found = set()
    while waiting:
        found |= waiting
        waiting = {name for name, users in needed_by.items() if users & found} - found
    return sorted(f"{name}=={versions[name]}" for name in found)


def _parse(text: str) -> tuple[dict[str, str], dict[str, set[str]]]:
    """Read versions and users by name, of the lines that hold for this Python."""
    versions, needed_by, name = {}, {}, None
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


def _reached(script: Path) -> set[Path]:
    """List a script and the files of the library that it imports, directly or through others."""
    waiting, seen = {script}, set()
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
    """List the modules that files import from elsewhere than Python and the library."""
    roots = {names[0] for path in paths for names in _imports(path)}
    return roots - set(sys.stdlib_module_names) - {LIBRARY.name}


def _imports(path: Path) -> list[list[str]]:
    """List the dotted names that a file imports, at its top or within a function."""
    found = []
    for node in ast.walk(ast.parse(storage.read_text(path))):
        if isinstance(node, ast.Import):
            found += [alias.name.split(".") for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            found += [[*node.module.split("."), alias.name] for alias in node.names]
    return found
