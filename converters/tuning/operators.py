"""The operators of docs/file_format.md, section 4, in PyTorch: ``runtime/reference/ops.py`` in batches, with gradients.

Running values are float32 tensors (N, rows, cols, channels); constants as the graph holds them, index tables int32.
"""

# ruff: noqa: ARG001, ARG005 (all operators, and all activations, have one signature)

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 (its usual name)

from runtime.reference.errors import UnsupportedError
from runtime.reference.graph import (
    Activation,
    ActivationSpec,
    Attributes,
    Binary,
    BinaryOp,
    Concat,
    Conv2d,
    ConvTranspose2d,
    Gather,
    Matmul,
    Pool,
    PoolKind,
    Reduce,
    ReduceChannels,
    ReducePixels,
    Residual,
    ResizeOp,
    Softmax,
    Transpose,
    Unary,
    View,
    Where,
)

Inputs = Sequence[Any]  # tensors, or None for an absent optional one
Extents = tuple[int, int, int]


def compute(attributes: Attributes, inputs: Inputs, extents: Extents, activation: ActivationSpec) -> Tensor:
    """The dense output (N, *extents) of one operator, residual and activation included.

    Raises:
        UnsupportedError: no such operator.
    """
    out = _compute(attributes, inputs, extents)
    place = attributes.residual if isinstance(attributes, Conv2d) else Residual.NONE
    if place == Residual.BEFORE_ACTIVATION:
        out = out + inputs[3]
    p, q = (*activation.parameters, 0.0, 0.0)[:2]
    out = ACTIVATIONS[Activation(activation.kind)](out, p, q)
    if place == Residual.AFTER_ACTIVATION:
        out = out + inputs[3]
    return out.expand(out.shape[0], *extents) if out.dim() == 4 else out.reshape(-1, *extents)


@functools.singledispatch
def _compute(attributes: Attributes, inputs: Inputs, extents: Extents) -> Tensor:
    raise UnsupportedError(f"fine-tuning does not know the operator {attributes.NAME}")


def _to_maps(x: Tensor) -> Tensor:
    return x.permute(0, 3, 1, 2)


def _to_values(x: Tensor) -> Tensor:
    return x.permute(0, 2, 3, 1)


@_compute.register
def _(attributes: Conv2d, inputs: Inputs, extents: Extents) -> Tensor:
    a = attributes
    x, weights, bias = (*inputs, None, None)[:3]
    rows = (extents[0] - 1) * a.stride_h + a.dilation_h * (a.kernel_h - 1) + 1  # that windows read, padding included
    cols = (extents[1] - 1) * a.stride_w + a.dilation_w * (a.kernel_w - 1) + 1
    below, right = rows - a.pad_top - x.shape[1], cols - a.pad_left - x.shape[2]
    padded = F.pad(_to_maps(x), (a.pad_left, max(0, right), a.pad_top, max(0, below)))[:, :, :rows, :cols]
    if padded.shape[1] == 1:  # torch 2.13 reads past such maps where their strides are those of channels_last
        padded = padded.clone(memory_format=torch.contiguous_format)
    kernel = weights.permute(3, 2, 0, 1).contiguous()
    stride, dilation = (a.stride_h, a.stride_w), (a.dilation_h, a.dilation_w)
    return _to_values(F.conv2d(padded, kernel, _flat(bias), stride, 0, dilation, a.groups))


@_compute.register
def _(attributes: ConvTranspose2d, inputs: Inputs, extents: Extents) -> Tensor:
    a = attributes
    x, weights, bias = (*inputs, None, None)[:3]
    depth, width = weights.shape[2], weights.shape[3] // a.groups
    by_group = weights.reshape(a.kernel_h, a.kernel_w, depth, a.groups, width).permute(3, 2, 4, 0, 1)
    kernel = by_group.reshape(a.groups * depth, width, a.kernel_h, a.kernel_w)
    stride, dilation = (a.stride_h, a.stride_w), (a.dilation_h, a.dilation_w)
    whole = F.conv_transpose2d(_to_maps(x), kernel, None, stride, 0, 0, a.groups, dilation)
    rows, cols = a.pad_top + extents[0] - whole.shape[2], a.pad_left + extents[1] - whole.shape[3]
    out = _to_values(F.pad(whole, (-a.pad_left, cols, -a.pad_top, rows)))
    return out if bias is None else out + _flat(bias)


