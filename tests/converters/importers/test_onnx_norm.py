from __future__ import annotations

import numpy as np
import pytest
from onnx import helper

from converters.importers.onnx import import_onnx

from .models import check, model, one, ops

IMAGE = (1, 6, 4, 5)
RNG = np.random.default_rng(2)


def vector(*shape):
    return RNG.standard_normal(shape).astype(np.float32)


def test_batch_normalization():
    parameters = vector(6), vector(6), vector(6), np.abs(vector(6)) + 0.1
    for opset in (9, 14, 15):
        check(one("BatchNormalization", IMAGE, *parameters, opset=opset, epsilon=1e-3))
    check(one("BatchNormalization", (1, 6), *parameters))


def test_instance_normalization():
    check(one("InstanceNormalization", IMAGE, vector(6), vector(6), epsilon=1e-3), tolerance=1e-5)
    check(one("InstanceNormalization", (1, 6, 9), vector(6), vector(6)), tolerance=1e-5)


def test_group_normalization():
    check(one("GroupNormalization", IMAGE, vector(6), vector(6), opset=21, num_groups=3), tolerance=1e-5)
    check(one("GroupNormalization", IMAGE, vector(3), vector(3), opset=18, num_groups=3), tolerance=1e-5)


def test_exported_group_normalization_moves_nothing():
    nodes = [
        helper.make_node("Reshape", ["x", "s"], ["r"]),
        helper.make_node("InstanceNormalization", ["r", "g", "b"], ["n"]),
        helper.make_node("Shape", ["x"], ["old"]),
        helper.make_node("Reshape", ["n", "old"], ["z"]),
        helper.make_node("Mul", ["z", "scale"], ["y"]),
    ]
    constants = {"s": np.array([0, 3, -1]), "g": vector(3), "b": vector(3), "scale": vector(6, 1, 1)}
    graph = check(model(nodes, {"x": IMAGE}, constants), tolerance=1e-5)
    assert "transpose" not in ops(graph)


@pytest.mark.parametrize(("axis", "shape"), [(-1, (5,)), (2, (4, 5)), (1, (6, 4, 5)), (3, (5,))])
def test_layer_normalization(axis, shape):
    check(one("LayerNormalization", IMAGE, vector(*shape), vector(*shape), axis=axis), tolerance=1e-5)
    check(one("LayerNormalization", IMAGE, vector(*shape), axis=axis, epsilon=1e-2), tolerance=1e-5)


def test_layer_normalization_over_channels_stays_per_pixel():
    nodes = [
        helper.make_node("Transpose", ["x"], ["t"], perm=[0, 2, 3, 1]),
        helper.make_node("LayerNormalization", ["t", "s", "b"], ["n"]),
        helper.make_node("Transpose", ["n"], ["y"], perm=[0, 3, 1, 2]),
    ]
    graph = check(model(nodes, {"x": IMAGE}, {"s": vector(6), "b": vector(6)}), tolerance=1e-5)
    assert not {"transpose", "gather", "view"} & set(ops(graph))


def test_other_normalizations():
    check(one("MeanVarianceNormalization", IMAGE), tolerance=1e-5)
    check(one("LpNormalization", IMAGE, axis=1, p=2))
    check(one("LpNormalization", IMAGE, axis=3, p=1))
    check(one("RMSNormalization", (1, 6, 5), vector(5), opset=23), tolerance=1e-5)
    assert "reduce_pixels" in ops(import_onnx(one("RMSNormalization", IMAGE, vector(4, 5), axis=2, opset=23)))
