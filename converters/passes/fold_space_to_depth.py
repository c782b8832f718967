"""A convolution behind space-to-depth becomes one on the map before it."""

from __future__ import annotations

import dataclasses

import numpy as np
import numpy.typing as npt

from runtime.reference.graph import Array, Concat, Conv2d, ConvTranspose2d, Gather, Graph, Node

from .rewrite import Rewriter


def fold_space_to_depth(graph: Graph) -> Graph:
    """Replaces a block-wise rearrangement (YOLO's focus stem) and the convolution behind it by one convolution.

    A k x k convolution over the s x s shifted and strided copies of a map is a ks x ks convolution of s times the
    stride and padding over the map itself: the same products, without the copies.
    """
    rewriter = Rewriter(graph)
    for node in rewriter.live():
        a = node.attributes
        if not isinstance(a, Conv2d) or isinstance(a, ConvTranspose2d) or a.groups != 1 or node.gate is not None:
            continue  # a skip gate looks at the windows of the convolution as it is
        found = _phases(rewriter, node)
        weights = rewriter.constant(node.inputs[1])
        if found is None or weights is None or (a.dilation_h, a.dilation_w) != (1, 1):
            continue
        source, step, offsets = found
        sides = ("kernel_h", "kernel_w", "stride_h", "stride_w", "pad_top", "pad_left", "pad_bottom", "pad_right")
        node.attributes = dataclasses.replace(a, **{side: getattr(a, side) * step for side in sides})
        spread = rewriter.add_constant(f"{node.inputs[1]}.spread", _spread(weights, step, offsets))
        rewriter.set_inputs(node, [source, spread, *node.inputs[2:]])
    return rewriter.finish()


def _phases(rewriter: Rewriter, node: Node) -> tuple[str, int, list[tuple[int, int]]] | None:
    """(map, step, row and column offset per copy) if a node reads all strided copies of a map, concatenated."""
    concat = rewriter.producer.get(str(node.inputs[0]))
    if concat is None or concat.attributes != Concat(2) or rewriter.sole_reader(concat.output) is not node:
        return None
    copies = [rewriter.producer.get(str(name)) for name in concat.inputs]
    source, step = None, round(len(copies) ** 0.5)
    offsets = []
    for copy in copies:
        if copy is None or not isinstance(copy.attributes, Gather) or copy.inputs[3:] not in ([], [None]):
            return None
        x = rewriter.values[str(copy.inputs[0])]
        if source not in (None, x.name):
            return None
        source = x.name
        offset = [_offset(rewriter.constant(copy.inputs[axis + 1]), x.extents[axis], step) for axis in range(2)]
        if offset[0] is None or offset[1] is None:
            return None
        offsets.append((offset[0], offset[1]))
    if source is None or step < 2 or sorted(offsets) != [(i, j) for i in range(step) for j in range(step)]:
        return None
    return source, step, offsets


def _offset(index: Array | None, extent: int, step: int) -> int | None:
    """The o for which a map is o, o + step, o + 2 step, ... to the end of a whole number of steps."""
    if index is None or extent % step or index.size != extent // step:
        return None
    first = int(index.flat[0])
    return first if np.array_equal(index.reshape(-1), first + step * np.arange(index.size)) else None


def _spread(weights: Array, step: int, offsets: list[tuple[int, int]]) -> npt.NDArray[np.generic]:
    """Weights (kernel_h, kernel_w, copies * C, C_out) in their places of the larger kernel."""
    kernel_h, kernel_w, channels, out = weights.shape
    part = channels // len(offsets)
    spread = np.zeros((kernel_h * step, kernel_w * step, part, out), weights.dtype)
    for i, (row, col) in enumerate(offsets):
        spread[row::step, col::step] = weights[:, :, i * part : (i + 1) * part]
    return spread
