"""Numbers of the `.fgm` file that both the reader and the writer need; docs/file_format.md is normative."""

from __future__ import annotations

import struct
import sys

import numpy as np

MAGIC = b"\x89FGM\r\n\x1a\n"
VERSION_MAJOR, VERSION_MINOR = 1, 0
ALIGN = 64
PANEL = 16
NONE = 0xFFFFFFFF

STRINGS, VALUES, NODES, INDEX, INPUTS, OUTPUTS, DATA = range(1, 8)
METADATA = 0x80000001

HEADER = struct.Struct("<8sHHIQQI7I")
SECTION = struct.Struct("<IIQQII")
VALUE = struct.Struct("<8I2Q4I")
NODE_HEAD = struct.Struct("<8I4f3I2fI3f2I9I")  # the first 128 bytes; attributes follow
INPUT = struct.Struct("<2I9I3I2f4I4I4f4f32I")
OUTPUT = struct.Struct("<3I9I3I17I")
RECORD_BYTES = {VALUES: 64, NODES: 256, INDEX: 4, INPUTS: 256, OUTPUTS: 128}

DTYPE_S32, DTYPE_F32, DTYPE_S64, DTYPE_BOOL = 3, 4, 5, 6
DTYPE_NAMES = {DTYPE_S32: "int32", DTYPE_F32: "float32", DTYPE_S64: "int64", DTYPE_BOOL: "bool"}
DTYPE_IDS = {name: number for number, name in DTYPE_NAMES.items()}

assert HEADER.size == 64
assert VALUE.size == 64
assert NODE_HEAD.size == 128
assert INPUT.size == 256
assert OUTPUT.size == 128


def checksum(payload: bytes | memoryview) -> int:
    """The header's checksum of bytes 64 to the end of the file."""
    padded = bytes(payload) + b"\0" * (-len(payload) % 4)
    words = np.frombuffer(padded, "<u4").astype(np.uint64)
    mask = np.uint64(0xFFFFFFFF)
    a = int(words.sum(dtype=np.uint64) & mask)
    weights = np.arange(len(words), 0, -1, dtype=np.uint64)
    b = int((words * (weights & mask)).sum(dtype=np.uint64) & mask)
    return a | b << 32


if sys.byteorder != "little":  # pragma: no cover
    raise ImportError("framegate reads its files in place and needs a little-endian machine")
