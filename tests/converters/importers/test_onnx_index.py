from __future__ import annotations

import numpy as np
import pytest
from onnx import TensorProto, helper

from converters.importers.onnx import import_onnx
from runtime.reference.errors import UnsupportedError

from .models import check, model, one, ops

IMAGE = (1, 4, 6, 8)
rng = np.random.default_rng(0)


def test_indices_of_every_axis_by_itself_stay_local():
    rows, cols = np.meshgrid([5, 0, 2], [1, 1, 7, 3], indexing="ij")
    index = np.stack([np.zeros_like(rows), np.full_like(rows, 2), rows, cols], -1)
    assert ops(check(one("GatherND", IMAGE, index))) == ["gather"]
    index = np.stack(np.meshgrid([0], [3, 1], [2, 2], range(8), indexing="ij"), -1)
    assert ops(check(one("GatherND", IMAGE, index))) == ["gather"]


def test_gather_nd():
    check(one("GatherND", (4, 5, 6), np.array([[0, 1], [-1, 2], [3, 3]])))
    check(one("GatherND", (4, 5, 6), np.array([[[1, 2, 3]], [[3, 4, 5]]])))
    check(one("GatherND", (2, 5, 6), np.array([[[1]], [[3]]]), batch_dims=1))
    check(one("GatherND", IMAGE, np.array([[0, 1, 2, 3], [0, 3, 5, 7]])))


def test_gather_elements():
    check(one("GatherElements", (3, 4), rng.integers(-4, 4, (3, 7)), axis=1))
    check(one("GatherElements", (3, 4), rng.integers(-3, 3, (5, 2)), axis=0))
    assert "transpose" not in ops(check(one("GatherElements", IMAGE, np.full((1, 4, 6, 8), 3), axis=2)))


def slices(*parts):
    """Indices of ScatterND for a write to slices of IMAGE, over all its axes."""
    return np.stack(np.meshgrid(*(np.arange(n)[part] for n, part in zip(IMAGE, parts, strict=True)), indexing="ij"), -1)


@pytest.mark.parametrize(
    "parts",
    [
        (slice(None), slice(1, 3), slice(None), slice(None)),
        (slice(None), slice(None), slice(1, -1), slice(2, None, 3)),
        (slice(None), slice(None), slice(None), slice(None)),
    ],
)
def test_writes_to_slices_stay_local(parts):
    index = slices(*parts)
    made = one("ScatterND", IMAGE, index, rng.normal(size=index.shape[:-1]).astype(np.float32))
    assert "transpose" not in ops(check(made))
    node = helper.make_node("ScatterND", ["x", "i", "u"], ["y"])
    written = model([node], {"x": IMAGE, "u": index.shape[:-1]}, {"i": index})
    assert set(ops(check(written))) <= {"gather", "where", "view"}
    zeros = model([node], {"u": index.shape[:-1]}, {"i": index, "x": np.zeros(IMAGE, np.float32)})
    check(zeros)


def test_scattered_one_by_one():
    updates = np.arange(6, dtype=np.float32)
    check(one("ScatterND", (4, 5), np.array([[0, 1], [3, 2], [1, 1], [-1, -1], [2, 0], [0, 0]]), updates))
    check(one("ScatterND", (4, 4, 4), np.array([[2], [0]]), rng.normal(size=(2, 4, 4)).astype(np.float32)))
    check(one("ScatterElements", (3, 4), np.array([[1, -1, 0]]), updates[None, :3], axis=1))
    check(one("ScatterElements", (3, 4), np.array([[1, 0], [2, 1]]), updates[:4].reshape(2, 2), axis=0))


def test_running_indices_and_sums_are_refused():
    node = helper.make_node("GatherND", ["x", "i"], ["y"])
    made = model([node], {"x": (4, 5), "i": (3, 1)}, dtypes={"i": TensorProto.INT64})
    with pytest.raises(UnsupportedError, match=r"GatherND .* indices computed while running"):
        import_onnx(made)
    made = one("ScatterND", (4,), np.array([[1]]), np.ones(1, np.float32), opset=16, reduction="add")
    with pytest.raises(UnsupportedError, match="combines its updates"):
        import_onnx(made)


def test_triangles():
    for shape in ((1, 2, 5, 7), (6, 4)):
        for upper in (0, 1):
            for k in (-2, 0, 1, 9):
                check(one("Trilu", shape, np.array(k), upper=upper))


def test_eye_like():
    node = [helper.make_node("EyeLike", ["x"], ["e"], k=1), helper.make_node("Add", ["x", "e"], ["y"])]
    check(model(node, {"x": (4, 6)}))


def test_one_hot():
    for axis in (-1, 1, 0):
        made = one("OneHot", (1, 3, 4), np.array(5), np.array([-1.0, 2.0], np.float32), axis=axis)
        made.graph.input[0].type.tensor_type.elem_type = TensorProto.INT64
        check(made)


@pytest.mark.parametrize("options", [{}, {"exclusive": 1}, {"reverse": 1}, {"exclusive": 1, "reverse": 1}])
def test_prefix_sums(options):
    for axis in (1, 2, -1):
        check(one("CumSum", IMAGE, np.array(axis), **options))
