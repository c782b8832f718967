"""What verify finds, and says."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np
import pytest

from converters.verify import check_numbers, verify
from runtime.reference.errors import FormatError
from runtime.reference.graph import (
    Activation,
    ActivationSpec,
    Binary,
    Concat,
    Graph,
    Pool,
    Residual,
    SkipGate,
    SkipKind,
    SkipReference,
    SkipUpdate,
    Value,
    ValueKind,
    View,
)


def graph_of(network) -> Graph:
    n = network()
    y = n.pad(n.conv("x", 4, kernel=3, pad=1), 1, 1, 1, 1)
    y = n.node(Pool(0, 2, 2, 2, 2), [n.binary(Binary.ADD, y, [1.0])], (4, 3, 4))
    y = n.node(Concat(2), [y, y], (4, 3, 8))
    return n.finish(n.node(View(), [y], (1, 1, 96)))


def late(graph: Graph) -> None:
    graph.nodes[0].inputs[0] = graph.nodes[1].output


def attributes(index: int, **changes: object) -> Callable[[Graph], None]:
    def change(graph: Graph) -> None:
        graph.nodes[index].attributes = dataclasses.replace(graph.nodes[index].attributes, **changes)

    return change


def value(index: int, **changes: object) -> Callable[[Graph], None]:
    def change(graph: Graph) -> None:
        for name, number in changes.items():
            setattr(graph.values[graph.nodes[index].output], name, number)

    return change


def activation(index: int, spec: ActivationSpec) -> Callable[[Graph], None]:
    def change(graph: Graph) -> None:
        graph.nodes[index].activation = spec

    return change


def wrong_map(graph: Graph) -> None:
    table = graph.values[graph.nodes[1].inputs[1]]
    table.data = np.full_like(table.data, 6)


BROKEN = {
    "order": (late, "reads 'gather1', which is not known at that point"),
    "kernel": (attributes(0, kernel_h=1), r"weights are \(3, 3, 3, 4\), not \(1, 3, 3, 4\)"),
    "size": (attributes(0, pad_top=0), r"gives \(5, 5, 4\), not \(6, 5, 4\)"),
    "groups": (attributes(0, groups=2), "weights are"),
    "residual": (attributes(0, residual=Residual.BEFORE_ACTIVATION), "residual is 1"),
    "map": (wrong_map, "row map: has entries outside -1 to 5"),
    "phases": (attributes(1, phase_rows=2), "phases without a channel map"),
    "pool": (attributes(3, stride_h=1), r"gives \(7, 3, 4\) or one more"),
    "concat": (value(3, cols=2), "pool.*gives|inputs differ"),
    "view": (value(5, channels=95), "96 numbers cannot be seen as"),
    "host": (activation(1, ActivationSpec(Activation.RELU)), "cannot have activation relu"),
    "parameters": (activation(0, ActivationSpec(Activation.CLIP, (1.0,))), "clip needs 2 parameters"),
    "nan": (activation(0, ActivationSpec(Activation.CLIP, (1.0, float("nan")))), "is not a number"),
    "outputs": (lambda graph: graph.outputs.clear(), "has no input or no output"),
    "shape": (value(5, shape=(1, 95)), "is not source shape"),
    "extents": (value(0, rows=0), "has extents"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken(network, name: str) -> None:
    damage, message = BROKEN[name]
    graph = graph_of(network)
    damage(graph)
    with pytest.raises(FormatError, match=message):
        verify(graph, "test")


def test_whole(network) -> None:
    graph = graph_of(network)
    assert verify(graph) is graph


@pytest.mark.parametrize("number", [np.nan, np.inf, -np.inf])
def test_weights_are_numbers(network, number: float) -> None:
    graph = graph_of(network)
    assert check_numbers(graph) is graph
    name = graph.nodes[0].inputs[1]
    weights = graph.values[name]
    weights.data = weights.data.copy()
    weights.data[1, 2, 0] = number
    with pytest.raises(FormatError, match=f"^conv2d .*: 4 of the 108 numbers of '{name}' are NaN or infinite"):
        check_numbers(graph)


def test_data_and_dtypes(network) -> None:
    graph = graph_of(network)
    bias = graph.values[graph.nodes[0].inputs[2]]
    bias.data = bias.data.astype(np.float64)
    with pytest.raises(FormatError, match="float64, not float32 or int32"):
        verify(graph)
    bias.data = np.zeros((1, 4, 1), np.float32)
    with pytest.raises(FormatError, match=r"has data \(1, 4, 1\) for extents \(1, 1, 4\)"):
        verify(graph)


GUMBEL = SkipGate(SkipKind.GUMBEL, bias=-1.0)
NORM = SkipGate(SkipKind.NORM_INPUT, eps=1.0, scale=1.0)


@pytest.mark.parametrize(
    ("gate", "inputs", "message"),
    [
        (GUMBEL, [], "lacks gate weights"),
        (GUMBEL, [None, None, "four"], r"weights are not a constant of \(1, 1, 3, 9\)"),
        (NORM, [None, None, "taps"], "has gate weights"),
        (NORM, [None, None, None, "taps"], "has a residual bias out of place"),
        (dataclasses.replace(NORM, reference=SkipReference.FIRED), [None] * 3 + ["four"], "residual bias out of place"),
        (dataclasses.replace(NORM, scale=0.0), [], r"has numbers \(1.0, 0.0, 0.0\)"),
        (dataclasses.replace(NORM, eps=float("nan")), [], "has numbers"),
        (dataclasses.replace(NORM, bias=1.0), [], "of another kind"),
        (dataclasses.replace(NORM, block=3), [], "has gate"),
        (dataclasses.replace(NORM, half=True, update=SkipUpdate.RECOMPUTE), [], "halves, but"),
        (dataclasses.replace(NORM, reset=-1), [], "has reset -1"),
        (dataclasses.replace(GUMBEL, floor=True), [None, None, "taps"], "floors or halves"),
    ],
)
def test_a_broken_skip_gate_is_found(network, gate: SkipGate, inputs: list[str | None], message: str) -> None:
    graph = graph_of(network)
    for name, size in (("taps", 27), ("four", 4)):
        data = np.ones((1, 1, 3, 9) if size == 27 else (1, 1, size), np.float32)
        graph.values[name] = Value(name, ValueKind.CONSTANT, 1, 1, size, data=data)
    node = graph.nodes[0]
    node.inputs = [*node.inputs, *[None] * 4][:2] + [*inputs, *[None] * 4][:4]
    node.gate = gate
    with pytest.raises(FormatError, match=message):
        verify(graph, "test")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"leader": None}, "has leader None"),
        ({"kind": SkipKind.NORM_INPUT, "scale": 1.0}, "has leader"),
        ({"leader": "nowhere"}, "reads 'nowhere', which is not known at that point"),
        ({"leader": "t"}, "reads 't', which is not known at that point"),
        ({"leader": "x"}, "'x' has no skip gate of its own"),
        ({"reset": 3}, "has other resets or halves"),
        ({"half": True}, "has other resets or halves"),
        ({"block": 2}, "blocks of its own"),
        ({"scale": 1.0}, r"numbers \(0.0, 1.0, 0.0\) of another kind"),
        ({}, None),
    ],
)
def test_a_broken_shared_gate_is_found(network, change: dict[str, object], message: str | None) -> None:
    n = network()
    y = n.skip_conv("x", 3, kind=SkipKind.NORM_INPUT, eps=0.5)
    n.skip_conv("x", 3, kind=SkipKind.NORM_INPUT)
    graph = n.finish(y)
    first, second = graph.nodes
    graph.values["t"] = dataclasses.replace(graph.values.pop(second.output), name="t")
    second.output = "t"
    second.gate = dataclasses.replace(SkipGate(SkipKind.SHARED, leader=first.output), **change)
    if message is None:
        assert verify(graph, "test") is graph
        return
    with pytest.raises(FormatError, match=message):
        verify(graph, "test")


def test_a_shared_gate_needs_the_leaders_pixels(network) -> None:
    n = network()
    y = n.skip_conv("x", 3, kind=SkipKind.NORM_INPUT, eps=0.5)
    z = n.skip_conv("x", 3, kernel=3, kind=SkipKind.NORM_INPUT)
    n.graph.nodes[-1].gate = SkipGate(SkipKind.SHARED, leader=y)
    with pytest.raises(FormatError, match=f"'{y}' has .* pixels"):
        verify(n.finish(z), "test")


def test_residuals_and_an_activation_do_not_go_together(network) -> None:
    graph = graph_of(network)
    graph.nodes[0].gate = NORM
    verify(graph, "test")
    graph.nodes[0].activation = ActivationSpec(Activation.RELU)
    with pytest.raises(FormatError, match="norm_input gate: adds residuals, but has an activation"):
        verify(graph, "test")
