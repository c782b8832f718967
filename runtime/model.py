"""A converted network: read-only, memory-mapped, shareable by streams and threads."""

from __future__ import annotations

import functools
import json
import mmap
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from . import _binding
from .errors import FormatError
from .reference import format as fgm
from .reference.footprint import pixel_macs
from .reference.graph import Graph, Node
from .reference.reader import read_model


@dataclass(frozen=True)
class InputInfo:
    """A network input.

    Attributes:
        name: as in the source model.
        height, width, channels: of a frame, in the network's size.
        prepared: uint8 frames are resized and normalised as the file says.
        resized: a uint8 frame may have any height and width.
        shape: the source model's.
        pixel_axes: the axes of ``shape`` that give height and width; if there is one, width only.
    """

    name: str
    height: int
    width: int
    channels: int
    prepared: bool
    resized: bool
    shape: tuple[int, ...]
    pixel_axes: tuple[int, ...]


@dataclass(frozen=True)
class OutputInfo:
    """A network output: dtype (a NumPy name) and shape as in the source model; ``pixel_axes`` as in InputInfo."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    pixel_axes: tuple[int, ...]


@dataclass(frozen=True)
class NodeInfo:
    """An operator: the extents of its output, whether a hold gate guards it, multiply-accumulates of a dense frame."""

    name: str
    op: str
    rows: int
    cols: int
    channels: int
    gated: bool
    macs: int


class Model:
    """A `.fgm` file, executed in place. Use ``Model.load`` or ``Model.from_bytes``.

    Attributes:
        inputs, outputs, nodes: what the network takes, gives and computes, in the file's order.
        metadata: provenance and the conversion report, as the converter wrote them.
        path: where the file was loaded from, or None.
    """

    def __init__(self, data: _binding.Bytes, path: Path | None = None) -> None:
        self._data = data
        self.path = path
        self.engine = _binding.EngineModel(data) if _binding.available() else None
        if self.engine is None:
            self.graph  # noqa: B018 (reading it is the only validation there is without the engine)
        inputs = zip(self._input_infos(), _layouts(data, fgm.INPUTS, 2), strict=True)
        self.inputs = tuple(InputInfo(**info, **layout) for info, layout in inputs)
        outputs = zip(self._output_infos(), _layouts(data, fgm.OUTPUTS, 3), strict=True)
        self.outputs = tuple(OutputInfo(**info, **layout) for info, layout in outputs)
        self.nodes = tuple(NodeInfo(**info) for info in self._node_infos())
        self.metadata: dict[str, Any] = _metadata(data)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Model:
        """Opens and checks a file; it stays mapped while the model lives.

        Replace a file in use by renaming another one over it, as ``converters.convert`` does: writing into it would
        change the running network, cutting it short would end the process. ``from_bytes`` keeps a copy instead.

        Raises:
            OSError: the file cannot be read.
            FormatError, VersionError, UnsupportedError: it is damaged, or this release cannot run it.
        """
        with Path(path).open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) if size else b""
        try:
            return cls(np.frombuffer(mapped, np.uint8), Path(path))
        except FormatError as error:
            error.args = (f"{os.fspath(path)}: {error}",)
            raise

    @classmethod
    def from_bytes(cls, data: bytes | bytearray | memoryview) -> Model:
        """Opens a copy of a file's bytes. Raises as ``load``."""
        source = np.frombuffer(data, np.uint8)
        copy = _binding.aligned_bytes(source.size)
        copy[:] = source
        copy.flags.writeable = False
        return cls(copy)

    @functools.cached_property
    def graph(self) -> Graph:
        """The network as a graph with natural weights, for the NumPy backend and for tools."""
        return read_model(self._data.data)

    @property
    def macs(self) -> int:
        """Multiply-accumulates of a dense frame."""
        return sum(node.macs for node in self.nodes)

    def __repr__(self) -> str:
        return f"<Model {self.path or 'from bytes'}: {len(self.nodes)} nodes, {self.macs / 1e6:.1f} MMACs>"

    def _input_infos(self) -> list[dict[str, Any]]:
        if self.engine is not None:
            return [_with_bools(info, "prepared", "resized") for info in self.engine.inputs()]
        values = self.graph.values
        return [
            {
                "name": each.name,
                "height": values[each.value].rows,
                "width": values[each.value].cols,
                "channels": values[each.value].channels,
                "prepared": each.preprocess is not None,
                "resized": each.preprocess is not None and each.preprocess.resize != 0,
            }
            for each in self.graph.inputs
        ]

    def _output_infos(self) -> list[dict[str, Any]]:
        if self.engine is None:
            return [{"name": each.name, "dtype": each.dtype} for each in self.graph.outputs]
        return [{"name": i["name"], "dtype": fgm.DTYPE_NAMES[i["dtype"]]} for i in self.engine.outputs()]

    def _node_infos(self) -> list[dict[str, Any]]:
        if self.engine is not None:
            return [_with_bools(info, "gated") for info in self.engine.nodes()]
        values = self.graph.values
        return [
            {
                "name": node.name,
                "op": node.op,
                "rows": values[node.output].rows,
                "cols": values[node.output].cols,
                "channels": values[node.output].channels,
                "gated": node.gate is not None,
                "macs": _macs(self.graph, node),
            }
            for node in self.graph.nodes
        ]


def _with_bools(info: dict[str, Any], *fields: str) -> dict[str, Any]:
    """The info with those of its C integers that are flags as bools."""
    return {**info, **{field: bool(info[field]) for field in fields}}


def _macs(graph: Graph, node: Node) -> int:
    """Multiply-accumulates of a dense frame; inputs count by their extents and constants by their content."""
    values = [None if name is None else graph.values[name] for name in node.inputs]
    inputs: list[Any] = [
        None if v is None else v.data if v.data is not None else np.broadcast_to(np.float32(0), v.extents)
        for v in values
    ]
    return int(pixel_macs(node.attributes, inputs, graph.values[node.output].extents).sum())


def _section(data: _binding.Bytes, kind: int) -> tuple[int, int]:
    """(offset, bytes) of a section of a file that has been checked; (0, 0) if there is none."""
    count = fgm.HEADER.unpack_from(data.data)[6]
    for index in range(count):
        found, _, offset, size, _, _ = fgm.SECTION.unpack_from(data.data, fgm.HEADER.size + index * fgm.SECTION.size)
        if found == kind:
            return offset, size
    return 0, 0


def _layouts(data: _binding.Bytes, kind: int, first: int) -> list[dict[str, Any]]:
    """Source shape and pixel axes of every record of INPUTS or OUTPUTS; ``first`` is the word that holds the rank."""
    offset, size = _section(data, kind)
    step = fgm.RECORD_BYTES[kind]
    layouts = []
    for start in range(offset, offset + size, step):
        words = np.frombuffer(data.data, "<u4", 12, start + 4 * first).tolist()
        rank, shape, count, axes = words[0], words[1:9], words[9], words[10:12]
        layouts.append({"shape": tuple(shape[:rank]), "pixel_axes": tuple(axes[:count])})
    return layouts


def _metadata(data: _binding.Bytes) -> dict[str, Any]:
    """The METADATA section, which is for people and tools: nothing depends on it, so damage there is no error."""
    offset, size = _section(data, fgm.METADATA)
    try:
        found = json.loads(data[offset : offset + size].tobytes()) if size else {}
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
