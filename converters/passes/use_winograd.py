"""Decides which convolutions are computed by Winograd's F(4x4, 3x3), and transforms their weights."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from runtime.reference.graph import Conv2d, Graph, HoldGate, Node, WinogradConv2d, winograd_fits
from runtime.reference.winograd import TILE, restore_weights, transform_weights

from .rewrite import Rewriter

LEAST_CHANNELS = 16  # below, transforms cost what products save
LEAST_TILES = 12  # below, tiles take longer to read their weights, four times as many, than to use them


def winograd_pays(graph: Graph, node: Node) -> bool:
    """The rule of ``winograd="auto"`` (docs/kernels.md), from shapes alone: faster dense and gated.

    A node without hold gate would pass on the rounding of its whole tiles as change.
    """
    out, channels = graph.values[node.output], graph.values[str(node.inputs[0])].channels
    tiles = -(-out.rows // TILE) * -(-out.cols // TILE)
    return isinstance(node.gate, HoldGate) and min(channels, out.channels) >= LEAST_CHANNELS and tiles >= LEAST_TILES


def use_winograd(graph: Graph, choose: Callable[[Graph, Node], bool] = winograd_pays) -> Graph:
    """Gives the chosen convolutions, of those that fit, transformed weights."""
    rewriter = Rewriter(graph)
    transformed: dict[str, str] = {}
    for node in rewriter.live():
        a, weights = node.attributes, node.inputs[1] if len(node.inputs) > 1 else None
        if not isinstance(a, Conv2d) or isinstance(a, WinogradConv2d) or not winograd_fits(a):
            continue
        data = rewriter.constant(weights)
        if weights is None or data is None or not choose(graph, node):
            continue
        if weights not in transformed:
            transformed[weights] = rewriter.add_constant(weights, transform_weights(data))
        rewriter.set_inputs(node, [node.inputs[0], transformed[weights], *node.inputs[2:]])
        node.attributes = WinogradConv2d(**dataclasses.asdict(a))
    return rewriter.finish() if transformed else graph


def without_winograd(graph: Graph) -> Graph:
    """The graph with direct convolutions only; weights are restored, to rounding."""
    rewriter = Rewriter(graph)
    restored: dict[str, str] = {}
    for node in rewriter.live():
        if not isinstance(node.attributes, WinogradConv2d):
            continue
        weights = str(node.inputs[1])
        data = rewriter.constant(weights)
        assert data is not None
        if weights not in restored:
            restored[weights] = rewriter.add_constant(weights, restore_weights(data))
        rewriter.set_inputs(node, [node.inputs[0], restored[weights], *node.inputs[2:]])
        node.attributes = Conv2d(**dataclasses.asdict(node.attributes))
    return rewriter.finish() if restored else graph
