"""What no network output depends on goes, and what changes nothing."""

from __future__ import annotations

import dataclasses

from runtime.reference.graph import Activation, Graph, Unary

from .compose_gathers import is_identity
from .rewrite import Rewriter


def remove_dead(graph: Graph) -> Graph:
    """Removes identities, then nodes, constants and values that nothing needs; network inputs stay."""
    rewriter = Rewriter(graph)
    for node in rewriter.live():
        idle = isinstance(node.attributes, Unary) and node.activation.kind == Activation.IDENTITY
        if (idle or is_identity(rewriter, node)) and node.gate is None:
            rewriter.bypass(node)
    graph = rewriter.finish()
    needed = {item.value for item in graph.outputs} | {item.value for item in graph.inputs}
    nodes = []
    for node in reversed(graph.nodes):
        if node.output in needed:
            needed.update(name for name in node.inputs if name is not None)
            nodes.append(node)
    values = {name: value for name, value in graph.values.items() if name in needed}
    return dataclasses.replace(graph, values=values, nodes=nodes[::-1])
