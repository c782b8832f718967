"""Runs a graph once, densely, with the NumPy operators: the oracle of the passes, and the measure of gates."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from runtime.reference.footprint import pixel_macs
from runtime.reference.graph import Graph, Node
from runtime.reference.ops import compute

Floats = npt.NDArray[np.float32]


def evaluate(graph: Graph, inputs: Mapping[str, Floats], keep: frozenset[str] = frozenset()) -> dict[str, Floats]:
    """The values of the network's outputs, and those in ``keep``, by value name.

    Args:
        graph: the network.
        inputs: float32 (rows, cols, channels) by input name, prepared already.
        keep: names of further values to return.
    """
    wanted = keep | {item.value for item in graph.outputs}
    values = {item.value: np.asarray(inputs[item.name], np.float32) for item in graph.inputs}
    for name, value in graph.values.items():
        if value.data is not None:
            values[name] = value.data  # type: ignore[assignment]  # index tables are int32
    last = {name: i for i, node in enumerate(graph.nodes) for name in node.inputs if name is not None}
    for i, node in enumerate(graph.nodes):
        operands = [None if name is None else values[name] for name in node.inputs]
        extents = graph.values[node.output].extents
        values[node.output] = compute(node.attributes, operands, extents, node.activation)
        for name in {name for name in node.inputs if name is not None and last[name] == i} - wanted:
            del values[name]
    return {name: values[name] for name in wanted}


def macs(graph: Graph) -> int:
    """Multiply-accumulates of one dense frame in direct form: convolutions and matrix products."""
    return sum(node_macs(graph, node) for node in graph.nodes)


def node_macs(graph: Graph, node: Node) -> int:
    """Multiply-accumulates of one node for a dense frame."""
    shapes = []
    for name in node.inputs:
        value = None if name is None else graph.values[name]
        shape = () if value is None else value.extents if value.data is None else value.data.shape
        shapes.append(np.broadcast_to(np.float32(0), shape))  # only its shape is looked at
    return int(pixel_macs(node.attributes, shapes, graph.values[node.output].extents).sum())
