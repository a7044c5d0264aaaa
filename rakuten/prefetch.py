"""Thread pools that compute results before they are needed, and the number of usable CPUs."""

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

import joblib

Item = TypeVar("Item")
Result = TypeVar("Result")


def available_cpus() -> int:
    """Count the CPUs that this process may use, at least 1.

    CPU affinity and container limits (cgroups) count, unlike in `os.cpu_count`.
    """
    return joblib.cpu_count()


def map_in_order(
    function: Callable[[Item], Result], items: Iterable[Item], *, threads: int, buffer_size: int
) -> Generator[Result, None, None]:
    """Apply a function to items in threads and yield the results in the order of the items.

    Args:
        function: Called in the threads. It should release the GIL, as Pillow does.
        items: Iterated in the caller's thread, `buffer_size` items before their results are
            needed.
        threads: Size of the thread pool.
        buffer_size: Maximum number of items submitted ahead of the yielded result.

    Yields:
        The results in the order of the items. An exception of `function` is raised in its item's
        place. After an exception, or when the iterator is closed, pending items are cancelled.
    """
    pending: deque[Future[Result]] = deque()
    pool = ThreadPoolExecutor(threads, thread_name_prefix="prefetch")
    try:
        for item in items:
            pending.append(pool.submit(function, item))
            if len(pending) > buffer_size:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)
