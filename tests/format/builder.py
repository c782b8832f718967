"""Builds valid `.fgm` files for tests, field by field, and lets tests damage exactly one of them.

Independent of the converters' writer on purpose: it checks nothing, and what it writes is what the test says.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from runtime.reference import format as fgm

Scalar = int | float
NO_GATE = {"gate": 0, "gate_norm": 0, "gate_block": 1, "gate_alpha": 0.0, "gate_std": 0.0}

# Fields by section: name -> (offset in the record, struct code of one element, elements).
FIELDS: dict[int, dict[str, tuple[int, str, int]]] = {
    fgm.VALUES: {
        "name": (0, "I", 1),
        "kind": (4, "I", 1),
        "dtype": (8, "I", 1),
        "rows": (12, "I", 1),
        "cols": (16, "I", 1),
        "channels": (20, "I", 1),
        "producer": (24, "I", 1),
        "reserved0": (28, "I", 1),
        "data_offset": (32, "Q", 1),
        "data_bytes": (40, "Q", 1),
        "reserved": (48, "I", 4),
    },
    fgm.NODES: {
        "name": (0, "I", 1),
        "op": (4, "I", 1),
        "op_version": (8, "I", 1),
        "flags": (12, "I", 1),
        "output": (16, "I", 1),
        "first_input": (20, "I", 1),
        "input_count": (24, "I", 1),
        "activation": (28, "I", 1),
        "activation_parameters": (32, "f", 4),
        "gate": (48, "I", 1),
        "gate_norm": (52, "I", 1),
        "gate_block": (56, "I", 1),
        "gate_alpha": (60, "f", 1),
        "gate_std": (64, "f", 1),
        "gate_flags": (68, "I", 1),
        "gate_eps": (72, "f", 1),
        "gate_scale": (76, "f", 1),
        "gate_bias": (80, "f", 1),
        "gate_reset": (84, "I", 1),
        "gate_leader": (88, "I", 1),
        "reserved": (92, "I", 9),
        "words": (128, "i", 32),
    },
    fgm.INDEX: {"value": (0, "I", 1)},
    fgm.INPUTS: {
        "name": (0, "I", 1),
        "value": (4, "I", 1),
        "rank": (8, "I", 1),
        "shape": (12, "I", 8),
        "pixel_axes": (44, "I", 1),
        "pixel_axis": (48, "I", 2),
        "threshold": (56, "f", 1),
        "grey_level": (60, "f", 1),
        "prepare": (64, "I", 1),
        "resize": (68, "I", 1),
        "align": (72, "I", 1),
        "fill": (76, "I", 1),
        "channel_order": (80, "I", 4),
        "mean": (96, "f", 4),
        "scale": (112, "f", 4),
        "reserved": (128, "I", 32),
    },
    fgm.OUTPUTS: {
        "name": (0, "I", 1),
        "value": (4, "I", 1),
        "dtype": (8, "I", 1),
        "rank": (12, "I", 1),
        "shape": (16, "I", 8),
        "pixel_axes": (48, "I", 1),
        "pixel_axis": (52, "I", 2),
        "reserved": (60, "I", 17),
    },
}
HEADER_FIELDS = {
    "magic": (0, "8s"),
    "version_major": (8, "H"),
    "version_minor": (10, "H"),
    "flags": (12, "I"),
    "file_bytes": (16, "Q"),
    "checksum": (24, "Q"),
    "section_count": (32, "I"),
    "reserved": (36, "I"),
}
SECTION_FIELDS = {
    "kind": (0, "I"),
    "record_count": (4, "I"),
    "offset": (8, "Q"),
    "bytes": (16, "Q"),
    "record_bytes": (24, "I"),
    "reserved": (28, "I"),
}


def pack_record(kind: int, values: dict[str, Any]) -> bytes:
    """One record of the section, the fields that are not named being 0; a short sequence fills the first elements."""
    record = bytearray(fgm.RECORD_BYTES[kind])
    for name, value in values.items():
        offset, code, _ = FIELDS[kind][name]
        elements = value if isinstance(value, Sequence) else (value,)
        struct.pack_into(f"<{len(elements)}{code}", record, offset, *elements)
    return bytes(record)


def aligned(data: bytes) -> bytes:
    """The bytes, padded with zeros to the next multiple of 64."""
    return data + b"\0" * (-len(data) % fgm.ALIGN)


def assemble(sections: Sequence[tuple[int, int, bytes]]) -> File:
    """A file of sections (kind, records, content), in the order given."""
    position = fgm.HEADER.size + fgm.SECTION.size * len(sections)
    table, body, offsets = b"", b"", {}
    gap = -position % fgm.ALIGN
    for kind, count, content in sections:
        body += b"\0" * gap
        offset = position + len(body)
        offsets[kind] = offset
        table += fgm.SECTION.pack(kind, count, offset, len(content), fgm.RECORD_BYTES.get(kind, 0), 0)
        body += content
        gap = -(offset + len(content)) % fgm.ALIGN
    payload = table + body
    size = fgm.HEADER.size + len(payload)
    header = fgm.HEADER.pack(
        fgm.MAGIC, fgm.VERSION_MAJOR, fgm.VERSION_MINOR, 0, size, fgm.checksum(payload), len(sections), *[0] * 7
    )
    return File(bytearray(header + payload), offsets)


@dataclass
class File:
    """A file's bytes and where its sections begin; ``put*`` change single fields, ``seal`` mends the checksum."""

    data: bytearray
    offsets: dict[int, int]

    def at(self, kind: int, record: int, name: str, element: int = 0) -> int:
        """Byte of the file at which a field's element stands."""
        offset, code, _ = FIELDS[kind][name]
        return self.offsets[kind] + record * fgm.RECORD_BYTES[kind] + offset + element * struct.calcsize(code)

    def put(self, kind: int, record: int, name: str, value: Scalar, element: int = 0) -> None:
        """Sets a field's element."""
        code = FIELDS[kind][name][1]
        struct.pack_into(f"<{code}", self.data, self.at(kind, record, name, element), value)

    def get(self, kind: int, record: int, name: str, element: int = 0) -> Any:
        """A field's element."""
        code = FIELDS[kind][name][1]
        return struct.unpack_from(f"<{code}", self.data, self.at(kind, record, name, element))[0]

    def put_header(self, name: str, value: int | bytes) -> None:
        """Sets a header field."""
        offset, code = HEADER_FIELDS[name]
        struct.pack_into(f"<{code}", self.data, offset, value)

    def put_section(self, position: int, name: str, value: int) -> None:
        """Sets a field of the section table's record at ``position``."""
        offset, code = SECTION_FIELDS[name]
        struct.pack_into(f"<{code}", self.data, fgm.HEADER.size + position * fgm.SECTION.size + offset, value)

    def put_constant(self, value: int, element: int, number: Scalar) -> None:
        """Sets an element of a constant."""
        code = {fgm.DTYPE_S32: "i", fgm.DTYPE_F32: "f"}[self.get(fgm.VALUES, value, "dtype")]
        start = self.offsets[fgm.DATA] + self.get(fgm.VALUES, value, "data_offset")
        struct.pack_into(f"<{code}", self.data, start + 4 * element, number)

    def seal(self) -> bytes:
        """The bytes with the checksum that belongs to them."""
        self.put_header("checksum", fgm.checksum(bytes(self.data[fgm.HEADER.size :])))
        return bytes(self.data)


