"""Elementwise operators whose operands broadcast, beside NumPy: runs of pixels are one call where they can be."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

import runtime
from converters.writer import to_bytes
from runtime.reference import graph as g

ROWS, COLS = 9, 13
BESIDE = {"map": (ROWS, COLS), "pixel": (1, 1), "number": (1, 1), "row": (1, COLS), "column": (ROWS, 1)}

Array = npt.NDArray[np.float32]


def network(channels: int) -> g.Graph:
    """x of a map, less and beside each operand of BESIDE: outputs x - it, it - x, where(it > x, it, x); and from a part
    of a wider map, whose pixels do not follow each other."""
    graph = g.Graph()

    def value(name: str, kind: g.ValueKind, rows: int, cols: int, depth: int) -> str:
        graph.values[name] = g.Value(name, kind, rows, cols, depth, shape=(1, depth, rows, cols), pixel_axes=(2, 3))
        return name

    def node(name: str, attributes: g.Attributes, inputs: list[str | None], depth: int = channels) -> str:
        graph.nodes.append(g.Node(name, attributes, inputs, value(name, g.ValueKind.NODE, ROWS, COLS, depth)))
        return name

    for name, extents in {"x": (ROWS, COLS), **BESIDE}.items():
        value(name, g.ValueKind.INPUT, *extents, 1 if name == "number" else channels)
        graph.inputs.append(g.Input(name, name))
    wide = node("wide", g.Concat(2), ["x", "map"], 2 * channels)
    last = np.arange(channels, 2 * channels, dtype=np.int32)
    graph.values["last"] = g.Value("last", g.ValueKind.CONSTANT, 1, 1, channels, data=last)
    part = node("part", g.Gather(), [wide, None, None, "last"])
    for name in BESIDE:
        for x in ("x", part):
            node(f"{x}-{name}", g.BinaryOp(g.Binary.SUB), [x, name])
            node(f"{name}-{x}", g.BinaryOp(g.Binary.SUB), [name, x])
            larger = node(f"{name}>{x}", g.BinaryOp(g.Binary.GREATER), [name, x])
            node(f"where {name} {x}", g.Where(), [larger, name, x])
            graph.outputs += [g.Output(made, made) for made in (f"{x}-{name}", f"{name}-{x}", f"where {name} {x}")]
    return graph


def beside_numpy(frames: dict[str, Array]) -> dict[str, Array]:
    """What the network's outputs should be, (1, channels, rows, cols)."""
    want = {}
    for name in BESIDE:
        for x, given in (("x", frames["x"]), ("part", frames["map"])):
            there = np.broadcast_to(frames[name], given.shape)
            want |= {f"{x}-{name}": given - there, f"{name}-{x}": there - given}
            want[f"where {name} {x}"] = np.where(there > given, there, given)
    return {name: array.transpose(2, 0, 1)[None] for name, array in want.items()}


@pytest.mark.parametrize("backend", ["engine", "numpy"])
@pytest.mark.parametrize("channels", [1, 2, 24, 700, 2100])
def test_operands_broadcast(channels: int, backend: str) -> None:
    """Scratch holds 2048 numbers of an operand: many pixels, a few, none."""
    model = runtime.Model.from_bytes(to_bytes(network(channels)))
    rng = np.random.default_rng(channels)
    frames = {
        name: rng.standard_normal((*extents, 1 if name == "number" else channels)).astype(np.float32)
        for name, extents in {"x": (ROWS, COLS), **BESIDE}.items()
    }
    streams = [runtime.Stream(model, backend=backend, gating=gating) for gating in (True, False)]
    for changed in ("all", "x", "map", "pixel", "none", "number", "row", "column"):
        for name in frames if changed == "all" else [changed] if changed in frames else []:
            fires = rng.random(frames[name].shape[:2]) < 0.4
            frames[name] = np.where(fires[..., None], rng.standard_normal(frames[name].shape), frames[name])
            frames[name] = frames[name].astype(np.float32)
        want = beside_numpy(frames)
        for stream in streams:
            got = stream.push(frames)
            for name in want:
                assert got[name].tobytes() == want[name].tobytes(), (changed, name)
