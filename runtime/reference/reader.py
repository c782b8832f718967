"""Reads a `.fgm` file into a graph with natural weights; constants stay views of the file's bytes where they can.

The engine's loader is the trust boundary. This reader checks the header, the checksum, the sections and every index it
follows, so that a damaged file gives a clear error, but leaves most semantic rules to the engine.
"""

from __future__ import annotations

import dataclasses
import json
import os
import struct
from pathlib import Path
from typing import Any

import numpy as np

from . import format as fgm
from .errors import Error, FormatError, UnsupportedError, VersionError
from .graph import (
    OPS,
    Activation,
    ActivationSpec,
    Align,
    Array,
    Attributes,
    CompactWinogradConv2d,
    Conv2d,
    Gate,
    GateNorm,
    Graph,
    HoldGate,
    Input,
    Node,
    Output,
    Preprocess,
    Resize,
    SkipGate,
    SkipKind,
    SkipReference,
    SkipUpdate,
    Value,
    ValueKind,
    WinogradConv2d,
    winograd_fits,
)
from .panels import packed_inputs, unpack

MAX_SIDE, MAX_ELEMENTS = 65536, 1 << 28
PARAMETERS = {  # how many an activation has; others none
    Activation.CLIP: 2,
    Activation.LEAKY_RELU: 1,
    Activation.SILU: 1,
    Activation.HARD_SIGMOID: 2,
    Activation.HARD_SWISH: 2,
    Activation.ELU: 1,
    Activation.SELU: 2,
    Activation.POW: 1,
    Activation.AFFINE: 2,
    Activation.CELU: 1,
    Activation.THRESHOLD: 1,
}
Record = tuple[Any, ...]


def read_model(source: bytes | bytearray | memoryview | str | os.PathLike[str]) -> Graph:
    """The graph of a file, given as its bytes or its path.

    Raises:
        FormatError: the bytes break docs/file_format.md (VersionError: another major version).
        UnsupportedError: valid, but with an operator, dtype, gate, flag or section that is unknown here.
        Error: the file cannot be read.
    """
    if isinstance(source, (str, os.PathLike)):
        try:
            return read_model(Path(source).read_bytes())
        except OSError as error:
            raise Error(f"cannot read {os.fspath(source)}: {error.strerror or error}") from error
        except FormatError as error:
            error.args = (f"{os.fspath(source)}: {error}",)
            raise
    return _Reader(memoryview(source).cast("B")).graph()


