"""``framegate compare``: one network on one clip under several gates, and how each drifts from the dense network."""

from __future__ import annotations

import argparse
import dataclasses
import json
import math
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from . import tables
from .agreement import Agree, Outputs, dense_outputs, parse_agreement, play
from .bench import Distance, say
from .clip import fit, image_input, images
from .errors import ArgumentError
from .model import Model
from .reference.graph import Graph, HoldGate, SkipGate
from .stream import Array, Stream
from .tables import Table

FRAMES = 120
MATCH_FRAMES, MATCH_STEPS = 16, 14  # of the search for a threshold
PARTS = 4  # of the clip, to see drift


@dataclass(frozen=True)
class Tools:
    """What only the converters have: the writer, and a graph under other gates."""

    to_bytes: Callable[[Graph], bytes]
    close_loops: Callable[[Graph], Graph]
    hold_gated: Callable[[Graph], Graph]
    norm_gated: Callable[[Graph, float], Graph]


@dataclass(frozen=True)
class Row:
    """One way to run the network, over the frames after the first.

    Attributes:
        name: of the gates.
        macs: executed multiply-accumulates, those of skip gates included, as a share of the dense ones.
        milliseconds: median of a push.
        agreement: mean over frames, 0 to 1.
        error: relative L2 distance of the float outputs from the dense ones.
        errors: the same for each frame.
    """

    name: str
    macs: float
    milliseconds: float
    agreement: float
    error: float
    errors: list[float]

    @property
    def parts(self) -> list[float]:
        """The mean error of each quarter of the clip: a rising row is drift."""
        return [float(np.mean(part)) for part in np.array_split(self.errors, min(PARTS, len(self.errors)))]


def compare(options: argparse.Namespace, tools: Tools) -> int:
    """Runs the verb; prints a table to standard output, or JSON with ``--json -``."""
    model = Model.load(options.model)
    info = image_input(model)
    frames = [fit(image, info) for image in images(options.video, options.frames or FRAMES)]
    if len(frames) < 2:
        raise ArgumentError(f"{options.video}: at least two frames are needed")
    dense = dense_outputs(model, frames, options.threads)
    agree = parse_agreement(options.agreement, model, dense)
    stream = {"refresh": options.refresh, "threads": options.threads}
    rows = []
    for name, graph in variants(model, frames, dense, tools, stream):
        each = model if graph is None else Model.from_bytes(tools.to_bytes(graph))
        rows.append(measure(name, each, frames, dense, agree, **stream, gating=graph is not None))
        say(f"{name}: {rows[-1].macs:.1%} of the MACs")
    report = {"model": str(options.model), "video": str(options.video), "frames": len(frames)}
    if options.json:
        text = json.dumps({**report, "rows": [dataclasses.asdict(row) for row in rows]}, indent=1)
        print(text) if options.json == "-" else Path(options.json).write_text(text + "\n", "utf-8")
    if options.json != "-":
        tables.show(
            [table(f"{options.model} on {options.video}, {len(frames)} frames", rows)], markdown=options.markdown
        )
    return 0


def variants(
    model: Model, frames: Sequence[Array], dense: Sequence[Outputs], tools: Tools, options: dict[str, Any]
) -> Iterator[tuple[str, Graph | None]]:
    """(name, graph) of each way to run; None is dense.

    A network with Skip-Convolution gates runs as trained, in a closed loop, and with hold gates instead. One with hold
    gates runs with the paper's output-norm gates, too, as the official module does and in a closed loop, whose one
    threshold is chosen so that they do as much work as the hold gates on the first frames.

    Raises:
        ArgumentError: the network has no gates.
    """
    graph = model.graph
    skip = any(isinstance(node.gate, SkipGate) for node in graph.nodes)
    if not skip and not any(isinstance(node.gate, HoldGate) for node in graph.nodes):
        raise ArgumentError("this network has no gates to compare: convert it with gate=hold")
    yield "dense", None
    if skip:
        yield "skip gates, as in the file", graph
        yield "skip gates, closed loop", tools.close_loops(graph)
        yield "hold gates", tools.hold_gated(graph)
        return
    yield "hold gates, as in the file", graph
    some = slice(MATCH_FRAMES)
    work = play(model, frames[some], dense[some], _always, **options)[0].macs
    for name, gated in (
        ("norm gates, official (open loop)", lambda eps: tools.norm_gated(graph, eps)),
        ("norm gates, closed loop", lambda eps: tools.close_loops(tools.norm_gated(graph, eps))),
    ):
        yield name, _matched(gated, work, frames[some], dense[some], tools, options)


def _always(_gated: Outputs, _dense: Outputs) -> float:
    return 1.0


def _matched(
    gated: Callable[[float], Graph],
    work: float,
    frames: Sequence[Array],
    dense: Sequence[Outputs],
    tools: Tools,
    options: dict[str, Any],
) -> Graph:
    """The graph with the threshold at which it does the given share of the work, by bisection of the logarithm."""
    low, high = math.log(1e-3), math.log(1e9)
    for _ in range(MATCH_STEPS):
        middle = (low + high) / 2
        model = Model.from_bytes(tools.to_bytes(gated(math.exp(middle))))
        done = play(model, frames, dense, _always, **options)[0].macs
        low, high = (middle, high) if done > work else (low, middle)
    return gated(math.exp((low + high) / 2))


def measure(
    name: str, model: Model, frames: Sequence[Array], dense: Sequence[Outputs], agree: Agree, **options: Any
) -> Row:
    """Plays the clip once."""
    stream, distance = Stream(model, **options), Distance()
    shares, times, macs = [], [], 0
    for index, (frame, expected) in enumerate(zip(frames, dense, strict=True)):
        start = time.perf_counter()
        result = stream.push(frame)
        spent = time.perf_counter() - start
        if index:
            times.append(1e3 * spent)
            macs += result.macs + stream.stats().macs_gate
            distance.add(result.outputs, dict(expected))
            shares.append(agree(result.outputs, expected))
    whole = max(1, model.macs * (len(frames) - 1))
    return Row(
        name,
        macs / whole,
        statistics.median(times),
        float(np.mean(shares)),
        distance.relative,
        distance.per_frame,
    )


def table(title: str, rows: Sequence[Row]) -> Table:
    """One row per way to run."""
    parts = [f"error, {index}/{PARTS}" for index in range(1, PARTS + 1)]
    made = Table(title, ["gates", "MACs", "ms", "agreement", "error", *parts])
    for row in rows:
        cells = [f"{row.macs:.1%}", f"{row.milliseconds:.2f}", f"{row.agreement:.2%}", f"{row.error:.3f}"]
        shown = [f"{part:.3f}" for part in row.parts]
        made.rows.append([row.name, *cells, *shown, *["-"] * (PARTS - len(shown))])
    made.notes.append(
        "error: relative L2 distance from the dense outputs, over the clip and in each quarter of it (rising: drift); "
        "ms: median of a push, one run, other work on the machine included; the first frame is left out"
    )
    return made
