"""A unary function goes into the node before it."""

from __future__ import annotations

from runtime.reference.graph import Activation, BinaryOp, Concat, Conv2d, Graph, Matmul, Node, Residual, Unary

from .rewrite import Rewriter, accumulates

HOSTS = (Conv2d, Matmul, BinaryOp)  # conv_transpose2d is a Conv2d


def fuse_activation(graph: Graph) -> Graph:
    """Gives convolutions, matrix products and binary operators the activation that alone reads them.

    Also where a concatenation of them lies between, if all of its parts can take it: number by number it is the same.
    """
    rewriter = Rewriter(graph)
    for node in rewriter.live():
        if not isinstance(node.attributes, Unary):
            continue
        name = str(node.inputs[0])
        hosts = _hosts(rewriter, name, node)
        for host in hosts:
            host.activation = node.activation
        if hosts:
            rewriter.absorb(rewriter.producer[name], node)
    return rewriter.finish()


def _hosts(rewriter: Rewriter, name: str, reader: Node) -> list[Node]:
    """The nodes that can apply an activation to a value which only ``reader`` needs; none if one of them cannot."""
    host = rewriter.producer.get(name)
    if host is None or rewriter.sole_reader(name) is not reader:
        return []
    if isinstance(host.attributes, Concat) and host.gate is None:
        parts = [_hosts(rewriter, str(part), host) for part in host.inputs]
        return [each for part in parts for each in part] if all(parts) else []
    if not isinstance(host.attributes, HOSTS) or host.activation.kind != Activation.IDENTITY or accumulates(host):
        return []
    if isinstance(host.attributes, Conv2d) and host.attributes.residual == Residual.AFTER_ACTIVATION:
        return []
    return [host]
