from __future__ import annotations

import numpy as np
import pytest
from onnx import helper

from converters.importers.onnx import import_onnx

from .models import check, model, one, ops, run

IMAGE = (1, 6, 4, 8)


def moves(made):
    """Operators but the negation, after a check of the numbers."""
    return [op for op in ops(check(made)) if op != "unary"]


def chain(shape, *steps, opset=17):
    """A negation, then steps ("Reshape", shape) or ("Transpose", perm)."""
    nodes, constants, last = [helper.make_node("Neg", ["x"], ["n"])], {}, "n"
    for index, (op, argument) in enumerate(steps):
        name = "y" if index == len(steps) - 1 else f"t{index}"
        if op == "Transpose":
            nodes.append(helper.make_node(op, [last], [name], perm=argument))
        else:
            constants[f"c{index}"] = np.array(argument)
            nodes.append(helper.make_node(op, [last, f"c{index}"], [name]))
        last = name
    return model(nodes, {"x": shape}, constants, opset=opset)


@pytest.mark.parametrize(
    ("shape", "target", "expected"),
    [
        (IMAGE, (1, 6, 32), ["view"]),
        (IMAGE, (1, 6, -1), ["view"]),
        (IMAGE, (0, 2, 3, -1, 8), []),
        (IMAGE, (6, 4, 8), []),
        (IMAGE, (1, 6, 2, 16), ["view"]),
        (IMAGE, (1, 192), ["transpose"]),
        (IMAGE, (1, 4, 6, 8), None),
        (IMAGE, (1, 12, 2, 8), None),
        (IMAGE, (1, 6, 4, 4, 2), None),
        (IMAGE, (1, 3, 64), None),
        ((1, 6, 1, 1), (1, 6), []),
        ((1, 6), (1, 6, 1, 1), []),
        ((1, 6), (1, 2, 3), []),
        ((1, 6, 4), (1, 24), ["transpose"]),
        ((1, 6, 5), (1, 10, 3), None),
        ((1, 4, 8, 3), (1, 32, 3), None),
    ],
)
def test_reshape(shape, target, expected):
    found = moves(chain(shape, ("Reshape", target)))
    assert expected is None or found == expected


@pytest.mark.parametrize("perm", [(0, 2, 3, 1), (0, 3, 2, 1), (0, 1, 3, 2), (3, 2, 1, 0), (0, 2, 1, 3), (1, 0, 2, 3)])
def test_transpose_is_free(perm):
    assert moves(chain(IMAGE, ("Transpose", perm))) == []


def test_transposes_there_and_back():
    assert moves(chain(IMAGE, ("Transpose", (0, 3, 1, 2)), ("Transpose", (0, 2, 3, 1)))) == []


@pytest.mark.parametrize(
    "steps",
    [
        [("Reshape", (1, 2, 3, 4, 8)), ("Transpose", (0, 2, 1, 3, 4)), ("Reshape", IMAGE)],
        [("Reshape", (3, 2, 32)), ("Transpose", (1, 0, 2)), ("Reshape", (2, 1, 3, 4, 8))],
    ],
)
def test_channel_shuffle_stays_within_pixels(steps):
    assert set(moves(chain(IMAGE, *steps))) <= {"gather", "view"}


def test_detection_head_keeps_pixels():
    graph = check(chain(IMAGE, ("Transpose", (0, 2, 3, 1)), ("Reshape", (1, -1, 3))))
    assert ops(graph) == ["unary", "view"]
    assert graph.values["y"].extents == (1, 64, 3)


def test_anchors_before_pixels_become_a_concat():
    steps = [("Reshape", (1, 2, 3, 4, 8)), ("Transpose", (0, 1, 3, 4, 2)), ("Reshape", (1, -1, 3))]
    graph = check(chain(IMAGE, *steps))
    assert "transpose" not in ops(graph)
    assert graph.values["y"].extents == (1, 64, 3)


