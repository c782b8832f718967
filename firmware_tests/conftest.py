"""Collects what the tests of a part proved."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

PROVED: list[str] = []


def pytest_addoption(parser):
    parser.addoption("--proofs", help="file for what was proved, a JSON list of sentences")


def pytest_sessionfinish(session):
    path = session.config.getoption("--proofs")
    if path:
        Path(path).write_text(json.dumps(PROVED))


@pytest.fixture
def proves():
    """A function that a test calls last, with a sentence on what it has shown."""
    return PROVED.append
