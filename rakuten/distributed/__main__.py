"""Features of a catalogue's pictures on a Ray cluster: `python -m rakuten.distributed extract`.

Exit status: 0 all fine; 1 finished, but some rows are in the errors partitions; 2 the run failed.
Prediction is `python -m rakuten.predict --engine ray`.
"""

import argparse
import sys

import pyarrow as pa

from rakuten import extraction, product_files, storage
from rakuten.distributed import engine


def main(arguments: list[str] | None = None) -> int:
    """Run the command line.

    Args:
        arguments: The command's words; those of the process if None.

    Returns:
        The exit status.
    """
    given = _parser().parse_args(arguments)
    asked = engine.Request(given.products, given.out, given.images, given.restart, given.address)
    try:
        threads, section = storage.read_params("threads", "extract")
        settings = extraction.Settings(**section)
        weights = given.weights or f"build/resources/{settings.backbone}.npz"
        summary = engine.extract(asked, weights, settings, threads)
    except (product_files.InputError, OSError, pa.ArrowException) as error:
        sys.stderr.write(f"error: {product_files.shown(str(error))}\n")
        return 2
    sys.stdout.write(f"{given.out}: {summary.products} products, {summary.no_picture} of them ")
    sys.stdout.write(f"without a picture, {summary.bad_rows} rows with errors\n")
    return 1 if summary.bad_rows else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m rakuten.distributed",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("task", choices=("extract",))
    parser.add_argument("products", help="CSV or Parquet file, a folder of such, or a URI")
    parser.add_argument("--images", required=True, help="folder, zip, folder of zips, or a URI")
    parser.add_argument("-o", "--out", required=True, help="the folder to write, or a URI")
    parser.add_argument("--weights", help="of the backbone (build/resources/<backbone>.npz)")
    parser.add_argument("--restart", action="store_true", help="begin anew, remove what is there")
    parser.add_argument("--address", help="the Ray cluster; this machine alone without")
    return parser


if __name__ == "__main__":
    sys.exit(main())