class _Reader:
    def __init__(self, data: memoryview) -> None:
        self.data = data
        self._check_header()
        self.sections = self._read_sections()
        self.values = self._records(fgm.VALUES, fgm.VALUE)
        self.index = [int(word) for (word,) in struct.iter_unpack("<I", self._section(fgm.INDEX))]
        self.strings = bytes(self._section(fgm.STRINGS))
        if not self.strings or self.strings[0] or self.strings[-1]:
            raise FormatError("strings do not begin and end with a zero byte", offset=self.sections[fgm.STRINGS][0])
        self.names: list[str] = []  # of values, made unique: the file allows equal and empty ones
        self.result = Graph()

    def graph(self) -> Graph:
        graph = self.result
        for index in range(len(self.values)):
            self._read_value(index)
        nodes = self._section(fgm.NODES)
        for index, offset in enumerate(range(0, len(nodes), fgm.RECORD_BYTES[fgm.NODES])):
            self._read_node(index, bytes(nodes[offset : offset + fgm.RECORD_BYTES[fgm.NODES]]))
        for record in self._records(fgm.INPUTS, fgm.INPUT):
            self._read_input(record)
        for record in self._records(fgm.OUTPUTS, fgm.OUTPUT):
            self._read_output(record)
        self._unpack_weights()
        if fgm.METADATA in self.sections:
            graph.metadata = self._metadata()
        return graph

    # -- frame of the file ------------------------------------------------------------------------------------------

    def _check_header(self) -> None:
        data = self.data
        if len(data) < fgm.HEADER.size:
            raise FormatError(f"file has {len(data)} bytes, less than its header; copy it again")
        magic, major, _, flags, file_bytes, checksum, _, *reserved = fgm.HEADER.unpack_from(data)
        if magic != fgm.MAGIC:
            raise FormatError("not a .fgm file: the magic bytes are wrong (a text-mode transfer changes them too)")
        if major != fgm.VERSION_MAJOR:
            raise VersionError(f"file has major version {major}, this release reads {fgm.VERSION_MAJOR}; convert again")
        if flags:
            raise UnsupportedError(f"header flags {flags:#x} are unknown to this release")
        if file_bytes != len(data):
            raise FormatError(f"header says {file_bytes} bytes, the file has {len(data)}; copy it again")
        if any(reserved):
            raise FormatError("reserved words of the header are not zero")
        if fgm.checksum(data[fgm.HEADER.size :]) != checksum:
            raise FormatError("checksum differs: the file is damaged; copy it again")

    def _read_sections(self) -> dict[int, tuple[int, int]]:
        """(offset, bytes) by kind."""
        count = fgm.HEADER.unpack_from(self.data)[6]
        end = fgm.HEADER.size + count * fgm.SECTION.size
        if not 7 <= count <= 32 or end > len(self.data):
            raise FormatError(f"section count {count} is not in 7 to 32 or the table passes the end of the file")
        sections: dict[int, tuple[int, int]] = {}
        last = -1
        for i in range(count):
            at = fgm.HEADER.size + i * fgm.SECTION.size
            kind, records, offset, size, record_bytes, _ = fgm.SECTION.unpack_from(self.data, at)
            if kind <= last:
                raise FormatError(f"section {i} has kind {kind} after {last}", offset=at)
            if kind > fgm.DATA and not kind >> 31:
                raise UnsupportedError(f"section kind {kind} is unknown to this release", offset=at)
            if offset != -(-end // fgm.ALIGN) * fgm.ALIGN or offset + size > len(self.data):
                raise FormatError(f"section {kind} at {offset} with {size} bytes is out of place", offset=at)
            if any(self.data[end:offset]):
                raise FormatError(f"bytes before section {kind} are not zero", offset=end)
            expected = fgm.RECORD_BYTES.get(kind, 0)
            if kind <= fgm.DATA and (record_bytes != expected or records * expected != (size if expected else 0)):
                raise FormatError(f"section {kind} has {records} records of {record_bytes} in {size} bytes", offset=at)
            sections[kind] = (offset, size)
            last, end = kind, offset + size
        if end != len(self.data):
            raise FormatError(f"{len(self.data) - end} bytes follow the last section", offset=end)
        missing = [kind for kind in range(1, 8) if kind not in sections]
        if missing:
            raise FormatError(f"sections {missing} are missing")
        return sections

    def _section(self, kind: int) -> memoryview:
        offset, size = self.sections[kind]
        return self.data[offset : offset + size]

    def _records(self, kind: int, layout: struct.Struct) -> list[Record]:
        return list(layout.iter_unpack(self._section(kind)))

    def _metadata(self) -> dict[str, object]:
        try:
            metadata = json.loads(bytes(self._section(fgm.METADATA)))
        except ValueError as error:
            raise FormatError(f"metadata is not JSON: {error}", offset=self.sections[fgm.METADATA][0]) from error
        if not isinstance(metadata, dict):
            raise FormatError("metadata is not a JSON object", offset=self.sections[fgm.METADATA][0])
        return metadata

    def _string(self, offset: int) -> str:
        if offset >= len(self.strings):
            raise FormatError(f"name at {offset} is outside the strings")
        try:
            return self.strings[offset : self.strings.index(0, offset)].decode()
        except UnicodeDecodeError as error:
            raise FormatError(f"name at {offset} is not UTF-8: {error.reason}") from error

    # -- values -----------------------------------------------------------------------------------------------------

    def _read_value(self, index: int) -> None:
        name, kind, dtype, rows, cols, channels, _, _, offset, size, *_ = self.values[index]
        if kind > max(ValueKind):
            raise FormatError(f"value {index} has kind {kind}")
        if dtype != fgm.DTYPE_F32 and not (dtype == fgm.DTYPE_S32 and kind == ValueKind.CONSTANT):
            raise UnsupportedError(f"value {index} has dtype {dtype}, which this release does not run")
        sides = 1 <= rows <= MAX_SIDE and 1 <= cols <= MAX_SIDE and channels >= 1
        if not sides or rows * cols * channels > MAX_ELEMENTS:
            raise FormatError(f"value {index} has extents {rows} x {cols} x {channels}")
        data: Array | None = None
        if kind == ValueKind.CONSTANT:
            section = self._section(fgm.DATA)
            if offset % fgm.ALIGN or size != 4 * rows * cols * channels or offset + size > len(section):
                raise FormatError(
                    f"constant {index} at {offset} with {size} bytes does not fit its extents or the data"
                )
            number = "<f4" if dtype == fgm.DTYPE_F32 else "<i4"
            data = np.frombuffer(section[offset : offset + size], number).reshape(rows, cols, channels)
        unique = self._unique(self._string(name), index)
        self.names.append(unique)
        self.result.values[unique] = Value(unique, ValueKind(kind), rows, cols, channels, data)

    def _unique(self, name: str, index: int) -> str:
        while not name or name in self.result.values:
            name = f"{name}#{index}"
        return name

    def _name(self, index: int, user: str) -> str:
        if index >= len(self.names):
            raise FormatError(f"{user} refers to value {index} of {len(self.names)}")
        return self.names[index]

    # -- nodes ------------------------------------------------------------------------------------------------------

    def _read_node(self, index: int, record: bytes) -> None:
        name, op, version, flags, output, first, count, kind, *rest = fgm.NODE_HEAD.unpack_from(record)
        title = f"node {index}"
        if op not in OPS or version != 1 or flags & ~CompactWinogradConv2d.FLAGS:
            raise UnsupportedError(f"{title} has operator {op} version {version} flags {flags}", node=index)
        if kind > max(Activation):
            raise UnsupportedError(f"{title} has activation {kind}", node=index)
        if not 1 <= count <= 1024 or first + count > len(self.index):
            raise FormatError(f"{title} reads inputs {first} to {first + count} of {len(self.index)}", node=index)
        inputs: list[str | None] = []
        for value in self.index[first : first + count]:
            inputs.append(None if value == fgm.NONE else self._name(value, title))
            if value != fgm.NONE and self.values[value][1] == ValueKind.NODE and self.values[value][6] >= index:
                raise FormatError(f"{title} reads {inputs[-1]!r} before it is computed", node=index)
        out = self._name(output, title)
        if self.values[output][1] != ValueKind.NODE or self.values[output][6] != index:
            raise FormatError(f"{title} writes {out!r}, which names another producer", node=index)
        spec = ActivationSpec(Activation(kind), tuple(rest[: PARAMETERS.get(Activation(kind), 0)]))
        forms = {form.FLAGS: form for form in (OPS[op], WinogradConv2d, CompactWinogradConv2d)}
        if flags not in forms:
            raise FormatError(f"{title} has compact without winograd", node=index)
        attributes = _attributes(forms[flags], record[fgm.NODE_HEAD.size :])
        if flags and (op != Conv2d.OP or not winograd_fits(attributes)):  # type: ignore[arg-type]
            raise FormatError(
                f"{title} cannot have winograd: it takes 3 x 3, stride 1, dilation 1, 1 group", node=index
            )
        gate = self._gate(index, rest[4:15])
        self.result.nodes.append(Node(self._string(name), attributes, inputs, out, spec, gate))

    def _gate(self, index: int, fields: list[float]) -> Gate | None:
        """The gate of a node record's fields. Raises FormatError or UnsupportedError."""
        gate, leader = _gate(index, fields[:-1]), int(fields[-1])
        if not isinstance(gate, SkipGate) or gate.kind != SkipKind.SHARED:
            return gate
        if leader >= index or not isinstance(self.result.nodes[leader].gate, SkipGate):
            raise FormatError(f"node {index} shares the gate of node {leader}, which is no earlier one", node=index)
        return dataclasses.replace(gate, leader=self.result.nodes[leader].output)

    def _unpack_weights(self) -> None:
        """Gives every convolution natural weights; a constant that is read in several ways becomes several values."""
        graph = self.result
        packed = dict(graph.values)
        natural: dict[tuple[str, Conv2d, int, int], str] = {}
        flat = {n for node in graph.nodes for i, n in enumerate(node.inputs) if n and i not in packed_inputs(node)}
        flat |= {item.value for item in graph.outputs}
        for index, node in enumerate(graph.nodes):
            for position, layout in packed_inputs(node).items():
                assert isinstance(node.attributes, Conv2d)
                x, name = node.inputs[0], node.inputs[position] if len(node.inputs) > position else None
                if x is None or name is None or packed[name].data is None:
                    raise FormatError(f"node {index} lacks an input or constant weights", node=index)
                taps = node.attributes.kernel_h * node.attributes.kernel_w
                channels = packed[x].channels, packed[node.output].channels if position == 1 else taps
                key = (name, layout, *channels)
                if key not in natural:
                    fresh = self._unique(name, len(graph.values)) if name in flat else name
                    flat.add(name)
                    attributes = node.attributes if position == 1 else layout
                    weights = _natural(index, attributes, packed[name], *channels)
                    graph.values[fresh] = Value(fresh, ValueKind.CONSTANT, 1, 1, weights.size, weights)
                    natural[key] = fresh
                node.inputs[position] = natural[key]

    # -- inputs and outputs -----------------------------------------------------------------------------------------

    def _source(self, value: Value, fields: Record, user: str) -> None:
        rank, shape, count, axes = fields[0], fields[1:9], fields[9], fields[10:12]
        if rank > 8 or count > 2 or any(axis >= rank for axis in axes[:count]):
            raise FormatError(f"{user} has rank {rank} and pixel axes {axes[:count]}")
        shape = shape[:rank]
        if int(np.prod(np.array(shape, dtype=object))) != value.elements:
            raise FormatError(f"{user} has source shape {shape} for {value.elements} numbers")
        seen = (shape, axes[:count])
        if (value.shape, value.pixel_axes) not in (((), ()), seen):
            raise UnsupportedError(f"{user} shows value {value.name!r} in a second source shape")
        value.shape, value.pixel_axes = seen

    def _read_input(self, record: Record) -> None:
        name, index, *rest = record
        user = f"input {self._string(name)!r}"
        value = self.result.values[self._name(index, user)]
        if value.kind != ValueKind.INPUT or self.values[index][6] != len(self.result.inputs):
            raise FormatError(f"{user} has value {value.name!r}, which names another producer")
        self._source(value, tuple(rest[:12]), user)
        threshold, grey_level, prepare, resize, align, fill = rest[12:18]
        preprocess = None
        if prepare:
            channels = value.channels
            if channels > 4 or resize > max(Resize) or align > max(Align):
                raise FormatError(f"{user} has {channels} channels, resize {resize}, align {align}")
            order, mean, scale = (tuple(rest[at : at + channels]) for at in (18, 22, 26))
            if sorted(order) != list(range(channels)):
                raise FormatError(f"{user} has channel order {order}")
            preprocess = Preprocess(Resize(resize), Align(align), fill, order, mean, scale)
        self.result.inputs.append(Input(self._string(name), value.name, threshold, grey_level, preprocess))

    def _read_output(self, record: Record) -> None:
        name, index, dtype, *rest = record
        user = f"output {self._string(name)!r}"
        value = self.result.values[self._name(index, user)]
        if dtype not in fgm.DTYPE_NAMES:
            raise UnsupportedError(f"{user} has dtype {dtype}")
        self._source(value, tuple(rest[:12]), user)
        value.source_dtype = fgm.DTYPE_NAMES[dtype]
        self.result.outputs.append(Output(self._string(name), value.name, value.source_dtype))


def _gate(index: int, fields: list[float]) -> Gate | None:
    """The gate of a node record's fields. Raises FormatError or UnsupportedError."""
    gate, norm, block, alpha, std, flags, eps, scale, bias, reset = fields
    if gate > max(SkipKind) or int(flags) >> 4:
        raise UnsupportedError(f"node {index} has gate {gate:.0f} with flags {flags:.0f}", node=index)
    if not gate:
        return None
    if norm > max(GateNorm) or block not in (1, 2, 4, 8):
        raise FormatError(f"node {index} has gate norm {norm:.0f}, block {block:.0f}", node=index)
    if gate == 1:
        return HoldGate(alpha, GateNorm(int(norm)), int(block), std)
    update, reference, floor, half = (int(flags) >> bit & 1 for bit in range(4))
    return SkipGate(
        kind=SkipKind(int(gate)),
        eps=eps,
        scale=scale,
        bias=bias,
        block=int(block),
        update=SkipUpdate(update),
        reference=SkipReference(reference),
        floor=bool(floor),
        half=bool(half),
        reset=int(reset),
    )


def _natural(index: int, attributes: Conv2d, packed: Value, channels_in: int, channels_out: int) -> Array:
    if min(dataclasses.astuple(attributes)[:6]) < 1 or attributes.kernel_h * attributes.kernel_w > MAX_SIDE:
        raise FormatError(f"node {index} has a kernel, stride or dilation that is out of range", node=index)
    try:
        return unpack(attributes, np.asarray(packed.data, np.float32).reshape(-1), channels_in, channels_out)
    except ValueError as error:
        raise FormatError(f"node {index}: {error}", node=index) from error


def _attributes(cls: type[Attributes], words: bytes) -> Attributes:
    fields: dict[str, object] = {}
    position = 0
    for item in dataclasses.fields(cls):
        length = cls.LENGTHS.get(item.name, 1)
        code = "f" if item.type == "float" else "i"
        numbers = struct.unpack_from(f"<{length}{code}", words, 4 * position)
        fields[item.name] = numbers if item.name in cls.LENGTHS else numbers[0]
        position += length
    if "rank" in fields:  # arrays of axes have `rank` entries in the graph
        rank = int(str(fields["rank"]))
        if not 1 <= rank <= 8:
            raise FormatError(f"transpose has rank {rank}")
        fields.update({key: tuple(fields[key])[:rank] for key in cls.LENGTHS})  # type: ignore[arg-type]
    return cls(**fields)
