"""Gates decided by drift in both backends: exact where they promise to be, and with less to hold."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import runtime
from converters.writer import to_bytes
from runtime.reference import graph as g

from .reference.test_drift import CHANNELS, COLS, ROWS, separable

BACKENDS = ["engine", "numpy"]
DILATED = {"dilation_h": 2, "dilation_w": 2}


def clip(frames: int) -> list[np.ndarray]:
    """A noisy scene in which something moves."""
    rng = np.random.default_rng(1)
    scene, made = rng.normal(size=(ROWS, COLS, CHANNELS)), []
    for index in range(frames):
        frame = scene + rng.normal(size=scene.shape) * 0.2
        frame[1:3, index % COLS] += 4
        made.append(frame.astype(np.float32))
    return made


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("stride", [1, 2])
def test_refreshes_and_scale_0_give_the_dense_result(backend: str, stride: int) -> None:
    graph = separable(np.random.default_rng(stride), alpha=0.5, stride_h=stride, stride_w=stride)
    model = runtime.Model.from_bytes(to_bytes(graph))
    dense, exact = (runtime.Stream(model, backend=backend, gating=on, threshold_scale=0) for on in (False, True))
    gated = runtime.Stream(model, backend=backend, refresh=4)
    apart = 0
    for index, frame in enumerate(clip(14)):
        want = dense.push(frame)["y"].tobytes()
        assert exact.push(frame)["y"].tobytes() == want
        got = gated.push(frame)
        apart += got["y"].tobytes() != want
        if index % 4 == 0:
            assert got["y"].tobytes() == want, index
        if 0 < index < 4:
            passed = gated.stats("depthwise").computed
            assert 0 < passed < gated.stats("depthwise").pixels
            assert gated.stats("pointwise").computed == passed
    assert apart


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_still_clip_executes_nothing(backend: str) -> None:
    stream = runtime.Stream(runtime.Model.from_bytes(to_bytes(separable())), backend=backend, refresh=3)
    frame = clip(1)[0]
    assert stream.push(frame).macs > 0
    assert [stream.push(frame).macs for _ in range(8)] == [0] * 8


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_refresh_passes_on_what_was_held_back_before_the_scene_stood_still(backend: str) -> None:
    model = runtime.Model.from_bytes(to_bytes(separable(alpha=50.0)))
    dense, gated = (runtime.Stream(model, backend=backend, gating=on, refresh=4) for on in (False, True))
    first = clip(1)[0]
    second = first.copy()
    second[1:3, 2] += 4  # the first gate lets all of it through
    computed = []
    for frame in (first, second, second, second, second):
        want, got = dense.push(frame), gated.push(frame)
        computed.append(gated.stats("depthwise").computed)
    assert computed[1:4] == [0, 0, 0]
    assert computed[4] > 0
    assert got["y"].tobytes() == want["y"].tobytes()


def passed_by_both(streams: list[runtime.Stream], frame: np.ndarray) -> float:
    """The share of depthwise pixels that a push passes on, the same ones in all streams."""
    for stream in streams:
        stream.push(frame)
    masks = [stream.changed_mask("depthwise") for stream in streams]
    np.testing.assert_array_equal(*masks, f"push {streams[0].stats().frames}")
    return float(masks[0].mean())


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize(
    "window", [{}, {"size": (5, 5)}, {"size": (5, 3)}, {"size": (3, 5)}, {"size": (7, 7)}, DILATED]
)
def test_both_backends_add_up_the_same(window: dict[str, Any], stride: int) -> None:
    """Runs of candidates within a word of a mask, over two, at edges; single ones; kernels that hang over; stills."""
    rows, cols, rng = 20, 150, np.random.default_rng(5)
    graph = separable(rng, 0.2, rows=rows, cols=cols, stride_h=stride, stride_w=stride, **window)
    model = runtime.Model.from_bytes(to_bytes(graph))
    streams = [runtime.Stream(model, backend=backend, refresh=7) for backend in BACKENDS]
    frame = rng.normal(size=(rows, cols, CHANNELS)).astype(np.float32)
    passed = 0
    for push in range(16):
        moves = rng.random((rows, cols)) < 0.02
        moves[push : push + 4, 9 * push : 9 * push + 30] = True
        moves &= push % 4 != 2  # still
        frame[moves] += rng.normal(size=(moves.sum(), CHANNELS)).astype(np.float32)
        passed += 0 < passed_by_both(streams, frame) < 1
    assert passed > 8


def test_busy_pushes_leave_no_drift() -> None:
    rows, cols, rng = 32, 32, np.random.default_rng(4)
    model = runtime.Model.from_bytes(to_bytes(separable(rows=rows, cols=cols)))
    streams = [runtime.Stream(model, backend=backend, refresh=0) for backend in BACKENDS]
    frame = rng.normal(size=(rows, cols, CHANNELS)).astype(np.float32)
    passed = 0
    for index in range(24):
        spread = np.float32(5 if index == 12 else 1) * (rng.random((rows, cols, 1)) < (1 if index == 12 else 0.2))
        frame = (frame + spread * rng.normal(size=frame.shape)).astype(np.float32)
        passed += 0 < passed_by_both(streams, frame) < 1
    assert passed > 5


def test_nothing_is_held_between_the_two() -> None:
    """A map less, a number a pixel for drift and one for what it is made of, and nine shares."""
    rows = cols = 32
    graph = separable(rows=rows, cols=cols)
    drifts = runtime.Stream(runtime.Model.from_bytes(to_bytes(graph))).state_bytes
    graph.nodes[1].gate = g.HoldGate(1.0, g.GateNorm.MAX)
    held = runtime.Stream(runtime.Model.from_bytes(to_bytes(graph))).state_bytes
    assert held - drifts == rows * cols * 4 * (CHANNELS - 2) - 64
