"""Collects what the tests of a part proved, and what several parts run."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest

from .tools import ROOT, locked

PROVED: list[str] = []


def pytest_addoption(parser):
    parser.addoption("--proofs", help="file for what was proved, sentences, and the CPU seconds it took")


def pytest_sessionfinish(session):
    path = session.config.getoption("--proofs")
    if path:
        Path(path).write_text(json.dumps({"proved": PROVED, "cpu": sum(os.times()[:4])}))  # children's included


@pytest.fixture
def proves():
    """A function that a test calls last, with a sentence on what it has shown."""
    return PROVED.append


@pytest.fixture(scope="session")
def demo():
    """The demo's module: its network, clips and how it reads faces."""
    sys.path.insert(0, str(ROOT / "examples"))
    try:
        import demo

        return demo
    finally:
        sys.path.pop(0)


@pytest.fixture(scope="session")
def scene(demo, tmp_path_factory):
    """The demo's first scene: the face detector, or the stand-in where PyPI is out of reach."""
    with locked("scene"):
        return demo.scenes(False, tmp_path_factory.mktemp("scene"))[0]
