"""Gating by hand-made examples: small integers and powers of two, so that every sum is exact."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runtime.reference.errors import ArgumentError, StateError
from runtime.reference.graph import (
    Activation,
    ActivationSpec,
    Align,
    Binary,
    BinaryOp,
    Conv2d,
    GateNorm,
    Graph,
    HoldGate,
    Input,
    Node,
    Output,
    Pool,
    PoolKind,
    Preprocess,
    ReducePixels,
    Resize,
    Unary,
    Value,
    ValueKind,
    View,
)
from runtime.reference.stream import ReferenceStream, distances, grow_blocks, standard_deviation


def add_node(
    graph: Graph, name: str, attributes: Any, inputs: list[Any], extents: tuple[int, int, int], **more: Any
) -> None:
    rows, cols, channels = extents
    graph.values[name] = Value(name, ValueKind.NODE, *extents, shape=(1, channels, rows, cols), pixel_axes=(2, 3))
    graph.nodes.append(Node(name, attributes, inputs, name, **more))


def add_constant(graph: Graph, name: str, data: np.ndarray) -> None:
    graph.values[name] = Value(name, ValueKind.CONSTANT, data=data)


def new_graph(rows: int, cols: int, channels: int, **more: Any) -> Graph:
    graph = Graph()
    shape = (1, channels, rows, cols)
    graph.values["x"] = Value("x", ValueKind.INPUT, rows, cols, channels, shape=shape, pixel_axes=(2, 3))
    graph.inputs = [Input("x", "x", **more)]
    return graph


def identity(gate: HoldGate | None = None, rows: int = 4, cols: int = 4, channels: int = 2, **more: Any) -> Graph:
    """One node that copies the input."""
    graph = new_graph(rows, cols, channels, **more)
    add_node(graph, "y", Unary(), ["x"], (rows, cols, channels), gate=gate)
    graph.outputs = [Output("y", "y")]
    return graph


def zeros(rows: int = 4, cols: int = 4, channels: int = 2) -> np.ndarray:
    return np.zeros((rows, cols, channels), np.float32)


def nhwc(stream: ReferenceStream, index: int = 0) -> np.ndarray:
    return stream.output(index)[0].transpose(1, 2, 0)


def pixels(mask: np.ndarray) -> list[tuple[int, int]]:
    return [(int(i), int(j)) for i, j in np.argwhere(mask)]


def push_change(stream: ReferenceStream, frame: np.ndarray, row: int, col: int, value: Any) -> None:
    frame[row, col] = value
    stream.push([frame])


def test_first_push_changes_everything() -> None:
    stream = ReferenceStream(identity())
    stream.push([zeros()])
    assert stream.input_mask(0).all()
    assert stream.node_mask(0).all()
    assert stream.stats()["computed"] == stream.stats()["changed"] == stream.stats()["pixels"] == 16


@pytest.mark.parametrize("norm", GateNorm)
def test_gate_holds_at_the_threshold_and_fires_above(norm: GateNorm) -> None:
    # alpha * std = 2; a change of (2, 2) has distance 2 in every norm
    frame, stream = zeros(), ReferenceStream(identity(HoldGate(0.5, norm, std=4.0)))
    stream.push([frame])
    push_change(stream, frame, 1, 1, (2, 2))
    assert pixels(stream.input_mask(0)) == [(1, 1)]
    assert not stream.node_mask(0).any()
    assert not stream.output(0).any()
    assert stream.stats(0)["computed"] == 1
    push_change(stream, frame, 1, 1, (2.5, 2.5))
    assert pixels(stream.node_mask(0)) == [(1, 1)]
    assert nhwc(stream)[1, 1].tolist() == [2.5, 2.5]


def test_norms_weigh_channels() -> None:
    for norm, fires in ((GateNorm.L1, False), (GateNorm.RMS, True), (GateNorm.MAX, True)):
        frame, stream = zeros(), ReferenceStream(identity(HoldGate(0.5, norm, std=4.0)))
        stream.push([frame])
        push_change(stream, frame, 0, 0, (4, 0))  # mean 2, rms 2.83, max 4 against 2
        assert stream.node_mask(0).any() == fires, norm


def test_small_changes_add_up() -> None:
    frame, stream = zeros(), ReferenceStream(identity(HoldGate(0.5, std=4.0)))
    stream.push([frame])
    fired = []
    for step in range(1, 5):
        push_change(stream, frame, 0, 0, step)
        fired.append(bool(stream.node_mask(0).any()))
    assert fired == [False, False, True, False]


def test_threshold_scale_multiplies_and_zero_is_exact() -> None:
    for scale, fires in ((0.0, True), (0.5, True), (1.0, False)):
        frame, stream = zeros(), ReferenceStream(identity(HoldGate(0.5, std=4.0)), threshold_scale=scale)
        stream.push([frame])
        push_change(stream, frame, 0, 0, 1.5)
        assert stream.node_mask(0).any() == fires


def test_block_fires_whole_but_marks_only_what_differs() -> None:
    frame, stream = zeros(), ReferenceStream(identity(HoldGate(0.5, block=2, std=4.0)))
    stream.push([frame])
    push_change(stream, frame, 2, 2, 1)
    assert stream.stats(0)["computed"] == 4
    assert not stream.node_mask(0).any()
    push_change(stream, frame, 3, 3, 5)  # its block mate at (2, 2) goes with it
    assert pixels(stream.node_mask(0)) == [(2, 2), (3, 3)]
    assert (nhwc(stream) == frame).all()


@pytest.mark.parametrize(("attributes", "compared"), [(BinaryOp(Binary.MIN), True), (BinaryOp(Binary.MUL), False)])
def test_equal_bits_are_not_marked_where_comparing_pays(attributes: BinaryOp, compared: bool) -> None:
    graph = new_graph(2, 2, 1)
    add_constant(graph, "zero", np.zeros((1, 1, 1), np.float32))
    add_node(graph, "y", attributes, ["x", "zero"], (2, 2, 1))
    stream, frame = ReferenceStream(graph), zeros(2, 2, 1)
    stream.push([frame])
    push_change(stream, frame, 0, 0, 3)
    assert stream.input_mask(0).any()
    assert stream.stats(0)["computed"] == 1
    assert stream.node_mask(0).any() != compared


def test_a_crowded_refresh_computes_everything() -> None:
    frame, stream = zeros(9, 9, 1), ReferenceStream(identity(HoldGate(0.5, std=4.0), 9, 9, 1), refresh=2)
    stream.push([frame])
    stream.push([frame])
    frame[:6] += 1
    stream.push([frame])
    assert stream.stats(0)["computed"] == 81
    assert stream.node_mask(0).all()
    assert (nhwc(stream) == frame).all()


def test_refresh_undoes_what_was_held_and_only_that() -> None:
    frame, stream = zeros(), ReferenceStream(identity(HoldGate(0.5, std=4.0)), refresh=3)
    stream.push([frame])
    push_change(stream, frame, 0, 1, 1)
    stream.push([frame])
    assert stream.stats()["computed"] == 0
    stream.push([frame])  # the third after the first
    assert stream.stats() == stream.stats() | {"refreshes": 1, "computed": 1, "changed": 1}
    assert (nhwc(stream) == frame).all()
    for _ in range(7):
        stream.push([frame])
        assert stream.stats()["computed"] == 0
    assert stream.stats()["refreshes"] == 3


def test_refresh_zero_never_refreshes() -> None:
    frame, stream = zeros(), ReferenceStream(identity(HoldGate(0.5, std=4.0)), refresh=0)
    stream.push([frame])
    push_change(stream, frame, 0, 1, 1)
    for _ in range(40):
        stream.push([frame])
    assert not stream.output(0).any()
    assert stream.stats()["refreshes"] == 0


def test_residue_is_dropped_when_the_change_goes_back() -> None:
    frame, stream = zeros(), ReferenceStream(identity(HoldGate(0.5, std=4.0)), refresh=3)
    stream.push([frame])
    push_change(stream, frame, 0, 1, 1)
    push_change(stream, frame, 0, 1, 0)
    stream.push([frame])
    assert stream.stats() == stream.stats() | {"refreshes": 1, "computed": 0}


def test_std_is_measured_on_the_first_push() -> None:
    frame = zeros()
    frame[:2] = 8  # half 8, half 0: std 4
    stream = ReferenceStream(identity(HoldGate(0.5)), refresh=0)
    stream.push([frame])
    push_change(stream, frame, 3, 3, 2)
    assert not stream.node_mask(0).any()
    push_change(stream, frame, 3, 3, 2.5)
    assert stream.node_mask(0).any()


def test_std_is_measured_again_at_a_refresh_and_forgotten_by_reset() -> None:
    frame = zeros()
    stream = ReferenceStream(identity(HoldGate(0.5)), refresh=2)
    stream.push([frame])  # std 0: fires by bits
    frame[:2] = 8
    stream.push([frame])
    stream.push([frame])  # refresh: nothing to do, but the node changed since it was measured
    push_change(stream, frame, 3, 3, 2)
    assert not stream.node_mask(0).any()
    stream.reset()
    with pytest.raises(StateError):
        stream.output(0)
    stream.push([zeros()])
    push_change(stream, zeros(), 3, 3, 1)
    assert stream.node_mask(0).any()
    assert stream.stats()["frames"] == 2


def test_constant_map_has_no_threshold() -> None:
    assert standard_deviation(np.full((3, 5, 2), 7, np.float32)) == 0
    x = np.arange(60, dtype=np.float32).reshape(3, 5, 4)
    assert standard_deviation(x) == np.float32(np.std(np.arange(60.0)))
    x = np.arange(70 * 3, dtype=np.float32).reshape(70, 3, 1)  # every third row, from the second one on
    assert standard_deviation(x) == np.float32(np.std(x[1::3], dtype=np.float64))


@pytest.mark.parametrize("threshold", [0.0, 3.0, 3.9])
def test_input_gate_of_prepared_frames(threshold: float) -> None:
    preprocess = Preprocess(channel_order=(1, 0), mean=(1.0, 2.0), scale=(2.0, 4.0))
    stream = ReferenceStream(identity(threshold=threshold, preprocess=preprocess), refresh=0)
    frame = np.full((4, 4, 2), 100, np.uint8)
    stream.push([frame])
    assert nhwc(stream)[0, 0].tolist() == [198.0, 392.0]
    push_change(stream, frame, 0, 0, (103, 100))
    assert stream.input_mask(0).any() == (threshold == 0)
    push_change(stream, frame, 0, 0, (100, 96))
    assert pixels(stream.input_mask(0)) == [(0, 0)]
    assert nhwc(stream)[0, 0].tolist() == [(96 - 1) * 2, (100 - 2) * 4]


def test_prepared_frames_may_change_size() -> None:
    preprocess = Preprocess(Resize.LETTERBOX, Align.CENTER, 7, (0, 1), (0.0, 0.0), (1.0, 1.0))
    stream = ReferenceStream(identity(threshold=0, preprocess=preprocess))
    stream.push([np.full((4, 8, 2), 50, np.uint8)])
    assert nhwc(stream)[:, 0, 0].tolist() == [7, 50, 50, 7]
    stream.push([np.full((8, 16, 2), 50, np.uint8)])
    assert not stream.input_mask(0).any()
    stream.push([np.full((8, 8, 2), 50, np.uint8)])
    assert pixels(stream.input_mask(0)) == [(row, col) for row in (0, 3) for col in range(4)]


def test_input_gate_of_plain_frames() -> None:
    stream = ReferenceStream(identity(threshold=4.0, grey_level=0.25), refresh=0)
    frame = zeros()
    stream.push([frame])
    push_change(stream, frame, 0, 0, 1.0)
    assert not stream.input_mask(0).any()
    push_change(stream, frame, 0, 0, 1.25)
    assert stream.input_mask(0).any()
    grey = np.zeros((4, 4, 2), np.uint8)
    stream.push([grey])  # one level is 1 for uint8: 1.25 is held
    assert not stream.input_mask(0).any()
    push_change(stream, grey, 0, 1, 5)
    assert pixels(stream.input_mask(0)) == [(0, 1)]


def test_float_frames_without_a_grey_level_fire_by_bits() -> None:
    stream = ReferenceStream(identity(threshold=4.0), refresh=0)
    frame = zeros()
    stream.push([frame])
    push_change(stream, frame, 0, 0, -0.0)
    assert pixels(stream.input_mask(0)) == [(0, 0)]


@pytest.mark.parametrize(
    ("frames", "message"),
    [
        ([], "1 frames needed, 0 given"),
        ([np.zeros((4, 4, 3), np.float32)], "needed"),
        ([np.zeros((4, 5, 2), np.float32)], "needed"),
        ([np.zeros((4, 4), np.float32)], "needed"),
        ([np.zeros((4, 4, 2))], "not float64"),
        ([np.full((4, 4, 2), np.nan, np.float32)], "NaN"),
        ([np.full((4, 4, 2), np.inf, np.float32)], "infinite"),
    ],
)
def test_wrong_frames_leave_the_stream_alone(frames: list[np.ndarray], message: str) -> None:
    stream = ReferenceStream(identity())
    stream.push([zeros() + 1])
    before = stream.output(0).copy()
    with pytest.raises(ArgumentError, match=message):
        stream.push(frames)
    assert stream.stats()["frames"] == 1
    assert (stream.output(0) == before).all()


def test_wrong_options() -> None:
    for options in ({"threshold_scale": -1.0}, {"threshold_scale": float("nan")}, {"refresh": -1}):
        with pytest.raises(ArgumentError):
            ReferenceStream(identity(), **options)  # type: ignore[arg-type]


def test_outputs_are_read_only_and_in_the_source_dtype() -> None:
    graph = identity()
    graph.outputs = [Output("y", "y", dtype) for dtype in ("float32", "int32", "int64", "bool")]
    stream = ReferenceStream(graph)
    frame = zeros()
    frame[0, 0] = (3e38, -2.75)
    stream.push([frame])
    for index, dtype in enumerate(("float32", "int32", "int64", "bool")):
        out = stream.output(index)
        assert out.dtype == dtype
        assert out.shape == (1, 2, 4, 4)
        with pytest.raises(ValueError, match="read-only"):
            out[...] = 0
    assert stream.output(1)[0, :, 0, 0].tolist() == [2**31 - 1, -2]
    assert stream.output(2)[0, :, 0, 0].tolist() == [2**63 - 1, -2]
    assert stream.output(3).sum() == 2


def test_view_is_the_same_memory_and_counts_nothing() -> None:
    graph = identity()
    add_node(graph, "z", View(), ["y"], (1, 16, 2))
    graph.values["z"].shape, graph.values["z"].pixel_axes = (16, 2), (0,)
    graph.outputs = [Output("z", "z")]
    stream, frame = ReferenceStream(graph), zeros()
    stream.push([frame])
    push_change(stream, frame, 1, 2, (5, 6))
    assert pixels(stream.output_mask(0)) == [(0, 6)]
    assert stream.output(0)[6].tolist() == [5, 6]
    assert stream.stats(1)["pixels"] == stream.stats(1)["computed"] == 0


def test_macs_count_computed_pixels() -> None:
    graph = new_graph(4, 4, 2)
    add_constant(graph, "w", np.ones((3, 3, 2, 5), np.float32))
    add_node(graph, "y", Conv2d(3, 3, pad_top=1, pad_left=1, pad_bottom=1, pad_right=1), ["x", "w"], (4, 4, 5))
    stream, frame = ReferenceStream(graph), zeros()
    stream.push([frame])
    push_change(stream, frame, 0, 0, 1)
    stats = stream.stats()
    assert stats["macs_dense"] == 16 * 90
    assert stats["macs"] == 4 * 90
    assert stats["macs_total"] == 20 * 90


def test_distances_by_hand() -> None:
    new, held = np.array([[1, -2, 3]], np.float32), np.zeros((1, 3), np.float32)
    assert [distances(norm, new, held).item() for norm in GateNorm] == [6, 14, 3]
    assert np.isnan(distances(GateNorm.MAX, np.array([[1, np.nan]], np.float32), held[:, :2])).all()


@given(st.integers(1, 20), st.integers(1, 20), st.sampled_from([1, 2, 4, 8]), st.integers(0, 2**31))
def test_grow_blocks(rows: int, cols: int, block: int, seed: int) -> None:
    mask = np.random.default_rng(seed).random((rows, cols)) < 0.1
    grown = grow_blocks(mask, block)
    for i, j in np.ndindex(rows, cols):
        top, left = i // block * block, j // block * block
        assert grown[i, j] == mask[top : top + block, left : left + block].any()


def small_network(rng: np.random.Generator, gate: HoldGate | None) -> Graph:
    """Convolution, pool, squeeze and excite, residual: small integers throughout."""
    graph = new_graph(9, 7, 2, threshold=1.0, preprocess=Preprocess(Resize.NONE, channel_order=(0, 1)))
    add_constant(graph, "w1", rng.integers(-1, 2, (3, 3, 2, 4)).astype(np.float32))
    add_constant(graph, "w2", rng.integers(-1, 2, (3, 3, 1, 4)).astype(np.float32))
    add_constant(graph, "bias", rng.integers(-4, 4, 4).astype(np.float32))
    pads, relu = {"pad_top": 1, "pad_left": 1, "pad_bottom": 1, "pad_right": 1}, ActivationSpec(Activation.RELU)
    add_node(graph, "a", Conv2d(3, 3, **pads), ["x", "w1", "bias"], (9, 7, 4), activation=relu, gate=gate)
    add_node(graph, "b", Conv2d(3, 3, groups=4, residual=1, **pads), ["a", "w2", None, "a"], (9, 7, 4), gate=gate)
    add_node(graph, "p", Pool(PoolKind.MAX, 2, 2, 2, 2), ["b"], (4, 3, 4))
    add_node(graph, "g", ReducePixels(2), ["b"], (1, 1, 4), gate=gate)
    add_node(graph, "s", BinaryOp(Binary.SUB), ["p", "g"], (4, 3, 4))
    graph.outputs = [Output(name, name) for name in ("b", "s")]
    return graph


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**31), st.sampled_from([1, 2, 4, 8]), st.sampled_from(GateNorm))
def test_scale_zero_and_refreshes_equal_dense(seed: int, block: int, norm: GateNorm) -> None:
    rng = np.random.default_rng(seed)
    graph = small_network(rng, HoldGate(0.5, norm, block))
    dense = ReferenceStream(graph, gating=False)
    exact = ReferenceStream(graph, threshold_scale=0.0)
    gated = ReferenceStream(graph, refresh=3)
    frame = rng.integers(0, 20, (9, 7, 2), np.uint8)
    for index in range(8):
        for stream in (dense, exact, gated):
            stream.push([frame])
        for output in range(2):
            want = dense.output(output).tobytes()
            assert exact.output(output).tobytes() == want
            assert index % 3 or gated.output(output).tobytes() == want
        assert gated.stats()["macs"] <= dense.stats()["macs"] == dense.stats()["macs_dense"]
        before = frame.copy()
        for _ in range(rng.integers(0, 3)):
            frame[rng.integers(9), rng.integers(7)] = rng.integers(0, 20, 2)
        still = (frame == before).all()
        if still and index % 3 == 0:
            for _ in range(3):
                gated.push([frame])
                assert gated.stats()["macs"] == 0
