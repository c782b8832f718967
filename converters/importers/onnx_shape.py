"""Operators that move numbers: reshapes, slices, pads, concatenations, channel shuffles."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import accumulate

import numpy as np

from .builder import Builder, Indices
from .layout import Tensor
from .onnx_node import OnnxNode, Result, Unsupported, normalized, register
from .reshape import reshape


@register("Reshape")
def _reshape_node(node: OnnxNode, builder: Builder) -> Result:
    x = builder.tensor(node.operand(0))
    target = node.integers("shape", 1)
    assert target is not None
    if not node.attr("allowzero", 0):
        target = [x.shape[axis] if size == 0 else size for axis, size in enumerate(target)]
    elements = math.prod(x.shape)
    if -1 in target:
        known = -math.prod(target)
        target[target.index(-1)] = elements // known if known else 0
    if math.prod(target) != elements:
        raise Unsupported(
            f"a tensor of shape {x.shape} cannot take shape {tuple(target)}",
            "the shape was fixed when exporting: use that input size, or export again with the one wanted",
        )
    return reshape(builder, x, target)


@register("Flatten")
def _flatten(node: OnnxNode, builder: Builder) -> Result:
    x = builder.tensor(node.operand(0))
    axis = int(node.attr("axis", 1))
    axis = axis + len(x.shape) if axis < 0 else axis
    return reshape(builder, x, (math.prod(x.shape[:axis]), math.prod(x.shape[axis:])))


@register("Squeeze")
def _squeeze(node: OnnxNode, builder: Builder) -> Result:
    x = builder.tensor(node.operand(0))
    axes = node.integers("axes", 1)
    rank = len(x.shape)
    if axes is None:
        drop = {axis for axis, size in enumerate(x.shape) if size == 1}
    else:
        drop = {normalized(axis, rank) for axis in axes}
    return reshape(builder, x, [size for axis, size in enumerate(x.shape) if axis not in drop])


@register("Unsqueeze")
def _unsqueeze(node: OnnxNode, builder: Builder) -> Result:
    x = builder.tensor(node.operand(0))
    axes = node.integers("axes", 1)
    assert axes is not None
    rank = len(x.shape) + len(axes)
    new = {normalized(axis, rank) for axis in axes}
    sizes = iter(x.shape)
    return reshape(builder, x, [1 if axis in new else next(sizes) for axis in range(rank)])


@register("Transpose")
def _transpose(node: OnnxNode, builder: Builder) -> Result:
    x = builder.tensor(node.operand(0))
    return builder.transpose(x, node.attr("perm") or range(len(x.shape))[::-1])


@register("Concat")
def _concat(node: OnnxNode, builder: Builder) -> Result:
    operands = [node.operand(index) for index in range(len(node.inputs))]
    if not any(isinstance(operand, Tensor) for operand in operands):
        operands = [builder.tensor(operands[0]), *operands[1:]]
    return builder.concat(operands, normalized(int(node.attr("axis", 1)), len(operands[0].shape)))


@register("Split")
def _split(node: OnnxNode, builder: Builder) -> Result:
    x = builder.tensor(node.operand(0))
    axis = normalized(int(node.attr("axis", 0)), len(x.shape))
    sizes = node.integers("split", 1)
    if sizes is None:
        count = len(node.outputs)
        chunk = -(-x.shape[axis] // count)
        sizes = [min(chunk, x.shape[axis] - chunk * index) for index in range(count)]
    if sum(sizes) != x.shape[axis] or min(sizes) < 1:
        raise Unsupported(f"sizes {sizes} do not split an axis of {x.shape[axis]}", "re-export the model")
    starts = [0, *accumulate(sizes)]
    return [
        builder.take(x, {axis: np.arange(start, start + size)}) if name else None
        for start, size, name in zip(starts, sizes, node.outputs, strict=False)
    ]


@register("Slice")
def _slice_node(node: OnnxNode, builder: Builder) -> Result:
    x = builder.tensor(node.operand(0))
    starts, ends = node.integers("starts", 1), node.integers("ends", 2)
    assert starts is not None
    assert ends is not None
    axes = node.integers("axes", 3) or list(range(len(starts)))
    steps = node.integers("steps", 4) or [1] * len(starts)
    indices = {}
    for axis, start, end, step in zip(axes, starts, ends, steps, strict=True):
        axis = normalized(axis, len(x.shape))
        size = x.shape[axis]
        indices[axis] = np.arange(size)[_python_slice(start, end, step, size)]
        if not len(indices[axis]):
            raise Unsupported(f"it takes nothing of axis {axis} (size {size})", "give the input size the model expects")
    return builder.take(x, indices)


def _python_slice(start: int, end: int, step: int, size: int) -> slice:
    """ONNX clamps where Python's negative indices would wrap around."""
    start, end = (value + size if value < 0 else value for value in (start, end))
    if step > 0:
        return slice(max(start, 0), max(end, 0), step)
    return slice(min(max(start, 0), size - 1), None if end < 0 else end, step)


