"""Resize and Upsample: nearest as index maps, the others as tap tables."""

from __future__ import annotations

import math

import numpy as np

from runtime.reference.graph import ResizeOp

from . import resampling
from .builder import Builder
from .layout import Tensor, free_layouts
from .onnx_node import OnnxNode, Result, Unsupported, normalized, register
from .resampling import Axis, Floats, Indices


@register("Upsample")
def _upsample(node: OnnxNode, builder: Builder) -> Result:
    x = builder.tensor(node.operand(0))
    scales = node.attr("scales")
    if scales is None:
        array = node.constant(1, "scales")
        scales = [] if array is None else array.tolist()
    axes = {axis: _scaled(x.shape[axis], float(scale)) for axis, scale in enumerate(scales)}
    return _resized(builder, x, axes, node)


@register("Resize")
def _resize(node: OnnxNode, builder: Builder) -> Result:
    x = builder.tensor(node.operand(0))
    rank = len(x.shape)
    old = node.opset < 11
    chosen = [normalized(int(axis), rank) for axis in node.attr("axes") or range(rank)]
    scales = node.constant(1 if old else 2, "scales")
    sizes = None if old else node.constant(3, "sizes")
    roi = None if old else node.constant(1, "roi")
    if sizes is not None and sizes.size:
        axes = _from_sizes(node, x, chosen, [int(size) for size in sizes])
    elif scales is not None and scales.size:
        axes = {axis: _scaled(x.shape[axis], float(scale)) for axis, scale in zip(chosen, scales, strict=True)}
    else:
        raise Unsupported("it has neither scales nor sizes", "re-export the model")
    if node.text("coordinate_transformation_mode", "") == "tf_crop_and_resize" and roi is not None and roi.size:
        starts, ends = np.split(roi.astype(np.float64), 2)
        axes = {
            axis: Axis(item.size, item.out, item.scale, float(starts[number]), float(ends[number]))
            for number, (axis, item) in enumerate(axes.items())
        }
    return _resized(builder, x, axes, node)


def _scaled(size: int, scale: float) -> Axis:
    return Axis(size, math.floor(np.float32(size) * np.float32(scale)), scale)


def _from_sizes(node: OnnxNode, x: Tensor, chosen: list[int], sizes: list[int]) -> dict[int, Axis]:
    policy = node.text("keep_aspect_ratio_policy", "stretch")
    if policy == "stretch":
        return {
            axis: Axis(x.shape[axis], size, float(np.float32(size) / np.float32(x.shape[axis])))
            for axis, size in zip(chosen, sizes, strict=True)
        }
    ratios = [size / x.shape[axis] for axis, size in zip(chosen, sizes, strict=True)]
    ratio = min(ratios) if policy == "not_larger" else max(ratios)
    return {axis: Axis(x.shape[axis], math.floor(ratio * x.shape[axis] + 0.5), ratio) for axis in chosen}


def _resized(builder: Builder, x: Tensor, axes: dict[int, Axis], node: OnnxNode) -> Tensor:
    kind = node.text("mode", "nearest")
    kind = {"bilinear": "linear", "bicubic": "cubic"}.get(kind, kind)
    if kind not in ("nearest", "linear", "cubic"):
        raise Unsupported(f"mode {kind!r} is unknown", "re-export the model")
    old = node.opset < 11
    mode = node.text("coordinate_transformation_mode", "asymmetric" if old else "half_pixel")
    crop = mode == "tf_crop_and_resize"
    active = {
        axis: item
        for axis, item in axes.items()
        if item.out != item.size or item.scale != 1 or (crop and (item.start, item.end) != (0.0, 1.0))
    }
    if any(item.out < 1 for item in active.values()):
        raise Unsupported("its result is empty", "give a larger --shape")
    fill = float(node.attr("extrapolation_value", 0.0))
    try:
        if kind == "nearest":
            rounding = node.text("nearest_mode", "simple" if old else "round_prefer_floor")
            maps = {axis: resampling.nearest(item, mode, rounding, crop) for axis, item in active.items()}
            return builder.take(x, maps, fill) if maps else x
        tables = {axis: _table(node, item, kind, mode, crop) for axis, item in active.items()}
    except ValueError as error:
        raise Unsupported(str(error), "re-export the model") from error
    remaining = sorted(tables)
    while remaining:  # two axes at a time are the pixels
        now, remaining = tuple(remaining[:2]), remaining[2:]
        x = _blend(builder, x, {axis: tables[axis] for axis in now}, fill)
    return x


def _table(node: OnnxNode, axis: Axis, kind: str, mode: str, crop: bool) -> tuple[Indices, Floats]:
    a = float(node.attr("cubic_coeff_a", -0.75))
    exclude = bool(node.attr("exclude_outside", 0))
    if node.attr("antialias", 0) and axis.scale < 1:
        return resampling.antialiased(axis, mode, kind, a, exclude)
    if kind == "linear":
        return resampling.linear(axis, mode, crop)
    return resampling.cubic(axis, mode, a, exclude, crop)


def _blend(builder: Builder, x: Tensor, tables: dict[int, tuple[Indices, Floats]], fill: float) -> Tensor:
    wanted = set(tables)
    layout = next((axes for axes in free_layouts(x) if wanted <= set(axes)), tuple(sorted(wanted)))
    x = builder.as_layout(x, layout)
    slots: list[tuple[Indices, Floats]] = []
    shape = list(x.shape)
    for axis in (*(None,) * (2 - len(layout)), *layout):
        if axis in tables:
            assert axis is not None
            shape[axis] = len(tables[axis][0])
            slots.append(tables[axis])
        else:
            size = 1 if axis is None else x.shape[axis]
            slots.append((np.arange(size)[:, None], np.ones((size, 1), np.float32)))
    inputs: list[str | None] = [x.name]
    for index, weight in slots:
        inputs += [builder.constant(index.astype(np.int32).reshape(1, 1, -1), "index")]
        inputs += [builder.constant(weight.reshape(1, 1, -1), "weight")]
    attributes = ResizeOp(slots[0][0].shape[1], slots[1][0].shape[1], fill)
    return builder.emit(attributes, inputs, shape, layout, x.dtype)
