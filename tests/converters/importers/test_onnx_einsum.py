from __future__ import annotations

import numpy as np
import pytest
from onnx import helper

from converters.importers.onnx import import_onnx
from runtime.reference.errors import UnsupportedError

from .models import check, model, ops

TWO = [
    ("bhnd,bhmd->bhnm", (1, 2, 5, 4), (1, 2, 7, 4)),
    ("bhnm,bhmd->bhnd", (1, 2, 5, 7), (1, 2, 7, 4)),
    ("bchw,bc->bchw", (1, 3, 4, 5), (1, 3)),
    ("bchw,oc->bohw", (1, 3, 4, 5), (6, 3)),
    ("bchw,bkhw->bck", (1, 3, 4, 5), (1, 6, 4, 5)),
    ("...ij,...jk->...ik", (1, 3, 4, 5), (1, 3, 5, 6)),
    ("...ij,jk", (2, 4, 5), (5, 6)),
    ("i,j->ij", (3,), (4,)),
    ("i,i", (4,), (4,)),
    ("ij,kl->", (2, 3), (4, 5)),
    ("bij,bj->i", (2, 3, 4), (2, 4)),
    ("nctw,cvw->nvtc", (1, 3, 4, 5), (3, 6, 5)),
]


@pytest.mark.parametrize(("equation", "a", "b"), TWO)
def test_two_operands(equation, a, b):
    node = helper.make_node("Einsum", ["a", "b"], ["y"], equation=equation)
    check(model([node], {"a": a, "b": b}))
    weights = np.random.default_rng(1).normal(size=b).astype(np.float32)
    check(model([node], {"a": a}, {"b": weights}))


def test_others():
    one = [("ij->ji", (3, 4)), ("bchw->bhw", (1, 3, 4, 5)), ("ij", (3, 4)), ("ji", (3, 4)), ("...->...", (2, 3))]
    for equation, shape in one:
        check(model([helper.make_node("Einsum", ["a"], ["y"], equation=equation)], {"a": shape}))
    node = helper.make_node("Einsum", ["a", "b", "c"], ["y"], equation="ij,jk,kl->il")
    check(model([node], {"a": (2, 3), "b": (3, 4), "c": (4, 5)}))


def test_a_projection_of_pixels_is_a_convolution():
    node = helper.make_node("Einsum", ["a", "b"], ["y"], equation="bchw,oc->bohw")
    made = model([node], {"a": (1, 3, 4, 5)}, {"b": np.ones((6, 3), np.float32)})
    assert ops(check(made)) == ["conv2d"]


def test_diagonals_are_refused():
    with pytest.raises(UnsupportedError, match="diagonal"):
        import_onnx(model([helper.make_node("Einsum", ["a"], ["y"], equation="ii->i")], {"a": (3, 3)}))
