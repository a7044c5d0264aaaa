"""Measure the server of the packaged classifier: latency, parallel requests, memory in a flood.

`python -m benchmarks.serve flood` measures the memory alone.
"""

import base64
import http.client
import json
import socket
import sys
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path

import mlflow
import psutil

from benchmarks import measure, processes
from rakuten import prefetch, storage
from rakuten.tracking import registry, serve_command, served

REQUESTS, REPEATS = 48, 3
PACKAGE = measure.ROOT / "build/package"
ARCHIVE = measure.ROOT / "data/images.zip"
CLIENTS = 16
"""Clients that send large bodies at the same time."""

LARGEST = serve_command.MAX_BODY << 20
OURS = ("-m", "rakuten", "serve", "--model")
MLFLOW = ("-m", "mlflow", "models", "serve", "--env-manager", "local", "--model-uri")


def save(folder: Path) -> Path:
    """Save the classifier with MLflow, as a registered version is."""
    mlflow.pyfunc.save_model(
        folder / "model", python_model=str(registry.SERVED), signature=served.SIGNATURE,
        artifacts={"package": str(PACKAGE)}, code_paths=[str(measure.ROOT / "rakuten")],
        pip_requirements=[],
    )  # fmt: skip
    return folder / "model"


@contextmanager
def server(
    model: Path, command: Sequence[str] = OURS, path: str = "/readyz"
) -> Iterator[tuple[str, psutil.Process]]:
    """Start a server as `make serve` does, or MLflow's; yield its address when it is ready."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    arguments = measure.python(*command, str(model), "--port", str(port))
    log = model.parent / "server.log"
    with log.open("w") as output:
        process = psutil.Popen(arguments, cwd=measure.ROOT, stdout=output, stderr=output)
    address = f"http://127.0.0.1:{port}"
    try:
        while process.poll() is None:
            with suppress(OSError), urllib.request.urlopen(address + path):
                break
            time.sleep(0.1)
        else:
            raise RuntimeError(log.read_text())
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


def flood(address: str, process: psutil.Process, body: bytes) -> tuple[float, Counter]:
    """Send a body from all clients at the same time; return the peak in MiB, and the statuses."""
    peak = 0.0

    def send(_: int) -> int:
        connection = http.client.HTTPConnection(address.removeprefix("http://"), timeout=600)
        connection.request("POST", "/invocations", body, {"Content-Type": "application/json"})
        return connection.getresponse().status

    with ThreadPoolExecutor(CLIENTS) as clients:
        answers = [clients.submit(send, number) for number in range(CLIENTS)]
        while not all(answer.done() for answer in answers):
            peak = max(peak, processes.usage_of(process.pid)[0] / 2**20)
            time.sleep(0.02)
    return peak, Counter(answer.result() for answer in answers)


def measure_flood(model: Path) -> list[measure.Row]:
    """Compare the peak memory with that of MLflow's server, and with that of an idle one.

    A million empty products take more memory than images and texts of the same size.
    """
    products = b",".join([b'{"title":""}'] * (LARGEST // 13 - 2))
    products = b'{"dataframe_records":[%b]}' % products
    rows = []
    for name, body, commands in (
        ("largest bodies", products, {"ours": OURS, "naive": MLFLOW}),
        ("too large bodies", b" " * (4 * LARGEST), {"ours": OURS}),  # MLflow accepts all sizes
    ):
        peaks: dict[str, float] = {}
        notes = [f"{CLIENTS} parallel requests of {len(body) / 2**20:.0f} MiB"]
        for who, command in commands.items():
            with server(model, command, "/ping") as (address, process):
                idle = processes.usage_of(process.pid)[0] / 2**20
                peaks[who], statuses = flood(address, process, body)
            answers = ", ".join(f"{count} x {status}" for status, count in statuses.items())
            notes.append(f"{who}: idle {idle:.0f} MiB, answers {answers}")
        ours, naive = peaks["ours"], peaks.get("naive")
        values = [measure.median([ours]), "MiB"]
        if naive:
            values += [measure.median([naive]), measure.median([naive / ours])]
        rows.append(measure.Row(f"peak memory, {name}", *values, note="; ".join(notes)))
    return rows


def measure_latency(model: Path) -> list[measure.Row]:
    """Measure the first answer, then requests one after another and in parallel."""
    with storage.ImageArchive(ARCHIVE) as archive:
        images = [archive.read(name) for name in archive.names()[:REQUESTS]]
    clients = 2 * prefetch.available_cpus()
    with server(model) as (address, process):
        begun = time.perf_counter()
        post(address, images[0])
        first = time.perf_counter() - begun
        cpus = []

        def one_by_one() -> None:
            for image in images:
                post(address, image)

        def in_parallel() -> None:
            begun, used = time.perf_counter(), processes.usage_of(process.pid)[1]
            with ThreadPoolExecutor(clients) as pool:
                list(pool.map(lambda image: post(address, image), images))
            spent = processes.usage_of(process.pid)[1] - used
            cpus.append(spent / (time.perf_counter() - begun))

        ways = {"ours": in_parallel, "naive": one_by_one}
        turns = measure.in_turns(ways, repeats=REPEATS)
    note = f"{clients} clients, one image per request; naive: one client"
    return [
        measure.Row("first served image", measure.median([first]), "s", note="once the server says "
                    "that it is ready"),
        measure.rate("served images", "requests", turns["ours"], REQUESTS, note,
                     naive=turns["naive"]),
        measure.Row("cores in use", measure.median(cpus), "cores", note="by the server meanwhile: "
                    "CPU time / elapsed time"),
    ]  # fmt: skip


def main() -> None:
    """Measure what the command line names, by default everything."""
    with measure.scratch("serve") as folder:
        model = save(folder)
        if sys.argv[1:] == ["flood"]:
            print(measure.table([asdict(row) for row in measure_flood(model)]))
        else:
            measure.save("serve", [*measure_latency(model), *measure_flood(model)])


if __name__ == "__main__":
    main()
