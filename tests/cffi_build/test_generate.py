"""The cdef is the header, and the stub is what the generator gives today."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
spec = importlib.util.spec_from_file_location("generate", ROOT / "cffi_build" / "generate.py")
generate = importlib.util.module_from_spec(spec)
spec.loader.exec_module(generate)
REGION = generate.region(generate.HEADER.read_text())


def test_stub_is_current():
    stub = (ROOT / "runtime" / "_engine.pyi").read_text()
    assert stub == generate.stub(REGION), "run: python cffi_build/generate.py --stub runtime/_engine.pyi"


def test_stub_lists_what_the_extension_has():
    from runtime import _engine

    stub = generate.stub(REGION).partition("class Lib:")[2]
    listed = set(re.findall(r"^    (?:def )?(\w+)[:(]", stub, re.MULTILINE))
    assert listed == set(dir(_engine.lib))


def test_types():
    stub = generate.stub(
        "#define N 3\ntypedef enum e { A = 0, B = 1 } e;\nvoid fg_f(void);\nfloat fg_g(float x, const e *y);\n"
    )
    assert "    N: int\n    A: int\n    B: int\n" in stub
    assert "def fg_f(self) -> None: ...\n" in stub
    assert "def fg_g(self, x: float, y: CData) -> float: ...\n" in stub


def test_region_must_be_marked():
    with pytest.raises(ValueError, match="cdef: begin"):
        generate.region("int x;")
