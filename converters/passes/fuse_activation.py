"""A unary function goes into the node before it."""

from __future__ import annotations

from runtime.reference.graph import Activation, BinaryOp, Conv2d, Graph, Matmul, Residual, Unary

from .rewrite import Rewriter, accumulates

HOSTS = (Conv2d, Matmul, BinaryOp)  # conv_transpose2d is a Conv2d


def fuse_activation(graph: Graph) -> Graph:
    """Gives convolutions, matrix products and binary operators the activation that alone reads them."""
    rewriter = Rewriter(graph)
    for node in rewriter.live():
        host = rewriter.producer.get(str(node.inputs[0]))
        if not isinstance(node.attributes, Unary) or host is None or not isinstance(host.attributes, HOSTS):
            continue
        if host.activation.kind != Activation.IDENTITY or rewriter.sole_reader(host.output) is not node:
            continue
        if accumulates(host):
            continue
        if isinstance(host.attributes, Conv2d) and host.attributes.residual == Residual.AFTER_ACTIVATION:
            continue
        host.activation = node.activation
        rewriter.absorb(host, node)
    return rewriter.finish()
