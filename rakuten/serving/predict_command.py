"""Predict the categories of products: of a file, or of one product given by its texts and image.

A file is predicted in chunks. An interrupted run continues when the same command is run again.
Rows that cannot be read in full are predicted from part of their data or from none, and listed in
OUT.errors.csv. Category names are in French; docs/predicting.md describes the output's columns.

The packaged ensembles are refitted on all labelled products (refit.rows in params.yaml): do not
evaluate them on those products. The reported figures are of ensembles fitted on the train part.
The study's nets (--model text, image or fusion) are packaged exactly as evaluated.

Exit status: 0 success; 1 finished, and some rows are in the errors file; 2 failed, without a
complete output; 130 interrupted.
"""

import argparse
import json
import sys
import unicodedata
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from rakuten import categories, console, model_names
from rakuten.serving import package
from rakuten.serving.errors import InputError, one_line, printable

if TYPE_CHECKING:
    from rakuten.serving.classifier import Prediction, ProductClassifier

    Load = Callable[[Path], ProductClassifier]

BAR = 30  # characters of the longest bar in the terminal


def main(arguments: list[str] | None = None, load: "Load | None" = None) -> int:
    """Run the command `predict`.

    Args:
        arguments: The arguments after the command's name; those of the process if None.
        load: Loads a classifier from its folder, `ProductClassifier.load` with the chosen model
            if None.

    Returns:
        The exit status.
    """
    parser = _parser()
    options = parser.parse_args(arguments)
    _check_arguments(parser, options)

    import pyarrow as pa  # imported lazily, as the classifier: help and usage errors appear at once

    try:
        if options.products is None:
            return _predict_one(options, load)
        return _predict_file(options, load)
    except (InputError, OSError, pa.ArrowException) as error:
        sys.stderr.write(f"error: {printable(str(error))}\n")
        return 2
    except KeyboardInterrupt:
        sys.stderr.write(
            "error: interrupted: run the same command again, without --restart, to continue\n"
        )
        return 130  # the status of a shell after Ctrl+C


def format_prediction(prediction: "Prediction", *, as_json: bool, blocks: bool) -> str:
    """Format the prediction of one product for the terminal.

    Args:
        prediction: The prediction.
        as_json: Whether to write JSON.
        blocks: Whether the terminal can show block characters; ASCII otherwise.

    Returns:
        Lines, the last one ended.
    """
    if as_json:
        top = [
            {"prdtypecode": c.code, "name": c.name, "probability": c.probability}
            for c in prediction.top
        ]
        value = {
            **top[0],
            "text_contribution": prediction.text_contribution,
            "image_contribution": prediction.image_contribution,
            "top": top,
        }
        return json.dumps(value, indent=2, ensure_ascii=not blocks) + "\n"
    names = [choice.name if blocks else _ascii(choice.name) for choice in prediction.top]
    width = max(map(len, names))
    lines = [
        f"{name:<{width}}  {choice.code:>4}  {_percent(choice.probability):>7}  "
        f"{format_bar(choice.probability, blocks=blocks)}".rstrip()
        for name, choice in zip(names, prediction.top, strict=True)
    ]
    given = {"text": prediction.text_contribution, "image": prediction.image_contribution}
    if given != {"text": None, "image": None}:  # both None: of a net, which has none
        parts = [f"no {k}" if v is None else f"{k} {v:+.2f}" for k, v in given.items()]
        lines.append(
            f"contributions to {names[0]} (log-odds against the average category): "
            f"{', '.join(parts)}"
        )
    return "\n".join(lines) + "\n"


