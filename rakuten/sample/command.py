"""Write a synthetic catalogue: `python -m rakuten sample OUT`."""

import argparse
from pathlib import Path

from rakuten import prefetch
from rakuten.sample.catalogue import FLOOR, QUALITY, write_sample


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m rakuten sample",
        description="Write a synthetic catalogue in the challenge's file formats.",
    )
    parser.add_argument("out", type=Path, help="the folder to write, new or empty")
    parser.add_argument(
        "--products", type=int, default=1350, help="labelled products (%(default)s)"
    )
    parser.add_argument(
        "--test-products", type=int, default=0, help="unlabelled products (%(default)s)"
    )
    parser.add_argument("--seed", type=int, default=0, help="of all random choices (%(default)s)")
    parser.add_argument("--floor", type=int, default=FLOOR, help="least class size (%(default)s)")
    parser.add_argument(
        "--quality", type=int, default=QUALITY, help="of the JPEGs, 1 to 95 (%(default)s)"
    )
    images = parser.add_mutually_exclusive_group()
    images.add_argument("--no-images", action="store_true", help="write the tables only")
    images.add_argument(
        "--images", type=int, help="number of products with an image, the first ones (all)"
    )
    parser.add_argument(
        "--processes", type=int, default=prefetch.available_cpus(), help="(%(default)s)"
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
    return 0
