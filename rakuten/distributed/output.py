"""The output folder of a distributed run: partitions, their errors, and a manifest.

    OUT/manifest.json              input and settings; partitions with digests after the run
    OUT/<predictions|features|texts>/part-<first row>.parquet
    OUT/errors/part-<first row>.parquet             only for partitions with faulty rows

Before the columns of the transform, a partition has int64 `row`, the position in the catalogue. Its
errors are written before it: a partition that exists is finished.
"""

import hashlib
import io
import json
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from rakuten.distributed.partitions import Partition
from rakuten.serving.errors import InputError
from rakuten.serving.remote_files import RemotePath, locate

MANIFEST = "manifest.json"
KINDS = ("texts", "features", "predictions")
ERRORS = pa.schema(
    [
        ("row", pa.int64()),
        ("file", pa.string()),
        ("line", pa.int64()),
        ("index", pa.string()),
        ("reason", pa.string()),
    ]
)


class Done(NamedTuple):
    """A finished partition.

    Attributes:
        digest: SHA-256 of its file.
        missing_images: Products whose image was not found.
        bad_rows: Number of faulty rows.
    """

    digest: str
    missing_images: int
    bad_rows: int


class Output(NamedTuple):
    """The output folder.

    Attributes:
        address: A path or a URI.
        kind: The name of the folder of partitions.
    """

    address: str
    kind: str

    def open(self, manifest: Mapping, *, restart: bool) -> None:
        """Create or continue the folder.

        Args:
            manifest: Everything that the results depend on.
            restart: Whether to delete earlier results.

        Raises:
            InputError: If the folder belongs to another command, or holds other files.
        """
        root, address = locate(self.address), self.address
        kept = root / MANIFEST
        if root.info().is_file:
            raise InputError(f"{address} is a file: name a folder with -o")
        if root.files() and not kept.exists():
            raise InputError(f"{address} holds other files: name a new folder with -o")
        if kept.exists():
            before = _depended_on(kept)
            names = [n for n in {**before, **manifest} if before.get(n) != manifest.get(n)]
            if names and not restart:
                raise InputError(
                    f"{address} holds the results of another command ({', '.join(names)} differ): "
                    "run that one, name another folder, or pass --restart"
                )
            if restart:
                # If this is killed meanwhile, the manifest must not call the folder complete.
                _write_manifest(root, before, {"complete": False})
                for name in (*KINDS, "errors"):
                    (root / name).delete()
        _write_manifest(root, manifest, {"complete": False})

    def find(self, partition: Partition) -> Done | None:
        """Read a partition that an earlier run wrote.

        Args:
            partition: The partition.

        Returns:
            What it holds; None if it is missing, incomplete or without its errors. Its values are
            not verified.
        """
        root = locate(self.address)
        file = root / self.kind / partition.name
        if not file.exists():
            return None
        content = file.read()
        try:
            with pq.ParquetFile(io.BytesIO(content)) as parquet:
                notes, rows = parquet.schema_arrow.metadata, parquet.metadata.num_rows
                numbers = {k: int(notes[k.encode()]) for k in ("missing_images", "bad_rows")}
        except (OSError, pa.ArrowException, KeyError, TypeError):
            return None
        done = Done(hashlib.sha256(content).hexdigest(), **numbers)
        whole = not done.bad_rows or (root / "errors" / partition.name).exists()
        return done if whole and rows == partition.rows else None

    def write(
        self, partition: Partition, table: pa.Table, errors: Sequence[tuple], missing_images: int
    ) -> Done:
        """Write a partition, its errors first.

        Args:
            partition: The partition.
            table: Its results, in the order of its rows.
            errors: Rows in the order of `ERRORS`.
            missing_images: Products whose image was not found.

        Returns:
            The finished partition.

        Raises:
            InputError: If rows are missing because the input changed.
        """
        if len(table) != partition.rows:
            raise InputError(
                f"the input changed while it was read: expected {partition.rows} rows from row "
                f"{partition.first} on, received {len(table)}; run this command again with "
                "--restart"
            )
        root = locate(self.address)
        faulty = root / "errors" / partition.name
        if errors:
            columns = [list(column) for column in zip(*errors, strict=True)]
            arrays = [pa.array(c, t) for c, t in zip(columns, ERRORS.types, strict=True)]
            faulty.write(_parquet(pa.Table.from_arrays(arrays, schema=ERRORS)))
        else:
            faulty.delete()  # of a run that was killed before it wrote the partition
        rows = pa.array(range(partition.first, partition.first + partition.rows), pa.int64())
        notes = {"missing_images": str(missing_images), "bad_rows": str(len(errors))}
        content = _parquet(table.add_column(0, "row", rows).replace_schema_metadata(notes))
        (root / self.kind / partition.name).write(content)
        return Done(hashlib.sha256(content).hexdigest(), missing_images, len(errors))

    def close(self, manifest: Mapping, done: Mapping[Partition, Done]) -> None:
        """Write the manifest of a finished run, and delete files that killed processes left.

        Args:
            manifest: Everything that the results depend on.
            done: All partitions in the order of the rows.
        """
        root = locate(self.address)
        for name in (self.kind, "errors"):
            for info in (root / name).files():
                if info.base_name.startswith("."):
                    RemotePath(root.filesystem, info.path).delete()
        listed = [
            {"file": f"{self.kind}/{p.name}", "first_row": p.first, "rows": p.rows}
            | {"errors": d.bad_rows, "sha256": d.digest}
            for p, d in done.items()
        ]
        digests = "".join(d.digest for d in done.values())
        state = {
            "complete": True,
            "rows": sum(partition.rows for partition in done),
            "sha256": hashlib.sha256(digests.encode()).hexdigest(),
            "partitions": listed,
        }
        _write_manifest(root, manifest, state)


def _depended_on(manifest: RemotePath) -> dict:
    """Read what earlier results depend on."""
    try:
        return json.loads(manifest.read())["depends_on"]
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"{manifest.path} cannot be read ({error}): remove that folder, or name another"
        ) from error


def _write_manifest(root: RemotePath, manifest: Mapping, state: Mapping) -> None:
    text = json.dumps({**state, "depends_on": manifest}, indent=2)
    (root / MANIFEST).write(f"{text}\n".encode())


def _parquet(table: pa.Table) -> bytes:
    sink = io.BytesIO()
    pq.write_table(table, sink, compression="zstd")
    return sink.getvalue()
