"""Run a transform over a catalogue with Ray Data.

Readers yield the rows of partitions, tasks prepare them in chunks, actors compute each chunk, and
the calling process writes the results. Ray repeats what is lost when a process or a machine dies.
It would repeat a process that always dies without end, so attempts are counted, and after some of
them the partition is left out. A chunk that was computed twice is written once.
"""

import contextlib
import json
import logging
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import pyarrow as pa

from rakuten import stage_log
from rakuten.distributed.messages import unpack_table
from rakuten.distributed.output import Done, Output
from rakuten.distributed.partitions import (
    Partition,
    group_by_reader,
    list_tables,
    open_one,
    plan,
)
from rakuten.distributed.transforms import Transform
from rakuten.distributed.workers import ATTEMPTS, Actor, Attempts, Ray, import_ray, prepare, read
from rakuten.serving import image_index, product_images
from rakuten.serving.errors import InputError, one_line
from rakuten.serving.image_index import ImageIndex
from rakuten.serving.prediction_files import Summary
from rakuten.serving.product_images import check_image_columns
from rakuten.serving.product_tables import Table

CHUNKS_PER_ACTOR = 2  # sent to an actor: one is computed, the other waits

READER_CPUS, TASK_CPUS, ACTOR_CPUS = 0.1, 0.5, 0.1
"""CPUs that Ray reserves for a process. If readers and actors could reserve all of them, no task
would start and the run would not end. Different values keep Ray from merging readers and tasks
into one process."""


@dataclass(frozen=True)
class Request:
    """What to read and write.

    Attributes:
        products: A CSV or Parquet file, or a folder of such files; a path or a URI.
        out: The folder to write, a path or a URI.
        images: A folder or an archive, at any depth; None for text alone.
        restart: Whether to start over.
        address: Address of the Ray cluster, None to start one on this machine.
    """

    products: str
    out: str
    images: str | None
    restart: bool = False
    address: str | None = None


class Inputs(NamedTuple):
    """The opened catalogue.

    Attributes:
        paths: The files of products.
        tables: The opened files.
        images: Address and index of the images, None for text alone.
    """

    paths: list[str]
    tables: list[Table]
    images: tuple[str, ImageIndex] | None


def run(request: Request, transform: Transform) -> Summary:
    """Compute a transform for all products whose partition does not exist yet.

    Args:
        request: What to read and write.
        transform: What to compute; its files are at the same paths on every machine.

    Returns:
        Counts of the whole output, earlier runs of the same command included.

    Raises:
        InputError: If an argument cannot be used, Ray is not installed, or the run failed.
    """
    try:
        identity, threads = transform.identity(), transform.threads
    except (OSError, ValueError) as error:
        raise InputError(f"what is computed cannot be loaded: {one_line(error)}") from error
    paths = list_tables(request.products)
    with _cluster(request.address) as ray:
        try:
            inputs, files = _open_inputs(ray, request, paths)
            manifest = {
                "input": files,
                "images": inputs.images
                and {"address": request.images, "sha256": inputs.images[1].digest},
                transform.name: identity,
            }
            output = Output(request.out, transform.name, manifest, restart=request.restart)
            return _run_missing(ray, transform, inputs, output, threads)
        except ray.exceptions.RayError as error:
            cause = error.cause if isinstance(getattr(error, "cause", None), Exception) else error
            if isinstance(cause, InputError):
                raise cause from error
            raise InputError(
                f"the run failed: {one_line(cause)}; the same command continues with what is "
                "missing"
            ) from error


@contextlib.contextmanager
def _cluster(address: str | None) -> Iterator[Ray]:
    """Connect to a cluster, or start one on this machine; a connection that exists is kept."""
    ray = import_ray()
    if ray.is_initialized():
        yield ray
        return
    # None would mean RAY_ADDRESS or any cluster that runs on this machine.
    try:
        ray.init(
            address=address or "local",
            include_dashboard=None if address else False,
            log_to_driver=False,
            logging_level="ERROR",
        )
    except ValueError as error:
        if "AF_UNIX" not in str(error):
            raise
        raise InputError(
            f"the path of the temporary folder, {tempfile.gettempdir()}, is too long for Ray's "
            "sockets, whose paths may have 107 bytes: set RAY_TMPDIR to a short one, such as /tmp"
        ) from error
    logging.getLogger("ray.data").setLevel(logging.CRITICAL)  # errors are raised by `run`
    try:
        yield ray
    finally:
        ray.shutdown()


def _open_inputs(ray: Ray, request: Request, paths: list[str]) -> tuple[Inputs, list[dict]]:
    """Open all files in tasks; return them and what identifies each."""
    opening = ray.remote(open_one)
    opened = ray.get([opening.remote(request.products, path) for path in paths])
    tables = [table for table, _ in opened]
    images = None
    if request.images:
        for table in tables:
            check_image_columns(table)
        index = _index_images(ray, request.images)
        looking, shared = ray.remote(product_images.first_match), ray.put(index)
        matches = ray.get([looking.remote(table, shared) for table in tables])
        product_images.check_matches(matches, index, request.images)
        images = request.images, index
    return Inputs(paths, tables, images), [identity for _, identity in opened]


def _index_images(ray: Ray, address: str) -> ImageIndex:
    """Index all images, each archive in a task."""
    plain, archives = ray.get(ray.remote(image_index.index_folder).remote(address))
    indexing = ray.remote(image_index.index_archive)
    found = ray.get([indexing.remote(address, path) for path in archives])
    return image_index.merge(address, [plain, *found])


