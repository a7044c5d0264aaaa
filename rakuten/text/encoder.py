"""Sentences to vectors: a frozen multilingual sentence encoder, for texts of any language.

Source of the network: Yang et al., "Multilingual Universal Sentence Encoder for Semantic
Retrieval", 2019; the convolutional form, weights rounded to 8 bits, run by ONNX Runtime. It has
seen 16 languages, French among them, and is not trained further here.
"""

import hashlib
import inspect
import json
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Protocol

import numpy as np
import onnxruntime
import onnxruntime_extensions

ENCODERS = ("use_multilingual", "none")
"""What `encode.encoder` may name; none leaves the best text model with its terms alone."""

WIDTH = 512
"""Numbers in one vector."""

MAX_CHARACTERS = 400
"""What is read of a text: 1,000 characters took 1.8 times as long for .002 more weighted F1."""

BATCH = 256
"""Texts handed to a process at once; each goes through the network on its own."""

WORTH_A_PROCESS = 2000
"""Texts that make up for the two seconds in which another process starts."""


class Shards(Protocol):
    """Where finished parts are kept: `storage.Shards`."""

    def load(self, number: int) -> dict[str, np.ndarray] | None:
        """Read part `number`, or None if there is none."""

    def save(self, number: int, **arrays: np.ndarray) -> None:
        """Keep part `number`."""


class ImportOrderError(RuntimeError):
    """TensorFlow was imported before ONNX Runtime: loading the encoder would crash the process."""


class SentenceEncoder:
    """The network, loaded once.

    Args:
        path: The ONNX file of resources.yaml.

    Raises:
        ImportOrderError: If this process loaded TensorFlow before ONNX Runtime: their libraries clash,
            and the process would be killed. `encode` then uses another process.
    """

    def __init__(self, path: str | Path):
        if tensorflow_imported_first():
            raise ImportOrderError(
                "TensorFlow was loaded before ONNX Runtime in this process, which would crash it: "
                "import rakuten.text.encoder first, or call rakuten.text.encoder.encode"
            )
        options = onnxruntime.SessionOptions()
        options.register_custom_ops_library(onnxruntime_extensions.get_library_path())
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3
        self._session = onnxruntime.InferenceSession(
            str(path), options, providers=["CPUExecutionProvider"]
        )
        self._input = self._session.get_inputs()[0].name

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        """Encode texts.

        Each goes through the network by itself: activations are rounded to the range of the whole
        batch, so that in company a text would get a vector that depends on the others. It reads
        small letters: some sellers shout, and capitals would move a vector as another subject does.

        Args:
            texts: n texts, of which the first `MAX_CHARACTERS` are read, in any case.

        Returns:
            float16 (n, `WIDTH`), rows of length 1; zeros where they are blank.
        """
        vectors = np.zeros((len(texts), WIDTH), np.float16)
        for row, text in enumerate(texts):
            start = beginning(text)
            if start.strip():
                vectors[row] = self._session.run(None, {self._input: [start]})[0]
        return vectors


