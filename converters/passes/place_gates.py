"""Decides which values are gated."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from runtime.reference.graph import Activation, Conv2d, GateNorm, Graph, HoldGate, Matmul, ReducePixels, SkipGate

SILU_LIKE = (Activation.SILU, Activation.HARD_SWISH, Activation.GELU, Activation.GELU_TANH, Activation.MISH)
RELU_LIKE = (
    Activation.RELU,
    Activation.CLIP,
    Activation.LEAKY_RELU,
    Activation.ELU,
    Activation.SELU,
    Activation.CELU,
    Activation.SOFTPLUS,
    Activation.SOFTSIGN,
    Activation.THRESHOLD,
)
SOURCES = (Conv2d, Matmul)  # conv_transpose2d is a Conv2d


@dataclass(frozen=True)
class GatePolicy:
    """How a plain network is gated; ``hold`` False leaves every value ungated, ``alpha`` None asks ``choose_alpha``."""

    hold: bool = True
    alpha: float | None = None
    norm: GateNorm = GateNorm.L1
    block: int = 1


DEFAULT_POLICY = GatePolicy()


def choose_alpha(graph: Graph) -> tuple[float, str]:
    """The threshold for a network, in standard deviations, and why: 0.05 for mostly SiLU-like activations, else 0.1."""
    kinds = [node.activation.kind for node in graph.nodes]
    smooth = sum(kind in SILU_LIKE for kind in kinds)
    others = sum(kind in RELU_LIKE for kind in kinds)
    why = f"{smooth} of {smooth + others} activations are SiLU-like"
    return (0.05, why) if smooth > others else (0.1, why)


def place_gates(graph: Graph, policy: GatePolicy = DEFAULT_POLICY) -> Graph:
    """Puts a hold gate on each convolution's and matrix product's output that feeds another one, and on pooled vectors.

    Heads, behind which nothing of that kind follows, stay ungated: a gate there saves nothing and costs agreement.
    Skip gates, which the network brought along, stay.
    """
    feeds: set[str] = set()  # values behind which work follows
    gates: dict[str, HoldGate | None] = {}
    alpha = choose_alpha(graph)[0] if policy.alpha is None else policy.alpha
    gate = HoldGate(alpha, policy.norm, policy.block) if policy.hold else None
    for node in reversed(graph.nodes):
        works = isinstance(node.attributes, SOURCES)
        ahead = node.output in feeds
        pooled = isinstance(node.attributes, ReducePixels) and graph.values[node.output].rows == 1
        pooled = pooled and graph.values[node.output].cols == 1
        gates[node.output] = gate if ahead and (works or pooled) else None
        if works or ahead:
            feeds.update(name for name in node.inputs if name is not None)
    nodes = [
        node if isinstance(node.gate, SkipGate) else dataclasses.replace(node, gate=gates[node.output])
        for node in graph.nodes
    ]
    return dataclasses.replace(graph, nodes=nodes)
