"""Predict, clean or encode a large catalogue on a Ray cluster.

Exit status: 0 success; 1 finished, and some rows are in the errors partitions; 2 failed, and the
same command continues with what is missing.
"""

import argparse
import sys
from pathlib import Path

import pyarrow as pa

from rakuten import categories, console, storage
from rakuten.distributed import engine
from rakuten.distributed.cleaning import Cleaning
from rakuten.distributed.features import Encoding, Extraction
from rakuten.distributed.prediction import Prediction
from rakuten.distributed.transform import IMAGE_PARTITION, TEXT_PARTITION, Transform
from rakuten.image import encoder, extraction
from rakuten.serving import package
from rakuten.serving.errors import InputError, printable


def main(arguments: list[str] | None = None) -> int:
    """Run the command `ray`.

    Args:
        arguments: The arguments after the command's name; those of the process if None.

    Returns:
        The exit status.
    """
    given = _parser().parse_args(arguments)
    request = engine.Request(
        _absolute(given.products),
        _absolute(given.out),
        given.images and _absolute(given.images),
        restart=given.restart,
        address=given.address,
    )
    try:
        transform = given.transform(given)
    except (OSError, ValueError, KeyError) as error:
        return _fail(error)
    try:
        summary = engine.run(request, transform)
    except (InputError, OSError, pa.ArrowException) as error:
        return _fail(error)
    console.show(summary.report(given.out, given.images, f"{given.out}/errors"))
    return 1 if summary.bad_rows else 0


def _fail(error: Exception) -> int:
    """Write an error message; return the exit status."""
    message = error.args[0] if isinstance(error, KeyError) else error  # without quotes
    sys.stderr.write(f"error: {printable(str(message))}\n")
    return 2


def _predict(given: argparse.Namespace) -> Transform:
    rows = IMAGE_PARTITION if given.images else TEXT_PARTITION
    return Prediction(_absolute(given.package), given.top, partition=rows)


def _clean(given: argparse.Namespace) -> Transform:
    return Cleaning(_absolute(given.resources), storage.read_params("clean"))


def _encode(given: argparse.Namespace) -> Transform:
    options = encoder.preparation_options(storage.read_params("encode_image"))
    path, spec = encoder.read(given.encoder)
    spec.preparation(**options)  # invalid options are an error before Ray starts
    return Encoding(_absolute(path), spec, options)


def _extract(given: argparse.Namespace) -> Transform:
    threads, section = storage.read_params("threads", "extract")
    settings = extraction.Settings(**section)
    weights = given.weights or f"build/resources/{settings.weights}"
    return Extraction(_absolute(weights), settings, threads)


def _absolute(path: str | Path) -> str:
    """Make a path absolute, because workers run in another folder; URIs stay."""
    return str(path) if "://" in str(path) else str(Path(path).absolute())


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m rakuten ray",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    predict, clean, encode, extract = (
        commands.add_parser(name, help=text, description=text)
        for name, text in (
            ("predict", "predict categories from texts and images"),
            ("clean", "extract language and tokens from titles and descriptions"),
            ("encode_image", "encode images for the image ensemble"),
            ("extract", "extract features from images for the study's nets"),
        )
    )
    images = "folder or archive, at any depth, or a URI"
    predict.set_defaults(transform=_predict)
    predict.add_argument("--images", help=f"{images}; default: text alone")
    predict.add_argument(
        "--package", default=package.FOLDER, help="folder of the classifier (%(default)s)"
    )
    predict.add_argument(
        "--top",
        type=int,
        default=5,
        choices=range(1, categories.NUM_CATEGORIES + 1),
        metavar="N",
        help="categories per product (%(default)s)",
    )
    clean.set_defaults(transform=_clean, images=None)
    clean.add_argument("--resources", default="build/resources", help="folder (%(default)s)")
    encode.set_defaults(transform=_encode)
    encode.add_argument("--encoder", default=encoder.USED, help="folder (%(default)s)")
    extract.set_defaults(transform=_extract)
    for command in (encode, extract):
        command.add_argument("--images", required=True, help=images)
    extract.add_argument("--weights", help="of the backbone (those of build/resources)")
    for command in (predict, clean, encode, extract):
        command.add_argument("products", help="CSV or Parquet file, a folder of such, or a URI")
        command.add_argument("-o", "--out", required=True, help="the folder to write, or a URI")
        command.add_argument("--restart", action="store_true", help="start over, delete the output")
        command.add_argument("--address", help="of the Ray cluster (default: this machine)")
    return parser
