"""Fixtures shared by the tests of the tracking."""

import sys

import pytest


@pytest.fixture(autouse=True)
def streams_stay_open():
    """Keep the streams of pytest open when uvicorn configures logging, which closes all handlers.

    That of absl, which TensorFlow imports, would close the stream that it found at its import.
    """
    if "absl.logging" in sys.modules:
        sys.modules["absl.logging"].get_absl_handler().python_handler.stream = sys.__stderr__
