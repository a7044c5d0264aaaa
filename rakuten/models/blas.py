"""The number of threads of BLAS, on which the order of sums depends."""

import functools
from contextlib import AbstractContextManager

from threadpoolctl import ThreadpoolController


def one_thread() -> AbstractContextManager:
    """Limit BLAS to one thread.

    The loaded libraries are listed once per process, which takes a millisecond: a prediction needs
    no more than those of NumPy and SciPy.
    """
    return _controller().limit(limits=1)


@functools.cache
def _controller() -> ThreadpoolController:
    return ThreadpoolController()
