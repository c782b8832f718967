"""Convolutions, matrix products and windowed pools."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from runtime.reference.graph import (
    Activation,
    Array,
    Attributes,
    Binary,
    Conv2d,
    ConvTranspose2d,
    Matmul,
    Pool,
    PoolKind,
)

from .builder import Builder, Operand
from .layout import MAX_PIXELS_PER_AXIS, Axes, Tensor, free_layouts, is_storable
from .onnx_node import OnnxNode, Result, Unsupported, register
from .reshape import reshape

Pair = tuple[int, int]


def image(builder: Builder, operand: Operand) -> Tensor:
    """A (1, C, H, W) or (1, C, L) tensor with its spatial axes as pixels."""
    tensor = builder.tensor(operand)
    rank = len(tensor.shape)
    if rank not in (3, 4):
        raise Unsupported(f"its input has {rank - 2} spatial dimensions; one and two are supported")
    if tensor.shape[0] != 1:
        raise Unsupported(
            f"its input has a batch of {tensor.shape[0]}", "export the model with batch 1, or give --shape with 1 first"
        )
    axes = tuple(range(2, rank))
    if not is_storable(tensor.shape, axes):
        raise Unsupported(f"its input has shape {tensor.shape}; sides up to {MAX_PIXELS_PER_AXIS} are supported")
    return builder.as_layout(tensor, axes)


def pair(values: Sequence[int] | None, default: int, rank: int) -> Pair:
    """A spatial attribute as (rows, cols); 1-D attributes describe cols."""
    numbers = [int(value) for value in values] if values else [default] * (rank - 2)
    return (default, numbers[0]) if rank == 3 else (numbers[0], numbers[1])


def begin_end(node: OnnxNode, rank: int) -> tuple[Pair, Pair]:
    """The ``pads`` attribute as (top, left), (bottom, right)."""
    pads = [int(pad) for pad in node.attr("pads") or [0] * (2 * (rank - 2))]
    return pair(pads[: rank - 2], 0, rank), pair(pads[rank - 2 :], 0, rank)


def same_pads(sizes: Pair, kernel: Pair, stride: Pair, dilation: Pair, upper: bool) -> tuple[Pair, Pair]:
    """Pads that make the output ``ceil(in / stride)``; an odd one goes to the end with SAME_UPPER."""
    small, large = [], []
    for size, k, s, d in zip(sizes, kernel, stride, dilation, strict=True):
        total = max((math.ceil(size / s) - 1) * s + d * (k - 1) + 1 - size, 0)
        small.append(total // 2)
        large.append(total - total // 2)
    first, second = (small[0], small[1]), (large[0], large[1])
    return (first, second) if upper else (second, first)


def pads_of(node: OnnxNode, rank: int, sizes: Pair, kernel: Pair, stride: Pair, dilation: Pair) -> tuple[Pair, Pair]:
    """Pads after ``auto_pad``."""
    mode = node.text("auto_pad", "NOTSET")
    if mode in ("SAME_UPPER", "SAME_LOWER"):
        begin, end = same_pads(sizes, kernel, stride, dilation, mode == "SAME_UPPER")
        return ((0, begin[1]), (0, end[1])) if rank == 3 else (begin, end)
    if mode == "VALID":
        return (0, 0), (0, 0)
    begin, end = begin_end(node, rank)
    if min(begin + end) < 0:
        raise Unsupported("it has negative pads", "replace them by a Slice before the node")
    return begin, end


def windows(
    sizes: Pair, kernel: Pair, stride: Pair, dilation: Pair, begin: Pair, end: Pair, ceil: bool = False
) -> Pair:
    """Number of windows per axis; with ``ceil`` a last, partial one counts if it starts inside the input or before."""
    counts = []
    for size, k, s, d, low, high in zip(sizes, kernel, stride, dilation, begin, end, strict=True):
        span = size + low + high - d * (k - 1) - 1
        if span < 0 and not (ceil and span > -s):
            raise Unsupported(f"its window is larger than its padded input ({size})", "give a larger --shape")
        count = (-(-span // s) if ceil else span // s) + 1
        if ceil and (count - 1) * s >= size + low:
            count -= 1
        counts.append(count)
    return counts[0], counts[1]


def weights_of(node: OnnxNode, index: int = 1) -> Array:
    """Constant weights (A, B, k...) with 1-D kernels as one row."""
    value = node.operand(index)
    if isinstance(value, Tensor):
        raise Unsupported("its weights are computed while running; only constant weights are supported")
    return value[:, :, None, :] if value.ndim == 3 else value


def spatial(rank: int, channels: int, sizes: Pair) -> Axes:
    """The logical shape of an image."""
    return (1, channels, sizes[1]) if rank == 3 else (1, channels, *sizes)


def emit_conv(
    builder: Builder, x: Tensor, weights: Array, bias: Array | None, attributes: Conv2d, shape: Axes, axes: Axes
) -> Tensor:
    """A convolution from weights (kernel_h, kernel_w, C_in/groups, C_out)."""
    inputs: list[str | None] = [x.name, _weights(builder, weights), None, None]
    if bias is not None:
        inputs[2] = builder.constant(np.asarray(bias).reshape(1, 1, -1), "bias")
    return builder.emit(attributes, inputs[: 3 if bias is not None else 2], shape, axes, x.dtype)


def _weights(builder: Builder, weights: Array) -> str:
    return builder.constant(np.asarray(weights, np.float32), "weights")


MAX_REPEATS = 16


def within_pixels(node: OnnxNode, builder: Builder, x: Tensor) -> Tensor | None:
    """A plain 1x1 convolution of a tensor that has further axes among its channels, without moving them.

    The weights are repeated for every entry of those axes: a few more products, but changes stay local (the box
    distributions of a detection head are such).
    """
    weights, bias = node.operand(1), node.constant(2, "bias")
    if isinstance(weights, Tensor) or weights.shape[2:] != (1, 1) or 1 in x.pixel_axes or x.shape[0] != 1:
        return None
    if max(node.attr("strides") or [1]) > 1 or any(node.attr("pads") or [0]) or node.attr("group", 1) != 1:
        return None
    if x.extents[:2] == (1, 1) or (2, 3) in free_layouts(x):
        return None
    position, sizes = x.rest.index(1), x.rest_shape
    outer, inner = math.prod(sizes[:position]), math.prod(sizes[position + 1 :])
    if outer * inner > MAX_REPEATS or sizes[position] != weights.shape[1]:
        return None
    repeated = np.kron(np.eye(outer), np.kron(weights[:, :, 0, 0].T, np.eye(inner)))
    offsets = None if bias is None else np.tile(np.repeat(bias, inner), outer)
    shape = (1, weights.shape[0], *x.shape[2:])
    return emit_conv(builder, x, repeated[None, None], offsets, Conv2d(1, 1), shape, x.pixel_axes)


@register("Conv")
def _conv(node: OnnxNode, builder: Builder) -> Result:
    operand = node.operand(0)
    local = within_pixels(node, builder, operand) if isinstance(operand, Tensor) and len(operand.shape) == 4 else None
    return convolution(node, builder) if local is None else local


def convolution(node: OnnxNode, builder: Builder) -> Tensor:
    """The node's convolution over the spatial axes of its input, the last node that is emitted."""
    x = image(builder, node.operand(0))
    rank = len(x.shape)
    weights = weights_of(node)
    groups = int(node.attr("group", 1))
    if weights.shape[1] * groups != x.shape[1] or weights.shape[0] % groups:
        raise Unsupported(f"weights {weights.shape} and group {groups} do not fit {x.shape[1]} channels", "re-export")
    sizes = x.extents[:2]
    kernel: Pair = (weights.shape[2], weights.shape[3])
    stride, dilation = pair(node.attr("strides"), 1, rank), pair(node.attr("dilations"), 1, rank)
    begin, end = pads_of(node, rank, sizes, kernel, stride, dilation)
    out = windows(sizes, kernel, stride, dilation, begin, end)
    attributes = Conv2d(*kernel, *stride, *dilation, *begin, *end, groups)
    bias = node.constant(2, "bias")
    shape = spatial(rank, weights.shape[0], out)
    return emit_conv(builder, x, weights.transpose(2, 3, 1, 0), bias, attributes, shape, x.pixel_axes)


