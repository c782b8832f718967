"""``framegate info``: what a file holds and what it needs."""

from __future__ import annotations

import argparse
from typing import Any

from .model import InputInfo, Model
from .reference.graph import Gate, GateNorm, SkipGate, WinogradConv2d
from .stream import Stream


def info(options: argparse.Namespace) -> int:
    """Runs the verb; prints to standard output."""
    model = Model.load(options.model)
    gated = sum(node.gated for node in model.nodes)
    print(
        f"{options.model}: {len(model.nodes)} nodes, {gated} gated, {model.macs / 1e6:.1f} million MACs per dense frame"
    )
    stream = Stream(model)
    weights = sum(v.data.nbytes for v in model.graph.values.values() if v.data is not None)
    print(f"weights {_kib(weights)} shared, state {_kib(stream.state_bytes)} per stream", end="")
    print(f", scratch {_kib(stream.scratch_bytes)}" if stream.scratch_bytes else "")
    for each, record in zip(model.inputs, model.graph.inputs, strict=True):
        print(f"input   {each.name}: {_frame(each)}; changes above {record.threshold:g} grey levels count")
    for output in model.outputs:
        print(f"output  {output.name}: {output.dtype} {_shape(output.shape)}")
    rows = [("node", "op", "output", "gate", "MMACs", "share")]
    for node, stored in zip(model.nodes, model.graph.nodes, strict=True):
        extents = f"{node.rows} x {node.cols} x {node.channels}"
        share = f"{node.macs / model.macs:.1%}" if model.macs else "-"
        op = f"{node.op} winograd" if isinstance(stored.attributes, WinogradConv2d) else node.op
        rows.append((node.name, op, extents, _gate(stored.gate), f"{node.macs / 1e6:.2f}", share))
    _table(rows)
    return 0


def _gate(gate: Gate | None) -> str:
    if gate is None:
        return "-"
    if not isinstance(gate, SkipGate):
        return f"hold {gate.alpha:g} {GateNorm(gate.norm).name.lower()} {gate.block}"
    if gate.leader is not None:
        return f"shared {gate.leader} {gate.update.name.lower()} {gate.reference.name.lower()}"
    threshold = f"{gate.eps:g}" if gate.scale else f"{gate.bias:g}"
    kind = f"{gate.kind.name.lower()} {threshold} {gate.block} {gate.update.name.lower()} {gate.reference.name.lower()}"
    return f"{kind} (everywhere)" if gate.fires_on_zero else kind


def _frame(each: InputInfo) -> str:
    size = f"any size, brought to {each.width} x {each.height}" if each.resized else f"{each.width} x {each.height}"
    kind = "uint8 frames" if each.prepared else "float32 or uint8 frames, the network's own values"
    return f"{kind} of {each.channels} channel(s), {size}; source shape {_shape(each.shape)}"


def _shape(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape)) or "scalar"


def _kib(size: int) -> str:
    return f"{size / 1024:,.0f} KiB"


def _table(rows: list[tuple[Any, ...]]) -> None:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        cells = [cell.rjust(w) if i > 3 else cell.ljust(w) for i, (cell, w) in enumerate(zip(row, widths, strict=True))]
        print("  ".join(cells).rstrip())
