"""Fixtures shared by the tests."""

import pytest


@pytest.fixture(autouse=True)
def tensorflow_settings(request):
    """Give every test that uses TensorFlow the settings of a stage, before its first tensor."""
    if "tensorflow" in request.keywords:
        from rakuten import determinism

        determinism.configure(seed=3, threads=2)
