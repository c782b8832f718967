"""Gates decided by drift in both backends: exact where they promise to be, and with less to hold."""

from __future__ import annotations

import numpy as np
import pytest

import runtime
from converters.writer import to_bytes
from runtime.reference import graph as g

from .reference.test_drift import CHANNELS, COLS, ROWS, separable

BACKENDS = ["engine", "numpy"]


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


def test_nothing_is_held_between_the_two() -> None:
    """A map less, a number a pixel for drift and one for what it is made of, and nine shares."""
    rows = cols = 32
    graph = separable()
    for value in graph.values.values():
        if value.data is None:
            value.rows, value.cols = rows, cols
            value.shape = (1, CHANNELS, rows, cols)
    drifts = runtime.Stream(runtime.Model.from_bytes(to_bytes(graph))).state_bytes
    graph.nodes[1].gate = g.HoldGate(1.0, g.GateNorm.MAX)
    held = runtime.Stream(runtime.Model.from_bytes(to_bytes(graph))).state_bytes
    assert held - drifts == rows * cols * 4 * (CHANNELS - 2) - 64
