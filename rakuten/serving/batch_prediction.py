"""Predict categories: `python -m rakuten predict products.csv --images images.zip -o out.csv`.

A file is read, classified and written in chunks, so that its length costs no memory. Each finished
chunk is kept in `<out>.partial/`; a run that was killed is finished by the same command. A row that
cannot be read as it should goes to `<out>.errors.csv`, is predicted from what can be read of it,
and the others go on. Without a file, --title, --description and --image give one product.

Exit status: 0 all fine; 1 finished, but some rows are in the errors file; 2 failed:
nothing was written, or, by Ray, a part of the folder that the same command goes on with.
"""

import argparse
import csv
import fcntl
import hashlib
import io
import itertools
import json
import os
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from rakuten import categories, stage_log, storage
from rakuten.data import products
from rakuten.data.sources import READ_FAULTS
from rakuten.prefetch import map_in_order
from rakuten.serving import package, product_files
from rakuten.serving.product_files import InputError, Pictures, Row, Table, open_table, read_rows

if TYPE_CHECKING:  # loaded only when arguments and files are known to be good
    from rakuten.serving.classifier import Prediction, Product, ProductClassifier

MANIFEST = "manifest.json"
CHUNK = 256  # products classified, and lost by a kill, at once
AHEAD = 64  # pictures decoded while a chunk is classified
THREADS = 4
ROW_GROUP = 1 << 16  # rows of a Parquet row group
MEBIBYTE = 1 << 20
BAR = 30  # characters of the longest bar in the terminal


class Reading(NamedTuple):
    """A row made ready for the classifier.

    Attributes:
        row: The row.
        prepared: What `ProductClassifier.prepare` made of it, or of nothing if it holds nothing.
        faults: What is wrong with the row, its picture included.
        no_picture: Whether its picture was looked for in vain.
    """

    row: Row
    prepared: Any
    faults: tuple[str, ...]
    no_picture: bool


@dataclass(frozen=True)
class Options:
    """What a run over a file was asked for.

    Attributes:
        source: The input.
        out: The file to write.
        images: The folder or zip archive of pictures, None for text alone.
        package: The classifier's folder.
        top: Choices per product.
        submission: Whether to write the challenge's format.
        restart: Whether to begin anew and overwrite.
    """

    source: Path
    out: Path
    images: Path | None
    package: Path
    top: int
    submission: bool
    restart: bool

    @property
    def partial(self) -> Path:
        """The folder of the finished chunks."""
        return self.out.with_name(f"{self.out.name}.partial")

    @property
    def errors(self) -> Path:
        """The file of the rows that could not be read as they should."""
        return self.out.with_name(f"{self.out.name}.errors.csv")


@dataclass
class Summary:
    """What a run over a file wrote.

    Attributes:
        products: Rows of the output.
        no_picture: Products whose picture was looked for in vain.
        bad_rows: Rows of the errors file.
    """

    products: int = 0
    no_picture: int = 0
    bad_rows: int = 0


def prepare_row(row: Row, classifier: "ProductClassifier", pictures: Pictures | None) -> Reading:
    """Find and decode what the classifier needs of one row; threads may call it.

    Args:
        row: The row.
        classifier: Its `prepare` is called.
        pictures: Where to look for the picture; None if pictures do not count.

    Returns:
        The row made ready. A picture that cannot be decoded is a fault and counts as none.
    """
    faults = list(row.faults)
    content, fault = find_picture(row, pictures)
    faults += [fault] if fault else []
    no_picture = bool(pictures) and content is None and not fault
    prepared = None
    if content is not None:
        prepared, fault = _prepare(classifier, row, content)
        faults += [f"picture {row.image} cannot be used: {fault}"] if fault else []
    if prepared is None and (row.title or row.description):
        prepared, fault = _prepare(classifier, row, None)
        faults += [f"text cannot be used: {fault}"] if fault else []
    if prepared is None:
        faults.append("neither text nor picture: predicted the most frequent category")
        prepared = classifier.prepare(_product("", "", None))
    return Reading(row, prepared, tuple(faults), no_picture)


