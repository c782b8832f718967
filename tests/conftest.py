"""Small networks for the tests, as `.fgm` bytes: no ONNX, no download."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

import runtime
from converters.writer import to_bytes
from runtime.reference.graph import (
    Activation,
    ActivationSpec,
    Binary,
    BinaryOp,
    Conv2d,
    Graph,
    HoldGate,
    Input,
    Node,
    Output,
    Preprocess,
    ReducePixels,
    Resize,
    Unary,
    Value,
    ValueKind,
    View,
)

HEIGHT, WIDTH = 12, 16


def _add(graph: Graph, *values: Value) -> None:
    graph.values.update({value.name: value for value in values})


def image_graph(*, prepared: bool = False, alpha: float = 0.0, height: int = HEIGHT, width: int = WIDTH) -> Graph:
    """Conv 3x3 in small integers: outputs "map" (1, 4, 12, 16), "flat" (192, 4), untracked, and "mean" (1, 4)."""
    graph = Graph(metadata={"source": "conftest"})
    preprocess = Preprocess(Resize.STRETCH, channel_order=(2, 1, 0)) if prepared else None
    graph.inputs.append(Input("frame", "x", 0.0, 0.0, preprocess))
    weights = np.random.default_rng(1).integers(-2, 3, (3, 3, 3, 4)).astype(np.float32)
    _add(
        graph,
        Value("x", ValueKind.INPUT, height, width, 3, shape=(1, 3, height, width), pixel_axes=(2, 3)),
        Value("w", ValueKind.CONSTANT, 1, 1, weights.size, data=weights),
        Value("y", ValueKind.NODE, height, width, 4, shape=(1, 4, height, width), pixel_axes=(2, 3)),
        Value("v", ValueKind.NODE, 1, 1, height * width * 4, shape=(height * width, 4)),
        Value("m", ValueKind.NODE, 1, 1, 4, shape=(1, 4)),
    )
    conv = Conv2d(3, 3, pad_top=1, pad_left=1, pad_bottom=1, pad_right=1)
    gate = HoldGate(alpha, std=1.0)
    graph.nodes += [
        Node("conv", conv, ["x", "w"], "y", ActivationSpec(Activation.RELU), gate),
        Node("flatten", View(), ["y"], "v"),
        Node("pool", ReducePixels(1), ["y"], "m"),
    ]
    graph.outputs += [Output("map", "y"), Output("flat", "v"), Output("mean", "m")]
    return graph


def vectors_graph() -> Graph:
    """Two inputs that are no images: "a" (1, 5, 7) with its last axis as pixels, "b" (1, 5); "sum" is -(a + b)."""
    graph = Graph()
    graph.inputs += [Input("a", "xa"), Input("b", "xb")]
    _add(
        graph,
        Value("xa", ValueKind.INPUT, 1, 7, 5, shape=(1, 5, 7), pixel_axes=(2,)),
        Value("xb", ValueKind.INPUT, 1, 1, 5, shape=(1, 5)),
        Value("s", ValueKind.NODE, 1, 7, 5, shape=(1, 5, 7), pixel_axes=(2,)),
        Value("n", ValueKind.NODE, 1, 7, 5, shape=(1, 5, 7), pixel_axes=(2,)),
    )
    graph.nodes += [
        Node("add", BinaryOp(Binary.ADD), ["xa", "xb"], "s"),
        Node("negate", Unary(), ["s"], "n", ActivationSpec(Activation.NEG)),
    ]
    graph.outputs.append(Output("sum", "n"))
    return graph


@pytest.fixture(scope="session")
def make_image_model() -> Callable[..., runtime.Model]:
    return lambda **options: runtime.Model.from_bytes(to_bytes(image_graph(**options)))


@pytest.fixture(scope="session")
def image_model(make_image_model: Callable[..., runtime.Model]) -> runtime.Model:
    return make_image_model()


@pytest.fixture(scope="session")
def vectors_model() -> runtime.Model:
    return runtime.Model.from_bytes(to_bytes(vectors_graph()))


@pytest.fixture(params=["engine", "numpy"])
def backend(request: pytest.FixtureRequest) -> str:
    if request.param == "engine" and not runtime.engine_available():
        pytest.fail("the engine is not built: run `python build.py develop`")
    return str(request.param)


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)