def format_bar(share: float, *, blocks: bool) -> str:
    """Format a share as a bar.

    Args:
        share: 0 to 1.
        blocks: Whether to use block characters, which show eighths; `#` otherwise.

    Returns:
        At most `BAR` characters.
    """
    if not blocks:
        return "#" * round(share * BAR)
    whole, eighths = divmod(round(share * BAR * 8), 8)
    return "█" * whole + " ▏▎▍▌▋▊▉"[eighths].strip()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m rakuten predict",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("products", nargs="?", type=Path, help="CSV or Parquet file of products")
    parser.add_argument("-o", "--out", type=Path, help="file to write, .csv or .parquet")
    parser.add_argument(
        "--images", type=Path, help="folder or archive of images (default: text alone)"
    )
    parser.add_argument(
        "--submission", action="store_true", help="write the format of the challenge"
    )
    parser.add_argument("--restart", action="store_true", help="start over, overwrite the output")
    parser.add_argument("--title", help="title of one product")
    parser.add_argument("--description", help="description of one product")
    parser.add_argument("--image", type=Path, help="image file of one product")
    parser.add_argument("--json", action="store_true", help="show one product's prediction as JSON")
    parser.add_argument(
        "--top", type=int, default=5, help="categories per product (default: %(default)s)"
    )
    parser.add_argument(
        "--model",
        default=package.DEFAULT_MODEL,
        metavar="NAME",
        help=f"one of {', '.join(model_names.MAIN)} (default: %(default)s)",
    )
    parser.add_argument(
        "--package", type=Path, help=f"folder of the classifier (default: {package.FOLDER})"
    )
    return parser


def _check_arguments(parser: argparse.ArgumentParser, options: argparse.Namespace) -> None:
    """Exit with status 2 if arguments do not go together."""
    given = {name for name, value in vars(options).items() if value not in (None, False)}
    single = sorted(given & {"title", "description", "image"})
    if options.products is None and not single:
        parser.error(
            "nothing to predict: pass a file of products, or --title, --description, --image"
        )
    if options.products is not None and single:
        parser.error(f"a file and --{single[0]}: pass one of the two")
    kind, wrong = (
        ("one product", {"json"})
        if options.products is not None
        else ("a file of products", {"images", "out", "submission", "restart"})
    )
    if given & wrong:
        parser.error(f"--{min(given & wrong)} is for {kind}: leave it out")
    if options.products is not None and options.out is None:
        parser.error("no output: pass -o predictions.csv or -o predictions.parquet")
    if not 1 <= options.top <= categories.NUM_CATEGORIES:
        parser.error(f"--top: expected 1 to {categories.NUM_CATEGORIES}, received {options.top}")


def _predict_file(given: argparse.Namespace, load: "Load | None") -> int:
    """Predict a file and report what was written."""
    from rakuten.serving import batch_prediction, classifier

    options = batch_prediction.Options(
        source=given.products,
        out=given.out,
        images=given.images,
        package=given.package or package.FOLDER,
        model=given.model,
        top=given.top,
        submission=given.submission,
        restart=given.restart,
    )
    load = load or partial(classifier.ProductClassifier.load, model=given.model)
    summary = batch_prediction.predict_file(options, load)
    console.show(summary.report(options.out, options.images, options.errors))
    return 1 if summary.bad_rows else 0


def _predict_one(given: argparse.Namespace, load: "Load | None") -> int:
    """Predict one product and show the prediction."""
    from rakuten.serving import batch_prediction, classifier, product_images, product_tables

    title, description = (
        product_tables.replace_invalid(text or "")[0].strip()
        for text in (given.title, given.description)
    )
    content = None
    if given.image:
        if not given.image.is_file():
            raise InputError(f"--image {given.image} is not a file: pass the path of an image")
        with given.image.open("rb") as file:
            content = product_images.read_image(file, given.image.name)
    elif not title and not description:
        raise InputError("the texts are blank and there is no image: pass words or --image")
    load = load or partial(classifier.ProductClassifier.load, model=given.model)
    loaded = batch_prediction.load_classifier(given.package or package.FOLDER, load)
    try:
        prepared = loaded.prepare(classifier.Product(title, description, content))
    except (ValueError, TypeError) as error:
        what = given.image or "the product"
        raise InputError(f"{what} cannot be used: {one_line(error)}") from error
    if prepared.is_empty:
        raise InputError(
            f"the product has nothing that {given.model} uses (text that is only markup does not "
            "count): pass words or --image, or another --model"
        )
    (prediction,) = loaded.classify([prepared], top=given.top)
    console.show(format_prediction(prediction, as_json=given.json, blocks=_can_show_blocks()))
    return 0


def _percent(probability: float) -> str:
    """Format a probability; one that is not quite 1 is not shown as certain."""
    return ">99.9%" if 0.9995 <= probability < 1 else f"{probability:.1%}"


def _ascii(name: str) -> str:
    """Write a name without accents."""
    letters = unicodedata.normalize("NFKD", name.replace("’", "'"))
    return letters.encode("ascii", "ignore").decode("ascii")


def _can_show_blocks() -> bool:
    try:
        "█▏".encode(sys.stdout.encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True
