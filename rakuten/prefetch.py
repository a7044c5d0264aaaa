"""Work done in threads a little ahead of whoever takes the results."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def mapped(
    function: Callable[[Item], Result], items: Iterable[Item], *, threads: int, ahead: int
) -> Iterator[Result]:
    """Apply a function to items, in threads and in order.

    Args:
        function: Called in the threads; it should let go of the interpreter, as Pillow does.
        items: Taken one by one in the taker's thread, `ahead` before their results are.
        threads: How many work.
        ahead: How many items are taken before the first result is.

    Yields:
        The results in the order of the items. What the function raises comes in its item's place;
        the rest is then left undone, as it is when the iterator is closed.
    """
    waiting: deque[Future[Result]] = deque()
    pool = ThreadPoolExecutor(threads, thread_name_prefix="ahead")
    try:
        for item in items:
            waiting.append(pool.submit(function, item))
            if len(waiting) > ahead:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)
