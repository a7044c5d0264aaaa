"""Ray Data around a job: partitions in, chunks decoded in tasks, networks in actors, files out.

Ray Data schedules, holds back who is too fast, and does again what is lost with a process or a
machine. It would do so for ever with what kills its process, so starts are counted, and what died
too often is left out. The driver alone writes: a chunk that was computed twice is written once.
"""

import contextlib
import json
import logging
import os
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa

from rakuten import stage_log
from rakuten.distributed import pictures as catalogue
from rakuten.distributed.jobs import Cleaning, Extraction, Prediction
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
from rakuten.image import extraction
from rakuten.serving import product_files
from rakuten.serving.batch_prediction import Reading, Summary
from rakuten.serving.classifier import Prepared
from rakuten.serving.product_files import InputError, Mark

if TYPE_CHECKING:
    import ray

Job = Cleaning | Extraction | Prediction

IN_FLIGHT = 2  # chunks sent to an actor: one that it computes, one that waits
ATTEMPTS = 3  # processes that a chunk, or the reading of a partition, may cost
READING = -1  # the number of the chunk that stands for the reading of a whole partition

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


def clean(request: Request, resources: str | os.PathLike, settings: dict) -> Summary:
    """Clean every product's text; see `predict`.

    Args:
        request: What to read and to write.
        resources: The folder of the stage `resources`, which every machine can read by this path.
        settings: The section `clean` of params.yaml.
    """
    return _run(request, Cleaning(str(Path(resources).absolute()), settings))


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
    return _run(request, Prediction(str(Path(package).absolute()), top))


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
    return _run(request, Extraction(str(Path(weights).absolute()), settings, threads))


def _import() -> "ray":
    """Import Ray, quietly, without reports to its makers and without a dashboard."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray
        import ray.data
    except ImportError as error:
        raise InputError(
            f"--engine ray needs Ray, which is not installed ({error}): run "
            "'pip install -r requirements/scale.txt'"
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
        except ray.exceptions.RayError as error:
            cause = error.cause if isinstance(getattr(error, "cause", None), Exception) else error
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
    with stage_log.progress(
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
        tables = [replace(table, marks=()) for table in tables]  # each partition has its own
        shared = ray.put((tables, index))  # one copy on each machine, however many processes
        starts = _count_starts(ray)
        decoded = data.map_batches(
            _decode,
            batch_size=1,
            batch_format="pyarrow",
            fn_kwargs={"job": job, "images": request.images, "shared": shared, "starts": starts},
            num_cpus=DECODER,
        )
        resources = ray.cluster_resources()
        gpus = int(resources.get("GPU", 0)) if request.images and job.takes_gpu else 0
        most = gpus or max(1, int(resources.get("CPU", 1)) // threads)
        computed = decoded.map_batches(
            _Model,
            batch_size=1,
            batch_format="pyarrow",
            fn_constructor_kwargs={"job": job, "starts": starts},
            compute=ray.data.ActorPoolStrategy(
                min_size=1, max_size=most, max_tasks_in_flight_per_actor=IN_FLIGHT
            ),
            num_cpus=ACTOR,
            num_gpus=min(gpus, 1),
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
    lost = {}
    for result in results:
        partition = by_first[result["partition"]]
        if result["table"] is None:
            lost[partition.name] = partition
            continue
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
    lost = [partition for _, partition in sorted(lost.items()) if partition.name not in done]
    if lost:
        first = lost[0]
        raise InputError(
            f"{len(lost)} of {len(missing)} partitions could not be computed, first {first.name}, "
            f"the {first.rows} rows from line {first.mark.line} of {paths[first.file]} on: every "
            f"process that tried died, {ATTEMPTS} times; the others are written; try again with "
            "the same command, or take out what kills them and name another folder"
        )
    if any(partition.name not in done for partition in missing):
        raise InputError("the input changed while it was read: run this again with --restart")


def _count_starts(ray: "ray") -> "ray.ActorHandle":
    """Start the counter of starts on this machine, without which the run ends anyway."""
    here = ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy(
        ray.get_runtime_context().get_node_id(), soft=False
    )
    return ray.remote(_Starts).options(num_cpus=0, scheduling_strategy=here).remote()


class _Starts:
    """Counts how often work was begun and not ended: by a process that died."""

    def __init__(self):
        self._begun = Counter()

    def begin(self, work: tuple[int, int]) -> bool:
        """Tell whether to begin it once more."""
        self._begun[work] += 1
        return self._begun[work] <= ATTEMPTS

    def end(self, work: tuple[int, int]) -> None:
        """Take note that it was done, for it may be asked for again when its result is lost."""
        del self._begun[work]


def _decode(
    batch: pa.Table,
    *,
    job: Job,
    images: str | None,
    shared: "ray.ObjectRef",
    starts: "ray.ActorHandle",
) -> Iterator[pa.Table]:
    """Read and prepare the chunks of one partition; runs in a task."""
    ray = _import()
    tables, index = ray.get(shared)
    first, rows, file, mark = json.loads(batch["partition"][0].as_py())
    if not ray.get(starts.begin.remote((first, READING))):
        yield _readings(first, READING, None)
        return
    partition = Partition(first, rows, file, Mark(*mark))
    pictures = catalogue.IndexedPictures(images, index) if index is not None else None
    for number, chunk in enumerate(chunks(partition, tables[file], job.chunk)):
        yield _readings(first, number, pack([job.prepare(row, pictures) for row in chunk]))
    starts.end.remote((first, READING))


def _readings(first: int, number: int, content: bytes | None) -> pa.Table:
    """Lay out a chunk of a partition, or the word that it cannot be read."""
    return pa.table(
        {
            "partition": pa.array([first], pa.int64()),
            "chunk": pa.array([number], pa.int64()),
            "readings": pa.array([content], pa.large_binary()),
        }
    )


class _Model:
    """An actor that loads the networks once."""

    def __init__(self, job: Job, starts: "ray.ActorHandle"):
        self._compute, self._starts = job.load(), starts

    def __call__(self, batch: pa.Table) -> pa.Table:
        """Take a chunk through the networks."""
        work = batch["partition"][0].as_py(), batch["chunk"][0].as_py()
        content = batch["readings"][0].as_py()
        if content is None or not _import().get(self._starts.begin.remote(work)):
            return self._result(batch, [], None)
        readings = unpack(content, Prepared)
        table = write_stream(self._compute(readings))
        self._starts.end.remote(work)
        return self._result(batch, readings, table)

    def _result(self, batch: pa.Table, readings: list[Reading], table: bytes | None) -> pa.Table:
        """Lay out what became of a chunk; no table if it was given up."""
        errors = [
            [r.row.position, r.row.line, str(r.row.index), "; ".join(r.faults)]
            for r in readings
            if r.faults
        ]
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
