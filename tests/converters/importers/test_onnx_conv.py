from __future__ import annotations

import numpy as np
import pytest
from onnx import helper

from .models import check, model, one, ops

RNG = np.random.default_rng(1)


def weights(*shape):
    return RNG.standard_normal(shape).astype(np.float32)


@pytest.mark.parametrize(
    ("shape", "kernel", "attributes"),
    [
        ((1, 3, 9, 11), (8, 3, 3, 3), {}),
        ((1, 3, 9, 11), (8, 3, 3, 2), {"strides": [2, 1], "pads": [1, 0, 2, 1]}),
        ((1, 4, 9, 11), (8, 2, 3, 3), {"group": 2, "dilations": [2, 1], "pads": [2, 1, 2, 1]}),
        ((1, 6, 9, 11), (6, 1, 5, 3), {"group": 6, "pads": [2, 1, 2, 1]}),
        ((1, 6, 9, 11), (12, 1, 3, 3), {"group": 6}),
        ((1, 3, 9, 12), (4, 3, 3, 3), {"auto_pad": "SAME_UPPER", "strides": [2, 2]}),
        ((1, 3, 9, 12), (4, 3, 4, 4), {"auto_pad": "SAME_LOWER", "strides": [2, 3]}),
        ((1, 3, 9, 12), (4, 3, 3, 3), {"auto_pad": "VALID"}),
        ((1, 3, 12), (4, 3, 3), {"strides": [2], "pads": [1, 2], "dilations": [2]}),
        ((1, 3, 13), (4, 3, 4), {"auto_pad": "SAME_UPPER", "strides": [2]}),
    ],
)
@pytest.mark.parametrize("bias", [False, True])
def test_conv(shape, kernel, attributes, bias):
    constants = [weights(*kernel)] + ([weights(kernel[0])] if bias else [])
    assert ops(check(one("Conv", shape, *constants, **attributes))) == ["conv2d"]


@pytest.mark.parametrize(
    ("shape", "kernel", "attributes"),
    [
        ((1, 3, 5, 6), (3, 8, 3, 3), {}),
        ((1, 3, 5, 6), (3, 8, 4, 4), {"strides": [2, 2], "pads": [1, 1, 1, 1]}),
        ((1, 3, 5, 6), (3, 8, 3, 3), {"strides": [2, 3], "pads": [1, 0, 1, 2], "output_padding": [1, 2]}),
        ((1, 4, 5, 6), (4, 3, 3, 2), {"strides": [2, 1], "group": 2, "dilations": [2, 3]}),
        ((1, 4, 5, 6), (4, 1, 2, 2), {"strides": [2, 2], "group": 4}),
        ((1, 3, 5, 6), (3, 2, 3, 3), {"strides": [2, 2], "auto_pad": "SAME_UPPER"}),
        ((1, 3, 5, 6), (3, 2, 4, 3), {"strides": [3, 2], "auto_pad": "SAME_LOWER"}),
        ((1, 3, 5, 6), (3, 2, 3, 3), {"strides": [2, 2], "output_shape": [10, 12]}),
        ((1, 3, 5, 6), (3, 2, 3, 3), {"strides": [3, 3], "output_shape": [14, 17]}),
        ((1, 3, 7), (3, 2, 3), {"strides": [2], "pads": [1, 1], "output_padding": [1]}),
    ],
)
def test_conv_transpose(shape, kernel, attributes):
    bias = weights(kernel[1] * attributes.get("group", 1))
    assert ops(check(one("ConvTranspose", shape, weights(*kernel), bias, **attributes))) == ["conv_transpose2d"]


POOLS = [
    ((1, 3, 9, 11), {"kernel_shape": [3, 3]}),
    ((1, 3, 9, 11), {"kernel_shape": [3, 2], "strides": [2, 1], "pads": [1, 0, 1, 1]}),
    ((1, 3, 10, 12), {"kernel_shape": [3, 3], "strides": [2, 2], "ceil_mode": 1}),
    ((1, 3, 10, 12), {"kernel_shape": [3, 3], "strides": [2, 2], "ceil_mode": 1, "pads": [1, 1, 1, 1]}),
    ((1, 3, 5, 5), {"kernel_shape": [2, 2], "strides": [3, 3], "ceil_mode": 1, "pads": [1, 1, 1, 1]}),
    ((1, 3, 10, 12), {"kernel_shape": [3, 3], "strides": [2, 2], "auto_pad": "SAME_UPPER"}),
    ((1, 3, 10, 12), {"kernel_shape": [4, 3], "strides": [2, 2], "auto_pad": "SAME_LOWER"}),
    ((1, 3, 12), {"kernel_shape": [3], "strides": [2], "pads": [1, 1]}),
]


@pytest.mark.parametrize(("shape", "attributes"), POOLS)
@pytest.mark.parametrize("opset", [11, 22])
def test_max_pool(shape, attributes, opset):
    assert ops(check(one("MaxPool", shape, opset=opset, **attributes))) == ["pool"]


