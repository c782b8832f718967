"""Chains of gathers, by numbers."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from converters.passes.compose_gathers import compose_gathers
from runtime.reference.graph import Gather, View


def gather(n, x: str, size: tuple[int, int, int], maps: list[object], phases=(1, 1), fill: float = 0.0) -> str:
    names = [None if data is None else n.constant(np.asarray(data, np.int64).reshape(-1)) for data in maps]
    return n.node(Gather(*phases, fill), [x, *names], size)


def test_slice_of_pad(network) -> None:
    n = network(4, 4, 2)
    y = gather(n, n.pad("x", 1, 1, 1, 1, fill=3.0), (2, 6, 2), [[0, 2], None, None])
    before = n.finish(y)
    after = compose_gathers(before)
    assert len(after.nodes) == 1
    assert n.same(before, after)


def test_different_fills_stay_apart(network) -> None:
    n = network(2, 2, 1)
    before = n.finish(n.pad(n.pad("x", 1, 0, 0, 0, fill=1.0), 0, 0, 1, 0, fill=2.0))
    after = compose_gathers(before)
    assert len(after.nodes) == 2
    assert n.same(before, after)


def test_identities_go(network) -> None:
    n = network(2, 3, 4)
    y = n.conv("x", 4)
    shuffled = gather(n, y, (2, 3, 4), [None, None, [2, 3, 0, 1]])
    back = gather(n, shuffled, (2, 3, 4), [None, None, [2, 3, 0, 1]])
    flat = n.node(View(), [back], (1, 6, 4))
    before = n.finish(n.node(View(), [flat], (2, 3, 4)))
    after = compose_gathers(before)
    assert n.ops(after) == ["conv2d"]
    assert n.same(before, after)


def test_a_channel_shuffle_between_views(network) -> None:
    """As PyTorch's exporters write it: flat pixels, the shuffle, pixels again, two halves."""
    n = network(2, 3, 4)
    flat = n.node(View(), [n.conv("x", 4)], (1, 6, 4))
    shuffled = gather(n, flat, (1, 6, 4), [None, None, [0, 2, 1, 3]])
    y = n.node(View(), [shuffled], (2, 3, 4))
    halves = [gather(n, y, (2, 3, 2), [None, None, half]) for half in ([0, 1], [2, 3])]
    before = n.finish(*halves)
    after = compose_gathers(before)
    assert n.ops(after) == ["conv2d", "gather", "gather"]
    assert n.same(before, after)


@pytest.mark.parametrize(("extents", "back"), [((2, 6, 2), (2, 3, 4)), ((1, 6, 4), (3, 2, 4)), ((1, 6, 4), (2, 6, 2))])
def test_views_that_change_pixels_stay(network, extents: tuple[int, int, int], back: tuple[int, int, int]) -> None:
    n = network(2, 3, 4)
    flat = n.node(View(), [n.conv("x", 4)], extents)
    before = n.finish(n.node(View(), [gather(n, flat, extents, [None, None, range(extents[2])[::-1]])], back))
    after = compose_gathers(before)
    assert n.ops(after) == ["conv2d", "view", "gather", "view"]
    assert n.same(before, after)


@pytest.mark.parametrize(("needed", "sources"), [(True, ["gather0", "gather0"]), (False, ["x", "x"])])
def test_ranges_of_what_others_need_stay(network, needed: bool, sources: list[str]) -> None:
    """The engine leaves them where they are; composed they would be copied."""
    n = network(2, 3, 4)
    shuffled = gather(n, "x", (2, 3, 4), [None, None, [0, 2, 1, 3]])
    halves = [gather(n, shuffled, (2, 3, 2), [None, None, half]) for half in ([0, 1], [2, 3])]
    before = n.finish(*halves, *([n.conv(shuffled, 4)] if needed else []))
    after = compose_gathers(before)
    assert [node.inputs[0] for node in after.nodes if node.output in halves] == sources
    assert n.same(before, after)


def test_an_identity_between_input_and_output_stays(network) -> None:
    n = network(2, 3, 4)
    before = n.finish(n.node(View(), ["x"], (2, 3, 4)))
    assert n.ops(compose_gathers(before)) == ["view"]


def test_an_inner_gather_with_phases(network) -> None:
    n = network(4, 4, 4)
    depth_to_space = gather(n, "x", (4, 4, 2), [None, None, [0, 1, 1, 2, 2, 3, 3, 0]], phases=(2, 2))
    before = n.finish(gather(n, depth_to_space, (4, 4, 3), [None, None, [1, -1, 0]], fill=7.0))
    after = compose_gathers(before)
    assert len(after.nodes) == 1
    assert n.same(before, after)
    moved = n.finish(gather(n, depth_to_space, (2, 4, 2), [[1, 2], None, None]))
    assert len(compose_gathers(moved).nodes) == 2, "the inner phase would move with the rows"


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_random_chains(network, data: st.DataObject) -> None:
    n = network(3, 4, 2)
    name = "x"
    for _ in range(data.draw(st.integers(2, 4))):
        extents = n.extents(name)
        maps: list[object] = []
        size = []
        for extent in extents:
            entries = data.draw(st.one_of(st.none(), st.lists(st.integers(-1, extent - 1), min_size=1, max_size=5)))
            maps.append(entries)
            size.append(extent if entries is None else len(entries))
        name = gather(n, name, (size[0], size[1], size[2]), maps, fill=data.draw(st.sampled_from([0.0, 1.5])))
    before = n.finish(name)
    assert n.same(before, compose_gathers(before), 0)


@pytest.mark.parametrize("outputs", [True, False])
def test_inner_values_that_are_outputs_stay(network, outputs: bool) -> None:
    n = network(2, 3, 4)
    inner = n.pad("x", 1, 0, 0, 0)
    outer = n.pad(inner, 0, 0, 1, 0)
    before = n.finish(inner, outer) if outputs else n.finish(outer)
    after = compose_gathers(before)
    assert len(after.nodes) == (2 if outputs else 1)
    assert n.same(before, after)
