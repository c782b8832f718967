"""``framegate profile``: where the time of a push goes, node by node."""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from . import tables
from .clip import fit, image_input, images
from .errors import ArgumentError
from .model import Model
from .reference.graph import Conv2d, Graph, Input, Node, Output, Value, ValueKind
from .stream import Array, Stream
from .tables import Table

FRAMES = 20
RUNS = 3
GEMM_SIDE, GEMM_CHANNELS = 28, 256


@dataclass(frozen=True)
class NodeProfile:
    """A node over all profiled pushes; per push on average.

    Attributes:
        microseconds: median over runs of each push's time.
        macs, computed: multiply-accumulates and output pixels executed; ``pixels``: those of a dense push.
        bytes_read, bytes_written: running values in proportion to the computed pixels, constants whole if any pixel
            was; estimated from extents, before any cache.
    """

    name: str
    op: str
    microseconds: float
    macs: float
    computed: float
    pixels: int
    bytes_read: float
    bytes_written: float

    @property
    def gflops(self) -> float:
        """Direct-form 2 x MACs per nanosecond."""
        return 2e-3 * self.macs / self.microseconds if self.microseconds else 0.0


def profile(options: argparse.Namespace, to_bytes: Callable[[Graph], bytes]) -> int:
    """Runs the verb; prints tables, or JSON, to standard output. ``to_bytes`` writes the peak's network."""
    model = Model.load(options.model)
    info = image_input(model)
    frames = [fit(image, info) for image in images(options.source, options.frames or FRAMES)]
    gating = options.gating == "on"
    if len(frames) < 2:
        raise ArgumentError(f"{options.source}: at least two frames are needed")
    stream = Stream(
        model,
        threads=options.threads,
        gating=gating,
        threshold_scale=options.threshold_scale,
        refresh=options.refresh,
        profile=True,
    )
    if stream.backend != "engine":
        raise ArgumentError("the NumPy backend has no clock: run `python build.py develop`")
    peak = gemm_gflops(to_bytes, options.threads)
    nodes, total = measure(stream, frames)
    if options.json:
        figures = {
            "model": str(options.model),
            "source": str(options.source),
            "pushes": len(frames) - 1,
            "gating": gating,
            "threads": options.threads,
            "isa": stream.isa,
            "best_gemm_gflops": peak,
            "total_microseconds": total,
            "nodes": [{**asdict(node), "gflops": node.gflops} for node in nodes],
        }
        text = json.dumps(figures, indent=1)
        print(text) if options.json == "-" else Path(options.json).write_text(text + "\n", "utf-8")
    if options.json != "-":
        what = f"{options.model}: {len(frames) - 1} pushes after the first, gating {options.gating}, {stream.isa}, "
        made = [
            node_table(nodes, total, peak, what + f"{options.threads} thread(s)"),
            operator_table(nodes, total, peak),
        ]
        tables.show(made, markdown=options.markdown)
    return 0


def measure(stream: Stream, frames: Sequence[Array], runs: int = RUNS) -> tuple[list[NodeProfile], float]:
    """Plays the frames ``runs`` times: per node, and of a whole push, microseconds per push without the first.

    The same frames do the same work in every run, so each push's time is the median over runs. The first entry is the
    input stage: resizing, the input gate and preparation.
    """
    names = [node.name for node in stream.model.nodes]
    times = np.zeros((runs, len(frames), len(names) + 1))
    macs, computed = (np.zeros((len(frames), len(names))) for _ in range(2))
    for run in range(runs):
        stream.reset()
        for index, frame in enumerate(frames):
            stream.push(frame)
            each = [stream.stats(name) for name in names]
            spent = [stats.nanoseconds for stats in each]
            times[run, index] = [stream.stats().nanoseconds - sum(spent), *spent]
            macs[index] = [stats.macs for stats in each]
            computed[index] = [stats.computed for stats in each]
    medians = np.median(times, axis=0)[1:].mean(axis=0) / 1e3
    moved = [node_bytes(stream.model.graph, node) for node in stream.model.graph.nodes]
    profiles = [NodeProfile("(input)", "input", float(medians[0]), 0.0, 0.0, 0, 0.0, 0.0)]
    for i, node in enumerate(stream.model.nodes):
        pixels = node.rows * node.cols
        share = float(computed[1:, i].mean()) / pixels
        active = float((computed[1:, i] > 0).mean())
        running, constant, written = moved[i]
        profiles.append(
            NodeProfile(node.name, node.op, float(medians[i + 1]), float(macs[1:, i].mean()), share * pixels, pixels,
                        share * running + active * constant, share * written)
        )  # fmt: skip
    return profiles, float(medians.sum())