def find_picture(row: Row, pictures: Pictures | None) -> tuple[bytes | None, str | None]:
    """Read the picture of a row.

    Args:
        row: The row.
        pictures: Where to look for it; None if pictures do not count.

    Returns:
        Its bytes, None if there is none, and the reason if it cannot be read.
    """
    if pictures and row.image:
        try:
            return pictures.read(row.image), None
        except (InputError, *READ_FAULTS) as error:
            return None, f"picture {row.image} cannot be read: {product_files.one_line(error)}"
    return None, None


def predict_file(options: Options, load: Callable[[Path], "ProductClassifier"]) -> Summary:
    """Predict every product of a file, going on where an earlier run stopped.

    Args:
        options: What to read and to write.
        load: Called with the package's folder once arguments and files were checked.

    Returns:
        What was written.

    Raises:
        InputError: If something given does not fit; nothing was written then.
    """
    _check_output(options)
    with ExitStack() as stack:
        table = open_table(options.source)
        if options.submission:
            _check_indices(table)
        pictures = None
        if options.images:
            product_files.check_picture_columns(table)
            pictures = Pictures(options.images)
            stack.callback(pictures.close)
        stack.enter_context(_partial(options))
        done = _finished(options.partial)
        if set(range(_chunks(table))) - done:
            classifier = _loaded(load, options.package)
            if options.restart:  # gone now, so that a killed run is finished without --restart
                options.out.unlink(missing_ok=True)
                options.errors.unlink(missing_ok=True)
            _classify_missing(table, classifier, pictures, options, done)
        return _assemble(table, options)


def write_single(prediction: "Prediction", *, as_json: bool, blocks: bool) -> str:
    """Show the prediction of one product.

    Args:
        prediction: The prediction.
        as_json: Whether to give JSON in place of text for people.
        blocks: Whether bars may be made of block characters; plain ASCII otherwise.

    Returns:
        The lines to show, the last one ended.
    """
    if as_json:
        top = [
            {"code": c.code, "name": c.name, "probability": c.probability} for c in prediction.top
        ]
        value = {
            "top": top,
            "text_contribution": prediction.text_contribution,
            "image_contribution": prediction.image_contribution,
        }
        return json.dumps(value, indent=2, ensure_ascii=not blocks) + "\n"
    width = max(len(choice.name) for choice in prediction.top)
    lines = [
        f"{choice.name:<{width}}  {choice.code:>4}  {choice.probability:>7.1%}  "
        f"{_bar(choice.probability, blocks)}".rstrip()
        for choice in prediction.top
    ]
    parts = (
        _contribution("text", prediction.text_contribution),
        _contribution("image", prediction.image_contribution),
    )
    lines.append(f"contributions to {prediction.name} (log-odds): {', '.join(parts)}")
    return "\n".join(lines) + "\n"


