"""``framegate tune``: fits a network's gates to a user's footage, with the dense network as the teacher.

Gates: thresholds are moved one by one, as long as that buys more work per error than moving all of them together
would. Nothing but measurements is used: each trial plays the tuning frames and counts multiply-accumulates and the
distance of the outputs from the dense ones. No labels are needed. docs/training.md has examples and figures.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import tables
from .agreement import SCALES, Agree, Outputs, Point, at_agreement, curve, dense_outputs, parse_agreement, play
from .bench import say
from .clip import fit, image_input, images
from .errors import ArgumentError
from .model import Model
from .reference.graph import Graph, HoldGate
from .stream import Array
from .tables import Table

ToBytes = Callable[[Graph], bytes]
Distill = Callable[[Graph, Sequence[Array], int, Callable[[str], None]], Graph]
FRAMES = 64
STEP = 2.0  # by which a trial multiplies or divides a threshold
LEAST_GAIN = 0.002  # of the logarithm of the cost: less is noise of the few frames
LARGEST_ALPHA = 8.0


@dataclass(frozen=True)
class Footage:
    """Frames as ``Stream.push`` takes them, the dense outputs of each, and how outputs are compared."""

    frames: Sequence[Array]
    dense: Sequence[Outputs]
    agree: Agree

    def play(self, model: Model, **options: Any) -> Point:
        """A gated stream over the frames."""
        return play(model, self.frames, self.dense, self.agree, **options)[0]

    def curve(self, model: Model, **options: Any) -> list[Point]:
        """Work against agreement."""
        return curve(model, self.frames, self.dense, self.agree, SCALES, **options)


def tune_gates(
    graph: Graph,
    footage: Footage,
    to_bytes: ToBytes,
    *,
    target: float = 0.99,
    passes: int = 2,
    progress: Callable[[str], None] = lambda _: None,
    **options: Any,
) -> Graph:
    """The graph with other thresholds of its inputs and hold gates.

    The cost of a setting is ``log(work) + k log(error)`` with the k at which scaling all thresholds together, at the
    target, costs nothing: a change of one threshold that lowers it gives less work at the same error.

    Args:
        graph: a network with hold gates.
        footage: the frames to tune on.
        to_bytes: the file's writer.
        target: the agreement aimed at, above 0 and below 1; at the end all thresholds are scaled to reach it on the
            footage.
        passes: how often each threshold is tried.
        progress: takes a line of text.
        options: of the streams, such as refresh.

    Raises:
        ArgumentError: there is no hold gate, or the target is out of range.
    """
    if not 0 < target < 1:
        raise ArgumentError(f"target is {target}; it is an agreement above 0 and below 1, such as 0.99")
    names = [node.name for node in graph.nodes if isinstance(node.gate, HoldGate)]
    if not names:
        raise ArgumentError("this network has no hold gates to tune: convert it with gate=hold")
    names = [item.name for item in graph.inputs if item.threshold > 0] + names
    graph, exponent = at_target(graph, footage, to_bytes, target, options)
    for number in range(1, passes + 1):
        best = _cost(graph, footage, to_bytes, exponent, options)
        start, changed = best, 0
        for name in names:
            for factor in (STEP, 1 / STEP):
                trial = scaled(graph, factor, name)
                cost = _cost(trial, footage, to_bytes, exponent, options)
                if cost < best - LEAST_GAIN:
                    graph, best = trial, cost
                    changed += 1
                    break
        progress(f"pass {number}: {changed} of {len(names)} thresholds moved, {1 - math.exp(best - start):.1%} gained")
        graph, exponent = at_target(graph, footage, to_bytes, target, options)
        if not changed:
            break
    return graph


def _cost(graph: Graph, footage: Footage, to_bytes: ToBytes, exponent: float, options: dict[str, Any]) -> float:
    point = footage.play(Model.from_bytes(to_bytes(graph)), **options)
    return math.log(max(point.macs, 1e-6)) + exponent * math.log(max(point.error, 1e-6))


def at_target(
    graph: Graph, footage: Footage, to_bytes: ToBytes, target: float, options: dict[str, Any]
) -> tuple[Graph, float]:
    """The graph with all thresholds scaled to the target, and how fast work falls with error there."""
    points = footage.curve(Model.from_bytes(to_bytes(graph)), **options)
    found = at_agreement(points, target)
    scale = SCALES[0] if found is None else found.scale
    near = sorted(points, key=lambda point: abs(math.log(point.scale / scale)))[:3]
    low, high = min(near, key=lambda point: point.error), max(near, key=lambda point: point.error)
    fall = math.log(max(low.macs, 1e-6) / max(high.macs, 1e-6))
    rise = math.log(max(high.error, 1e-6) / max(low.error, 1e-6))
    return scaled(graph, scale), min(2.0, max(0.1, fall / max(rise, 1e-3)))


def scaled(graph: Graph, factor: float, name: str | None = None) -> Graph:
    """The graph with one threshold multiplied, of an input or a gated node, or all of them."""
    inputs = [
        dataclasses.replace(item, threshold=min(255.0, item.threshold * factor)) if name in (None, item.name) else item
        for item in graph.inputs
    ]
    nodes = []
    for node in graph.nodes:
        if isinstance(node.gate, HoldGate) and name in (None, node.name):
            alpha = min(LARGEST_ALPHA, node.gate.alpha * factor)
            node = dataclasses.replace(node, gate=dataclasses.replace(node.gate, alpha=alpha))
        nodes.append(node)
    return dataclasses.replace(graph, inputs=inputs, nodes=nodes)


def tune(options: argparse.Namespace, to_bytes: ToBytes, distill: Distill) -> int:
    """Runs the verb; prints a table to standard output. ``distill`` fine-tunes weights, and needs torch."""
    model = Model.load(options.model)
    info = image_input(model)
    frames = [fit(image, info) for image in images(options.video, options.frames or FRAMES)]
    middle = len(frames) // 2
    if middle < 4:
        raise ArgumentError(f"{options.video}: {len(frames)} frames are too few; at least 8 are needed")
    dense = dense_outputs(model, frames)
    agree = parse_agreement(options.agreement, model, dense)
    tuning = Footage(frames[:middle], dense[:middle], agree)
    held_out = Footage(frames[middle:], dense[middle:], agree)
    stream = {"refresh": options.refresh}
    graph = tune_gates(
        model.graph, tuning, to_bytes, target=options.target, passes=options.passes, progress=say, **stream
    )
    if options.weights:
        graph = distill(graph, tuning.frames, options.weights, say)
        graph, _ = at_target(graph, tuning, to_bytes, options.target, stream)
    data = to_bytes(graph)
    Path(options.output).write_bytes(data)
    curves = [held_out.curve(each, **stream) for each in (model, Model.from_bytes(data))]
    as_they_are = [held_out.play(each, **stream) for each in (model, Model.from_bytes(data))]
    report: dict[str, Any] = {
        "model": str(options.model),
        "video": str(options.video),
        "output": str(options.output),
        "agreement": options.agreement,
        "target": options.target,
        "tuned_on": middle,
        "held_out": len(frames) - middle,
        "thresholds": thresholds(graph),
    }
    for name, points, point in zip(("before", "after"), curves, as_they_are, strict=True):
        found = at_agreement(points, options.target)
        report[name] = {
            "as_it_is": dataclasses.asdict(point),
            "macsat_target": None if found is None else found.macs,
            "curve": [dataclasses.asdict(each) for each in points],
        }
    if options.json:
        text = json.dumps(report, indent=1)
        print(text) if options.json == "-" else Path(options.json).write_text(text + "\n", "utf-8")
    if options.json != "-":
        tables.show([table(report, curves, as_they_are)], markdown=options.markdown)
    return 0


def thresholds(graph: Graph) -> dict[str, float]:
    """Grey levels of inputs and alpha of gated nodes, by name."""
    found = {item.name: item.threshold for item in graph.inputs}
    return found | {node.name: node.gate.alpha for node in graph.nodes if isinstance(node.gate, HoldGate)}


def table(report: dict[str, Any], curves: Sequence[Sequence[Point]], as_they_are: Sequence[Point]) -> Table:
    """Work at several agreements on the frames not tuned on, before and after."""
    counts = f"{report['held_out']} frames, none of the {report['tuned_on']} tuned on"
    title = f"{report['model']} on {report['video']}: {counts}"
    made = Table(title, ["agreement", "MACs before", "error", "MACs after", "error", "saved"])
    for target in sorted({0.95, 0.97, 0.98, 0.99, 0.995, report["target"]}):
        found = [at_agreement(points, target) for points in curves]
        cells = [f"{target:.1%}"]
        for point in found:
            cells += ["-", "-"] if point is None else [f"{point.macs:.1%}", f"{point.error:.3f}"]
        shares = [point.macs for point in found if point is not None and point.macs > 0]
        made.rows.append([*cells, f"{shares[0] / shares[1]:.2f}x" if len(shares) == 2 else "-"])
    for name, point in zip(("as it was", f"as written to {report['output']}"), as_they_are, strict=True):
        made.notes.append(
            f"{name}: {point.macs:.1%} of the MACs, agreement {point.agreement:.2%}, error {point.error:.3f}"
        )
    return made
