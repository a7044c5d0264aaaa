"""The limit of BLAS's threads, when several threads of this process use it."""

from contextlib import ExitStack

import numpy as np
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from rakuten.models import blas, numpy_nets


def limits():
    return {one["num_threads"] for one in threadpool_info() if one["user_api"] == "blas"}


@pytest.fixture(autouse=True)
def three_threads():
    with threadpool_limits(3):
        yield


def test_the_limit_holds_until_the_last_block_ends():
    first, second = ExitStack(), ExitStack()
    first.enter_context(blas.one_thread())
    second.enter_context(blas.one_thread())
    assert limits() == {1}
    first.close()
    assert limits() == {1}
    second.close()
    assert limits() == {3}


def test_an_error_lifts_the_limit():
    with pytest.raises(RuntimeError), blas.one_thread():
        raise RuntimeError
    assert limits() == {3}


def test_a_small_batch_starts_no_threads(monkeypatch):
    def refuse(threads):
        raise AssertionError

    monkeypatch.setattr(numpy_nets, "ThreadPoolExecutor", refuse)
    net = numpy_nets.Net("none", ((np.eye(3, dtype=np.float32), np.zeros(3, np.float32)),))
    found = net.probabilities(np.eye(3, dtype=np.float32), threads=2)
    assert found.argmax(axis=1).tolist() == [0, 1, 2]
    assert limits() == {3}
