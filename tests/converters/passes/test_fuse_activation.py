"""Activations into the node before them."""

from __future__ import annotations

from converters.passes.fuse_activation import fuse_activation
from runtime.reference.graph import Activation, Binary, Matmul, SkipKind, SkipUpdate


def test_every_host(network) -> None:
    n = network(4, 4, 4)
    y = n.unary(n.conv("x", 4), Activation.RELU)
    y = n.unary(n.binary(Binary.ADD, y, "x"), Activation.SILU, 1)
    y = n.unary(n.node(Matmul(), [y, "x"], (4, 4, 4)), Activation.TANH)
    before = n.finish(n.unary(n.conv_transpose(y, 2), Activation.CLIP, 0, 6))
    after = fuse_activation(before)
    assert n.ops(after) == ["conv2d+relu", "binary+silu", "matmul+tanh", "conv_transpose2d+clip"]
    assert n.same(before, after, 0)


def test_only_one_activation(network) -> None:
    n = network()
    before = n.finish(n.unary(n.unary(n.conv("x", 2), Activation.RELU), Activation.SQRT))
    assert n.ops(fuse_activation(before)) == ["conv2d+relu", "unary+sqrt"]


def test_values_that_others_need_stay(network) -> None:
    n = network()
    y = n.conv("x", 2)
    z = n.unary(y, Activation.RELU)
    assert n.ops(fuse_activation(n.finish(y, z))) == ["conv2d", "unary+relu"]
    w = n.unary(y, Activation.TANH)
    assert n.ops(fuse_activation(n.finish(z, w))) == ["conv2d", "unary+relu", "unary+tanh"]


def test_the_output_keeps_its_name_and_shape(network) -> None:
    n = network()
    z = n.unary(n.conv("x", 2), Activation.RELU)
    after = fuse_activation(n.finish(z))
    assert after.nodes[0].output == after.outputs[0].value == z
    assert after.values[z].shape == (1, 2, 6, 5)


def test_residuals_are_added_before_the_activation(network) -> None:
    for update, ops in ((SkipUpdate.RESIDUAL, ["conv2d", "unary+relu"]), (SkipUpdate.RECOMPUTE, ["conv2d+relu"])):
        n = network()
        y = n.skip_conv("x", 4, kind=SkipKind.GUMBEL, update=update)
        before = n.finish(n.unary(y, Activation.RELU))
        after = fuse_activation(before)
        assert n.ops(after) == ops
        assert n.same(before, after, 0)
