from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import helper

from converters.importers.onnx import import_onnx
from converters.importers.skip import Description
from converters.text import to_text
from converters.verify import verify
from runtime.reference.errors import ArgumentError, UnsupportedError
from runtime.reference.graph import SkipGate, SkipKind, SkipReference, SkipUpdate

from .models import model, one

SHAPE = (1, 2, 6, 5)
WEIGHTS = np.linspace(-1, 1, 3 * 2 * 3 * 3).reshape(3, 2, 3, 3).astype(np.float32)
BIAS = np.array([1, 2, 3], np.float32)
GATE = np.linspace(0, 1, 18).reshape(1, 2, 3, 3).astype(np.float32)
OFFICIAL = {"update": SkipUpdate.RESIDUAL, "reference": SkipReference.LAST}


def skip(*constants, **attributes):
    return one("SkipConv", SHAPE, *constants, domain="framegate", pads=[1, 1, 1, 1], strides=[2, 1], **attributes)


def gated(made, **options):
    graph = verify(import_onnx(made, **options))
    return graph, graph.nodes[-1]


def near(gate, **numbers):
    return all(getattr(gate, name) == pytest.approx(value, rel=1e-6) for name, value in numbers.items())


def test_norm_gates_are_bound_to_size_and_weights():
    _, node = gated(skip(WEIGHTS, BIAS, gate="norm_input", eps=0.02, reset_interval=4))
    assert near(node.gate, eps=0.02, scale=1 / (9 * 3))  # 3 x 3 windows, 3 rows of output
    assert (node.gate.floor, node.gate.half, node.gate.reset) == (True, True, 4)
    mean = float(np.abs(WEIGHTS).mean())
    assert near(gated(skip(WEIGHTS, gate="norm_output", eps=0.02))[1].gate, scale=mean / (9 * 3))
    assert near(gated(skip(WEIGHTS, gate="norm_output", weight_norm=108.0))[1].gate, scale=108 / 54 / (9 * 3))
    assert near(gated(skip(WEIGHTS, gate="norm_output", weight_norm=108.0, quirks=0))[1].gate, scale=108)
    assert near(gated(skip(WEIGHTS, gate="norm_output", quirks=0))[1].gate, scale=float(np.abs(WEIGHTS).sum()))
    assert gated(skip(WEIGHTS, gate="norm_input", quirks=0))[1].gate == SkipGate(
        SkipKind.NORM_INPUT, scale=1.0, **OFFICIAL
    )
    assert gated(skip(0 * WEIGHTS, gate="norm_output"))[1].gate.scale > 0  # weights of 0 are no reason to refuse


def test_bias_comes_again_with_residuals_only():
    for given, position in (
        ({}, 2),
        ({"residual_bias": 0}, None),
        ({"update": "recompute"}, None),
        ({"reference": "fired"}, None),
    ):
        _, node = gated(skip(WEIGHTS, BIAS, gate="norm_input", eps=0.1, **given))
        assert node.inputs[5] == (None if position is None else node.inputs[position])
        assert node.gate.half == (position == 2 or given == {"residual_bias": 0})
        assert node.gate.floor


def test_gumbel_gates():
    graph, node = gated(skip(WEIGHTS, None, GATE, np.float32([-0.5]), gate="gumbel", structure=4, module="body.0"))
    assert node.name == "body.0"
    assert node.gate == SkipGate(SkipKind.GUMBEL, bias=-0.5, block=4, **OFFICIAL)
    np.testing.assert_array_equal(graph.values[node.inputs[4]].data, GATE.reshape(1, 1, 2, 9))
    assert gated(skip(WEIGHTS, None, GATE, gate="gumbel"))[1].gate.bias == 0


def sharing(leader="first", first=(), **attributes):
    """Two nodes on one input, the second with the gate of the first."""
    first = {"gate": "norm_input", "eps": 0.5, "module": "first", "strides": [1, 1], **dict(first)}
    second = {"gate": "shared", "module": "second", "strides": [1, 1], "leader": leader, **attributes}
    nodes = [
        helper.make_node("SkipConv", ["x", "W", "B"], [y], domain="framegate", pads=[1, 1, 1, 1], **given)
        for y, given in (("a", first), ("b", second))
    ]
    return model(nodes, {"x": SHAPE}, {"W": WEIGHTS, "B": BIAS}, ["a", "b"])


@pytest.mark.parametrize("leader", ["first", "a"])
def test_shared_gates(leader):
    graph, _ = gated(sharing(leader, {"reset_interval": 3}))
    first, second = graph.nodes
    assert second.gate == SkipGate(SkipKind.SHARED, half=True, reset=3, leader="a", **OFFICIAL)
    assert second.inputs == [*first.inputs[:4], None, second.inputs[2]]
    graph, second = gated(sharing(leader, {"quirks": 0}, update="recompute", reference="fired"))
    closed = {"update": SkipUpdate.RECOMPUTE, "reference": SkipReference.FIRED}
    assert second.gate == SkipGate(SkipKind.SHARED, leader="a", **closed)
    assert second.inputs[5] is None


@pytest.mark.parametrize(
    ("made", "message"),
    [
        (sharing("third"), "leader is 'third', which is no SkipConv before it"),
        (sharing("second"), "leader is 'second', which is no SkipConv before it"),
        (sharing("x"), "leader is 'x', which is no SkipConv before it"),
        (sharing(""), "gate is shared and leader ''"),
        (sharing("a", gate="norm_input"), "gate is norm_input and leader 'a'"),
        (sharing("a", strides=[2, 1]), r"its output has \(3, 5\) pixels and that of its leader 'a' \(6, 5\)"),
        (sharing("a", reset_interval=3), "reset_interval is 3, that of its leader 0"),
        (sharing("a", update="recompute"), "its leader 'a' halves residuals"),
    ],
)
def test_refuses_gates_that_cannot_be_shared(made, message):
    with pytest.raises(UnsupportedError, match=message):
        import_onnx(made)