def main(
    arguments: list[str] | None = None,
    load: Callable[[Path], "ProductClassifier"] | None = None,
) -> int:
    """Run the command line.

    Args:
        arguments: The command's words; those of the process if None.
        load: What loads a classifier from its folder; `ProductClassifier.load` if None.

    Returns:
        The exit status: 0 if all is fine, 1 if some rows are in the errors file, 2 if nothing was
        predicted.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # it complains where there is no GPU
    parser = _parser()
    options = parser.parse_args(arguments)
    _check_arguments(parser, options)
    try:
        if options.products is None:
            return _main_single(options, load or _load)
        if options.engine == "ray":
            return _main_ray(options)
        return _main_file(options, load or _load)
    except (InputError, OSError, pa.ArrowException) as error:
        sys.stderr.write(f"error: {product_files.shown(str(error))}\n")
        return 2
    except KeyboardInterrupt:
        sys.stderr.write("error: interrupted: the same command goes on from here\n")
        return 130  # what a shell gives for Ctrl+C


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m rakuten predict",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument(
        "products",
        nargs="?",
        help="CSV or Parquet file of products; by Ray also a folder of such, or a URI",
    )
    parser.add_argument("-o", "--out", help="the file to write, .csv or .parquet; by Ray a folder")
    parser.add_argument("--images", help="folder or zip archive; text alone without")
    parser.add_argument("--submission", action="store_true", help="write the challenge's format")
    parser.add_argument("--restart", action="store_true", help="begin anew, overwrite the output")
    parser.add_argument("--title", help="of one product")
    parser.add_argument("--description", help="of one product")
    parser.add_argument("--image", type=Path, help="picture of one product, a file")
    parser.add_argument("--json", action="store_true", help="show one product's prediction as JSON")
    parser.add_argument("--top", type=int, default=5, help="choices per product (%(default)s)")
    parser.add_argument(
        "--package", type=Path, default=package.FOLDER, help="classifier (%(default)s)"
    )
    parser.add_argument(
        "--engine",
        choices=("local", "ray"),
        default="local",
        help="ray: many machines, --out is a folder; see docs/scale.md (%(default)s)",
    )
    parser.add_argument("--address", help="the Ray cluster; this machine alone without")
    return parser


def _check_arguments(parser: argparse.ArgumentParser, options: argparse.Namespace) -> None:
    """End the process with status 2 where arguments do not go together."""
    given = {name for name, value in vars(options).items() if value not in (None, False)}
    single = sorted(given & {"title", "description", "image"})
    if options.products is None and not single:
        parser.error(
            "nothing to predict: pass a file of products, or --title, --description, --image"
        )
    if options.products is not None and single:
        parser.error(f"a file and --{single[0]}: pass one of the two")
    strange = (
        {"json"} if options.products is not None else {"images", "out", "submission", "restart"}
    )
    if given & strange:
        kind = "one product" if options.products is not None else "a file of products"
        parser.error(f"--{min(given & strange)} is for {kind}: leave it out")
    if options.products is not None and options.out is None:
        parser.error("no file to write: pass -o predictions.csv or -o predictions.parquet")
    if options.address and options.engine != "ray":
        parser.error("--address is for --engine ray: pass both or neither")
    if options.engine == "ray" and (single or options.submission):
        parser.error("--engine ray predicts files, into Parquet: leave out --engine")
    if not 1 <= options.top <= categories.NUM_CATEGORIES:
        parser.error(f"--top: expected 1 to {categories.NUM_CATEGORIES}, received {options.top}")


def _main_file(given: argparse.Namespace, load: Callable[[Path], "ProductClassifier"]) -> int:
    """Predict a file and tell what was written."""
    options = Options(
        source=Path(given.products),
        out=Path(given.out),
        images=Path(given.images) if given.images else None,
        package=given.package,
        top=given.top,
        submission=given.submission,
        restart=given.restart,
    )
    return _tell(predict_file(options, load), options.out, options.images, options.errors)


def _main_ray(given: argparse.Namespace) -> int:
    """Predict a catalogue on a Ray cluster and tell what was written."""
    from rakuten.distributed import engine

    asked = engine.Request(given.products, given.out, given.images, given.restart, given.address)
    summary = engine.predict(asked, given.package, given.top)
    return _tell(summary, given.out, given.images, f"{given.out}/errors")


def _tell(summary: Summary, out: str | Path, images: str | Path | None, errors: object) -> int:
    """Tell what was written and give the exit status."""
    told = f"{out}: {summary.products} products"
    if images:
        told += f", {summary.no_picture} of them without a picture in {images}"
    if summary.bad_rows:
        told += f"\n{errors}: {summary.bad_rows} rows that could not be read in full"
    _say(told + "\n")
    return 1 if summary.bad_rows else 0


def _main_single(given: argparse.Namespace, load: Callable[[Path], "ProductClassifier"]) -> int:
    """Predict one product and show the prediction."""
    title, description = (
        product_files.clean(text or "")[0].strip() for text in (given.title, given.description)
    )
    content = None
    if given.image:
        if not given.image.is_file():
            raise InputError(f"--image {given.image} is not a file: pass the path of a picture")
        with given.image.open("rb") as file:
            content = product_files.read_picture(file)
    elif not title and not description:
        raise InputError("the texts are blank and there is no picture: pass words or --image")
    classifier = _loaded(load, given.package)
    try:
        prepared = classifier.prepare(_product(title, description, content))
    except (ValueError, TypeError) as error:
        what = given.image or "the product"
        raise InputError(f"{what} cannot be used: {product_files.one_line(error)}") from error
    (prediction,) = classifier.classify([prepared], top=given.top)
    _say(write_single(prediction, as_json=given.json, blocks=_shows_blocks()))
    return 0


def _load(folder: Path) -> "ProductClassifier":
    from rakuten.serving.classifier import ProductClassifier

    return ProductClassifier.load(folder)


def _loaded(load: Callable[[Path], "ProductClassifier"], folder: Path) -> "ProductClassifier":
    """Load the classifier, with what goes wrong as this room's error."""
    try:
        return load(folder)
    except (OSError, ValueError) as error:
        raise InputError(
            f"the classifier cannot be loaded: {product_files.one_line(error)}"
        ) from error


