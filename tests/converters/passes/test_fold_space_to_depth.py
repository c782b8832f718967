"""The focus stem: strided copies and a convolution become one convolution, where all copies are there."""

from __future__ import annotations

import numpy as np
import pytest

from converters.passes.fold_space_to_depth import fold_space_to_depth
from runtime.reference.graph import Concat, Conv2d, Gather, SkipKind

ORDER = [(0, 0), (1, 0), (0, 1), (1, 1)]


def stem(n, order: list[tuple[int, int]] = ORDER, step: int = 2) -> str:
    rows, cols, channels = n.extents("x")
    copies = []
    for row, col in order:
        maps = [
            n.constant(np.arange(first, extent, step, dtype=np.int32)) for first, extent in ((row, rows), (col, cols))
        ]
        size = (rows // step, cols // step, channels)
        copies.append(n.node(Gather(), ["x", maps[0], maps[1], None], size))
    size = (rows // step, cols // step, channels * len(order))
    return n.node(Concat(2), copies, size)


def conv(n, x: str, kernel: int, stride: int, pad: int) -> str:
    rows, cols, channels = n.extents(x)
    weights = n.constant(np.random.default_rng(1).normal(size=(kernel, kernel, channels, 5)).astype(np.float32))
    size = ((rows + 2 * pad - kernel) // stride + 1, (cols + 2 * pad - kernel) // stride + 1, 5)
    attributes = Conv2d(kernel, kernel, stride, stride, 1, 1, pad, pad, pad, pad)
    return n.node(attributes, [x, weights, None, None], size)


@pytest.mark.parametrize(("kernel", "stride", "pad"), [(3, 1, 1), (3, 2, 1), (1, 1, 0), (2, 1, 1)])
def test_into_the_convolution(network, kernel: int, stride: int, pad: int) -> None:
    n = network(12, 16)
    before = n.finish(conv(n, stem(n), kernel, stride, pad))
    after = fold_space_to_depth(before)
    assert n.ops(after) == ["conv2d"]
    a = after.nodes[0].attributes
    assert (a.kernel_h, a.stride_w, a.pad_top) == (2 * kernel, 2 * stride, 2 * pad)
    assert n.same(before, after)


@pytest.mark.parametrize("order", [ORDER[:3], [*ORDER[:3], (0, 0)], [(0, 0)]])
def test_not_all_copies_stay(network, order: list[tuple[int, int]]) -> None:
    n = network(12, 16)
    before = n.finish(n.conv(stem(n, order), 5, kernel=3, pad=1))
    assert n.ops(fold_space_to_depth(before)) == n.ops(before)


def test_another_reader_and_odd_sizes_stay(network) -> None:
    n = network(12, 16)
    middle = stem(n)
    shared = n.finish(n.conv(middle, 5, kernel=3, pad=1), middle)
    assert n.ops(fold_space_to_depth(shared)) == n.ops(shared)


def test_a_skip_gate_looks_at_the_copies(network) -> None:
    n = network(12, 16)
    before = n.finish(n.skip_conv(stem(n), 5, kernel=3, pad=1, kind=SkipKind.GUMBEL))
    assert n.ops(fold_space_to_depth(before)) == n.ops(before)
