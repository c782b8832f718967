from __future__ import annotations

import numpy as np
import pytest
from onnx import TensorProto, helper

from converters.importers.onnx import import_onnx

from .models import check, model, one, ops, run

IMAGE = (1, 3, 4, 5)


PLAIN = (
    *("Relu", "Sigmoid", "Tanh", "Erf", "Softplus", "Softsign", "Exp", "Floor", "Ceil", "Round", "Abs", "Neg", "Sign"),
    *("LeakyRelu", "Elu", "Selu", "Celu", "HardSigmoid", "HardSwish", "ThresholdedRelu", "Reciprocal", "Identity"),
)


@pytest.mark.parametrize(
    ("op", "attributes"),
    [
        *((op, {}) for op in PLAIN),
        ("LeakyRelu", {"alpha": 0.3}),
        ("Elu", {"alpha": 0.4}),
        ("Celu", {"alpha": 2.0}),
        ("Selu", {"gamma": 2.0}),
        ("HardSigmoid", {"alpha": 0.3, "beta": 0.4}),
        ("ThresholdedRelu", {"alpha": 0.7}),
    ],
)
def test_activation(op, attributes):
    check(one(op, IMAGE, **attributes))


@pytest.mark.parametrize("op", ["Log", "Sqrt"])
def test_activation_of_positives(op):
    check(one(op, IMAGE), positive=True)


@pytest.mark.parametrize("kind", ["none", "tanh"])
def test_gelu(kind):
    assert ops(check(one("Gelu", IMAGE, opset=20, approximate=kind))) == ["unary"]


def test_newer_activations():
    assert ops(check(one("Mish", IMAGE, opset=18))) == ["unary"]
    assert ops(import_onnx(one("Swish", IMAGE, opset=24, alpha=1.5))) == ["unary"]


def test_contrib_activations():
    check(one("Gelu", IMAGE, domain="com.microsoft"))
    check(one("QuickGelu", IMAGE, domain="com.microsoft"))
    check(one("FastGelu", IMAGE, np.ones(5, np.float32), domain="com.microsoft"))


def test_clip():
    check(one("Clip", IMAGE, opset=10, min=-0.5, max=0.75))
    check(one("Clip", IMAGE, opset=9))
    check(one("Clip", IMAGE, np.float32(-1)))
    check(one("Clip", IMAGE, None, np.float32(1)))
    check(one("Clip", IMAGE, np.float32(0), np.float32(6)))
    check(model([helper.make_node("Clip", ["x", "lo"], ["y"])], {"x": IMAGE, "lo": ()}))


SHAPES = [
    (IMAGE, IMAGE),
    (IMAGE, ()),
    (IMAGE, (1,)),
    (IMAGE, (5,)),
    (IMAGE, (4, 1)),
    (IMAGE, (3, 1, 1)),
    (IMAGE, (1, 3, 1, 1)),
    (IMAGE, (1, 1, 4, 5)),
    (IMAGE, (1, 1, 1, 5)),
    (IMAGE, (1, 3, 4, 1)),
    ((1, 3, 1, 1), (1, 1, 4, 5)),
    ((1, 3, 7), (7,)),
    ((1, 3, 7), (3, 1)),
    ((1, 6), (1, 6)),
    ((6,), (2, 6)),
    ((2, 1, 3), (1, 4, 3)),
    ((1, 2, 3, 4, 5), (3, 1, 5)),
]


@pytest.mark.parametrize(("a", "b"), SHAPES)
def test_broadcasting(a, b):
    rng = np.random.default_rng(3)
    check(one("Sub", a, more=[b]))
    check(one("Sub", b, more=[a]))
    check(one("Mul", a, rng.standard_normal(b).astype(np.float32)))
    reverse = helper.make_node("Sub", ["c", "x"], ["y"])
    check(model([reverse], {"x": a}, {"c": rng.standard_normal(b).astype(np.float32)}))


def test_broadcasting_after_a_transpose():
    nodes = [
        helper.make_node("Transpose", ["x"], ["t"], perm=[0, 2, 3, 1]),
        helper.make_node("Mul", ["t", "c"], ["m"]),
        helper.make_node("Add", ["m", "x2"], ["y"]),
    ]
    constant = np.arange(3, dtype=np.float32)
    graph = check(model(nodes, {"x": (1, 3, 8, 9), "x2": (1, 8, 9, 3)}, {"c": constant}))
    assert ops(graph) == ["binary", "binary"]


@pytest.mark.parametrize("op", ["Add", "Sub", "Mul", "Div", "Min", "Max", "Pow", "Mod"])
def test_binary(op):
    extra = {"fmod": 1} if op == "Mod" else {}
    check(one(op, IMAGE, more=[IMAGE], **extra), positive=True)


