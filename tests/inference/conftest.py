"""The tiny pipeline and its clip."""

import pytest

from tests.tiny import tiny_clip, tiny_pipeline


@pytest.fixture(scope="module")
def pipeline():
    return tiny_pipeline()


@pytest.fixture(scope="module")
def clip():
    return tiny_clip()
