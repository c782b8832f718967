"""Recognises functions that exporters wrote out in smaller operators: SiLU, GELU, hard swish and the like."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from runtime.reference.graph import Activation, ActivationSpec, Binary, BinaryOp, Graph, Node, Unary

from .affine import as_unary
from .rewrite import RELU, Rewriter

TOLERANCE = 5e-6  # relative, of constants such as 0.7071068
MAX_DEPTH = 6
GELU_TANH_ARGUMENT = [0.0, math.sqrt(2 / math.pi), 0.0, 0.044715 * math.sqrt(2 / math.pi)]


def fuse_patterns(graph: Graph) -> Graph:
    """Replaces decomposed pointwise functions by unary nodes; intermediate values that others read stay."""
    rewriter = Rewriter(graph)
    for node in rewriter.live():
        for rule in (as_unary, _with_scalar, _merge_clips, _squared, _leaky, _hard_sigmoid, _product):
            if rule(rewriter, node) and rule is not as_unary:
                break  # as_unary: a product that is affine may end a longer pattern
    return rewriter.finish()


def close(a: float, b: float) -> bool:
    """Whether two constants are meant to be the same."""
    return abs(a - b) <= TOLERANCE * max(abs(a), abs(b))


def _kind(node: Node | None) -> int | None:
    """The kind of a binary node without activation, else None."""
    if node is None or not isinstance(node.attributes, BinaryOp) or node.activation.kind != Activation.IDENTITY:
        return None
    return node.attributes.kind


# -- one running operand ----------------------------------------------------------------------------------------------


def _with_scalar(rewriter: Rewriter, node: Node) -> bool:
    """Power, maximum, minimum, reciprocal and prelu with one number."""
    kind = _kind(node)
    if kind not in (Binary.POW, Binary.MAX, Binary.MIN, Binary.DIV, Binary.PRELU):
        return False
    a, b = (str(name) for name in node.inputs)
    left, right = rewriter.scalar(a), rewriter.scalar(b)
    if left is not None and kind in (Binary.MAX, Binary.MIN):
        a, left, right = b, right, left
    if rewriter.values[a].extents != rewriter.values[node.output].extents:
        return kind == Binary.DIV and left is not None and _reciprocal(rewriter, node, left, b)
    if right is None or math.isnan(right):
        return kind == Binary.DIV and left is not None and _reciprocal(rewriter, node, left, b)
    if kind == Binary.POW:
        rewriter.become_unary(node, a, *_power(right))
    elif kind == Binary.PRELU:
        rewriter.become_unary(node, a, Activation.LEAKY_RELU, right)
    elif kind == Binary.MAX:
        rewriter.become_unary(node, a, Activation.CLIP, right, math.inf)
    elif kind == Binary.MIN:
        rewriter.become_unary(node, a, Activation.CLIP, -math.inf, right)
    else:
        return False
    _merge_clips(rewriter, node)
    return True


def _power(exponent: float) -> tuple[Activation] | tuple[Activation, float]:
    named = {2.0: Activation.SQUARE, 0.5: Activation.SQRT, 1.0: Activation.IDENTITY, -1.0: Activation.RECIPROCAL}
    return (named[exponent],) if exponent in named else (Activation.POW, exponent)


def _reciprocal(rewriter: Rewriter, node: Node, numerator: float, x: str) -> bool:
    if numerator != 1 or rewriter.values[x].extents != rewriter.values[node.output].extents:
        return False
    rewriter.become_unary(node, x, Activation.RECIPROCAL)
    return True


def _limits(spec: ActivationSpec) -> tuple[float, float] | None:
    if spec.kind == Activation.RELU:
        return 0.0, math.inf
    return (spec.parameters[0], spec.parameters[1]) if spec.kind == Activation.CLIP else None


def _merge_clips(rewriter: Rewriter, node: Node) -> bool:
    """clip(clip(x)) is one clip; one without upper limit and from 0 is relu."""
    limits = _limits(node.activation)
    if not isinstance(node.attributes, Unary) or limits is None:
        return False
    before = rewriter.producer.get(str(node.inputs[0]))
    x = str(node.inputs[0])
    if before is not None and isinstance(before.attributes, Unary) and rewriter.sole_reader(x) is node:
        inner = _limits(before.activation)
        if inner is not None and inner[0] <= inner[1] and limits[0] <= limits[1]:
            x = str(before.inputs[0])
            limits = (_clip(inner[0], limits), _clip(inner[1], limits))
            rewriter.become_unary(node, x, Activation.CLIP, *limits)
            rewriter.remove(before)
    if limits == (0.0, math.inf):
        node.activation = RELU
    elif limits == (-math.inf, math.inf):
        node.activation = ActivationSpec()
    return False  # a hard sigmoid may still be found in it


def _clip(number: float, limits: tuple[float, float]) -> float:
    return min(max(number, limits[0]), limits[1])


def _squared(rewriter: Rewriter, node: Node) -> bool:
    if _kind(node) == Binary.MUL and node.inputs[0] == node.inputs[1]:
        rewriter.become_unary(node, str(node.inputs[0]), Activation.SQUARE)
        return True
    if isinstance(node.attributes, Unary) and node.activation.kind == Activation.POW:
        node.activation = ActivationSpec(*_split(_power(node.activation.parameters[0])))
    return False


def _split(power: tuple[Activation] | tuple[Activation, float]) -> tuple[Activation, tuple[float, ...]]:
    return power[0], tuple(float(number) for number in power[1:])


def _leaky(rewriter: Rewriter, node: Node) -> bool:
    """Finds max(x, p x) with 0 < p < 1."""
    if _kind(node) != Binary.MAX:
        return False
    a, b = (str(name) for name in node.inputs)
    for x, other in ((a, b), (b, a)):
        line = polynomial(rewriter, other, x)
        if line is not None and len(line) == 2 and line[0] == 0 and 0 < line[1] < 1:
            rewriter.become_unary(node, x, Activation.LEAKY_RELU, line[1])
            return True
    return False


def _hard_sigmoid(rewriter: Rewriter, node: Node) -> bool:
    """Finds s clip(a x + b, 0, m) with s m = 1, where the affine function before the clip has no other use."""
    source: tuple[str, tuple[float, ...]] | None
    scale, source = 1.0, (node.output, (1.0, 0.0))
    if isinstance(node.attributes, Unary) and node.activation.kind == Activation.AFFINE:
        source = rewriter.unary(node.output, Activation.AFFINE)
    if source is None or len(source[1]) < 2 or source[1][1] != 0:
        return False
    scale = source[1][0]
    clip = rewriter.unary(source[0], Activation.CLIP)
    if clip is None or clip[1][0] != 0 or not close(scale * clip[1][1], 1):
        return False
    x, a, b = clip[0], 1.0, 0.0
    line = rewriter.unary(x, Activation.AFFINE)
    if line is not None and len(rewriter.readers(x)) == 1:
        x, (a, b) = line[0], (*line[1], 0.0)[:2]
    elif scale == 1:
        return False  # a plain clip to 0 ... 1 is best left as it is
    rewriter.become_unary(node, x, Activation.HARD_SIGMOID, a * scale, b * scale)
    return True


# -- products ---------------------------------------------------------------------------------------------------------


def _product(rewriter: Rewriter, node: Node) -> bool:
    """Finds x times a function of x, times a number."""
    scaled = isinstance(node.attributes, Unary) and node.activation.kind == Activation.AFFINE
    if _kind(node) != Binary.MUL and not scaled:
        return False
    for depth in range(1, 4):
        scale, leaves = factors(rewriter, node.output, depth)
        if len(leaves) != 2:
            continue
        for x, other in (leaves, leaves[::-1]):
            if rewriter.values[x].extents != rewriter.values[node.output].extents:
                continue
            for match in (_silu, _hard_swish, _gelu, _mish):
                spec = match(rewriter, x, other, scale)
                if spec is not None:
                    rewriter.become_unary(node, x, spec.kind, *spec.parameters)
                    return True
    return False


def factors(rewriter: Rewriter, name: str, depth: int) -> tuple[float, list[str]]:
    """A value as a number times other values, looking through ``depth`` products."""
    node = rewriter.producer.get(name)
    number = rewriter.scalar(name)
    if number is not None:
        return number, []
    if depth == 0 or node is None:
        return 1.0, [name]
    if isinstance(node.attributes, Unary) and node.activation.kind == Activation.AFFINE:
        p, q = (*node.activation.parameters, 0.0)[:2]
        if q != 0:
            return 1.0, [name]
        scale, leaves = factors(rewriter, str(node.inputs[0]), depth - 1)
        return p * scale, leaves
    if _kind(node) != Binary.MUL:
        return 1.0, [name]
    left, right = (factors(rewriter, str(part), depth - 1) for part in node.inputs)
    return left[0] * right[0], [*left[1], *right[1]]


Polynomial = Sequence[float]


def polynomial(rewriter: Rewriter, name: str, x: str, depth: int = MAX_DEPTH) -> Polynomial | None:
    """Coefficients, of x^0 first, of a value as a polynomial in another one of degree 3 at most, or None."""
    if name == x:
        return [0.0, 1.0]
    number = rewriter.scalar(name)
    if number is not None:
        return [number]
    node = rewriter.producer.get(name)
    if node is None or depth == 0:
        return None
    if isinstance(node.attributes, Unary):
        return _unary_polynomial(rewriter, node, x, depth)
    operation = _POLYNOMIALS.get(_kind(node))
    if operation is None:
        return None
    parts = [polynomial(rewriter, str(part), x, depth - 1) for part in node.inputs]
    if parts[0] is None or parts[1] is None:
        return None
    return _trimmed(operation(parts[0], parts[1]))


def _unary_polynomial(rewriter: Rewriter, node: Node, x: str, depth: int) -> Polynomial | None:
    kind, parameters = node.activation.kind, node.activation.parameters
    if kind not in (Activation.AFFINE, Activation.NEG, Activation.SQUARE, Activation.POW):
        return None
    inner = polynomial(rewriter, str(node.inputs[0]), x, depth - 1)
    if inner is None:
        return None
    if kind == Activation.AFFINE:
        p, q = (*parameters, 0.0)[:2]
        return _trimmed(np.polynomial.polynomial.polyadd([p * c for c in inner], [q]))
    if kind == Activation.NEG:
        return [-c for c in inner]
    exponent = 2.0 if kind == Activation.SQUARE else parameters[0]
    if exponent not in (2.0, 3.0):
        return None
    return _trimmed(np.polynomial.polynomial.polypow(inner, int(exponent)))


_POLYNOMIALS: dict[int | None, Callable[..., Any]] = {
    Binary.ADD: np.polynomial.polynomial.polyadd,
    Binary.SUB: np.polynomial.polynomial.polysub,
    Binary.MUL: np.polynomial.polynomial.polymul,
    Binary.DIV: lambda a, b: [c / b[0] for c in a] if len(b) == 1 and b[0] != 0 else [math.nan] * 5,
}


def _trimmed(coefficients: Any) -> Polynomial | None:
    numbers = [float(c) for c in coefficients]
    while len(numbers) > 1 and numbers[-1] == 0:
        numbers.pop()
    return numbers if len(numbers) <= 4 else None


def _slope(rewriter: Rewriter, name: str, x: str) -> float | None:
    """The p of a value that is p x."""
    line = polynomial(rewriter, name, x)
    return line[1] if line is not None and len(line) == 2 and line[0] == 0 else None


def _silu(rewriter: Rewriter, x: str, other: str, scale: float) -> ActivationSpec | None:
    found = rewriter.unary(other, Activation.SIGMOID)
    slope = None if found is None or not close(scale, 1) else _slope(rewriter, found[0], x)
    return None if slope is None else ActivationSpec(Activation.SILU, (slope,))


def _hard_swish(rewriter: Rewriter, x: str, other: str, scale: float) -> ActivationSpec | None:
    found = rewriter.unary(other, Activation.HARD_SIGMOID, Activation.CLIP)
    if found is None:
        return None
    node, (p, q) = rewriter.producer[other], (*found[1], 0.0, 0.0)[:2]
    line = polynomial(rewriter, found[0], x)
    if line is None or len(line) != 2:
        return None
    if node.activation.kind == Activation.CLIP:
        a, b, top = scale, 0.0, scale * q if p == 0 else math.nan
    else:
        a, b, top = p, q, scale
    if not close(top, 1):
        return None
    return ActivationSpec(Activation.HARD_SWISH, (a * line[1], a * line[0] + b))


def _gelu(rewriter: Rewriter, x: str, other: str, scale: float) -> ActivationSpec | None:
    """Finds scale x (q + p f(u)) with scale q = scale p = 1/2; f is erf or tanh."""
    line = rewriter.unary(other, Activation.AFFINE)
    if line is None or len(line[1]) < 2 or not (close(scale * line[1][0], 0.5) and close(scale * line[1][1], 0.5)):
        return None
    erf, tanh = (rewriter.unary(line[0], kind) for kind in (Activation.ERF, Activation.TANH))
    if erf is not None:
        slope = _slope(rewriter, erf[0], x)
        return ActivationSpec(Activation.GELU) if slope is not None and close(slope, math.sqrt(0.5)) else None
    argument = None if tanh is None else polynomial(rewriter, tanh[0], x)
    if argument is None or len(argument) != 4:
        return None
    equal = all(close(a, b) for a, b in zip(argument, GELU_TANH_ARGUMENT, strict=True))
    return ActivationSpec(Activation.GELU_TANH) if equal else None


def _mish(rewriter: Rewriter, x: str, other: str, scale: float) -> ActivationSpec | None:
    tanh = rewriter.unary(other, Activation.TANH)
    softplus = None if tanh is None else rewriter.unary(tanh[0], Activation.SOFTPLUS)
    return ActivationSpec(Activation.MISH) if softplus is not None and softplus[0] == x and close(scale, 1) else None
