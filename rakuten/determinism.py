"""TensorFlow, silent while it loads, under settings that give the same bits again."""

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

# Loaded after TensorFlow, ONNX Runtime and its extensions crash the process. Every module imports
# TensorFlow from here, so this is the one place that fixes the order.
import onnxruntime  # noqa: F401
import onnxruntime_extensions  # noqa: F401


@contextmanager
def _silent_start() -> Iterator[None]:
    """Hold back what TensorFlow's C++ writes while it loads, unless loading fails.

    It announces its processor options before any of its log settings are read.
    """
    sys.stderr.flush()
    kept = os.dup(2)
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        try:
            yield
        except BaseException:
            held.seek(0)
            os.write(kept, held.read())
            raise
        finally:
            os.dup2(kept, 2)
            os.close(kept)


with _silent_start():
    import keras
    import tensorflow as tf


def configure(*, seed: int, threads: int) -> None:
    """Fix the seeds, the operators and the threads of this process.

    Call it once, before the first tensor is made: the size of the thread pools cannot change later.

    Args:
        seed: Seed of Python's, NumPy's and TensorFlow's generators.
        threads: Threads within one operator, at least 1. The order in which partial sums are added
            depends on it, so it belongs to the parameters of a result.

    Raises:
        RuntimeError: If TensorFlow already runs with another number of threads.
    """
    for device in tf.config.list_physical_devices("GPU"):  # which several processes share
        tf.config.experimental.set_memory_growth(device, enable=True)
    if tf.config.threading.get_intra_op_parallelism_threads() != threads:
        tf.config.threading.set_intra_op_parallelism_threads(threads)
    if tf.config.threading.get_inter_op_parallelism_threads() != 1:
        tf.config.threading.set_inter_op_parallelism_threads(1)
    keras.utils.set_random_seed(seed)
    tf.config.experimental.enable_op_determinism()
