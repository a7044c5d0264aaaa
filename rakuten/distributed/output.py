"""The output folder of a distributed run: partitions, their errors, and a manifest.

    OUT/manifest.json              input and settings; partitions with digests after the run
    OUT/<predictions|features|texts>/part-<first row>.parquet
    OUT/errors/part-<first row>.parquet             only for partitions with faulty rows

The errors of a partition are written before it: a partition that exists is finished.
"""

import hashlib
import io
import json
from collections.abc import Sequence
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


class Output:
    """The output folder, new or continued."""

    def __init__(self, address: str, kind: str, manifest: dict, *, restart: bool):
        """Create or continue a folder.

        Args:
            address: A path or a URI.
            kind: The name of the folder of partitions.
            manifest: Everything that the results depend on.
            restart: Whether to delete earlier results.

        Raises:
            InputError: If the folder belongs to another command, or holds other files.
        """
        self._root, self._kind, self._manifest = locate(address), kind, manifest
        kept = self._root / MANIFEST
        if self._root.info().is_file:
            raise InputError(f"{address} is a file: name a folder with -o")
        if self._root.files() and not kept.exists():
            raise InputError(f"{address} holds other files: name a new folder with -o")
        if kept.exists():
            before = self._depended_on(kept)
            names = [n for n in before | manifest if before.get(n) != manifest.get(n)]
            if names and not restart:
                raise InputError(
                    f"{address} holds the results of another command ({', '.join(names)} differ): "
                    "run that one, name another folder, or pass --restart"
                )
            if restart:
                for name in (*KINDS, "errors"):
                    (self._root / name).delete()
        self._write_manifest({"complete": False})

    def _depended_on(self, manifest: RemotePath) -> dict:
        try:
            return json.loads(manifest.read())["depends_on"]
        except (ValueError, KeyError, TypeError) as error:
            raise InputError(
                f"{manifest.path} cannot be read ({error}): remove that folder, or name another"
            ) from error

    def finished(self, partitions: Sequence[Partition]) -> dict[str, Done]:
        """Find the finished partitions, by name."""
        present, errors = (
            {info.base_name for info in (self._root / name).files()}
            for name in (self._kind, "errors")
        )
        found = {}
        for partition in partitions:
            done = self._check(partition) if partition.name in present else None
            if done and (not done.bad_rows or partition.name in errors):
                found[partition.name] = done
            elif partition.name in errors:  # the run was killed before it wrote the partition
                (self._root / "errors" / partition.name).delete()
        return found

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
                f"{partition.first} on, received {len(table)}; run this again with --restart"
            )
        if errors:
            columns = [list(column) for column in zip(*errors, strict=True)]
            arrays = [pa.array(c, t) for c, t in zip(columns, ERRORS.types, strict=True)]
            bad = pa.Table.from_arrays(arrays, schema=ERRORS)
            (self._root / "errors" / partition.name).write(_parquet(bad))
        rows = pa.array(range(partition.first, partition.first + partition.rows), pa.int64())
        notes = {"missing_images": str(missing_images), "bad_rows": str(len(errors))}
        table = table.add_column(0, "row", rows).replace_schema_metadata(notes)
        content = _parquet(table)
        (self._root / self._kind / partition.name).write(content)
        return Done(hashlib.sha256(content).hexdigest(), missing_images, len(errors))

    def complete(self, partitions: Sequence[Partition], done: dict[str, Done]) -> None:
        """Write the manifest of a finished run."""
        listed = [
            {"file": f"{self._kind}/{p.name}", "first_row": p.first, "rows": p.rows}
            | {"errors": done[p.name].bad_rows, "sha256": done[p.name].digest}
            for p in partitions
        ]
        digests = "".join(done[p.name].digest for p in partitions)
        self._write_manifest(
            {
                "complete": True,
                "rows": sum(p.rows for p in partitions),
                "sha256": hashlib.sha256(digests.encode()).hexdigest(),
                "partitions": listed,
            }
        )

    def _write_manifest(self, state: dict) -> None:
        text = json.dumps(state | {"depends_on": self._manifest}, indent=2)
        (self._root / MANIFEST).write(f"{text}\n".encode())

    def _check(self, partition: Partition) -> Done | None:
        """Read a partition's file; None if it is damaged."""
        content = (self._root / self._kind / partition.name).read()
        try:
            with pq.ParquetFile(io.BytesIO(content)) as file:
                notes, rows = file.schema_arrow.metadata, file.metadata.num_rows
                numbers = {k: int(notes[k.encode()]) for k in ("missing_images", "bad_rows")}
        except (OSError, pa.ArrowException, KeyError, TypeError):
            return None
        if rows != partition.rows:
            return None
        return Done(hashlib.sha256(content).hexdigest(), **numbers)


def _parquet(table: pa.Table) -> bytes:
    sink = io.BytesIO()
    pq.write_table(table, sink, compression="zstd")
    return sink.getvalue()
