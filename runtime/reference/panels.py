"""Convolution weights between their natural shape and the panels of the file (docs/file_format.md, section 4).

Natural weights are (kernel_h, kernel_w, C_in / groups, C_out), output channels counted over all groups in order;
Winograd's have the 6 x 6 positions in place of the kernel.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from .format import PANEL
from .graph import GATE_WEIGHTS, CompactWinogradConv2d, Conv2d, ConvTranspose2d, Node, WinogradConv2d

Weights = npt.NDArray[np.float32]


def is_depthwise(groups: int, channels_in: int, channels_out: int) -> bool:
    """Whether a convolution has one input and one output channel per group, and more than one group."""
    return groups == channels_in == channels_out and groups > 1


def packed_elements(attributes: Conv2d, channels_in: int, channels_out: int) -> int:
    """Numbers in the packed weights, padding included; the same for both kinds of convolution."""
    taps = math.prod(attributes.weight_sides)
    if is_depthwise(attributes.groups, channels_in, channels_out):
        return taps * channels_out
    panels = -(-channels_out // attributes.groups // PANEL)
    return channels_in * panels * taps * PANEL


def packing(attributes: Conv2d) -> Conv2d:
    """The attributes with what does not bear on the packing set to fixed values: equal for equal packings."""
    if isinstance(attributes, ConvTranspose2d):
        return dataclasses.replace(attributes, pad_bottom=0, pad_right=0, residual=0)
    plain = WinogradConv2d if _is_transformed(attributes) else Conv2d
    return plain(attributes.kernel_h, attributes.kernel_w, groups=attributes.groups)


def _is_transformed(attributes: Conv2d) -> bool:
    return isinstance(attributes, WinogradConv2d) and not isinstance(attributes, CompactWinogradConv2d)


def packed_inputs(node: Node) -> dict[int, Conv2d]:
    """Which of a node's inputs the file holds packed, by position, and what ``packing`` each has."""
    if not isinstance(node.attributes, Conv2d):
        return {}
    positions = {1: packing(node.attributes)}
    if len(node.inputs) > GATE_WEIGHTS and node.inputs[GATE_WEIGHTS] is not None:
        positions[GATE_WEIGHTS] = Conv2d(1, 1)
    return positions


def phase_taps(kernel: int, stride: int, dilation: int, pad: int) -> list[list[int]]:
    """For each phase (output index mod stride) the kernel elements that reach it, ascending. A phase may have none."""
    return [[k for k in range(kernel) if (phase + pad - k * dilation) % stride == 0] for phase in range(stride)]


def pack(attributes: Conv2d, weights: npt.NDArray[np.generic]) -> Weights:
    """The file's weights of a convolution, 1-D.

    Args:
        attributes: of a conv2d or conv_transpose2d.
        weights: natural.

    Raises:
        ValueError: the shape does not fit the attributes.
    """
    sides = attributes.weight_sides
    if weights.ndim != 4 or weights.shape[:2] != sides:
        raise ValueError(f"weights {weights.shape} do not have kernel {sides[0]} x {sides[1]}")
    if weights.shape[3] % attributes.groups:
        raise ValueError(f"{weights.shape[3]} output channels do not divide into {attributes.groups} groups")
    natural = np.asarray(weights, np.float32)
    if _is_transformed(attributes):
        positions = natural.reshape(-1, 1, *weights.shape[2:])
        return np.concatenate([_pack_taps(position, 1) for position in positions])
    if not isinstance(attributes, ConvTranspose2d):
        return _pack_taps(natural.reshape(-1, *weights.shape[2:]), attributes.groups)
    return np.concatenate([_pack_taps(_at(natural, taps), attributes.groups) for taps in _phases(attributes)])


def unpack(attributes: Conv2d, packed: Weights, channels_in: int, channels_out: int) -> Weights:
    """The natural weights from the file's 1-D ones.

    Raises:
        ValueError: the channels do not divide into the groups, or ``packed`` has the wrong number of elements.
    """
    groups = attributes.groups
    if groups < 1 or channels_in % groups or channels_out % groups:
        raise ValueError(f"{channels_in} and {channels_out} channels do not divide into {groups} groups")
    expected = packed_elements(attributes, channels_in, channels_out)
    if packed.size != expected:
        raise ValueError(f"packed weights have {packed.size} elements instead of {expected}")
    shape = (channels_in // groups, channels_out)
    kernel = attributes.weight_sides
    if _is_transformed(attributes):
        parts = packed.reshape(kernel[0] * kernel[1], -1)
        return np.stack([_unpack_taps(part, 1, *shape, 1) for part in parts]).reshape(*kernel, *shape)
    if not isinstance(attributes, ConvTranspose2d):
        return _unpack_taps(packed, kernel[0] * kernel[1], *shape, groups).reshape(*kernel, *shape)
    natural = np.empty((*kernel, *shape), np.float32)
    per_tap = packed.size // (kernel[0] * kernel[1])
    start = 0
    for rows, cols in _phases(attributes):
        taps = len(rows) * len(cols)
        part = _unpack_taps(packed[start : start + taps * per_tap], taps, *shape, groups)
        natural[np.ix_(rows, cols)] = part.reshape(len(rows), len(cols), *shape)
        start += taps * per_tap
    return natural


def _phases(attributes: ConvTranspose2d) -> Iterator[tuple[list[int], list[int]]]:
    rows = phase_taps(attributes.kernel_h, attributes.stride_h, attributes.dilation_h, attributes.pad_top)
    cols = phase_taps(attributes.kernel_w, attributes.stride_w, attributes.dilation_w, attributes.pad_left)
    return ((row, col) for row in rows for col in cols)


def _at(natural: Weights, taps: tuple[list[int], list[int]]) -> Weights:
    rows, cols = taps
    return natural[np.ix_(rows, cols)].reshape(-1, *natural.shape[2:])


def _pack_taps(taps: Weights, groups: int) -> Weights:
    """(taps, C_in / groups, C_out) as panels [groups][panel][taps * C_in / groups][16], or [taps][C] if depthwise."""
    count, group_in, channels_out = taps.shape
    if is_depthwise(groups, group_in * groups, channels_out):
        return taps.reshape(-1)
    group_out = channels_out // groups
    panels = -(-group_out // PANEL)
    depth = count * group_in
    padded = np.zeros((depth, groups, panels * PANEL), np.float32)
    padded[:, :, :group_out] = taps.reshape(depth, groups, group_out)
    panelled: Weights = padded.reshape(depth, groups, panels, PANEL).transpose(1, 2, 0, 3).reshape(-1)
    return panelled


def _unpack_taps(packed: Weights, count: int, group_in: int, channels_out: int, groups: int) -> Weights:
    if is_depthwise(groups, group_in * groups, channels_out):
        return packed.reshape(count, 1, channels_out)
    group_out = channels_out // groups
    panels = -(-group_out // PANEL)
    depth = count * group_in
    by_group: Weights = packed.reshape(groups, panels, depth, PANEL).transpose(2, 0, 1, 3)
    return by_group.reshape(depth, groups, panels * PANEL)[:, :, :group_out].reshape(count, group_in, channels_out)
