"""A graph under rewriting: what the passes need to look around in a graph and to change it."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from runtime.reference.graph import (
    Activation,
    ActivationSpec,
    Array,
    Graph,
    Node,
    SkipGate,
    SkipUpdate,
    Unary,
    Value,
    ValueKind,
)

IDENTITY = ActivationSpec()
RELU = ActivationSpec(Activation.RELU)


def accumulates(node: Node) -> bool:
    """Whether a node adds residuals to its held output, which therefore must not have an activation."""
    return isinstance(node.gate, SkipGate) and node.gate.update == SkipUpdate.RESIDUAL


class Rewriter:
    """Works on a copy of a graph (constants' numbers are shared) and keeps producers and readers up to date.

    Nodes keep their order; ``finish`` returns the graph without the removed ones.
    """

    def __init__(self, graph: Graph) -> None:
        self.values = {name: dataclasses.replace(value) for name, value in graph.values.items()}
        self.nodes = [dataclasses.replace(node, inputs=list(node.inputs)) for node in graph.nodes]
        self.outputs = [dataclasses.replace(item) for item in graph.outputs]
        self._graph = graph
        self._removed: set[int] = set()
        self.producer = {node.output: node for node in self.nodes}
        self._readers: dict[str, list[Node]] = {name: [] for name in self.values}
        for node in self.nodes:
            for name in {name for name in node.inputs if name is not None}:
                self._readers[name].append(node)

    def finish(self) -> Graph:
        """The rewritten graph, without nodes and values that no network output depends on any more."""
        needed = {item.value for item in self._graph.inputs} | {item.value for item in self.outputs}
        nodes = []
        for node in reversed(list(self.live())):
            if node.output in needed:
                needed.update(node.reads)
                nodes.append(node)
        values = {name: value for name, value in self.values.items() if name in needed}
        return dataclasses.replace(self._graph, values=values, nodes=nodes[::-1], outputs=self.outputs)

    # -- looking ----------------------------------------------------------------------------------------------------

    def live(self) -> Iterator[Node]:
        """The nodes in order, without those that are removed on the way."""
        return (node for node in self.nodes if id(node) not in self._removed)

    def is_output(self, name: str) -> bool:
        """Whether the value is a result of the network."""
        return any(item.value == name for item in self.outputs)

    def readers(self, name: str) -> list[Node]:
        """The nodes that read a value."""
        return self._readers[name]

    def sole_reader(self, name: str) -> Node | None:
        """The one node that reads a value, if nobody else needs it."""
        readers = self._readers[name]
        return readers[0] if len(readers) == 1 and not self.is_output(name) else None

    def constant(self, name: str | None) -> Array | None:
        """The numbers of a constant, else None."""
        return None if name is None else self.values[name].data

    def scalar(self, name: str | None) -> float | None:
        """The number of a constant that holds one number only, however often."""
        data = self.constant(name)
        if data is None or data.size == 0 or data.ndim == 4 or not np.all(data == data.flat[0]):
            return None
        return float(data.flat[0])

    def unary(self, name: str | None, *kinds: Activation) -> tuple[str, tuple[float, ...]] | None:
        """(input, parameters) of the unary node that makes a value, if it has one of the kinds."""
        node = self.producer.get(name or "")
        if node is None or not isinstance(node.attributes, Unary) or node.activation.kind not in kinds:
            return None
        return str(node.inputs[0]), node.activation.parameters

    # -- changing ---------------------------------------------------------------------------------------------------

    def add_constant(self, name: str, data: npt.NDArray[np.generic]) -> str:
        """A new constant named like ``name``; data (rows, cols, channels), or natural weights of four axes."""
        unique, count = name, 0
        while unique in self.values:
            count += 1
            unique = f"{name}.{count}"
        rows, cols, channels = data.shape if data.ndim == 3 else (1, 1, data.size)
        self.values[unique] = Value(unique, ValueKind.CONSTANT, rows, cols, channels, data)
        self._readers[unique] = []
        return unique

    def set_inputs(self, node: Node, inputs: list[str | None]) -> None:
        """Gives a node other inputs."""
        for name in {name for name in node.inputs if name is not None}:
            self._readers[name] = [reader for reader in self._readers[name] if reader is not node]
        node.inputs = inputs
        for name in {name for name in inputs if name is not None}:
            self._readers[name].append(node)

    def become_unary(self, node: Node, x: str, kind: Activation, *parameters: float) -> None:
        """Makes a node the unary function of ``x``."""
        self.set_inputs(node, [x])
        node.attributes = Unary()
        node.activation = ActivationSpec(kind, parameters)

    def remove(self, node: Node) -> None:
        """Takes a node out; its output must have no readers left."""
        self.set_inputs(node, [])
        self._removed.add(id(node))
        if self.producer.get(node.output) is node:
            del self.producer[node.output]

    def absorb(self, node: Node, reader: Node) -> None:
        """Lets ``node`` produce what its sole reader produced, in the reader's place; the reader goes.

        A node whose gate others share stays where it is, before them: what it absorbs reads nothing else that runs.
        """
        self.remove(reader)
        if self._rename(node, reader.output):
            return
        del self.nodes[self._position(node)]
        self.nodes.insert(self._position(reader), node)

    def _rename(self, node: Node, output: str) -> bool:
        """Lets a node produce another value; whether others share its gate, who know it by that."""
        followers = [
            each for each in self.live() if isinstance(each.gate, SkipGate) and each.gate.leader == node.output
        ]
        for each in followers:
            assert isinstance(each.gate, SkipGate)
            each.gate = dataclasses.replace(each.gate, leader=output)
        del self.producer[node.output]
        node.output = output
        self.producer[output] = node
        return bool(followers)

    def _position(self, node: Node) -> int:
        return next(i for i, other in enumerate(self.nodes) if other is node)

    def bypass(self, node: Node) -> bool:
        """Removes a node whose output equals its first input number by number, pixel by pixel; False: not possible.

        A network output keeps its source shape, so it can only be bypassed where the input can take its place.
        """
        x, y = str(node.inputs[0]), node.output
        if self.is_output(y):
            if self.is_output(x) or self.values[x].kind != ValueKind.NODE:
                return False
            source = self.producer[x]
            self.remove(node)
            for reader in list(self._readers[x]):
                self.set_inputs(reader, [y if name == x else name for name in reader.inputs])
            self._rename(source, y)
            return True
        for reader in list(self._readers[y]):
            self.set_inputs(reader, [x if name == y else name for name in reader.inputs])
        self.remove(node)
        return True
