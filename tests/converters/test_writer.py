"""Files the writer makes, field by field where a rule of docs/file_format.md is easy to break."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

import numpy as np
import pytest

from converters import writer
from runtime.reference import format as fgm
from runtime.reference.errors import Error, FormatError
from runtime.reference.graph import (
    Activation,
    ActivationSpec,
    Align,
    Conv2d,
    GateNorm,
    Graph,
    HoldGate,
    Input,
    Node,
    Output,
    Preprocess,
    Resize,
    Transpose,
    Unary,
    Value,
    ValueKind,
)
from runtime.reference.reader import read_model


def network() -> Graph:
    graph = Graph(metadata={"source": "test"})
    graph.inputs.append(
        Input("frame", "x", 4.0, 0.0, Preprocess(Resize.LETTERBOX, Align.CENTER, 114, (2, 1, 0), (1, 2, 3), (4, 5, 6)))
    )
    graph.outputs += [Output("scores", "y"), Output("flipped", "t", "int64")]
    values = [
        Value("x", ValueKind.INPUT, 4, 4, 3, shape=(1, 3, 4, 4), pixel_axes=(2, 3)),
        Value("w", ValueKind.CONSTANT, 1, 1, 6, data=np.arange(6, dtype=np.float32).reshape(1, 1, 3, 2)),
        Value("b", ValueKind.CONSTANT, 1, 1, 2, data=np.ones((1, 1, 2), np.float32)),
        Value("a", ValueKind.NODE, 4, 4, 2),
        Value("y", ValueKind.NODE, 4, 4, 2, shape=(1, 2, 4, 4), pixel_axes=(2, 3)),
        Value("t", ValueKind.NODE, 1, 1, 32, shape=(2, 16), source_dtype="int64"),
    ]
    graph.values.update({value.name: value for value in values})
    gate = HoldGate(0.125, GateNorm.MAX, 2, 0.5)
    graph.nodes += [
        Node("conv", Conv2d(1, 1), ["x", "w", "b"], "a", ActivationSpec(Activation.CLIP, (-1.0, 0.0)), gate),
        Node("act", Unary(), ["a"], "y", ActivationSpec(Activation.RELU)),
        Node("turn", Transpose(2, (16, 2), (1, 0)), ["y"], "t"),
    ]
    return graph


def test_round_trip_is_stable() -> None:
    data = writer.to_bytes(network())
    again = read_model(data)
    assert writer.to_bytes(again) == data
    expected = network()
    expected.nodes[0].inputs.append(None)  # optional inputs are written in full
    assert again.nodes == expected.nodes
    assert again.inputs == expected.inputs
    assert again.outputs == expected.outputs


def test_sections_are_aligned_and_the_file_ends_with_the_last() -> None:
    data = writer.to_bytes(network())
    count = fgm.HEADER.unpack_from(data)[6]
    end = 64 + 32 * count
    for i in range(count):
        _, _, offset, size, _, _ = fgm.SECTION.unpack_from(data, 64 + 32 * i)
        assert offset == -(-end // 64) * 64
        assert not any(data[end:offset])
        end = offset + size
    assert end == len(data) == fgm.HEADER.unpack_from(data)[4]


def test_a_graph_without_constants_and_metadata() -> None:
    graph = network()
    graph.nodes = graph.nodes[1:]
    graph.nodes[0].inputs = ["x"]
    for name in ("w", "b", "a"):
        del graph.values[name]
    graph.values["y"].channels, graph.values["y"].shape = 3, (1, 3, 4, 4)
    graph.values["t"].channels, graph.values["t"].shape = 48, (48,)
    graph.metadata = {}
    assert len(read_model(writer.to_bytes(graph)).values) == 3


def test_write_model_replaces_and_leaves_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "net.fgm"
    path.write_bytes(b"old")
    assert writer.write_model(network(), path) == path.stat().st_size
    assert [p.name for p in tmp_path.iterdir()] == ["net.fgm"]
    assert stat.S_IMODE(path.stat().st_mode) & 0o400


def test_full_disk_keeps_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "net.fgm"
    path.write_bytes(b"old")

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(Error, match=r"cannot write .*net\.fgm: No space left on device; \d+ bytes are needed"):
        writer.write_model(network(), path)
    assert [p.name for p in tmp_path.iterdir()] == ["net.fgm"]
    assert path.read_bytes() == b"old"


def test_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(Error, match=r"cannot write .*none/net\.fgm: No such file.*or give another path"):
        writer.write_model(network(), tmp_path / "none" / "net.fgm")


def test_what_the_format_cannot_hold_is_named() -> None:
    graph = network()
    graph.values["b"].data = np.ones((1, 1, 2))
    with pytest.raises(FormatError, match="constant 'b' is float64"):
        writer.to_bytes(graph)
    graph = network()
    graph.nodes[1].inputs = ["lost"]
    with pytest.raises(FormatError, match="node 'act' reads 'lost'"):
        writer.to_bytes(graph)
    graph = network()
    graph.values["y"].shape = (1, 2, 4, 5)
    with pytest.raises(FormatError, match="cannot be seen as source shape"):
        writer.to_bytes(graph)
    graph = network()
    graph.outputs[0].dtype = "float64"
    with pytest.raises(FormatError, match="'scores' has dtype float64"):
        writer.to_bytes(graph)
