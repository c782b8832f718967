"""Pyramids of max pools as chains, with the same numbers."""

from __future__ import annotations

import pytest

from converters.passes.chain_max_pools import chain_max_pools
from runtime.reference.graph import Pool, PoolKind


def pool(n, x: str, kernel: int, kind: PoolKind = PoolKind.MAX, pad: int | None = None) -> str:
    pad = kernel // 2 if pad is None else pad
    rows, cols, channels = n.extents(x)
    size = (rows + 2 * pad - kernel + 1, cols + 2 * pad - kernel + 1, channels)
    return n.node(Pool(kind, kernel, kernel, 1, 1, 1, 1, pad, pad, pad, pad), [x], size)


def windows(graph) -> list[tuple[str, int]]:
    return [(node.inputs[0], node.attributes.kernel_h) for node in graph.nodes]


def test_a_pyramid_becomes_a_chain(network) -> None:
    n = network()
    small, middle, large = (pool(n, "x", kernel) for kernel in (3, 5, 9))
    before = n.finish(small, middle, large)
    after = chain_max_pools(before)
    assert windows(after) == [("x", 3), (small, 3), (middle, 5)]
    assert n.same(before, after)


@pytest.mark.parametrize("more", [{"kind": PoolKind.AVERAGE}, {"pad": 0}])
def test_others_stay(network, more: dict[str, object]) -> None:
    n = network()
    before = n.finish(pool(n, "x", 3, **more), pool(n, "x", 5))
    after = chain_max_pools(before)
    assert windows(after) == [("x", 3), ("x", 5)]
    assert n.same(before, after)


def test_a_smaller_one_that_comes_later_stays(network) -> None:
    n = network()
    before = n.finish(pool(n, "x", 5), pool(n, "x", 3))
    assert windows(chain_max_pools(before)) == [("x", 5), ("x", 3)]
