"""Exceptions that workers raise must reach the process that reports them."""

import copy
import importlib
import inspect
import re

import pytest
from repository import ROOT

from rakuten import onnx_models  # noqa: F401, before the modules that import TensorFlow

CLASSES = [
    (".".join(path.relative_to(ROOT).with_suffix("").parts), name)
    for path in sorted((ROOT / "rakuten").rglob("*.py"))
    for name in re.findall(r"^class (\w+Error)\(", path.read_text(), re.MULTILINE)
]


@pytest.mark.parametrize(("module", "name"), CLASSES)
def test_an_exception_can_be_sent_to_another_process(module, name):
    kind = getattr(importlib.import_module(module), name)
    arguments = list(inspect.signature(kind.__init__).parameters)[1:]  # any text will do
    error = kind(*arguments)
    again = copy.copy(error)  # by the protocol of pickle, as processes, Ray and Spark send it
    assert (type(again), str(again), vars(again)) == (kind, str(error), vars(error))
