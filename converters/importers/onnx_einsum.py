"""Einsum: pairwise products of operands, each a matrix product, or pointwise where nothing is summed."""

from __future__ import annotations

import math
import string
from collections.abc import Sequence
from typing import NamedTuple

from runtime.reference.graph import Binary, Reduce

from .builder import Builder, Operand
from .layout import Tensor
from .onnx_conv import matmul, project
from .onnx_node import OnnxNode, Result, Unsupported, register
from .reshape import reshape


class Term(NamedTuple):
    """An operand with a letter for each axis."""

    labels: str
    operand: Operand


@register("Einsum")
def _einsum(node: OnnxNode, builder: Builder) -> Result:
    operands = [node.operand(index) for index in range(len(node.inputs))]
    terms, result = parsed(node.text("equation", ""), operands)
    terms = [Term(term.labels, builder.tensor(term.operand)) for term in terms] if len(terms) == 1 else terms
    while len(terms) > 1:
        first, second, *others = terms
        needed = set(result).union(*(term.labels for term in others))
        terms = [product(builder, first, second, needed), *others]
    labels, operand = summed(builder, terms[0], set(result))
    return permuted(builder, Term(labels, operand), result).operand


def parsed(equation: str, operands: Sequence[Operand]) -> tuple[list[Term], str]:
    """Operands with their letters, and those of the result; an ellipsis becomes letters of its own."""
    equation = equation.replace(" ", "")
    left, arrow, right = equation.partition("->")
    parts = left.split(",")
    if len(parts) != len(operands):
        raise Unsupported(f"equation {equation!r} does not fit {len(operands)} inputs", "re-export the model")
    spare = [letter for letter in string.ascii_letters if letter not in equation]
    hidden = [len(item.shape) - len(part.replace("...", "")) for part, item in zip(parts, operands, strict=True)]
    common = "".join(spare[: max((n for n, part in zip(hidden, parts, strict=True) if "..." in part), default=0)])
    terms = []
    for part, operand, count in zip(parts, operands, hidden, strict=True):
        labels = part.replace("...", common[len(common) - count :])
        if len(labels) != len(operand.shape) or len(set(labels)) != len(labels):
            raise Unsupported(f"a diagonal in equation {equation!r} is not supported", "take it with Gather before")
        terms.append(Term(labels, operand))
    if not arrow:  # implicitly the letters that occur once, sorted, behind the ellipsis
        joined = "".join(term.labels for term in terms)
        right = "..." + "".join(sorted(x for x in set(joined) if joined.count(x) == 1 and x not in common))
    return terms, right.replace("...", common)


def permuted(builder: Builder, term: Term, labels: str) -> Term:
    """The operand with its axes in another order."""
    order = [term.labels.index(label) for label in labels]
    if order == list(range(len(order))):
        return term
    operand = term.operand
    moved = builder.transpose(operand, order) if isinstance(operand, Tensor) else operand.transpose(order)
    return Term(labels, moved)


def summed(builder: Builder, term: Term, needed: set[str]) -> Term:
    """The operand summed over the axes that nothing else needs."""
    axes = [axis for axis, label in enumerate(term.labels) if label not in needed]
    if not axes:
        return term
    labels = "".join(label for label in term.labels if label in needed)
    operand = term.operand
    if not isinstance(operand, Tensor):
        return Term(labels, operand.sum(axis=tuple(axes)))
    total = builder.reduce(Reduce.SUM, operand, axes)
    return Term(labels, reshape(builder, total, [total.shape[k] for k in range(len(total.shape)) if k not in axes]))


def product(builder: Builder, a: Term, b: Term, needed: set[str]) -> Term:
    """Two operands as one, summed over the letters that only they have."""
    a = summed(builder, a, needed | set(b.labels))
    b = summed(builder, b, needed | set(a.labels))
    shared = [label for label in a.labels if label in b.labels]
    batch = "".join(label for label in shared if label in needed)
    inner = "".join(label for label in shared if label not in needed)
    rows, cols = ("".join(x for x in term.labels if x not in shared) for term in (a, b))
    if not inner:
        return pointwise(builder, a, b)
    if isinstance(b.operand, Tensor) and not isinstance(a.operand, Tensor):
        a, b, rows, cols = b, a, cols, rows
    a, b = permuted(builder, a, batch + rows + inner), permuted(builder, b, batch + inner + cols)
    sizes = dict(zip(b.labels, b.operand.shape, strict=True)) | dict(zip(a.labels, a.operand.shape, strict=True))
    sizes |= {label: size for label, size in zip(b.labels, b.operand.shape, strict=True) if sizes[label] == 1}
    shape = [sizes[label] for label in batch + rows + cols]
    count = {part: math.prod(sizes[label] for label in part) for part in (rows, inner, cols)}
    if isinstance(a.operand, Tensor) and not isinstance(b.operand, Tensor) and not batch:
        lead = [sizes[label] for label in rows]
        flat = reshape(builder, a.operand, (*lead, count[inner]))
        return Term(rows + cols, reshape(builder, project(builder, flat, b.operand.reshape(count[inner], -1)), shape))
    lead = [sizes[label] for label in batch]
    left = _shaped(builder, a.operand, (*lead, count[rows], count[inner]))
    right = _shaped(builder, b.operand, (*lead, count[inner], count[cols]))
    return Term(batch + rows + cols, reshape(builder, matmul(builder, left, right), shape))


def pointwise(builder: Builder, a: Term, b: Term) -> Term:
    """The product with every letter of either, nothing summed."""
    labels = a.labels + "".join(label for label in b.labels if label not in a.labels)
    wide: list[Operand] = []
    for term in (a, b):
        term = permuted(builder, term, "".join(label for label in labels if label in term.labels))
        sizes = dict(zip(term.labels, term.operand.shape, strict=True))
        wide.append(_shaped(builder, term.operand, [sizes.get(label, 1) for label in labels]))
    return Term(labels, builder.binary(Binary.MUL, wide[0], wide[1]))


def _shaped(builder: Builder, operand: Operand, shape: Sequence[int]) -> Operand:
    return reshape(builder, operand, shape) if isinstance(operand, Tensor) else operand.reshape(tuple(shape))