@register("FusedConv", domain="com.microsoft")
def _fused_conv(node: OnnxNode, builder: Builder) -> Result:
    result = _conv(node, builder)
    assert isinstance(result, Tensor)
    if node.has(3):
        result = builder.binary(Binary.ADD, result, node.operand(3))
    name = node.text("activation", "")
    parameters = [float(value) for value in node.attr("activation_params") or []]
    kinds = {
        "Relu": Activation.RELU,
        "Sigmoid": Activation.SIGMOID,
        "Tanh": Activation.TANH,
        "LeakyRelu": Activation.LEAKY_RELU,
        "Clip": Activation.CLIP,
        "HardSigmoid": Activation.HARD_SIGMOID,
    }
    if name and name not in kinds:
        raise Unsupported(f"activation {name!r} is unknown", "export the model without ONNX Runtime's optimiser")
    return builder.unary(result, kinds[name], *parameters) if name else result


@register("ConvTranspose")
def _conv_transpose(node: OnnxNode, builder: Builder) -> Result:
    x = image(builder, node.operand(0))
    rank = len(x.shape)
    raw = weights_of(node)
    groups = int(node.attr("group", 1))
    if raw.shape[0] != x.shape[1] or raw.shape[0] % groups:
        raise Unsupported(f"weights {raw.shape} and group {groups} do not fit {x.shape[1]} channels", "re-export")
    kernel: Pair = (raw.shape[2], raw.shape[3])
    stride, dilation = pair(node.attr("strides"), 1, rank), pair(node.attr("dilations"), 1, rank)
    extra = pair(node.attr("output_padding"), 0, rank)
    sizes = x.extents[:2]
    full = [
        s * (size - 1) + o + d * (k - 1) + 1
        for size, k, s, d, o in zip(sizes, kernel, stride, dilation, extra, strict=True)
    ]
    mode = node.text("auto_pad", "NOTSET")
    wanted = node.attr("output_shape")
    if wanted or mode in ("SAME_UPPER", "SAME_LOWER"):
        if wanted:
            out = pair(wanted[-(rank - 2) :], 1, rank)
        else:
            out = (sizes[0] * stride[0], sizes[1] * stride[1]) if rank == 4 else (1, sizes[1] * stride[1])
        totals = [max(f - o, 0) for f, o in zip(full, out, strict=True)]
        low = [t // 2 if mode == "SAME_UPPER" else t - t // 2 for t in totals]
        begin, end = (low[0], low[1]), (totals[0] - low[0], totals[1] - low[1])
    else:
        begin, end = ((0, 0), (0, 0)) if mode == "VALID" else begin_end(node, rank)
        out = (full[0] - begin[0] - end[0], full[1] - begin[1] - end[1])
    if min(begin + end) < 0:
        raise Unsupported("it has negative pads", "replace them by a Pad after the node")
    per_group = raw.reshape(groups, -1, *raw.shape[1:])  # (G, C_in/G, C_out/G, kh, kw)
    weights = per_group.transpose(3, 4, 1, 0, 2).reshape(*kernel, per_group.shape[1], -1)
    attributes = ConvTranspose2d(*kernel, *stride, *dilation, *begin, *end, groups)
    shape = spatial(rank, weights.shape[3], out)
    return emit_conv(builder, x, weights, node.constant(2, "bias"), attributes, shape, x.pixel_axes)


# Matrix products


def project(builder: Builder, x: Tensor, weights: Array, bias: Array | None = None) -> Tensor:
    """``x @ weights + bias`` over the last axis of x, weights (K, N) constant: a 1x1 convolution."""
    count = int(weights.shape[1])
    shape = (*x.shape[:-1], count)
    lead = [axis for axis, size in enumerate(x.shape[:-1]) if size != 1]
    last = len(x.shape) - 1
    if set(lead) <= set(x.pixel_axes) and last not in x.pixel_axes:
        axes = x.pixel_axes
    elif len(lead) <= 2 and is_storable(x.shape, tuple(lead)):
        axes = tuple(lead)
    else:
        flat = project(
            builder, reshape(builder, x, (-(-math.prod(x.shape) // x.shape[-1]), x.shape[-1])), weights, bias
        )
        return reshape(builder, flat, shape)
    x = builder.as_layout(x, axes)
    return emit_conv(builder, x, weights[None, None], bias, Conv2d(1, 1), shape, axes)


def matmul(builder: Builder, a: Operand, b: Operand) -> Tensor:
    """NumPy's matmul of tensors of rank 2 and more; at most one operand is constant."""
    if not isinstance(b, Tensor) and isinstance(a, Tensor) and math.prod(b.shape[:-2]) == 1:
        rank = max(len(a.shape), b.ndim)
        return project(builder, reshape(builder, a, (1,) * (rank - len(a.shape)) + a.shape), b.reshape(b.shape[-2:]))
    if not isinstance(a, Tensor) and isinstance(b, Tensor) and math.prod(a.shape[:-2]) == 1:
        rank = max(len(b.shape), a.ndim)
        b = reshape(builder, b, (1,) * (rank - len(b.shape)) + b.shape)
        swap = [*range(rank - 2), rank - 1, rank - 2]
        product = project(builder, builder.transpose(b, swap), a.reshape(a.shape[-2:]).T)
        return builder.transpose(product, swap)
    left, right = builder.tensor(a), builder.tensor(b)
    batch = np.broadcast_shapes(left.shape[:-2], right.shape[:-2])
    shape = (*batch, left.shape[-2], right.shape[-1])
    count = math.prod(batch)
    right = _batched(builder, right, batch) if math.prod(right.shape[:-2]) > 1 else _three(builder, right)
    left = _batched(builder, left, batch)
    left, right = builder.as_layout(left, (0, 1)), builder.as_layout(right, (0, 1))
    product = builder.emit(Matmul(), [left.name, right.name], (count, shape[-2], shape[-1]), (0, 1), left.dtype)
    return reshape(builder, product, shape)


def _three(builder: Builder, x: Tensor) -> Tensor:
    """As (batches, M, N)."""
    return reshape(builder, x, (math.prod(x.shape[:-2]), *x.shape[-2:]))


def _batched(builder: Builder, x: Tensor, batch: Sequence[int]) -> Tensor:
    """As (batches, M, N), with batch axes of 1 repeated."""
    lead = (1,) * (len(batch) + 2 - len(x.shape)) + x.shape
    x = reshape(builder, x, lead)
    repeat = {axis: np.zeros(size, np.int64) for axis, size in enumerate(batch) if lead[axis] != size}
    return _three(builder, builder.take(x, repeat) if repeat else x)


@register("MatMul")
def _matmul_node(node: OnnxNode, builder: Builder) -> Result:
    a, b = node.operand(0), node.operand(1)
    ranks = len(a.shape), len(b.shape)
    if min(ranks) == 0:
        raise Unsupported("an operand is a scalar", "this node is not valid ONNX; re-export the model")
    if ranks[0] == 1:
        a = reshape(builder, a, (1, *a.shape)) if isinstance(a, Tensor) else a[None]
    if ranks[1] == 1:
        b = reshape(builder, b, (*b.shape, 1)) if isinstance(b, Tensor) else b[:, None]
    product = matmul(builder, a, b)
    shape = product.shape
    if ranks[1] == 1:
        shape = shape[:-1]
    if ranks[0] == 1:
        shape = shape[:-2] + shape[len(shape) - (1 if ranks[1] != 1 else 0) :]
    return reshape(builder, product, shape)


@register("Gemm")
def _gemm(node: OnnxNode, builder: Builder) -> Result:
    a, b = node.operand(0), node.operand(1)
    if node.attr("transA", 0):
        a = builder.transpose(a, (1, 0)) if isinstance(a, Tensor) else a.T
    if node.attr("transB", 0):
        b = builder.transpose(b, (1, 0)) if isinstance(b, Tensor) else b.T
    alpha, beta = float(node.attr("alpha", 1.0)), float(node.attr("beta", 1.0))
    c = node.operand(2) if node.has(2) else None
    if not isinstance(b, Tensor):
        b = b.astype(np.float64) * alpha
        if isinstance(a, Tensor) and c is not None and not isinstance(c, Tensor) and _is_row(c, b.shape[1]):
            row = np.broadcast_to(np.asarray(c, np.float64).reshape(-1) * beta, (b.shape[1],))
            return project(builder, a, b, row)
        product = matmul(builder, a, b)
    else:
        product = matmul(builder, a, b)
        if alpha != 1.0:
            product = builder.unary(product, Activation.AFFINE, alpha, 0.0)
    if c is None or beta == 0.0:
        return product
    if isinstance(c, Tensor):
        c = c if beta == 1.0 else builder.unary(c, Activation.AFFINE, beta, 0.0)
    else:
        c = c.astype(np.float64) * beta
    return builder.binary(Binary.ADD, product, c)


def _is_row(c: Array, count: int) -> bool:
    """Whether a Gemm's addend is the same for all rows."""
    return c.size in (1, count) and (c.ndim < 2 or c.shape[0] == 1) and (c.ndim == 0 or c.shape[-1] in (1, count))


# Windowed pools


@register("MaxPool", "AveragePool", "LpPool")
def _pool(node: OnnxNode, builder: Builder) -> Result:
    if len(node.outputs) > 1 and node.outputs[1]:
        raise Unsupported("its Indices output is used", "un-pool by resizing, or export without indices")
    x = image(builder, node.operand(0))
    rank = len(x.shape)
    sizes = x.extents[:2]
    kernel = pair(node.attr("kernel_shape"), 1, rank)
    stride, dilation = pair(node.attr("strides"), 1, rank), pair(node.attr("dilations"), 1, rank)
    begin, end = pads_of(node, rank, sizes, kernel, stride, dilation)
    ceil = bool(node.attr("ceil_mode", 0)) and node.text("auto_pad", "NOTSET") == "NOTSET"
    out = windows(sizes, kernel, stride, dilation, begin, end, ceil)
    shape = spatial(rank, x.shape[1], out)
    geometry = (*kernel, *stride, *dilation, *begin)
    if node.op == "LpPool":
        # Sums of |x|^p run as a depthwise convolution, whose zero padding adds nothing; pads reach the last window.
        reach = [(o - 1) * s + d * (k - 1) + 1 - size - low for o, s, d, k, size, low in
                 zip(out, stride, dilation, kernel, sizes, begin, strict=True)]  # fmt: skip
        p = float(node.attr("p", 2))
        powers = builder.unary(builder.unary(x, Activation.ABS), Activation.POW, p)
        ones = np.ones((*kernel, 1, x.shape[1]), np.float32)
        attributes: Attributes = Conv2d(*geometry, max(reach[0], 0), max(reach[1], 0), x.shape[1])
        sums = builder.emit(attributes, [powers.name, _weights(builder, ones)], shape, x.pixel_axes, x.dtype)
        return builder.unary(sums, Activation.POW, 1.0 / p)
    kind = PoolKind.MAX if node.op == "MaxPool" else PoolKind.AVERAGE
    attributes = Pool(kind, *geometry, *end, int(node.attr("count_include_pad", 0)) if kind else 0)
    return builder.emit(attributes, [x.name], shape, x.pixel_axes, x.dtype)


@register("LRN")
def _local_response_normalization(node: OnnxNode, builder: Builder) -> Result:
    x = image(builder, node.operand(0))
    channels, size = x.shape[1], int(node.attr("size", 1))
    alpha, beta, bias = (float(node.attr(*item)) for item in (("alpha", 1e-4), ("beta", 0.75), ("bias", 1.0)))
    distance = np.arange(channels)[:, None] - np.arange(channels)[None, :]  # input channel minus output channel
    band = (distance >= -((size - 1) // 2)) & (distance <= math.ceil((size - 1) / 2))
    squares = builder.unary(x, Activation.SQUARE)
    weights = (band * (alpha / size)).astype(np.float32)[None, None]
    offset = np.full(channels, bias, np.float32)
    sums = emit_conv(builder, squares, weights, offset, Conv2d(1, 1), x.shape, x.pixel_axes)
    return builder.binary(Binary.MUL, x, builder.unary(sums, Activation.POW, -beta))


def with_dtype(tensor: Tensor, dtype: str) -> Tensor:
    """The same value with another source dtype."""
    return replace(tensor, dtype=dtype)
