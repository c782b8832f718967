"""Networks with Skip-Convolutions: how their gates run, what is worth knowing about them, how they are listed."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

from runtime.reference.graph import (
    RESIDUAL_BIAS,
    Graph,
    Node,
    SkipGate,
    SkipKind,
    SkipReference,
    SkipUpdate,
)

MODES = ("trained", "closed_loop")


def skip_gated(graph: Graph) -> Iterator[tuple[Node, SkipGate]]:
    """The nodes with a skip gate, in order."""
    return ((node, node.gate) for node in graph.nodes if isinstance(node.gate, SkipGate))


def close_loops(graph: Graph) -> Graph:
    """The graph with all skip gates in a closed loop: what is held back stays in the residual, and nothing drifts.

    Thresholds and gate weights stay. The official module's rounding, half gates, repeated bias and resets go.
    """
    nodes = []
    for node in graph.nodes:
        if isinstance(node.gate, SkipGate):
            gate = dataclasses.replace(
                node.gate,
                update=SkipUpdate.RECOMPUTE,
                reference=SkipReference.FIRED,
                floor=False,
                half=False,
                reset=0,
            )
            node = dataclasses.replace(node, gate=gate, inputs=[*node.inputs[:RESIDUAL_BIAS], None])
        nodes.append(node)
    return dataclasses.replace(graph, nodes=nodes)


def describe_gate(gate: SkipGate) -> str:
    """One line: kind, threshold, structure, update and reference, quirks."""
    threshold = f"bias {gate.bias:g}" if gate.kind == SkipKind.GUMBEL else f"eps {gate.eps:g}"
    parts = [f"{gate.kind.name.lower()} {threshold}" if gate.leader is None else f"shared with {gate.leader}"]
    parts += [f"blocks of {gate.block}"] if gate.block > 1 else []
    parts += [gate.update.name.lower(), f"reference {gate.reference.name.lower()}"]
    parts += [name for name, on in (("floor", gate.floor), ("half", gate.half)) if on]
    parts += [f"reset every {gate.reset}"] if gate.reset else []
    return ", ".join(parts)


def skip_notes(graph: Graph) -> list[str]:
    """What a user should know: gates that hold little back, and blocks that are cut; nodes by name."""
    still, changes, cut = [], [], []
    for node, gate in skip_gated(graph):
        value = graph.values[node.output]
        named = f"{node.name} ({describe_gate(gate).partition(',')[0]})"
        if gate.fires_on_zero:
            still.append(named)
        elif gate.leader is not None:
            continue
        elif gate.bias >= 0 if gate.kind == SkipKind.GUMBEL else gate.eps <= 0:
            changes.append(named)
        if value.rows % gate.block or value.cols % gate.block:
            cut.append(f"{node.name} ({value.rows} x {value.cols}, blocks of {gate.block})")
    titles = {
        "these gates let a residual of zero through and never skip, not even still areas": still,
        "these gates fire at every change, however small": changes,
        "these maps are no multiple of their gates' blocks; the last blocks are cut": cut,
    }
    return [f"{title}: {_some(names)}" for title, names in titles.items() if names]


def _some(names: list[str], limit: int = 8) -> str:
    more = [f"and {len(names) - limit} more"] if len(names) > limit else []
    return ", ".join([*names[:limit], *more])
