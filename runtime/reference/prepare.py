"""Camera frames: bilinear resizing in uint8, letterbox, channel order, mean, scale (docs/file_format.md, section 6)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from .graph import Align, Preprocess, Resize

Frame = npt.NDArray[np.uint8]
Indices = npt.NDArray[np.int32]

WEIGHT_ONE = 2048


def linear_table(size: int, extent: int) -> tuple[Indices, Indices, Indices]:
    """(left, right, weight of right in 1/2048) per output position, each (size,): half-pixel centres, clamped."""
    source = np.clip((np.arange(size) + 0.5) * extent / size - 0.5, 0.0, extent - 1.0)
    left = np.floor(source).astype(np.int32)
    weight = np.floor((source - left) * WEIGHT_ONE + 0.5).astype(np.int32)
    return left, np.minimum(left + 1, extent - 1), weight


def resize_linear(frame: Frame, height: int, width: int) -> Frame:
    """``frame`` (H, W, C) uint8 brought to (height, width, C), in integers."""
    top, bottom, row_weight = linear_table(height, frame.shape[0])
    left, right, col_weight = linear_table(width, frame.shape[1])
    rows, cols = row_weight[:, None, None], col_weight[:, None]

    def blend_cols(lines: Indices) -> Indices:
        wide = frame[lines].astype(np.int32)
        out: Indices = wide[:, left] * (WEIGHT_ONE - cols) + wide[:, right] * cols
        return out

    out = (blend_cols(top) * (WEIGHT_ONE - rows) + blend_cols(bottom) * rows + (1 << 21)) >> 22
    return out.astype(np.uint8)


def letterbox_box(height: int, width: int, frame: tuple[int, int], align: Align) -> tuple[int, int, int, int]:
    """(top, left, rows, cols) of the picture of a frame (H, W) inside (height, width)."""
    ratio = min(height / frame[0], width / frame[1])
    rows = min(max(int(frame[0] * ratio + 0.5), 1), height)
    cols = min(max(int(frame[1] * ratio + 0.5), 1), width)
    if align == Align.CENTER:
        return (height - rows) // 2, (width - cols) // 2, rows, cols
    return 0, 0, rows, cols


def fit(frame: Frame, height: int, width: int, preprocess: Preprocess) -> Frame:
    """``frame`` (H, W, C) at the network's size (height, width, C); without resizing the sizes must agree already."""
    if preprocess.resize == Resize.STRETCH:
        return resize_linear(frame, height, width)
    if preprocess.resize == Resize.LETTERBOX:
        top, left, rows, cols = letterbox_box(height, width, frame.shape[:2], preprocess.align)
        out = np.full((height, width, frame.shape[2]), preprocess.fill, np.uint8)
        out[top : top + rows, left : left + cols] = resize_linear(frame, rows, cols)
        return out
    return frame


def normalize(frame: Frame, preprocess: Preprocess) -> npt.NDArray[np.float32]:
    """The network's values of a fitted frame, (H, W, C) in this order in memory: channel order, then
    (grey - mean) * scale, float32.
    """
    channels = frame.shape[2]
    ordered = frame[:, :, list(preprocess.channel_order[:channels])].astype(np.float32, order="C")
    mean, scale = (np.asarray(v[:channels], np.float32) for v in (preprocess.mean, preprocess.scale))
    out: npt.NDArray[np.float32] = (ordered - mean) * scale
    return out
