"""Which convolutions are computed by Winograd's algorithm, and back."""

from __future__ import annotations

import numpy as np
import pytest

from converters.evaluate import evaluate, macs
from converters.passes.place_gates import GatePolicy, place_gates
from converters.passes.use_winograd import use_winograd, winograd_pays, without_winograd
from converters.verify import verify
from runtime.reference.graph import Conv2d, Graph, HoldGate, SkipGate, SkipKind, WinogradConv2d

from ...runtime.reference.test_winograd import network as one_convolution


def chosen(graph: Graph) -> list[bool]:
    return [isinstance(node.attributes, WinogradConv2d) for node in graph.nodes]


def gated(rows: int, cols: int, channels: int, out: int, **node: object) -> Graph:
    return one_convolution(rows, cols, channels, out, (1, 1, 1, 1), **({"gate": HoldGate(0.1)} | node))[1]


@pytest.mark.parametrize(
    ("rows", "cols", "channels", "out", "pays"),
    [
        (40, 40, 64, 64, True),
        (40, 40, 16, 16, True),
        (40, 40, 12, 64, False),  # transforms of few channels cost what products save
        (40, 40, 64, 12, False),
        (14, 14, 256, 256, True),
        (12, 16, 128, 128, True),
        (12, 12, 128, 128, False),  # nine tiles: weights are read for a product or two
    ],
)
def test_the_rule(rows: int, cols: int, channels: int, out: int, pays: bool) -> None:
    graph = gated(rows, cols, channels, out)
    assert winograd_pays(graph, graph.nodes[0]) == pays
    assert chosen(use_winograd(graph)) == [pays]


def test_only_behind_hold_gates() -> None:
    assert chosen(use_winograd(gated(40, 40, 32, 32, gate=None))) == [False]
    skip = SkipGate(SkipKind.NORM_INPUT, eps=0.1, scale=1.0)
    assert chosen(use_winograd(gated(40, 40, 32, 32, gate=skip))) == [False]


@pytest.mark.parametrize("change", [{"kernel_w": 1}, {"stride_h": 2}, {"dilation_w": 2}, {"groups": 2}])
def test_other_convolutions_stay(change: dict[str, int]) -> None:
    graph = gated(40, 40, 32, 32)
    weights = graph.values["w"].data
    assert weights is not None
    a = Conv2d(**({"kernel_h": 3, "kernel_w": 3, "pad_top": 1, "pad_left": 1} | change))
    graph.nodes[0].attributes = a
    graph.values["w"].data = weights[: a.kernel_h, : a.kernel_w, : 32 // a.groups]
    assert chosen(use_winograd(graph, lambda _graph, _node: True)) == [False]


def test_shared_weights_are_transformed_once_and_outputs_stay(network) -> None:
    n = network()
    graph = place_gates(n.finish(n.conv(n.conv(n.conv("x", 3, 3, 1), 3, 3, 1), 2)), GatePolicy())
    graph.nodes[1].inputs[1] = graph.nodes[0].inputs[1]
    after = verify(use_winograd(graph, lambda _graph, node: node.gate is not None))
    assert chosen(after) == [True, True, False]
    assert after.nodes[0].inputs[1] == after.nodes[1].inputs[1]
    assert sum(value.data is not None and value.data.shape[:2] == (6, 6) for value in after.values.values()) == 1
    assert macs(after) == macs(graph)
    back = verify(without_winograd(after))
    assert chosen(back) == [False, False, False]
    value = graph.values["x"]
    x = {"x": np.random.default_rng(0).normal(size=value.extents).astype(np.float32)}
    outputs = [next(iter(evaluate(each, x).values())) for each in (graph, after, back)]
    np.testing.assert_allclose(outputs[1], outputs[0], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(outputs[2], outputs[0], rtol=1e-4, atol=1e-5)