def _run_missing(
    ray: Ray, transform: Transform, inputs: Inputs, output: Output, threads: int
) -> Summary:
    """Compute and write the partitions that do not exist yet."""
    partitions = plan(inputs.tables, transform.partition)
    done = output.finished(partitions)
    missing = [partition for partition in partitions if partition.name not in done]
    rows = sum(partition.rows for partition in partitions)
    with stage_log.progress(
        (),
        total=rows,
        unit="product",
        description=transform.name,
        initial=rows - sum(partition.rows for partition in missing),
    ) as bar:
        if missing:
            results = _compute(ray, transform, inputs, missing, threads)
            _write(results, output, missing, inputs.paths, done, bar.update)
    output.complete(partitions, done)
    return Summary(
        rows, sum(d.missing_images for d in done.values()), sum(d.bad_rows for d in done.values())
    )


def _compute(
    ray: Ray, transform: Transform, inputs: Inputs, missing: list[Partition], threads: int
) -> Iterator[dict]:
    """Compute the chunks of partitions; they arrive in any order."""
    context = ray.data.DataContext.get_current().copy()
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    context.raise_original_map_exception = True
    context.target_max_block_size = 1  # one row per block: a prepared chunk has tens of MiB
    resources = ray.cluster_resources()
    cpus = int(resources.get("CPU", 1))
    gpus = int(resources.get("GPU", 0)) if inputs.images and transform.takes_gpu else 0
    attempts = _start_attempts(ray)
    batches = {"batch_size": 1, "batch_format": "pyarrow"}
    with ray.data.DataContext.current(context):
        readers = group_by_reader(missing, inputs.tables)
        items = [{"partitions": json.dumps(partitions)} for partitions in readers]
        rows = ray.data.from_items(items, override_num_blocks=len(items)).map_batches(
            read,
            **batches,
            fn_kwargs={"tables": ray.put(inputs.tables), "attempts": attempts},
            num_cpus=READER_CPUS,
            concurrency=min(len(items), max(1, cpus // 2)),
        )
        prepared = rows.map_batches(
            prepare,
            **batches,
            fn_kwargs={
                "transform": transform,
                "images": ray.put(inputs.images),  # one copy per machine
                "attempts": attempts,
            },
            num_cpus=TASK_CPUS,
        )
        computed = prepared.map_batches(
            Actor,
            **batches,
            fn_constructor_kwargs={"transform": transform, "attempts": attempts},
            compute=ray.data.ActorPoolStrategy(
                min_size=1,
                max_size=gpus or max(1, cpus // threads),
                max_tasks_in_flight_per_actor=CHUNKS_PER_ACTOR,
            ),
            num_cpus=ACTOR_CPUS,
            num_gpus=min(gpus, 1),
            # Ray would set the threads of the libraries to the CPUs of the actor.
            runtime_env={"env_vars": {"OMP_NUM_THREADS": str(threads)}},
        )
        yield from computed.iter_rows()


def _write(
    results: Iterator[dict],
    output: Output,
    missing: Sequence[Partition],
    paths: Sequence[str],
    done: dict[str, Done],
    advance: Callable[[int], object],
) -> None:
    """Collect chunks, and write each partition when all its chunks have arrived."""
    by_first = {partition.first: partition for partition in missing}
    waiting: dict[int, dict[int, dict]] = defaultdict(dict)  # by partition, by chunk
    failed: dict[str, Partition] = {}
    for result in results:
        partition = by_first[result["partition"]]
        if result["table"] is None:
            failed[partition.name] = partition
            continue
        chunks = waiting[partition.first]
        if result["chunk"] in chunks or partition.name in done:
            continue  # computed twice
        chunks[result["chunk"]] = result
        advance(result["rows"])
        if sum(chunk["rows"] for chunk in chunks.values()) == partition.rows:
            ordered = [chunk for _, chunk in sorted(waiting.pop(partition.first).items())]
            table = pa.concat_tables([unpack_table(chunk["table"]) for chunk in ordered])
            file = paths[partition.file]
            errors = [
                (row, file, *error)
                for chunk in ordered
                for row, *error in json.loads(chunk["errors"])
            ]
            missing_images = sum(chunk["missing_images"] for chunk in ordered)
            done[partition.name] = output.write(partition, table, errors, missing_images)
    lost = [partition for name, partition in sorted(failed.items()) if name not in done]
    if lost:
        first = lost[0]
        raise InputError(
            f"{len(lost)} of {len(missing)} partitions could not be computed, the first is "
            f"{first.name}: rows {first.start + 1} to {first.start + first.rows} of "
            f"{paths[first.file]}. Every process that tried died, {ATTEMPTS} times. The others "
            "are written: run the same command to try again, or remove the rows that end the "
            "process and name another folder"
        )
    if any(partition.name not in done for partition in missing):
        raise InputError("the input changed while it was read: run this again with --restart")


def _start_attempts(ray: Ray) -> Any:
    """Start the actor that counts attempts on this machine: if it is lost, the run ends anyway."""
    here = ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy(
        ray.get_runtime_context().get_node_id(), soft=False
    )
    return ray.remote(Attempts).options(num_cpus=0, scheduling_strategy=here).remote()
