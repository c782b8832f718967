"""Activations into the node before them."""

from __future__ import annotations

from converters.passes.fuse_activation import fuse_activation
from runtime.reference.graph import Activation, Binary, Concat, Matmul, SkipKind, SkipUpdate


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


def side_by_side(n, *parts: str) -> str:
    return n.node(Concat(2), list(parts), (*n.extents(parts[0])[:2], sum(n.extents(part)[2] for part in parts)))


def test_through_concatenations(network) -> None:
    n = network()
    inner = side_by_side(n, n.conv("x", 2), n.conv("x", 3))
    y = side_by_side(n, inner, n.binary(Binary.MUL, "x", "x"), n.conv("x", 1))
    before = n.finish(n.unary(y, Activation.RELU))
    after = fuse_activation(before)
    assert n.ops(after) == ["conv2d+relu", "conv2d+relu", "concat", "binary+relu", "conv2d+relu", "concat"]
    assert after.outputs == before.outputs
    assert n.same(before, after, 0)


def test_not_through_a_concatenation_with_another_part(network) -> None:
    for other in ("x", "a part that has an activation", "a part that others read"):
        n = network()
        part = n.conv("x", 2)
        outputs = [part] if other.endswith("read") else []
        if other.endswith("activation"):
            part = n.unary(part, Activation.TANH)
        y = n.unary(side_by_side(n, n.conv("x", 2), "x" if other == "x" else part), Activation.RELU)
        before = n.finish(y, *outputs)
        after = fuse_activation(before)
        assert n.ops(after)[-2:] == ["concat", "unary+relu"]
        assert n.same(before, after, 0)
