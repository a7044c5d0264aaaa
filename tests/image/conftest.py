"""Fixtures of the tests of images."""

import pytest
from backbone_cases import vgg16_weights


@pytest.fixture(scope="session")
def weights():
    """Random weights of VGG16, drawn once."""
    return vgg16_weights()


@pytest.fixture(scope="session")
def narrow_weights():
    """Random weights of a narrow VGG16: quantizing the whole network takes seconds."""
    return vgg16_weights(width=16)
