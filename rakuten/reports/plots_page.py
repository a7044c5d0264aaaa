"""Fetch the scripts of the page of `dvc plots show`, so that it also works offline.

DVC's own page loads Vega from the web. `.dvc/plots/page.html`, set in `.dvc/config`, loads the
scripts from `build/plots/` first.
"""

import argparse
import hashlib
import sys
import tempfile
from pathlib import Path

from rakuten import storage
from rakuten.data.downloads import Downloads, UnreachableError, tar_folder

SCRIPTS = {
    "vega@5.20.2": "4794d0169cb1f3ebad8117fe98ba5bd652dd725905ec0384e832391dbccb03be",
    "vega-lite@5.2.0": "d73157451b3978015ab31dacd55ff90d986ab8663fc0abed50f97b3cd90002cb",
    "vega-embed@6.18.2": "1ba9826431ddc9805e815ad92acc811c819f2bfd32bda2a128b8c4b5070fab5e",
}
"""npm packages with the SHA-256 of the script in each, in the order in which a page loads them: the
versions of DVC's own page. BSD licence, University of Washington Interactive Data Lab."""

FOLDER = Path("build/plots")


class ScriptError(RuntimeError):
    """A script differs from the pinned one."""


def fetch(package: str, sha256: str) -> None:
    """Write a package's script to `FOLDER`, unless it is there already.

    Args:
        package: Name and version, as npm has them.
        sha256: The hash of the script.

    Raises:
        UnreachableError: If npm cannot serve the package.
        ScriptError: If the script has another hash.
    """
    name = f"{package.partition('@')[0]}.min.js"
    path = FOLDER / name
    if path.exists() and hashlib.sha256(storage.read_bytes(path)).hexdigest() == sha256:
        return
    with tempfile.TemporaryDirectory() as folder:
        archive = Downloads(Path(folder)).read("npm", package)
    script = tar_folder(archive, "package/build")[name]
    received = hashlib.sha256(script).hexdigest()
    if received != sha256:
        raise ScriptError(f"{name} of {package}: expected sha256 {sha256}, received {received}")
    storage.write_bytes(path, script)


def main(arguments: list[str] | None = None) -> int:
    """Run `python -m rakuten plots`."""
    parser = argparse.ArgumentParser(
        prog="python -m rakuten plots",
        description=f"Download the scripts that draw the charts of 'make plots' to {FOLDER}, so "
        "that its page also works offline. 'make plots' runs this itself.",
    )
    parser.parse_args(arguments)
    try:
        for package, sha256 in SCRIPTS.items():
            fetch(package, sha256)
    except (UnreachableError, ScriptError) as error:
        print(f"error: {error}\nThe page will load the scripts from the web.", file=sys.stderr)
        return 1
    return 0
