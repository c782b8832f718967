"""Dense streams compute sequences of nodes a few rows at a time: nothing but time and memory may tell."""

from __future__ import annotations

import numpy as np
import pytest

import runtime
from converters.writer import to_bytes
from runtime.reference.graph import (
    Activation,
    ActivationSpec,
    Conv2d,
    Graph,
    Input,
    Node,
    Output,
    Reduce,
    ReducePixels,
    Value,
    ValueKind,
)

from ..random_graphs import GraphMaker, random_clip


@pytest.mark.parametrize("block", range(4))
def test_random_graphs_give_the_bits_of_whole_maps(block: int) -> None:
    """The first push of a gated stream computes node by node."""
    stripped = 0
    for seed in range(block * 12, block * 12 + 12):
        graph = GraphMaker(seed, exact=False, nodes=30, large=True).graph
        model = runtime.Model.from_bytes(to_bytes(graph))
        clip = random_clip(graph, seed, 2)
        dense = [runtime.Stream(model, gating=False, threads=threads) for threads in (1, 3)]
        for frame in clip:
            whole = runtime.Stream(model)
            want = whole.push(frame)
            for stream in dense:
                got = stream.push(frame)
                assert got.macs == want.macs
                for name in want:
                    assert got[name].tobytes() == want[name].tobytes(), (seed, name)
                for node in graph.nodes:
                    np.testing.assert_array_equal(stream.changed_mask(node.name), whole.changed_mask(node.name))
                    assert stream.stats(node.name).computed == whole.stats(node.name).computed
        stripped += dense[0].state_bytes < whole.state_bytes - 100_000
    assert stripped


def few_pixels_many_weights() -> Graph:
    """Convolutions that threads share by output channels: of 7 x 7 pixels, of 3 x 3 with edges, of one; 300 is no
    multiple of a panel, 20 are fewer panels than threads."""
    random = np.random.default_rng(3)
    graph = Graph()
    graph.values["x"] = Value("x", ValueKind.INPUT, 7, 7, 256, shape=(1, 256, 7, 7), pixel_axes=(2, 3))

    def conv(x: str, channels: int, kernel: int, stride: int, kind: Activation) -> str:
        rows, _, depth = graph.values[x].extents
        name, pad, size = f"conv{len(graph.nodes)}", kernel // 2, (rows + stride - 1) // stride
        numbers = random.standard_normal((kernel, kernel, depth, channels)).astype(np.float32) / 20
        graph.values[f"{name}.w"] = Value(f"{name}.w", ValueKind.CONSTANT, 1, 1, numbers.size, numbers)
        bias = random.standard_normal((1, 1, channels)).astype(np.float32)
        graph.values[f"{name}.b"] = Value(f"{name}.b", ValueKind.CONSTANT, 1, 1, channels, bias)
        shape = (1, channels, size, size)
        graph.values[name] = Value(name, ValueKind.NODE, size, size, channels, shape=shape, pixel_axes=(2, 3))
        attributes = Conv2d(kernel, kernel, stride, stride, 1, 1, pad, pad, pad, pad)
        graph.nodes.append(Node(name, attributes, [x, f"{name}.w", f"{name}.b"], name, ActivationSpec(kind)))
        return name

    y = conv("x", 300, 1, 1, Activation.RELU)
    z = conv(conv(y, 320, 3, 2, Activation.IDENTITY), 256, 3, 1, Activation.RELU)
    graph.values["mean"] = Value("mean", ValueKind.NODE, 1, 1, 256, shape=(1, 256, 1, 1), pixel_axes=(2, 3))
    graph.nodes.append(Node("mean", ReducePixels(int(Reduce.MEAN)), [z], "mean"))
    last = conv(conv("mean", 512, 1, 1, Activation.SILU), 20, 1, 1, Activation.IDENTITY)
    graph.inputs = [Input("x", "x")]
    graph.outputs = [Output(name, name) for name in (y, z, conv(last, 4096, 1, 1, Activation.RELU))]
    return graph


@pytest.mark.parametrize("gating", [False, True])
def test_threads_that_share_output_channels_change_no_bit(gating: bool) -> None:
    model = runtime.Model.from_bytes(to_bytes(few_pixels_many_weights()))
    frames = np.random.default_rng(4).standard_normal((3, 7, 7, 256)).astype(np.float32)
    streams = [runtime.Stream(model, gating=gating, threads=threads) for threads in (1, 2, 3, 5, 16)]
    for frame in frames:
        want, *others = (stream.push(frame) for stream in streams)
        for got in others:
            for name in want:
                assert got[name].tobytes() == want[name].tobytes(), name
