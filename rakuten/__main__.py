"""The command line of the project: `python -m rakuten COMMAND`.

Each command is a module's `main(arguments) -> int`. The module is imported when its command runs:
imported all together, TensorFlow, MLflow and Ray would delay `--help` by many seconds.
"""

import argparse
import importlib
import sys
from typing import NamedTuple

from rakuten import console


class Command(NamedTuple):
    """Where a command is implemented.

    Attributes:
        module: The module whose `main` takes the arguments.
        summary: One line for `--help`.
        prefix: Arguments to put before those of the user.
    """

    module: str
    summary: str
    prefix: tuple[str, ...] = ()


COMMANDS = {
    "import": Command(
        "rakuten.sample.import_command", "check the challenge's files and fill data/"
    ),
    "corrections": Command(
        "rakuten.data.corrections_command", "list suspect labels for review, check corrections"
    ),
    "sample": Command("rakuten.sample.command", "write a synthetic catalogue"),
    "predict": Command(
        "rakuten.serving.predict_command", "predict the category of a product or of a file"
    ),
    "drift": Command(
        "rakuten.reports.drift_command", "compare new products with the training data"
    ),
    "ray": Command("rakuten.distributed.command", "clean, encode or predict on a Ray cluster"),
    "search": Command(
        "rakuten.tracking.search_command", "search for parameters by a validation metric"
    ),
    "sync": Command(
        "rakuten.tracking.command", "restore missing runs and the champion in MLflow", ("sync",)
    ),
    "ui": Command("rakuten.tracking.command", "open the runs in MLflow", ("ui",)),
    "register": Command(
        "rakuten.tracking.command", "register build/package in MLflow", ("register",)
    ),
    "promote": Command(
        "rakuten.tracking.command", "make a version the champion if it is better", ("promote",)
    ),
    "champion": Command("rakuten.tracking.command", "show the champion", ("champion",)),
    "serve": Command("rakuten.tracking.serve_command", "serve the champion over HTTP"),
    "readme": Command(
        "rakuten.reports.readme", "show the results, write or check the tables of README.md"
    ),
    "cards": Command("rakuten.reports.cards", "write or check docs/model_card.md and data_card.md"),
    "plots": Command("rakuten.reports.plots_page", "download the scripts for `make plots`"),
}
"""All commands by name, in the order of `--help`."""


def main(arguments: list[str] | None = None) -> int:
    """Run a command.

    Args:
        arguments: The command and its arguments; those of the process if None.

    Returns:
        The exit status of the command.
    """
    console.open_closed_streams()
    given = sys.argv[1:] if arguments is None else arguments
    try:
        try:
            command = COMMANDS[_parser().parse_args(given[:1]).command]
            run = importlib.import_module(command.module).main
            return run([*command.prefix, *given[1:]])
        finally:
            console.show("")  # what Python has not written yet
    except BrokenPipeError:
        console.discard_output()
        return 1
    except console.OutputError as error:
        sys.stderr.write(f"error: {error}\n")
        return 2


def _parser() -> argparse.ArgumentParser:
    width = max(map(len, COMMANDS))
    lines = [f"  {name:<{width}}  {command.summary}" for name, command in COMMANDS.items()]
    parser = argparse.ArgumentParser(
        prog="python -m rakuten",
        usage="%(prog)s [-h] COMMAND ...",
        description="Multimodal product classification: data, predictions, MLflow, reports.",
        epilog="\n".join(
            ["commands:", *lines, "", "'python -m rakuten COMMAND --help' describes one of them."]
        ),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("command", metavar="COMMAND", choices=COMMANDS, help=argparse.SUPPRESS)
    return parser


if __name__ == "__main__":
    sys.exit(main())
