"""The profile's structure: nodes, totals, bytes. Times are not tested."""

from __future__ import annotations

import json

import numpy as np
import pytest

from converters.writer import to_bytes
from runtime import engine_available, video
from runtime.__main__ import main
from runtime.model import Model
from runtime.profile import NodeProfile, gemm_network, measure, node_bytes, operator_table, summed
from runtime.stream import Stream

needs_engine = pytest.mark.skipif(not engine_available(), reason="the NumPy backend has no clock")


@pytest.fixture
def model(tmp_path, make_image_model):
    path = tmp_path / "net.fgm"
    path.write_bytes(bytes(make_image_model(prepared=True)._data))
    return str(path)


@pytest.fixture
def clip(tmp_path):
    rng = np.random.default_rng(4)
    with video.Writer(tmp_path / "clip") as sink:
        for _ in range(3):
            sink.write(rng.integers(0, 256, (24, 32, 3)).astype(np.uint8))
    return str(tmp_path / "clip")


@needs_engine
def test_measure_counts_pushes_after_the_first(model):
    frames = [np.full((12, 16, 3), 40 * i, np.uint8) for i in (0, 0, 1)]
    stream = Stream(model, profile=True)
    nodes, total = measure(stream, frames, runs=2)
    assert [node.name for node in nodes] == ["(input)", "conv", "flatten", "pool"]
    assert total == pytest.approx(sum(node.microseconds for node in nodes))
    conv = nodes[1]
    assert conv.macs == pytest.approx(stream.model.macs / 2), "one of two pushes changes everything"
    assert conv.computed == pytest.approx(conv.pixels / 2)
    assert conv.bytes_written == pytest.approx(12 * 16 * 4 * 4 / 2)


def test_bytes_are_those_of_the_extents(image_model):
    conv, view, _ = image_model.graph.nodes
    assert node_bytes(image_model.graph, conv) == (12 * 16 * 3 * 4, 3 * 3 * 3 * 4 * 4, 12 * 16 * 4 * 4)
    assert node_bytes(image_model.graph, view)[1] == 0


def test_summed_and_by_operator():
    nodes = [
        NodeProfile("a", "conv2d", 10.0, 5e6, 8, 16, 64, 32),
        NodeProfile("b", "conv2d", 30.0, 1e6, 16, 16, 64, 32),
    ]
    both = summed("conv2d", nodes)
    assert (both.microseconds, both.macs, both.pixels) == (40.0, 6e6, 32)
    assert both.gflops == pytest.approx(300.0)
    table = operator_table([NodeProfile("v", "view", 1.0, 0, 1, 1, 0, 0), *nodes], 41.0, 600.0)
    assert [row[0] for row in table.rows] == ["conv2d", "view"]
    assert table.rows[0][:4] == ["conv2d", "2", "97.6%", "40.0"]
    assert table.rows[0][6] == "50%"


def test_the_peaks_network_is_valid():
    model = Model.from_bytes(to_bytes(gemm_network()))
    assert model.macs == 28 * 28 * 256 * 256


@needs_engine
def test_verb(model, clip, tmp_path, capsys):
    assert main(["profile", model, clip, "--gating", "off"]) == 0
    text = capsys.readouterr().out
    assert "by operator" in text
    assert "of gemm" in text
    assert main(["profile", model, clip, "--json", str(tmp_path / "p.json"), "--markdown"]) == 0
    assert "| conv | conv2d |" in capsys.readouterr().out
    figures = json.loads((tmp_path / "p.json").read_text())
    assert figures["pushes"] == 2
    assert figures["best_gemm_gflops"] > 0
    assert [node["op"] for node in figures["nodes"]] == ["input", "conv2d", "view", "reduce_pixels"]


@needs_engine
def test_one_frame_is_too_few(model, clip, capsys):
    assert main(["profile", model, clip, "--frames", "1"]) == 2
    assert "at least two frames" in capsys.readouterr().err
