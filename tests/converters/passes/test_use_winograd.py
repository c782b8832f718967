"""Which convolutions are computed by Winograd's algorithm, and back."""

from __future__ import annotations

import numpy as np
import pytest

from converters.evaluate import evaluate, macs
from converters.passes.place_gates import GatePolicy, place_gates
from converters.passes.use_winograd import RULES, use_winograd, winograd_form, without_winograd
from converters.verify import verify
from runtime.reference.graph import (
    CompactWinogradConv2d,
    Conv2d,
    Graph,
    HoldGate,
    Node,
    SkipGate,
    SkipKind,
    WinogradConv2d,
)

from ...runtime.reference.test_winograd import network as one_convolution


def chosen(graph: Graph) -> list[bool]:
    return [isinstance(node.attributes, WinogradConv2d) for node in graph.nodes]


def gated(rows: int, cols: int, channels: int, out: int, **node: object) -> Graph:
    return one_convolution(rows, cols, channels, out, (1, 1, 1, 1), **({"gate": HoldGate(0.1)} | node))[1]


def where_gated(form: type[WinogradConv2d]):
    def choose(_graph: Graph, node: Node) -> type[WinogradConv2d] | None:
        return form if node.gate is not None else None

    return choose


@pytest.mark.parametrize(
    ("rows", "cols", "channels", "out", "form"),
    [
        (40, 40, 64, 64, WinogradConv2d),
        (40, 40, 16, 16, WinogradConv2d),
        (40, 40, 12, 64, None),  # transforms of few channels cost what products save
        (40, 40, 64, 12, None),
        (16, 20, 256, 256, WinogradConv2d),
        (14, 14, 256, 256, CompactWinogradConv2d),  # 16 tiles: transformed weights are read for few products
        (7, 7, 512, 512, CompactWinogradConv2d),
        (6, 8, 256, 256, CompactWinogradConv2d),
        (5, 5, 512, 512, None),  # four tiles, but few pixels: transforms cost what products save
        (8, 4, 512, 512, None),
    ],
)
def test_the_rule(rows: int, cols: int, channels: int, out: int, form: type[WinogradConv2d] | None) -> None:
    graph = gated(rows, cols, channels, out)
    assert winograd_form(graph, graph.nodes[0]) is form
    assert type(use_winograd(graph).nodes[0].attributes) is (form or Conv2d)


def test_other_rules() -> None:
    assert [
        [winograd_form(graph, graph.nodes[0], RULES[rule]) for graph in (gated(8, 8, 32, 32), gated(80, 80, 32, 32))]
        for rule in ("auto", "compact", "transformed")
    ] == [
        [CompactWinogradConv2d, WinogradConv2d],
        [CompactWinogradConv2d, CompactWinogradConv2d],
        [WinogradConv2d, WinogradConv2d],
    ]


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
    assert chosen(use_winograd(graph, lambda _graph, _node: WinogradConv2d)) == [False]


@pytest.mark.parametrize("form", [WinogradConv2d, CompactWinogradConv2d])
def test_shared_weights_are_transformed_once_and_outputs_stay(network, form: type[WinogradConv2d]) -> None:
    n = network()
    graph = place_gates(n.finish(n.conv(n.conv(n.conv("x", 3, 3, 1), 3, 3, 1), 2)), GatePolicy())
    graph.nodes[1].inputs[1] = graph.nodes[0].inputs[1]
    after = verify(use_winograd(graph, where_gated(form)))
    assert chosen(after) == [True, True, False]
    assert after.nodes[0].inputs[1] == after.nodes[1].inputs[1]
    transformed = sum(value.data is not None and value.data.shape[:2] == (6, 6) for value in after.values.values())
    assert transformed == (form is WinogradConv2d)
    assert macs(after) == macs(graph)
    back = verify(without_winograd(after))
    assert chosen(back) == [False, False, False]
    value = graph.values["x"]
    x = {"x": np.random.default_rng(0).normal(size=value.extents).astype(np.float32)}
    outputs = [next(iter(evaluate(each, x).values())) for each in (graph, after, back)]
    np.testing.assert_allclose(outputs[1], outputs[0], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(outputs[2], outputs[0], rtol=1e-4, atol=1e-5)
