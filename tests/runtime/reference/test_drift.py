"""Gates decided by drift: which nodes they are, and what adds up."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np
import pytest

from runtime.reference import graph as g
from runtime.reference.drift import Drift, drifting
from runtime.reference.stream import ReferenceStream

ROWS, COLS, CHANNELS = 6, 7, 4


def separable(
    rng: np.random.Generator | None = None,
    alpha: float = 1.0,
    rows: int = ROWS,
    cols: int = COLS,
    size: tuple[int, int] = (3, 3),
    **window: int,
) -> g.Graph:
    """x, a 1x1 convolution that leaves it as it is, a depthwise and a 1x1 convolution; the first two are gated."""
    graph = g.Graph()
    rng = rng or np.random.default_rng(0)
    high, wide = (extent // 2 * window.get("dilation_h", 1) for extent in size)
    window = {"pad_top": high, "pad_left": wide, "pad_bottom": high, "pad_right": wide} | window

    def constant(name: str, data: np.ndarray) -> str:
        graph.values[name] = g.Value(name, g.ValueKind.CONSTANT, 1, 1, data.size, data=data.astype(np.float32))
        return name

    def value(name: str, kind: g.ValueKind, rows: int = rows, cols: int = cols) -> str:
        shape = (1, CHANNELS, rows, cols)
        graph.values[name] = g.Value(name, kind, rows, cols, CHANNELS, shape=shape, pixel_axes=(2, 3))
        return name

    value("x", g.ValueKind.INPUT)
    plain, gate = g.Conv2d(1, 1), g.HoldGate(alpha, std=2.0)
    depthwise = g.Conv2d(*size, groups=CHANNELS, **window)
    small = (rows - 1) // depthwise.stride_h + 1, (cols - 1) // depthwise.stride_w + 1
    one, kernel = (
        constant("one", np.eye(CHANNELS).reshape(1, 1, CHANNELS, CHANNELS)),
        rng.normal(size=(*size, 1, CHANNELS)),
    )
    point = constant("point", rng.normal(size=(1, 1, CHANNELS, CHANNELS)))
    graph.nodes = [
        g.Node("first", plain, ["x", one], value("held", g.ValueKind.NODE), gate=dataclasses.replace(gate, alpha=0.25)),
        g.Node(
            "depthwise",
            depthwise,
            ["held", constant("kernel", kernel)],
            value("d", g.ValueKind.NODE, *small),
            gate=gate,
        ),
        g.Node("pointwise", plain, ["d", point], value("y", g.ValueKind.NODE, *small)),
    ]
    graph.inputs, graph.outputs = [g.Input("x", "x")], [g.Output("y", "y")]
    return graph


def changed(node: int, **more: object) -> Callable[[g.Graph], None]:
    """Replaces a node's attributes, gate or inputs."""

    def change(graph: g.Graph) -> None:
        graph.nodes[node] = dataclasses.replace(graph.nodes[node], **more)  # type: ignore[arg-type]

    return change


def read_again(graph: g.Graph) -> None:
    graph.values["again"] = dataclasses.replace(graph.values["d"], name="again")
    graph.nodes.append(g.Node("again", g.Unary(), ["d"], "again"))


def handed_out(graph: g.Graph) -> None:
    graph.outputs.append(g.Output("d", "d"))


def apart(graph: g.Graph) -> None:
    graph.values["between"] = dataclasses.replace(graph.values["held"], name="between")
    graph.nodes.insert(2, g.Node("between", g.Unary(), ["held"], "between"))


EXCEPTIONS = {
    "first has no gate": changed(0, gate=None),
    "first by maximum": changed(0, gate=g.HoldGate(1.0, g.GateNorm.MAX)),
    "first by blocks": changed(0, gate=g.HoldGate(1.0, block=2)),
    "no gate": changed(1, gate=None),
    "by root mean square": changed(1, gate=g.HoldGate(1.0, g.GateNorm.RMS)),
    "by blocks": changed(1, gate=g.HoldGate(1.0, block=2)),
    "from the frame": changed(1, inputs=["x", "kernel"]),
    "pointwise by blocks": changed(2, gate=g.HoldGate(1.0, block=2)),
    "pointwise with padding": changed(2, attributes=g.Conv2d(1, 1, pad_top=1)),
    "pointwise with a stride": changed(2, attributes=g.Conv2d(1, 1, stride_w=2)),
    "pointwise of something else": changed(2, inputs=["held", "point"]),
    "not the next node": apart,
    "read again": read_again,
    "an output": handed_out,
}


def test_the_engine_computes_both_at_once() -> None:
    graph = separable()
    assert {name: node.name for name, node in drifting(graph).items()} == {"d": "first"}
    graph.nodes[2].gate = g.HoldGate(0.1, g.GateNorm.MAX)
    assert list(drifting(graph)) == ["d"]


@pytest.mark.parametrize("name", EXCEPTIONS)
def test_others_are_held(name: str) -> None:
    graph = separable()
    EXCEPTIONS[name](graph)
    assert drifting(graph) == {}


def test_taps_count_as_their_weights() -> None:
    weights = np.zeros((2, 2, 1, 3), np.float32)
    weights[0, 0], weights[1, 0] = [1, -2, 3], [0, 0, -2]
    drift = Drift.of(g.Conv2d(2, 2, groups=3), weights, 4, 4)
    np.testing.assert_array_equal(drift.shares, np.array([0.75, 0, 0.25, 0], np.float32))
    assert not Drift.of(g.Conv2d(2, 2, groups=3), 0 * weights, 4, 4).shares.any()


@pytest.mark.parametrize("stride", [1, 2])
def test_small_changes_add_up(stride: int) -> None:
    """One pixel moves by 0.75 a push, in all channels; a standard deviation is 2, the limit one of them."""
    graph = separable(alpha=1.0, stride_h=stride, stride_w=stride)
    shares = Drift.of(graph.nodes[1].attributes, graph.values["kernel"].data, 1, 1).shares.reshape(3, 3)  # type: ignore[arg-type]
    stream = ReferenceStream(graph, refresh=0)
    frame = np.zeros((ROWS, COLS, CHANNELS), np.float32)
    stream.push([frame])
    drift, seen = np.zeros((ROWS + 2, COLS + 2)), []
    for _ in range(60):
        frame = frame.copy()
        frame[2, 4] += 0.75
        stream.push([frame])
        drift[2:5, 4:7] += 0.75 * shares[::-1, ::-1]
        fires = drift[1:-1:stride, 1:-1:stride] > 2.0
        drift[1:-1:stride, 1:-1:stride][fires] = 0
        np.testing.assert_array_equal(stream.node_mask(1), fires)
        seen.append(int(fires.sum()))
    assert max(seen) > 0
    assert min(seen) == 0


def test_nan_fires_and_is_forgotten() -> None:
    drift = Drift.of(g.Conv2d(1, 1, groups=2), np.ones((1, 1, 1, 2), np.float32), 1, 3)
    everything = np.ones((1, 3), np.bool_)
    moved = np.array([[np.nan, 1, 3]], np.float32)
    np.testing.assert_array_equal(drift.add(everything, everything, moved, 2.0), [[True, False, True]])
    np.testing.assert_array_equal(drift.sums, [[0, 1, 0]])