def test_pixel_shuffle_in_parts_is_one_gather():
    steps = [("Reshape", (1, 2, 2, 2, 4, 8)), ("Transpose", (0, 1, 4, 2, 5, 3)), ("Reshape", (1, 2, 8, 16))]
    assert moves(chain((1, 8, 4, 8), *steps)) == ["gather"]


def test_pixel_unshuffle_in_parts_stays_local():
    steps = [("Reshape", (1, 6, 2, 2, 4, 2)), ("Transpose", (0, 1, 3, 5, 2, 4)), ("Reshape", (1, 24, 2, 4))]
    assert "transpose" not in moves(chain(IMAGE, *steps))


def test_one_dimensional_pixel_shuffle():
    steps = [("Reshape", (1, 3, 2, 8)), ("Transpose", (0, 1, 3, 2)), ("Reshape", (1, 3, 16))]
    assert moves(chain((1, 6, 8), *steps)) == ["gather"]


@pytest.mark.parametrize("mode", ["DCR", "CRD"])
def test_depth_to_space(mode):
    graph = check(one("DepthToSpace", (1, 12, 3, 5), blocksize=2, mode=mode))
    assert set(ops(graph)) == {"gather"}
    check(one("DepthToSpace", (1, 18, 3, 5), blocksize=3, mode=mode))


def test_space_to_depth():
    graph = check(one("SpaceToDepth", (1, 3, 4, 6), blocksize=2))
    assert "transpose" not in ops(graph)


def test_flatten_and_squeeze():
    for axis in (0, 1, 2, 3, -1):
        check(one("Flatten", IMAGE, axis=axis))
    check(one("Squeeze", (1, 6, 1, 8), np.array([2])))
    check(one("Squeeze", (1, 6, 1, 8), opset=11, axes=[0, 2]))
    check(one("Squeeze", (1, 6, 1, 8)))
    check(one("Unsqueeze", (6, 8), np.array([0, -1])))
    check(one("Unsqueeze", (1, 6, 8), opset=11, axes=[2]))


@pytest.mark.parametrize("axis", [0, 1, 2, 3, -1])
def test_concat_and_split(axis):
    check(one("Concat", IMAGE, np.ones(IMAGE, np.float32), more=[IMAGE], axis=axis))
    if axis:
        check(one("Split", IMAGE, outputs=2, opset=11, axis=axis))
        check(one("Split", IMAGE, np.array([1, IMAGE[axis] - 1]), outputs=2, axis=axis))
    check(one("Split", (1, 7, 8), outputs=3, opset=18, axis=1, num_outputs=3))


def test_concat_of_unequal_layouts():
    nodes = [
        helper.make_node("Transpose", ["x"], ["t"], perm=[0, 2, 3, 1]),
        helper.make_node("Concat", ["t", "x2"], ["y"], axis=3),
    ]
    check(model(nodes, {"x": (1, 6, 8, 9), "x2": (1, 8, 9, 5)}))
    inner = [helper.make_node("Reshape", ["x", "s"], ["r"]), helper.make_node("Concat", ["r", "r"], ["y"], axis=2)]
    check(model(inner, {"x": IMAGE}, {"s": np.array([1, 2, 3, 4, 8])}))


def test_sequences_joined_along_channels_stay_pixels_of_channels():
    """A detection head's boxes and scores: seen as pixels of one channel each they would be gated number by number."""
    made = model(
        [
            helper.make_node("Concat", ["a", "b"], ["boxes"], axis=1),
            helper.make_node("Mul", ["boxes", "strides"], ["scaled"]),
            helper.make_node("Concat", ["scaled", "scores"], ["y"], axis=1),
        ],
        {"a": (1, 2, 40), "b": (1, 2, 40), "scores": (1, 5, 40)},
        {"strides": np.arange(1, 41, dtype=np.float32).reshape(1, 40)},
    )
    graph = check(made)
    assert ops(graph) == ["concat", "binary", "concat"]
    assert [graph.values[node.output].extents for node in graph.nodes] == [(1, 40, 4), (1, 40, 4), (1, 40, 9)]


