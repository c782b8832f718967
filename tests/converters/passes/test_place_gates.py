"""Where gates stand."""

from __future__ import annotations

from converters.passes.place_gates import GatePolicy, choose_alpha, place_gates
from runtime.reference.graph import Activation, Binary, GateNorm, HoldGate, ReducePixels, SkipKind


def gates(graph) -> list[bool]:
    return [node.gate is not None for node in graph.nodes]


def test_heads_stay_ungated(network) -> None:
    n = network()
    body = n.unary(n.conv("x", 4), Activation.RELU)
    after = place_gates(n.finish(n.conv(body, 2), n.unary(n.conv(body, 2), Activation.SIGMOID)))
    assert gates(after) == [True, False, False, False, False]
    assert after.nodes[0].gate == HoldGate(0.1, GateNorm.L1, 1)


def test_work_behind_other_operators_counts(network) -> None:
    n = network()
    y = n.conv("x", 3, groups=3)
    y = n.binary(Binary.ADD, y, "x")
    assert gates(place_gates(n.finish(n.conv(y, 2)))) == [True, False, False]


def test_pooled_vectors(network) -> None:
    n = network()
    y = n.conv("x", 3)
    pooled = n.node(ReducePixels(0), [y], (1, 1, 3))
    rows = n.node(ReducePixels(0, 0, 1), [y], (6, 1, 3))
    after = place_gates(n.finish(n.conv(pooled, 2), n.conv(rows, 2), n.node(ReducePixels(0), [y], (1, 1, 3))))
    assert gates(after) == [True, True, False, False, False, False]


def test_policy(network) -> None:
    n = network()
    graph = n.finish(n.conv(n.conv("x", 3), 2))
    assert gates(place_gates(graph, GatePolicy(hold=False))) == [False, False]
    policy = GatePolicy(True, 0.02, GateNorm.MAX, 4)
    assert place_gates(graph, policy).nodes[0].gate == HoldGate(0.02, GateNorm.MAX, 4)


def test_alpha_follows_the_activations(network) -> None:
    n = network()
    y = n.unary(n.unary(n.unary("x", Activation.SILU, 1), Activation.GELU), Activation.RELU)
    assert choose_alpha(n.finish(y)) == (0.05, "2 of 3 activations are SiLU-like")
    y = n.unary(n.unary(y, Activation.RELU), Activation.SIGMOID)
    assert choose_alpha(n.finish(y)) == (0.1, "2 of 4 activations are SiLU-like")


def test_skip_gates_stay(network) -> None:
    n = network()
    y = n.skip_conv(n.conv("x", 3), 2, kind=SkipKind.NORM_INPUT)
    graph = n.finish(n.conv(n.conv(y, 3), 2))
    for policy, expected in (
        (GatePolicy(), [True, True, True, False]),
        (GatePolicy(False), [False, True, False, False]),
    ):
        after = place_gates(graph, policy)
        assert gates(after) == expected
        assert after.nodes[1].gate == graph.nodes[1].gate
