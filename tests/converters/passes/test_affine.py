"""Recognising affine nodes."""

from __future__ import annotations

import numpy as np
import pytest

from converters.passes.affine import affine_of, as_unary
from converters.passes.rewrite import Rewriter
from runtime.reference.graph import Activation, Binary


@pytest.mark.parametrize(
    ("kind", "left", "scale", "shift"),
    [
        (Binary.ADD, False, 1, 2),
        (Binary.SUB, False, 1, -2),
        (Binary.SUB, True, -1, 2),
        (Binary.MUL, True, 2, 0),
        (Binary.DIV, False, 0.5, 0),
    ],
)
def test_scale_and_shift(network, kind: Binary, left: bool, scale: float, shift: float) -> None:
    n = network()
    graph = n.finish(n.binary(kind, [2.0], "x") if left else n.binary(kind, "x", [2.0]))
    affine = affine_of(Rewriter(graph), graph.nodes[0])
    assert affine is not None
    assert (affine.x, affine.scale.tolist(), affine.shift.tolist()) == ("x", [scale], [shift])


@pytest.mark.parametrize("constant", [[np.inf, 1.0, 1.0], np.arange(30.0).reshape(6, 5, 1)])
def test_not_affine(network, constant: object) -> None:
    n = network()
    graph = n.finish(n.binary(Binary.MUL, "x", constant))
    assert affine_of(Rewriter(graph), graph.nodes[0]) is None


def test_chains_become_one(network) -> None:
    n = network()
    graph = n.finish(n.binary(Binary.MUL, n.unary(n.binary(Binary.SUB, "x", [1.0]), Activation.NEG), [3.0]))
    rewriter = Rewriter(graph)
    for node in rewriter.live():
        as_unary(rewriter, node)
    after = rewriter.finish()
    assert [node.activation.parameters for node in after.nodes] == [(-3.0, 3.0)]
    assert n.same(graph, after)
