"""Dense streams read packed float32 frames where the caller has them, to the last number and not beyond."""

from __future__ import annotations

import ctypes
import mmap

import numpy as np
import pytest

import runtime
from converters.writer import to_bytes
from runtime.reference import graph as g


def window_graph(rows: int, cols: int, channels: int) -> g.Graph:
    """Operators of all kinds on the input: 3x3, 1x1 and depthwise convolution, maximum, ReLU, sum."""
    graph = g.Graph()
    graph.inputs.append(g.Input("x", "x"))
    graph.values["x"] = g.Value(
        "x", g.ValueKind.INPUT, rows, cols, channels, shape=(1, channels, rows, cols), pixel_axes=(2, 3)
    )
    pads = {"pad_top": 1, "pad_left": 1, "pad_bottom": 1, "pad_right": 1}

    def constant(name: str, *shape: int) -> str:
        data = np.random.default_rng(len(name)).integers(-2, 3, shape).astype(np.float32)
        graph.values[name] = g.Value(name, g.ValueKind.CONSTANT, 1, 1, data.size, data=data)
        return name

    def node(name: str, attributes: g.Attributes, inputs: list[str | None], out: int, **more: object) -> None:
        graph.values[name] = g.Value(
            name, g.ValueKind.NODE, rows, cols, out, shape=(1, out, rows, cols), pixel_axes=(2, 3)
        )
        graph.nodes.append(g.Node(name, attributes, inputs, name, **more))
        graph.outputs.append(g.Output(name, name))

    node("window", g.Conv2d(3, 3, **pads), ["x", constant("w3", 3, 3, channels, 17)], 17)
    node("point", g.Conv2d(1, 1), ["x", constant("w", 1, 1, channels, 5)], 5)
    node("depthwise", g.Conv2d(3, 3, groups=channels, **pads), ["x", constant("wdw", 3, 3, 1, channels)], channels)
    node("largest", g.Pool(g.PoolKind.MAX, 3, 3, **pads), ["x"], channels)
    node("relu", g.Unary(), ["x"], channels, activation=g.ActivationSpec(g.Activation.RELU))
    node("sum", g.BinaryOp(g.Binary.ADD), ["x", "x"], channels)
    return graph


@pytest.mark.skipif(not hasattr(mmap, "MAP_ANONYMOUS"), reason="needs mprotect")
@pytest.mark.parametrize("channels", [1, 3, 4, 5, 16, 20])
def test_frames_are_read_where_they_are_and_not_beyond(channels: int) -> None:
    """A dense stream does not copy a packed float32 frame; here a forbidden page lies before and behind it."""
    page = mmap.PAGESIZE
    rows, cols = 9, 11
    count = rows * cols * channels
    pages = -(-count * 4 // page)
    memory = mmap.mmap(-1, (pages + 2) * page)
    numbers = np.frombuffer(memory, np.float32)
    start = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    protect = ctypes.CDLL(None, use_errno=True).mprotect
    for place in (start, start + (pages + 1) * page):
        assert protect(ctypes.c_void_p(place), ctypes.c_size_t(page), 0) == 0
    model = runtime.Model.from_bytes(to_bytes(window_graph(rows, cols, channels)))
    want = runtime.Stream(model)
    dense = runtime.Stream(model, gating=False)
    for begin in (page // 4, (pages + 1) * page // 4 - count):
        frame = numbers[begin : begin + count].reshape(rows, cols, channels)
        frame[...] = np.random.default_rng(channels).integers(-4, 5, frame.shape)
        got = dense.push(frame)
        for name, output in want.push(frame.copy()).items():
            assert got[name].tobytes() == output.tobytes()
        frame[...] = 0  # results are the stream's own
        assert got["relu"].any()
