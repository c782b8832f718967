"""Values inside other values: which ones have no memory of their own, and that their numbers stay what they are."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import runtime
from converters.writer import to_bytes
from runtime.reference import graph as g
from runtime.reference.ops import infer_extents

ROWS, COLS, CHANNELS = 9, 70, 16
RELU = g.ActivationSpec(g.Activation.RELU)
FIRED = g.SkipReference.FIRED
SKIP = g.SkipGate(g.SkipKind.NORM_INPUT, eps=0.5, scale=0.25, update=g.SkipUpdate.RECOMPUTE, reference=FIRED)


class Maker:
    """Builds a network on one map of rows x COLS x CHANNELS; every method returns the name of a new value."""

    def __init__(self, rows: int = ROWS) -> None:
        self.random = np.random.default_rng(3)
        self.rows = rows
        self.graph = g.Graph(inputs=[g.Input("x", "x", threshold=2.0, grey_level=1.0)])
        self.value("x", g.ValueKind.INPUT, rows, COLS, CHANNELS)

    def value(self, name: str, kind: g.ValueKind, rows: int, cols: int, channels: int) -> None:
        shape = (1, channels, rows, cols)
        self.graph.values[name] = g.Value(name, kind, rows, cols, channels, shape=shape, pixel_axes=(2, 3))

    def constant(self, data: Any) -> str:
        name = f"c{len(self.graph.values)}"
        rows, cols, channels = (1, 1, data.size) if data.ndim in (1, 4) else data.shape
        self.graph.values[name] = g.Value(name, g.ValueKind.CONSTANT, rows, cols, channels, data=data)
        return name

    def node(self, attributes: g.Attributes, *inputs: str | None, **more: Any) -> str:
        values = [None if name is None else self.graph.values[name] for name in inputs]
        shapes = [
            None if v is None else v.extents if v.data is None or v.data.ndim != 4 else v.data.shape for v in values
        ]
        extents = more.pop("extents", None) or infer_extents(attributes, shapes)
        assert extents is not None
        name = f"{attributes.NAME}{len(self.graph.nodes)}"
        self.value(name, g.ValueKind.NODE, *extents)
        self.graph.nodes.append(g.Node(name, attributes, list(inputs), name, **more))
        return name

    def conv(self, x: str, kernel: int = 1, out: int = CHANNELS, groups: int = 1, **more: Any) -> str:
        taken = self.graph.values[x].channels // groups
        pads = dict.fromkeys(("pad_top", "pad_left", "pad_bottom", "pad_right"), kernel // 2)
        attributes = g.Conv2d(kernel, kernel, groups=groups, **pads)
        weights = self.random.integers(-2, 3, (kernel, kernel, taken, out)).astype(np.float32)
        gate = more.pop("gate", g.HoldGate(0.25))  # its deviation is measured
        return self.node(attributes, x, self.constant(weights), activation=RELU, gate=gate, **more)

    def pool(self, kind: g.PoolKind, x: str) -> str:
        """Windows of 4 x 4: a mean is exact."""
        pads = {"pad_top": 2, "pad_left": 2, "pad_bottom": 1, "pad_right": 1}
        return self.node(g.Pool(kind, 4, 4, count_include_pad=1, **pads), x, extents=self.graph.values[x].extents)

    def part(self, x: str, *channels: int) -> str:
        extents = (*self.graph.values[x].extents[:2], len(channels))
        return self.node(g.Gather(), x, None, None, self.constant(np.array(channels, np.int32)), extents=extents)

    def halves(self, x: str) -> tuple[str, str]:
        middle, end = self.graph.values[x].channels // 2, self.graph.values[x].channels
        return self.part(x, *range(middle)), self.part(x, *range(middle, end))

    def finish(self, *outputs: str) -> g.Graph:
        self.graph.outputs = [g.Output(name, name) for name in outputs]
        return self.graph


def memory(graph: g.Graph) -> int:
    return runtime.Stream(runtime.Model.from_bytes(to_bytes(graph))).state_bytes


def placed(graph: g.Graph) -> set[str]:
    """The values inside others: those that need memory of their own once they are outputs."""
    names, before = set(), memory(graph)
    for node in graph.nodes:
        more = copy.deepcopy(graph)
        more.outputs = [*graph.outputs, g.Output("more", node.output)]
        value = graph.values[node.output]
        if memory(more) - before >= 4 * value.rows * value.cols * value.channels:
            names.add(node.output)
    return names


def split_and_join(m: Maker) -> tuple[list[str], list[str]]:
    """A ShuffleNet unit: a part stays as it is, which is copied; the other is computed into its place."""
    a, b = m.halves(m.conv("x"))
    c = m.conv(m.conv(b, 3, 8, 8), 1, 8)
    joined = m.node(g.Concat(2), a, c)
    return [m.conv(joined, 3)], [a, b, c]


def pyramid(m: Maker) -> tuple[list[str], list[str]]:
    """Pools, all of them read by the next one, and elementwise operators on operands that lie apart."""
    first = m.conv("x")
    second = m.pool(g.PoolKind.MAX, first)
    third = m.pool(g.PoolKind.AVERAGE, second)
    added = m.node(g.BinaryOp(g.Binary.ADD), third, first)
    clipped = m.node(g.Unary(), added, activation=RELU)
    joined = m.node(g.Concat(2), first, second, third, added, clipped)
    again = m.node(g.Where(), first, second, third)
    return [m.conv(joined), again], [first, second, third, added, clipped]


def nested(m: Maker) -> tuple[list[str], list[str]]:
    """A concatenation inside another, and a part of a part of it."""
    a, b = m.conv("x", 1, 8), m.conv("x", 1, 8)
    inner = m.node(g.Concat(2), a, b)
    half = m.part(inner, *range(8, 16))
    quarter = m.part(half, *range(4, 8))
    c = m.conv(quarter, 3)
    outer = m.node(g.Concat(2), c, inner)
    return [m.conv(outer), m.node(g.ReducePixels(g.Reduce.MEAN, 1, 1), quarter)], [a, b, inner, half, quarter, c]


def only_once(m: Maker) -> tuple[list[str], list[str]]:
    """A value lies in one place only; the second concatenation copies it, as it does a constant and the input."""
    a, b = m.conv("x"), m.conv("x")
    twice = m.node(g.Concat(2), a, a, b)
    constant = m.constant(np.ones((m.rows, COLS, 3), np.float32))
    other = m.node(g.Concat(2), constant, "x", b)
    return [m.conv(twice), m.conv(other)], [a, b]


def readers_that_want_it_packed(m: Maker) -> tuple[list[str], list[str]]:
    """Views, transposes, skip gates and outputs need pixels that follow each other."""
    viewed, turned, skipped, output, free = (m.conv("x", 1, 4) for _ in range(5))
    joined = m.node(g.Concat(2), viewed, turned, skipped, output, free)
    outputs = [
        m.node(g.View(), viewed, extents=(1, m.rows * COLS, 4)),
        m.node(g.Transpose(3, (m.rows, COLS, 4), (1, 0, 2)), turned, extents=(COLS, m.rows, 4)),
        m.conv(skipped, 3, gate=SKIP),
        output,
        m.conv(joined),
    ]
    return outputs, [free]


def not_a_range(m: Maker) -> tuple[list[str], list[str]]:
    """What a gather puts in another order it computes, though it may do so in place."""
    x = m.conv("x")
    swapped, holes, moved = m.part(x, 1, 0, 2), m.part(x, 4, -1, 5), m.part(x, 3, 4, 5)
    rows = m.constant(np.arange(m.rows)[::-1].astype(np.int32))
    flipped = m.node(g.Gather(), x, rows, None, None, extents=(m.rows, COLS, CHANNELS))
    joined = m.node(g.Concat(2), swapped, holes, moved, flipped)
    return [m.conv(joined)], [swapped, holes, moved, flipped]


def joined_along_pixels(m: Maker) -> tuple[list[str], list[str]]:
    """Concatenations along rows and columns copy, also what lies apart."""
    a, b = m.halves(m.conv("x"))
    return [m.conv(m.node(g.Concat(0), a, b)), m.conv(m.node(g.Concat(1), b, a))], [a, b]


def across_a_break(m: Maker) -> tuple[list[str], list[str]]:
    """Strips end before a reduction: what lies in both sequences of nodes must be kept whole."""
    a = m.conv("x", 3)
    b = m.conv(a, 3)
    mean = m.node(g.ReducePixels(g.Reduce.MAX, 1, 1), b)
    c = m.conv(m.conv(a, 3), 3)
    joined = m.node(g.Concat(2), b, c, a)
    half = m.halves(joined)[1]
    return [mean, m.conv(m.conv(half, 3), 3)], [a, b, c, half, "gather6"]


NETWORKS = [
    split_and_join,
    pyramid,
    nested,
    only_once,
    readers_that_want_it_packed,
    not_a_range,
    joined_along_pixels,
    across_a_break,
]


@pytest.mark.parametrize("network", NETWORKS)
def test_where_values_lie_changes_no_number(network: Callable[[Maker], tuple[list[str], list[str]]]) -> None:
    maker = Maker()
    outputs, inside = network(maker)
    graph = maker.finish(*outputs)
    assert placed(graph) == set(inside)
    model = runtime.Model.from_bytes(to_bytes(graph))
    streams = {
        scale: [runtime.Stream(model, threshold_scale=scale, refresh=3, threads=threads) for threads in (1, 2)]
        for scale in (0.0, 1.0)
    }
    oracles = {scale: runtime.Stream(model, threshold_scale=scale, refresh=3, backend="numpy") for scale in (0.0, 1.0)}
    dense = runtime.Stream(model, gating=False, isa="ref")
    rng = np.random.default_rng(7)
    frame = rng.integers(-4, 5, (ROWS, COLS, CHANNELS)).astype(np.float32)
    for _ in range(8):
        want = dense.push(frame)
        for scale, oracle in oracles.items():
            theirs = oracle.push(frame)
            for stream in streams[scale]:
                ours = stream.push(frame)
                assert ours.macs == theirs.macs
                for name in outputs:
                    assert ours[name].tobytes() == theirs[name].tobytes(), name
                    assert scale or ours[name].tobytes() == want[name].tobytes(), name
                for node in graph.nodes:
                    assert np.array_equal(stream.changed_mask(node.name), oracle.changed_mask(node.name)), node.name
                    assert stream.stats(node.name) == oracle.stats(node.name)
        where = rng.random((ROWS, COLS)) < 0.04
        frame = np.where(where[..., None], frame + rng.integers(-3, 4, frame.shape), frame).astype(np.float32)


@pytest.mark.parametrize("network", NETWORKS)
def test_strips_of_values_inside_others(network: Callable[[Maker], tuple[list[str], list[str]]]) -> None:
    """A dense stream computes maps this large some rows at a time, a gated stream's first push does not."""
    maker = Maker(rows=250)
    graph = maker.finish(*network(maker)[0])
    model = runtime.Model.from_bytes(to_bytes(graph))
    dense = [runtime.Stream(model, gating=False, threads=threads) for threads in (1, 3)]
    rng = np.random.default_rng(8)
    for _ in range(2):
        frame = rng.normal(size=(maker.rows, COLS, CHANNELS)).astype(np.float32)
        want = runtime.Stream(model).push(frame)
        for stream in dense:
            got = stream.push(frame)
            assert all(got[name].tobytes() == want[name].tobytes() for name in want)
    if network in (split_and_join, pyramid, across_a_break):
        assert dense[0].state_bytes < runtime.Stream(model).state_bytes - 4 * maker.rows * COLS * CHANNELS


def test_huge_networks_are_left_as_they_are() -> None:
    maker, limit = Maker(), 16384  # inputs of all nodes together
    a, b = maker.halves("x")
    x = maker.node(g.Concat(2), b, a)
    for _ in range(limit - sum(len(node.inputs) for node in maker.graph.nodes)):
        x = maker.node(g.View(), x, extents=(ROWS, COLS, CHANNELS))
    small = memory(maker.finish(x))
    maker.node(g.View(), x, extents=(ROWS, COLS, CHANNELS))
    assert memory(maker.graph) - small > 2 * 4 * ROWS * COLS * (CHANNELS // 2)
