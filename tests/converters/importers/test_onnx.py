from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper, parser

from converters.importers.onnx import import_onnx
from runtime.reference.errors import ArgumentError, FormatError, UnsupportedError

from .models import check, compare, frames, model, one, ops

ASSETS = Path(os.environ.get("FRAMEGATE_ASSETS", "does-not-exist")) / "models"
NETWORKS = sorted(ASSETS.glob("*.onnx"))


@pytest.mark.skipif(not NETWORKS, reason="FRAMEGATE_ASSETS names no folder with models")
@pytest.mark.parametrize("path", NETWORKS, ids=lambda path: path.stem)
def test_real_network(path):
    graph = import_onnx(path)
    assert not [node.name for node in graph.nodes if node.op == "transpose"]
    feeds = frames(onnx.load(path))
    if "yolox" in path.stem or "retinaface" in path.stem:
        feeds = {name: 127 + 60 * frame for name, frame in feeds.items()}  # they take grey levels
    compare(graph, str(path), feeds, 1e-5)


def test_anchor_head_stays_within_pixels():
    """Anchors, grid offsets and sizes of a YOLO head, down to one list of boxes."""
    made = parser.parse_model(
        """<ir_version: 8, opset_import: ["" : 17]>
        net (float[1,12,4,5] x) => (float[1,40,6] y)
        <int64[5] s1 = {1,2,6,4,5}, int64[3] s2 = {1,-1,6}, int64[3] parts = {2,2,2}, float[1] two = {2.0}>
        {
            r = Reshape (x, s1)
            t = Transpose <perm = [0,1,3,4,2]> (r)
            p = Sigmoid (t)
            xy, wh, score = Split <axis = 4> (p, parts)
            moved = Add (xy, grid)
            square = Pow (wh, two)
            sized = Mul (square, anchors)
            all = Concat <axis = 4> (moved, sized, score)
            y = Reshape (all, s2)
        }"""
    )
    rng = np.random.default_rng(0)
    for name, shape in (("grid", (1, 1, 4, 5, 2)), ("anchors", (1, 2, 1, 1, 2))):
        made.graph.initializer.append(numpy_helper.from_array(rng.random(shape).astype(np.float32), name))
    graph = check(made)
    assert "transpose" not in ops(graph)
    assert graph.values["y"].extents == (1, 40, 6)


def test_distribution_head_stays_within_pixels():
    """Box sides as expectations over bins: reshape, softmax and a 1x1 convolution over the bins."""
    made = parser.parse_model(
        """<ir_version: 8, opset_import: ["" : 17]>
        net (float[1,32,4,5] a, float[1,32,2,6] b) => (float[1,4,32] y)
        <int64[3] flat = {1,32,-1}, int64[4] apart = {1,4,8,32}, int64[3] sides = {1,4,32}>
        {
            fa = Reshape (a, flat)
            fb = Reshape (b, flat)
            f = Concat <axis = 2> (fa, fb)
            r = Reshape (f, apart)
            t = Transpose <perm = [0,2,1,3]> (r)
            p = Softmax <axis = 1> (t)
            e = Conv (p, bins)
            y = Reshape (e, sides)
        }"""
    )
    bins = np.arange(8, dtype=np.float32).reshape(1, 8, 1, 1)
    made.graph.initializer.append(numpy_helper.from_array(bins, "bins"))
    graph = check(made)
    assert "transpose" not in ops(graph)
    assert graph.values[graph.outputs[0].value].extents == (1, 32, 4)


def test_sources(tmp_path):
    made = one("Relu", (1, 3, 4, 5))
    path = tmp_path / "net.onnx"
    onnx.save(made, path)
    for source in (made, made.SerializeToString(), path, str(path)):
        assert ops(import_onnx(source)) == ["unary"]
    assert import_onnx(path).metadata["source"]["file"] == "net.onnx"
    assert import_onnx(path).metadata["source"]["opset"] == 17


def test_damaged_files(tmp_path):
    for data in (b"not a model", b"", b"\xff" * 100):
        with pytest.raises(FormatError):
            import_onnx(data)
    with pytest.raises(FileNotFoundError):
        import_onnx(tmp_path / "none.onnx")
    dangling = model([helper.make_node("Relu", ["nothing"], ["y"], name="r")], {"x": (1, 3, 4, 4)})
    with pytest.raises(FormatError, match="nothing"):
        import_onnx(dangling)
    with pytest.raises(FormatError, match="made by no node"):
        import_onnx(model([], {"x": (1, 3, 4, 4)}))


def test_dynamic_shapes():
    made = one("Relu", ("batch", 3, "height", "width"))
    with pytest.raises(ArgumentError, match=r"x: 1, 3, height, width.*--shape x=1,3,240,320"):
        import_onnx(made)
    graph = import_onnx(made, shapes={"x": (1, 3, 8, 9)})
    assert graph.values["x"].extents == (8, 9, 3)
    assert import_onnx(one("Relu", ("N", 3, 4, 5))).values["x"].shape == (1, 3, 4, 5)
    with pytest.raises(ArgumentError, match="its inputs are: x"):
        import_onnx(made, shapes={"image": (1, 3, 8, 9)})
    with pytest.raises(ArgumentError, match="4 dimensions"):
        import_onnx(made, shapes={"x": (3, 8, 9)})
    with pytest.raises(ArgumentError, match="batch of 8"):
        import_onnx(one("Relu", (8, 3, 4, 5)))


