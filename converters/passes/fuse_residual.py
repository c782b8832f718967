"""An addition goes into the convolution before it."""

from __future__ import annotations

import dataclasses

from runtime.reference.graph import Activation, Binary, BinaryOp, Conv2d, Graph, Node, Residual

from .rewrite import Rewriter


def fuse_residual(graph: Graph) -> Graph:
    """Lets a convolution add its residual, where neither it nor the residual is gated.

    With a hold gate the sum stays a node of its own: the fused convolution would have to be computed again wherever the
    residual changes, at the convolution's cost instead of an addition's.
    """
    rewriter = Rewriter(graph)
    for node in list(rewriter.live()):
        if not isinstance(node.attributes, BinaryOp) or node.attributes.kind != Binary.ADD or node.gate is not None:
            continue
        convs = [name for name in node.inputs if name is not None and _can_host(rewriter, name, node)]
        if not convs:
            continue
        order = {id(other): i for i, other in enumerate(rewriter.nodes)}
        name = max(convs, key=lambda n: order[id(rewriter.producer[n])])  # the other operand may be a convolution too
        residual = str(node.inputs[1] if node.inputs[0] == name else node.inputs[0])
        _fuse(rewriter, rewriter.producer[name], node, residual)
    return rewriter.finish()


def _can_host(rewriter: Rewriter, name: str, add: Node) -> bool:
    conv = rewriter.producer.get(name)
    if conv is None or not isinstance(conv.attributes, Conv2d) or conv.attributes.residual != Residual.NONE:
        return False
    others = [other for other in add.inputs if other != name]
    if conv.gate is not None or len(others) != 1 or rewriter.sole_reader(name) is not add:
        return False
    residual = str(others[0])
    source = rewriter.producer.get(residual)
    if (
        rewriter.constant(residual) is not None
        or rewriter.values[residual].extents != rewriter.values[add.output].extents
    ):
        return False
    if rewriter.values[name].extents != rewriter.values[add.output].extents:
        return False
    plain = Activation.IDENTITY
    return (source is None or source.gate is None) and plain in (conv.activation.kind, add.activation.kind)


def _fuse(rewriter: Rewriter, conv: Node, add: Node, residual: str) -> None:
    assert isinstance(conv.attributes, Conv2d)
    place = Residual.AFTER_ACTIVATION
    if conv.activation.kind == Activation.IDENTITY:
        place = Residual.BEFORE_ACTIVATION
        conv.activation = add.activation
    conv.attributes = dataclasses.replace(conv.attributes, residual=int(place))
    rewriter.absorb(conv, add)
    rewriter.set_inputs(conv, [*[*conv.inputs, None][:3], residual])