@register("Gather")
def _gather(node: OnnxNode, builder: Builder) -> Result:
    x = builder.tensor(node.operand(0))
    axis = normalized(int(node.attr("axis", 0)), len(x.shape))
    index = node.constant(1, "indices")
    assert index is not None
    wanted = index.astype(np.int64)
    flat = np.where(wanted < 0, wanted + x.shape[axis], wanted).reshape(-1)
    if flat.size == 0 or flat.min() < 0 or flat.max() >= x.shape[axis]:
        raise Unsupported(f"its indices do not fit an axis of {x.shape[axis]}", "give the input size the model expects")
    taken = builder.take(x, {axis: flat})
    return reshape(builder, taken, (*x.shape[:axis], *index.shape, *x.shape[axis + 1 :]))


@register("Pad")
def _pad(node: OnnxNode, builder: Builder) -> Result:
    x = builder.tensor(node.operand(0))
    pads = node.integers("pads", 1)
    if pads is None:
        pads = node.integers("paddings", 1)
    assert pads is not None
    fill = node.constant(2, "constant value")
    value = float(node.attr("value", 0.0)) if fill is None or fill.size == 0 else float(fill.reshape(-1)[0])
    chosen = node.constant(3, "axes")
    rank = len(x.shape)
    axes = range(rank) if chosen is None else [normalized(int(axis), rank) for axis in chosen]
    mode = node.text("mode", "constant")
    indices = {}
    for position, axis in enumerate(axes):
        before, after = pads[position], pads[position + len(pads) // 2]
        if before or after:
            indices[axis] = _padded_index(x.shape[axis], before, after, mode)
    return builder.take(x, indices, value) if indices else x


def _padded_index(size: int, before: int, after: int, mode: str) -> Indices:
    """Source index of every padded position, -1 where the fill goes; negative pads crop first."""
    index = np.arange(size)[max(-before, 0) : size - max(-after, 0)]
    width = (max(before, 0), max(after, 0))
    if index.size == 0 and mode != "constant":
        raise Unsupported("it pads nothing", "re-export the model")
    if mode == "constant":
        return np.pad(index, width, constant_values=-1)
    modes = {"reflect": "reflect", "edge": "edge", "wrap": "wrap"}
    if mode not in modes:
        raise Unsupported(f"mode {mode!r} is unknown", "re-export the model")
    return np.pad(index, width, mode=modes[mode])  # type: ignore[call-overload,no-any-return]


@register("Expand")
def _expand(node: OnnxNode, builder: Builder) -> Result:
    x = builder.tensor(node.operand(0))
    target = node.integers("shape", 1)
    assert target is not None
    shape = np.broadcast_shapes(x.shape, tuple(target))
    x = reshape(builder, x, (1,) * (len(shape) - len(x.shape)) + x.shape)
    grow = {axis: np.zeros(size, np.int64) for axis, size in enumerate(shape) if x.shape[axis] != size}
    return builder.take(x, grow) if grow else x


@register("Tile")
def _tile(node: OnnxNode, builder: Builder) -> Result:
    x = builder.tensor(node.operand(0))
    repeats = node.integers("repeats", 1)
    assert repeats is not None
    indices = {axis: np.tile(np.arange(x.shape[axis]), count) for axis, count in enumerate(repeats) if count != 1}
    return builder.take(x, indices) if indices else x


def _blocks(builder: Builder, x: Tensor, shape: Sequence[int], perm: Sequence[int], result: Sequence[int]) -> Tensor:
    return reshape(builder, builder.transpose(reshape(builder, x, shape), perm), result)


def _image_shape(x: Tensor) -> tuple[int, int, int]:
    if len(x.shape) != 4 or x.shape[0] != 1:
        raise Unsupported(f"its input has shape {x.shape}; (1, C, H, W) is supported")
    return x.shape[1], x.shape[2], x.shape[3]


@register("DepthToSpace")
def _depth_to_space(node: OnnxNode, builder: Builder) -> Result:
    x = builder.tensor(node.operand(0))
    channels, height, width = _image_shape(x)
    b = int(node.attr("blocksize"))
    depth, result = channels // (b * b), (1, channels // (b * b), height * b, width * b)
    if node.text("mode", "DCR") == "CRD":
        return _blocks(builder, x, (1, depth, b, b, height, width), (0, 1, 4, 2, 5, 3), result)
    return _blocks(builder, x, (1, b, b, depth, height, width), (0, 3, 4, 1, 5, 2), result)


@register("SpaceToDepth")
def _space_to_depth(node: OnnxNode, builder: Builder) -> Result:
    x = builder.tensor(node.operand(0))
    channels, height, width = _image_shape(x)
    b = int(node.attr("blocksize"))
    rows, cols = height // b, width // b
    # The blocks' rows and columns join the channels: before them, or behind with CRD.
    perm = (0, 1, 3, 5, 2, 4) if node.text("mode", "DCR") == "CRD" else (0, 3, 5, 1, 2, 4)
    return _blocks(builder, x, (1, channels, rows, b, cols, b), perm, (1, channels * b * b, rows, cols))


@register("Shape")
def _shape(node: OnnxNode, _: Builder) -> Result:
    sizes = node.operand(0).shape
    return np.array(sizes[slice(node.attr("start", 0), node.attr("end"))], np.int64)


@register("Size")
def _size(node: OnnxNode, _: Builder) -> Result:
    return np.array(math.prod(node.operand(0).shape), np.int64)
