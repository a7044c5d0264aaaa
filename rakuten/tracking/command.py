"""The commands `sync`, `ui`, `register`, `promote` and `champion` of `python -m rakuten`.

Exit status of sync: 0, or 1 if git or MLflow cannot be used. Of the others: 0 if the package is
registered, or is the champion, or Ctrl-C ended the server; 1 if the champion stays; 2 on an error.
"""

import argparse
import logging
import os
import sys
import webbrowser

from rakuten import console
from rakuten.serving import package
from rakuten.tracking import addresses, registry, results, view
from rakuten.tracking.git import GitError
from rakuten.tracking.mirror import SYNC_TIME_LIMIT, Mirror, store_errors
from rakuten.tracking.sync import sync


def main(arguments: list[str]) -> int:
    """Run one of the commands.

    Args:
        arguments: The command's name and its options.

    Returns:
        The exit status.
    """
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    given = _parser().parse_args(arguments)
    try:
        return given.run(Mirror(SYNC_TIME_LIMIT), given)
    except (registry.RegistryError, view.ViewError, console.PortError) as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
    except GitError as error:
        sys.stderr.write(f"error: the repository cannot be read: {error}\n")
        return 1 if given.run is _sync else 2
    except store_errors() as error:
        address = addresses.mask(addresses.configured()) or addresses.DATABASE
        remedy = "Check the address and the server, then run this command again."
        if not addresses.configured() and "database schema" in str(error):
            remedy = (
                "It was written by another version of MLflow: delete mlflow.db and mlartifacts, "
                "then run 'python -m rakuten sync --history'."
            )
        sys.stderr.write(
            f"error: MLflow at {address} cannot be used: {addresses.mask(str(error))}\n{remedy}\n"
        )
        return 1 if given.run is _sync else 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m rakuten", allow_abbrev=False)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for name, run, summary in (
        ("register", _register, "Register build/package as a version of the classifier"),
        ("champion", _champion, "Show which version is the champion"),
    ):
        command = commands.add_parser(name, description=f"{summary}.", allow_abbrev=False)
        command.set_defaults(run=run)
    sync_parser = commands.add_parser(
        "sync",
        description="Add what MLflow lacks: runs of the workspace's models and of the experiments "
        "that started from its commit, the published results, the champion.",
        allow_abbrev=False,
    )
    sync_parser.set_defaults(run=_sync)
    sync_parser.add_argument(
        "--history", action="store_true", help="all commits of all branches and all experiments"
    )
    ui = commands.add_parser(
        "ui",
        description="Open the runs in MLflow's pages. Unless MLFLOW_TRACKING_URI names a server, "
        "start one on this computer; Ctrl-C ends it.",
        allow_abbrev=False,
    )
    ui.set_defaults(run=_ui)
    ui.add_argument("--port", type=int, default=view.PORT, help="default: %(default)s")
    promote = commands.add_parser(
        "promote",
        description="Make a version the champion if it is better than the present one: if the "
        "interval of its gain in weighted F1 lies above 0.",
        epilog="Exit status: 0 if the version is now the champion, 1 if the champion stays, 2 on "
        "an error.",
        allow_abbrev=False,
    )
    promote.set_defaults(run=_promote)
    promote.add_argument(
        "--version", type=int, help="number in the registry (default: that of build/package)"
    )
    either = promote.add_mutually_exclusive_group()
    either.add_argument(
        "--accept", action="store_true", help="promote it whatever the comparison shows"
    )
    either.add_argument(
        "--replace", action="store_true", help="do not compare, for example after new data"
    )
    return parser


def _sync(mirror: Mirror, given: argparse.Namespace) -> int:
    counts = sync(mirror, results.root(), history=given.history)
    view.write_view(mirror)
    print("MLflow runs: " + ", ".join(f"{n} {state}" for state, n in counts.items()))
    restored = registry.restore(mirror, results.root())
    if restored:
        print(restored)
    return 0


def _ui(mirror: Mirror, given: argparse.Namespace) -> int:
    view.write_view(mirror)
    if mirror.address.startswith(("http:", "https:")):
        _open(view.address(mirror.address, mirror.experiment_id))
        return 0
    print("starting MLflow's server; Ctrl-C ends it", flush=True)
    try:
        view.serve(
            mirror.address,
            given.port,
            lambda server: _open(view.address(server, mirror.experiment_id)),
        )
    except KeyboardInterrupt:
        print()
    return 0


def _open(address: str) -> None:
    """Print an address and open it if there is a display."""
    print(f"MLflow: {address}", flush=True)
    has_display = os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    if has_display or sys.platform == "darwin":
        webbrowser.open(address)


def _register(mirror: Mirror, _: argparse.Namespace) -> int:
    version, new = registry.register(mirror, results.root())
    state = "registered as" if new else "is already"
    print(f"{package.FOLDER} {state} version {version} of {registry.NAME}")
    return 0


def _promote(mirror: Mirror, given: argparse.Namespace) -> int:
    record = results.root() / registry.RECORD
    before = record.read_bytes() if record.exists() else None
    decision = registry.promote(
        mirror, results.root(), version=given.version, accept=given.accept, replace=given.replace
    )
    print(decision.message)
    if record.exists() and record.read_bytes() != before:
        print(f"commit {registry.RECORD}: from it 'sync' restores the champion if MLflow is lost")
    return 0 if decision.is_champion else 1


def _champion(mirror: Mirror, _: argparse.Namespace) -> int:
    print(registry.champion(mirror, results.root()))
    return 0
