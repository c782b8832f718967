"""Ways of damaging one thing in a file that holds every operator."""

from __future__ import annotations

import re
import struct
from collections.abc import Callable
from typing import NamedTuple

from runtime.reference import format as fgm
from runtime.reference.format import DATA, INDEX, INPUTS, NODES, OUTPUTS, STRINGS, VALUES

from .builder import Builder, File, assemble
from .networks import VIEW, every_op

NET, V = every_op()
NAMES = [bytes(NET.strings[node["name"] :]).split(b"\0")[0].decode() for node in NET.nodes]
N = {name: i for i, name in enumerate(NAMES)}
KINDS = [STRINGS, VALUES, NODES, INDEX, INPUTS, OUTPUTS, DATA]
WORD = {"kernel_h": 0, "kernel_w": 1, "stride_h": 2, "dilation_w": 5, "pad_top": 6, "groups": 10, "residual": 11}
NAN, INF = float("nan"), float("inf")


class Damage(NamedTuple):
    """What is done to a file, and what the loader says to it; numbers that are sums over the file are patterns."""

    mutate: Callable[[File], bytes | None]  # None: the file as it stands, sealed
    status: str
    message: str | re.Pattern[str]


def put(kind: int, record: int, field: str, value: float, element: int = 0) -> Callable[[File], None]:
    """Sets one field."""
    return lambda file: file.put(kind, record, field, value, element)


def value(name: str, field: str, number: float, element: int = 0) -> Callable[[File], None]:
    """Sets one field of a value."""
    return put(VALUES, V[name], field, number, element)


def node(name: str, field: str, number: float, element: int = 0) -> Callable[[File], None]:
    """Sets one field of a node."""
    return put(NODES, N[name], field, number, element)


def word(name: str, element: int | str, number: int) -> Callable[[File], None]:
    """Sets one attribute of a node."""
    return node(name, "words", number, WORD[element] if isinstance(element, str) else element)


def argument(name: str, slot: int, number: int) -> Callable[[File], None]:
    """Replaces one input of a node."""
    return put(INDEX, NET.nodes[N[name]]["first_input"] + slot, "value", number)


def constant(name: str, element: int, number: float) -> Callable[[File], None]:
    """Sets one number of a constant."""
    return lambda file: file.put_constant(V[name], element, number)


def header(field: str, number: int | bytes) -> Callable[[File], None]:
    """Sets one field of the header."""
    return lambda file: file.put_header(field, number)


def section(kind: int, field: str, number: int) -> Callable[[File], None]:
    """Sets one field of a section's record."""
    return lambda file: file.put_section(KINDS.index(kind), field, number)


def unsealed(mutate: Callable[[File], None]) -> Callable[[File], bytes]:
    """The damage without a checksum that fits it."""

    def result(file: File) -> bytes:
        mutate(file)
        return bytes(file.data)

    return result


def poke(position: int) -> Callable[[File], None]:
    """Sets the byte at a position to 1."""

    def mutate(file: File) -> None:
        file.data[position] = 1

    return mutate


def rebuilt(
    change: Callable[[Builder, list[tuple[int, int, bytes]]], list[tuple[int, int, bytes]]],
) -> Callable[[File], bytes]:
    """A file with other sections."""

    def mutate(_: File) -> bytes:
        return assemble(change(NET, NET.sections())).seal()

    return mutate


def with_content(kind: int, content: bytes) -> Callable[[File], bytes]:
    """A file where a section without records holds something else."""
    return rebuilt(lambda _, sections: [(k, n, content if k == kind else c) for k, n, c in sections])


def without(kind: int) -> Callable[[File], bytes]:
    """A file that lacks a section, with another one behind so that there are seven."""
    return rebuilt(lambda _, sections: [*(item for item in sections if item[0] != kind), (fgm.METADATA, 0, b"{}")])


def extended(file: File) -> bytes:
    """A word behind DATA, of which header and section table know."""
    file.data += b"\0\0\0\0"
    file.put_header("file_bytes", len(file.data))
    file.put_section(6, "bytes", len(file.data) - file.offsets[DATA])
    return file.seal()


FILE = NET.build()
SIZE = len(FILE.data)
DATA_BYTES = len(NET.data)
GAP = FILE.offsets[VALUES] - 1  # between STRINGS and VALUES
CONSTANT_GAP = FILE.offsets[DATA] + NET.values[V["flip.row_map"]]["data_offset"] + 16
F, U = "FORMAT", "UNSUPPORTED"


def both(*mutations: Callable[[File], None]) -> Callable[[File], None]:
    """One damage after the other."""

    def mutate(file: File) -> None:
        for mutation in mutations:
            mutation(file)

    return mutate


def short_table(_: File) -> bytes:
    """A header that announces more section records than the file has room for."""
    table = b"\0" * 256
    header_bytes = fgm.HEADER.pack(fgm.MAGIC, 1, 0, 0, 320, fgm.checksum(table), 32, *[0] * 7)
    return header_bytes + table


def index_of(net: Builder, item: tuple[int, int, bytes], extra: int) -> tuple[int, int, bytes]:
    """INDEX with an entry more or less, the other sections as they are."""
    if item[0] != INDEX:
        return item
    entries = [*net.index, 0][: len(net.index) + extra]
    return INDEX, len(entries), struct.pack(f"<{len(entries)}I", *entries)


def node_making_an_input(_: File) -> bytes:
    """A node that says it makes the network's input."""
    net = Builder()
    x = net.input((1, 1, 1), ())
    net.node("view", VIEW, [x], (1, 1, 1))
    net.values.pop()
    net.nodes[0]["output"] = x
    net.output(x, ())
    return net.build().seal()
