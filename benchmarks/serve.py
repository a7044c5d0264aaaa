"""Measure the server of the packaged classifier: its first image, and requests in parallel."""

import base64
import json
import socket
import time
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

import mlflow
import psutil

from benchmarks import measure
from rakuten import prefetch, storage
from rakuten.tracking import registry, served

REQUESTS, REPEATS = 48, 3
PACKAGE = measure.ROOT / "build/package"
ARCHIVE = measure.ROOT / "data/images.zip"


@contextmanager
def server(folder: Path) -> Iterator[tuple[str, psutil.Process]]:
    """Start MLflow's server as `make serve` does; yield its address when it is ready."""
    mlflow.pyfunc.save_model(
        folder / "model", python_model=str(registry.SERVED), signature=served.SIGNATURE,
        artifacts={"package": str(PACKAGE)}, pip_requirements=[],
    )  # fmt: skip
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = measure.python("-m", "mlflow", "models", "serve", "-m", str(folder / "model"))
    command += ["--env-manager", "local", "--port", str(port)]
    with (folder / "server.log").open("w") as log:
        process = psutil.Popen(command, cwd=measure.ROOT, stdout=log, stderr=log)
    address = f"http://127.0.0.1:{port}"
    try:
        while process.poll() is None:
            with suppress(OSError), urllib.request.urlopen(f"{address}/ping"):
                break
            time.sleep(0.1)
        else:
            raise RuntimeError((folder / "server.log").read_text())
        yield address, process
    finally:
        for child in [*process.children(recursive=True), process]:
            with suppress(psutil.NoSuchProcess):
                child.kill()


def post(address: str, image: bytes) -> None:
    """Ask for the category of an image."""
    record = {"title": "", "image": base64.b64encode(image).decode()}
    body = json.dumps({"dataframe_records": [record]}).encode()
    headers = {"Content-Type": "application/json"}
    with urllib.request.urlopen(
        urllib.request.Request(f"{address}/invocations", body, headers)
    ) as answer:
        answer.read()


def cpu_seconds(process: psutil.Process) -> float:
    """CPU time of a process and its children."""
    times = [one.cpu_times() for one in (process, *process.children(recursive=True))]
    return sum(one.user + one.system for one in times)


def main() -> None:
    """Measure the first answer, then requests one after another and in parallel."""
    with storage.ImageArchive(ARCHIVE) as archive:
        images = [archive.read(name) for name in archive.names()[:REQUESTS]]
    clients = 2 * prefetch.available_cpus()
    with measure.scratch("serve") as folder, server(folder) as (address, process):
        begun = time.perf_counter()
        post(address, images[0])
        first = time.perf_counter() - begun
        cpus = []

        def one_by_one() -> None:
            for image in images:
                post(address, image)

        def in_parallel() -> None:
            begun, used = time.perf_counter(), cpu_seconds(process)
            with ThreadPoolExecutor(clients) as pool:
                list(pool.map(lambda image: post(address, image), images))
            cpus.append((cpu_seconds(process) - used) / (time.perf_counter() - begun))

        ways = {"ours": in_parallel, "naive": one_by_one}
        turns = measure.in_turns(ways, repeats=REPEATS)
    note = f"{clients} clients, one image per request; naive: one client"
    rows = [
        measure.Row("first served image", measure.median([first]), "s", note="once the server says "
                    "that it is ready"),
        measure.rate("served images", "requests", turns["ours"], REQUESTS, note,
                     naive=turns["naive"]),
        measure.Row("cores in use", measure.median(cpus), "cores", note="by the server meanwhile: "
                    "CPU time / elapsed time"),
    ]  # fmt: skip
    measure.keep("serve", rows)


if __name__ == "__main__":
    main()
