"""Encoders in another process, which may end without an answer."""

import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier, RLock

import pytest

from rakuten.onnx_models import EncoderError, ImportOrderError
from rakuten.serving import encoders


class Lengths:
    """Stands for an encoder: the lengths of texts; some words stand for what goes wrong."""

    def encode(self, texts):
        if "kill" in texts:  # as the system does if the memory is full
            os.kill(os.getpid(), signal.SIGKILL)
        if "import order" in texts:
            raise ImportOrderError
        if "not finite" in texts:
            raise EncoderError("small", "has values beyond those of float16")
        return [len(text) for text in texts]


@pytest.fixture
def remote(monkeypatch):
    monkeypatch.setattr(encoders, "tensorflow_imported_first", lambda: True)
    return encoders.load(Lengths)


def test_a_process_that_is_killed_is_replaced_at_the_next_call(remote):
    assert remote.encode(["a", "bc"]) == [1, 2]
    with pytest.raises(
        encoders.ProcessEndedError, match=r"lack of memory.*import rakuten\.onnx_mo"
    ):
        remote.encode(["kill"])
    assert remote.encode(["abc"]) == [3]


def test_errors_of_the_other_process_arrive_and_do_not_end_it(remote):
    with pytest.raises(ImportOrderError, match=r"import rakuten\.onnx_models first"):
        remote.encode(["import order"])
    with pytest.raises(EncoderError, match="the encoder 'small' has values beyond those"):
        remote.encode(["not finite"])
    assert remote.encode(["a"]) == [1]


def test_threads_load_a_part_once():
    class Model:
        loading, loads = RLock(), 0

        @encoders.LoadedOnce
        def part(self):
            self.loads += 1
            time.sleep(0.05)  # lets the other threads arrive
            return object()

    model, together = Model(), Barrier(4)

    def read(_):
        together.wait(timeout=60)
        return model.part

    with ThreadPoolExecutor(4) as threads:
        assert set(threads.map(read, range(4))) == {model.part}
    assert model.loads == 1
    assert isinstance(Model.part, encoders.LoadedOnce)
