"""The number of threads of BLAS, on which the order of sums depends."""

import functools
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock
from typing import Any

from threadpoolctl import ThreadpoolController

_lock = Lock()
_users = 0  # blocks that run now, in all threads
_limit: Any = None  # of those blocks


@contextmanager
def one_thread() -> Iterator[None]:
    """Limit BLAS to one thread within a `with` block.

    The limit is one for the process: it is set by the first of the blocks that run at the same time
    and lifted by the last. The loaded libraries are listed once per process, which takes a
    millisecond: a prediction needs no more than those of NumPy and SciPy.
    """
    global _users, _limit
    with _lock:
        if not _users:
            _limit = _blas().limit(limits=1)
        _users += 1
    try:
        yield
    finally:
        with _lock:
            _users -= 1
            if not _users:
                _limit.restore_original_limits()


@functools.cache
def _blas() -> ThreadpoolController:
    # OpenMP's limit is one per thread: the last block may end in another one than the first began.
    return ThreadpoolController().select(user_api="blas")
