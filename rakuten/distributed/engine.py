"""Ray Data around a job: partitions in, chunks decoded in tasks, networks in actors, files out.

Ray Data schedules, holds back who is too fast, and does again what is lost with a process or a
machine. The driver alone writes: a chunk that was computed twice is written once.
"""

import contextlib
import json
import logging
import os
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa

from rakuten import extraction, journal, product_files
from rakuten.classifier import Prepared
from rakuten.distributed import pictures as catalogue
from rakuten.distributed.jobs import Extraction, Prediction
from rakuten.distributed.output import Done, Output
from rakuten.distributed.partitions import (
    Partition,
    chunks,
    list_tables,
    open_one,
    pack,
    plan,
    read_stream,
    unpack,
    write_stream,
)
from rakuten.predict import Summary
from rakuten.product_files import InputError, Mark

if TYPE_CHECKING:
    import ray

Job = Prediction | Extraction

IN_FLIGHT = 2  # chunks sent to an actor: one that it computes, one that waits

DECODER, ACTOR = 0.5, 0.1
"""Processors that Ray counts for a process. If actors could fill the machines, or those that are
left when others die, no decoder would start there and the run would stand still."""


@dataclass(frozen=True)
class Request:
    """What a run was asked for.

    Attributes:
        products: A CSV or Parquet file, or a folder of such; a path or a URI.
        out: The folder to write.
        images: A folder, a zip archive or a folder of such; None for text alone.
        restart: Whether to begin anew.
        address: The Ray cluster, None for this machine alone.
    """

    products: str
    out: str
    images: str | None
    restart: bool = False
    address: str | None = None


def predict(request: Request, package: str | os.PathLike, top: int) -> Summary:
    """Predict every product of a catalogue.

    Args:
        request: What to read and to write.
        package: The classifier's folder, which every machine can read by this path.
        top: Choices per product.

    Returns:
        What is written, earlier runs of the same command included.

    Raises:
        InputError: If something given does not fit, Ray is missing, or the run failed.
    """
    return _run(request, Prediction(os.path.abspath(package), top))  # noqa: PTH100


def extract(
    request: Request, weights: str | os.PathLike, settings: extraction.Settings, threads: int
) -> Summary:
    """Extract the features of every product's picture; see `predict`.

    Args:
        request: What to read and to write.
        weights: The backbone's weights, which every machine can read by this path.
        settings: The section `extract` of params.yaml.
        threads: Threads of the network.
    """
    return _run(request, Extraction(os.path.abspath(weights), settings, threads))  # noqa: PTH100


