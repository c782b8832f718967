"""Reductions, global pooling, softmax."""

from __future__ import annotations

import math

import numpy as np

from runtime.reference.graph import Activation, Binary, Reduce

from .builder import Builder
from .layout import Tensor
from .onnx_node import OnnxNode, Result, Unsupported, normalized, register
from .reshape import reshape

# Operator: pointwise before, reduction, pointwise after.
REDUCTIONS: dict[str, tuple[Activation | None, Reduce, Activation | None]] = {
    "ReduceMean": (None, Reduce.MEAN, None),
    "ReduceSum": (None, Reduce.SUM, None),
    "ReduceMax": (None, Reduce.MAX, None),
    "ReduceMin": (None, Reduce.MIN, None),
    "ReduceProd": (None, Reduce.PRODUCT, None),
    "ReduceL1": (Activation.ABS, Reduce.SUM, None),
    "ReduceL2": (Activation.SQUARE, Reduce.SUM, Activation.SQRT),
    "ReduceSumSquare": (Activation.SQUARE, Reduce.SUM, None),
    "ReduceLogSum": (None, Reduce.SUM, Activation.LOG),
}


def dropped(builder: Builder, tensor: Tensor, axes: list[int], keep: bool) -> Tensor:
    """Removes reduced axes where they are not kept."""
    if keep:
        return tensor
    return reshape(builder, tensor, [size for axis, size in enumerate(tensor.shape) if axis not in axes])


def reduced_axes(node: OnnxNode, rank: int) -> list[int] | None:
    """The axes of a reduction; None where it is the identity."""
    axes = node.integers("axes", 1)
    if not axes:
        return None if node.attr("noop_with_empty_axes", 0) else list(range(rank))
    return [normalized(axis, rank) for axis in axes]


@register(*REDUCTIONS)
def _reduction(node: OnnxNode, builder: Builder) -> Result:
    before, kind, after = REDUCTIONS[node.op]
    x = builder.tensor(node.operand(0))
    axes = reduced_axes(node, len(x.shape))
    if before is not None:
        x = builder.unary(x, before)
    if axes is not None:
        x = builder.reduce(kind, x, axes)
    if after is not None:
        x = builder.unary(x, after)
    return dropped(builder, x, axes or [], bool(node.attr("keepdims", 1)))


@register("ReduceLogSumExp")
def _log_sum_exp(node: OnnxNode, builder: Builder) -> Result:
    x = builder.tensor(node.operand(0))
    axes = reduced_axes(node, len(x.shape))
    if axes is None:
        return x
    largest = builder.reduce(Reduce.MAX, x, axes)  # subtracted first, so that the exponentials cannot overflow
    shifted = builder.unary(builder.binary(Binary.SUB, x, largest), Activation.EXP)
    logs = builder.unary(builder.reduce(Reduce.SUM, shifted, axes), Activation.LOG)
    result = builder.binary(Binary.ADD, logs, largest)
    return dropped(builder, result, axes, bool(node.attr("keepdims", 1)))


@register("ArgMax", "ArgMin")
def _arg_reduction(node: OnnxNode, builder: Builder) -> Result:
    x = builder.tensor(node.operand(0))
    axis = normalized(int(node.attr("axis", 0)), len(x.shape))
    kind = Reduce.ARG_MAX if node.op == "ArgMax" else Reduce.ARG_MIN
    result = builder.reduce(kind, x, [axis], bool(node.attr("select_last_index", 0)))
    return dropped(builder, result, [axis], bool(node.attr("keepdims", 1)))


@register("GlobalAveragePool", "GlobalMaxPool", "GlobalLpPool")
def _global_pool(node: OnnxNode, builder: Builder) -> Result:
    x = builder.tensor(node.operand(0))
    axes = list(range(2, len(x.shape)))
    if node.op == "GlobalLpPool":
        p = float(node.attr("p", 2))
        powers = builder.unary(builder.unary(x, Activation.ABS), Activation.POW, p)
        return builder.unary(builder.reduce(Reduce.SUM, powers, axes), Activation.POW, 1 / p)
    return builder.reduce(Reduce.MEAN if node.op == "GlobalAveragePool" else Reduce.MAX, x, axes)


@register("Softmax", "LogSoftmax")
def _softmax(node: OnnxNode, builder: Builder) -> Result:
    x = builder.tensor(node.operand(0))
    rank = len(x.shape)
    old = node.opset < 13  # before 13 all axes from "axis" on were one
    axis = normalized(int(node.attr("axis", 1 if old else -1)), rank)
    return builder.softmax(x, range(axis, rank) if old else [axis], log=node.op == "LogSoftmax")


@register("Hardmax")
def _hardmax(node: OnnxNode, builder: Builder) -> Result:
    x = builder.tensor(node.operand(0))
    rank = len(x.shape)
    axis = normalized(int(node.attr("axis", 1 if node.opset < 13 else -1)), rank)
    if node.opset < 13 and math.prod(x.shape[axis + 1 :]) != 1:
        raise Unsupported("before opset 13 it joins several axes", "export with opset 13 or newer")
    first = builder.reduce(Reduce.ARG_MAX, x, [axis])
    steps = np.arange(x.shape[axis]).reshape([-1 if i == axis else 1 for i in range(rank)])
    return builder.binary(Binary.EQUAL, first, steps, x.dtype)
