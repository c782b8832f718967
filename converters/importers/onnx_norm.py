"""Normalisations, decomposed into reductions and pointwise operators."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from runtime.reference.graph import Activation, Array, Binary, Reduce

from .builder import Builder, Operand
from .layout import Tensor
from .onnx_node import OnnxNode, Result, Unsupported, normalized, register
from .reshape import reshape


def per_channel(array: Array, rank: int) -> Array:
    """A vector over axis 1 of a tensor."""
    return array.reshape([-1 if axis == 1 else 1 for axis in range(rank)])


def scale_and_shift(builder: Builder, x: Tensor, scale: Operand | None, shift: Operand | None) -> Tensor:
    """Returns x * scale + shift."""
    if scale is not None:
        x = builder.binary(Binary.MUL, x, scale, x.dtype)
    return x if shift is None else builder.binary(Binary.ADD, x, shift, x.dtype)


def standardized(builder: Builder, x: Tensor, axes: Sequence[int], epsilon: float, center: bool = True) -> Tensor:
    """(x - mean) / sqrt(variance + epsilon) over axes; without ``center`` x / sqrt(mean square + epsilon)."""
    if center:
        x = builder.binary(Binary.SUB, x, builder.reduce(Reduce.MEAN, x, axes))
    variance = builder.reduce(Reduce.MEAN, builder.unary(x, Activation.SQUARE), axes)
    deviation = builder.unary(builder.unary(variance, Activation.AFFINE, 1.0, epsilon), Activation.SQRT)
    return builder.binary(Binary.MUL, x, builder.unary(deviation, Activation.RECIPROCAL))


def only_first_output(node: OnnxNode) -> None:
    """Refuses nodes whose statistics are read too."""
    if any(node.outputs[1:]):
        raise Unsupported("its statistics outputs are used", "export the model in evaluation mode (module.eval())")


@register("BatchNormalization")
def _batch_normalization(node: OnnxNode, builder: Builder) -> Result:
    if node.attr("training_mode", 0):
        raise Unsupported("it is in training mode", "export the model in evaluation mode (module.eval())")
    only_first_output(node)
    x = builder.tensor(node.operand(0))
    parameters = []
    for index, what in enumerate(("scale", "bias", "mean", "variance"), 1):
        array = node.constant(index, what)
        if array is None:
            raise Unsupported(f"its {what} is missing", "re-export the model")
        parameters.append(np.asarray(array, np.float64))
    scale, bias, mean, variance = parameters
    with np.errstate(divide="ignore", invalid="ignore"):  # the converter names what is no number
        factor = scale / np.sqrt(variance + float(node.attr("epsilon", 1e-5)))
        shift = bias - mean * factor
    rank = len(x.shape)
    return scale_and_shift(builder, x, per_channel(factor, rank), per_channel(shift, rank))


@register("InstanceNormalization")
def _instance_normalization(node: OnnxNode, builder: Builder) -> Result:
    x = builder.tensor(node.operand(0))
    epsilon, rank = float(node.attr("epsilon", 1e-5)), len(x.shape)
    scale, bias = (node.constant(index, what) for index, what in ((1, "scale"), (2, "bias")))
    assert scale is not None
    assert bias is not None
    origin = builder.source_of_reshape(x)
    if rank == 3 and origin is not None and len(origin.shape) >= 3 and origin.shape[1] % x.shape[1] == 0:
        # (1, C, H, W) seen as (1, groups, -1): a group norm; done on the pixels, the reshape then is never read.
        groups = x.shape[1]
        y = normalized_groups(builder, origin, groups, epsilon)
        repeat = origin.shape[1] // groups
        y = scale_and_shift(
            builder,
            y,
            per_channel(np.repeat(scale, repeat), len(y.shape)),
            per_channel(np.repeat(bias, repeat), len(y.shape)),
        )
        return reshape(builder, y, x.shape)
    y = standardized(builder, x, range(2, rank), epsilon)
    return scale_and_shift(builder, y, per_channel(scale, rank), per_channel(bias, rank))


def normalized_groups(builder: Builder, x: Tensor, groups: int, epsilon: float) -> Tensor:
    """Standardised over each group of channels and all pixels."""
    if x.shape[1] % groups:
        raise Unsupported(f"{x.shape[1]} channels do not make {groups} groups", "re-export the model")
    apart = reshape(builder, x, (x.shape[0], groups, x.shape[1] // groups, *x.shape[2:]))
    y = standardized(builder, apart, range(2, len(apart.shape)), epsilon)
    return reshape(builder, y, x.shape)


@register("GroupNormalization")
def _group_normalization(node: OnnxNode, builder: Builder) -> Result:
    x = builder.tensor(node.operand(0))
    groups, rank = int(node.attr("num_groups")), len(x.shape)
    y = normalized_groups(builder, x, groups, float(node.attr("epsilon", 1e-5)))
    scale, bias = (node.constant(index, what) for index, what in ((1, "scale"), (2, "bias")))
    assert scale is not None
    assert bias is not None
    if scale.size == groups:  # opset 18 had one per group, 21 has one per channel
        scale, bias = (np.repeat(item, x.shape[1] // groups) for item in (scale, bias))
    return scale_and_shift(builder, y, per_channel(scale, rank), per_channel(bias, rank))


@register("LayerNormalization", "RMSNormalization")
@register("SimplifiedLayerNormalization")
@register("SimplifiedLayerNormalization", domain="com.microsoft")
def _layer_normalization(node: OnnxNode, builder: Builder) -> Result:
    only_first_output(node)
    x = builder.tensor(node.operand(0))
    rank = len(x.shape)
    axes = range(normalized(int(node.attr("axis", -1)), rank), rank)
    center = node.op == "LayerNormalization"
    y = standardized(builder, x, axes, float(node.attr("epsilon", 1e-5)), center)
    return scale_and_shift(
        builder, y, node.operand(1) if node.has(1) else None, node.operand(2) if node.has(2) else None
    )


@register("MeanVarianceNormalization")
def _mean_variance_normalization(node: OnnxNode, builder: Builder) -> Result:
    x = builder.tensor(node.operand(0))
    axes = [normalized(int(axis), len(x.shape)) for axis in node.attr("axes") or (0, 2, 3)]
    return standardized(builder, x, axes, 1e-9)


@register("LpNormalization")
def _lp_normalization(node: OnnxNode, builder: Builder) -> Result:
    x = builder.tensor(node.operand(0))
    axis = normalized(int(node.attr("axis", -1)), len(x.shape))
    if int(node.attr("p", 2)) == 1:
        size = builder.reduce(Reduce.SUM, builder.unary(x, Activation.ABS), [axis])
    else:
        sums = builder.reduce(Reduce.SUM, builder.unary(x, Activation.SQUARE), [axis])
        size = builder.unary(sums, Activation.SQRT)
    # A zero vector stays zero: the divisor is at least the smallest normal number.
    size = builder.unary(size, Activation.CLIP, float(np.finfo(np.float32).tiny), math.inf)
    return builder.binary(Binary.DIV, x, size)
