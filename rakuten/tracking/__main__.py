"""The command line of MLflow: `python -m rakuten.tracking sync|register|promote|champion`.

Exit status of sync: 0, or 1 if the store cannot be used. Of the others: 0 if the package is
registered, or is the champion; 1 if it is no better than the champion; 2 on an error.
"""

import argparse
import logging
import os
import sys

from rakuten.tracking import registry, results, runs


def main(arguments: list[str] | None = None) -> int:
    """Run the command line.

    Args:
        arguments: The command's words; those of the process if None.

    Returns:
        The exit status.
    """
    given = _parser().parse_args(arguments)
    try:
        return given.run(runs.Mirror(runs.SYNC_PATIENCE), given)
    except registry.RegistryError as error:
        print(f"error: {error}")
        return 2
    except runs.failures() as error:
        address = os.environ.get("MLFLOW_TRACKING_URI", "mlflow.db")
        print(f"MLflow at {address} cannot be used: {error}\nMend that, then run this again.")
        return 1 if given.run is _sync else 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m rakuten.tracking",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for run, told in (
        (_sync, "rebuild what MLflow lacks: runs of all commits and experiments, the champion"),
        (_register, "register build/package as a version of the classifier"),
        (_champion, "show which version is the champion"),
        (_promote, "make a version the champion if it beats the one there is"),
    ):
        command = commands.add_parser(
            run.__name__.strip("_"), help=told, description=told, allow_abbrev=False
        )
        command.set_defaults(run=run)
    command.add_argument(  # to the last of them
        "--version", type=int, help="of the registry; that of build/package if none"
    )
    command.add_argument(
        "--replace", action="store_true", help="move it without comparing, as after other data"
    )
    return parser


def _sync(mirror: runs.Mirror, _: argparse.Namespace) -> int:
    counts = runs.sync(mirror, results.root())
    print("MLflow runs: " + ", ".join(f"{n} {what}" for what, n in counts.items()))
    restored = registry.restore(mirror, results.root())
    if restored:
        print(restored)
    return 0


def _register(mirror: runs.Mirror, _: argparse.Namespace) -> int:
    version, new = registry.register(mirror, results.root())
    said = "registered as" if new else "is already"
    print(f"{registry.PACKAGE} {said} version {version} of {registry.NAME}")
    return 0


def _promote(mirror: runs.Mirror, given: argparse.Namespace) -> int:
    record = results.root() / registry.RECORD
    before = record.read_bytes() if record.exists() else None
    decision = registry.promote(
        mirror, results.root(), version=given.version, replace=given.replace
    )
    print(decision.told)
    if record.exists() and record.read_bytes() != before:
        print(f"commit {registry.RECORD}: it brings the champion back where MLflow is lost")
    return 0 if decision.is_champion else 1


def _champion(mirror: runs.Mirror, _: argparse.Namespace) -> int:
    print(registry.champion(mirror, results.root()))
    return 0


if __name__ == "__main__":
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    sys.exit(main())
