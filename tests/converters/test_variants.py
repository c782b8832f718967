"""One network under other gates: which nodes, and that open gates leave the outputs as they are."""

from __future__ import annotations

import numpy as np
import pytest

from converters.evaluate import evaluate
from converters.passes.use_winograd import use_winograd
from converters.skip_gates import close_loops
from converters.variants import hold_gated, norm_gated, ungated
from converters.writer import to_bytes
from runtime.model import Model
from runtime.reference.graph import Activation, HoldGate, SkipGate, SkipKind, WinogradConv2d
from runtime.stream import Stream

from ..runtime.test_tune import frames, network

pytestmark = pytest.mark.filterwarnings("ignore:the compiled engine is missing")


def gates(graph):
    return {node.name: node.gate for node in graph.nodes if node.gate is not None}


def test_norm_gates_stand_where_hold_gates_stood():
    graph = network()
    made = norm_gated(graph, 0.5)
    assert list(gates(graph)) == ["conv0", "conv1"]
    assert list(gates(made)) == ["conv0:gated", "conv1:gated"]
    for index, gate in enumerate(gates(made).values()):
        weights = graph.values[f"w{index}"].data
        assert isinstance(gate, SkipGate)
        assert (gate.kind, gate.eps) == (SkipKind.NORM_OUTPUT, 0.5)
        assert gate.scale == pytest.approx(np.abs(weights).sum(), rel=1e-6)
    assert made.inputs[0].threshold == 0
    assert [node.activation.kind for node in made.nodes][:2] == [Activation.IDENTITY, Activation.RELU]


def test_norm_gates_take_winograd_back():
    graph = use_winograd(network(), lambda _graph, node: WinogradConv2d if node.gate else None)
    assert sum(isinstance(node.attributes, WinogradConv2d) for node in graph.nodes) == 2
    made, plain = norm_gated(graph, 0.5), norm_gated(network(), 0.5)
    assert not any(isinstance(node.attributes, WinogradConv2d) for node in made.nodes)
    for one, other in zip(gates(made).values(), gates(plain).values(), strict=True):
        assert one.scale == pytest.approx(other.scale, rel=1e-5)


@pytest.mark.parametrize("loop", [False, True])
def test_open_gates_give_the_dense_outputs(loop):
    graph = network()
    made = norm_gated(graph, -1.0)
    gated = Stream(Model.from_bytes(to_bytes(close_loops(made) if loop else made)), refresh=0)
    dense = Stream(Model.from_bytes(to_bytes(graph)), gating=False)
    for frame in frames(4):
        np.testing.assert_allclose(gated.push(frame)["y"], dense.push(frame)["y"], atol=2e-5)


def test_back_to_hold_gates():
    graph = network()
    made = hold_gated(norm_gated(graph, 0.5))
    assert all(isinstance(gate, HoldGate) for gate in gates(made).values())
    assert len(gates(made)) == 2
    assert made.inputs[0].threshold == 4
    assert gates(ungated(made)) == {}
    x = {"image": np.random.default_rng(1).normal(size=(24, 32, 3)).astype(np.float32)}
    np.testing.assert_allclose(evaluate(made, x)["y2"], evaluate(graph, x)["y2"], atol=1e-5)
