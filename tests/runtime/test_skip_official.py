"""Both backends against outputs, gate maps and counters of the official Skip-Convolution module.

A sample lies in tests/data/skipconv. FRAMEGATE_ASSETS names a folder whose ``skipconv_official`` holds the whole set.
"""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import runtime
from converters.writer import to_bytes
from runtime.reference import graph as g

from ..skip_official import Array, Judgement, block_network, entries, judge, layer_network

SAMPLE = Path(__file__).parents[1] / "data" / "skipconv"
WHOLE = Path(os.environ["FRAMEGATE_ASSETS"]) / "skipconv_official" if "FRAMEGATE_ASSETS" in os.environ else SAMPLE
MAKERS = {"layers": layer_network, "nets": block_network}


def _run(graph: g.Graph, record: dict[str, Any], arrays: dict[str, Array], backend: str) -> Judgement:
    # what a stream asks for does not reach official gates
    options: dict[str, Any] = {"refresh": 2, "threshold_scale": 0.0, "threads": 2}
    stream = runtime.Stream(runtime.Model.from_bytes(to_bytes(graph)), backend=backend, **options)
    return judge(graph, stream, arrays, record.get("layers", ["conv"]), record.get("reset_every", 0))


@pytest.mark.parametrize("kind", ["layers", "nets"])
def test_equals_the_official_module(kind: str, backend: str) -> None:
    count, flipped, fired = 0, 0, 0
    for record, arrays in entries(WHOLE, kind):
        found = _run(MAKERS[kind](record, arrays), record, arrays, backend)
        assert found.problems == [], record
        assert found.worst <= 1e-5, record
        count, flipped, fired = count + 1, flipped + found.flipped, fired + found.fired
    assert count > 0
    assert fired > 1000
    assert flipped <= 1e-4 * fired  # each was near its threshold: rounding decides a few in a million


def _replaced(graph: g.Graph, **changes: Any) -> g.Graph:
    """The graph with other gates."""
    for node in graph.nodes:
        if isinstance(node.gate, g.SkipGate):
            node.gate = dataclasses.replace(node.gate, **changes)
    return graph


@pytest.mark.parametrize(
    "changes",
    [{"floor": False, "half": False}, {"reset": 3}, {"block": 2}, {"update": g.SkipUpdate.RECOMPUTE, "half": False}],
    ids=lambda changes: next(iter(changes)),
)
def test_the_comparison_can_fail(changes: dict[str, Any]) -> None:
    """Gates that differ from the official ones in one point are found out."""
    found = []
    for record, arrays in entries(SAMPLE, "layers"):
        graph = layer_network(record, arrays)
        node = graph.nodes[0]
        if "half" in changes:
            node.inputs[g.RESIDUAL_BIAS] = None
        found.append(_run(_replaced(graph, **changes), record, arrays, "engine"))
    assert any(each.problems or each.worst > 1e-5 for each in found)


def test_a_residual_bias_is_not_the_bias() -> None:
    """What folding batch norm makes of a biased official layer: the bias once, the scaled bias with each residual."""
    found = []
    for record, arrays in entries(SAMPLE, "layers"):
        if not record["bias"]:
            continue
        graph = layer_network(record, arrays)
        shift = 3.0  # as if a batch norm added it behind: z is shifted by it in every frame
        name = str(graph.nodes[0].inputs[2])
        value = graph.values[name]
        assert value.data is not None
        value.data = value.data + np.float32(shift)
        shifted = {**arrays, "z": arrays["z"] + shift}
        found.append(_run(graph, record, shifted, "engine"))
    assert found
    assert all(each.problems == [] for each in found)
    assert max(each.worst for each in found) <= 1e-5
