"""Affine nodes into convolutions, by structure and by numbers."""

from __future__ import annotations

import numpy as np
import pytest

from converters.passes.fold_affine import fold_affine
from runtime.reference.graph import Activation, ActivationSpec, Binary, SkipKind, SkipUpdate


def test_batch_norm_after_a_convolution(network) -> None:
    n = network()
    y = n.conv("x", 4, kernel=3, pad=1, bias=False)
    y = n.binary(Binary.MUL, y, [1.0, 2.0, -3.0, 0.5])
    before = n.finish(n.binary(Binary.ADD, [0.1, 0.2, 0.3, 0.4], y))
    after = fold_affine(before)
    assert n.ops(after) == ["conv2d"]
    assert n.same(before, after)
    assert n.ops(before) == ["conv2d", "binary", "binary"], "the given graph is left alone"


@pytest.mark.parametrize("kind", [Binary.ADD, Binary.SUB, Binary.MUL, Binary.DIV])
@pytest.mark.parametrize("left", [False, True])
def test_every_kind_and_side(network, kind: Binary, left: bool) -> None:
    n = network()
    y = n.conv("x", 4)
    constant = [1.5, 2.0, -3.0, 0.25]
    before = n.finish(n.binary(kind, constant, y) if left else n.binary(kind, y, constant))
    after = fold_affine(before)
    assert n.ops(after) == (["conv2d", "binary"] if left and kind == Binary.DIV else ["conv2d"])
    assert n.same(before, after)


def test_conv_transpose_takes_it_too(network) -> None:
    n = network()
    before = n.finish(n.binary(Binary.MUL, n.conv_transpose("x", 2), [2.0, 3.0]))
    after = fold_affine(before)
    assert n.ops(after) == ["conv_transpose2d"]
    assert n.same(before, after)


@pytest.mark.parametrize(("groups", "channels"), [(1, 4), (3, 6), (3, 3)])
def test_before_a_convolution_without_padding(network, groups: int, channels: int) -> None:
    n = network()
    y = n.binary(Binary.SUB, "x", [1.0, 2.0, 3.0])
    y = n.binary(Binary.DIV, y, [0.5, 2.0, 4.0])
    before = n.finish(n.conv(y, channels, kernel=3, groups=groups))
    after = fold_affine(before)
    assert n.ops(after) == ["conv2d"]
    assert n.same(before, after)


def test_before_padding_only_the_scale_goes(network) -> None:
    n = network()
    y = n.binary(Binary.MUL, n.binary(Binary.SUB, "x", [1.0, 2.0, 3.0]), [0.5, 2.0, 4.0])
    before = n.finish(n.conv(y, 4, kernel=3, pad=1))
    after = fold_affine(before)
    assert n.ops(after) == ["binary", "conv2d"]
    assert n.same(before, after)


def test_values_that_others_need_stay(network) -> None:
    n = network()
    y = n.conv("x", 4)
    z = n.binary(Binary.MUL, y, [1.0, 2.0, 3.0, 4.0])
    before = n.finish(y, z)
    assert n.ops(fold_affine(before)) == ["conv2d", "binary"]


def test_a_constant_per_pixel_is_not_affine(network) -> None:
    n = network()
    y = n.conv("x", 1)
    before = n.finish(n.binary(Binary.MUL, y, np.arange(30.0).reshape(6, 5, 1)))
    assert n.ops(fold_affine(before)) == ["conv2d", "binary"]


def test_a_constant_that_widens_is_not_affine(network) -> None:
    n = network()
    before = n.finish(n.binary(Binary.MUL, n.conv("x", 1), [1.0, 2.0]))
    assert n.ops(fold_affine(before)) == ["conv2d", "binary"]


def test_a_rounded_quotient_stays_a_quotient(network) -> None:
    n = network()
    y = n.binary(Binary.DIV, n.conv("x", 4), [7.0])
    before = n.finish(n.unary(y, Activation.TRUNC))
    assert n.ops(fold_affine(before)) == ["conv2d", "binary", "unary+trunc"]


def test_negation_and_shared_weights(network) -> None:
    n = network()
    first = n.conv("x", 2)
    second = n.conv("x", 2)
    n.graph.nodes[1].inputs[1] = n.graph.nodes[0].inputs[1]
    before = n.finish(n.unary(first, Activation.NEG), second)
    after = fold_affine(before)
    assert n.ops(after) == ["conv2d", "conv2d"]
    assert n.same(before, after)


@pytest.mark.parametrize("kind", [kind for kind in SkipKind if kind != SkipKind.SHARED])
def test_skip_gates_stay_on_what_they_were_trained_with(network, kind: SkipKind) -> None:
    n = network()
    y = n.skip_conv("x", 4, kernel=3, pad=1, kind=kind)
    scale, shift = np.array([1.0, 2.0, -3.0, 0.5]), np.array([0.1, 0.2, 0.3, 0.4])
    before = n.finish(n.binary(Binary.ADD, n.binary(Binary.MUL, y, scale), shift))
    after = fold_affine(before)
    assert n.ops(after) == ["conv2d"]
    assert n.same(before, after)
    old, new = before.nodes[0], after.nodes[0]
    assert (new.gate, new.inputs[4]) == (old.gate, old.inputs[4])
    bias = before.values[old.inputs[2]].data.reshape(-1)
    dense, again = (after.values[new.inputs[i]].data.reshape(-1) for i in (2, 5))
    np.testing.assert_allclose(dense, bias * scale + shift, rtol=1e-6)
    np.testing.assert_allclose(again, bias * scale, rtol=1e-6)


def test_no_residual_bias_appears_from_a_shift(network) -> None:
    n = network()
    y = n.skip_conv("x", 4, kind=SkipKind.NORM_INPUT, update=SkipUpdate.RECOMPUTE)
    after = fold_affine(n.finish(n.binary(Binary.ADD, y, [1.0, 2.0, 3.0, 4.0])))
    assert n.ops(after) == ["conv2d"]
    assert after.nodes[0].inputs[5] is None


def test_the_input_of_a_skip_gate_is_not_scaled(network) -> None:
    n = network()
    y = n.binary(Binary.MUL, "x", [1.0, 2.0, 3.0])
    before = n.finish(n.skip_conv(y, 4, kind=SkipKind.NORM_INPUT))
    assert n.ops(fold_affine(before)) == ["binary", "conv2d"]


def test_an_activation_does_not_come_along_to_residuals(network) -> None:
    for update, ops in ((SkipUpdate.RESIDUAL, ["conv2d", "binary+relu"]), (SkipUpdate.RECOMPUTE, ["conv2d+relu"])):
        n = network()
        y = n.skip_conv("x", 4, kind=SkipKind.GUMBEL, update=update)
        y = n.binary(Binary.MUL, y, [1.0, 2.0, 3.0, 4.0])
        n.graph.nodes[-1].activation = ActivationSpec(Activation.RELU)
        before = n.finish(y)
        after = fold_affine(before)
        assert n.ops(after) == ops
        assert n.same(before, after)