def _product(title: str, description: str, image: bytes | None) -> "Product":
    from rakuten.serving.classifier import Product

    return Product(title, description, image)


def _check_output(options: Options) -> None:
    """Refuse an output that would cost the user a file."""
    product_files.check_ending(options.out, "the output")
    if options.submission and options.out.suffix.lower() != ".csv":
        raise InputError(f"the challenge takes CSV, received -o {options.out}: name it .csv")
    for path in (options.out, options.errors):
        if path.is_dir():
            raise InputError(f"{path} is a folder: name another file with -o")
        if path.exists() and options.source.exists() and path.samefile(options.source):
            raise InputError(f"{path} is the input itself: name another file with -o")
    # The errors file is written first: beside unfinished parts it is this run's own.
    taken = [options.out] if options.partial.exists() else [options.out, options.errors]
    for path in taken:
        if path.exists() and not options.restart:
            raise InputError(
                f"{path} exists already: name another with -o, or pass --restart to overwrite it"
            )


def _check_indices(table: Table) -> None:
    """Refuse for a submission what the challenge would: an index that comes twice."""
    lines: dict[int | str, int] = {}
    for row in read_rows(table):
        first = lines.setdefault(row.index, row.line)
        if first != row.line:
            raise InputError(
                f"{table.path}: line {row.line} has the index {row.index} of line {first}: the "
                "challenge wants each once; correct the file, or leave --submission away"
            )


def _prepare(
    classifier: "ProductClassifier", row: Row, content: bytes | None
) -> tuple[Any, str | None]:
    """Prepare a product, or tell why that cannot be done."""
    try:
        return classifier.prepare(_product(row.title, row.description, content)), None
    except (ValueError, TypeError) as error:
        return None, product_files.one_line(error)


