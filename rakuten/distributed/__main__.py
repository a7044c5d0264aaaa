"""The heavy stages on a Ray cluster: `python -m rakuten ray clean|extract PRODUCTS -o OUT`.

Exit status: 0 all fine; 1 finished, but some rows are in the errors partitions; 2 the run failed.
Prediction is `python -m rakuten predict --engine ray`.
"""

import argparse
import sys

import pyarrow as pa

from rakuten import storage
from rakuten.distributed import engine
from rakuten.image import extraction
from rakuten.serving import product_files
from rakuten.serving.batch_prediction import Summary


def main(arguments: list[str] | None = None) -> int:
    """Run the command line.

    Args:
        arguments: The command's words; those of the process if None.

    Returns:
        The exit status.
    """
    given = _parser().parse_args(arguments)
    try:
        summary = given.run(given)
    except (product_files.InputError, OSError, pa.ArrowException) as error:
        sys.stderr.write(f"error: {product_files.shown(str(error))}\n")
        return 2
    sys.stdout.write(f"{given.out}: {summary.products} products, ")
    if given.images:
        sys.stdout.write(f"{summary.no_picture} of them without a picture, ")
    sys.stdout.write(f"{summary.bad_rows} rows with errors\n")
    return 1 if summary.bad_rows else 0


def _clean(given: argparse.Namespace) -> Summary:
    return engine.clean(_request(given), given.resources, storage.read_params("clean"))


def _extract(given: argparse.Namespace) -> Summary:
    threads, section = storage.read_params("threads", "extract")
    settings = extraction.Settings(**section)
    weights = given.weights or f"build/resources/{settings.weights}"
    return engine.extract(_request(given), weights, settings, threads)


def _request(given: argparse.Namespace) -> engine.Request:
    return engine.Request(given.products, given.out, given.images, given.restart, given.address)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m rakuten ray",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    clean, extract = (
        commands.add_parser(run.__name__.strip("_"), help=told, description=told)
        for run, told in (
            (_clean, "titles and descriptions to language and tokens"),
            (_extract, "pictures to features"),
        )
    )
    clean.set_defaults(run=_clean, images=None)
    clean.add_argument("--resources", default="build/resources", help="folder (%(default)s)")
    extract.set_defaults(run=_extract)
    extract.add_argument("--images", required=True, help="folder, zip, folder of zips, or a URI")
    extract.add_argument("--weights", help="of the backbone (that of build/resources)")
    for command in (clean, extract):
        command.add_argument("products", help="CSV or Parquet file, a folder of such, or a URI")
        command.add_argument("-o", "--out", required=True, help="the folder to write, or a URI")
        command.add_argument("--restart", action="store_true", help="begin anew, remove the output")
        command.add_argument("--address", help="the Ray cluster; this machine alone without")
    return parser


if __name__ == "__main__":
    sys.exit(main())
