"""Check whether new products still resemble the training data.

It compares predicted categories, confidence, language, lengths, missing texts and images, unknown
terms, white border, brightness and colour. The package carries these measurements of the training
data, without texts. Of a file with more than 20,000 products, 20,000 are compared, evenly spaced.

It writes index.html, drift.json and, unless predictions are given, drift_predictions.csv, and logs
a run to MLflow. The limits are in the section drift of params.yaml. Do not compare products that
the model was fitted on: it is too confident about them.

Exit status: 0 no drift; 1 drift; 2 failed; 130 interrupted.
"""

import argparse
import sys
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
import pyarrow as pa

from rakuten import console, stage_log, storage
from rakuten.evaluation import drift
from rakuten.reports import drift_page
from rakuten.serving import batch_prediction, drift_input, drift_reference, package, rebuilds
from rakuten.serving.classifier import ProductClassifier
from rakuten.serving.errors import InputError, one_line, printable
from rakuten.serving.prediction_files import Options
from rakuten.tracking import addresses, drift_runs
from rakuten.tracking.mirror import store_errors

FOLDER = Path("build/drift")
"""The default folder of the results."""

PREDICTIONS = "drift_predictions.csv"
"""The file of the predictions. Only this command uses the name: the file is overwritten."""

PROGRESS_AFTER = 1.0
"""Seconds after which progress is shown."""


def main(arguments: list[str] | None = None) -> int:
    """Run the command `drift`.

    Args:
        arguments: The arguments after the command's name; those of the process if None.

    Returns:
        The exit status.
    """
    options = _parser().parse_args(arguments)
    page, values = options.out / "index.html", options.out / "drift.json"
    try:
        report = _compare(options)
        storage.write_text(page, drift_page.render(report))
        storage.write_json(values, report)
        console.show(drift_page.lines(report))
        _log(report, [page, values])
    except (InputError, OSError, pa.ArrowException) as error:
        sys.stderr.write(f"error: {printable(str(error))}\n")
        return 2
    except KeyboardInterrupt:
        sys.stderr.write("error: interrupted: run the same command again to continue\n")
        return 130  # the status of a shell after Ctrl+C
    console.show(f"{'drift' if report['drift'] else 'no drift'}: see {page}\n")
    return int(report["drift"])


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m rakuten drift",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("products", type=Path, help="CSV or Parquet file of new products")
    parser.add_argument(
        "predictions",
        nargs="?",
        type=Path,
        help="what 'predict' wrote for them (default: predict now)",
    )
    parser.add_argument(
        "--images", type=Path, help="folder or archive of images (default: none are measured)"
    )
    parser.add_argument(
        "-o", "--out", type=Path, default=FOLDER, help="folder to write (default: %(default)s)"
    )
    parser.add_argument(
        "--restart",
        action="store_true",
        help="predict from the start, do not continue an interrupted comparison",
    )
    parser.add_argument(
        "--package",
        type=Path,
        default=package.FOLDER,
        help="folder of the classifier (default: %(default)s)",
    )
    return parser


def _compare(options: argparse.Namespace) -> dict[str, Any]:
    """Measure the products, predict them if needed, and compare."""
    try:
        limits = storage.read_params("drift")
    except (KeyError, ValueError) as error:
        raise InputError(str(error.args[0])) from error
    try:
        opened = rebuilds.read(options.package, partial(_open, options.package))
    except (OSError, ValueError) as error:
        raise InputError(f"the package cannot be read: {one_line(error)}") from error
    measured, text_alone = drift_input.measure(
        options.products,
        options.predictions or _predict(options, opened.pin.folder),
        options.images,
        opened.pin.folder,
        progress=partial(stage_log.progress, delay=PROGRESS_AFTER),
    )
    known = drift_reference.select(opened.reference, text_alone=text_alone)
    found = drift.compare(known, measured, **limits)
    names = {one.name for one in found}
    return {
        "file": options.products.name,
        "products": len(measured),
        "data": package.read_summary(opened.pin.folder)["dataset"]["name"],
        "package": package.digest(opened.pin.folder),
        "predicted_from": "text alone" if text_alone else "text and images",
        "limits": limits,
        "drift": any(one.drift for one in found),
        "measurements": [one.to_json() for one in found],
        "not_measured": [m.title for name, m in drift.MEASURES.items() if name not in names],
    }


class _Package(NamedTuple):
    """The files of a package, which stay when DVC rebuilds it, and its reference."""

    pin: rebuilds.Pin
    reference: pd.DataFrame


def _open(folder: Path) -> _Package:
    package.read_summary(folder)
    reference = drift_reference.read(folder)
    return _Package(rebuilds.Pin(folder), reference)


def _log(report: Mapping[str, Any], files: list[Path]) -> None:
    """Log the comparison to MLflow; without its store, only warn."""
    try:
        drift_runs.log(report, files)
    except store_errors() as error:
        reason = addresses.mask(one_line(error))[:200]
        sys.stderr.write(f"warning: not logged to MLflow, which cannot be used ({reason})\n")


def _predict(options: argparse.Namespace, folder: Path) -> Path:
    """Predict the products with the package in a folder; an interrupted run continues."""
    path = options.out / PREDICTIONS
    is_interrupted = path.with_name(f"{path.name}.partial").exists() and not path.exists()
    batch_prediction.predict_file(
        Options(
            source=options.products,
            out=path,
            images=options.images,
            package=options.package,
            model=package.DEFAULT_MODEL,
            top=1,
            submission=False,
            # Finished predictions are those of an earlier comparison.
            restart=options.restart or not is_interrupted,
        ),
        lambda _: ProductClassifier.load(folder),  # the one whose reference was read
    )
    return path
