"""Distillation on a small network: the loss falls, the source is left alone."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from converters.passes.use_winograd import use_winograd  # noqa: E402
from converters.tuning import Settings, distill  # noqa: E402
from converters.tuning.network import GraphNetwork  # noqa: E402
from converters.verify import verify  # noqa: E402
from runtime.reference.graph import HoldGate, WinogradConv2d  # noqa: E402

from .test_network import frames, network  # noqa: E402


def measured(graph, teacher, clip):
    """(work, error against the teacher's dense outputs) of a gated clip."""
    module = GraphNetwork(graph)
    module.measure({"x": clip[:1]})
    with torch.no_grad():
        gated = module({"x": clip}, len(clip), gates=True)
        dense = GraphNetwork(teacher)({"x": clip}).outputs["y2"]
    return float(gated.work), float((gated.outputs["y2"] - dense).square().mean() / dense.square().mean()) ** 0.5


def test_the_loss_falls():
    graph, clip = network(HoldGate(0.2)), torch.from_numpy(frames(8))
    before = {name: value.data.copy() for name, value in graph.values.items() if value.data is not None}
    lines: list[str] = []
    tuned = distill(graph, list(clip.numpy()), Settings(steps=80, rate=5e-3, exponent=2), lines.append)
    assert all(np.array_equal(graph.values[name].data, data) for name, data in before.items())
    assert len(lines) == 5
    (work, error), (tuned_work, tuned_error) = (measured(each, graph, clip) for each in (graph, tuned))
    assert np.log(tuned_work) + 2 * np.log(tuned_error) < np.log(work) + 2 * np.log(error) - 0.08


def test_winograd_stays_winograd():
    graph = use_winograd(network(HoldGate(0.2)), lambda _graph, node: WinogradConv2d if node.gate else None)
    chosen = [isinstance(node.attributes, WinogradConv2d) for node in graph.nodes]
    assert any(chosen)
    tuned = verify(distill(graph, list(frames(4)), Settings(steps=3, frames=2)))
    assert [isinstance(node.attributes, WinogradConv2d) for node in tuned.nodes] == chosen


def test_it_is_the_same_every_time_and_wants_a_clip():
    graph, clip = network(HoldGate(0.2)), list(frames(4))
    first, second = (distill(graph, clip, Settings(steps=3, frames=2)) for _ in range(2))
    np.testing.assert_array_equal(first.values["w.0"].data, second.values["w.0"].data)
    with pytest.raises(ValueError, match="3 frames of footage do not make a clip of 4"):
        distill(graph, clip[:3])
