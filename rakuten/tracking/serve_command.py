"""Serve a registered classifier over HTTP: `python -m rakuten serve`.

A model contains the library's code as it was registered. The server runs that code: if the library
was imported from elsewhere, the command starts Python again with the model's code on its path.
"""

import argparse
import os
import sys
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

from rakuten import console, storage
from rakuten.serving import package

KEY = "RAKUTEN_API_KEY"
"""The environment variable with the key that clients must send."""

MAX_BODY = 16
"""Default for the largest request body, in MiB: 256 products with images of 45 KB. The challenge's
images have 26 KB on average."""

MIB = 1 << 20

STOP_TIMEOUT = 8
"""Seconds to finish requests after SIGTERM: Docker kills a container after 10."""

PACKAGE = Path("artifacts/package")
"""The package in the folder of a model."""

CODE = Path("code")
"""The library in the folder of a model."""


class ServeError(RuntimeError):
    """The model cannot be served; the message says what to do."""


def main(arguments: list[str]) -> int:
    """Run the command.

    Args:
        arguments: The command's options.

    Returns:
        The exit status: 0 after Ctrl-C, 2 after an error.
    """
    given = _parser().parse_args(arguments)
    try:
        key = read_key(os.environ)
        console.check_port(given.host, given.port, "python -m rakuten serve")
        if given.model is None:
            given.model = _champion()
        if given.model is None:
            return 2
        _check(given.model)
        if not _runs_code_of(given.model):
            _start_with_code_of(given.model, arguments)
        serve(given, key)
    except (ServeError, console.PortError, package.OutdatedError) as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
    except KeyboardInterrupt:
        print()
    return 0


def read_key(environment: Mapping[str, str]) -> str | None:
    """Read the key that clients must send.

    Args:
        environment: The environment variables.

    Returns:
        The key, None if the variable is not set.

    Raises:
        ServeError: If it is empty, or cannot be sent in a header.
    """
    key = environment.get(KEY)
    if key is not None and not (key and key.isascii() and key.isprintable() and " " not in key):
        raise ServeError(
            f"{KEY} is {'invalid' if key else 'empty'}: expected printable ASCII characters "
            "without spaces; unset it to serve without a key"
        )
    return key


def identify(model: Path) -> dict[str, Any]:
    """Identify the model in a folder.

    Args:
        model: The folder of a model, as `mlflow artifacts download` writes it.

    Returns:
        model and version in the registry, package (its digest), commit, dataset, dataset_digest,
        fitted_on ("all" or "train"), models (the names that a request can choose), products (how
        many the ensembles were fitted on). What is not known is "" or None.

    Raises:
        package.OutdatedError: If another version of the library wrote its package.
    """
    meta = model / "registered_model_meta"
    registered = storage.read_yaml(meta) if meta.exists() else {}
    logged = storage.read_yaml(model / "MLmodel").get("metadata") or {}
    summary = package.read_summary(model / PACKAGE)
    fitted = summary.get("fitted_on", {})
    return {
        "model": registered.get("model_name", ""),
        "version": str(registered.get("model_version", "")),
        "package": package.digest(model / PACKAGE),
        "commit": logged.get("git.commit", ""),
        "dataset": summary["dataset"].get("name", ""),
        "dataset_digest": summary["dataset"].get("digest", ""),
        "fitted_on": fitted.get("rows", ""),
        "products": fitted.get("products"),
        "models": list(package.models(summary)),
    }


