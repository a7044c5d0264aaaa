"""Sentence vectors from a frozen multilingual encoder.

Source of the network: Yang et al., "Multilingual Universal Sentence Encoder for Semantic
Retrieval", 2019; the convolutional variant with int8 quantized weights, run by ONNX Runtime. It was
trained on 16 languages, including French, and is not trained further here.

Every text goes through the network alone, because the network quantizes activations over the range
of the batch: in a batch, a text's vector would depend on the other texts. Many texts are encoded in
separate processes, which also work where TensorFlow was imported first.
"""

import hashlib
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import onnxruntime
import onnxruntime_extensions

from rakuten import feature_store, storage
from rakuten.feature_store import FeatureStore

ENCODERS = ("use_multilingual", "none")
"""Values of `encode.encoder`. With "none", text models use the terms alone."""

WIDTH = 512
"""Length of a vector."""

MAX_CHARACTERS = 400
"""Characters read of a text: 1,000 took 1.8 times as long for .002 more weighted F1."""

BATCH = 256
"""Texts sent to a process at once, and texts in one part of the store."""

TEXTS_PER_PROCESS = 2000
"""Fewer texts are encoded sooner than another process starts, which takes two seconds."""


class ImportOrderError(RuntimeError):
    """TensorFlow was imported before ONNX Runtime: loading the encoder would crash the process."""


class SentenceEncoder:
    """The network, loaded once.

    Args:
        path: The ONNX file of resources.yaml.

    Raises:
        ImportOrderError: If this process imported TensorFlow before this module. The libraries
            clash and the process would crash. `encode` uses another process in that case.
    """

    def __init__(self, path: str | Path):
        if tensorflow_imported_first():
            raise ImportOrderError(
                "TensorFlow was imported before ONNX Runtime in this process, which would crash "
                "it: import rakuten.text.encoder first, or call rakuten.text.encoder.encode"
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
        """Encode texts, one per call of the network.

        Args:
            texts: n texts. The first `MAX_CHARACTERS` are read, in lower case: some sellers write
                in capitals, which would change the vector as much as another subject.

        Returns:
            float16 (n, `WIDTH`), rows of length 1; zeros for blank texts.
        """
        vectors = np.zeros((len(texts), WIDTH), np.float16)
        for row, text in enumerate(texts):
            start = _beginning(text)
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
    store: FeatureStore | None = None,
) -> dict[str, np.ndarray]:
    """Encode the texts of products, equal texts once, in several processes if there are many.

    Args:
        path: The ONNX file of resources.yaml.
        kinds: n texts of each kind, e.g. the titles and the descriptions.
        encoder: One of `ENCODERS`.
        threads: Maximum number of processes, at least 1. The result does not depend on it.
        progress: Wraps the finished batches in a progress bar, as `stage_log.progress` does.
        store: Finished vectors under the same `fingerprint`; new ones are added.

    Returns:
        float16 (n, `WIDTH`) by kind, in the order of the texts; nothing for the encoder "none".

    Raises:
        ValueError: If the encoder is unknown.
        FileNotFoundError: If the ONNX file does not exist.
    """
    if encoder not in ENCODERS:
        raise ValueError(
            f"encode.encoder is {encoder!r}: expected one of {', '.join(ENCODERS)} in params.yaml"
        )
    if encoder == "none":
        return {}
    if not Path(path).exists():
        raise FileNotFoundError(f"{path} does not exist: run 'dvc repro resources'")
    positions: dict[str, int] = {}  # distinct beginning -> row of `vectors`
    rows = {
        kind: np.array(
            [positions.setdefault(_beginning(text), len(positions)) for text in texts], np.int64
        )
        for kind, texts in kinds.items()
    }
    texts = list(positions)
    digests = [_digest(text) for text in texts]
    vectors = np.zeros((len(texts), WIDTH), np.float16)
    missing = np.ones(len(texts), bool)
    for found, part in store.load(digests) if store else ():
        vectors[found] = part["vectors"]
        missing[found] = False
    todo = np.flatnonzero(missing)
    batches = np.split(todo, range(BATCH, len(todo), BATCH)) if len(todo) else []
    results: Iterable[np.ndarray] = _encode_batches(
        path,
        [[texts[row] for row in batch] for batch in batches],
        processes=min(threads, 1 + len(todo) // TEXTS_PER_PROCESS),
    )
    if progress:
        results = progress(results, total=len(batches), unit="batch", description="encode")
    for batch, result in zip(batches, results, strict=True):
        vectors[batch] = result
        if store:
            store.save([digests[row] for row in batch], vectors=result)
    return {kind: vectors[found] for kind, found in rows.items()}


def fingerprint(path: str | Path) -> str:
    """Identify everything that a vector depends on besides the text.

    Args:
        path: The ONNX file. It need not exist: the encoder "none" does not use it.

    Returns:
        32 hexadecimal digits that change with the network, with the versions that run it and with
        code that can change values.
    """
    return feature_store.fingerprint(
        storage.digest(path) if Path(path).exists() else None,
        (onnxruntime.__version__, onnxruntime_extensions.__version__),
        feature_store.code_digest(SentenceEncoder, _beginning),
        (WIDTH, MAX_CHARACTERS),
    )


def tensorflow_imported_first() -> bool:
    """Check whether this process imported TensorFlow before ONNX Runtime."""
    imported = list(sys.modules)  # in the order of the imports
    return "tensorflow" in imported[: imported.index("onnxruntime")]


def _beginning(text: str) -> str:
    """Take what the network reads of a text."""
    return text[:MAX_CHARACTERS].lower()


def _digest(text: str) -> str:
    """Hash a text."""
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def _encode_batches(
    path: str | Path, batches: list[list[str]], *, processes: int
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


_worker: SentenceEncoder


def _start_worker(path: str | Path) -> None:
    """Load the network of a new process."""
    global _worker
    _worker = SentenceEncoder(path)


def _encode_in_worker(texts: Sequence[str]) -> np.ndarray:
    """Encode a batch with this process's network."""
    return _worker.encode(texts)
