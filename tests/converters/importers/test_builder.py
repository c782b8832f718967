from __future__ import annotations

import numpy as np
import pytest

from converters.importers.builder import Builder
from runtime.reference.graph import Activation, Binary, Reduce

from .models import run

IMAGE = (1, 3, 4, 5)
FRAME = np.random.default_rng(0).standard_normal(IMAGE).astype(np.float32)


def result(build, shape=IMAGE, dtype="float32"):
    """Runs what ``build(builder, tensor)`` makes of a random frame."""
    builder = Builder()
    x = builder.input("x", shape, "float32")
    builder.begin("node")
    builder.output("y", builder.bind(build(builder, x), "y"), dtype)
    frame = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    return builder.graph, frame, run(builder.graph, {"x": frame})["y"]


@pytest.mark.parametrize("axes", [(), (1,), (3,), (3, 2), (1, 3)])
def test_every_layout_holds_the_same_tensor(axes):
    graph, frame, y = result(lambda builder, x: builder.as_layout(x, axes))
    np.testing.assert_array_equal(y, frame)
    assert graph.nodes[0].op == "transpose"


def test_layout_of_a_vector_is_free():
    graph, _, _ = result(lambda b, x: b.unary(b.as_layout(x, ()), Activation.NEG), (1, 3, 1, 1))
    assert [node.op for node in graph.nodes] == ["unary"]


@pytest.mark.parametrize("perm", [(0, 2, 3, 1), (2, 0, 1, 3), (3, 1, 2, 0)])
def test_transpose(perm):
    _, frame, y = result(lambda builder, x: builder.transpose(x, perm))
    np.testing.assert_array_equal(y, frame.transpose(perm))


def test_take_with_fill():
    index = {1: np.array([2, -1, 0]), 3: np.array([-1, 4, 4])}
    _, frame, y = result(lambda builder, x: builder.take(x, index, 9.0))
    expected = np.full((1, 3, 4, 3), 9.0, np.float32)
    expected[:, 0, :, 1:] = frame[:, 2, :, 4][..., None]
    expected[:, 2, :, 1:] = frame[:, 0, :, 4][..., None]
    np.testing.assert_array_equal(y, expected)


def test_names_follow_the_source():
    builder = Builder()
    x = builder.input("x", IMAGE, "float32")
    builder.begin("scale")
    y = builder.bind(builder.unary(builder.binary(Binary.MUL, x, np.float32(2)[()] * np.ones(1)), Activation.RELU), "y")
    builder.output("y", y, "float32")
    assert [(node.name, node.output) for node in builder.graph.nodes] == [
        ("scale/binary", "scale/binary"),
        ("scale", "y"),
    ]
    assert len({node.name for node in builder.graph.nodes}) == 2


def test_constants_are_shared():
    builder = Builder()
    assert builder.constant(np.ones(4, np.int64)) == builder.constant(np.ones(4, np.int32))
    assert builder.constant(np.ones(4)) != builder.constant(np.ones(4, np.int32))


def test_outputs_of_one_value_keep_their_own_shapes():
    builder = Builder()
    x = builder.input("x", IMAGE, "float32")
    builder.begin("n")
    y = builder.bind(builder.unary(x, Activation.NEG), "y")
    builder.output("y", y, "float32")
    builder.output("z", builder.transpose(y, (0, 2, 3, 1)), "float32")
    results = run(builder.graph, {"x": FRAME})
    np.testing.assert_array_equal(results["z"], results["y"].transpose(0, 2, 3, 1))


def test_unread_nodes_go():
    builder = Builder()
    x = builder.input("x", IMAGE, "float32")
    builder.binary(Binary.ADD, x, np.ones(1, np.float32))
    builder.output("x", x, "float32")
    builder.remove_unread()
    assert builder.graph.nodes == []
    assert list(builder.graph.values) == ["x"]


def test_reduce_and_softmax_over_any_axes():
    for axes in [(1,), (2,), (1, 3), (1, 2, 3)]:
        _, frame, y = result(lambda builder, x, axes=axes: builder.reduce(Reduce.MAX, x, axes))
        np.testing.assert_array_equal(y, frame.max(axes, keepdims=True))
    for axis in (1, 2, 3):
        _, frame, y = result(lambda builder, x, axis=axis: builder.softmax(x, [axis]))
        exponent = np.exp(frame)
        np.testing.assert_allclose(y, exponent / exponent.sum(axis, keepdims=True), rtol=1e-5)