def test_all_unsupported_nodes_at_once():
    made = model(
        [
            helper.make_node("TopK", ["x", "k"], ["v", "i"], name="top"),
            helper.make_node("Relu", ["v"], ["r"]),
            helper.make_node("Sin", ["r"], ["s"], name="wave"),
            helper.make_node("Conv", ["x", "x"], ["c"], name="dynamic"),
            helper.make_node("Special", ["c"], ["y"], name="mine", domain="com.example"),
            helper.make_node("NonZero", ["x"], ["unused"], name="unread"),
        ],
        {"x": (1, 3, 4, 5)},
        {"k": np.array([2])},
        ["y", "s"],
    )
    made.opset_import.append(helper.make_opsetid("com.example", 2))
    with pytest.raises(UnsupportedError) as caught:
        import_onnx(made)
    text = str(caught.value)
    for part in (
        "4 node(s)",
        "TopK (domain ai.onnx, version 17) 'top'",
        "'wave'",
        "weights are computed",
        "com.example",
    ):
        assert part in text
    assert "unread" not in text
    assert text.count("Remedy:") == 4


def test_old_operator_sets_are_refused():
    made = one("Relu", (1, 3, 4, 5))
    made.opset_import[0].version = 5
    with pytest.raises(UnsupportedError, match="opset 5"):
        import_onnx(made)


def test_local_functions_are_inlined():
    made = parser.parse_model(
        """<ir_version: 8, opset_import: ["" : 17, "local" : 1]>
        net (float[1,3,4,5] x) => (float[1,3,4,5] y) { y = local.twice (x) }
        <domain: "local", opset_import: ["" : 17]>
        twice (a) => (b) { s = Sigmoid (a)  b = Mul (a, s) }"""
    )
    assert ops(check(made)) == ["unary", "binary"]


def test_if_with_a_constant_condition():
    made = parser.parse_model(
        """<ir_version: 8, opset_import: ["" : 17]>
        net (float[1,3,4,5] x) => (float[1,3,4,5] y) {
            rank = Shape (x)
            n = Size (rank)
            four = Constant <value_int = 4> ()
            c = Equal (n, four)
            y = If (c) <then_branch = a () => (float[1,3,4,5] p) { p = Relu (x) },
                        else_branch = b () => (float[1,3,4,5] q) { q = Neg (x) }>
        }"""
    )
    assert ops(check(made)) == ["unary"]


def test_constant_arithmetic_is_evaluated():
    """A position ramp made from the input's shape."""
    made = parser.parse_model(
        """<ir_version: 8, opset_import: ["" : 17]>
        net (float[1,3,4,5] x) => (float[1,3,4,5] y)
        <int64 three = {3}, int64 zero = {0}, int64 one = {1}>
        {
            s = Shape (x)
            n = Gather <axis = 0> (s, three)
            r = Range (zero, n, one)
            f = Cast <to = 1> (r)
            ramp = Sin (f)
            y = Add (x, ramp)
        }"""
    )
    assert ops(check(made)) == ["binary"]


def test_outputs():
    nodes = [helper.make_node("ArgMax", ["x"], ["y"], axis=1), helper.make_node("Identity", ["x"], ["same"])]
    graph = check(model(nodes, {"x": (1, 3, 4, 5)}, {"k": np.arange(3, dtype=np.float32)}, ["y", "same", "k"]))
    assert [output.dtype for output in graph.outputs] == ["int64", "float32", "float32"]


def test_half_precision_model():
    made = model(
        [helper.make_node("Conv", ["x", "w"], ["y"])],
        {"x": (1, 3, 6, 7)},
        {"w": np.ones((2, 3, 3, 3), np.float16)},
        dtypes={"x": TensorProto.FLOAT16},
    )
    graph = import_onnx(made)
    assert graph.outputs[0].dtype == "float32"
    assert len(graph.metadata["notes"]) == 1


def test_quantised_constants_are_folded():
    nodes = [
        helper.make_node("DequantizeLinear", ["q", "s", "z"], ["w"]),
        helper.make_node("Conv", ["x", "w"], ["y"]),
    ]
    constants = {
        "q": np.arange(-13, 14, dtype=np.int8).reshape(1, 3, 3, 3),
        "s": np.float32(0.1),
        "z": np.int8(0),
    }
    assert ops(check(model(nodes, {"x": (1, 3, 6, 7)}, constants))) == ["conv2d"]
    with pytest.raises(UnsupportedError, match="quantised"):
        import_onnx(one("QuantizeLinear", (1, 3, 4, 5), np.float32(0.1), np.int8(0)))
