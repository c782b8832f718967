"""Every block converts and gives ONNX Runtime's outputs; the table of made figures."""

from __future__ import annotations

import numpy as np
import onnxruntime
import pytest

import converters
import runtime
from tests.runtime.test_bench_report import engine

from . import blocks


@pytest.mark.parametrize("block", blocks.BLOCKS, ids=lambda block: block.title)
def test_block(block, tmp_path):
    path = tmp_path / "block.onnx"
    block.write(path)
    converters.convert(path, tmp_path / "block.fgm")
    frame = block.frame()
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    (want,) = session.run(None, {"x": frame.transpose(2, 0, 1)[None]})
    (got,) = runtime.Stream(tmp_path / "block.fgm", gating=False).push(frame).outputs.values()
    assert np.linalg.norm(want) > 1e-3  # layers do not fade out
    assert np.linalg.norm(got - want) <= 5e-5 * np.linalg.norm(want)


def test_titles_are_unique():
    assert len({block.title for block in blocks.BLOCKS}) == len(blocks.BLOCKS)


def report(name, ours):
    row = {
        "threads": 1,
        "engines": {"framegate": engine(ours), "ort": engine(2.0), "mnn": engine(1.0)},
        "differences": {"ort": 1e-6, "mnn": 1e-2},
    }
    made = {"model": name, "group": "depthwise", "mmacs": 100.0, "peak": {"1": 200.0}}
    return {**made, "rows": [row], "versions": {}, "skipped": {}}


def test_table():
    table = blocks.table([report("a", 1.0), report("b", 4.0)])
    assert table.rows[0] == ["a", "1", "0.50", "ort", "1.00", "100%", "2.00", "50%", "(1.00)", "100%"]
    assert table.rows[2][:3] == ["depthwise: geometric mean", "1", "1.00"]
    assert all(len(row) == len(table.head) for row in table.rows)
    assert any("200 GFLOP/s" in note for note in table.notes)
