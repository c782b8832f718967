"""What a conversion did."""

from __future__ import annotations

import collections
import dataclasses
import json
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from runtime.reference.graph import Graph

from .evaluate import macs
from .passes.use_winograd import without_winograd
from .skip_gates import describe_gate, skip_gated


@dataclass
class Report:
    """Result of ``convert``; ``print`` shows it as a table.

    ``check`` is the relative L2 error of one random frame through the written network against the imported one, both in
    NumPy; None where that was skipped. ``skip_gates`` has the names of Skip-Convolutions by what their gates are.
    ``dump`` is the text of the graph after the stage that was asked for.
    """

    network: str
    file: str
    file_bytes: int
    inputs: dict[str, str]
    outputs: dict[str, str]
    nodes: dict[str, int]
    macs: int
    parameters: int
    gated: int
    alpha: float | None
    alpha_reason: str
    skip_gates: dict[str, list[str]] = field(default_factory=dict)
    passes: list[tuple[str, int, int]] = field(default_factory=list)
    check: float | None = None
    notes: list[str] = field(default_factory=list)
    dump: str = ""

    def to_json(self) -> str:
        """All fields as a JSON object."""
        return json.dumps(dataclasses.asdict(self), indent=2)

    def __str__(self) -> str:
        nodes = ", ".join(f"{count} {op}" for op, count in self.nodes.items())
        steps = ", ".join(f"{name} {before} > {after}" for name, before, after in self.passes if before != after)
        gates = f"{self.gated} of {sum(self.nodes.values())} nodes"
        if self.alpha is not None:
            gates += f", alpha {self.alpha:g} ({self.alpha_reason})"
        check = "skipped" if self.check is None else f"relative error {self.check:.1e} against the imported network"
        rows = [
            ("network", self.network),
            ("file", f"{self.file}, {self.file_bytes / 1e6:.2f} MB"),
            *(("input", f"{name}: {text}") for name, text in self.inputs.items()),
            *(("output", f"{name}: {text}") for name, text in self.outputs.items()),
            ("nodes", nodes),
            ("passes", steps or "nothing to do"),
            ("MACs", f"{self.macs / 1e6:.1f} million per dense frame"),
            ("parameters", f"{self.parameters / 1e6:.3f} million"),
            ("gates", gates),
            *(("skip gates", f"{text}: {', '.join(names)}") for text, names in self.skip_gates.items()),
            ("check", check),
            *(("note", text) for text in self.notes),
        ]
        return "\n".join(f"{title:10}  {text}" for title, text in rows)


def describe(graph: Graph) -> dict[str, Any]:
    """The fields of a report that the graph alone tells."""
    counts = collections.Counter(node.op for node in graph.nodes)
    skip_gates: dict[str, list[str]] = {}
    for node, gate in skip_gated(graph):
        skip_gates.setdefault(describe_gate(gate), []).append(node.name)
    floats = (
        value.data for value in without_winograd(graph).values.values() if value.data is not None
    )  # transformed weights are no more parameters than they stand for
    inputs = {}
    for item in graph.inputs:
        value = graph.values[item.value]
        how = f"float32 {value.shape}" if item.preprocess is None else f"{value.shape} from uint8 frames"
        if item.preprocess is not None:
            how += f", resize {item.preprocess.resize.name.lower()}"
        inputs[item.name] = f"{how}, threshold {item.threshold:g} grey levels"
    return {
        "inputs": inputs,
        "outputs": {item.name: f"{item.dtype} {graph.values[item.value].shape}" for item in graph.outputs},
        "nodes": dict(counts.most_common()),
        "macs": macs(graph),
        "parameters": sum(data.size for data in floats if data.dtype == np.float32),
        "gated": sum(node.gate is not None for node in graph.nodes),
        "skip_gates": skip_gates,
    }
