import itertools
import threading

import pytest

from rakuten import prefetch


def test_results_come_in_order_and_items_are_taken_a_little_ahead():
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


def test_an_error_comes_in_its_item_s_place():
    def fail(number):
        if number == 4:
            raise ValueError("four")
        return number

    results = prefetch.map_in_order(fail, range(9), threads=2, buffer_size=3)
    assert list(itertools.islice(results, 4)) == [0, 1, 2, 3]
    with pytest.raises(ValueError, match="four"):
        next(results)


def test_whoever_stops_taking_leaves_the_rest_undone():
    done, gate = [], threading.Event()

    def work(number):
        if number:
            gate.wait(5)
        done.append(number)

    results = prefetch.map_in_order(work, range(100), threads=2, buffer_size=20)
    next(results)
    threading.Timer(0.1, gate.set).start()
    results.close()
    assert len(done) <= 4
