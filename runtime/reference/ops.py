"""The operators of docs/file_format.md, section 4, in NumPy: output extents and dense results.

Arrays are float32 of shape (rows, cols, channels), index tables int32 of any shape with the right number of elements,
convolution weights (kernel_h, kernel_w, C_in/groups, C_out), Winograd's (6, 6, C_in, C_out). What an output pixel
depends on, and what it costs, is in footprint.py.

Sums run in single precision and every result depends, bit for bit, only on shapes and on the numbers an output reads:
recomputing with some inputs changed leaves the other outputs' bits alone. Sums of small integers are exact.
"""

# ruff: noqa: ARG001 (all operators have one signature)

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from .activations import apply_activation
from .errors import UnsupportedError
from .graph import (
    ActivationSpec,
    Attributes,
    Binary,
    BinaryOp,
    Concat,
    Conv2d,
    ConvTranspose2d,
    Gather,
    Matmul,
    Pool,
    PoolKind,
    Reduce,
    ReduceChannels,
    ReducePixels,
    Residual,
    ResizeOp,
    Softmax,
    Transpose,
    Unary,
    View,
    Where,
    WinogradConv2d,
)
from .winograd import convolve

Floats = npt.NDArray[np.float32]
Inputs = Sequence[Any]  # Floats, or index tables of int32, or None; Any because which is which depends on the operator
Extents = tuple[int, int, int]
IDENTITY = ActivationSpec()


def compute(
    attributes: Attributes,
    inputs: Inputs,
    extents: Extents | None = None,
    activation: ActivationSpec = IDENTITY,
) -> Floats:
    """The dense output of one operator, residual and activation included.

    Args:
        attributes: the operator.
        inputs: its inputs in the order of the file format; None for an absent optional one.
        extents: (rows, cols, channels) of the output; may be None where ``infer_extents`` knows them.
        activation: applied to the result.

    Returns:
        float32 of shape ``extents``; may share memory with an input.
    """
    if extents is None:
        extents = infer_extents(attributes, [None if x is None else x.shape for x in inputs])
        if extents is None:
            raise ValueError(f"{attributes.NAME}: the output's extents do not follow from the inputs")
    with np.errstate(all="ignore"):
        out = _compute(attributes, inputs, extents)
        place = attributes.residual if isinstance(attributes, Conv2d) else Residual.NONE
        if place == Residual.BEFORE_ACTIVATION:
            out = np.add(out, inputs[3])
        out = apply_activation(activation, out)
        if place == Residual.AFTER_ACTIVATION:
            out = np.add(out, inputs[3])
    return out.reshape(extents).astype(np.float32, copy=False)


def infer_extents(attributes: Attributes, shapes: Sequence[tuple[int, ...] | None]) -> Extents | None:
    """(rows, cols, channels) of the output from the inputs' array shapes, or None where only the output value tells."""
    rows, cols, channels = (shapes[0] or ())[:3]
    match attributes:
        case ConvTranspose2d() | Pool() | Gather() | ResizeOp() | View() | Transpose():
            return None
        case Conv2d():
            weights = shapes[1]
            assert weights is not None
            a = attributes
            height = window_count(rows, a.kernel_h, a.stride_h, a.dilation_h, a.pad_top + a.pad_bottom)
            width = window_count(cols, a.kernel_w, a.stride_w, a.dilation_w, a.pad_left + a.pad_right)
            return height, width, weights[3]
        case Matmul():
            assert shapes[1] is not None
            return rows, cols, shapes[1][2]
        case ReducePixels(over_rows=over_rows, over_cols=over_cols):
            return 1 if over_rows else rows, 1 if over_cols else cols, channels
        case ReduceChannels(outer=outer, inner=inner):
            return rows, cols, outer * inner
        case BinaryOp() | Where():
            height, width, depth = np.broadcast_shapes(*(shape for shape in shapes if shape is not None))
            return height, width, depth
        case Concat(axis=axis):
            total = sum(shape[axis] for shape in shapes if shape is not None)
            height, width, depth = (total if i == axis else extent for i, extent in enumerate((rows, cols, channels)))
            return height, width, depth
        case _:
            return rows, cols, channels


def window_count(extent: int, kernel: int, stride: int, dilation: int, pads: int) -> int:
    """Windows of a convolution or pool (without ceil mode) along one axis."""
    return (extent + pads - dilation * (kernel - 1) - 1) // stride + 1


