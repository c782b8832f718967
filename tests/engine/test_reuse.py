"""Memory that values of dense streams and of busy pushes use one after the other."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import runtime
from converters.writer import to_bytes
from runtime.reference import graph as g

from ..random_graphs import GraphMaker, random_clip
from .test_place import CHANNELS, COLS, RELU, Maker

ROWS = 4  # of maps so small that all are computed whole
BLOCKS = 32  # in use at once; beyond, neighbours count as one
MEMBERS = 128  # values in one memory that are looked at


def pool(m: Maker, x: str) -> str:
    """Reads around a pixel: not over its input."""
    return m.pool(g.PoolKind.MAX, x)


def relu(m: Maker, x: str) -> str:
    return m.node(g.Unary(), x, activation=RELU)


def add(m: Maker, *x: str) -> str:
    return m.node(g.BinaryOp(g.Binary.ADD), *x)


def chain(m: Maker) -> str:
    x = "x"
    for _ in range(6):
        x = pool(m, x)
    return x


def over_inputs(m: Maker) -> str:
    """While a waits there is one map more, however many operators follow."""
    a = pool(m, "x")
    b = pool(m, a)
    return pool(m, add(m, a, relu(m, relu(m, b))))


def not_over_what_is_read_again(m: Maker) -> str:
    a = pool(m, "x")
    b = relu(m, a)
    return pool(m, add(m, b, pool(m, a)))


def not_over_what_a_view_shows(m: Maker) -> str:
    a = pool(m, "x")
    view = m.node(g.View(), a, extents=(1, m.rows * COLS, CHANNELS))
    b = pool(m, relu(m, a))
    return pool(m, add(m, m.node(g.View(), view, extents=(m.rows, COLS, CHANNELS)), b))


def squeezed(m: Maker) -> str:
    x = pool(m, "x")
    for _ in range(4):
        mean = m.conv(m.node(g.ReducePixels(g.Reduce.MEAN, 1, 1), x), gate=None)
        x = m.node(g.BinaryOp(g.Binary.MUL), x, mean)
    return pool(m, x)


def viewed(m: Maker) -> str:
    """A view keeps the memory it lies in until its own readers are done."""
    a = pool(m, "x")
    view = m.node(g.View(), a, extents=(1, m.rows * COLS, CHANNELS))
    b = pool(m, pool(m, "x"))
    turned = m.node(g.Transpose(3, (1, m.rows * COLS, CHANNELS), (1, 0, 2)), view, extents=(m.rows * COLS, 1, CHANNELS))
    return pool(m, add(m, m.node(g.View(), turned, extents=(m.rows, COLS, CHANNELS)), b))


def joined(m: Maker) -> str:
    """Parts lie in their concatenation from the first one on; the last reader of any frees it."""
    a = pool(m, "x")
    b = pool(m, pool(m, pool(m, "x")))
    both = m.node(g.Concat(2), a, b)
    return pool(m, m.conv(pool(m, pool(m, both)), gate=None))


def unread(m: Maker) -> str:
    pool(m, "x")
    pool(m, "x")
    return pool(m, "x")


# Maps at once, the output's own and what fits into no gap counted.
NETWORKS: list[tuple[Callable[[Maker], str], int]] = [
    (chain, 3),
    (over_inputs, 3),
    (not_over_what_is_read_again, 4),
    (not_over_what_a_view_shows, 4),
    (squeezed, 3),
    (viewed, 4),
    (joined, 6),
    (unread, 3),
]


def streams(graph: g.Graph, **options: Any) -> tuple[list[runtime.Stream], runtime.Stream]:
    """Two of the engine, with one and with two threads, and the oracle."""
    model = runtime.Model.from_bytes(to_bytes(graph))
    oracle = runtime.Stream(model, backend="numpy", **options)
    return [runtime.Stream(model, threads=threads, **options) for threads in (1, 2)], oracle


def assert_equal(got: runtime.Result, want: runtime.Result) -> None:
    for name in want:
        assert got[name].tobytes() == want[name].tobytes(), name


def memory(network: Callable[[Maker], str], rows: int) -> int:
    maker = Maker(rows)
    model = runtime.Model.from_bytes(to_bytes(maker.finish(network(maker))))
    return runtime.Stream(model, gating=False).state_bytes


@pytest.mark.parametrize(("network", "maps"), NETWORKS)
def test_maps_in_memory_at_once(network: Callable[[Maker], str], maps: int) -> None:
    """Twice the rows are twice the numbers; masks and partial sums are small beside them."""
    grown = memory(network, 2 * ROWS) - memory(network, ROWS)
    assert 0 <= grown / (4 * ROWS * COLS * CHANNELS) - maps < 0.2


@pytest.mark.parametrize("network", [network for network, _ in NETWORKS])
def test_outputs_equal_the_oracles(network: Callable[[Maker], str]) -> None:
    maker = Maker(ROWS)
    engines, oracle = streams(maker.finish(network(maker)), gating=False)
    for seed in range(3):
        frame = np.random.default_rng(seed).integers(-8, 9, (ROWS, COLS, CHANNELS)).astype(np.float32)
        want = oracle.push(frame)
        for engine in engines:
            assert_equal(engine.push(frame), want)


@pytest.mark.parametrize("block", range(4))
def test_random_graphs_equal_the_oracle(block: int) -> None:
    smaller = 0
    for seed in range(block * 15, block * 15 + 15):
        graph = GraphMaker(seed, nodes=25).graph
        engines, oracle = streams(graph, gating=False)
        for frame in random_clip(graph, seed, 3):
            want = oracle.push(frame)
            for engine in engines:
                assert_equal(engine.push(frame), want)
        held = runtime.Stream(runtime.Model.from_bytes(to_bytes(graph))).state_bytes
        smaller += engines[0].state_bytes < 0.7 * held
    assert smaller > 5


@pytest.mark.parametrize("block", range(2))
def test_busy_pushes_of_random_graphs_equal_the_oracle(block: int) -> None:
    """They write over what is held; pushes that are not busy must not see it, and compare frames with the last one."""
    busy = 0
    for seed in range(block * 12, block * 12 + 12):
        graph = GraphMaker(seed, nodes=25).graph
        engines, oracle = streams(graph, threshold_scale=seed % 2)
        draw = np.random.default_rng(seed)
        frame = random_clip(graph, seed, 1)[0].astype(np.float32)
        for kind in "aaaasnsaaasn":
            if kind == "a":
                frame = draw.integers(-8, 9, frame.shape).astype(np.float32)
            elif kind == "s":
                frame = frame.copy()
                frame[:2, :2] += 8
            want = oracle.push(frame)
            for engine in engines:
                got = engine.push(frame)
                assert_equal(got, want)
                assert got.macs == want.macs
                np.testing.assert_array_equal(engine.changed_mask("x"), oracle.changed_mask("x"))
                busy += kind == "a" and got.macs == got.macs_dense > 0
    assert busy


@pytest.mark.parametrize("waiting", [BLOCKS - 2, BLOCKS + 1, 3 * BLOCKS])
def test_more_values_at_once_than_are_told_apart(waiting: int) -> None:
    maker = Maker(ROWS)
    parts = [maker.conv("x", out=1 + i * 7 % 5, gate=None) for i in range(waiting)]
    wide = [maker.conv(part, out=8, gate=None) for part in parts]  # these would lie over parts that make way too early
    total = wide[0]
    for part in wide[1:]:
        total = maker.node(g.BinaryOp(g.Binary.ADD), part, total)
    engines, oracle = streams(maker.finish(pool(maker, total)), gating=False)
    for seed in range(2):
        frame = np.random.default_rng(seed).integers(-2, 3, (ROWS, COLS, CHANNELS)).astype(np.float32)
        want = oracle.push(frame)
        for engine in engines:
            assert_equal(engine.push(frame), want)


@pytest.mark.parametrize("parts", [MEMBERS - 20, MEMBERS + 20])
def test_a_concatenation_of_many(parts: int) -> None:
    """Its last part is read once more, when nobody reads the whole any longer."""
    maker = Maker(ROWS)
    made = [maker.conv("x", out=1, gate=None) for _ in range(parts)]
    joined = maker.conv(maker.node(g.Concat(2), *made), gate=None)
    for _ in range(4):
        joined = pool(maker, joined)
    engines, oracle = streams(maker.finish(add(maker, joined, maker.conv(made[-1], gate=None))), gating=False)
    frame = np.random.default_rng(0).integers(-2, 3, (ROWS, COLS, CHANNELS)).astype(np.float32)
    for engine in engines:
        assert_equal(engine.push(frame), oracle.push(frame))


@pytest.mark.parametrize("again", [False, True])
def test_sums_in_strips_go_over_their_inputs_only_if_no_other_row_is_read(again: bool) -> None:
    """Reductions end the strips, so x, a and the sum are whole maps; rows of all between are computed in turns."""
    maker = Maker(rows=300)
    a = maker.conv("x", 3, gate=None)
    mean = maker.node(g.ReducePixels(g.Reduce.MAX, 1, 1), a)
    b = maker.conv(maker.conv(a if again else mean, 3, gate=None), 3, gate=None)
    total = add(maker, a, b)
    other = maker.node(g.ReducePixels(g.Reduce.MAX, 1, 1), total)
    last = add(maker, add(maker, total, other), "x")
    graph = maker.finish(maker.node(g.ReducePixels(g.Reduce.MAX, 1, 0), last))
    engines, oracle = streams(graph, gating=False)
    for seed in range(2):
        frame = np.random.default_rng(seed).integers(-8, 9, (maker.rows, COLS, CHANNELS)).astype(np.float32)
        want = oracle.push(frame)
        for engine in engines:
            assert_equal(engine.push(frame), want)
    maps = engines[0].state_bytes / (4 * maker.rows * COLS * CHANNELS)
    assert 2 + again < maps < 2.2 + again


def test_what_strips_read_stays_until_their_last_row() -> None:
    """The wide map is whole, like the input, and grows four times as fast as that is read."""
    maker = Maker(rows=200)
    wide = maker.conv(maker.conv("x", 3, gate=None), out=4 * CHANNELS, gate=None)
    engines, oracle = streams(maker.finish(maker.node(g.ReducePixels(g.Reduce.MAX, 1, 0), wide)), gating=False)
    frame = np.random.default_rng(0).integers(0, 9, (maker.rows, COLS, CHANNELS)).astype(np.uint8)  # which is copied
    want = oracle.push(frame)
    for engine in engines:
        assert_equal(engine.push(frame), want)


def test_a_refused_frame_leaves_outputs() -> None:
    maker = Maker(ROWS)
    engines, _ = streams(maker.finish(over_inputs(maker)), gating=False)
    frame = np.ones((ROWS, COLS, CHANNELS), np.float32)
    for engine in engines:
        result = engine.push(frame)
        before = {name: result[name].copy() for name in result}
        with pytest.raises(runtime.ArgumentError, match="NaN"):
            engine.push(frame * np.nan)
        for name, output in before.items():
            np.testing.assert_array_equal(result[name], output)


def test_frames_of_the_caller_are_not_written_to() -> None:
    """The input's memory may be another value's; a frame that is read where it lies stays as it is."""
    maker = Maker(ROWS)
    engines, oracle = streams(maker.finish(pool(maker, relu(maker, add(maker, pool(maker, "x"), "x")))), gating=False)
    frame = np.random.default_rng(1).integers(-8, 9, (ROWS, COLS, CHANNELS)).astype(np.float32)
    before = frame.copy()
    for engine in engines:
        assert_equal(engine.push(frame), oracle.push(before))
        np.testing.assert_array_equal(frame, before)
        assert_equal(engine.push(frame.astype(np.uint8)), oracle.push(frame.astype(np.uint8)))
