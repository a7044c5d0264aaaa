"""Measure the server of the packaged classifier: latency, parallel requests, memory in a flood.

`python -m benchmarks.serve flood` measures the memory alone.
"""

import base64
import http.client
import json
import socket
import sys
import threading
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

import mlflow
import psutil

from benchmarks import measure
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


def cpu_seconds(process: psutil.Process) -> float:
    """CPU time of a process and its children."""
    times = [one.cpu_times() for one in (process, *process.children(recursive=True))]
    return sum(one.user + one.system for one in times)


def memory(process: psutil.Process) -> float:
    """MiB in use by a process and its children."""
    both = (process, *process.children(recursive=True))
    return sum(one.memory_info().rss for one in both) / 2**20


def flood(address: str, process: psutil.Process, body: bytes) -> tuple[float, Counter]:
    """Send a body from all clients at the same time; return the peak in MiB, and the statuses."""
    ended, peak = threading.Event(), 0.0

    def send(_: int) -> int:
        connection = http.client.HTTPConnection(address.removeprefix("http://"), timeout=600)
        connection.request("POST", "/invocations", body, {"Content-Type": "application/json"})
        return connection.getresponse().status

    with ThreadPoolExecutor(CLIENTS) as clients:
        answers = [clients.submit(send, number) for number in range(CLIENTS)]
        while not all(answer.done() for answer in answers):
            peak = max(peak, memory(process))
            ended.wait(0.02)
    return peak, Counter(answer.result() for answer in answers)


def body_of(products: int) -> bytes:
    """Write a request with the largest accepted body."""
    text = "x " * (LARGEST // products // 2)
    while True:
        body = json.dumps({"dataframe_records": [{"title": text}] * products}).encode()
        if len(body) <= LARGEST:
            return body
        text = text[: -1 - (len(body) - LARGEST) // products]


def measure_flood(model: Path) -> list[measure.Row]:
    """Compare the peak memory with that of MLflow's server, and with that of an idle one."""
    bodies = {
        "256 long texts": body_of(256),
        "a million rows": b'{"dataframe_records": [' + b'{"title":""},' * (LARGEST // 13 - 3)
        + b'{"title":""}]}',
    }  # fmt: skip
    rows = []
    for name, body in {**bodies, "too large": b" " * (4 * LARGEST)}.items():
        peaks, notes = {}, []
        for server_name, command in (("ours", OURS), ("naive", MLFLOW)):
            if (name, server_name) == ("too large", "naive"):
                continue  # MLflow has no limit
            with server(model, command, "/ping") as (address, process):
                idle = memory(process)
                peaks[server_name], statuses = flood(address, process, body)
            answers = ", ".join(f"{count} x {status}" for status, count in statuses.items())
            notes.append(f"{server_name} idle {idle:.0f} MiB, answers {answers}")
        ours, naive = measure.median([peaks["ours"]]), peaks.get("naive")
        rows.append(
            measure.Row(
                f"peak memory, {name}", ours, "MiB", naive and measure.median([naive]),
                naive and measure.median([naive / ours]),
                f"{CLIENTS} parallel bodies of {len(body) / 2**20:.0f} MiB; {'; '.join(notes)}",
            )
        )  # fmt: skip
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
            begun, used = time.perf_counter(), cpu_seconds(process)
            with ThreadPoolExecutor(clients) as pool:
                list(pool.map(lambda image: post(address, image), images))
            cpus.append((cpu_seconds(process) - used) / (time.perf_counter() - begun))

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
        memory_rows = measure_flood(model)
        if sys.argv[1:] == ["flood"]:
            print(measure.table([row.__dict__ for row in memory_rows]))
            return
        measure.keep("serve", [*measure_latency(model), *memory_rows])


if __name__ == "__main__":
    main()