def axis_taps(
    out: int, extent: int, kernel: int, stride: int, dilation: int, pad: int
) -> Iterator[tuple[slice, slice]]:
    """Per kernel element of one axis: the windows that read it inside the input, and the inputs they read, aligned.

    ``out`` windows, the first starting at ``-pad``, over ``extent`` inputs.
    """
    for k in range(kernel):
        offset = k * dilation - pad
        first = max(0, -(offset // stride))
        last = min(out - 1, (extent - 1 - offset) // stride)
        count = max(0, last - first + 1)
        start = first * stride + offset
        yield slice(first, first + count), slice(start, start + (count - 1) * stride + 1 if count else start, stride)


Taps = Iterator[tuple[tuple[slice, slice], tuple[slice, slice], tuple[int, int]]]


def window_taps(attributes: Conv2d | Pool, out: Sequence[int], extents: Sequence[int]) -> Taps:
    """Per kernel element (windows, the pixels they read, (ky, kx)); ``out``, ``extents`` are (rows, cols) of both."""
    a = attributes
    row_taps = axis_taps(out[0], extents[0], a.kernel_h, a.stride_h, a.dilation_h, a.pad_top)
    for ky, (out_rows, in_rows) in enumerate(row_taps):
        col_taps = axis_taps(out[1], extents[1], a.kernel_w, a.stride_w, a.dilation_w, a.pad_left)
        for kx, (out_cols, in_cols) in enumerate(col_taps):
            yield (out_rows, out_cols), (in_rows, in_cols), (ky, kx)


@functools.singledispatch
def _compute(attributes: Attributes, inputs: Inputs, extents: Extents) -> Floats:
    raise UnsupportedError(f"no NumPy implementation of {attributes.NAME}")


def _project(x: Floats, weights: Floats, groups: int) -> Floats:
    """One tap of a convolution: x (rows, cols, C_in) times weights (C_in/groups, C_out)."""
    rows, cols, channels = x.shape
    if groups == 1:
        product: Floats = np.matmul(np.ascontiguousarray(x).reshape(-1, channels), weights)
        return product.reshape(rows, cols, -1)
    depth, width = weights.shape
    if depth == 1:  # depthwise, with a channel multiplier
        products: Floats = np.repeat(x, width // groups, axis=2) * weights[0]
        return products
    by_group = np.ascontiguousarray(x.reshape(rows * cols, groups, depth).swapaxes(0, 1))
    out = by_group @ np.ascontiguousarray(weights.reshape(depth, groups, -1).swapaxes(0, 1))
    merged: Floats = out.swapaxes(0, 1).reshape(rows, cols, width)
    return merged


def _start_from_bias(bias: Floats | None, extents: Extents) -> Floats:
    out = np.zeros(extents, np.float32)
    if bias is not None:
        out += bias.reshape(-1)
    return out


@_compute.register
def _(attributes: Conv2d, inputs: Inputs, extents: Extents) -> Floats:
    x, weights, bias = (*inputs, None, None)[:3]
    out = _start_from_bias(bias, extents)
    for target, source, tap in window_taps(attributes, extents, x.shape):
        if out[target].size:
            out[target] += _project(x[source], weights[tap], attributes.groups)
    return out


@_compute.register
def _(attributes: WinogradConv2d, inputs: Inputs, extents: Extents) -> Floats:
    x, weights, bias = (*inputs, None, None)[:3]
    return convolve(attributes, x, weights, bias, extents[0], extents[1])


@_compute.register
def _(attributes: ConvTranspose2d, inputs: Inputs, extents: Extents) -> Floats:
    x, weights, bias = (*inputs, None, None)[:3]
    out = _start_from_bias(bias, extents)
    # The same windows, seen from the other side: each input pixel is a window over the output.
    for source, target, tap in window_taps(attributes, x.shape, extents):
        if out[target].size:
            out[target] += _project(x[source], weights[tap], attributes.groups)
    return out


@_compute.register
def _(attributes: Matmul, inputs: Inputs, extents: Extents) -> Floats:
    out: Floats = np.matmul(inputs[0], inputs[1]) + np.zeros(1, np.float32)  # a sum that starts from 0 is never -0
    return out


def larger(a: Floats, b: Floats) -> Floats:
    """The larger of each pair; NaN if either is; the second of two zeros, where np.maximum promises nothing."""
    return np.where((a > b) | np.isnan(a), a, b)


def smaller(a: Floats, b: Floats) -> Floats:
    """The smaller of each pair, as ``larger``."""
    return np.where((a < b) | np.isnan(a), a, b)


def _window_positions(a: Pool, extents: Extents, height: int, width: int, top: int, left: int) -> npt.NDArray[np.int64]:
    """Per window its positions inside a map of height x width that the first window overhangs by top and left."""

    def along(out: int, extent: int, kernel: int, stride: int, dilation: int, pad: int) -> npt.NDArray[np.int64]:
        positions = np.arange(out)[:, None] * stride - pad + np.arange(kernel) * dilation
        counts: npt.NDArray[np.int64] = np.sum((positions >= 0) & (positions < extent), axis=1)
        return counts

    rows = along(extents[0], height, a.kernel_h, a.stride_h, a.dilation_h, top)
    cols = along(extents[1], width, a.kernel_w, a.stride_w, a.dilation_w, left)
    return np.multiply.outer(rows, cols)


@_compute.register
def _(attributes: Pool, inputs: Inputs, extents: Extents) -> Floats:
    x, a = inputs[0], attributes
    combine, start = (larger, -np.inf) if a.kind == PoolKind.MAX else (np.add, -0.0)  # either leaves the first as it is
    out = np.full(extents, start, np.float32)
    for target, source, _tap in window_taps(a, extents, x.shape):
        out[target] = combine(out[target], x[source])
    inside = _window_positions(a, extents, x.shape[0], x.shape[1], a.pad_top, a.pad_left)
    out[inside == 0] = 0
    if a.kind == PoolKind.MAX:
        return out
    if a.count_include_pad:  # the padding counts as input
        height, width = x.shape[0] + a.pad_top + a.pad_bottom, x.shape[1] + a.pad_left + a.pad_right
        inside = _window_positions(a, extents, height, width, 0, 0)
    return out / np.maximum(inside, 1).astype(np.float32)[:, :, None]


AnyFloats = npt.NDArray[Any]
Combine = Callable[[AnyFloats, AnyFloats], AnyFloats]

# How two numbers are combined, and what leaves any number as it is.
_REDUCE: dict[Reduce, tuple[Combine, float]] = {
    Reduce.MEAN: (np.add, 0.0),  # divided afterwards
    Reduce.SUM: (np.add, 0.0),
    Reduce.MAX: (larger, -np.inf),
    Reduce.MIN: (smaller, np.inf),
    Reduce.PRODUCT: (np.multiply, 1.0),
}


def fold(combine: Combine, x: AnyFloats, axis: int) -> AnyFloats:
    """``x`` reduced along an axis, in order; the axis stays with extent 1."""
    parts = np.moveaxis(x, axis, 0)
    out = functools.reduce(combine, parts[1:], parts[0])
    return np.expand_dims(out, axis)


def fold_lanes(combine: Combine, start: float, x: AnyFloats) -> AnyFloats:
    """``x`` (..., n) reduced along its last axis: lane i of 8 takes elements i, i + 8, ..., then lanes are joined."""
    padding = [(0, 0)] * (x.ndim - 1) + [(0, -x.shape[-1] % 8)]
    parts = np.pad(x, padding, constant_values=start).reshape(*x.shape[:-1], -(-x.shape[-1] // 8), 8)
    lanes = np.full((*x.shape[:-1], 8), start, x.dtype)
    for i in range(parts.shape[-2]):
        lanes = combine(lanes, parts[..., i, :])
    while lanes.shape[-1] > 1:  # ((0+4)+(2+6))+((1+5)+(3+7))
        half = lanes.shape[-1] // 2
        lanes = combine(lanes[..., :half], lanes[..., half:])
    out: AnyFloats = lanes[..., 0]
    return out


@_compute.register
def _(attributes: ReducePixels, inputs: Inputs, extents: Extents) -> Floats:
    a, count = attributes, 1
    out: Floats = inputs[0]
    combine, _start = _REDUCE[Reduce(a.kind)]
    if a.over_cols:
        count *= out.shape[1]
        out = fold(combine, out, 1)
    if a.over_rows:
        count *= out.shape[0]
        out = fold(combine, out, 0)
    return out / np.float32(count) if a.kind == Reduce.MEAN else out


@_compute.register
def _(attributes: ReduceChannels, inputs: Inputs, extents: Extents) -> Floats:
    a, kind = attributes, Reduce(attributes.kind)
    x = inputs[0].reshape(extents[0], extents[1], a.outer, a.count, a.inner)
    if kind in (Reduce.ARG_MAX, Reduce.ARG_MIN):
        select = np.argmax if kind == Reduce.ARG_MAX else np.argmin
        index = a.count - 1 - select(x[:, :, :, ::-1], axis=3) if a.select_last else select(x, axis=3)
        return np.asarray(index, np.float32).reshape(extents)
    combine, start = _REDUCE[kind]
    out = fold_lanes(combine, start, x[..., 0]) if a.inner == 1 else fold(combine, x, 3)
    if kind == Reduce.MEAN:
        out = out / np.float32(a.count)
    return out.reshape(extents)


@_compute.register
def _(attributes: Softmax, inputs: Inputs, extents: Extents) -> Floats:
    a = attributes
    x = inputs[0].astype(np.float64).reshape(extents[0], extents[1], a.outer, a.count, a.inner)
    x = x - x.max(axis=3, keepdims=True)
    exponentials = np.exp(x)
    total = exponentials.sum(axis=3, keepdims=True)
    result: Floats = (x - np.log(total) if a.log else exponentials / total).astype(np.float32)
    return result.reshape(extents)


@_compute.register
def _(attributes: Unary, inputs: Inputs, extents: Extents) -> Floats:
    out: Floats = inputs[0]
    return out


def _power(a: Floats, b: Floats) -> Floats:
    result: Floats = np.power(a.astype(np.float64), b.astype(np.float64)).astype(np.float32)
    return result


_BINARY: dict[Binary, Callable[[Any, Any], Any]] = {
    Binary.ADD: np.add,
    Binary.SUB: np.subtract,
    Binary.MUL: np.multiply,
    Binary.DIV: np.divide,
    Binary.MIN: smaller,
    Binary.MAX: larger,
    Binary.POW: _power,
    Binary.EQUAL: np.equal,
    Binary.LESS: np.less,
    Binary.LESS_EQUAL: np.less_equal,
    Binary.GREATER: np.greater,
    Binary.GREATER_EQUAL: np.greater_equal,
    Binary.AND: np.logical_and,
    Binary.OR: np.logical_or,
    Binary.XOR: np.logical_xor,
    Binary.PRELU: lambda a, b: np.where(a < 0, a * b, a),
    Binary.MOD: np.mod,
    Binary.FMOD: np.fmod,
}


@_compute.register
def _(attributes: BinaryOp, inputs: Inputs, extents: Extents) -> Floats:
    out = _BINARY[Binary(attributes.kind)](inputs[0], inputs[1]).astype(np.float32, copy=False)
    return np.broadcast_to(out, extents)


@_compute.register
def _(attributes: Where, inputs: Inputs, extents: Extents) -> Floats:
    condition, a, b = inputs
    return np.broadcast_to(np.where(condition != 0, a, b), extents)


def _take(x: Floats, indices: npt.NDArray[np.int32] | None, axis: int, fill: float) -> Floats:
    """x[indices] along an axis; -1 gives ``fill``; None is the identity."""
    if indices is None:
        return x
    flat = indices.reshape(-1)
    out: Floats = np.take(x, np.maximum(flat, 0), axis=axis)
    missing = flat < 0
    if missing.any():
        out[(slice(None),) * axis + (missing,)] = fill
    return out


@_compute.register
def _(attributes: Gather, inputs: Inputs, extents: Extents) -> Floats:
    a = attributes
    x, row_map, col_map, channel_map = (*inputs, None, None, None)[:4]
    fill = np.float32(a.fill)
    x = _take(_take(x, row_map, 0, fill), col_map, 1, fill)
    if channel_map is None:
        return x
    out = np.empty(extents, np.float32)
    phases = channel_map.reshape(a.phase_rows, a.phase_cols, extents[2])
    for i in range(min(a.phase_rows, extents[0])):
        for j in range(min(a.phase_cols, extents[1])):
            pixels = np.s_[i :: a.phase_rows, j :: a.phase_cols]
            out[pixels] = _take(x[pixels], phases[i, j], 2, fill)
    return out


@_compute.register
def _(attributes: Concat, inputs: Inputs, extents: Extents) -> Floats:
    return np.concatenate(inputs, axis=attributes.axis)


def _blend(x: Floats, index: npt.NDArray[np.int32], weight: Floats, taps: int, axis: int) -> Floats:
    """Weighted sums of slices along an axis, in ascending taps, product then sum."""
    indices, weights = np.maximum(index.reshape(-1, taps), 0), weight.reshape(-1, taps)
    shape = [1, 1, 1]
    shape[axis] = -1
    out: Floats = np.take(x, indices[:, 0], axis=axis) * weights[:, 0].reshape(shape)
    for tap in range(1, taps):
        out += np.take(x, indices[:, tap], axis=axis) * weights[:, tap].reshape(shape)
    return out


@_compute.register
def _(attributes: ResizeOp, inputs: Inputs, extents: Extents) -> Floats:
    a = attributes
    x, row_index, row_weight, col_index, col_weight = inputs
    out = _blend(_blend(x, col_index, col_weight, a.col_taps, 1), row_index, row_weight, a.row_taps, 0)
    out[(row_index.reshape(-1, a.row_taps) < 0).any(axis=1)] = a.fill
    out[:, (col_index.reshape(-1, a.col_taps) < 0).any(axis=1)] = a.fill
    return out


@_compute.register
def _(attributes: View, inputs: Inputs, extents: Extents) -> Floats:
    out: Floats = inputs[0].reshape(extents)
    return out


@_compute.register
def _(attributes: Transpose, inputs: Inputs, extents: Extents) -> Floats:
    rank = attributes.rank
    out: Floats = inputs[0].reshape(attributes.dims[:rank]).transpose(attributes.perm[:rank])
    return out.reshape(extents)