def _flat(bias: Tensor | None) -> Tensor | None:
    return None if bias is None else bias.reshape(-1)


@_compute.register
def _(attributes: Matmul, inputs: Inputs, extents: Extents) -> Tensor:
    return torch.matmul(inputs[0], inputs[1])


@_compute.register
def _(attributes: Pool, inputs: Inputs, extents: Extents) -> Tensor:
    a, x = attributes, inputs[0]
    largest = a.kind == PoolKind.MAX

    def taps(values: Tensor, outside: float) -> list[Tensor]:
        rows = (extents[0] - 1) * a.stride_h + a.dilation_h * (a.kernel_h - 1) + 1 - a.pad_top - x.shape[1]
        cols = (extents[1] - 1) * a.stride_w + a.dilation_w * (a.kernel_w - 1) + 1 - a.pad_left - x.shape[2]
        padded = F.pad(values, (0, 0, a.pad_left, max(cols, 0), a.pad_top, max(rows, 0)), value=outside)
        found = []
        for ky in range(a.kernel_h):
            for kx in range(a.kernel_w):
                top, left = ky * a.dilation_h, kx * a.dilation_w
                bottom, right = top + (extents[0] - 1) * a.stride_h + 1, left + (extents[1] - 1) * a.stride_w + 1
                found.append(padded[:, top : bottom : a.stride_h, left : right : a.stride_w])
        return found

    ones = torch.ones(1, x.shape[1], x.shape[2], 1)
    inside = sum(taps(ones, 0.0))
    assert isinstance(inside, Tensor)
    if largest:
        return torch.where(inside > 0, functools.reduce(torch.maximum, taps(x, -torch.inf)), 0.0)
    if a.count_include_pad:  # the padding that the attributes name counts as input
        inside = sum(taps(F.pad(ones, (0, 0, 0, a.pad_right, 0, a.pad_bottom), value=1.0), 1.0))[..., :1]
    return functools.reduce(torch.add, taps(x, 0.0)) / inside.clamp(min=1)


def _reduced(kind: int, x: Tensor, axis: int | tuple[int, ...], *, keepdim: bool = False) -> Tensor:
    kind = Reduce(kind)
    if kind == Reduce.MEAN:
        return x.mean(axis, keepdim=keepdim)
    if kind == Reduce.SUM:
        return x.sum(axis, keepdim=keepdim)
    if kind in (Reduce.MAX, Reduce.MIN):
        return (torch.amax if kind == Reduce.MAX else torch.amin)(x, axis, keepdim=keepdim)
    for each in sorted((axis,) if isinstance(axis, int) else axis, reverse=True):
        x = x.prod(each, keepdim=keepdim)
    return x


@_compute.register
def _(attributes: ReducePixels, inputs: Inputs, extents: Extents) -> Tensor:
    axes = tuple(axis for axis, over in ((1, attributes.over_rows), (2, attributes.over_cols)) if over)
    return _reduced(attributes.kind, inputs[0], axes, keepdim=True) if axes else inputs[0]


@_compute.register
def _(attributes: ReduceChannels, inputs: Inputs, extents: Extents) -> Tensor:
    a = attributes
    x = inputs[0].reshape(-1, extents[0], extents[1], a.outer, a.count, a.inner)
    if a.kind in (Reduce.ARG_MAX, Reduce.ARG_MIN):
        x = x.flip(4) if a.select_last else x
        index = x.argmax(4) if a.kind == Reduce.ARG_MAX else x.argmin(4)
        return (a.count - 1 - index if a.select_last else index).to(x.dtype).reshape(-1, *extents)
    return _reduced(a.kind, x, 4).reshape(-1, *extents)


