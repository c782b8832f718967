"""Decides which convolutions are computed by Winograd's F(4x4, 3x3), and transforms weights where that pays."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from runtime.reference.graph import (
    Array,
    CompactWinogradConv2d,
    Conv2d,
    Graph,
    HoldGate,
    Node,
    WinogradConv2d,
    winograd_fits,
)
from runtime.reference.winograd import PATCH, TILE, restore_weights, transform_weights

from .rewrite import Rewriter

LEAST_CHANNELS = 16  # below, transforms cost what products save
TRANSFORM = 3  # tiles whose products cost what transforming the weights does
MOST_COST = 0.6  # of the direct products, of a whole map: gated, tiles compute more pixels than have changed
FEW_TILES = 16  # up to here reading weights transformed, four times as many, takes longer than transforming them
RULES: dict[str, int | None] = {"auto": FEW_TILES, "compact": None, "transformed": 0}  # None: any number

Form = type[WinogradConv2d]


def winograd_form(graph: Graph, node: Node, few_tiles: int | None = FEW_TILES) -> Form | None:
    """How ``winograd="auto"`` computes a convolution that fits (docs/kernels.md), from shapes alone; None: directly.

    A node without hold gate would pass on the rounding of its whole tiles as change.

    Args:
        graph: with the node.
        node: a 3x3 convolution.
        few_tiles: up to so many tiles weights stay as they are and the engine transforms them; None: always.
    """
    out, channels = graph.values[node.output], graph.values[str(node.inputs[0])].channels
    tiles = -(-out.rows // TILE) * -(-out.cols // TILE)
    if not isinstance(node.gate, HoldGate) or min(channels, out.channels) < LEAST_CHANNELS:
        return None
    if (tiles + TRANSFORM) * PATCH**2 > MOST_COST * out.rows * out.cols * 9:
        return None
    return CompactWinogradConv2d if few_tiles is None or tiles <= few_tiles else WinogradConv2d


def _change_weights(rewriter: Rewriter, node: Node, made: dict[str, str], change: Callable[[Array], Array]) -> None:
    """Gives a node changed weights; those of several nodes are made once."""
    weights = str(node.inputs[1])
    if weights not in made:
        data = rewriter.constant(weights)
        assert data is not None
        made[weights] = rewriter.add_constant(weights, change(data))
    rewriter.set_inputs(node, [node.inputs[0], made[weights], *node.inputs[2:]])


def use_winograd(graph: Graph, choose: Callable[[Graph, Node], Form | None] = winograd_form) -> Graph:
    """Gives the convolutions for which a form is chosen, of those that fit, that form and its weights."""
    rewriter = Rewriter(graph)
    transformed: dict[str, str] = {}
    changed = False
    for node in rewriter.live():
        a, weights = node.attributes, node.inputs[1] if len(node.inputs) > 1 else None
        if not isinstance(a, Conv2d) or isinstance(a, WinogradConv2d) or not winograd_fits(a):
            continue
        form = choose(graph, node)
        if form is None or rewriter.constant(weights) is None:
            continue
        if form is WinogradConv2d:
            _change_weights(rewriter, node, transformed, transform_weights)
        node.attributes = form(**dataclasses.asdict(a))
        changed = True
    return rewriter.finish() if changed else graph


def without_winograd(graph: Graph) -> Graph:
    """The graph with direct convolutions only; weights are restored, to rounding."""
    rewriter = Rewriter(graph)
    restored: dict[str, str] = {}
    changed = False
    for node in rewriter.live():
        a = node.attributes
        if not isinstance(a, WinogradConv2d):
            continue
        if not isinstance(a, CompactWinogradConv2d):
            _change_weights(rewriter, node, restored, restore_weights)
        node.attributes = Conv2d(**dataclasses.asdict(a))
        changed = True
    return rewriter.finish() if changed else graph
