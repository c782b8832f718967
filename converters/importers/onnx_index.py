"""Operators that pick or place numbers by constant indices, and masks that depend on positions only.

Such an operator is a table of source positions. Where every axis is indexed by itself, as in slices written to and in
``x[:, :, rows[:, None], cols]``, the table is one index per axis and changes stay local; otherwise the numbers are
moved one by one.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from runtime.reference.graph import Activation, Array, Binary, Where

from .builder import Builder, Indices, Operand
from .layout import Tensor
from .onnx_conv import project
from .onnx_elementwise import dtype_of
from .onnx_node import OnnxNode, Result, Unsupported, normalized, register
from .reshape import reshape

MAX_TABLE = 1 << 22
MAX_PREFIX = 4096


def fixed_indices(node: OnnxNode, shape: Sequence[int], axis: int | None = None) -> Indices:
    """The node's constant indices, counted from the front; along ``axis``, or the last of them over leading axes."""
    raw = node.operand(1)
    if isinstance(raw, Tensor):
        raise Unsupported("it moves data by indices computed while running")
    first = int(node.attr("batch_dims", 0))
    limits = np.array(shape[axis] if axis is not None else shape[first : first + raw.shape[-1]], np.int64)
    indices: Indices = raw.astype(np.int64)
    indices = np.where(indices < 0, indices + limits, indices)
    if ((indices < 0) | (indices >= limits)).any():
        raise Unsupported(f"its indices do not fit a tensor of shape {tuple(shape)}", "give the input size it expects")
    return indices


def positions(shape: Sequence[int], start: int = 0) -> Indices:
    """Numbers of a tensor's elements in row-major order."""
    return np.arange(start, start + math.prod(shape), dtype=np.int64).reshape(tuple(shape))


def pick(builder: Builder, x: Tensor, table: Indices) -> Tensor:
    """The elements of ``x`` with the given row-major positions, in the table's shape."""
    choice = per_axis(table, x.shape)
    if choice is None:
        return pick_any(builder, [x], table)
    changes = {k: index for k, index in enumerate(choice) if not np.array_equal(index, np.arange(x.shape[k]))}
    return reshape(builder, builder.take(x, changes) if changes else x, table.shape)


def per_axis(table: Indices, shape: Sequence[int]) -> list[Indices] | None:
    """One index per axis of ``shape`` whose outer product, in order, is the table; None where there is none."""
    coordinates = np.unravel_index(table, tuple(shape))
    driven: list[int | None] = []  # by source axis: the table's axis along which its coordinate varies
    for number, coordinate in enumerate(coordinates):
        varies = [axis for axis in range(table.ndim) if (coordinate != coordinate.take([0], axis)).any()]
        if len(varies) > 1:
            return None
        own = number if table.ndim == len(shape) else None  # one index, repeated along the axis it has in the table
        driven.append(varies[0] if varies else own)
    order = [axis for axis in driven if axis is not None]
    large = {axis for axis, size in enumerate(table.shape) if size != 1}
    if not large <= set(order) or any(a >= b for a, b in pairwise(order)):
        return None
    lines = [
        np.moveaxis(c, axis or 0, 0).reshape(c.shape[axis or 0], -1)[:, 0]
        for c, axis in zip(coordinates, driven, strict=True)
    ]
    return [line[:1] if axis is None else line for line, axis in zip(lines, driven, strict=True)]


def pick_any(builder: Builder, sources: Sequence[Operand], table: Indices) -> Tensor:
    """Elements by their positions in the sources' numbers one behind the other."""
    if table.size > MAX_TABLE:
        raise Unsupported(f"it moves {table.size} numbers one by one")
    flat = [reshape(builder, builder.tensor(source), (math.prod(source.shape),)) for source in sources]
    joined = builder.concat(flat, 0) if len(flat) > 1 else flat[0]
    return reshape(builder, builder.take(joined, {0: table.reshape(-1)}), table.shape)


@register("GatherND")
def _gather_nd(node: OnnxNode, builder: Builder) -> Result:
    x = builder.tensor(node.operand(0))
    indices = fixed_indices(node, x.shape)
    batch = indices.shape[: int(node.attr("batch_dims", 0))]
    numbers = positions(x.shape).reshape(math.prod(batch), *x.shape[len(batch) :])
    flat = indices.reshape(math.prod(batch), *indices.shape[len(batch) :])
    parts = [part[tuple(np.moveaxis(index, -1, 0))] for part, index in zip(numbers, flat, strict=True)]
    return pick(builder, x, np.stack(parts).reshape(*batch, *parts[0].shape))


@register("GatherElements")
def _gather_elements(node: OnnxNode, builder: Builder) -> Result:
    x = builder.tensor(node.operand(0))
    axis = normalized(int(node.attr("axis", 0)), len(x.shape))
    indices = fixed_indices(node, x.shape, axis)
    rest = tuple(slice(None) if k == axis else slice(size) for k, size in enumerate(indices.shape))
    return pick(builder, x, np.take_along_axis(positions(x.shape)[rest], indices, axis))


