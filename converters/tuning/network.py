"""A graph as a PyTorch module, with its hold gates as they act on clips, and gradients through both."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from runtime.reference.graph import Conv2d, GateNorm, Graph, HoldGate, Matmul

from ..evaluate import node_macs
from .operators import compute

SOFTNESS = 0.25  # width of the relaxed gate, in thresholds


@dataclass
class Clip:
    """What the network gives for clips: outputs by value name (N * T, rows, cols, channels), and the gates' work.

    Attributes:
        work: share of the gated convolutions' multiply-accumulates that fired values set off, with gradient.
    """

    outputs: dict[str, Tensor]
    work: Tensor


class GraphNetwork(nn.Module):
    """The graph's convolutions with trainable weights; everything else is constant.

    Args:
        graph: as read from a file; gates other than hold gates are ignored.
    """

    def __init__(self, graph: Graph) -> None:
        super().__init__()
        self.graph = graph
        trained = {
            name
            for node in graph.nodes
            if isinstance(node.attributes, Conv2d)
            for name in node.inputs[1:3]
            if name is not None and graph.values[name].data is not None
        }
        self.weights = nn.ParameterDict()
        self._keys: dict[str, str] = {}  # names of values may hold dots, which parameters may not
        self._constants: dict[str, Tensor] = {}
        for name, value in graph.values.items():
            if value.data is None:
                continue
            tensor = torch.from_numpy(np.array(value.data))
            if name in trained:
                self._keys[name] = f"w{len(self._keys)}"
                self.weights[self._keys[name]] = nn.Parameter(tensor)
            else:
                self._constants[name] = tensor
        self.deviations: dict[str, float] = {}
        self._work = self._work_behind()

    def forward(self, inputs: dict[str, Tensor], frames: int = 1, *, gates: bool = False) -> Clip:
        """Runs clips of ``frames`` frames, one behind the other, (N * frames, rows, cols, channels) by value name."""
        values: dict[str, Tensor] = dict(inputs)
        fired: list[Tensor] = []
        last = {name: i for i, node in enumerate(self.graph.nodes) for name in node.inputs if name is not None}
        kept = {item.value for item in self.graph.outputs}
        for i, node in enumerate(self.graph.nodes):
            operands = [None if name is None else self._value(name, values) for name in node.inputs]
            out = compute(node.attributes, operands, self.graph.values[node.output].extents, node.activation)
            if gates and isinstance(node.gate, HoldGate):
                out, share = self._hold(node.output, out, node.gate, frames)
                fired.append(share * self._work[node.output])
            values[node.output] = out
            for name in {name for name in node.inputs if name in values and last[name] == i} - kept:
                del values[name]
        total = sum(self._work.values())
        work = torch.stack(fired).sum() / max(total, 1.0) if fired else torch.zeros(())
        return Clip({name: values[name] for name in kept}, work)

    def measure(self, inputs: dict[str, Tensor]) -> None:
        """Takes the standard deviations that thresholds are measured in, where the file does not tell, from frames."""
        gated = {node.output: node.gate for node in self.graph.nodes if isinstance(node.gate, HoldGate)}
        whole = dataclasses.replace(self.graph, outputs=[])
        values: dict[str, Tensor] = dict(inputs)
        with torch.no_grad():
            for node in whole.nodes:
                operands = [None if name is None else self._value(name, values) for name in node.inputs]
                extents = self.graph.values[node.output].extents
                values[node.output] = compute(node.attributes, operands, extents, node.activation)
                if node.output in gated:
                    gate = gated[node.output]
                    self.deviations[node.output] = gate.std or float(values[node.output].std())

    def to_graph(self) -> Graph:
        """The graph with the weights as they are now."""
        values = dict(self.graph.values)
        for name, key in self._keys.items():
            values[name] = dataclasses.replace(values[name], data=self.weights[key].detach().numpy().copy())
        return dataclasses.replace(self.graph, values=values)

    def _value(self, name: str, values: dict[str, Tensor]) -> Tensor:
        if name in values:
            return values[name]
        return self.weights[self._keys[name]] if name in self._keys else self._constants[name]

    def _hold(self, name: str, out: Tensor, gate: HoldGate, frames: int) -> tuple[Tensor, Tensor]:
        """The held values of clips, and the share of pixels that fired after the first frames.

        By comparing outputs, also where the engine decides by input drift (docs/gating.md): close enough to tune by.
        """
        threshold = max(gate.alpha * self.deviations[name], 1e-12)
        clips = out.unflatten(0, (-1, frames))
        held = [clips[:, 0]]
        masks = []
        for t in range(1, frames):
            distance = _distance(clips[:, t] - held[-1], gate)
            soft = torch.sigmoid((distance / threshold - 1) / SOFTNESS)
            mask = (distance > threshold).to(soft.dtype) + soft - soft.detach()  # straight-through
            held.append(held[-1] + mask * (clips[:, t] - held[-1]))
            masks.append(mask.mean())
        share = torch.stack(masks).mean() if masks else out.new_zeros(())
        return torch.stack(held, 1).flatten(0, 1), share

    def _work_behind(self) -> dict[str, float]:
        """Per gated value the multiply-accumulates of the nodes that read it directly or through ungated ones."""
        gated = {node.output for node in self.graph.nodes if isinstance(node.gate, HoldGate)}
        sources: dict[str, set[str]] = {name: {name} for name in gated}  # gated values behind each value
        work = dict.fromkeys(gated, 0.0)
        for node in self.graph.nodes:
            behind = set().union(*(sources.get(name, set()) for name in node.inputs if name is not None))
            if isinstance(node.attributes, (Conv2d, Matmul)) and behind:
                for name in behind:
                    work[name] += node_macs(self.graph, node) / len(behind)
            if node.output not in gated:
                sources[node.output] = behind
        return work


def _distance(change: Tensor, gate: HoldGate) -> Tensor:
    """(..., rows, cols, 1): over a pixel's channels, or the largest of a block's pixels."""
    if gate.norm == GateNorm.L1:
        distance = change.abs().mean(-1, keepdim=True)
    elif gate.norm == GateNorm.RMS:
        distance = change.square().mean(-1, keepdim=True).add(1e-20).sqrt()
    else:
        distance = change.abs().amax(-1, keepdim=True)
    if gate.block == 1:
        return distance
    maps = distance.permute(0, 3, 1, 2)
    blocks = nn.functional.max_pool2d(maps, gate.block, ceil_mode=True)
    whole = blocks.repeat_interleave(gate.block, 2).repeat_interleave(gate.block, 3)
    return whole[:, :, : maps.shape[2], : maps.shape[3]].permute(0, 2, 3, 1)