@pytest.mark.parametrize(
    ("made", "message"),
    [
        (lambda: skip(WEIGHTS), "it has no attribute gate; possible are norm_input"),
        (lambda: skip(WEIGHTS, gate="magic"), "gate is 'magic'; possible are"),
        (
            lambda: skip(WEIGHTS, gate="norm_input", epsilon=1.0),
            r"it has attributes \['epsilon'\]; known are gate, eps",
        ),
        (lambda: skip(WEIGHTS, gate="gumbel"), r"its gumbel gate has no weights \(input 3\)"),
        (lambda: skip(WEIGHTS, None, WEIGHTS, gate="gumbel"), r"its gate has weights \(3, 2, 3, 3\) and bias None"),
        (lambda: skip(WEIGHTS, None, GATE, BIAS, gate="gumbel"), r"its gate has .* bias \(3,\), not \(1, 2, 3, 3\)"),
        (
            lambda: one("SkipConv", (1, 2, 9), WEIGHTS[:, :, 0], domain="framegate", gate="norm_input"),
            r"no running image of shape \(1, C, H, W\)",
        ),
    ],
)
def test_refuses_wrong_nodes(made, message):
    with pytest.raises(UnsupportedError, match=rf"SkipConv \(domain framegate, version .\) 'node': .*{message}"):
        import_onnx(made())


def plain():
    nodes = [
        helper.make_node("Conv", ["x", "body.0.weight"], ["a"], "first", pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["a"], ["b"], "relu"),
        helper.make_node("Conv", ["b", "w", "bias"], ["y"], "second", strides=[2, 2]),
    ]
    second = np.ones((4, 3, 1, 1), np.float32)
    return model(nodes, {"x": SHAPE}, {"body.0.weight": WEIGHTS, "w": second, "bias": np.ones(4, np.float32)})


def described(*entries, **weights):
    return import_onnx(plain(), gates=Description.read({"gates": list(entries), "weights": weights}))


def kinds(graph):
    return {node.name: node.gate.kind.name for node in graph.nodes if isinstance(node.gate, SkipGate)}


@pytest.mark.parametrize("name", ["body.0", "first", "a", "bo*", "f?rst"])
def test_a_description_finds_convolutions_by_any_of_their_names(name):
    entry = {"match": name, "gate": "norm_output", "eps": 0.5, "update": "recompute", "quirks": False}
    graph = verify(described(entry))
    assert kinds(graph) == {"body.0": "NORM_OUTPUT"}
    assert graph.nodes[0].gate.update == SkipUpdate.RECOMPUTE
    assert graph.nodes[0].gate.scale == pytest.approx(float(np.abs(WEIGHTS).sum()), rel=1e-6)


def test_a_described_model_equals_one_with_nodes():
    bias = np.array([-1], np.float32)
    keys = {"body.0.gate.gate_network.0.weight": GATE, "mine": bias}
    found = described(
        {"match": "*", "gate": "gumbel", "structure": 2},
        {"match": "first", "gate_bias": "mine"},
        {"match": "second", "gate": "none"},
        **keys,
    )
    made = plain()
    node = helper.make_node(
        "SkipConv",
        ["x", "body.0.weight", "", "gate", "mine"],
        ["a"],
        "first",
        domain="framegate",
        gate="gumbel",
        structure=2,
        pads=[1, 1, 1, 1],
        module="body.0",
    )
    made.graph.node[0].CopyFrom(node)
    made.graph.initializer.extend(
        [onnx.numpy_helper.from_array(GATE, "gate"), onnx.numpy_helper.from_array(bias, "mine")]
    )
    assert to_text(found) == to_text(import_onnx(made))
    back = import_onnx(made, gates=Description.read({"gates": [{"match": "body.0", "gate": "none"}]}))
    assert to_text(back) == to_text(import_onnx(plain()))


def test_a_description_that_does_not_fit():
    with pytest.raises(ArgumentError, match=r"matches nothing with \['third'\]; there are: body.0, w"):
        described({"match": "third", "gate": "gumbel"})
    with pytest.raises(ArgumentError, match=r"body\.0: it is a plain convolution: the description must name its gate"):
        described({"match": "first", "eps": 1})
    with pytest.raises(ArgumentError, match=r"body\.0: structure is 3"):
        described({"match": "first", "gate": "gumbel", "structure": 3})
    with pytest.raises(UnsupportedError, match=r"'first': its gumbel gate has no weights \(input 3\)"):
        described({"match": "first", "gate": "gumbel"})


def test_a_note_where_a_batch_norm_may_hide_in_the_weights():
    norm = {"match": "second", "gate": "norm_input", "eps": 0.5}
    output = {**norm, "gate": "norm_output"}
    for entry, noted in (
        (norm, True),
        ({**norm, "residual_bias": True}, False),
        ({**norm, "update": "recompute"}, False),
        ({**output, "residual_bias": False}, True),
        ({**output, "residual_bias": False, "weight_norm": 2.0}, False),
        ({**norm, "match": "first"}, False),  # it has no bias
    ):
        notes = described(entry).metadata["notes"]
        assert bool(notes) == noted, entry
        assert not notes or notes[0].startswith("w: weights and bias are taken as trained")
