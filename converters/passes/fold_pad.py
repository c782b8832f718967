"""Explicit padding goes into the convolution or pool behind it."""

from __future__ import annotations

import dataclasses

import numpy as np

from runtime.reference.graph import Array, Conv2d, ConvTranspose2d, Gather, Graph, Node, Pool, PoolKind
from runtime.reference.ops import window_count

from .rewrite import Rewriter

MAX_PAD = 4096


def fold_pad(graph: Graph) -> Graph:
    """Lets convolutions and pools read past the edge instead of reading a padded copy, where that is exact.

    Zeros suit convolutions, and average pools that count their padding; minus infinity suits max pools.
    """
    rewriter = Rewriter(graph)
    for node in rewriter.live():
        source = rewriter.producer.get(str(node.inputs[0]))
        if source is None or not isinstance(source.attributes, Gather):
            continue
        pads = padding_of(rewriter, source)
        if pads is None:
            continue
        attributes = _padded(rewriter, node, source.attributes.fill, pads)
        if attributes is not None:
            node.attributes = attributes
            rewriter.set_inputs(node, [source.inputs[0], *node.inputs[1:]])
            if not rewriter.readers(source.output) and not rewriter.is_output(source.output):
                rewriter.remove(source)
    return rewriter.finish()


def padding_of(rewriter: Rewriter, node: Node) -> tuple[int, int, int, int] | None:
    """(top, left, bottom, right) if a gather only pads rows and cols with its fill, else None."""
    _, row_map, col_map, channel_map = (*node.inputs, None, None, None)[:4]
    if channel_map is not None:
        return None
    extents = rewriter.values[str(node.inputs[0])].extents
    rows, cols = (_ends(rewriter.constant(name), extents[axis]) for axis, name in enumerate((row_map, col_map)))
    return None if rows is None or cols is None else (rows[0], cols[0], rows[1], cols[1])


def _ends(index: Array | None, extent: int) -> tuple[int, int] | None:
    """How many -1 stand before and behind 0, 1, ... extent - 1; None where the map is anything else."""
    if index is None:
        return 0, 0
    flat = np.asarray(index, np.int32).reshape(-1)
    inside = np.flatnonzero(flat >= 0)
    if inside.size != extent:
        return None
    first = int(inside[0])
    if not np.array_equal(flat[first : first + extent], np.arange(extent)):
        return None
    return first, flat.size - extent - first


def _padded(rewriter: Rewriter, node: Node, fill: float, pads: tuple[int, int, int, int]) -> Conv2d | Pool | None:
    a = node.attributes
    if isinstance(a, ConvTranspose2d) or not isinstance(a, (Conv2d, Pool)):
        return None
    own = (a.pad_top, a.pad_left, a.pad_bottom, a.pad_right)
    total = tuple(x + y for x, y in zip(own, pads, strict=True))
    if max(total) > MAX_PAD:
        return None
    names = ("pad_top", "pad_left", "pad_bottom", "pad_right")
    changes = dict(zip(names, total, strict=True))
    if isinstance(a, Conv2d):
        return dataclasses.replace(a, **changes) if fill == 0 else None
    if _in_ceil_mode(rewriter, node, a):
        return None  # the extra window must start inside the input, which is now smaller
    if a.kind == PoolKind.MAX:
        reach = (a.dilation_h * (a.kernel_h - 1), a.dilation_w * (a.kernel_w - 1)) * 2
        within = all(pad <= limit for pad, limit in zip(total, reach, strict=True))
        return dataclasses.replace(a, **changes) if fill == -np.inf and within else None
    if fill != 0 or (any(own) and not a.count_include_pad):
        return None
    return dataclasses.replace(a, **changes, count_include_pad=1)


def _in_ceil_mode(rewriter: Rewriter, node: Node, a: Pool) -> bool:
    x, y = rewriter.values[str(node.inputs[0])], rewriter.values[node.output]
    rows = window_count(x.rows, a.kernel_h, a.stride_h, a.dilation_h, a.pad_top + a.pad_bottom)
    cols = window_count(x.cols, a.kernel_w, a.stride_w, a.dilation_w, a.pad_left + a.pad_right)
    return (y.rows, y.cols) != (rows, cols)
