"""What no network output depends on goes, and what changes nothing."""

from __future__ import annotations

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
    return rewriter.finish()
