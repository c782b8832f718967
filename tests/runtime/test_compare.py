"""The comparison of gates: rows, matched work, drift, the verb end to end."""

from __future__ import annotations

import json

import numpy as np
import pytest

from converters.skip_gates import close_loops
from converters.variants import hold_gated, norm_gated, ungated
from converters.writer import to_bytes
from runtime import video
from runtime.__main__ import main
from runtime.agreement import dense_outputs
from runtime.compare import Row, Tools, measure, table, variants
from runtime.errors import ArgumentError
from runtime.model import Model

from .test_tune import frames, network

pytestmark = pytest.mark.filterwarnings("ignore:the compiled engine is missing")
TOOLS = Tools(to_bytes, close_loops, hold_gated, norm_gated)


def test_hold_gates_against_norm_gates_at_the_same_work():
    model, clip = Model.from_bytes(to_bytes(network())), frames(12)
    dense = dense_outputs(model, clip)
    made = dict(variants(model, clip, dense, TOOLS, {"refresh": 0}))
    assert list(made) == [
        "dense",
        "hold gates, as in the file",
        "norm gates, official (open loop)",
        "norm gates, closed loop",
    ]
    rows = [
        measure(name, Model.from_bytes(to_bytes(graph or network())), clip, dense, lambda a, b: 0.5, refresh=0,
                gating=graph is not None)
        for name, graph in made.items()
    ]  # fmt: skip
    assert (rows[0].macs, rows[0].error, rows[0].agreement) == (1, 0, 0.5)
    assert all(abs(row.macs - rows[1].macs) < 0.1 for row in rows[2:])
    assert all(len(row.errors) == 11 and row.milliseconds > 0 for row in rows)


def test_a_network_with_skip_gates():
    graph = norm_gated(network(), 0.5)
    model, clip = Model.from_bytes(to_bytes(graph)), frames(3)
    made = dict(variants(model, clip, dense_outputs(model, clip), TOOLS, {}))
    assert list(made) == ["dense", "skip gates, as in the file", "skip gates, closed loop", "hold gates"]
    with pytest.raises(ArgumentError, match="no gates to compare"):
        list(variants(Model.from_bytes(to_bytes(ungated(graph))), clip, [], TOOLS, {}))


def test_quarters_show_drift():
    row = Row("a", 0.5, 1.0, 0.9, 0.4, [0.1, 0.1, 0.2, 0.4, 0.6, 0.8, 0.9])
    assert row.parts == pytest.approx([0.1, 0.3, 0.7, 0.9])
    assert table("t", [row]).rows[0][-4:] == ["0.100", "0.300", "0.700", "0.900"]
    short = Row("a", 0.5, 1.0, 0.9, 0.4, [0.25])
    assert table("t", [short]).rows[0][-4:] == ["0.250", "-", "-", "-"]


def test_the_verb(tmp_path, capsys):
    (tmp_path / "net.fgm").write_bytes(to_bytes(norm_gated(network(), 2.0)))
    with video.Writer(tmp_path / "clip") as sink:
        for frame in frames(5):
            sink.write(frame)
    report = tmp_path / "report.json"
    arguments = ["compare", str(tmp_path / "net.fgm"), "--video", str(tmp_path / "clip")]
    assert main([*arguments, "--json", str(report)]) == 0
    text = capsys.readouterr().out
    assert "5 frames" in text
    assert "skip gates, closed loop" in text
    rows = json.loads(report.read_text())["rows"]
    assert len(rows) == 4
    assert np.isfinite([row["error"] for row in rows]).all()
    assert main([*arguments, "--frames", "1"]) == 2
    assert "at least two frames" in capsys.readouterr().err
