"""Execute the notebooks and write their outputs, without what differs between machines and runs."""

import sys
from pathlib import Path

import nbformat
from nbclient import NotebookClient

FOLDER = Path(__file__).parent


def execute(path: Path) -> nbformat.NotebookNode:
    """Execute a notebook in a new kernel.

    Args:
        path: The notebook; its folder is the kernel's working directory.

    Returns:
        The notebook with its outputs, execution counts from 1, and no version of Python or time.

    Raises:
        nbclient.exceptions.CellExecutionError: If a cell fails.
    """
    notebook = nbformat.read(path, as_version=4)
    NotebookClient(
        notebook,
        timeout=None,
        kernel_name="python3",
        record_timing=False,
        resources={"metadata": {"path": str(path.parent)}},
    ).execute()
    notebook.metadata.language_info = {"name": "python"}
    return notebook


def main() -> int:
    """Write the outputs of all notebooks in the folder."""
    for path in sorted(FOLDER.glob("*.ipynb")):
        text = nbformat.writes(execute(path)) + "\n"
        changed = text != path.read_text(encoding="utf-8")
        if changed:
            path.write_text(text, encoding="utf-8")
        print(f"notebooks/{path.name}: {'written' if changed else 'up to date'}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
