"""``framegate bench``: gated against dense streams on one clip, pushed in turn, and against ONNX Runtime."""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from . import video
from .clip import fit, image_input, images, progress
from .errors import ArgumentError
from .model import Model
from .reference.prepare import fit as fit_frame
from .reference.prepare import normalize
from .stream import Array, Stream

FRAMES = 120
Runner = Callable[[Array], dict[str, Array]]


@dataclass
class Distance:
    """How far one network's float outputs are from another's, over all frames, in float64."""

    squares: float = 0.0
    reference_squares: float = 0.0
    largest: float = 0.0
    per_frame: list[float] = field(default_factory=list)

    def add(self, outputs: dict[str, Array], reference: dict[str, Array]) -> None:
        """Takes one frame's outputs by name."""
        squares = reference_squares = 0.0
        for name, expected in reference.items():
            if expected.dtype == np.float32:
                difference = outputs[name].astype(np.float64) - expected
                squares += float((difference**2).sum())
                reference_squares += float((expected.astype(np.float64) ** 2).sum())
                self.largest = max(self.largest, float(np.abs(difference).max(initial=0.0)))
        self.squares += squares
        self.reference_squares += reference_squares
        self.per_frame.append((squares / max(reference_squares, 1e-300)) ** 0.5)

    @property
    def relative(self) -> float:
        """Relative L2 distance over all frames."""
        return float((self.squares / max(self.reference_squares, 1e-300)) ** 0.5)


def bench(options: argparse.Namespace) -> int:
    """Runs the verb; prints a table, or JSON, to standard output."""
    model = Model.load(options.model)
    info = image_input(model)
    frames = [fit(image, info) for image in images(options.source, options.frames or FRAMES)]
    if len(frames) < 2:
        raise ArgumentError(f"{options.source}: at least two frames are needed")
    choices = {"threads": options.threads, "threshold_scale": options.threshold_scale, "refresh": options.refresh}
    streams = {"dense": Stream(model, **{**choices, "gating": False}), "gated": Stream(model, **choices)}
    runners: dict[str, Runner] = {name: stream_runner(stream) for name, stream in streams.items()}
    if options.onnx:
        runners["onnxruntime"] = onnx_runner(options.onnx, model, options.threads)
    times: dict[str, list[float]] = {name: [] for name in runners}
    distances = {name: Distance() for name in runners if name != "dense"}
    with progress(len(frames)) as step:
        for index, frame in enumerate(frames):
            inputs = {name: source_input(frame, model) if name == "onnxruntime" else frame for name in runners}
            outputs = {}
            for name in list(runners)[:: 1 if index % 2 else -1]:  # none always runs on a warmer cache
                start = time.perf_counter()
                outputs[name] = runners[name](inputs[name])
                times[name].append(1e3 * (time.perf_counter() - start))
            for name, distance in distances.items():
                distance.add(outputs[name], outputs["dense"])
            step(f"dense {times['dense'][-1]:.1f} ms, gated {times['gated'][-1]:.1f} ms")
    stats = streams["gated"].stats()
    first = stats.macs_dense  # the first frame is computed whole
    figures: dict[str, Any] = {
        "model": str(options.model),
        "source": str(options.source),
        "frames": len(frames),
        "machine": platform.processor() or platform.machine(),
        "isa": streams["gated"].isa,
        "threads": options.threads,
        "mmacs": model.macs / 1e6,
        "mac_share": (stats.macs_total - first) / max(stats.macs_dense * (len(frames) - 1), 1),
        "median_ms": {name: statistics.median(values[1:]) for name, values in times.items()},
        "time_share": statistics.median(g / d for g, d in zip(times["gated"][1:], times["dense"][1:], strict=True)),
        "relative_l2": {name: distance.relative for name, distance in distances.items()},
        "largest_difference": {name: distance.largest for name, distance in distances.items()},
    }
    print(json.dumps(figures, indent=1) if options.json else table(figures))
    return 0


def table(figures: dict[str, Any]) -> str:
    """The figures as text."""
    medians, largest = figures["median_ms"], figures["largest_difference"]
    lines = [
        f"{figures['frames']} frames, {figures['mmacs']:.1f} MMACs each, {figures['isa']}, "
        f"{figures['threads']} thread(s); medians without the first frame, runners taking turns",
        *(f"{name:12} {value:8.2f} ms   {value / medians['dense']:5.2f} of dense" for name, value in medians.items()),
        f"gated executes {figures['mac_share']:.1%} of the MACs in {figures['time_share']:.1%} of the time",
        *(
            f"{name} against dense: relative L2 {value:.2g}, largest difference {largest[name]:.2g}"
            for name, value in figures["relative_l2"].items()
        ),
    ]
    if "onnxruntime" in medians:
        lines.append("onnxruntime is timed without preparing frames, dense and gated with it")
    return "\n".join(lines)


def source_input(frame: Array, model: Model) -> Array:
    """A frame as the source model takes it, float32."""
    record, info = model.graph.inputs[0], model.inputs[0]
    if record.preprocess is not None:
        frame = normalize(fit_frame(frame, info.height, info.width, record.preprocess), record.preprocess)
    axes = [*info.pixel_axes, *(axis for axis in range(len(info.shape)) if axis not in info.pixel_axes)]
    stored = frame.astype(np.float32).reshape([info.shape[axis] for axis in axes])
    return np.ascontiguousarray(stored.transpose(np.argsort(axes)))


def stream_runner(stream: Stream) -> Runner:
    """A function from frames to outputs by name."""
    return lambda frame: stream.push(frame).outputs


def onnx_runner(path: str, model: Model, threads: int) -> Runner:
    """A function from the source model's input to its outputs by name, by ONNX Runtime."""
    onnxruntime = video.required("test", "the comparison with --onnx", "onnxruntime")
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = threads
    settings.inter_op_num_threads = 1
    try:
        session = onnxruntime.InferenceSession(path, settings, providers=["CPUExecutionProvider"])
    except Exception as error:  # its exceptions have no base class of their own
        raise ArgumentError(f"{path}: ONNX Runtime cannot load it ({error})") from error
    names = [output.name for output in model.outputs]
    key = session.get_inputs()[0].name
    return lambda x: dict(zip(names, session.run(names, {key: x}), strict=True))
