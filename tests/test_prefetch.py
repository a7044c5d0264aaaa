import itertools
import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from rakuten import prefetch


def test_results_come_in_order_and_the_buffer_is_filled_first():
    taken = []

    def items():
        for number in range(50):
            taken.append(number)
            yield number

    results = prefetch.map_in_order(lambda number: number**2, items(), threads=3, buffer_size=5)
    assert taken == []
    assert list(itertools.islice(results, 10)) == [number**2 for number in range(10)]
    assert taken[-1] == 14
    assert list(results) == [number**2 for number in range(10, 50)]


def test_an_exception_is_raised_in_the_place_of_its_item():
    def fail(number):
        if number == 4:
            raise ValueError("four")
        return number

    results = prefetch.map_in_order(fail, range(9), threads=2, buffer_size=3)
    assert list(itertools.islice(results, 4)) == [0, 1, 2, 3]
    with pytest.raises(ValueError, match="four"):
        next(results)


def test_closing_the_iterator_cancels_pending_items(monkeypatch):
    """Items that are being computed end after the others are cancelled, on busy CPUs too."""
    done, gate, shutdown = [], threading.Event(), ThreadPoolExecutor.shutdown

    def work(number):
        if number:
            gate.wait()
        done.append(number)

    def cancel_then_open_the_gate(pool, wait=True, *, cancel_futures=False):
        shutdown(pool, wait=False, cancel_futures=cancel_futures)
        gate.set()
        shutdown(pool, wait=wait)

    monkeypatch.setattr(ThreadPoolExecutor, "shutdown", cancel_then_open_the_gate)
    results = prefetch.map_in_order(work, range(100), threads=2, buffer_size=20)
    next(results)
    results.close()
    assert len(done) <= 3


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="Linux only")
def test_cpu_affinity_limits_the_available_cpus():
    code = "import os; from rakuten import prefetch; "
    code += "os.sched_setaffinity(0, {min(os.sched_getaffinity(0))}); "
    code += "print(prefetch.available_cpus())"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "1"
    assert 1 <= prefetch.available_cpus() <= os.cpu_count()
