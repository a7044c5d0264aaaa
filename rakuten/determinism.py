"""Load TensorFlow without its start-up messages, and configure it for reproducible results."""

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
    """Capture what TensorFlow's C++ code prints before it reads its log settings."""
    sys.stderr.flush()
    stderr = os.dup(2)
    with tempfile.TemporaryFile() as captured:
        os.dup2(captured.fileno(), 2)
        try:
            yield
        except BaseException:
            captured.seek(0)
            os.write(stderr, captured.read())
            raise
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)


with _silent_start():
    import keras
    import tensorflow as tf


def configure(*, seed: int, threads: int) -> None:
    """Set seeds, deterministic operators and the number of threads of this process.

    Call it before the first tensor is created: the size of the thread pools cannot change later.

    Args:
        seed: Seed of Python's, NumPy's and TensorFlow's generators.
        threads: Threads within one operator, at least 1. Results depend on it, because it changes
            the order of partial sums.

    Raises:
        RuntimeError: If TensorFlow already runs with another number of threads.
    """
    for device in tf.config.list_physical_devices("GPU"):  # leaves memory to other processes
        tf.config.experimental.set_memory_growth(device, enable=True)
    if tf.config.threading.get_intra_op_parallelism_threads() != threads:
        tf.config.threading.set_intra_op_parallelism_threads(threads)
    if tf.config.threading.get_inter_op_parallelism_threads() != 1:
        tf.config.threading.set_inter_op_parallelism_threads(1)
    keras.utils.set_random_seed(seed)
    tf.config.experimental.enable_op_determinism()
