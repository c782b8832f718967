"""framegate itself behind the same interface, so that it is timed exactly as the others are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .. import __version__
from ..reference import format as fgm
from ..stream import Stream
from . import Array


def without_preparation(data: bytes) -> bytes:
    """A `.fgm` file's bytes with inputs that take the network's own numbers: the fields from ``prepare`` on are 0."""
    changed = bytearray(data)
    for section in range(fgm.HEADER.unpack_from(data)[6]):
        kind, _, offset, size, _, _ = fgm.SECTION.unpack_from(data, fgm.HEADER.size + section * fgm.SECTION.size)
        if kind == fgm.INPUTS:
            for start in range(offset, offset + size, fgm.RECORD_BYTES[kind]):
                changed[start + 64 : start + 128] = bytes(64)
    changed[24:32] = fgm.checksum(memoryview(changed)[64:]).to_bytes(8, "little")
    return bytes(changed)


class OurSession:
    """A stream: ``run`` pushes, ``macs`` and ``work`` tell what the last push executed."""

    def __init__(self, model: str, options: Mapping[str, Any]) -> None:
        self._stream = Stream(model, **options)
        self._macs = 0

    @property
    def version(self) -> str:
        """Release and instruction set."""
        return f"{__version__} ({self._stream.isa})"

    @property
    def macs(self) -> int:
        """Multiply-accumulates that the last push executed."""
        return self._macs

    @property
    def work(self) -> float:
        """The same as kernels count them (``Stats.work``), as a share of a dense push."""
        stats = self._stream.stats()
        return stats.work / max(1, stats.work_dense)

    def run(self, frame: Array) -> list[Array]:
        """Pushes a frame."""
        result = self._stream.push(frame)
        self._macs = result.macs
        return list(result.outputs.values())

    def reset(self) -> None:
        """Makes the next push the first."""
        self._stream.reset()
