"""Dead nodes, values and identities."""

from __future__ import annotations

from converters.passes.remove_dead import remove_dead
from runtime.reference.graph import Activation, View


def test_unused_branches_and_constants(network) -> None:
    n = network()
    y = n.conv("x", 2)
    n.conv(y, 3)
    n.constant([1.0])
    before = n.finish(y)
    after = remove_dead(before)
    assert n.ops(after) == ["conv2d"]
    assert len(after.values) == 4
    assert n.same(before, after)


def test_identities(network) -> None:
    n = network()
    y = n.unary(n.conv("x", 2), Activation.IDENTITY)
    before = n.finish(n.conv(n.node(View(), [y], (6, 5, 2)), 2))
    after = remove_dead(before)
    assert n.ops(after) == ["conv2d", "conv2d"]
    assert n.same(before, after)


def test_an_identity_that_is_an_output_gives_it_its_name(network) -> None:
    n = network()
    y = n.conv("x", 2)
    z = n.unary(y, Activation.IDENTITY)
    before = n.finish(z, n.unary(y, Activation.RELU))
    after = remove_dead(before)
    assert n.ops(after) == ["conv2d", "unary+relu"]
    assert n.same(before, after)


def test_unused_network_inputs_stay(network) -> None:
    n = network()
    after = remove_dead(n.finish(n.constant([1.0])))
    assert [item.name for item in after.inputs] == ["x"]