def _classify_missing(
    table: Table,
    classifier: "ProductClassifier",
    pictures: Pictures | None,
    options: Options,
    done: set[int],
) -> None:
    """Classify the chunks that are not there yet and keep each as a part."""
    before = sum(min(CHUNK, table.rows - number * CHUNK) for number in done)
    rows = (row for row in read_rows(table) if row.position // CHUNK not in done)
    prepare = partial(prepare_row, classifier=classifier, pictures=pictures)
    with ExitStack() as stack:
        readings = stack.enter_context(
            closing(map_in_order(prepare, rows, threads=THREADS, buffer_size=AHEAD))
        )
        bar = stack.enter_context(
            stage_log.progress(
                (), total=table.rows, unit="product", description="predict", initial=before
            )
        )
        for number, group in itertools.groupby(readings, lambda r: r.row.position // CHUNK):
            chunk = list(group)
            part = classify_chunk(chunk, classifier, options.top)
            text = json.dumps(part, separators=(",", ":"), allow_nan=False)
            storage.write_text(options.partial / f"{number:08d}.json", text)
            bar.update(len(chunk))


def classify_chunk(chunk: list[Reading], classifier: "ProductClassifier", top: int) -> dict:
    """Classify some hundred products.

    Args:
        chunk: The products made ready.
        classifier: The classifier.
        top: Choices per product.

    Returns:
        Plain JSON: "rows" as `columns_of` names their values, "errors" of line, index and reason,
        and "no_picture", the number of products whose picture was looked for in vain.
    """
    predictions = classifier.classify([reading.prepared for reading in chunk], top=top)
    rows = [_values(r.row.index, said, top) for r, said in zip(chunk, predictions, strict=True)]
    errors = [[r.row.line, str(r.row.index), "; ".join(r.faults)] for r in chunk if r.faults]
    return {"rows": rows, "errors": errors, "no_picture": sum(r.no_picture for r in chunk)}


def columns_of(top: int) -> list[str]:
    """Name the values of a prediction in the order of the output."""
    more = [f"top{rank}_{what}" for rank in range(2, top + 1) for what in ("code", "probability")]
    return [
        "index",
        "prdtypecode",
        "name",
        "probability",
        *more,
        "text_contribution",
        "image_contribution",
    ]


def _values(index: int | str, prediction: "Prediction", top: int) -> list:
    """Lay out a prediction in the order of `columns_of`."""
    first, *others = prediction.top[:top]
    pairs = [value for choice in others for value in (int(choice.code), float(choice.probability))]
    pairs += [None] * (2 * (top - 1) - len(pairs))
    contributions = [
        None if value is None else float(value)
        for value in (prediction.text_contribution, prediction.image_contribution)
    ]
    return [index, int(first.code), first.name, float(first.probability), *pairs, *contributions]


def _chunks(table: Table) -> int:
    return -(-table.rows // CHUNK)


@contextmanager
def _partial(options: Options) -> Iterator[None]:
    """Hold the folder of parts, made for this very command, against other processes.

    Raises:
        InputError: If it belongs to another command, or another process works in it.
    """
    folder = options.partial
    kept = folder / MANIFEST
    if (
        folder.exists()
        and not kept.exists()
        and any(not path.name.startswith(".") for path in folder.iterdir())
    ):
        raise InputError(f"{folder} is not a folder of this command: move it or choose another -o")
    manifest = _manifest(options)
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise InputError(f"another process writes {options.out}: wait for its end") from error
        if options.restart:
            for path in folder.glob("*.json"):
                path.unlink()
        if kept.exists() and _has_parts(folder):
            _check_manifest(storage.read_json(kept), manifest, options)
        storage.write_json(kept, manifest)
        try:
            yield
        finally:
            if folder.exists() and not _has_parts(folder):
                shutil.rmtree(folder)


def _has_parts(folder: Path) -> bool:
    return any(True for _ in folder.glob("[0-9]*.json"))


def _manifest(options: Options) -> dict:
    """Describe what a part depends on."""
    images = options.images
    return {
        "input": product_files.shown(str(options.source.resolve())),
        **{f"input {name}": value for name, value in _identity(options.source).items()},
        "images": product_files.shown(str(images.resolve())) if images else None,
        **{f"images {name}": value for name, value in _identity(images).items()},
        "package": product_files.shown(str(options.package.resolve())),
        **{f"package {k}": v for k, v in _identity(options.package / "package.json").items()},
        "--top": options.top,
        "--submission": options.submission,
        "chunk": CHUNK,
    }


def _identity(path: Path | None) -> dict:
    """Tell a file from others by its size and its first and last MiB; nothing for a folder."""
    if path is None or not path.is_file():
        return {}
    size = path.stat().st_size
    with path.open("rb") as file:
        digest = hashlib.sha256(file.read(MEBIBYTE))
        file.seek(max(0, size - MEBIBYTE))
        digest.update(file.read(MEBIBYTE))
    return {"size": size, "sha256": digest.hexdigest()}


def _check_manifest(kept: dict | list, manifest: dict, options: Options) -> None:
    """Refuse to go on with parts of another input or of other options."""
    kept = kept if isinstance(kept, dict) else {}
    names = [name for name in manifest | kept if kept.get(name) != manifest.get(name)]
    if names:
        differences = "; ".join(
            f"{name} was {kept.get(name)!r} and is {manifest.get(name)!r}" for name in names
        )
        raise InputError(
            f"{options.partial} holds the unfinished results of another command: {differences}; "
            "run that one, remove the folder, or pass --restart"
        )


def _finished(folder: Path) -> set[int]:
    """List the parts that are there; damaged ones are computed again."""
    done = set()
    for path in sorted(folder.glob("[0-9]*.json")):
        with suppress(ValueError):
            storage.read_json(path)
            done.add(int(path.stem))
    return done


def _parts(folder: Path) -> Iterator[dict]:
    return (storage.read_json(path) for path in sorted(folder.glob("[0-9]*.json")))


def _assemble(table: Table, options: Options) -> Summary:
    """Put the parts together into the output and the errors file, and remove them."""
    summary = Summary()
    for part in _parts(options.partial):
        summary.products += len(part["rows"])
        summary.no_picture += part["no_picture"]
        summary.bad_rows += len(part["errors"])
    if summary.products != table.rows:
        raise InputError(
            f"{table.path} changed while it was read: expected {table.rows} rows, received "
            f"{summary.products}; run this again with --restart"
        )
    if summary.bad_rows:
        errors = (error for part in _parts(options.partial) for error in part["errors"])
        _write_csv(options.errors, ["line", "index", "reason"], errors)
    else:
        options.errors.unlink(missing_ok=True)
    rows = (row for part in _parts(options.partial) for row in part["rows"])
    if options.submission:
        _write_csv(options.out, list(products.Y_COLUMNS), (row[:2] for row in rows))
    elif options.out.suffix.lower() == ".csv":
        _write_csv(options.out, columns_of(options.top), rows)
    else:
        _write_parquet(options.out, columns_of(options.top), rows)
    shutil.rmtree(options.partial)
    return summary


def _write_csv(path: Path, header: list[str], rows: Iterable[list]) -> None:
    """Write rows as they come: UTF-8, LF line ends, shortest exact floats."""
    with storage.atomic(path) as file:
        text = io.TextIOWrapper(file, encoding="utf-8", newline="")
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)
        text.flush()
        text.detach()  # the file is closed by who opened it


def _write_parquet(path: Path, header: list[str], rows: Iterator[list]) -> None:
    """Write rows by groups."""
    schema = tabulate(header, []).schema
    with storage.atomic(path) as file, pq.ParquetWriter(file, schema, compression="zstd") as writer:
        while group := list(itertools.islice(rows, ROW_GROUP)):
            writer.write_table(tabulate(header, group))


def tabulate(header: list[str], rows: list[list]) -> pa.Table:
    """Make a table of predictions.

    Args:
        header: What `columns_of` gives.
        rows: As `classify_chunk` gives them.

    Returns:
        A row for each; an index that is no number is null.
    """
    types = {"index": pa.int64(), "prdtypecode": pa.int64(), "name": pa.string()}
    types |= {name: pa.int64() for name in header if name.endswith("_code")}
    schema = pa.schema([(name, types.get(name, pa.float64())) for name in header])
    columns = [list(column) for column in zip(*rows, strict=True)] or [[] for _ in header]
    columns[0] = [index if isinstance(index, int) else None for index in columns[0]]
    arrays = [pa.array(c, t) for c, t in zip(columns, schema.types, strict=True)]
    return pa.Table.from_arrays(arrays, schema=schema)


def _shows_blocks() -> bool:
    """Tell whether standard output can show block characters."""
    try:
        "█▏".encode(sys.stdout.encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def _bar(share: float, blocks: bool) -> str:
    """Draw a bar of a share from 0 to 1, in eighths of a character where blocks can be shown."""
    if not blocks:
        return "#" * round(share * BAR)
    whole, eighths = divmod(round(share * BAR * 8), 8)
    return "█" * whole + " ▏▎▍▌▋▊▉"[eighths].strip()


def _contribution(name: str, value: float | None) -> str:
    return f"no {name}" if value is None else f"{name} {value:+.2f}"


def _say(text: str) -> None:
    """Write to standard output, characters that it cannot show as escapes."""
    encoding = sys.stdout.encoding or "ascii"
    sys.stdout.write(text.encode(encoding, "backslashreplace").decode(encoding))


if __name__ == "__main__":
    sys.exit(main())