def node_bytes(graph: Graph, node: Node) -> tuple[int, int, int]:
    """Bytes of running inputs, of constant inputs and of the output in a dense push."""
    inputs = [graph.values[name] for name in node.inputs if name is not None]
    running = sum(4 * value.elements for value in inputs if value.kind != ValueKind.CONSTANT)
    constant = sum(value.data.nbytes for value in inputs if value.kind == ValueKind.CONSTANT and value.data is not None)
    return running, constant, 4 * graph.values[node.output].elements


def gemm_network() -> Graph:
    """A 1 x 1 convolution of 256 to 256 channels on 28 x 28 pixels: nothing but a matrix product that fits caches."""
    channels, side = GEMM_CHANNELS, GEMM_SIDE
    weights = np.random.default_rng(1).normal(size=(1, 1, channels, channels)).astype(np.float32)
    shape = {"shape": (1, channels, side, side), "pixel_axes": (2, 3)}
    values = [
        Value("x", ValueKind.INPUT, side, side, channels, **shape),  # type: ignore[arg-type]
        Value("w", ValueKind.CONSTANT, data=weights / np.float32(16)),
        Value("y", ValueKind.NODE, side, side, channels, **shape),  # type: ignore[arg-type]
    ]
    node = Node("gemm", Conv2d(1, 1), ["x", "w", None, None], "y")
    return Graph({value.name: value for value in values}, [node], [Input("x", "x")], [Output("y", "y")])


def gemm_gflops(to_bytes: Callable[[Graph], bytes], threads: int, pushes: int = 60) -> float:
    """GFLOP/s of the engine's own matrix product on this machine now: what shares of peak are shares of."""
    model = Model.from_bytes(to_bytes(gemm_network()))
    stream = Stream(model, threads=threads, gating=False, profile=True)
    frame = np.random.default_rng(2).normal(size=(GEMM_SIDE, GEMM_SIDE, GEMM_CHANNELS)).astype(np.float32)
    times = []
    for _ in range(pushes):
        stream.push(frame)
        times.append(stream.stats("gemm").nanoseconds)
    return 2 * model.macs / max(statistics.median(times[pushes // 3 :]), 1)


def node_table(nodes: Sequence[NodeProfile], total: float, peak: float, title: str) -> Table:
    """All nodes in their order."""
    head = ["node", "op", "share", "us", "MMACs", "GFLOP/s", "of gemm", "pixels", "KiB read", "KiB written"]
    table = Table(title, head, labels=2)
    for node in nodes:
        table.rows.append([node.name, node.op, *figures(node, total, peak)])
    table.notes.append(
        f"{total / 1e3:.3f} ms per push. of gemm: share of {peak:.1f} GFLOP/s, a {GEMM_CHANNELS} to {GEMM_CHANNELS} "
        "1x1 convolution measured just before; MACs are direct-form. Bytes are estimated from extents."
    )
    return table


def operator_table(nodes: Sequence[NodeProfile], total: float, peak: float) -> Table:
    """Totals per kind of operator, the slowest first."""
    table = Table("by operator", ["op", "nodes", "share", "us", "MMACs", "GFLOP/s", "of gemm", "pixels", "KiB read",
                                  "KiB written"], labels=1)  # fmt: skip
    kinds: dict[str, list[NodeProfile]] = {}
    for node in nodes:
        kinds.setdefault(node.op, []).append(node)
    sums = [(len(group), summed(op, group)) for op, group in kinds.items()]
    for count, node in sorted(sums, key=lambda pair: -pair[1].microseconds):
        table.rows.append([node.op, str(count), *figures(node, total, peak)])
    return table


def summed(op: str, nodes: Sequence[NodeProfile]) -> NodeProfile:
    """Several nodes as one."""

    def total(field: str) -> Any:
        return sum(getattr(node, field) for node in nodes)

    return NodeProfile("", op, total("microseconds"), total("macs"), total("computed"), total("pixels"),
                       total("bytes_read"), total("bytes_written"))  # fmt: skip


def figures(node: NodeProfile, total: float, peak: float) -> list[str]:
    """A node's cells from its share of the time on."""
    rate = [f"{node.macs / 1e6:.2f}", f"{node.gflops:.1f}", f"{node.gflops / peak:.0%}"] if node.macs else ["-"] * 3
    pixels = f"{node.computed / node.pixels:.1%}" if node.pixels else "-"
    moved = [f"{size / 1024:.0f}" if node.pixels else "-" for size in (node.bytes_read, node.bytes_written)]
    return [f"{node.microseconds / max(total, 1e-9):.1%}", f"{node.microseconds:.1f}", *rate, pixels, *moved]
