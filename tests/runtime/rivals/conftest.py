"""A small network as a file's bytes."""

from __future__ import annotations

import pytest


@pytest.fixture
def image_model_bytes(image_model) -> bytes:
    return bytes(image_model._data)
