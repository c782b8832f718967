"""Panels against the sentences of docs/file_format.md, element by element."""

from __future__ import annotations

import numpy as np
import pytest

from runtime.reference.graph import Conv2d, ConvTranspose2d, WinogradConv2d
from runtime.reference.panels import pack, packed_elements, phase_taps, unpack


def natural(kernel_h: int, kernel_w: int, group_in: int, channels_out: int) -> np.ndarray:
    count = kernel_h * kernel_w * group_in * channels_out
    return np.arange(1, count + 1, dtype=np.float32).reshape(kernel_h, kernel_w, group_in, channels_out)


CONVOLUTIONS = [(3, 3, 4, 16, 1), (1, 1, 5, 1, 1), (3, 2, 3, 21, 1), (2, 3, 2, 36, 2), (3, 3, 1, 6, 3), (1, 5, 2, 4, 4)]


@pytest.mark.parametrize(("kernel_h", "kernel_w", "group_in", "channels_out", "groups"), CONVOLUTIONS)
def test_conv2d_panels(kernel_h: int, kernel_w: int, group_in: int, channels_out: int, groups: int) -> None:
    weights = natural(kernel_h, kernel_w, group_in, channels_out)
    attributes = Conv2d(kernel_h, kernel_w, groups=groups)
    packed = pack(attributes, weights)
    group_out = channels_out // groups
    panels = -(-group_out // 16)
    view = packed.reshape(groups, panels, kernel_h * kernel_w * group_in, 16)
    for group in range(groups):
        for panel in range(panels):
            for row in range(kernel_h):
                for col in range(kernel_w):
                    for c in range(group_in):
                        for lane in range(16):
                            out = panel * 16 + lane
                            expected = weights[row, col, c, group * group_out + out] if out < group_out else 0
                            assert view[group, panel, (row * kernel_w + col) * group_in + c, lane] == expected
    assert packed.size == packed_elements(attributes, group_in * groups, channels_out)
    assert np.array_equal(unpack(attributes, packed, group_in * groups, channels_out), weights)


@pytest.mark.parametrize(("channels_in", "channels_out"), [(3, 16), (5, 21), (1, 1)])
def test_winograd_panels_stand_position_by_position(channels_in: int, channels_out: int) -> None:
    weights = natural(6, 6, channels_in, channels_out)
    attributes = WinogradConv2d(3, 3)
    packed = pack(attributes, weights)
    parts = [pack(Conv2d(1, 1), weights[i : i + 1, j : j + 1]) for i in range(6) for j in range(6)]
    assert np.array_equal(packed, np.concatenate(parts))
    assert packed.size == packed_elements(attributes, channels_in, channels_out)
    assert np.array_equal(unpack(attributes, packed, channels_in, channels_out), weights)


def test_depthwise_is_taps_by_channels() -> None:
    weights = natural(3, 2, 1, 5)
    attributes = Conv2d(3, 2, groups=5)
    packed = pack(attributes, weights)
    assert packed.size == packed_elements(attributes, 5, 5) == 30
    assert np.array_equal(packed.reshape(6, 5), weights.reshape(6, 5))
    assert np.array_equal(unpack(attributes, packed, 5, 5), weights)


def test_one_group_of_one_channel_is_not_depthwise() -> None:
    assert pack(Conv2d(1, 1), natural(1, 1, 1, 1)).size == 16


@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize(
    ("kernel", "stride", "dilation", "pad"), [(4, 2, 1, 1), (3, 2, 1, 0), (2, 3, 1, 1), (3, 2, 2, 1)]
)
def test_conv_transpose_phases(kernel: int, stride: int, dilation: int, pad: int, groups: int) -> None:
    weights = natural(kernel, kernel + 1, 3, 4 * groups)
    attributes = ConvTranspose2d(kernel, kernel + 1, stride, stride, dilation, dilation, pad, pad + 1, groups=groups)
    packed = pack(attributes, weights)
    start = 0
    for row_phase in range(stride):
        for col_phase in range(stride):
            rows = [k for k in range(kernel) if (row_phase + pad - k * dilation) % stride == 0]
            cols = [k for k in range(kernel + 1) if (col_phase + pad + 1 - k * dilation) % stride == 0]
            if not rows or not cols:
                continue
            part = pack(Conv2d(len(rows), len(cols), groups=groups), weights[np.ix_(rows, cols)])
            assert np.array_equal(packed[start : start + part.size], part)
            start += part.size
    assert start == packed.size == packed_elements(attributes, 3 * groups, 4 * groups)
    assert np.array_equal(unpack(attributes, packed, 3 * groups, 4 * groups), weights)


def test_phase_taps_may_be_empty() -> None:
    assert phase_taps(kernel=1, stride=2, dilation=1, pad=0) == [[0], []]


def test_depthwise_conv_transpose() -> None:
    weights = natural(4, 4, 1, 3)
    attributes = ConvTranspose2d(4, 4, 2, 2, pad_top=1, pad_left=1, groups=3)
    packed = pack(attributes, weights)
    assert packed[:3].tolist() == weights[1, 1, 0].tolist()  # phase 0 of a pad of 1: taps 1 and 3
    assert np.array_equal(unpack(attributes, packed, 3, 3), weights)


def test_wrong_shapes_are_named() -> None:
    with pytest.raises(ValueError, match="do not have kernel 3 x 3"):
        pack(Conv2d(3, 3), natural(1, 1, 1, 1))
    with pytest.raises(ValueError, match="5 output channels do not divide into 2 groups"):
        pack(Conv2d(1, 1, groups=2), natural(1, 1, 1, 5))
    with pytest.raises(ValueError, match="3 elements instead of 16"):
        unpack(Conv2d(1, 1), np.zeros(3, np.float32), 1, 1)
