"""Small networks for the tests of the converters."""

from __future__ import annotations

import math

import numpy as np
import pytest

from converters.evaluate import evaluate
from converters.verify import verify
from runtime.reference.graph import (
    Activation,
    ActivationSpec,
    Attributes,
    Binary,
    BinaryOp,
    Conv2d,
    ConvTranspose2d,
    Gather,
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
from runtime.reference.ops import window_count

IDENTITY = ActivationSpec()


class Network:
    """Builds a graph node by node; every method returns the name of the new value."""

    def __init__(self, rows: int = 6, cols: int = 5, channels: int = 3, seed: int = 0) -> None:
        self.random = np.random.default_rng(seed)
        self.graph = Graph(inputs=[Input("x", "x")])
        shape = (1, channels, rows, cols)
        self.graph.values["x"] = Value("x", ValueKind.INPUT, rows, cols, channels, shape=shape, pixel_axes=(2, 3))

    def constant(self, data: object, name: str = "c") -> str:
        array = np.asarray(data, np.int32 if np.asarray(data).dtype.kind == "i" else np.float32)
        array = array.reshape((1,) * (3 - array.ndim) + array.shape) if array.ndim < 3 else array
        name = f"{name}{len(self.graph.values)}"
        extents = array.shape if array.ndim == 3 else (1, 1, array.size)
        self.graph.values[name] = Value(name, ValueKind.CONSTANT, *extents, data=array)
        return name

    def node(
        self,
        attributes: Attributes,
        inputs: list[str | None],
        extents: tuple[int, int, int],
        activation: ActivationSpec = IDENTITY,
    ) -> str:
        name = f"{attributes.NAME}{len(self.graph.nodes)}"
        shape = (1, extents[2], extents[0], extents[1])
        self.graph.values[name] = Value(name, ValueKind.NODE, *extents, shape=shape, pixel_axes=(2, 3))
        self.graph.nodes.append(Node(name, attributes, inputs, name, activation))
        return name

    def extents(self, name: str) -> tuple[int, int, int]:
        return self.graph.values[name].extents

    def conv(self, x: str, channels: int, kernel: int = 1, pad: int = 0, groups: int = 1, bias: bool = True) -> str:
        rows, cols, depth = self.extents(x)
        weights = self.random.normal(size=(kernel, kernel, depth // groups, channels))
        attributes = Conv2d(kernel, kernel, 1, 1, 1, 1, pad, pad, pad, pad, groups)
        inputs = [x, self.constant(weights, "w"), self.constant(self.random.normal(size=channels)) if bias else None]
        size = [window_count(extent, kernel, 1, 1, 2 * pad) for extent in (rows, cols)]
        return self.node(attributes, inputs, (size[0], size[1], channels))

    def skip_conv(self, x: str, channels: int, kernel: int = 1, pad: int = 0, **gate: object) -> str:
        """A convolution with a skip gate; a Gumbel gate gets weights, and the bias comes again with residuals."""
        y = self.conv(x, channels, kernel, pad)
        node = self.graph.nodes[-1]
        scale = 0.0 if gate["kind"] == SkipKind.GUMBEL else 0.25
        node.gate = SkipGate(**{"scale": scale, **gate})
        weights = None if scale else self.constant(self.random.normal(size=(1, 1, self.extents(x)[2], kernel**2)), "g")
        again = (node.gate.update, node.gate.reference) == (SkipUpdate.RESIDUAL, SkipReference.LAST)
        node.inputs = [*node.inputs, None, weights, node.inputs[2] if again else None]
        return y

    def conv_transpose(self, x: str, channels: int, kernel: int = 3, stride: int = 2) -> str:
        rows, cols, depth = self.extents(x)
        weights = self.constant(self.random.normal(size=(kernel, kernel, depth, channels)), "w")
        size = ((rows - 1) * stride + kernel, (cols - 1) * stride + kernel, channels)
        return self.node(ConvTranspose2d(kernel, kernel, stride, stride), [x, weights, None], size)

    def unary(self, x: str, kind: Activation, *parameters: float) -> str:
        return self.node(Unary(), [x], self.extents(x), ActivationSpec(kind, tuple(map(float, parameters))))

    def binary(self, kind: Binary, a: object, b: object) -> str:
        names = [name if isinstance(name, str) else self.constant(name) for name in (a, b)]
        extents = np.broadcast_shapes(*(self.extents(name) for name in names))
        return self.node(BinaryOp(int(kind)), list(names), extents)

    def pad(self, x: str, top: int, left: int, bottom: int, right: int, fill: float = 0.0) -> str:
        rows, cols, channels = self.extents(x)
        maps = [
            self.constant(np.concatenate([np.full(before, -1), np.arange(extent), np.full(after, -1)]))
            for before, extent, after in ((top, rows, bottom), (left, cols, right))
        ]
        size = (rows + top + bottom, cols + left + right, channels)
        return self.node(Gather(fill=fill), [x, *maps, None], size)

    def finish(self, *outputs: str) -> Graph:
        self.graph.outputs = [Output(name, name) for name in outputs]
        return verify(self.graph)

    @staticmethod
    def same(before: Graph, after: Graph, tolerance: float = 1e-5) -> bool:
        """Whether both graphs give equal outputs, to a relative L2 error, for a random frame."""
        verify(after)
        rng = np.random.default_rng(5)
        frame = {item.name: 2 * rng.normal(size=before.values[item.value].extents) for item in before.inputs}
        first, second = evaluate(before, frame), evaluate(after, frame)
        for a, b in zip(before.outputs, after.outputs, strict=True):
            x, y = first[a.value].astype(np.float64), second[b.value].astype(np.float64)
            error = math.sqrt(float(((x - y) ** 2).sum())) / (math.sqrt(float((x**2).sum())) + 1e-30)
            shapes = before.values[a.value].shape == after.values[b.value].shape
            if a.name != b.name or not shapes or not error <= tolerance:
                return False
        return True

    @staticmethod
    def ops(graph: Graph) -> list[str]:
        """The operators in order, each with its activation."""
        return [
            node.op + (f"+{node.activation.kind.name.lower()}" if node.activation.kind else "") for node in graph.nodes
        ]


@pytest.fixture(scope="session")
def network() -> type[Network]:
    return Network
