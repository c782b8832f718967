"""Standard deviations of gated nodes from sample frames."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from runtime.reference.errors import ArgumentError
from runtime.reference.graph import Graph, HoldGate, Input, Resize
from runtime.reference.prepare import fit, normalize

from .evaluate import evaluate

Floats = npt.NDArray[np.float32]


def prepared(graph: Graph, item: Input, frame: npt.NDArray[Any]) -> Floats:
    """The network's values (rows, cols, channels) of a frame (H, W, C), uint8 or float32.

    Raises:
        ArgumentError: the frame does not fit the input.
    """
    extents = graph.values[item.value].extents
    frame = frame[:, :, None] if frame.ndim == 2 else frame
    resized = item.preprocess is not None and item.preprocess.resize != Resize.NONE
    same = frame.ndim == 3 and (frame.shape == extents or (resized and frame.shape[2] == extents[2]))
    if not same:
        raise ArgumentError(f"sample frame has shape {frame.shape}, input {item.name!r} takes {extents}")
    if item.preprocess is None:
        return frame.astype(np.float32)
    if frame.dtype != np.uint8:
        raise ArgumentError(f"sample frame is {frame.dtype}; input {item.name!r} is prepared from uint8 frames")
    return normalize(fit(frame, extents[0], extents[1], item.preprocess), item.preprocess)


def measure_gates(graph: Graph, samples: Iterable[Any]) -> tuple[Graph, int]:
    """The graph with the standard deviation of each gated node, averaged over sample frames, and how many there were.

    Args:
        graph: a network with gates.
        samples: frames (H, W, C), or mappings from input names to frames where there are several inputs.

    Raises:
        ArgumentError: a frame does not fit, or there is none.
    """
    gated = [node.output for node in graph.nodes if isinstance(node.gate, HoldGate)]
    totals = dict.fromkeys(gated, 0.0)
    count = 0
    for sample in samples:
        frames = sample if isinstance(sample, Mapping) else {graph.inputs[0].name: sample}
        missing = [item.name for item in graph.inputs if item.name not in frames]
        if missing:
            raise ArgumentError(f"a sample lacks frames for inputs {missing}; give a mapping from names to frames")
        inputs = {item.name: prepared(graph, item, np.asarray(frames[item.name])) for item in graph.inputs}
        values = evaluate(graph, inputs, frozenset(gated))
        for name in gated:
            totals[name] += float(np.std(values[name], dtype=np.float64))
        count += 1
    if count == 0:
        raise ArgumentError("samples holds no frame")
    nodes = [
        dataclasses.replace(node, gate=dataclasses.replace(node.gate, std=totals[node.output] / count))
        if isinstance(node.gate, HoldGate)
        else node
        for node in graph.nodes
    ]
    return dataclasses.replace(graph, nodes=nodes), count
