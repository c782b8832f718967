"""The tools of the passes."""

from __future__ import annotations

import numpy as np

from converters.passes.rewrite import Rewriter
from runtime.reference.graph import Activation, Binary


def test_the_given_graph_is_left_alone(network) -> None:
    n = network()
    graph = n.finish(n.unary(n.unary("x", Activation.ABS), Activation.RELU))
    rewriter = Rewriter(graph)
    rewriter.become_unary(rewriter.nodes[1], "x", Activation.TANH)
    assert n.ops(rewriter.finish()) == ["unary+tanh"]
    assert n.ops(graph) == ["unary+abs", "unary+relu"]


def test_scalar(network) -> None:
    n = network()
    names = [n.constant(data) for data in ([2.0, 2.0], [2.0, 3.0], [np.nan])]
    rewriter = Rewriter(n.finish(n.unary("x", Activation.ABS)))
    assert [rewriter.scalar(name) for name in names] == [2.0, None, None]
    assert rewriter.scalar("x") is None


def test_absorb_moves_to_the_reader(network) -> None:
    n = network()
    y = n.unary("x", Activation.ABS)
    z = n.unary("x", Activation.RELU)
    graph = n.finish(n.binary(Binary.ADD, y, z))
    rewriter = Rewriter(graph)
    first, second, add = rewriter.nodes
    rewriter.set_inputs(add, [y])
    rewriter.absorb(first, add)
    assert list(rewriter.live()) == [second, first]
    assert rewriter.producer[add.output] is first


def test_sole_reader(network) -> None:
    n = network()
    y = n.unary("x", Activation.ABS)
    z = n.binary(Binary.MUL, y, y)
    rewriter = Rewriter(n.finish(z))
    assert rewriter.sole_reader(y) is rewriter.nodes[1]
    assert rewriter.sole_reader("x") is rewriter.nodes[0]
    assert rewriter.sole_reader(z) is None
    assert Rewriter(n.finish(y, z)).sole_reader(y) is None


def test_names_of_new_constants_are_unique(network) -> None:
    n = network()
    rewriter = Rewriter(n.finish(n.unary("x", Activation.ABS)))
    data = np.zeros((1, 1, 1), np.float32)
    assert [rewriter.add_constant("c", data) for _ in range(3)] == ["c", "c.1", "c.2"]