def encode(
    path: str | Path,
    kinds: Mapping[str, Sequence[str]],
    *,
    encoder: str,
    threads: int,
    progress: Callable[..., Iterable] | None = None,
    shards: Shards | None = None,
) -> dict[str, np.ndarray]:
    """Encode the texts of products, equal texts once, in several processes where there are many.

    A text's vector depends on nothing but the text, so one that is known from an earlier run is the
    one that would be computed.

    Args:
        path: The ONNX file of resources.yaml.
        kinds: n texts of each kind, e.g. of the titles and of the descriptions.
        encoder: One of `ENCODERS`.
        threads: Processes to use, at least 1. The result does not depend on it.
        progress: Wraps the iterable of finished batches in a bar, as `stage_log.progress` does.
        shards: Finished batches of an earlier run under the same `fingerprint`, and room for more.

    Returns:
        float16 (n, `WIDTH`) by kind, in the order of the texts; nothing for the encoder "none".

    Raises:
        ValueError: If the encoder is unknown.
        FileNotFoundError: If the network is not there.
    """
    if encoder not in ENCODERS:
        raise ValueError(
            f"encode.encoder is {encoder!r}: expected one of {', '.join(ENCODERS)} in params.yaml"
        )
    if encoder == "none":
        return {}
    if not Path(path).exists():
        raise FileNotFoundError(f"{path} is not there: run 'dvc repro resources'")
    positions: dict[str, int] = {}
    rows = {
        kind: [positions.setdefault(beginning(text), len(positions)) for text in texts]
        for kind, texts in kinds.items()
    }
    known = _load(shards) if shards else []
    vectors = {digest: vector for part in known for digest, vector in _entries(part)}
    digests = [_digest(text) for text in positions]
    missing = [t for t, d in zip(positions, digests, strict=True) if d not in vectors]
    batches = [missing[start : start + BATCH] for start in range(0, len(missing), BATCH)]
    results = _encode_batches(path, batches, min(threads, 1 + len(missing) // WORTH_A_PROCESS))
    if progress:
        results = progress(results, total=len(batches), unit="batch", description="encode")
    for number, (texts, found) in enumerate(zip(batches, results, strict=True), start=len(known)):
        part = finished(texts, found)
        vectors.update(_entries(part))
        if shards:
            shards.save(number, **part)
    whole = np.array([vectors[digest] for digest in digests], np.float16).reshape(-1, WIDTH)
    return {kind: whole[np.array(found, np.int64)] for kind, found in rows.items()}


def fingerprint(path: str | Path) -> str:
    """Name what finished parts belong to, so that none is taken for another's.

    Args:
        path: The ONNX file, which the encoder "none" does without.

    Returns:
        32 hexadecimal digits that change with the network, with the code that feeds it and with
        the version of what runs it.
    """
    network = Path(path).read_bytes() if Path(path).exists() else b""
    versions = [onnxruntime.__version__, onnxruntime_extensions.__version__]
    parts = [
        hashlib.sha256(network).hexdigest(),
        inspect.getsource(sys.modules[__name__]),
        versions,
    ]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:32]


def finished(texts: Sequence[str], vectors: np.ndarray) -> dict[str, np.ndarray]:
    """Make a finished part of texts and their vectors.

    Args:
        texts: n texts.
        vectors: float16 (n, `WIDTH`), in their order.

    Returns:
        Digests of what the network reads of the texts, uint8 (n, 16), and the vectors.
    """
    digests = b"".join(_digest(beginning(text)) for text in texts)
    return {"digests": np.frombuffer(digests, np.uint8).reshape(-1, 16), "vectors": vectors}


def _digest(start: str) -> bytes:
    """Hash what the network reads of a text."""
    return hashlib.blake2b(start.encode("utf-8", "surrogatepass"), digest_size=16).digest()


def _load(shards: Shards) -> list[dict[str, np.ndarray]]:
    """Read the finished parts, up to the first that is not there."""
    parts = []
    while (part := shards.load(len(parts))) is not None:
        parts.append(part)
    return parts


def _entries(part: Mapping[str, np.ndarray]) -> Iterator[tuple[bytes, np.ndarray]]:
    """List a part's digests and vectors."""
    return zip(map(bytes, part["digests"]), part["vectors"], strict=True)


def beginning(text: str) -> str:
    """Take what the network reads of a text."""
    return text[:MAX_CHARACTERS].lower()


def _encode_batches(
    path: str | Path, batches: list[Sequence[str]], processes: int
) -> Iterator[np.ndarray]:
    """Encode batches in their order, in this process or in others."""
    if not batches:
        return
    if processes == 1 and not tensorflow_imported_first():
        encoder = SentenceEncoder(path)
        yield from map(encoder.encode, batches)
        return
    context = get_context("spawn")  # a fork would copy the locks of other libraries' threads
    with ProcessPoolExecutor(processes, context, _start_worker, (path,)) as pool:
        yield from pool.map(_encode_in_worker, batches)


def tensorflow_imported_first() -> bool:
    """Tell whether this process imported TensorFlow before ONNX Runtime."""
    imported = list(sys.modules)  # in the order of their imports
    return "tensorflow" in imported[: imported.index("onnxruntime")]


def _start_worker(path: str | Path) -> None:
    """Load the network of a new process."""
    global _worker
    _worker = SentenceEncoder(path)


def _encode_in_worker(texts: Sequence[str]) -> np.ndarray:
    """Encode a batch with this process's network."""
    return _worker.encode(texts)
