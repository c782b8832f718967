"""Writes a graph as a `.fgm` file, exactly docs/file_format.md."""

from __future__ import annotations

import contextlib
import json
import os
import struct
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from runtime.reference import format as fgm
from runtime.reference.errors import Error, FormatError
from runtime.reference.graph import (
    Activation,
    Array,
    Conv2d,
    Gate,
    Gather,
    Graph,
    HoldGate,
    Input,
    Node,
    Output,
    Preprocess,
    SkipGate,
    Value,
    ValueKind,
    attribute_words,
)
from runtime.reference.panels import pack, packed_inputs

ARITY = {
    Conv2d: 4,
    Gather: 4,
}  # 6 with a skip gate; operators with optional inputs are written with all of them, absent ones as NONE


def write_model(graph: Graph, path: str | os.PathLike[str]) -> int:
    """Writes the graph to ``path`` and returns the file's bytes; the file is there whole or not at all.

    Raises:
        Error: the file cannot be written (names the path and the remedy); what was at ``path`` is untouched.
        FormatError: the graph cannot be expressed in the format.
    """
    data = to_bytes(graph)
    target = Path(path)
    temporary = None
    try:
        descriptor, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
        temporary = Path(name)
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.chmod(0o666 & ~_umask())  # mkstemp's 0600 is meant for secrets
        temporary.replace(target)
    except OSError as error:
        raise Error(
            f"cannot write {target}: {error.strerror or error}; {len(data)} bytes are needed in {target.parent}: "
            "check that the folder exists, is writable and has room, or give another path"
        ) from error
    finally:
        if temporary is not None:
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)  # left over only where something failed
    return len(data)