def serve(given: argparse.Namespace, key: str | None) -> None:
    """Serve a model until the process is interrupted.

    The health checks are answered at once, requests when the model is loaded and warm.

    Args:
        given: host, port, max_body in MiB, and model, its folder.
        key: What clients must send, None if no key is required.

    Raises:
        ServeError: If the model cannot be loaded.
        package.OutdatedError: If another version of the library wrote its package.
        KeyboardInterrupt: After Ctrl-C.
    """
    try:
        identity = identify(given.model)
    except FileNotFoundError as error:
        raise ServeError(
            f"the model in {given.model} is incomplete ({error}): download it again"
        ) from error
    import uvicorn  # here, because MLflow is slow and the options are checked before
    from mlflow.exceptions import MlflowException
    from mlflow.pyfunc import load_model

    from rakuten.tracking import server

    application = server.create(identity, key=key, max_body=given.max_body * MIB)
    if key is None:
        print(f"{KEY} is not set: everyone who reaches the port can send requests", flush=True)
    settings = uvicorn.Config(
        application,
        host=given.host,
        port=given.port,
        ws="none",
        timeout_graceful_shutdown=STOP_TIMEOUT,
    )
    running = uvicorn.Server(settings)

    def stop_without_model(loading: Future) -> None:
        if loading.exception() is not None:  # keep True after Ctrl-C
            running.should_exit = True

    with ThreadPoolExecutor(1) as threads:
        loading = threads.submit(
            lambda: server.serve_model(application, load_model(str(given.model)))
        )
        loading.add_done_callback(stop_without_model)
        running.run()
    try:
        loading.result()
    except (MlflowException, OSError) as error:
        raise ServeError(f"the model in {given.model} cannot be loaded: {error}") from error


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m rakuten serve",
        description="Serve the champion over HTTP: docs/serving.md. "
        f"Clients must send the key in {KEY}, if it is set.",
        allow_abbrev=False,
    )
    parser.add_argument(
        "--model",
        type=Path,
        metavar="FOLDER",
        help="a model that 'mlflow artifacts download' wrote (default: the champion)",
    )
    parser.add_argument("--host", default="127.0.0.1", help="where to listen (%(default)s)")
    parser.add_argument("--port", type=int, default=5001, help="(%(default)s)")
    parser.add_argument(
        "--max-body",
        type=_positive,
        default=MAX_BODY,
        metavar="MIB",
        help="largest request body; twice as much is held in memory at most (%(default)s)",
    )
    return parser


def _positive(text: str) -> int:
    """Read a positive integer."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a positive integer, received {text!r}")
    return int(text)


def _champion() -> Path | None:
    """Show the champion and find its files; None after an error message."""
    from rakuten.tracking import command  # slow; a model in a folder needs no registry

    if command.main(["champion"]):
        return None
    import mlflow
    from mlflow.exceptions import MlflowException

    from rakuten.tracking import addresses, registry, results

    mlflow.set_tracking_uri(addresses.resolve(addresses.configured(), results.root()))
    address = f"models:/{registry.NAME}@{registry.CHAMPION}"
    try:
        return Path(mlflow.artifacts.download_artifacts(address))
    except (MlflowException, OSError) as error:
        raise ServeError(
            f"the files of the champion cannot be read from MLflow: {addresses.mask(str(error))}"
        ) from error


def _check(model: Path) -> None:
    """Check that a folder is a model that this command can serve."""
    if not (model / "MLmodel").exists():
        raise ServeError(
            f"{model} has no file MLmodel: expected a folder that 'mlflow artifacts download' wrote"
        )
    if not (model / CODE / "rakuten/tracking" / Path(__file__).name).exists():
        raise ServeError(
            f"the model in {model} was registered before the command 'serve' existed: delete its "
            "version in MLflow, then run 'python -m rakuten register' and 'promote'"
        )


def _runs_code_of(model: Path) -> bool:
    """Return whether this module belongs to a model."""
    return Path(__file__).resolve().is_relative_to((model / CODE).resolve())


def _start_with_code_of(model: Path, arguments: list[str]) -> None:
    """Replace this process by one that imports the library from a model."""
    sys.stdout.flush()
    paths = [str((model / CODE).resolve()), os.environ.get("PYTHONPATH", "")]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, paths))}
    command = [sys.executable, "-P", "-B"]  # no working directory, no compiled code in the store
    command += ["-m", "rakuten", "serve", *arguments, "--model", str(model)]
    os.execve(sys.executable, command, environment)