def test_integers():
    dtypes = {"x": TensorProto.INT32, "x1": TensorProto.INT32}
    for op, attributes in (("Div", {}), ("Mod", {}), ("Mod", {"fmod": 1}), ("Add", {}), ("Max", {})):
        node = helper.make_node(op, ["x", "c"], ["y"], **attributes)
        for divisor in (-3, 4):
            check(model([node], {"x": IMAGE}, {"c": np.array(divisor, np.int32)}, dtypes=dtypes))


def test_power_by_a_constant():
    for exponent in (2.0, 3.0, 0.5, -1.0):
        assert ops(check(one("Pow", IMAGE, np.float32(exponent)), positive=True)) == ["unary"]


@pytest.mark.parametrize("op", ["Equal", "Less", "Greater", "LessOrEqual", "GreaterOrEqual"])
def test_comparison(op):
    graph = check(one(op, IMAGE, np.zeros((3, 1, 1), np.float32)))
    assert graph.outputs[0].dtype == "bool"


@pytest.mark.parametrize("op", ["And", "Or", "Xor"])
def test_logic(op):
    dtypes = {"x": TensorProto.BOOL, "x1": TensorProto.BOOL}
    nodes = [helper.make_node(op, ["x", "x1"], ["z"]), helper.make_node("Not", ["z"], ["y"])]
    check(model(nodes, {"x": IMAGE, "x1": IMAGE}, dtypes=dtypes))


@pytest.mark.parametrize("op", ["Sum", "Mean", "Min", "Max"])
def test_variadic(op):
    check(one(op, IMAGE))
    check(one(op, IMAGE, np.ones((3, 1, 1), np.float32), more=[IMAGE, (1, 3, 1, 1)]))


@pytest.mark.parametrize("slope", [(1,), (3, 1, 1), (1, 3, 1, 1), (1, 4, 5)])
def test_prelu(slope):
    check(one("PRelu", IMAGE, np.random.default_rng(0).standard_normal(slope).astype(np.float32)))
    check(one("PRelu", IMAGE, more=[slope]))


def test_where():
    nodes = [helper.make_node("Greater", ["x", "zero"], ["c"]), helper.make_node("Where", ["c", "x", "k"], ["y"])]
    check(model(nodes, {"x": IMAGE}, {"zero": np.float32(0), "k": np.arange(5, dtype=np.float32)}))


def test_not_a_number():
    nodes = [
        helper.make_node("Log", ["x"], ["l"]),
        helper.make_node("IsNaN", ["l"], ["y"]),
        helper.make_node("IsInf", ["l"], ["z"], detect_positive=0),
    ]
    check(model(nodes, {"x": IMAGE}, outputs=["y", "z"]))


def test_dropout_and_shrink():
    assert ops(check(one("Dropout", IMAGE, opset=11))) == []
    check(one("Dropout", IMAGE, np.float32(0.5), opset=13))
    check(one("Shrink", IMAGE, bias=0.1, lambd=0.5))


@pytest.mark.parametrize("to", [TensorProto.INT32, TensorProto.INT64, TensorProto.BOOL, TensorProto.FLOAT])
def test_cast(to):
    check(one("Cast", IMAGE, to=to))


def test_cast_there_and_back():
    nodes = [helper.make_node("Cast", ["x"], ["i"], to=TensorProto.INT32)]
    nodes += [helper.make_node("Cast", ["i"], ["y"], to=TensorProto.FLOAT)]
    check(model(nodes, {"x": IMAGE}))
    check(model([helper.make_node("Cast", ["x"], ["y"], to=1)], {"x": IMAGE}, dtypes={"x": TensorProto.UINT8}))
    like = one("CastLike", IMAGE, np.zeros(1, np.int32))
    check(like)


def test_half_precision_comes_as_float():
    nodes = [helper.make_node("Mul", ["x", "c"], ["y"])]
    made = model(nodes, {"x": IMAGE}, {"c": np.array(2, np.float16)}, dtypes={"x": TensorProto.FLOAT16})
    graph = import_onnx(made)
    assert graph.outputs[0].dtype == "float32"
    assert "float16" in graph.metadata["notes"][0]


def test_prelu_with_one_slope_per_channel_as_before_opset_7():
    slope = np.array([0.1, -0.2, 0.3], np.float32)
    graph = import_onnx(one("PRelu", (1, 3, 4, 5), slope))
    x = np.random.default_rng(0).normal(size=(1, 3, 4, 5)).astype(np.float32)
    want = np.where(x >= 0, x, x * slope[:, None, None])
    assert np.array_equal(run(graph, {"x": x})["y"], want)
