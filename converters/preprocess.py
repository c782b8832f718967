"""From what a user says about frames to what the file says."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from runtime.reference.errors import ArgumentError
from runtime.reference.graph import Align, Preprocess, Resize, Value

KEYS = ("size", "resize", "align", "fill", "frame_color", "color", "mean", "scale", "std")
RESIZES = {"stretch": Resize.STRETCH, "letterbox": Resize.LETTERBOX, "none": Resize.NONE}
ALIGNS = {"top_left": Align.TOP_LEFT, "center": Align.CENTER}
COLORS = {"rgb": "rgb", "bgr": "bgr"}
MAX_CHANNELS = 4


def parse_preprocess(options: Mapping[str, Any], value: Value, name: str) -> Preprocess:
    """How frames of a network input are prepared.

    Args:
        options: any of ``size`` (height, width; must be the network's), ``resize`` ("stretch", the default,
            "letterbox" or "none"), ``align`` ("top_left" or "center") and ``fill`` (grey level) of a letterbox,
            ``frame_color`` (what frames hold: "rgb", the default, or "bgr"), ``color`` (what the network wants),
            ``mean`` and ``scale`` or ``std`` (a number or one per network channel, in grey levels; the network reads
            (grey - mean) * scale, scale = 1 / std).
        value: the network input's value.
        name: the network input's name, for messages.

    Raises:
        ArgumentError: names the key or value that is wrong, and what is possible.
    """
    unknown = [key for key in options if key not in KEYS]
    if unknown:
        raise ArgumentError(f"preprocess has unknown keys {unknown}; possible are {', '.join(KEYS)}")
    channels = value.channels
    if len(value.pixel_axes) != 2 or channels > MAX_CHANNELS:
        raise ArgumentError(
            f"input {name!r} of shape {value.shape} is no image of 1 to {MAX_CHANNELS} channels: "
            "prepare its frames yourself and leave preprocess out"
        )
    size = options.get("size")
    if size is not None and tuple(size) != (value.rows, value.cols):
        raise ArgumentError(
            f"preprocess size {tuple(size)} is not the size of input {name!r}, {(value.rows, value.cols)}; "
            "a network with dynamic size is fixed with shapes (--shape)"
        )
    if "scale" in options and "std" in options:
        raise ArgumentError("preprocess has both scale and std; scale is 1 / std, give one of them")
    fill = options.get("fill", 0)
    if not isinstance(fill, int) or not 0 <= fill <= 255:
        raise ArgumentError(f"preprocess fill is {fill!r}; it is a grey level, 0 to 255")
    mean = _per_channel("mean", options.get("mean", 0.0), channels)
    scale = _per_channel("scale", options.get("scale", 1.0), channels)
    if "std" in options:
        std = _per_channel("std", options["std"], channels)
        if 0 in std:
            raise ArgumentError("preprocess std has a zero")
        scale = tuple(1.0 / number for number in std)
    colors = [_choice(key, options.get(key, "rgb"), COLORS) for key in ("frame_color", "color")]
    if colors[0] != colors[1] and channels < 3:
        raise ArgumentError(f"input {name!r} has {channels} channels, which have no color order")
    order = (0, 1, 2, 3) if colors[0] == colors[1] else (2, 1, 0, 3)
    resize = _choice("resize", options.get("resize", "stretch"), RESIZES)
    align = _choice("align", options.get("align", "top_left"), ALIGNS)
    return Preprocess(resize, align, fill, order[:channels], mean, scale)


def _choice(key: str, value: object, choices: Mapping[str, Any]) -> Any:
    if value not in choices:
        raise ArgumentError(f"preprocess {key} is {value!r}; possible are {', '.join(choices)}")
    return choices[str(value)]


def _per_channel(key: str, value: Any, channels: int) -> tuple[float, ...]:
    numbers = list(value) if isinstance(value, Sequence) and not isinstance(value, str) else [value] * channels
    try:
        floats = tuple(float(number) for number in numbers)
    except (TypeError, ValueError):
        raise ArgumentError(f"preprocess {key} is {value!r}; it is a number or one per channel") from None
    if len(floats) != channels or not all(math.isfinite(number) for number in floats):
        raise ArgumentError(f"preprocess {key} is {value!r}; it is a finite number or {channels} of them")
    return floats
