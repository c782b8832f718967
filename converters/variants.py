"""One network under other gates, for comparisons: hold gates, and the norm gates of Skip-Convolutions."""

from __future__ import annotations

import dataclasses

import numpy as np

from runtime.reference.graph import (
    Activation,
    ActivationSpec,
    Conv2d,
    ConvTranspose2d,
    Graph,
    HoldGate,
    Node,
    Residual,
    SkipGate,
    SkipKind,
    Unary,
)

from .passes import GatePolicy
from .passes.place_gates import place_gates
from .passes.use_winograd import without_winograd
from .verify import verify

PLAIN_INPUTS = 4  # of a convolution without a skip gate: x, weights, bias, residual
INPUT_THRESHOLD = 4.0  # grey levels, the converter's default


def ungated(graph: Graph) -> Graph:
    """The graph without gates."""
    nodes = [
        dataclasses.replace(node, gate=None, inputs=node.inputs[:PLAIN_INPUTS])
        if isinstance(node.attributes, Conv2d)
        else dataclasses.replace(node, gate=None)
        for node in graph.nodes
    ]
    return dataclasses.replace(graph, nodes=nodes)


def hold_gated(graph: Graph) -> Graph:
    """The graph as the converter would gate a plain network, with its default thresholds."""
    inputs = [dataclasses.replace(item, threshold=item.threshold or INPUT_THRESHOLD) for item in graph.inputs]
    gated = place_gates(ungated(graph), GatePolicy())
    return verify(dataclasses.replace(gated, inputs=inputs), "hold gates")


def norm_gated(graph: Graph, eps: float) -> Graph:
    """The graph with the paper's output-norm gates (Eq. 7), one threshold for all layers, where it has hold gates.

    They add residuals to held outputs and compare with the last frame. A convolution's fused activation becomes a node
    of its own, because held outputs are those before it. Other gates, and the input's, are taken away.
    """
    graph = without_winograd(graph)
    names = set(graph.values)
    values, nodes = dict(graph.values), []
    for node in ungated(graph).nodes:
        a = node.attributes
        plain = isinstance(a, Conv2d) and not isinstance(a, ConvTranspose2d) and a.residual == Residual.NONE
        if not plain or not _was_held(graph, node.name):
            nodes.append(node)
            continue
        weights = values[str(node.inputs[1])].data
        assert weights is not None
        scale = float(np.abs(np.asarray(weights, np.float64)).sum())
        gate = SkipGate(SkipKind.NORM_OUTPUT, eps=eps, scale=scale) if scale else None
        inputs = [*node.inputs, *[None] * (PLAIN_INPUTS + 2 - len(node.inputs))] if gate else node.inputs
        if node.activation.kind == Activation.IDENTITY or gate is None:
            nodes.append(dataclasses.replace(node, gate=gate, inputs=inputs))
            continue
        before = f"{node.output}:before_activation"
        while before in names:
            before += "'"
        names.add(before)
        values[before] = dataclasses.replace(values[node.output], name=before)
        nodes.append(
            dataclasses.replace(
                node,
                name=f"{node.name}:gated",
                gate=gate,
                inputs=inputs,
                output=before,
                activation=ActivationSpec(),
            )
        )
        nodes.append(Node(node.name, Unary(), [before], node.output, node.activation))
    changed = [dataclasses.replace(item, threshold=0.0) for item in graph.inputs]
    return verify(dataclasses.replace(graph, values=values, nodes=nodes, inputs=changed), "norm gates")


def _was_held(graph: Graph, name: str) -> bool:
    return any(node.name == name and isinstance(node.gate, HoldGate) for node in graph.nodes)