@_compute.register
def _(attributes: Softmax, inputs: Inputs, extents: Extents) -> Tensor:
    a = attributes
    x = inputs[0].reshape(-1, extents[0], extents[1], a.outer, a.count, a.inner)
    return (F.log_softmax(x, 4) if a.log else F.softmax(x, 4)).reshape(-1, *extents)


@_compute.register
def _(attributes: Unary, inputs: Inputs, extents: Extents) -> Tensor:
    return inputs[0]


@_compute.register
def _(attributes: BinaryOp, inputs: Inputs, extents: Extents) -> Tensor:
    return BINARIES[Binary(attributes.kind)](inputs[0], inputs[1]).to(torch.float32)


@_compute.register
def _(attributes: Where, inputs: Inputs, extents: Extents) -> Tensor:
    return torch.where(inputs[0] != 0, inputs[1], inputs[2])


def _take(x: Tensor, indices: Tensor | None, axis: int, fill: float) -> Tensor:
    """x[indices] along an axis; -1 gives ``fill``; None is the identity."""
    if indices is None:
        return x
    flat = indices.reshape(-1).long()
    out = x.index_select(axis, flat.clamp(min=0))
    if bool((flat < 0).any()):
        shape = [1] * x.dim()
        shape[axis] = -1
        out = torch.where((flat < 0).reshape(shape), fill, out)
    return out


@_compute.register
def _(attributes: Gather, inputs: Inputs, extents: Extents) -> Tensor:
    a = attributes
    x, row_map, col_map, channel_map = (*inputs, None, None, None)[:4]
    x = _take(_take(x, row_map, 1, a.fill), col_map, 2, a.fill)
    if channel_map is None:
        return x
    out = x.new_zeros(x.shape[0], *extents)
    phases = channel_map.reshape(a.phase_rows, a.phase_cols, extents[2])
    if a.phase_rows == a.phase_cols == 1:
        return _take(x, phases[0, 0], 3, a.fill)
    for i in range(min(a.phase_rows, extents[0])):
        for j in range(min(a.phase_cols, extents[1])):
            part = x[:, i :: a.phase_rows, j :: a.phase_cols]
            out[:, i :: a.phase_rows, j :: a.phase_cols] = _take(part, phases[i, j], 3, a.fill)
    return out


@_compute.register
def _(attributes: Concat, inputs: Inputs, extents: Extents) -> Tensor:
    batch = max(x.shape[0] for x in inputs)
    return torch.cat([x.expand(batch, *x.shape[1:]) for x in inputs], attributes.axis + 1)


@_compute.register
def _(attributes: ResizeOp, inputs: Inputs, extents: Extents) -> Tensor:
    a = attributes
    x, *tables = inputs
    outside = []
    for axis, taps, index, weight in ((2, a.col_taps, *tables[2:]), (1, a.row_taps, *tables[:2])):
        indices, weights = index.reshape(-1, taps).long(), weight.reshape(-1, taps)
        shape = [1] * x.dim()
        shape[axis] = -1
        parts = [x.index_select(axis, indices[:, t].clamp(min=0)) * weights[:, t].reshape(shape) for t in range(taps)]
        x = functools.reduce(torch.add, parts)
        outside.append((indices < 0).any(1).reshape(shape))
    anywhere = outside[0] | outside[1]
    return torch.where(anywhere, a.fill, x) if bool(anywhere.any()) else x


@_compute.register
def _(attributes: View, inputs: Inputs, extents: Extents) -> Tensor:
    return inputs[0].reshape(-1, *extents)


@_compute.register
def _(attributes: Transpose, inputs: Inputs, extents: Extents) -> Tensor:
    rank = attributes.rank
    x = inputs[0].reshape(-1, *attributes.dims[:rank])
    return x.permute(0, *(axis + 1 for axis in attributes.perm[:rank])).reshape(-1, *extents)


def _truth(a: Tensor) -> Tensor:
    return a != 0


