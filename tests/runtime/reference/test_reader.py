"""The reader on whole and on damaged files; the writer's own tests are in tests/converters/test_writer.py."""

from __future__ import annotations

import contextlib
import dataclasses
import struct
from pathlib import Path

import numpy as np
import pytest

from converters.writer import to_bytes
from runtime.reference import format as fgm
from runtime.reference.errors import Error, FormatError, UnsupportedError, VersionError
from runtime.reference.graph import (
    Conv2d,
    ConvTranspose2d,
    Graph,
    Input,
    Node,
    Output,
    SkipGate,
    SkipKind,
    SkipReference,
    SkipUpdate,
    Unary,
    Value,
    ValueKind,
)
from runtime.reference.reader import read_model


def network() -> Graph:
    weights = np.arange(18, dtype=np.float32).reshape(3, 3, 1, 2)
    graph = Graph(inputs=[Input("frame", "x")], outputs=[Output("y", "y")], metadata={"source": "test"})
    for value in (
        Value("x", ValueKind.INPUT, 4, 5, 1, shape=(1, 1, 4, 5), pixel_axes=(2, 3)),
        Value("w", ValueKind.CONSTANT, 1, 1, 18, data=weights),
        Value("y", ValueKind.NODE, 2, 3, 2, shape=(1, 2, 2, 3), pixel_axes=(2, 3)),
    ):
        graph.values[value.name] = value
    graph.nodes.append(Node("conv", Conv2d(3, 3), ["x", "w", None, None], "y"))
    return graph


def signed(data: bytearray) -> bytes:
    """The file with its checksum made right again."""
    struct.pack_into("<Q", data, 24, fgm.checksum(data[64:]))
    return bytes(data)


def test_reads_what_was_written(tmp_path: Path) -> None:
    path = tmp_path / "net.fgm"
    path.write_bytes(to_bytes(network()))
    graph = read_model(path)
    assert graph.nodes == network().nodes
    assert graph.inputs == network().inputs
    assert graph.outputs == network().outputs
    assert graph.metadata == {"source": "test"}
    assert np.array_equal(graph.values["w"].data, network().values["w"].data)
    assert graph.values["y"].shape == (1, 2, 2, 3)
    assert graph.values["y"].pixel_axes == (2, 3)


def test_plain_constants_are_views_of_the_file() -> None:
    graph = network()
    graph.values["b"] = Value("b", ValueKind.CONSTANT, channels=2, data=np.ones((1, 1, 2), np.float32))
    graph.nodes[0].inputs[2] = "b"
    bias = read_model(to_bytes(graph)).values["b"].data
    assert bias is not None
    assert not bias.flags.owndata
    assert not bias.flags.writeable


def test_one_constant_read_by_two_packings_becomes_two_values() -> None:
    graph = network()
    graph.values["z"] = Value("z", ValueKind.NODE, 6, 7, 2, shape=(1, 2, 6, 7), pixel_axes=(2, 3))
    graph.nodes.append(Node("up", ConvTranspose2d(3, 3), ["x", "w"], "z"))
    graph.outputs.append(Output("z", "z"))
    again = read_model(to_bytes(graph))
    assert again.nodes[0].inputs[1] != again.nodes[1].inputs[1]
    for node in again.nodes:
        assert np.array_equal(again.values[str(node.inputs[1])].data, graph.values["w"].data)


@pytest.mark.parametrize(
    ("offset", "patch", "kind", "message"),
    [
        (0, b"\x00", FormatError, "not a .fgm file"),
        (8, b"\x02", VersionError, "major version 2, this release reads 1"),
        (12, b"\x01", UnsupportedError, "header flags 0x1"),
        (16, b"\x01", FormatError, "header says"),
        (36, b"\x01", FormatError, "reserved words"),
        (32, b"\x05", FormatError, "section count 5"),
        (64, b"\x08", UnsupportedError, "section kind 8"),
        (72, b"\x01", FormatError, "out of place"),
    ],
)
def test_damaged_header(offset: int, patch: bytes, kind: type[Error], message: str) -> None:
    data = bytearray(to_bytes(network()))
    data[offset : offset + len(patch)] = patch
    with pytest.raises(kind, match=message):
        read_model(signed(data))


def test_a_flipped_bit_is_found_by_the_checksum() -> None:
    data = bytearray(to_bytes(network()))
    data[-3] ^= 4
    with pytest.raises(FormatError, match="checksum differs"):
        read_model(bytes(data))


def test_every_truncation_is_a_format_error() -> None:
    data = to_bytes(network())
    for length in range(0, len(data), 7):
        with pytest.raises(FormatError):
            read_model(data[:length])


