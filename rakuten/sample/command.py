"""Write a synthetic catalogue: `python -m rakuten sample OUT`."""

import argparse
import shlex
from pathlib import Path

from rakuten import console, prefetch
from rakuten.sample.catalogue import FLOOR, QUALITY, write_sample


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m rakuten sample",
        description="Write a synthetic catalogue in the challenge's file formats.",
    )
    parser.add_argument("out", type=Path, help="the folder to write, new or empty")
    parser.add_argument(
        "--products",
        type=int,
        default=1350,
        help="number of labelled products (default: %(default)s)",
    )
    parser.add_argument(
        "--test-products",
        type=int,
        default=0,
        help="number of unlabelled products, as in X_test (default: %(default)s)",
    )
    parser.add_argument(
        "--seed", type=int, default=0, help="seed of all random choices (default: %(default)s)"
    )
    parser.add_argument(
        "--floor",
        type=int,
        default=FLOOR,
        help="least number of labelled products of a category (default: %(default)s)",
    )
    parser.add_argument(
        "--quality",
        type=int,
        default=QUALITY,
        help="quality of the JPEG images, 1 to 95 (default: %(default)s)",
    )
    images = parser.add_mutually_exclusive_group()
    images.add_argument("--no-images", action="store_true", help="write only the tables")
    images.add_argument(
        "--images",
        type=int,
        help="only this number of products has an image, the first ones (default: all have one)",
    )
    parser.add_argument(
        "--processes",
        type=int,
        default=prefetch.available_cpus(),
        help="number of processes that draw (default: the available CPUs, %(default)s)",
    )
    return parser


def main(arguments: list[str]) -> int:
    """Run the command `sample`.

    Args:
        arguments: The arguments after the command's name.

    Returns:
        The exit status, 0; argparse exits with 2 on an error.
    """
    parser = _arguments()
    options = parser.parse_args(arguments)
    try:
        write_sample(
            options.out,
            products=options.products,
            test_products=options.test_products,
            seed=options.seed,
            floor=options.floor,
            quality=None if options.no_images else options.quality,
            images=options.images,
            processes=options.processes,
        )
    except (ValueError, FileExistsError) as error:
        parser.error(str(error))
    except OSError as error:
        parser.error(f"{options.out} cannot be written: {error}")
    written = options.products + options.test_products
    lacking = options.no_images or (options.images is not None and options.images < written)
    console.show(
        f"wrote {written:,} products to {options.out}; next: python -m rakuten import "
        f"{'--allow-missing-images ' if lacking else ''}{shlex.quote(str(options.out))}\n"
    )
    return 0
