"""Tests of reading files by address."""

import pytest

from rakuten.serving.errors import InputError
from rakuten.serving.remote_files import locate


def test_unsupported_uris_are_refused():
    with pytest.raises(InputError, match="expected a path or a URI that PyArrow supports"):
        locate("gopher://x/y")