@pytest.mark.parametrize(
    "arguments",
    [
        ([1], [3], [1], [1]),
        ([0, 1], [4, 8], [2, 3], [2, 3]),
        ([-1], [-100], [3], [-1]),
        ([100], [-100], [2], [-2]),
        ([-3, 1], [2**62, -1], [1, 3], [1, 2]),
        ([0], [1], [0], [1]),
    ],
)
def test_slice(arguments):
    starts, ends, axes, steps = (np.array(item) for item in arguments)
    assert ops(check(one("Slice", IMAGE, starts, ends, axes, steps))) in (["gather"], [])
    if all(steps == 1):
        check(one("Slice", IMAGE, opset=9, starts=starts.tolist(), ends=ends.tolist(), axes=axes.tolist()))


def test_gather():
    for axis in (1, 2, 3):
        check(one("Gather", IMAGE, np.array([2, 0, -1]), axis=axis))
        check(one("Gather", IMAGE, np.array(1), axis=axis))
        check(one("Gather", IMAGE, np.array([[0, 1], [3, 2]]), axis=axis))
    check(one("Gather", IMAGE, np.array(0), axis=0))


@pytest.mark.parametrize("mode", ["constant", "reflect", "edge", "wrap"])
@pytest.mark.parametrize("pads", [(0, 0, 1, 2, 0, 0, 2, 1), (0, 1, 0, 2, 0, 2, 0, 0), (0, 0, -1, 2, 0, 0, 1, -2)])
def test_pad(mode, pads):
    graph = check(one("Pad", IMAGE, np.array(pads), np.float32(0.5), mode=mode, opset=19))
    assert ops(graph) == ["gather"]
    if mode != "wrap":
        check(one("Pad", IMAGE, opset=9, pads=list(pads), mode=mode, value=0.25))


def test_pad_of_some_axes():
    check(one("Pad", IMAGE, np.array([1, 2, 0, 3]), np.float32(2), np.array([3, -2]), opset=18))


def test_expand_and_tile():
    check(one("Expand", (1, 6, 1, 1), np.array([1, 6, 4, 8])))
    check(one("Expand", (6, 1), np.array([3, 1, 4])))
    check(one("Expand", (1, 6, 1, 8), np.array([1, 1, 4, 1])))
    check(one("Tile", IMAGE, np.array([1, 2, 3, 1])))
    check(one("Tile", (1, 5), np.array([1, 3])))


def test_shape_arithmetic_vanishes():
    nodes = [
        helper.make_node("Shape", ["x"], ["s"]),
        helper.make_node("Gather", ["s", "zero"], ["n"], axis=0),
        helper.make_node("Unsqueeze", ["n", "axes"], ["n1"]),
        helper.make_node("Concat", ["n1", "rest"], ["target"], axis=0),
        helper.make_node("Reshape", ["x", "target"], ["y"]),
    ]
    constants = {"zero": np.array(0), "axes": np.array([0]), "rest": np.array([6, -1])}
    assert ops(check(model(nodes, {"x": IMAGE}, constants))) == ["view"]


def test_center_crop_pad_runs_through_its_function_body():
    graph = import_onnx(one("CenterCropPad", IMAGE, np.array([2, 10]), axes=[2, 3], opset=18))
    assert graph.values[graph.outputs[0].value].shape == (1, 6, 2, 10)


def test_space_to_depth_by_columns_first():
    graph = import_onnx(one("SpaceToDepth", (1, 3, 4, 6), blocksize=2, mode="CRD", opset=28))
    frame = np.random.default_rng(0).standard_normal((1, 3, 4, 6)).astype(np.float32)
    expected = frame.reshape(1, 3, 2, 2, 3, 2).transpose(0, 1, 3, 5, 2, 4).reshape(1, 12, 2, 3)
    np.testing.assert_array_equal(run(graph, {"x": frame})["y"], expected)
