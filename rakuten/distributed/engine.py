"""Run a transform over a catalogue with Ray Data.

Each item of the dataset is a partition. Actors read it, compute it in chunks and write it; this
process sees their counts alone. Ray repeats what is lost when a process or a machine dies, without
limit: a partition that has crashed several processes is therefore left out.
"""

import contextlib
import logging
import tempfile
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError
from typing import Any

from rakuten import stage_log
from rakuten.distributed.output import Done, Output
from rakuten.distributed.partitions import Partition, list_tables, open_one, plan
from rakuten.distributed.transform import Transform
from rakuten.distributed.worker import ATTEMPTS, Attempts, Inputs, Ray, Worker, import_ray
from rakuten.serving import image_index, product_images
from rakuten.serving.errors import InputError, one_line
from rakuten.serving.image_index import ImageIndex
from rakuten.serving.prediction_files import Summary
from rakuten.serving.product_images import check_image_columns

READERS = 4
"""Minimum number of reader threads per actor, so that computation continues while images load."""


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


def run(request: Request, transform: Transform) -> Summary:
    """Compute a transform for all products whose partition does not exist yet.

    Args:
        request: What to read and write.
        transform: What to compute; its files are at the same paths on every machine.

    Returns:
        Counts of the whole output, earlier runs of the same command included.

    Raises:
        InputError: If an argument cannot be used, Ray is not installed or cannot be connected to,
            or the run failed.
    """
    try:
        identity = transform.identity()
    except PackageNotFoundError as error:
        raise InputError(
            f"{error.name} is not installed: run 'pip install -r requirements.txt'"
        ) from error
    except (OSError, ValueError) as error:
        raise InputError(
            f"package, weights or resources cannot be read ({one_line(error)}): run 'make repro', "
            "or pass their path"
        ) from error
    paths = list_tables(request.products)
    with _cluster(request.address) as ray:
        try:
            inputs, files = _open_inputs(ray, request, paths)
            manifest = {
                "input": files,
                "images": inputs.images
                and {"address": request.images, "sha256": inputs.images[1].digest},
                transform.name: identity,
                "partition": transform.partition,
            }
            output = Output(request.out, transform.name)
            output.open(manifest, restart=request.restart)
            done = _run(ray, transform, inputs, output)
            output.close(manifest, done)
            return Summary(
                sum(partition.rows for partition in done),
                sum(one.missing_images for one in done.values()),
                sum(one.bad_rows for one in done.values()),
            )
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
    """Connect to a cluster, or start one on this machine; Ray ends the actors after it."""
    ray = import_ray()
    if ray.is_initialized():
        raise InputError("this process is already connected to Ray: call ray.shutdown() first")
    # None would mean RAY_ADDRESS or any cluster that runs on this machine.
    try:
        ray.init(
            address=address or "local",
            include_dashboard=None if address else False,
            log_to_driver=False,
            logging_level="ERROR",
        )
    except (ValueError, RuntimeError, OSError, ray.exceptions.RayError) as error:
        if "AF_UNIX" in str(error):
            raise InputError(
                f"the path of the temporary folder, {tempfile.gettempdir()}, is too long for Ray's "
                "sockets, whose paths may have 107 bytes: set RAY_TMPDIR to a short one, e.g. /tmp"
            ) from error
        remedy = "check RAY_AUTH_MODE and the token, see docs/scale.md"
        if address:
            remedy = f"pass HOST:PORT of a running head node as --address, and {remedy}"
        raise InputError(
            f"cannot connect to Ray{(address and f' at {address}') or ''} ({one_line(error)}): "
            f"{remedy}"
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
    return Inputs(tables, images), [identity for _, identity in opened]


def _index_images(ray: Ray, address: str) -> ImageIndex:
    """Index all images, each archive in a task."""
    plain, archives = ray.get(ray.remote(image_index.index_folder).remote(address))
    indexing = ray.remote(image_index.index_archive)
    found = ray.get([indexing.remote(address, path) for path in archives])
    return image_index.merge(address, [plain, *found])


def _run(ray: Ray, transform: Transform, inputs: Inputs, output: Output) -> dict[Partition, Done]:
    """Compute all partitions and return them in the order of the rows."""
    partitions = plan(inputs.tables, transform.partition)
    done: dict[Partition, Done] = {}
    total = sum(partition.rows for partition in partitions)
    with (
        stage_log.progress((), total=total, unit="product", description=transform.name) as bar,
        contextlib.closing(_compute(ray, transform, inputs, output, partitions)) as results,
    ):
        for result in results:
            partition = Partition(*(result[name] for name in Partition._fields))
            if result["digest"]:
                done[partition] = Done(*(result[name] for name in Done._fields))
                bar.update(partition.rows)
    lost = [partition for partition in partitions if partition not in done]
    if lost:
        first = lost[0]
        raise InputError(
            f"{len(lost)} of {len(partitions)} partitions could not be computed, the first is "
            f"{first.name}: rows {first.start + 1} to {first.start + first.rows} of "
            f"{inputs.tables[first.file].path}. Each crashed its process {ATTEMPTS} times. The "
            "others are written: run the same command to try again, or remove the rows that crash "
            "the process and name another folder"
        )
    return {partition: done[partition] for partition in partitions}


def _compute(
    ray: Ray, transform: Transform, inputs: Inputs, output: Output, partitions: Sequence[Partition]
) -> Generator[dict, None, None]:
    """Compute and write partitions; yield what `Worker` returns, in any order."""
    context = ray.data.DataContext.get_current().copy()
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    context.raise_original_map_exception = True
    resources = ray.cluster_resources()
    cpus = int(resources.get("CPU", 1))
    largest = max(int(node["Resources"].get("CPU", 0)) for node in ray.nodes() if node["Alive"])
    gpus = int(resources.get("GPU", 0)) if inputs.images and transform.takes_gpu else 0
    threads = 1 if gpus else max(1, min(transform.threads, largest))
    actors = gpus or max(1, cpus // threads)
    readers, attempts = max(READERS, cpus // actors), _start_attempts(ray)
    with ray.data.DataContext.current(context):
        items = ray.data.from_items(
            [partition._asdict() for partition in partitions], override_num_blocks=len(partitions)
        )
        results = items.map(
            Worker,
            fn_constructor_args=(transform, ray.put(inputs), output, attempts, readers),
            compute=ray.data.ActorPoolStrategy(
                min_size=1,
                max_size=actors,
                initial_size=min(actors, len(partitions)),
                max_tasks_in_flight_per_actor=1,  # none waits for one actor while another starts
            ),
            num_cpus=threads,
            num_gpus=min(gpus, 1),
        )
        yield from results.iter_rows()


def _start_attempts(ray: Ray) -> Any:
    """Start the actor that counts attempts on this machine: if it is lost, the run ends anyway."""
    here = ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy(
        ray.get_runtime_context().get_node_id(), soft=False
    )
    return ray.remote(Attempts).options(num_cpus=0, scheduling_strategy=here).remote()
