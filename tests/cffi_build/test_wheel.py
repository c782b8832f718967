"""Wheels that must not be shipped are refused, with all reasons. Good ones are built and tried in firmware_tests."""

from __future__ import annotations

import dataclasses
import subprocess
import zipfile

import pytest

from cffi_build import cross, wheel
from runtime import _engine

INFO = "framegate-0.1.0.dist-info"
GOOD = ["runtime/__init__.py", "runtime/py.typed", "runtime/_engine.abi3.so", "runtime/_engine.pyi",
        "converters/__init__.py", f"{INFO}/METADATA", f"{INFO}/licenses/LICENSE"]  # fmt: skip


def test_listing():
    assert wheel.listing(GOOD) == []
    assert wheel.listing([*GOOD, "runtime/engine/src/conv.c"]) == ["holds runtime/engine/src/conv.c"]
    assert wheel.listing([*GOOD, "tests/conftest.py"]) == ["holds tests/conftest.py"]
    assert wheel.listing([*GOOD, "runtime/_other.so"]) == ["holds runtime/_other.so"]
    assert wheel.listing(GOOD[:-1]) == [r"lacks .*/licenses/LICENSE"]


def test_check_gives_all_reasons(tmp_path, monkeypatch):
    pytest.importorskip("elftools")
    path = tmp_path / "framegate-0.1.0-cp310-abi3-manylinux_2_17_armv7l.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for name in set(GOOD[:-1]) - {wheel.EXTENSION}:
            archive.writestr(name, "")
        archive.write(_engine.__file__, wheel.EXTENSION)
    monkeypatch.setattr(wheel, "LARGEST_WHEEL", 1000)
    monkeypatch.setitem(cross.TARGETS, "armv7l", dataclasses.replace(cross.TARGETS["armv7l"], largest_engine=2000))
    failed = subprocess.CompletedProcess([], 1, "said so", "")
    monkeypatch.setattr(wheel, "_said", lambda *words: failed)
    with pytest.raises(cross.BuildError) as refused:
        wheel.check(path, "armv7l")
    text = str(refused.value)
    for reason in ("not EM_ARM", "lacks .*/licenses/LICENSE", "more than 1000", "more than 32,000",
                   "auditwheel: not manylinux_2_17_armv7l", "abi3audit: said so"):  # fmt: skip
        assert reason in text
