"""Additions into ungated convolutions."""

from __future__ import annotations

import dataclasses

from converters.passes.fuse_residual import fuse_residual
from runtime.reference.graph import Activation, ActivationSpec, Binary, HoldGate, Residual, SkipKind

RELU = ActivationSpec(Activation.RELU)


def test_before_the_activation(network) -> None:
    n = network()
    y = n.unary("x", Activation.ABS)
    z = n.binary(Binary.ADD, n.conv(y, 3, kernel=3, pad=1), y)
    n.graph.nodes[-1].activation = RELU
    before = n.finish(z)
    after = fuse_residual(before)
    assert n.ops(after) == ["unary+abs", "conv2d+relu"]
    assert after.nodes[1].attributes.residual == Residual.BEFORE_ACTIVATION
    assert n.same(before, after)


def test_after_the_activation(network) -> None:
    n = network()
    y = n.conv("x", 3)
    n.graph.nodes[-1].activation = RELU
    before = n.finish(n.binary(Binary.ADD, "x", y))
    after = fuse_residual(before)
    assert after.nodes[0].attributes.residual == Residual.AFTER_ACTIVATION
    assert n.same(before, after)


def test_the_later_convolution_takes_the_earlier(network) -> None:
    n = network()
    before = n.finish(n.binary(Binary.ADD, n.conv("x", 3), n.conv("x", 3)))
    after = fuse_residual(before)
    assert n.ops(after) == ["conv2d", "conv2d"]
    assert n.same(before, after)


def test_a_residual_computed_after_the_convolution(network) -> None:
    n = network()
    y = n.conv("x", 3)
    before = n.finish(n.binary(Binary.ADD, y, n.unary("x", Activation.ABS)))
    after = fuse_residual(before)
    assert n.ops(after) == ["unary+abs", "conv2d"]
    assert n.same(before, after)


def test_what_stays(network) -> None:
    n = network()
    y = n.conv("x", 1)
    widened = n.binary(Binary.ADD, y, "x")
    z = n.conv("x", 3)
    constant = n.binary(Binary.ADD, z, [1.0, 2.0, 3.0])
    v = n.conv("x", 3)
    before = n.finish(widened, constant, v, n.binary(Binary.ADD, v, v))
    assert n.ops(fuse_residual(before)) == n.ops(before)


def test_gated_convolutions_stay(network) -> None:
    n = network()
    before = n.finish(n.binary(Binary.ADD, n.conv("x", 3), "x"))
    before.nodes[0] = dataclasses.replace(before.nodes[0], gate=HoldGate(0.1))
    assert n.ops(fuse_residual(before)) == ["conv2d", "binary"]


def test_a_skip_gate_takes_no_residual(network) -> None:
    n = network()
    y = n.skip_conv("x", 3, kind=SkipKind.NORM_INPUT)
    assert n.ops(fuse_residual(n.finish(n.binary(Binary.ADD, y, n.unary("x", Activation.RELU))))) == [
        "conv2d",
        "unary+relu",
        "binary",
    ]
