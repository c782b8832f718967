"""Standard deviations from sample frames."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from converters.evaluate import evaluate
from converters.measure import measure_gates
from converters.passes.place_gates import place_gates
from runtime.reference.errors import ArgumentError
from runtime.reference.graph import Preprocess, Resize


def test_average_over_frames(network) -> None:
    n = network()
    y = n.conv("x", 3)
    graph = place_gates(n.finish(n.conv(y, 2)))
    frames = [np.random.default_rng(i).normal(size=(6, 5, 3)).astype(np.float32) for i in range(3)]
    measured, count = measure_gates(graph, frames)
    stds = [np.std(evaluate(graph, {"x": frame}, frozenset({y}))[y], dtype=np.float64) for frame in frames]
    assert count == 3
    assert measured.nodes[0].gate.std == pytest.approx(np.mean(stds))
    assert measured.nodes[1].gate is None


def test_prepared_frames_may_have_any_size(network) -> None:
    n = network()
    graph = place_gates(n.finish(n.conv(n.conv("x", 3), 2)))
    graph.inputs[0] = dataclasses.replace(graph.inputs[0], preprocess=Preprocess(Resize.STRETCH))
    frame = np.random.default_rng(0).integers(0, 256, (20, 30, 3), np.uint8)
    assert measure_gates(graph, iter([frame]))[0].nodes[0].gate.std > 0
    with pytest.raises(ArgumentError, match="sample frame is float32"):
        measure_gates(graph, [frame.astype(np.float32)])


def test_wrong_samples(network) -> None:
    n = network()
    graph = place_gates(n.finish(n.conv(n.conv("x", 3), 2)))
    with pytest.raises(ArgumentError, match="holds no frame"):
        measure_gates(graph, [])
    with pytest.raises(ArgumentError, match=r"has shape \(6, 4, 3\), input 'x' takes \(6, 5, 3\)"):
        measure_gates(graph, [np.zeros((6, 4, 3), np.float32)])
    with pytest.raises(ArgumentError, match=r"lacks frames for inputs \['x'\]"):
        measure_gates(graph, [{"y": np.zeros((6, 5, 3), np.float32)}])