def test_random_damage_never_crashes_strangely() -> None:
    random = np.random.default_rng(1)
    whole = to_bytes(network())
    for _ in range(2000):
        data = bytearray(whole)
        for _ in range(int(random.integers(1, 4))):
            data[int(random.integers(len(data)))] = int(random.choice([0, 1, 7, 127, 255]))
        with contextlib.suppress(FormatError, UnsupportedError):
            read_model(signed(data))


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(Error, match=r"none\.fgm: No such file"):
        read_model(tmp_path / "none.fgm")


def test_message_names_the_path(tmp_path: Path) -> None:
    path = tmp_path / "bad.fgm"
    path.write_bytes(b"x" * 100)
    with pytest.raises(FormatError, match=r"bad\.fgm: not a \.fgm file"):
        read_model(path)


def test_equal_and_empty_names_become_unique() -> None:
    graph = network()
    graph.values["y"].name = ""
    graph.values[""] = graph.values.pop("y")
    graph.nodes[0].output = graph.outputs[0].value = ""
    graph.nodes.append(Node("", Unary(), [""], "z"))
    graph.values["z"] = Value("z", ValueKind.NODE, 2, 3, 2, shape=(12,))
    graph.outputs.append(Output("z", "z"))
    assert read_model(to_bytes(graph)).nodes[0].output == "#2"


GATES = [
    SkipGate(SkipKind.NORM_INPUT, eps=-0.5, scale=0.25, block=4, floor=True, half=True, reset=3),
    SkipGate(SkipKind.NORM_OUTPUT, eps=0.5, scale=2.0, update=SkipUpdate.RECOMPUTE),
    SkipGate(SkipKind.NORM_INPUT, eps=0.5, scale=2.0, reference=SkipReference.FIRED),
    SkipGate(SkipKind.GUMBEL, bias=-1.5, block=8, update=SkipUpdate.RECOMPUTE, reference=SkipReference.FIRED),
]


@pytest.mark.parametrize("gate", GATES, ids=lambda gate: gate.kind.name)
def test_skip_gates_come_back(gate: SkipGate) -> None:
    graph = network()
    node = graph.nodes[0]
    node.gate = gate
    node.inputs += [None, None]
    if gate.kind == SkipKind.GUMBEL:
        taps = np.arange(9, dtype=np.float32).reshape(1, 1, 1, 9)
        graph.values["gw"] = Value("gw", ValueKind.CONSTANT, 1, 1, 9, data=taps)
        node.inputs[4] = "gw"
    if gate.floor:
        graph.values["rb"] = Value("rb", ValueKind.CONSTANT, channels=2, data=np.ones((1, 1, 2), np.float32))
        node.inputs[5] = "rb"
    read = read_model(to_bytes(graph))
    assert read.nodes == graph.nodes
    for name in (n for n in node.inputs[4:] if n is not None):
        assert np.array_equal(read.values[name].data, graph.values[name].data)


def test_shared_gates_come_back() -> None:
    graph = network()
    first = graph.nodes[0]
    first.gate = GATES[2]
    first.inputs += [None, None]
    for name in ("t", "u"):
        shared = SkipGate(SkipKind.SHARED, reference=SkipReference.FIRED, leader=first.output)
        graph.nodes.append(dataclasses.replace(first, name=name, output=name, gate=shared))
        graph.values[name] = dataclasses.replace(graph.values[first.output], name=name, shape=(), pixel_axes=())
    data = bytearray(to_bytes(graph))
    assert read_model(data).nodes == graph.nodes
    kinds = [fgm.SECTION.unpack_from(data, 64 + 32 * i) for i in range(7)]
    offset = next(section[2] for section in kinds if section[0] == fgm.NODES)
    struct.pack_into("<I", data, offset + 256 * (len(graph.nodes) - 1) + 88, 7)
    struct.pack_into("<Q", data, 24, fgm.checksum(data[64:]))
    with pytest.raises(FormatError, match="shares the gate of node 7, which is no earlier one"):
        read_model(bytes(data))


def test_unknown_gate_flags_are_unsupported() -> None:
    data = bytearray(to_bytes(network()))
    kinds = [fgm.SECTION.unpack_from(data, 64 + 32 * i) for i in range(7)]
    offset = next(section[2] for section in kinds if section[0] == fgm.NODES)
    struct.pack_into("<I", data, offset + 68, 1 << 4)
    with pytest.raises(UnsupportedError, match="gate 0 with flags 16"):
        read_model(signed(data))


def test_unknown_node_flags_and_compact_alone() -> None:
    data = bytearray(to_bytes(network()))
    kinds = [fgm.SECTION.unpack_from(data, 64 + 32 * i) for i in range(7)]
    offset = next(section[2] for section in kinds if section[0] == fgm.NODES)
    struct.pack_into("<I", data, offset + 12, 4)
    with pytest.raises(UnsupportedError, match="flags 4"):
        read_model(signed(data))
    struct.pack_into("<I", data, offset + 12, 2)
    with pytest.raises(FormatError, match="has compact without winograd"):
        read_model(signed(data))