def test_max_pool_dilated():
    check(one("MaxPool", (1, 3, 10, 12), kernel_shape=[2, 3], dilations=[3, 2], pads=[1, 1, 1, 1]))


@pytest.mark.parametrize(("shape", "attributes"), POOLS)
@pytest.mark.parametrize("include", [0, 1])
def test_average_pool(shape, attributes, include):
    graph = check(one("AveragePool", shape, opset=19, count_include_pad=include, **attributes))
    assert ops(graph) == ["pool"]


def test_average_pool_dilated():
    check(one("AveragePool", (1, 3, 10, 12), opset=19, kernel_shape=[2, 3], dilations=[3, 2], pads=[1, 1, 1, 1]))


@pytest.mark.parametrize("p", [1, 2, 3])
def test_lp_pool(p):
    check(one("LpPool", (1, 3, 9, 11), opset=18, kernel_shape=[3, 2], strides=[2, 2], pads=[1, 0, 1, 1], p=p))


def test_lrn():
    for size in (3, 5):  # ONNX Runtime has odd ones only
        check(one("LRN", (1, 7, 5, 6), size=size, alpha=0.3, beta=0.6, bias=1.5))


@pytest.mark.parametrize("transpose", [0, 1])
@pytest.mark.parametrize("bias", [None, (1, 5), (5,), (1,), (3, 5)])
def test_gemm(transpose, bias):
    b = weights(5, 7) if transpose else weights(7, 5)
    constants = [b] + ([] if bias is None else [weights(*bias)])
    check(one("Gemm", (3, 7), *constants, transB=transpose, alpha=0.5, beta=2.0))
    check(one("Gemm", (7, 3), *constants, transA=1, transB=transpose))


def test_gemm_of_a_flattened_map_is_one_projection():
    nodes = [
        helper.make_node("GlobalAveragePool", ["x"], ["p"]),
        helper.make_node("Flatten", ["p"], ["f"]),
        helper.make_node("Gemm", ["f", "w", "b"], ["y"], transB=1),
    ]
    graph = check(model(nodes, {"x": (1, 6, 4, 5)}, {"w": weights(9, 6), "b": weights(9)}))
    assert ops(graph) == ["reduce_pixels", "conv2d"]


def test_gemm_of_two_running():
    check(one("Gemm", (3, 7), more=[(7, 5)], alpha=0.5))


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ((3, 4), (4, 5)),
        ((1, 3, 4), (4, 5)),
        ((1, 6, 3, 4), (4, 5)),
        ((1, 6, 3, 4), (1, 6, 4, 5)),
        ((1, 6, 3, 4), (1, 1, 4, 5)),
        ((1, 1, 3, 4), (1, 6, 4, 5)),
        ((1, 3, 4), (2, 4, 5)),
        ((4,), (4, 5)),
        ((1, 3, 4), (4,)),
        ((4,), (4,)),
        ((2, 3), (1, 3, 7)),
    ],
)
def test_matmul(a, b):
    check(one("MatMul", a, more=[b]))
    check(one("MatMul", a, weights(*b)))
    left = model([helper.make_node("MatMul", ["c", "x"], ["y"])], {"x": b}, {"c": weights(*a)})
    check(left)


def test_projection_of_pixels_needs_no_transpose():
    nodes = [
        helper.make_node("Reshape", ["x", "shape"], ["r"]),
        helper.make_node("Transpose", ["r"], ["t"], perm=[0, 2, 1]),
        helper.make_node("MatMul", ["t", "w"], ["y"]),
    ]
    made = model(nodes, {"x": (1, 6, 4, 5)}, {"shape": np.array([1, 6, -1]), "w": weights(6, 8)})
    assert ops(check(made)) == ["view", "conv2d"]


def test_attention():
    """Self-attention over pixels, two heads."""
    nodes = [
        helper.make_node("Reshape", ["x", "s1"], ["h"]),
        helper.make_node("Transpose", ["h"], ["q"], perm=[0, 1, 3, 2]),
        helper.make_node("MatMul", ["q", "h"], ["a"]),
        helper.make_node("Softmax", ["a"], ["p"], axis=-1),
        helper.make_node("MatMul", ["p", "q"], ["o"]),
        helper.make_node("Transpose", ["o"], ["t"], perm=[0, 1, 3, 2]),
        helper.make_node("Reshape", ["t", "s2"], ["y"]),
    ]
    made = model(nodes, {"x": (1, 6, 4, 5)}, {"s1": np.array([1, 2, 3, 20]), "s2": np.array([1, 6, 4, 5])})
    check(made)


def test_fused_conv():
    for attributes in (
        {"activation": "Relu"},
        {"activation": "LeakyRelu", "activation_params": [0.1]},
        {"activation": "Clip", "activation_params": [0.0, 6.0]},
    ):
        check(one("FusedConv", (1, 3, 6, 7), weights(4, 3, 3, 3), weights(4), domain="com.microsoft", **attributes))
