"""Padding into convolutions and pools, only where it is exact."""

from __future__ import annotations

import math

import pytest

from converters.passes.fold_pad import fold_pad
from runtime.reference.graph import Pool, PoolKind


@pytest.mark.parametrize("groups", [1, 3])
def test_into_a_convolution(network, groups: int) -> None:
    n = network()
    before = n.finish(n.conv(n.pad("x", 0, 1, 2, 3), 3, kernel=3, pad=1, groups=groups))
    after = fold_pad(before)
    assert n.ops(after) == ["conv2d"]
    a = after.nodes[0].attributes
    assert (a.pad_top, a.pad_left, a.pad_bottom, a.pad_right) == (1, 2, 3, 4)
    assert n.same(before, after)


def test_other_fills_and_cropped_edges_stay(network) -> None:
    n = network()
    first = n.conv(n.pad("x", 1, 1, 1, 1, fill=2.0), 3, kernel=3)
    before = n.finish(first, n.conv_transpose(n.pad("x", 1, 1, 1, 1), 2))
    assert n.ops(fold_pad(before)) == n.ops(before)


def pool(n, x: str, kind: PoolKind, include: int = 0, ceil: int = 0, pad: int = 0) -> str:
    rows, cols, channels = n.extents(x)
    size = ((rows + 2 * pad - 3) // 2 + 1 + ceil, (cols + 2 * pad - 3) // 2 + 1 + ceil, channels)
    return n.node(Pool(kind, 3, 3, 2, 2, 1, 1, pad, pad, pad, pad, include), [x], size)


@pytest.mark.parametrize("include", [0, 1])
def test_into_an_average_pool(network, include: int) -> None:
    n = network()
    before = n.finish(pool(n, n.pad("x", 1, 0, 2, 1), PoolKind.AVERAGE, include))
    after = fold_pad(before)
    assert n.ops(after) == ["pool"]
    assert after.nodes[0].attributes.count_include_pad == 1
    assert n.same(before, after)


def test_an_average_pool_that_ignores_its_own_padding(network) -> None:
    n = network()
    before = n.finish(pool(n, n.pad("x", 1, 1, 1, 1), PoolKind.AVERAGE, pad=1))
    assert n.ops(fold_pad(before)) == ["gather", "pool"]


@pytest.mark.parametrize(("fill", "expected"), [(-math.inf, ["pool"]), (0.0, ["gather", "pool"])])
def test_into_a_max_pool(network, fill: float, expected: list[str]) -> None:
    n = network()
    before = n.finish(pool(n, n.pad("x", 1, 1, 1, 1, fill), PoolKind.MAX))
    after = fold_pad(before)
    assert n.ops(after) == expected
    assert n.same(before, after)


def test_ceil_mode_stays(network) -> None:
    n = network(6, 6)
    before = n.finish(pool(n, n.pad("x", 0, 0, 2, 2), PoolKind.AVERAGE, ceil=1))
    assert n.ops(fold_pad(before)) == ["gather", "pool"]


def test_a_pad_that_others_read_stays_for_them(network) -> None:
    n = network()
    padded = n.pad("x", 1, 1, 1, 1)
    before = n.finish(padded, n.conv(padded, 2, kernel=3))
    after = fold_pad(before)
    assert after.nodes[1].inputs[0] == "x"
    assert n.same(before, after)
