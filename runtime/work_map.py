"""Where the last push worked: the share of the network's multiply-accumulates that was executed for each pixel."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from . import video
from .reference.footprint import footprint, pixel_macs
from .reference.graph import ValueKind
from .stream import Mask, Stream


class WorkMap:
    """Follows a stream, for pictures.

    The engine tells which pixels of each value changed; what had to be computed follows from that by each operator's
    footprint. Pixels that a refresh computed only because a gate had held them back are not seen.
    """

    def __init__(self, stream: Stream) -> None:
        self.stream = stream
        graph = stream.model.graph
        values = graph.values
        self._inputs = {item.value: item.name for item in graph.inputs}
        self._work = []  # (node, its input arrays, its output's extents, MACs per pixel)
        for node in graph.nodes:
            arrays = []
            for name in node.inputs:
                value = None if name is None else values[name]
                constant = value is not None and value.kind == ValueKind.CONSTANT
                shape_only = None if value is None else np.broadcast_to(np.float32(0), value.extents)
                arrays.append(value.data if value is not None and constant else shape_only)
            macs = pixel_macs(node.attributes, arrays, values[node.output].extents)
            if macs.any():
                self._work.append((node, arrays, values[node.output].extents, macs))
        self._producers = {node.output: node.name for node in graph.nodes}

    def shares(self, rows: int, cols: int) -> npt.NDArray[np.float32]:
        """(rows, cols), 0 to 1: which share of the multiply-accumulates that belong to a pixel was executed."""
        masks: dict[str, Mask | None] = {}
        executed: dict[tuple[int, int], npt.NDArray[np.float64]] = {}
        total = 0.0
        for node, arrays, extents, macs in self._work:
            for name in node.inputs:
                if name is not None and name not in masks:
                    masks[name] = self._mask(name)
            candidates = footprint(
                node.attributes, [None if name is None else masks[name] for name in node.inputs], arrays, extents
            )
            total += float(macs.sum())
            executed.setdefault(extents[:2], np.zeros(extents[:2]))
            executed[extents[:2]] += candidates * (macs * float(macs.size))
        picture = np.zeros((rows, cols), np.float32)
        for share in executed.values():
            picture += video.stretch(share / max(total, 1.0), rows, cols).astype(np.float32)
        return picture

    def _mask(self, value: str) -> Mask | None:
        name = self._inputs.get(value) or self._producers.get(value)
        return None if name is None else self.stream.changed_mask(name)