def _import() -> "ray":
    """Import Ray, quietly, without reports to its makers and without a dashboard."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray
        import ray.data
    except ImportError as error:
        raise InputError(
            f"--engine ray needs Ray, which is not installed ({error}): run "
            "'pip install -r requirements-scale.txt'"
        ) from error
    return ray


@contextlib.contextmanager
def _cluster(address: str | None) -> Iterator["ray"]:
    """Join a cluster, or start one on this machine; one that runs in this process is kept."""
    ray = _import()
    if ray.is_initialized():
        yield ray
        return
    # Ray takes RAY_ADDRESS, and a cluster that runs here, for None: say "local" for neither.
    ray.init(
        address=address or "local",
        include_dashboard=None if address else False,
        log_to_driver=False,
        logging_level="ERROR",
    )
    logging.getLogger("ray.data").setLevel(logging.CRITICAL)  # what fails is told by who calls
    try:
        yield ray
    finally:
        ray.shutdown()


def _run(request: Request, job: Job) -> Summary:
    """Do a job on every product whose partition is not there yet."""
    try:
        identity = job.identity()
        threads = job.threads
    except (OSError, ValueError) as error:
        told = product_files.one_line(error)
        raise InputError(f"what the job needs cannot be loaded: {told}") from error
    paths = list_tables(request.products)
    with _cluster(request.address) as ray:
        try:
            return _run_on(ray, request, job, paths, identity, threads)
        except ray.exceptions.RayTaskError as error:
            cause = error.cause if isinstance(error.cause, Exception) else error
            if isinstance(cause, InputError):
                raise cause from error
            raise InputError(
                f"the run failed: {product_files.one_line(cause)}; the same command goes on from "
                "what is there"
            ) from error


def _run_on(
    ray: "ray", request: Request, job: Job, paths: list[str], identity: dict, threads: int
) -> Summary:
    """Plan, compute what is missing and write it."""
    opening = ray.remote(open_one)
    opened = ray.get([opening.remote(request.products, path, job.partition) for path in paths])
    tables = [table for table, _ in opened]
    index = None
    if request.images:
        for table in tables:
            product_files.check_picture_columns(table)
        index = _index(ray, request.images)
    manifest = {
        "input": [file for _, file in opened],
        "images": {"address": request.images, "sha256": index.digest} if index else None,
        job.name: identity,
    }
    partitions = plan(tables, job.partition)
    output = Output(request.out, job.name, manifest, restart=request.restart)
    done = output.finished(partitions)
    missing = [partition for partition in partitions if partition.name not in done]
    rows = sum(partition.rows for partition in partitions)
    with journal.progress(
        (),
        total=rows,
        unit="product",
        description=job.name,
        initial=rows - sum(partition.rows for partition in missing),
    ) as bar:
        if missing:
            results = _results(ray, request, job, tables, index, missing, threads)
            _write(results, output, missing, paths, done, bar.update)
    output.complete(partitions, done)
    return Summary(
        rows, sum(d.no_picture for d in done.values()), sum(d.bad_rows for d in done.values())
    )


def _index(ray: "ray", address: str) -> catalogue.Listing:
    """List all pictures, the archives in tasks."""
    loose, archives = ray.get(ray.remote(catalogue.list_folder).remote(address))
    listing = ray.remote(catalogue.list_archive)
    found = ray.get([listing.remote(address, path) for path in archives])
    index = catalogue.merge([loose, *found])
    if not len(index.hashes):
        raise InputError(f"{address} holds no files: pass the folder or archive of pictures")
    return index


def _results(
    ray: "ray",
    request: Request,
    job: Job,
    tables: Sequence,
    index: catalogue.Listing | None,
    missing: list[Partition],
    threads: int,
) -> Iterator[dict]:
    """Compute the chunks of partitions, in any order."""
    context = ray.data.DataContext.get_current().copy()
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    context.raise_original_map_exception = True
    context.target_max_block_size = 1  # a chunk is a block: decoded, it has tens of MiB
    with ray.data.DataContext.current(context):
        items = [{"partition": json.dumps(partition)} for partition in missing]
        data = ray.data.from_items(items, override_num_blocks=len(items))
        shared = ray.put((tables, index))  # one copy on each machine, however many processes
        decoded = data.map_batches(
            _decode,
            batch_size=1,
            batch_format="pyarrow",
            fn_kwargs={"job": job, "images": request.images, "shared": shared},
            num_cpus=DECODER,
        )
        most = max(1, int(ray.cluster_resources().get("CPU", 1)) // threads)
        computed = decoded.map_batches(
            _Model,
            batch_size=1,
            batch_format="pyarrow",
            fn_constructor_kwargs={"job": job},
            compute=ray.data.ActorPoolStrategy(
                min_size=1, max_size=most, max_tasks_in_flight_per_actor=IN_FLIGHT
            ),
            num_cpus=ACTOR,
            scheduling_strategy="SPREAD",
            # Ray would give the libraries as many threads as the actor has processors.
            runtime_env={"env_vars": {"OMP_NUM_THREADS": str(threads)}},
        )
        yield from computed.iter_rows()


def _write(
    results: Iterator[dict],
    output: Output,
    missing: Sequence[Partition],
    paths: Sequence[str],
    done: dict[str, Done],
    advance,
) -> None:
    """Collect chunks and write each partition when its last one is there."""
    by_first = {partition.first: partition for partition in missing}
    waiting: dict[int, dict[int, dict]] = defaultdict(dict)
    for result in results:
        partition = by_first[result["partition"]]
        chunks_there = waiting[partition.first]
        if result["chunk"] in chunks_there or partition.name in done:
            continue  # computed twice
        chunks_there[result["chunk"]] = result
        advance(result["rows"])
        if sum(chunk["rows"] for chunk in chunks_there.values()) == partition.rows:
            whole = [chunk for _, chunk in sorted(waiting.pop(partition.first).items())]
            table = pa.concat_tables([read_stream(chunk["table"]) for chunk in whole])
            file = paths[partition.file]
            errors = [
                (row, file, *told) for chunk in whole for row, *told in json.loads(chunk["errors"])
            ]
            no_picture = sum(chunk["no_picture"] for chunk in whole)
            done[partition.name] = output.write(partition, table, errors, no_picture)
    if any(partition.name not in done for partition in missing):
        raise InputError("the input changed while it was read: run this again with --restart")


def _decode(
    batch: pa.Table, *, job: Job, images: str | None, shared: "ray.ObjectRef"
) -> Iterator[pa.Table]:
    """Read and prepare the chunks of one partition; runs in a task."""
    tables, index = _import().get(shared)
    first, rows, file, mark = json.loads(batch["partition"][0].as_py())
    partition = Partition(first, rows, file, Mark(*mark))
    pictures = catalogue.IndexedPictures(images, index) if index is not None else None
    for number, chunk in enumerate(chunks(partition, tables[file], job.chunk)):
        content = pack([job.prepare(row, pictures) for row in chunk])
        yield pa.table(
            {
                "partition": pa.array([first], pa.int64()),
                "chunk": pa.array([number], pa.int64()),
                "readings": pa.array([content], pa.large_binary()),
            }
        )


class _Model:
    """An actor that loads the networks once."""

    def __init__(self, job: Job):
        self._compute = job.load()

    def __call__(self, batch: pa.Table) -> pa.Table:
        """Take a chunk through the networks."""
        readings = unpack(batch["readings"][0].as_py(), Prepared)
        errors = [
            [r.row.position, r.row.line, str(r.row.index), "; ".join(r.faults)]
            for r in readings
            if r.faults
        ]
        table = write_stream(self._compute(readings))
        return pa.table(
            {
                "partition": batch["partition"],
                "chunk": batch["chunk"],
                "rows": pa.array([len(readings)], pa.int64()),
                "table": pa.array([table], pa.large_binary()),
                "errors": [json.dumps(errors)],
                "no_picture": pa.array([sum(r.no_picture for r in readings)], pa.int64()),
            }
        )
