"""Tap tables of one resized axis: for every output position the input positions it reads and their weights.

Coordinates are computed in single precision, because that is what decides ties in ONNX Runtime.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Indices = npt.NDArray[np.int64]
F = np.float32


@dataclass(frozen=True)
class Axis:
    """One resized axis.

    Attributes:
        size, out: extents before and after.
        scale: out / size as the model states it.
        start, end: region of interest in fractions of the input, for tf_crop_and_resize.
    """

    size: int
    out: int
    scale: float
    start: float = 0.0
    end: float = 1.0


def coordinates(axis: Axis, mode: str) -> Floats:
    """Where each output position lies on the input axis, (out,)."""
    return np.asarray(_coordinates(axis, mode), F)


def _coordinates(axis: Axis, mode: str) -> Any:
    x = np.arange(axis.out, dtype=F)
    scale, size, out = F(axis.scale), F(axis.size), F(axis.out)
    if mode == "asymmetric":
        return x / scale
    if mode == "half_pixel" or (mode == "pytorch_half_pixel" and axis.out > 1):
        return (x + F(0.5)) / scale - F(0.5)
    if mode == "pytorch_half_pixel":
        return np.zeros(axis.out, F)
    if mode == "tf_half_pixel_for_nn":
        return (x + F(0.5)) / scale
    if mode == "align_corners":
        return np.zeros(axis.out, F) if axis.out == 1 else x * (size - F(1)) / (out - F(1))
    if mode == "half_pixel_symmetric":
        adjustment = out / (scale * size)
        offset = size / F(2) * (F(1) - adjustment)
        return offset + (x + F(0.5)) / scale - F(0.5)
    if mode == "tf_crop_and_resize":
        if axis.out == 1:
            return np.full(1, F(0.5) * (F(axis.start) + F(axis.end)) * (size - F(1)), F)
        step = (F(axis.end) - F(axis.start)) * (size - F(1)) / (out - F(1))
        return F(axis.start) * (size - F(1)) + x * step
    raise ValueError(f"coordinate_transformation_mode {mode!r} is unknown")


def nearest(axis: Axis, mode: str, rounding: str, extrapolate: bool = False) -> Indices:
    """Input position of every output position; with ``extrapolate`` -1 where it lies outside."""
    x = coordinates(axis, mode)
    if rounding == "simple":  # before opset 11
        index = np.ceil(x) if axis.scale < 1 else np.trunc(x)
    elif rounding == "round_prefer_floor":
        index = np.ceil(x - F(0.5))
    elif rounding == "round_prefer_ceil":
        index = np.floor(x + F(0.5))
    elif rounding == "floor":
        index = np.floor(x)
    elif rounding == "ceil":
        index = np.ceil(x)
    else:
        raise ValueError(f"nearest_mode {rounding!r} is unknown")
    result = np.clip(index, 0, axis.size - 1).astype(np.int64)
    return np.where((x < 0) | (x > axis.size - 1), -1, result) if extrapolate else result


def linear(axis: Axis, mode: str, extrapolate: bool = False) -> tuple[Indices, Floats]:
    """Two taps per output position, both (out, 2)."""
    raw = coordinates(axis, mode)
    x = np.clip(raw, F(0), F(axis.size - 1))
    low = np.minimum(np.floor(x).astype(np.int64), axis.size - 1)
    high = np.minimum(low + 1, axis.size - 1)
    weight = (x - low.astype(F)).astype(F)
    index, weights = np.stack([low, high], 1), np.stack([F(1) - weight, weight], 1)
    return _outside(axis, raw, index, extrapolate), weights


def cubic(axis: Axis, mode: str, a: float, exclude_outside: bool, extrapolate: bool = False) -> tuple[Indices, Floats]:
    """Four taps per output position, both (out, 4); beyond the border the border's pixel repeats."""
    x = coordinates(axis, mode)
    base = np.floor(x).astype(np.int64)
    index = base[:, None] + np.arange(-1, 3)
    weights = _cubic_weight(x.astype(np.float64)[:, None] - index, a)
    if exclude_outside:
        weights = np.where((index < 0) | (index >= axis.size), 0.0, weights)
        weights /= weights.sum(1, keepdims=True)
    return _outside(axis, x, np.clip(index, 0, axis.size - 1), extrapolate), weights.astype(F)


def _cubic_weight(distance: npt.NDArray[np.float64], a: float) -> npt.NDArray[np.float64]:
    d = np.abs(distance)
    near = ((a + 2) * d - (a + 3)) * d * d + 1
    far = ((a * d - 5 * a) * d + 8 * a) * d - 4 * a
    return np.where(d <= 1, near, np.where(d < 2, far, 0.0))


def _outside(axis: Axis, x: Floats, index: Indices, extrapolate: bool) -> Indices:
    outside = (x < 0) | (x > axis.size - 1)
    return np.where(outside[:, None], -1, index) if extrapolate else index


def antialiased(axis: Axis, mode: str, kind: str, a: float, exclude_outside: bool) -> tuple[Indices, Floats]:
    """Taps of a kernel stretched over the input positions one output position covers (only when shrinking)."""
    stretch = max(1.0, 1.0 / axis.scale)
    radius = (1.0 if kind == "linear" else 2.0) * stretch
    center = coordinates(axis, mode).astype(np.float64)
    taps = min(2 * math.ceil(radius) + 1, 4096)
    index = np.floor(center - radius).astype(np.int64)[:, None] + 1 + np.arange(taps)
    distance = (center[:, None] - index) / stretch
    weights = np.maximum(1 - np.abs(distance), 0) if kind == "linear" else _cubic_weight(distance, a)
    outside = (index < 0) | (index >= axis.size)
    if exclude_outside:
        weights = np.where(outside, 0.0, weights)
    weights /= weights.sum(1, keepdims=True)
    return _compact(np.clip(index, 0, axis.size - 1), weights)


def _compact(index: Indices, weights: npt.NDArray[np.float64]) -> tuple[Indices, Floats]:
    """Adds up the weights of equal input positions and drops taps that no output position needs."""
    rows = []
    for positions, row in zip(index, weights, strict=True):
        sums: dict[int, float] = {}
        for position, weight in zip(positions, row, strict=True):
            sums[int(position)] = sums.get(int(position), 0.0) + float(weight)
        rows.append([(position, weight) for position, weight in sums.items() if weight != 0.0])
    taps = max(len(row) for row in rows)
    table = np.zeros((len(rows), taps), np.int64)
    out = np.zeros((len(rows), taps), F)
    for number, row in enumerate(rows):
        for tap in range(taps):
            table[number, tap], out[number, tap] = row[tap] if tap < len(row) else (row[-1][0], 0.0)
    return table, out
