"""Multiplications and additions per channel go into the weights and biases of neighbouring convolutions."""

from __future__ import annotations

import numpy as np

from runtime.reference.graph import (
    RESIDUAL_BIAS,
    Activation,
    Conv2d,
    ConvTranspose2d,
    Graph,
    Node,
    Residual,
    SkipGate,
    Unary,
)

from .affine import Affine, Doubles, affine_of
from .rewrite import Rewriter, accumulates


def fold_affine(graph: Graph) -> Graph:
    """Folds affine nodes (batch norms above all) into the convolution before or, where that is exact, behind them.

    Before: the convolution has neither activation nor residual and nobody else reads it. Behind: the shift is 0 or the
    convolution has no padding, since padding is 0 after the affine function. Skip gates stay as they are: they were
    bound to the weights before folding, and look at their input, which therefore must not be scaled.
    """
    rewriter = Rewriter(graph)
    for node in rewriter.live():
        affine = affine_of(rewriter, node)
        if affine is None:
            continue
        producer = rewriter.producer.get(affine.x)
        if producer is not None and _takes_affine(rewriter, producer, node):
            _fold_back(rewriter, producer, node, affine)
    for node in reversed(list(rewriter.live())):
        affine = affine_of(rewriter, node)
        reader = rewriter.sole_reader(node.output)
        if affine is not None and reader is not None and _identity_after(node):
            _fold_forward(rewriter, node, reader, affine)
    return rewriter.finish()


def _identity_after(node: Node) -> bool:
    return isinstance(node.attributes, Unary) or node.activation.kind == Activation.IDENTITY


def _takes_affine(rewriter: Rewriter, producer: Node, node: Node) -> bool:
    attributes = producer.attributes
    return (
        isinstance(attributes, Conv2d)
        and attributes.residual == Residual.NONE
        and producer.activation.kind == Activation.IDENTITY
        and (not accumulates(producer) or _identity_after(node))
        and rewriter.sole_reader(producer.output) is node
    )


def _set_weights(rewriter: Rewriter, conv: Node, weights: Doubles, bias: Doubles | None) -> None:
    inputs = [*conv.inputs, *[None] * (4 - len(conv.inputs))]
    inputs[1] = rewriter.add_constant(_folded(str(inputs[1])), weights.astype(np.float32))
    if bias is not None and (inputs[2] is not None or np.any(bias)):
        name = inputs[2] or f"{conv.name}.bias"
        inputs[2] = rewriter.add_constant(_folded(name), bias.astype(np.float32).reshape(1, 1, -1))
    rewriter.set_inputs(conv, inputs)


def _folded(name: str) -> str:
    return name if ".folded" in name else f"{name}.folded"


def _weights_of(rewriter: Rewriter, conv: Node) -> tuple[Doubles, Doubles]:
    weights = np.asarray(rewriter.constant(conv.inputs[1]), np.float64)
    bias = rewriter.constant(conv.inputs[2]) if len(conv.inputs) > 2 else None
    return weights, np.zeros(weights.shape[3]) if bias is None else np.asarray(bias, np.float64).reshape(-1)


def _fold_back(rewriter: Rewriter, conv: Node, node: Node, affine: Affine) -> None:
    weights, bias = _weights_of(rewriter, conv)
    _set_weights(rewriter, conv, weights * affine.scale, bias * affine.scale + affine.shift)
    again = rewriter.constant(conv.inputs[RESIDUAL_BIAS]) if isinstance(conv.gate, SkipGate) else None
    if again is not None:  # the bias that is added with every residual; the shift is not
        scaled = np.asarray(again, np.float64).reshape(-1) * affine.scale
        name = rewriter.add_constant(f"{conv.name}.residual_bias", scaled.astype(np.float32).reshape(1, 1, -1))
        rewriter.set_inputs(conv, [*conv.inputs[:RESIDUAL_BIAS], name])
    if not isinstance(node.attributes, Unary):
        conv.activation = node.activation
    rewriter.absorb(conv, node)


def _fold_forward(rewriter: Rewriter, node: Node, conv: Node, affine: Affine) -> None:
    attributes = conv.attributes
    if not isinstance(attributes, Conv2d) or isinstance(conv.gate, SkipGate):
        return
    if conv.inputs[0] != node.output or node.output in conv.inputs[1:]:
        return
    pads = (attributes.pad_top, attributes.pad_left, attributes.pad_bottom, attributes.pad_right)
    if np.any(affine.shift) and (any(pads) or isinstance(attributes, ConvTranspose2d)):
        return
    weights, bias = _weights_of(rewriter, conv)
    channels = weights.shape[2] * attributes.groups
    by_input = np.empty((weights.shape[2], weights.shape[3]))  # channel of x that each weight multiplies
    per_group = weights.shape[3] // attributes.groups
    for group in range(attributes.groups):
        first = group * weights.shape[2]
        by_input[:, group * per_group : (group + 1) * per_group] = np.arange(first, first + weights.shape[2])[:, None]
    index = by_input.astype(np.intp)
    scale, shift = (np.broadcast_to(part, channels)[index] for part in (affine.scale, affine.shift))
    _set_weights(rewriter, conv, weights * scale, bias + (weights * shift).sum(axis=(0, 1, 2)))
    rewriter.set_inputs(conv, [affine.x, *conv.inputs[1:]])
    rewriter.remove(node)
