"""A graph as a module: hold gates on clips against the NumPy stream, gradients, weights back into the graph."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from converters.tuning.network import GraphNetwork  # noqa: E402
from converters.verify import verify  # noqa: E402
from runtime.reference.graph import Conv2d, GateNorm, Graph, HoldGate, Input, Node, Output, Value, ValueKind  # noqa: E402
from runtime.reference.stream import ReferenceStream  # noqa: E402


def network(gate: HoldGate) -> Graph:
    """10 x 12 x 3 -> 3 x 3 convolution to 4 (gated) -> 3 x 3 to 5 (gated) -> 1 x 1 to 2."""
    rng = np.random.default_rng(6)
    graph, last = Graph(), 3
    graph.values["x"] = Value("x", ValueKind.INPUT, 10, 12, 3, shape=(1, 3, 10, 12), pixel_axes=(2, 3))
    for index, (channels, kernel) in enumerate([(4, 3), (5, 3), (2, 1)]):
        weights = rng.normal(size=(kernel, kernel, last, channels)).astype(np.float32) / np.float32(3)
        graph.values[f"w.{index}"] = Value(f"w.{index}", ValueKind.CONSTANT, 1, 1, weights.size, data=weights)
        shape = {"shape": (1, channels, 10, 12), "pixel_axes": (2, 3)}
        graph.values[f"y{index}"] = Value(f"y{index}", ValueKind.NODE, 10, 12, channels, **shape)
        pad = kernel // 2
        conv = Conv2d(kernel, kernel, pad_top=pad, pad_left=pad, pad_bottom=pad, pad_right=pad)
        source = "x" if index == 0 else f"y{index - 1}"
        guard = gate if index < 2 else None
        graph.nodes.append(Node(f"n{index}", conv, [source, f"w.{index}", None, None], f"y{index}", gate=guard))
        last = channels
    graph.inputs.append(Input("x", "x"))
    graph.outputs.append(Output("y", "y2"))
    return verify(graph, "test")


def frames(count: int = 5) -> np.ndarray:
    rng = np.random.default_rng(7)
    clip = np.repeat(rng.normal(size=(1, 10, 12, 3)), count, 0) + 0.05 * rng.normal(size=(count, 10, 12, 3))
    for t in range(count):
        clip[t, t : t + 3, 2 * t : 2 * t + 3] += 2
    return clip.astype(np.float32)


@pytest.mark.parametrize("norm", GateNorm)
@pytest.mark.parametrize("block", [1, 4])
def test_gates_on_a_clip_equal_the_numpy_stream(norm, block):
    graph = network(HoldGate(0.3, norm, block))
    module, clip = GraphNetwork(graph), frames()
    module.measure({"x": torch.from_numpy(clip[:1])})
    with torch.no_grad():
        got = module({"x": torch.from_numpy(clip)}, len(clip), gates=True)
    stream = ReferenceStream(graph, refresh=0)
    for t, frame in enumerate(clip):
        stream.push([frame])
        expected = stream.output(0)[0].transpose(1, 2, 0)
        np.testing.assert_allclose(got.outputs["y2"][t].numpy(), expected, atol=1e-5)
    assert 0 < float(got.work) < 1


def test_work_is_the_share_of_what_gated_values_feed():
    graph = network(HoldGate(0.3))
    graph.nodes[0] = dataclasses.replace(graph.nodes[0], gate=HoldGate(1e6))  # never fires
    graph.nodes[1] = dataclasses.replace(graph.nodes[1], gate=HoldGate(0.0))  # nothing changes, nothing fires
    module, clip = GraphNetwork(graph), torch.from_numpy(frames())
    module.measure({"x": clip[:1]})
    assert module._work == {"y0": 120 * 4 * 9 * 5, "y1": 120 * 5 * 2}
    with torch.no_grad():
        assert float(module({"x": clip}, 5, gates=True).work) == pytest.approx(0, abs=1e-6)
    graph.nodes[0] = dataclasses.replace(graph.nodes[0], gate=HoldGate(0.0))  # fires everywhere
    module = GraphNetwork(graph)
    module.measure({"x": clip[:1]})
    with torch.no_grad():
        assert float(module({"x": clip}, 5, gates=True).work) == pytest.approx(1)


def test_gradients_reach_all_weights_and_weights_go_back_into_the_graph():
    graph = network(HoldGate(0.3))
    module, clip = GraphNetwork(graph), torch.from_numpy(frames())
    module.measure({"x": clip[:1]})
    result = module({"x": clip}, 5, gates=True)
    (result.outputs["y2"].square().mean() + result.work).backward()
    assert all(float(weight.grad.abs().sum()) > 0 for weight in module.weights.values())
    with torch.no_grad():
        for weight in module.weights.values():
            weight.mul_(2)
    doubled = module.to_graph()
    np.testing.assert_array_equal(doubled.values["w.1"].data, 2 * graph.values["w.1"].data)
    assert doubled.nodes == graph.nodes