BINARIES: dict[Binary, Callable[[Tensor, Tensor], Tensor]] = {
    Binary.ADD: torch.add,
    Binary.SUB: torch.sub,
    Binary.MUL: torch.mul,
    Binary.DIV: torch.div,
    Binary.MIN: torch.minimum,
    Binary.MAX: torch.maximum,
    Binary.POW: torch.pow,
    Binary.EQUAL: torch.eq,
    Binary.LESS: torch.lt,
    Binary.LESS_EQUAL: torch.le,
    Binary.GREATER: torch.gt,
    Binary.GREATER_EQUAL: torch.ge,
    Binary.AND: lambda a, b: _truth(a) & _truth(b),
    Binary.OR: lambda a, b: _truth(a) | _truth(b),
    Binary.XOR: lambda a, b: _truth(a) ^ _truth(b),
    Binary.PRELU: lambda a, b: torch.where(a < 0, a * b, a),
    Binary.MOD: torch.remainder,
    Binary.FMOD: torch.fmod,
}

ACTIVATIONS: dict[Activation, Callable[[Tensor, float, float], Tensor]] = {
    Activation.IDENTITY: lambda x, p, q: x,
    Activation.RELU: lambda x, p, q: F.relu(x),
    Activation.CLIP: lambda x, p, q: x.clamp(p, q),
    Activation.LEAKY_RELU: lambda x, p, q: torch.where(x < 0, p * x, x),
    Activation.SIGMOID: lambda x, p, q: torch.sigmoid(x),
    Activation.SILU: lambda x, p, q: x * torch.sigmoid(p * x),
    Activation.HARD_SIGMOID: lambda x, p, q: (p * x + q).clamp(0, 1),
    Activation.HARD_SWISH: lambda x, p, q: x * (p * x + q).clamp(0, 1),
    Activation.TANH: lambda x, p, q: torch.tanh(x),
    Activation.GELU: lambda x, p, q: F.gelu(x),
    Activation.GELU_TANH: lambda x, p, q: F.gelu(x, approximate="tanh"),
    Activation.ERF: lambda x, p, q: torch.erf(x),
    Activation.ELU: lambda x, p, q: torch.where(x < 0, p * torch.expm1(x.clamp(max=0)), x),
    Activation.SELU: lambda x, p, q: torch.where(x < 0, q * p * torch.expm1(x.clamp(max=0)), q * x),
    Activation.MISH: lambda x, p, q: F.mish(x),
    Activation.SOFTPLUS: lambda x, p, q: F.softplus(x),
    Activation.SOFTSIGN: lambda x, p, q: F.softsign(x),
    Activation.EXP: lambda x, p, q: torch.exp(x),
    Activation.LOG: lambda x, p, q: torch.log(x),
    Activation.SQRT: lambda x, p, q: torch.sqrt(x),
    Activation.RECIPROCAL: lambda x, p, q: 1 / x,
    Activation.FLOOR: lambda x, p, q: torch.floor(x),
    Activation.CEIL: lambda x, p, q: torch.ceil(x),
    Activation.ROUND: lambda x, p, q: torch.round(x),
    Activation.ABS: lambda x, p, q: torch.abs(x),
    Activation.NEG: lambda x, p, q: -x,
    Activation.SIGN: lambda x, p, q: torch.sign(x),
    Activation.TRUNC: lambda x, p, q: torch.trunc(x),
    Activation.NOT: lambda x, p, q: (x == 0).to(x.dtype),
    Activation.POW: lambda x, p, q: torch.pow(x, p),
    Activation.SQUARE: lambda x, p, q: x * x,
    Activation.AFFINE: lambda x, p, q: p * x + q,
    Activation.CELU: lambda x, p, q: x.clamp(min=0) + (p * torch.expm1(x.clamp(max=0) / p)).clamp(max=0),
    Activation.THRESHOLD: lambda x, p, q: torch.where(x > p, x, 0.0),
    Activation.BOOL: lambda x, p, q: (x != 0).to(x.dtype),
}
