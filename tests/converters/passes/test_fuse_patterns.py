"""Each decomposed function becomes one unary node and keeps its numbers."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest

from converters.passes.fuse_patterns import fuse_patterns
from converters.passes.remove_dead import remove_dead
from runtime.reference.graph import Activation, Binary

A, B = Activation, Binary
C = math.sqrt(2 / math.pi)


def gelu_erf(n, x: str, late: bool) -> str:
    g = n.binary(B.ADD, n.unary(n.binary(B.DIV, x, [math.sqrt(2)]), A.ERF), [1.0])
    return n.binary(B.MUL, n.binary(B.MUL, x, g), [0.5]) if late else n.binary(B.MUL, n.binary(B.MUL, x, [0.5]), g)


def gelu_tanh(n, x: str, factored: bool) -> str:
    if factored:  # x (1 + 0.044715 x^2)
        inner = n.binary(B.ADD, n.binary(B.MUL, n.binary(B.MUL, x, x), [0.044715]), [1.0])
        argument = n.binary(B.MUL, n.binary(B.MUL, x, [C]), inner)
    else:
        argument = n.binary(B.MUL, [C], n.binary(B.ADD, x, n.binary(B.MUL, [0.044715], n.binary(B.POW, x, [3.0]))))
    return n.binary(B.MUL, n.binary(B.MUL, [0.5], x), n.binary(B.ADD, [1.0], n.unary(argument, A.TANH)))


def hard_swish(n, x: str, variant: int) -> str:
    shifted = n.binary(B.ADD, x, [3.0])
    clipped = n.unary(shifted, A.CLIP, 0, 6)
    if variant == 0:
        return n.binary(B.DIV, n.binary(B.MUL, x, clipped), [6.0])
    if variant == 1:
        return n.binary(B.MUL, x, n.binary(B.DIV, clipped, [6.0]))
    if variant == 2:
        return n.binary(B.MUL, x, n.binary(B.MUL, n.binary(B.MIN, n.unary(shifted, A.RELU), [6.0]), [1 / 6]))
    return n.binary(B.MUL, n.binary(B.MUL, x, [1 / 6]), clipped)


def hard_sigmoid(n, x: str) -> str:
    return n.binary(B.DIV, n.unary(n.binary(B.ADD, x, [3.0]), A.CLIP, 0, 6), [6.0])


PATTERNS: dict[str, tuple[Callable[..., str], str]] = {
    "silu": (lambda n, x: n.binary(B.MUL, x, n.unary(x, A.SIGMOID)), "silu(1)"),
    "silu reversed": (lambda n, x: n.binary(B.MUL, n.unary(x, A.SIGMOID), x), "silu(1)"),
    "swish 1.702": (lambda n, x: n.binary(B.MUL, x, n.unary(n.binary(B.MUL, x, [1.702]), A.SIGMOID)), "silu(1.702)"),
    "hard swish": (lambda n, x: n.binary(B.MUL, x, n.unary(x, A.HARD_SIGMOID, 0.2, 0.5)), "hard_swish(0.2, 0.5)"),
    "hard swish x clip / 6": (lambda n, x: hard_swish(n, x, 0), "hard_swish(0.166667, 0.5)"),
    "hard swish x (clip / 6)": (lambda n, x: hard_swish(n, x, 1), "hard_swish(0.166667, 0.5)"),
    "hard swish relu min": (lambda n, x: hard_swish(n, x, 2), "hard_swish(0.166667, 0.5)"),
    "hard swish (x / 6) clip": (lambda n, x: hard_swish(n, x, 3), "hard_swish(0.166667, 0.5)"),
    "gelu": (lambda n, x: gelu_erf(n, x, False), "gelu"),
    "gelu half last": (lambda n, x: gelu_erf(n, x, True), "gelu"),
    "gelu tanh": (lambda n, x: gelu_tanh(n, x, False), "gelu_tanh"),
    "gelu tanh factored": (lambda n, x: gelu_tanh(n, x, True), "gelu_tanh"),
    "mish": (lambda n, x: n.binary(B.MUL, x, n.unary(n.unary(x, A.SOFTPLUS), A.TANH)), "mish"),
    "square": (lambda n, x: n.binary(B.POW, x, [2.0]), "square"),
    "square by itself": (lambda n, x: n.binary(B.MUL, x, x), "square"),
    "cube": (lambda n, x: n.binary(B.POW, x, [3.0]), "pow(3)"),
    "reciprocal": (lambda n, x: n.binary(B.DIV, [1.0], x), "reciprocal"),
    "leaky from prelu": (lambda n, x: n.binary(B.PRELU, x, [0.25] * 3), "leaky_relu(0.25)"),
    "leaky from max": (lambda n, x: n.binary(B.MAX, n.binary(B.MUL, x, [0.1]), x), "leaky_relu(0.1)"),
    "relu from max": (lambda n, x: n.binary(B.MAX, [0.0], x), "relu"),
    "clip from max and min": (lambda n, x: n.binary(B.MIN, n.binary(B.MAX, x, [-1.0]), [2.0]), "clip(-1, 2)"),
    "relu then clip": (lambda n, x: n.unary(n.unary(x, A.RELU), A.CLIP, -1, 6), "clip(0, 6)"),
    "clip of clip": (lambda n, x: n.unary(n.unary(x, A.CLIP, -3, 1), A.CLIP, 0, 6), "clip(0, 1)"),
    "affine": (lambda n, x: n.binary(B.ADD, n.binary(B.MUL, x, [2.0]), [1.0]), "affine(2, 1)"),
    "affine from minus": (lambda n, x: n.binary(B.SUB, [1.0], x), "affine(-1, 1)"),
    "hard sigmoid": (lambda n, x: hard_sigmoid(n, x), "hard_sigmoid(0.166667, 0.5)"),
}  # fmt: skip


def shown(node) -> str:
    parameters = ", ".join(f"{number:.6g}" for number in node.activation.parameters)
    return node.activation.kind.name.lower() + (f"({parameters})" if parameters else "")


@pytest.mark.parametrize("name", PATTERNS)
def test_pattern(network, name: str) -> None:
    build, expected = PATTERNS[name]
    n = network()
    before = n.finish(build(n, "x"))
    after = remove_dead(fuse_patterns(before))
    assert [shown(node) for node in after.nodes] == [expected]
    assert n.same(before, after)


def test_square_root(network) -> None:
    n = network()
    before = n.finish(n.binary(B.POW, n.unary("x", A.ABS), [0.5]))
    after = fuse_patterns(before)
    assert n.ops(after) == ["unary+abs", "unary+sqrt"]
    assert n.same(before, after)


def test_a_gate_of_another_value_is_no_silu(network) -> None:
    n = network()
    y = n.conv("x", 3)
    before = n.finish(n.binary(B.MUL, y, n.unary("x", A.SIGMOID)))
    assert n.ops(fuse_patterns(before)) == n.ops(before)


def test_squeeze_excite_is_left_alone(network) -> None:
    n = network()
    y = n.conv("x", 1)
    before = n.finish(n.binary(B.MUL, "x", n.unary(y, A.SIGMOID)))
    assert n.ops(fuse_patterns(before)) == n.ops(before)


def test_intermediate_values_that_are_outputs_stay(network) -> None:
    n = network()
    gate = n.unary("x", A.SIGMOID)
    before = n.finish(gate, n.binary(B.MUL, "x", gate))
    after = fuse_patterns(before)
    assert n.ops(after) == ["unary+sigmoid", "unary+silu"]
    assert n.same(before, after)


def test_wrong_constants_do_not_match(network) -> None:
    n = network()
    g = n.binary(B.ADD, n.unary(n.binary(B.MUL, "x", [0.7]), A.ERF), [1.0])
    before = n.finish(n.binary(B.MUL, n.binary(B.MUL, "x", [0.5]), g))
    after = remove_dead(fuse_patterns(before))
    assert "unary+gelu" not in n.ops(after)
    assert n.same(before, after)
