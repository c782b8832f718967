"""Constant parts of a graph."""

from __future__ import annotations

from converters.passes.fold_constants import fold_constants
from runtime.reference.graph import Activation, Binary, ValueKind


def test_a_chain_of_constants(network) -> None:
    n = network()
    scale = n.unary(n.binary(Binary.ADD, [1.0, 2.0, 3.0], [1.0]), Activation.SQRT)
    before = n.finish(n.binary(Binary.MUL, "x", scale))
    after = fold_constants(before)
    assert n.ops(after) == ["binary"]
    assert n.same(before, after, 0)


def test_a_constant_output(network) -> None:
    n = network()
    total = n.binary(Binary.ADD, [1.0, 2.0, 3.0], [1.0])
    after = fold_constants(n.finish(total, n.unary("x", Activation.ABS)))
    assert after.values[total].kind == ValueKind.CONSTANT
    assert after.values[total].data.tolist() == [[[2.0, 3.0, 4.0]]]


def test_running_values_stay(network) -> None:
    n = network()
    before = n.finish(n.conv("x", 2))
    assert n.ops(fold_constants(before)) == ["conv2d"]
