"""Nodes that read constants only become constants."""

from __future__ import annotations

import numpy as np

from runtime.reference.graph import Graph, ValueKind
from runtime.reference.ops import compute

from .rewrite import Rewriter

LIMIT = 1 << 24  # numbers; a larger result costs more as file bytes than as work


def fold_constants(graph: Graph) -> Graph:
    """Computes what does not depend on the network's inputs, with the NumPy operators."""
    rewriter = Rewriter(graph)
    for node in rewriter.live():
        inputs = [rewriter.constant(name) for name in node.inputs]
        value = rewriter.values[node.output]
        known = all(data is not None for name, data in zip(node.inputs, inputs, strict=True) if name is not None)
        if not known or value.elements > LIMIT:
            continue
        value.data = np.ascontiguousarray(compute(node.attributes, inputs, value.extents, node.activation))
        value.kind = ValueKind.CONSTANT
        rewriter.remove(node)
    return rewriter.finish()
