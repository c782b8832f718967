"""What fold_affine and fuse_patterns share: nodes as affine functions of one running value."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from runtime.reference.graph import Activation, Binary, BinaryOp, Node, Unary

from .rewrite import Rewriter

Doubles = npt.NDArray[np.float64]
ROUNDING = (Activation.TRUNC, Activation.FLOOR, Activation.CEIL, Activation.ROUND)


@dataclass(frozen=True)
class Affine:
    """``scale * x + shift``; scale and shift float64 of shape (1,) or (channels,)."""

    x: str
    scale: Doubles
    shift: Doubles


def affine_of(rewriter: Rewriter, node: Node) -> Affine | None:
    """The node (before its activation, if it is binary) as an affine function of a running value, or None."""
    one, zero = np.ones(1), np.zeros(1)
    if isinstance(node.attributes, Unary):
        x, (p, q) = str(node.inputs[0]), (*node.activation.parameters, 0.0, 0.0)[:2]
        if node.activation.kind == Activation.AFFINE:
            return Affine(x, one * p, one * q)
        return Affine(x, -one, zero) if node.activation.kind == Activation.NEG else None
    if not isinstance(node.attributes, BinaryOp):
        return None
    a, b = (str(name) for name in node.inputs)
    left, right = (_per_channel(rewriter, name) for name in (a, b))
    x, constant = (a, right) if left is None else (b, left)
    if constant is None or rewriter.values[x].extents != rewriter.values[node.output].extents:
        return None
    match node.attributes.kind:
        case Binary.ADD:
            return Affine(x, one, constant)
        case Binary.MUL:
            return Affine(x, constant, zero)
        case Binary.SUB:
            return Affine(x, one, -constant) if x == a else Affine(x, -one, constant)
        case Binary.DIV if x == a and np.all(constant != 0) and not _rounded(rewriter, node):
            return Affine(x, 1 / constant, zero)
    return None


def _per_channel(rewriter: Rewriter, name: str) -> Doubles | None:
    """A constant that is the same for all pixels: (channels,), or (1,) where it is also the same for all channels."""
    data = rewriter.constant(name)
    if data is None or data.ndim != 3:
        return None
    channels = data.reshape(-1, data.shape[2])
    first = np.asarray(channels[0], np.float64)
    if not np.all(channels == channels[0]) or not np.all(np.isfinite(first)):
        return None
    return first[:1] if np.all(first == first[0]) else first


def _rounded(rewriter: Rewriter, node: Node) -> bool:
    """Whether a quotient is rounded to an integer next, where x / c and x * (1 / c) may fall on two sides."""
    following = [reader.activation.kind for reader in rewriter.readers(node.output)]
    return any(kind in ROUNDING for kind in [node.activation.kind, *following])


def as_unary(rewriter: Rewriter, node: Node) -> bool:
    """Makes a scalar affine node unary, one with those before it that nobody else reads; False: nothing to do."""
    affine = affine_of(rewriter, node)
    if affine is None or affine.scale.size != 1 or affine.shift.size != 1:
        return False
    if not isinstance(node.attributes, Unary) and node.activation.kind != Activation.IDENTITY:
        return False
    x, scale, shift = affine.x, float(affine.scale[0]), float(affine.shift[0])
    before = rewriter.producer.get(x)
    inner = affine_of(rewriter, before) if before is not None and isinstance(before.attributes, Unary) else None
    if before is not None and inner is not None and rewriter.sole_reader(x) is node:
        x, scale, shift = inner.x, scale * float(inner.scale[0]), scale * float(inner.shift[0]) + shift
        rewriter.become_unary(node, x, Activation.AFFINE, scale, shift)
        rewriter.remove(before)
        return True
    if isinstance(node.attributes, Unary):
        return False
    rewriter.become_unary(node, x, Activation.AFFINE, scale, shift)
    return True