@register("ScatterND")
def _scatter_nd(node: OnnxNode, builder: Builder) -> Result:
    x, updates = node.operand(0), node.operand(2)
    indices = fixed_indices(node, x.shape)
    table = positions(x.shape)
    table[tuple(np.moveaxis(indices, -1, 0))] = positions(updates.shape, table.size)
    return scattered(node, builder, x, updates, table)


@register("ScatterElements", "Scatter")
def _scatter_elements(node: OnnxNode, builder: Builder) -> Result:
    x, updates = node.operand(0), node.operand(2)
    axis = normalized(int(node.attr("axis", 0)), len(x.shape))
    indices = fixed_indices(node, x.shape, axis)
    table = positions(x.shape)
    rest = tuple(slice(None) if k == axis else slice(size) for k, size in enumerate(indices.shape))
    part = table[rest]
    np.put_along_axis(part, indices, positions(updates.shape, table.size), axis)
    return scattered(node, builder, x, updates, table)


def scattered(node: OnnxNode, builder: Builder, x: Operand, updates: Operand, table: Indices) -> Tensor:
    """``x`` with some numbers replaced: the table holds positions in x, or x.size + positions in the updates."""
    if node.text("reduction", "none") != "none":
        raise Unsupported("it combines its updates with the data", "write it as an addition of a padded tensor")
    old = math.prod(x.shape)
    new = table >= old
    sets = [np.flatnonzero(new.any(axis=tuple(k for k in range(new.ndim) if k != axis))) for axis in range(new.ndim)]
    box = table[np.ix_(*sets)]
    if box.size != math.prod(updates.shape) or not np.array_equal(box.reshape(-1) - old, np.arange(box.size)):
        return pick_any(builder, [x, updates], table)
    source = reshape(builder, builder.tensor(updates), box.shape)
    wider = {}
    mask = np.ones((1,) * new.ndim, bool)
    for axis, members in enumerate(sets):
        if len(members) == table.shape[axis]:
            continue
        wider[axis] = np.full(table.shape[axis], -1, np.int64)
        wider[axis][members] = np.arange(len(members))
        mask = mask & (wider[axis] >= 0).reshape([-1 if k == axis else 1 for k in range(new.ndim)])
    if not wider:
        return source
    return builder.elementwise(Where(), [mask, builder.take(source, wider), x], dtype_of(x))


# Masks and prefix sums


@register("Trilu")
def _triangle(node: OnnxNode, builder: Builder) -> Result:
    x = builder.tensor(node.operand(0))
    diagonal = node.constant(1, "diagonal")
    k = 0 if diagonal is None else int(diagonal.reshape(-1)[0])
    ones = np.ones(x.shape[-2:], bool)
    mask = np.triu(ones, k) if node.attr("upper", 1) else np.tril(ones, k)
    return builder.elementwise(Where(), [mask, x, np.zeros((), np.float32)], x.dtype)


@register("EyeLike")
def _eye_like(node: OnnxNode, _: Builder) -> Result:
    x = node.operand(0)
    if len(x.shape) != 2:
        raise Unsupported(f"its input has shape {x.shape}, not that of a matrix", "re-export the model")
    eye: Array = np.eye(x.shape[0], x.shape[1], int(node.attr("k", 0)), np.float32)
    return eye


@register("OneHot")
def _one_hot(node: OnnxNode, builder: Builder) -> Result:
    x = builder.tensor(node.operand(0))
    depth, values = node.constant(1, "depth"), node.constant(2, "values")
    assert depth is not None
    assert values is not None
    count, (off, on) = int(depth.reshape(-1)[0]), values.reshape(-1)
    axis = normalized(int(node.attr("axis", -1)), len(x.shape) + 1)
    steps = np.arange(count, dtype=np.float32).reshape([-1 if k == axis else 1 for k in range(len(x.shape) + 1)])
    wide = reshape(builder, x, (*x.shape[:axis], 1, *x.shape[axis:]))
    front, back = (builder.binary(Binary.EQUAL, wide, steps - wrapped, "bool") for wrapped in (0, count))
    hit = builder.binary(Binary.OR, front, back)
    return builder.unary(hit, Activation.AFFINE, float(on) - float(off), float(off), dtype=values.dtype.name)


@register("CumSum")
def _prefix_sum(node: OnnxNode, builder: Builder) -> Result:
    x = builder.tensor(node.operand(0))
    where = node.constant(1, "axis")
    assert where is not None
    axis = normalized(int(where.reshape(-1)[0]), len(x.shape))
    size = x.shape[axis]
    if size > MAX_PREFIX:
        raise Unsupported(f"prefix sums over {size} numbers are not supported")
    # A matrix product with a triangle of ones.
    weights: Array = np.triu(np.ones((size, size), np.float32), 1 if node.attr("exclusive", 0) else 0)
    weights = weights.T if node.attr("reverse", 0) else weights
    order = [k for k in range(len(x.shape)) if k != axis] + [axis]
    summed = project(builder, builder.transpose(x, order), weights)
    return builder.transpose(summed, [order.index(k) for k in range(len(order))])