def to_bytes(graph: Graph) -> bytes:
    """The file as bytes.

    Raises:
        FormatError: the graph cannot be expressed in the format; names what.
    """
    tables = _tables(graph)
    values, data = _values(graph, tables)
    nodes, index = _nodes(graph, tables)
    sections: list[tuple[int, int, bytes | bytearray]] = [
        (fgm.VALUES, len(tables.entries), values),
        (fgm.NODES, len(graph.nodes), nodes),
        (fgm.INDEX, len(index) // 4, index),
        (fgm.INPUTS, len(graph.inputs), b"".join(_input(graph, item, tables) for item in graph.inputs)),
        (fgm.OUTPUTS, len(graph.outputs), b"".join(_output(graph, item, tables) for item in graph.outputs)),
        (fgm.DATA, 0, data),
    ]
    if graph.metadata:
        sections.append((fgm.METADATA, 0, json.dumps(graph.metadata, sort_keys=True, allow_nan=False).encode()))
    sections.insert(0, (fgm.STRINGS, 0, tables.strings.blob))  # complete only now
    return _assemble(sections)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _aligned(offset: int) -> int:
    return -(-offset // fgm.ALIGN) * fgm.ALIGN


def _assemble(sections: list[tuple[int, int, bytes | bytearray]]) -> bytes:
    table = bytearray()
    body = bytearray()
    base = fgm.HEADER.size + fgm.SECTION.size * len(sections)
    for kind, count, content in sections:
        offset = _aligned(base + len(body))
        body.extend(bytes(offset - base - len(body)))
        table += fgm.SECTION.pack(kind, count, offset, len(content), fgm.RECORD_BYTES.get(kind, 0), 0)
        body += content
    payload = bytes(table) + bytes(body)
    header = fgm.HEADER.pack(
        fgm.MAGIC,
        fgm.VERSION_MAJOR,
        fgm.VERSION_MINOR,
        0,
        fgm.HEADER.size + len(payload),
        fgm.checksum(payload),
        len(sections),
        *[0] * 7,
    )
    return header + payload


class _Strings:
    """The STRINGS section: every name once, byte 0 the empty name."""

    def __init__(self) -> None:
        self.blob = bytearray(b"\0")
        self._offsets = {"": 0}

    def add(self, text: str) -> int:
        if "\0" in text:
            raise FormatError(f"name {text!r} contains a zero byte; rename it")
        if text not in self._offsets:
            self._offsets[text] = len(self.blob)
            self.blob += text.encode() + b"\0"
        return self._offsets[text]


@dataclass
class _Tables:
    """What becomes the file's values: (value, its stored constant or None), and where names point."""

    strings: _Strings = field(default_factory=_Strings)
    entries: list[tuple[Value, Array | None]] = field(default_factory=list)
    index: dict[str, int] = field(default_factory=dict)
    packed: dict[tuple[str, Conv2d], int] = field(default_factory=dict)


def _tables(graph: Graph) -> _Tables:
    """Numbers the values; natural weights appear once per packing that nodes ask for, and not at all without one."""
    tables = _Tables()
    layouts: dict[str, dict[Conv2d, None]] = {}
    for node in graph.nodes:
        for position, layout in packed_inputs(node).items():
            layouts.setdefault(str(node.inputs[position]), {})[layout] = None
    for name, value in graph.values.items():
        if value.data is None or value.data.ndim != 4:
            tables.index[name] = len(tables.entries)
            tables.entries.append((value, None if value.data is None else _constant(value, value.data)))
            continue
        for attributes in layouts.get(name, {}):
            tables.packed[name, attributes] = len(tables.entries)
            try:
                tables.entries.append((value, pack(attributes, value.data)))
            except ValueError as error:
                raise FormatError(f"weights {name!r}: {error}") from error
    return tables


def _constant(value: Value, data: Array) -> Array:
    if data.dtype not in (np.float32, np.int32):
        raise FormatError(f"constant {value.name!r} is {data.dtype}; the file holds float32 and int32")
    if data.size != value.elements:
        raise FormatError(f"constant {value.name!r} has {data.size} numbers for extents {value.extents}")
    return data


def _values(graph: Graph, tables: _Tables) -> tuple[bytearray, bytearray]:
    records, data = bytearray(), bytearray()
    producers = {item.value: i for i, item in enumerate(graph.inputs)}
    producers.update({node.output: i for i, node in enumerate(graph.nodes)})
    for value, constant in tables.entries:
        name = tables.strings.add(value.name)
        if constant is None:
            if value.kind == ValueKind.CONSTANT or value.name not in producers:
                raise FormatError(f"value {value.name!r} has neither data nor a producer; run remove_dead first")
            head = (name, int(value.kind), fgm.DTYPE_F32, *value.extents, producers[value.name], 0, 0, 0)
        else:
            data.extend(bytes(_aligned(len(data)) - len(data)))
            dtype = fgm.DTYPE_IDS[str(constant.dtype)]
            packed = value.data is not None and value.data.ndim == 4
            extents = (1, 1, constant.size) if packed else value.extents
            head = (name, int(value.kind), dtype, *extents, fgm.NONE, 0, len(data), constant.nbytes)
            data += np.ascontiguousarray(constant).tobytes()
        records += fgm.VALUE.pack(*head, 0, 0, 0, 0)
    return records, data


def _nodes(graph: Graph, tables: _Tables) -> tuple[bytes, bytes]:
    records: list[bytes] = []
    index: list[int] = []
    positions = {node.output: i for i, node in enumerate(graph.nodes)}
    for node in graph.nodes:
        inputs = _input_indices(node, tables)
        records.append(_node(node, tables, positions, len(index), len(inputs)))
        index += inputs
    return b"".join(records), struct.pack(f"<{len(index)}I", *index)


def _input_indices(node: Node, tables: _Tables) -> list[int]:
    arity = next((n for kind, n in ARITY.items() if isinstance(node.attributes, kind)), 0)
    if isinstance(node.gate, SkipGate):
        arity = 6
    layouts = packed_inputs(node)
    inputs: list[str | None] = [*node.inputs, *[None] * (arity - len(node.inputs))]
    indices = []
    for position, name in enumerate(inputs):
        if name is None:
            indices.append(fgm.NONE)
        elif position in layouts:
            key = (name, layouts[position])
            if key not in tables.packed:
                raise FormatError(f"weights {name!r} of node {node.name!r} are not a constant of four axes")
            indices.append(tables.packed[key])
        elif name not in tables.index:
            raise FormatError(f"node {node.name!r} reads {name!r}, which is no value or packed weights")
        else:
            indices.append(tables.index[name])
    return indices


def _node(node: Node, tables: _Tables, positions: Mapping[str, int], first_input: int, input_count: int) -> bytes:
    parameters = [*node.activation.parameters, 0.0, 0.0, 0.0, 0.0][:4]
    if node.activation.kind == Activation.IDENTITY:
        parameters = [0.0] * 4
    words = attribute_words(node.attributes)
    words += [0] * (32 - len(words))
    layout = "<" + "".join("f" if isinstance(word, float) else "i" for word in words)
    head = fgm.NODE_HEAD.pack(
        tables.strings.add(node.name),
        node.attributes.OP,
        1,
        node.attributes.FLAGS,
        tables.index[node.output],
        first_input,
        input_count,
        int(node.activation.kind),
        *parameters,
        *_gate(node.gate),
        _leader(node, positions),
        *[0] * 9,
    )
    return head + struct.pack(layout, *words)


def _gate(gate: Gate | None) -> tuple[int | float, ...]:
    """The gate's fields of a node record, in order."""
    if gate is None:
        return (0, 0, 1, 0.0, 0.0, 0, 0.0, 0.0, 0.0, 0)
    if isinstance(gate, HoldGate):
        return (1, int(gate.norm), gate.block, gate.alpha, gate.std, 0, 0.0, 0.0, 0.0, 0)
    parts = (gate.update, gate.reference, gate.floor, gate.half)
    flags = sum(int(part) << bit for bit, part in enumerate(parts))
    return (int(gate.kind), 0, gate.block, 0.0, 0.0, flags, gate.eps, gate.scale, gate.bias, gate.reset)


def _leader(node: Node, positions: Mapping[str, int]) -> int:
    """Number of the node whose gates a node shares, else 0."""
    leader = node.gate.leader if isinstance(node.gate, SkipGate) else None
    if leader is not None and leader not in positions:
        raise FormatError(f"node {node.name!r} shares the gate of {leader!r}, which no node makes")
    return 0 if leader is None else positions[leader]


def _source_shape(value: Value) -> tuple[int, ...]:
    if len(value.shape) > 8 or int(np.prod(value.shape, dtype=np.int64)) != value.elements:
        raise FormatError(
            f"value {value.name!r} of extents {value.extents} cannot be seen as source shape {value.shape}"
        )
    axes = [*value.pixel_axes, 0, 0][:2]
    return (len(value.shape), *value.shape, *[0] * (8 - len(value.shape)), len(value.pixel_axes), *axes)


def _input(graph: Graph, item: Input, tables: _Tables) -> bytes:
    value = graph.values[item.value]
    prepare = item.preprocess or Preprocess(channel_order=(), mean=(), scale=())
    return fgm.INPUT.pack(
        tables.strings.add(item.name),
        tables.index[item.value],
        *_source_shape(value),
        item.threshold,
        item.grey_level,
        int(item.preprocess is not None),
        int(prepare.resize),
        int(prepare.align),
        prepare.fill,
        *_four(prepare.channel_order),
        *_four(prepare.mean),
        *_four(prepare.scale),
        *[0] * 32,
    )


def _four(numbers: tuple[int, ...] | tuple[float, ...]) -> list[int | float]:
    if len(numbers) > 4:
        raise FormatError(f"preparation has {len(numbers)} channels; at most 4 are possible")
    return [*numbers, *[0] * (4 - len(numbers))]


def _output(graph: Graph, item: Output, tables: _Tables) -> bytes:
    if item.dtype not in fgm.DTYPE_IDS:
        raise FormatError(f"output {item.name!r} has dtype {item.dtype}; possible are {', '.join(fgm.DTYPE_IDS)}")
    value = graph.values[item.value]
    return fgm.OUTPUT.pack(
        tables.strings.add(item.name),
        tables.index[item.value],
        fgm.DTYPE_IDS[item.dtype],
        *_source_shape(value),
        *[0] * 17,
    )
