"""A graph as text: stable, one line per node, made to be read and compared."""

from __future__ import annotations

import dataclasses
import zlib

import numpy as np

from runtime.reference.graph import (
    ActivationSpec,
    CompactWinogradConv2d,
    Gate,
    Graph,
    Input,
    Node,
    SkipGate,
    Value,
    WinogradConv2d,
)


def to_text(graph: Graph) -> str:
    """Inputs, constants, nodes in order and outputs; floats to six digits, large constants by checksum."""
    lines = [_input(graph, item) for item in graph.inputs]
    read = {name for node in graph.nodes for name in node.inputs if name is not None}
    read |= {item.value for item in graph.outputs}
    lines += [_constant(value) for name, value in graph.values.items() if value.data is not None and name in read]
    lines += [_node(graph, node) for node in graph.nodes]
    for item in graph.outputs:
        value = graph.values[item.value]
        lines.append(f"output {item.name} = {item.value} {item.dtype} {_source(value)}")
    return "\n".join(lines) + "\n"


def _number(number: object) -> str:
    return f"{number:.6g}" if isinstance(number, float) else str(number)


def _numbers(numbers: tuple[object, ...]) -> str:
    return ", ".join(_number(number) for number in numbers)


def _extents(value: Value) -> str:
    return "x".join(str(extent) for extent in value.extents)


def _source(value: Value) -> str:
    return f"shape ({_numbers(value.shape)}) pixels ({_numbers(value.pixel_axes)})"


def _input(graph: Graph, item: Input) -> str:
    value = graph.values[item.value]
    text = f"input {item.name} = {item.value} {_extents(value)} {_source(value)}"
    text += f" threshold {_number(item.threshold)} grey_level {_number(item.grey_level)}"
    if item.preprocess is None:
        return text
    prepare = item.preprocess
    text += f" resize {prepare.resize.name.lower()} {prepare.align.name.lower()} fill {prepare.fill}"
    text += f" order ({_numbers(prepare.channel_order)}) mean ({_numbers(prepare.mean)})"
    return f"{text} scale ({_numbers(prepare.scale)})"


def _constant(value: Value) -> str:
    data = np.ascontiguousarray(value.data)
    shape = "x".join(str(side) for side in data.shape)
    if data.size <= 4:
        content = f"[{_numbers(tuple(data.reshape(-1).tolist()))}]"
    else:
        content = f"crc {zlib.crc32(data.tobytes()):08x}"
    return f"constant {value.name} {data.dtype} {shape} {content}"


def _activation(spec: ActivationSpec) -> str:
    parameters = f"({_numbers(spec.parameters)})" if spec.parameters else ""
    return f" -> {spec.kind.name.lower()}{parameters}"


def _gate(gate: Gate) -> str:
    if isinstance(gate, SkipGate):
        flags = [name for name, on in (("floor", gate.floor), ("half", gate.half)) if on]
        flags += [f"reset {gate.reset}"] if gate.reset else []
        threshold = f"bias {_number(gate.bias)}" if gate.scale == 0 else f"eps {_number(gate.eps)}"
        if gate.leader is not None:
            parts = [gate.leader, gate.update.name.lower(), gate.reference.name.lower(), *flags]
            return f" shared({', '.join(parts)})"
        text = f" {gate.kind.name.lower()}({threshold}, scale {_number(gate.scale)}, block {gate.block}"
        return f"{text}, {', '.join([gate.update.name.lower(), gate.reference.name.lower(), *flags])})"
    text = f" hold(alpha {_number(gate.alpha)}, {gate.norm.name.lower()}, block {gate.block}"
    return f"{text}, std {_number(gate.std)})"


def _node(graph: Graph, node: Node) -> str:
    inputs = list(node.inputs)
    while inputs and inputs[-1] is None:
        inputs.pop()
    attributes = []
    for item in dataclasses.fields(node.attributes):
        value = getattr(node.attributes, item.name)
        if item.default is dataclasses.MISSING or value != item.default:
            shown = f"({_numbers(value)})" if isinstance(value, tuple) else _number(value)
            attributes.append(f"{item.name}={shown}")
    text = f"{node.output} {_extents(graph.values[node.output])} = {node.op}"
    text += f"({', '.join('-' if name is None else name for name in inputs)})"
    if attributes:
        text += " " + " ".join(attributes)
    if isinstance(node.attributes, WinogradConv2d):
        text += " compact winograd" if isinstance(node.attributes, CompactWinogradConv2d) else " winograd"
    if node.activation.kind:
        text += _activation(node.activation)
    if node.gate is not None:
        text += _gate(node.gate)
    return text