@dataclass
class Builder:
    """Collects records; every method that makes a value returns its index."""

    strings: bytearray = field(default_factory=lambda: bytearray(b"\0"))
    values: list[dict[str, Any]] = field(default_factory=list)
    nodes: list[dict[str, Any]] = field(default_factory=list)
    index: list[int] = field(default_factory=list)
    inputs: list[dict[str, Any]] = field(default_factory=list)
    outputs: list[dict[str, Any]] = field(default_factory=list)
    data: bytes = b""

    def name(self, text: str) -> int:
        """Offset of a new name in STRINGS."""
        offset = len(self.strings)
        self.strings += text.encode() + b"\0"
        return offset

    def _value(self, kind: int, dtype: int, extents: Sequence[int], producer: int, **fields: int) -> int:
        rows, cols, channels = extents
        record = {"name": 0, "kind": kind, "dtype": dtype, "rows": rows, "cols": cols, "channels": channels}
        self.values.append(record | {"producer": producer} | fields)
        return len(self.values) - 1

    def constant(self, array: npt.ArrayLike) -> int:
        """A constant of 1 x 1 x n, i32 where the array holds integers, else f32."""
        numbers = np.asarray(array)
        dtype = fgm.DTYPE_S32 if numbers.dtype.kind in "iu" else fgm.DTYPE_F32
        raw = numbers.astype("<i4" if dtype == fgm.DTYPE_S32 else "<f4").tobytes()
        self.data = aligned(self.data)
        extents = (1, 1, numbers.size)
        index = self._value(0, dtype, extents, fgm.NONE, data_offset=len(self.data), data_bytes=len(raw))
        self.data += raw
        return index

    def input(self, extents: Sequence[int], shape: Sequence[int], pixel_axis: Sequence[int] = (), **fields: Any) -> int:
        """A network input of extents rows x cols x channels and the source's shape."""
        value = self._value(1, fgm.DTYPE_F32, extents, len(self.inputs))
        name = self.name(f"input{len(self.inputs)}")
        self.inputs.append(
            {"name": name, "value": value, "rank": len(shape), "shape": tuple(shape)}
            | {"pixel_axes": len(pixel_axis), "pixel_axis": tuple(pixel_axis)}
            | fields
        )
        return value

    def node(
        self,
        name: str,
        op: int,
        inputs: Sequence[int | None],
        extents: Sequence[int],
        words: Sequence[int] = (),
        **fields: Any,
    ) -> int:
        """A node and its output of extents rows x cols x channels."""
        output = self._value(2, fgm.DTYPE_F32, extents, len(self.nodes))
        record = {"name": self.name(name), "op": op, "op_version": 1, "output": output}
        record |= {"first_input": len(self.index), "input_count": len(inputs), "words": tuple(words)}
        self.nodes.append(NO_GATE | record | fields)
        self.index += [fgm.NONE if value is None else value for value in inputs]
        return output

    def output(
        self, value: int, shape: Sequence[int], pixel_axis: Sequence[int] = (), dtype: int = fgm.DTYPE_F32
    ) -> None:
        """A network output in the source's shape."""
        self.outputs.append(
            {"name": self.name(f"output{len(self.outputs)}"), "value": value, "dtype": dtype}
            | {
                "rank": len(shape),
                "shape": tuple(shape),
                "pixel_axes": len(pixel_axis),
                "pixel_axis": tuple(pixel_axis),
            }
        )

    def sections(self) -> list[tuple[int, int, bytes]]:
        """(kind, records, content) of the seven sections."""

        def records(kind: int, items: list[dict[str, Any]]) -> tuple[int, int, bytes]:
            return kind, len(items), b"".join(pack_record(kind, item) for item in items)

        return [
            (fgm.STRINGS, 0, bytes(self.strings)),
            records(fgm.VALUES, self.values),
            records(fgm.NODES, self.nodes),
            (fgm.INDEX, len(self.index), np.asarray(self.index, "<u4").tobytes()),
            records(fgm.INPUTS, self.inputs),
            records(fgm.OUTPUTS, self.outputs),
            (fgm.DATA, 0, self.data),
        ]

    def build(self) -> File:
        """The file."""
        return assemble(self.sections())
