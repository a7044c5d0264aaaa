"""Fetch what the page of `dvc plots show` is drawn with: `python -m rakuten.reports.plots_page`.

DVC's own page loads Vega from the web. `.dvc/plots/page.html`, which `.dvc/config` names in its
place, takes the scripts that lie in `build/plots/` and falls back on the web.
"""

import argparse
import hashlib
import io
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

from rakuten import storage

SCRIPTS = {
    "vega@5.20.2": "4794d0169cb1f3ebad8117fe98ba5bd652dd725905ec0384e832391dbccb03be",
    "vega-lite@5.2.0": "d73157451b3978015ab31dacd55ff90d986ab8663fc0abed50f97b3cd90002cb",
    "vega-embed@6.18.2": "1ba9826431ddc9805e815ad92acc811c819f2bfd32bda2a128b8c4b5070fab5e",
}
"""npm packages in the order in which a page loads them, with the SHA-256 of the script in each: the
versions that DVC's own page names. BSD licence, University of Washington Interactive Data Lab."""

FOLDER = Path("build/plots")


class ScriptError(RuntimeError):
    """A script could not be had, or is not what was pinned."""


def fetch(package: str, sha256: str) -> None:
    """Write a package's script to `FOLDER`, unless it is there.

    Args:
        package: Name and version, as npm has them.
        sha256: The hash of the script.

    Raises:
        ScriptError: If npm cannot serve the package, or the script is another one.
    """
    name = f"{package.partition('@')[0]}.min.js"
    path = FOLDER / name
    if path.exists() and _hash(storage.read_bytes(path)) == sha256:
        return
    with tarfile.open(fileobj=io.BytesIO(_packed(package))) as archive:
        script = archive.extractfile(f"package/build/{name}").read()
    if _hash(script) != sha256:
        raise ScriptError(
            f"{name} of {package}: expected sha256 {sha256}, received {_hash(script)}"
        )
    storage.write_bytes(path, script)


def _packed(package: str) -> bytes:
    """Read a package's tarball through npm, from whatever registry it is set up for."""
    npm = shutil.which("npm")
    if npm is None:
        raise ScriptError(f"{package}: npm is not installed, it comes with Node.js")
    with tempfile.TemporaryDirectory() as folder:
        command = [npm, "pack", "--ignore-scripts", "--pack-destination", folder]
        done = subprocess.run(
            [*command, "--cache", f"{folder}/cache", package],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        files = list(Path(folder).glob("*.tgz"))
        if done.returncode or not files:
            raise ScriptError(f"{package}: npm pack failed: {done.stderr.strip()[-500:]}")
        return files[0].read_bytes()


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def main(arguments: list[str] | None = None) -> int:
    """Run the command line: `python -m rakuten.reports.plots_page`."""
    parser = argparse.ArgumentParser(
        prog="python -m rakuten.reports.plots_page", description=__doc__
    )
    parser.parse_args(arguments)
    try:
        for package, sha256 in SCRIPTS.items():
            fetch(package, sha256)
    except ScriptError as error:
        print(f"{error}\nWithout it the page wants the web.", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
