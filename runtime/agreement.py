"""How well gated outputs agree with dense ones, and what that costs: points and curves over a clip."""

from __future__ import annotations

import importlib
import math
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .bench import Distance
from .errors import ArgumentError
from .model import Model, OutputInfo
from .stream import Array, Stream

Outputs = Mapping[str, Array]
Agree = Callable[[Outputs, Outputs], float]  # (gated, dense) of one frame: 0 to 1

TOLERANCE = 0.5  # standard deviations
SCALES = tuple(2.0 ** (k / 2) for k in range(-6, 7))


@dataclass(frozen=True)
class Point:
    """A gated stream on a clip, the first frame left out, which is dense in any case.

    Attributes:
        scale: the stream's threshold_scale.
        macs: executed multiply-accumulates, those of skip gates included, as a share of the dense ones.
        agreement: mean over frames, 0 to 1.
        error: relative L2 distance of all float outputs.
    """

    scale: float
    macs: float
    agreement: float
    error: float


def dense_outputs(model: Model, frames: Sequence[Array], threads: int = 1) -> list[dict[str, Array]]:
    """Copies of the outputs of ungated pushes."""
    stream = Stream(model, gating=False, threads=threads)
    return [{name: array.copy() for name, array in stream.push(frame).items()} for frame in frames]


def values_agree(model: Model, dense: Sequence[Outputs], tolerance: float = TOLERANCE) -> Agree:
    """The default measure: the share of output numbers that are close to the dense network's.

    Close is within ``tolerance`` standard deviations of the number's channel, taken over the dense frames and the
    channel's pixels; an output whose pixels are not known is one channel. Integer and bool outputs must be equal. Each
    output of the network has the same weight.
    """
    limits = {info.name: _deviation(info, [outputs[info.name] for outputs in dense]) for info in model.outputs}

    def agree(gated: Outputs, expected: Outputs) -> float:
        shares = []
        for name, limit in limits.items():
            near = np.abs(gated[name].astype(np.float64) - expected[name]) <= tolerance * limit
            shares.append(float(np.mean(near)))
        return float(np.mean(shares))

    return agree


def _deviation(info: OutputInfo, arrays: Sequence[Array]) -> Any:
    """Standard deviation per channel, broadcastable to the output; 0 for integers."""
    if arrays[0].dtype.kind != "f":
        return 0.0
    stack = np.stack(arrays).astype(np.float64)
    axes = (0, *(axis + 1 for axis in info.pixel_axes)) if info.pixel_axes else None
    return np.std(stack, axis=axes, keepdims=True)[0] if axes else np.std(stack)


def classes_agree(gated: Outputs, dense: Outputs) -> float:
    """For classifiers (1, K) and segmentation (1, K, H, W): the share of pixels with the same largest class."""
    shares = []
    for name, expected in dense.items():
        if expected.ndim < 2:
            raise ArgumentError(f"output {name!r} of shape {expected.shape} has no class axis; measure values instead")
        shares.append(float(np.mean(gated[name].argmax(axis=1) == expected.argmax(axis=1))))
    return float(np.mean(shares))


def parse_agreement(text: str, model: Model, dense: Sequence[Outputs]) -> Agree:
    """The measure that ``--agreement`` names: values, classes, or a function ``module:name`` or ``file.py:name``.

    Raises:
        ArgumentError: there is no such measure.
    """
    if text == "values":
        return values_agree(model, dense)
    if text == "classes":
        return classes_agree
    module, separator, name = text.rpartition(":")
    if not separator:
        raise ArgumentError(f"--agreement {text}: expected values, classes or a function such as measures.py:boxes")
    path = Path(module)
    if path.suffix == ".py":
        sys.path.insert(0, str(path.parent.resolve()))
        module = path.stem
    try:
        found: Agree = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise ArgumentError(f"--agreement {text}: {error}") from error
    return found


def play(
    model: Model, frames: Sequence[Array], dense: Sequence[Outputs], agree: Agree, **options: Any
) -> tuple[Point, list[float]]:
    """A gated stream with these options over a clip, and the relative L2 distance of each frame but the first."""
    stream = Stream(model, **options)
    distance, shares, macs = Distance(), [], 0
    for index, (frame, expected) in enumerate(zip(frames, dense, strict=True)):
        result = stream.push(frame)
        if index:
            distance.add(result.outputs, dict(expected))
            shares.append(agree(result.outputs, expected))
            macs += result.macs + stream.stats().macs_gate
    whole = max(1, model.macs * (len(frames) - 1))
    point = Point(options.get("threshold_scale", 1.0), macs / whole, float(np.mean(shares)), distance.relative)
    return point, distance.per_frame


def curve(
    model: Model,
    frames: Sequence[Array],
    dense: Sequence[Outputs],
    agree: Agree,
    scales: Sequence[float] = SCALES,
    **options: Any,
) -> list[Point]:
    """One point per threshold_scale, ascending."""
    return [play(model, frames, dense, agree, **{**options, "threshold_scale": scale})[0] for scale in sorted(scales)]


def at_agreement(points: Sequence[Point], target: float) -> Point | None:
    """Where a curve of ascending scale first falls to ``target``: between its points by linear interpolation.

    Returns:
        The point; the last one if the curve does not fall that far; None if it starts below.
    """
    last: Point | None = None
    for point in points:
        if point.agreement < target:
            if last is None:
                return None
            part = (last.agreement - target) / (last.agreement - point.agreement)
            return Point(
                math.exp(_between(math.log(last.scale), math.log(point.scale), part)),
                _between(last.macs, point.macs, part),
                target,
                _between(last.error, point.error, part),
            )
        last = point
    return last


def _between(a: float, b: float, part: float) -> float:
    return a + (b - a) * part
