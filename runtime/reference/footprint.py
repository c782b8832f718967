"""What an output pixel depends on, and what it costs: the footprints and MACs of docs/file_format.md, section 4.

Masks are bool of shape (rows, cols). Arrays are as in ops.py; of running values only their shapes are used.
"""

# ruff: noqa: ARG001 (all operators have one signature)

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from .errors import UnsupportedError
from .graph import (
    Attributes,
    BinaryOp,
    Concat,
    Conv2d,
    ConvTranspose2d,
    Gather,
    Matmul,
    Pool,
    ReduceChannels,
    ReducePixels,
    ResizeOp,
    Softmax,
    Transpose,
    Unary,
    View,
    Where,
)
from .ops import Extents, Inputs, window_taps
from .panels import phase_taps

Mask = npt.NDArray[np.bool_]
Masks = Sequence[Any]  # Mask, or None for constants and absent inputs; Any because operators know which cannot be None
Counts = npt.NDArray[np.int64]


def footprint(attributes: Attributes, masks: Sequence[Mask | None], inputs: Inputs, extents: Extents) -> Mask:
    """The candidates: output pixels that depend on a changed input pixel.

    Args:
        attributes: the operator.
        masks: changed pixels of each input; None for constants and absent inputs.
        inputs: the input arrays.
        extents: (rows, cols, channels) of the output.

    Returns:
        A new mask of the output's extents.
    """
    given = [
        np.zeros(x.shape[:2], np.bool_) if mask is None and x is not None else mask
        for mask, x in zip(masks, inputs, strict=True)
    ]
    return _footprint(attributes, given, inputs, extents)


@functools.singledispatch
def _footprint(attributes: Attributes, masks: Masks, inputs: Inputs, extents: Extents) -> Mask:
    raise UnsupportedError(f"no footprint of {attributes.NAME}")


@_footprint.register(Conv2d)
@_footprint.register(Pool)
def _(attributes: Conv2d | Pool, masks: Masks, inputs: Inputs, extents: Extents) -> Mask:
    out = np.zeros(extents[:2], np.bool_)
    for target, source, _tap in window_taps(attributes, extents, masks[0].shape):
        out[target] |= masks[0][source]
    return _with_residual(out, masks)


@_footprint.register
def _(attributes: ConvTranspose2d, masks: Masks, inputs: Inputs, extents: Extents) -> Mask:
    out = np.zeros(extents[:2], np.bool_)
    for source, target, _tap in window_taps(attributes, masks[0].shape, extents):
        out[target] |= masks[0][source]
    return _with_residual(out, masks)


def _with_residual(out: Mask, masks: Masks) -> Mask:
    return out | masks[3] if len(masks) > 3 and masks[3] is not None else out


@_footprint.register
def _(attributes: Matmul, masks: Masks, inputs: Inputs, extents: Extents) -> Mask:
    out: Mask = masks[0] | masks[1].any(axis=1, keepdims=True)
    return out


@_footprint.register
def _(attributes: ReducePixels, masks: Masks, inputs: Inputs, extents: Extents) -> Mask:
    axes = tuple(axis for axis, over in enumerate((attributes.over_rows, attributes.over_cols)) if over)
    out: Mask = np.any(masks[0], axis=axes, keepdims=True)
    return out


@_footprint.register(ReduceChannels)
@_footprint.register(Softmax)
@_footprint.register(Unary)
@_footprint.register(BinaryOp)
@_footprint.register(Where)
def _(attributes: Attributes, masks: Masks, inputs: Inputs, extents: Extents) -> Mask:
    out = np.zeros(extents[:2], np.bool_)
    for mask in masks:
        out |= mask
    return out


@_footprint.register
def _(attributes: Gather, masks: Masks, inputs: Inputs, extents: Extents) -> Mask:
    out: Mask = masks[0]
    for axis, table in enumerate(inputs[1:3]):
        if table is not None:
            out = _any_tap(out, table.reshape(-1, 1), axis)
    return np.array(out)


@_footprint.register
def _(attributes: Concat, masks: Masks, inputs: Inputs, extents: Extents) -> Mask:
    if attributes.axis == 2:
        either: Mask = np.any(masks, axis=0)
        return either
    return np.concatenate(masks, axis=attributes.axis)


def _any_tap(mask: Mask, index: npt.NDArray[np.int32], axis: int) -> Mask:
    """Along an axis: any of the pixels that a row of ``index`` (n, taps) names; -1 names none."""
    present = (index >= 0).reshape(-1, index.shape[1], *[1] * (1 - axis))
    out: Mask = np.any(np.take(mask, np.maximum(index, 0), axis=axis) & present, axis=axis + 1)
    return out


@_footprint.register
def _(attributes: ResizeOp, masks: Masks, inputs: Inputs, extents: Extents) -> Mask:
    rows = _any_tap(masks[0], inputs[1].reshape(-1, attributes.row_taps), 0)
    return _any_tap(rows, inputs[3].reshape(-1, attributes.col_taps), 1)


@_footprint.register
def _(attributes: View, masks: Masks, inputs: Inputs, extents: Extents) -> Mask:
    numbers = np.repeat(masks[0].reshape(-1), inputs[0].shape[2])
    out: Mask = np.any(numbers.reshape(extents), axis=2)
    return out


@_footprint.register
def _(attributes: Transpose, masks: Masks, inputs: Inputs, extents: Extents) -> Mask:
    return np.full(extents[:2], masks[0].any())


def pixel_macs(attributes: Attributes, inputs: Inputs, extents: Extents) -> Counts:
    """Direct-form multiply-accumulates of each output pixel, (rows, cols); 0 for all but convolution and matmul."""
    counts = np.zeros(extents[:2], np.int64)
    if isinstance(attributes, ConvTranspose2d):
        a = attributes
        rows = _taps_per_output(extents[0], phase_taps(a.kernel_h, a.stride_h, a.dilation_h, a.pad_top))
        cols = _taps_per_output(extents[1], phase_taps(a.kernel_w, a.stride_w, a.dilation_w, a.pad_left))
        counts += np.multiply.outer(rows, cols) * int(np.prod(inputs[1].shape[2:]))
    elif isinstance(attributes, Conv2d):
        counts += attributes.kernel_h * attributes.kernel_w * int(np.prod(inputs[1].shape[2:]))
    elif isinstance(attributes, Matmul):
        counts += int(np.prod(inputs[1].shape[1:]))
    return counts


def _taps_per_output(out: int, phases: list[list[int]]) -> Counts:
    """Kernel elements of each output along an axis of a transposed convolution; those beyond the input's edge count."""
    return np.resize(np.array([len(taps) for taps in phases], np.int64), out)
