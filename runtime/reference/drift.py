"""The hold gate of a depthwise convolution that the engine computes together with the 1x1 convolution behind it.

Nothing between the two is held to compare with, so how far a pixel has drifted is reckoned from its inputs: with each
push in which they change, by the mean distance each of its taps moved, weighted by the mean size of that tap's weights,
which add up to 1. A pixel is passed on, and its drift 0 again, where that is more than alpha of its input's standard
deviations (docs/gating.md).
"""

from __future__ import annotations

import functools
import operator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .footprint import Mask
from .graph import Conv2d, GateNorm, Graph, HoldGate, Node, Residual
from .ops import Floats, window_taps
from .panels import is_depthwise

_MOST_INPUTS = 16384  # of a graph's nodes together: in larger ones nothing drifts


def drifting(graph: Graph) -> dict[str, Node]:
    """The outputs of the nodes whose gates are decided by drift, and the nodes that make their inputs."""
    if sum(len(node.inputs) for node in graph.nodes) > _MOST_INPUTS:
        return {}
    producers = graph.producers()
    reads = [name for node in graph.nodes for name in node.inputs]
    outputs = {item.value for item in graph.outputs}
    found = {}
    for node, behind in zip(graph.nodes, graph.nodes[1:], strict=False):
        producer = producers.get(str(node.inputs[0])) if node.inputs else None
        if (
            _is_depthwise(graph, node)
            and _is_pointwise(behind)
            and getattr(behind.gate, "block", 1) == 1  # computes no pixel that this one holds back
            and behind.inputs[0] == node.output
            and reads.count(node.output) == 1
            and node.output not in outputs
            and _holds_by_mean(node)
            and producer is not None
            and _holds_by_mean(producer)
        ):
            found[node.output] = producer
    return found


def _holds_by_mean(node: Node) -> bool:
    gate = node.gate
    return isinstance(gate, HoldGate) and gate.norm == GateNorm.L1 and gate.block == 1


def _is_depthwise(graph: Graph, node: Node) -> bool:
    a = node.attributes
    if type(a) is not Conv2d or a.residual != Residual.NONE:
        return False
    return is_depthwise(a.groups, graph.values[str(node.inputs[0])].channels, graph.values[node.output].channels)


def _is_pointwise(node: Node) -> bool:
    a = node.attributes
    if type(a) is not Conv2d or not (node.gate is None or isinstance(node.gate, HoldGate)):
        return False
    plain = (a.kernel_h, a.kernel_w, a.stride_h, a.stride_w, a.groups) == (1, 1, 1, 1, 1)
    return plain and not (a.pad_top or a.pad_left or a.pad_bottom or a.pad_right)


@dataclass
class Drift:
    """Of one node: per pixel the drift, times channels as distances are."""

    attributes: Conv2d
    shares: npt.NDArray[np.float32]  # of the taps, kernel rows first
    sums: npt.NDArray[np.float32]  # (rows, cols)

    @classmethod
    def of(cls, attributes: Conv2d, weights: Floats, rows: int, cols: int) -> Drift:
        """``weights``: (taps, channels) in any shape. Sums in double, in order, as the engine's."""
        taps = attributes.kernel_h * attributes.kernel_w
        sizes = np.abs(weights.reshape(taps, -1).astype(np.float64))
        sums = [functools.reduce(operator.add, row, 0.0) for row in sizes.tolist()]
        whole = functools.reduce(operator.add, sums, 0.0)
        shares = np.array([value / whole if whole > 0 else 0.0 for value in sums]).astype(np.float32)
        return cls(attributes, shares, np.zeros((rows, cols), np.float32))

    def add(self, candidates: Mask, changed: Mask, moved: npt.NDArray[np.float32], limit: float) -> Mask:
        """The candidates that are passed on, after pixels ``changed`` (rows, cols of the input) moved so far."""
        more = np.zeros_like(self.sums)
        reached = np.where(changed, moved, np.float32(0))
        with np.errstate(invalid="ignore", over="ignore"):
            for target, source, (ky, kx) in window_taps(self.attributes, self.sums.shape, changed.shape):
                more[target] += self.shares[ky * self.attributes.kernel_w + kx] * reached[source]
            self.sums[candidates] += more[candidates]
            fired: Mask = candidates & ~(self.sums <= limit)  # so that NaN fires
        self.sums[fired] = 0
        return fired
