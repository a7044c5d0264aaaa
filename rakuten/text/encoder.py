"""Sentence vectors from a frozen encoder, run by ONNX Runtime.

An encoder is an entry of `rakuten/data/resources.yaml`: an ONNX file that takes strings and returns
vectors. docs/encoders.md describes how to add one.

The default is a multilingual encoder: Yang et al., "Multilingual Universal Sentence Encoder for
Semantic Retrieval", 2019; the convolutional variant with int8 quantized weights, see
`rakuten.data.sentence_encoder`. It was trained on 16 languages, including French, and is not
trained further here.

A text's vector does not depend on the texts that are encoded with it. Texts are encoded in threads,
or in separate processes where TensorFlow was imported first.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Self

import numpy as np
import onnxruntime_extensions

from rakuten import feature_store, onnx_models, prefetch
from rakuten.feature_store import FeatureStore
from rakuten.onnx_models import EncoderError

FOLDER = "build/resources/text_encoder"
"""Where the stage `resources` writes the chosen encoder."""

NONE = "none"
"""The value of `encode_text.encoder` with which text models use the terms alone."""

BATCH = 256
"""Texts that a thread or process takes at once, and texts in one part of the store."""

TEXTS_PER_PROCESS = 4000
"""Texts per process: with fewer, starting a process takes longer than encoding them."""


@dataclass(frozen=True, kw_only=True)
class EncoderSpec:
    """How an encoder is used: the key `encoder` of its entry in resources.yaml.

    Attributes:
        name: Its name, a value of `encode_text.encoder`.
        sha256: Hash of the ONNX file.
        width: Length of a vector.
        max_characters: Characters read of a text.
        lowercase: Whether texts are converted to lower case.
        batch: Texts in one call of the network: 1 if a text's vector depends on the other texts of
            a call.
    """

    name: str
    sha256: str
    width: int
    max_characters: int
    lowercase: bool
    batch: int = 1

    @classmethod
    def from_table(cls, name: str, entry: Mapping[str, Any]) -> Self:
        """Read an entry of the resource table.

        Args:
            name: The encoder's name.
            entry: Its keys "sha256" and "encoder".

        Raises:
            rakuten.onnx_models.EncoderError: If a key is missing or unknown.
        """
        values: dict[str, Any] = dict(entry["encoder"])
        if (modality := values.pop("modality", None)) != "text":
            raise EncoderError(name, f"has modality {modality!r}, expected 'text'")
        try:
            return cls(name=name, sha256=entry["sha256"], **values)
        except TypeError as error:
            reason = str(error).partition("() ")[2]
            raise EncoderError(name, f"has other keys than expected ({reason})") from error

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """Restore what `to_json` returned."""
        return cls(**values)

    def to_json(self) -> dict[str, Any]:
        """Return plain values, with which a package describes its encoder."""
        return asdict(self)

    def beginning(self, text: str) -> str:
        """Take what the network reads of a text."""
        start = text[: self.max_characters]
        return start.lower() if self.lowercase else start


class SentenceEncoder:
    """An encoder, loaded once.

    Args:
        path: The ONNX file.
        spec: How it is used.

    Raises:
        rakuten.onnx_models.ImportOrderError: If TensorFlow was imported before ONNX Runtime.
            `encode` uses another process in that case.
    """

    def __init__(self, path: str | Path, spec: EncoderSpec):
        self.spec = spec
        self._session = onnx_models.open_session(
            path, custom_operators=onnxruntime_extensions.get_library_path()
        )
        self._input = self._session.get_inputs()[0].name

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        """Encode texts, `spec.batch` in one call of the network.

        Args:
            texts: n texts.

        Returns:
            float16 (n, `spec.width`), the network's first output; zeros for blank texts.

        Raises:
            rakuten.onnx_models.EncoderError: If the network's vectors have another length.
        """
        vectors = np.zeros((len(texts), self.spec.width), np.float16)
        starts = [self.spec.beginning(text) for text in texts]
        rows = [row for row, start in enumerate(starts) if start.strip()]
        for first in range(0, len(rows), self.spec.batch):
            chosen = rows[first : first + self.spec.batch]
            found = self._session.run(None, {self._input: [starts[row] for row in chosen]})[0]
            found = np.asarray(found)
            if found.size != len(chosen) * self.spec.width:
                expected = len(chosen), self.spec.width
                raise EncoderError(self.spec.name, f"returns {found.shape}, expected {expected}")
            vectors[chosen] = found.reshape(len(chosen), -1)
        return vectors


def find(name: str, folder: str | Path = FOLDER) -> tuple[Path, EncoderSpec] | None:
    """Find the encoder that the stage `resources` fetched, None for `NONE`.

    Raises:
        FileNotFoundError: If the folder does not hold it.
        rakuten.onnx_models.EncoderError: As for `EncoderSpec.from_table`.
    """
    if name == NONE:
        return None
    path, entry = onnx_models.find(folder, name)
    return path, EncoderSpec.from_table(name, entry)


def encode(
    found: tuple[str | Path, EncoderSpec] | None,
    kinds: Mapping[str, Sequence[str]],
    *,
    threads: int,
    progress: Callable[..., Iterable] | None = None,
    store: FeatureStore | None = None,
) -> dict[str, np.ndarray]:
    """Encode the texts of products, equal texts once, in several threads.

    Args:
        found: The ONNX file and its use, as `find` returns them.
        kinds: n texts of each kind, e.g. the titles and the descriptions.
        threads: Maximum number of threads, at least 1. The result does not depend on it.
        progress: Wraps the finished batches in a progress bar, as `stage_log.progress` does.
        store: Finished vectors under the same `fingerprint`; new ones are added.

    Returns:
        float16 (n, width) by kind, in the order of the texts; nothing without an encoder.
    """
    if found is None:
        return {}
    path, spec = found
    positions: dict[str, int] = {}  # distinct beginning -> row of `vectors`
    rows = {
        kind: np.array(
            [positions.setdefault(spec.beginning(text), len(positions)) for text in texts], np.int64
        )
        for kind, texts in kinds.items()
    }
    texts = list(positions)
    digests = [_digest(text) for text in texts]
    vectors = np.zeros((len(texts), spec.width), np.float16)
    missing = np.ones(len(texts), bool)
    for stored, part in store.load(digests) if store else ():
        vectors[stored] = part["vectors"]
        missing[stored] = False
    todo = np.flatnonzero(missing)
    batches = np.split(todo, range(BATCH, len(todo), BATCH)) if len(todo) else []
    results: Iterable[np.ndarray] = _encode_batches(
        path, spec, [[texts[row] for row in batch] for batch in batches], threads=threads
    )
    if progress:
        results = progress(results, total=len(batches), unit="batch", description="encode")
    for batch, result in zip(batches, results, strict=True):
        vectors[batch] = result
        if store:
            store.save([digests[row] for row in batch], vectors=result)
    return {kind: vectors[chosen] for kind, chosen in rows.items()}


def fingerprint(found: tuple[str | Path, EncoderSpec] | None) -> str:
    """Identify everything that a vector depends on besides the text.

    Args:
        found: As for `encode`.

    Returns:
        32 hexadecimal digits that change with the network, with its use, with the versions of the
        libraries and with code that can change values.
    """
    return feature_store.fingerprint(
        found[1].to_json() if found else None,
        (onnx_models.VERSION, onnxruntime_extensions.__version__),
        feature_store.code_digest(SentenceEncoder, EncoderSpec, onnx_models.open_session),
    )


def _digest(text: str) -> str:
    """Hash a text."""
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def _encode_batches(
    path: str | Path, spec: EncoderSpec, batches: list[list[str]], *, threads: int
) -> Iterator[np.ndarray]:
    """Encode batches in their order, in threads or in other processes."""
    if not batches:
        return
    if not onnx_models.tensorflow_imported_first():
        encode = SentenceEncoder(path, spec).encode
        with closing(
            prefetch.map_in_order(encode, batches, threads=threads, buffer_size=threads)
        ) as vectors:
            yield from vectors
        return
    processes = min(threads, 1 + sum(map(len, batches)) // TEXTS_PER_PROCESS)
    context = get_context("spawn")  # a fork would copy the locks of other libraries' threads
    with ProcessPoolExecutor(processes, context, _start_worker, (path, spec)) as pool:
        yield from pool.map(_encode_in_worker, batches)


_worker: SentenceEncoder


def _start_worker(path: str | Path, spec: EncoderSpec) -> None:
    """Load the network of a new process."""
    global _worker
    _worker = SentenceEncoder(path, spec)


def _encode_in_worker(texts: Sequence[str]) -> np.ndarray:
    """Encode a batch with this process's network."""
    return _worker.encode(texts)
