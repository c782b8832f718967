from __future__ import annotations

import numpy as np
import pytest
from onnx import helper

from .models import check, model, one, ops

IMAGE = (1, 6, 4, 5)
KINDS = ["Mean", "Sum", "Max", "Min", "Prod", "L1", "L2", "SumSquare", "LogSum", "LogSumExp"]
AXES = [[2, 3], [1], [2], [3], [1, 2, 3], [-1], [0], [1, 3], [0, 1, 2, 3]]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("keep", [0, 1])
def test_reduction(kind, keep):
    for axes in AXES:
        check(one(f"Reduce{kind}", IMAGE, np.array(axes), opset=18, keepdims=keep), positive=True)
    check(one(f"Reduce{kind}", IMAGE, opset=18, keepdims=keep), positive=True)


def test_reduction_variants():
    check(one("ReduceMean", IMAGE, opset=11, axes=[2, 3]))
    check(one("ReduceSum", IMAGE, opset=13, noop_with_empty_axes=1))
    check(one("ReduceMean", (1, 2, 3, 4, 5), opset=13, axes=[2, 4]))
    assert ops(check(one("ReduceMean", IMAGE, opset=11, axes=[2, 3]))) == ["reduce_pixels"]


def test_global_pools():
    for op in ("GlobalAveragePool", "GlobalMaxPool", "GlobalLpPool"):
        check(one(op, IMAGE))
        check(one(op, (1, 6, 7)))


@pytest.mark.parametrize("op", ["Softmax", "LogSoftmax"])
def test_softmax(op):
    for axis in (1, 2, 3, -1):
        check(one(op, IMAGE, axis=axis))
        check(one(op, IMAGE, opset=11, axis=axis))
    check(one(op, (1, 10)))
    check(one(op, (1, 10), opset=9))
    assert ops(check(one(op, IMAGE, axis=1))) == ["softmax"]


def test_softmax_of_detection_scores_stays_per_pixel():
    nodes = [
        helper.make_node("Transpose", ["x"], ["t"], perm=[0, 2, 3, 1]),
        helper.make_node("Reshape", ["t", "shape"], ["r"]),
        helper.make_node("Softmax", ["r"], ["y"], axis=2),
    ]
    graph = check(model(nodes, {"x": IMAGE}, {"shape": np.array([1, -1, 2])}))
    assert ops(graph) == ["view", "softmax"]
    assert graph.values["y"].extents == (1, 60, 2)


@pytest.mark.parametrize("op", ["ArgMax", "ArgMin"])
def test_arg_reduction(op):
    for axis in (0, 1, 2, 3):
        for keep in (0, 1):
            check(one(op, IMAGE, axis=axis, keepdims=keep))
    check(one(op, IMAGE, axis=1, select_last_index=1))


def test_hardmax():
    check(one("Hardmax", IMAGE, axis=1))
    check(one("Hardmax", IMAGE, axis=-1))
