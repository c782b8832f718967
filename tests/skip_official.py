"""Outputs of the official Skip-Convolution module as networks and judgements for tests.

A set is ``layers.json`` and ``layers.npz``, ``nets.json`` and ``nets.npz``: what each holds stands in the README beside
the sample in tests/data/skipconv. Arrays are NCHW there and NHWC here.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from runtime.reference import graph as g
from runtime.reference.footprint import footprint
from runtime.reference.ops import infer_extents, window_taps
from runtime.stream import Stream

Array = npt.NDArray[Any]
KINDS = {"norm-input": g.SkipKind.NORM_INPUT, "norm-output": g.SkipKind.NORM_OUTPUT, "gumbel": g.SkipKind.GUMBEL}
NEAR = 1e-6  # of a threshold: rounding may decide


@dataclass
class Judgement:
    """What comparing a network with the official module found."""

    worst: float = 0.0  # relative L2 error of an output, flipped positions and what depends on them left out
    flipped: int = 0  # gates that differ, each near its threshold
    fired: int = 0
    problems: list[str] = field(default_factory=list)


class Network:
    """A graph of official gated convolutions under construction."""

    def __init__(self, x: Array, gate: dict[str, Any]) -> None:
        _, channels, rows, cols = x.shape
        self.record = gate
        self.graph = g.Graph(inputs=[g.Input("x", "x", grey_level=0.0)])
        self.graph.values["x"] = self._running("x", g.ValueKind.INPUT, (rows, cols, channels))

    @staticmethod
    def _running(name: str, kind: g.ValueKind, extents: tuple[int, ...]) -> g.Value:
        rows, cols, channels = extents
        return g.Value(name, kind, rows, cols, channels, shape=(1, channels, rows, cols), pixel_axes=(2, 3))

    def constant(self, name: str, data: Array) -> str:
        shaped = data.astype(np.float32)
        shaped = shaped if data.ndim == 4 else shaped.reshape(1, 1, -1)
        extents = (1, 1, data.size) if data.ndim == 4 else shaped.shape
        self.graph.values[name] = g.Value(name, g.ValueKind.CONSTANT, *extents, data=shaped)
        return name

    def add(self, node: g.Node, extents: tuple[int, int, int]) -> str:
        self.graph.values[node.output] = self._running(node.output, g.ValueKind.NODE, extents)
        self.graph.nodes.append(node)
        return node.output

    def conv(
        self,
        name: str,
        x: str,
        weight: Array,
        bias: Array | None,
        geometry: dict[str, int],
        gate_weight: Array | None,
        gate_bias: Array | None,
        scale: Array | None = None,
        shift: Array | None = None,
    ) -> str:
        """A gated convolution (O, I, kh, kw), and the affine function behind it folded into weights and biases."""
        kernel_h, kernel_w = weight.shape[2:]
        pad = {f"pad_{side}": geometry["padding"] for side in ("top", "left", "bottom", "right")}
        attributes = g.Conv2d(
            kernel_h,
            kernel_w,
            stride_h=geometry["stride"],
            stride_w=geometry["stride"],
            groups=geometry["groups"],
            **pad,
        )
        folded = weight if scale is None else weight * scale[:, None, None, None]
        natural = folded.transpose(2, 3, 1, 0)
        extents = infer_extents(attributes, [self.graph.values[x].extents, natural.shape, None])
        assert extents is not None
        inputs: list[str | None] = [x, self.constant(f"{name}.weight", natural), None, None, None, None]
        residual_bias = bias if scale is None or bias is None else bias * scale
        dense_bias = residual_bias if shift is None else shift + (0 if residual_bias is None else residual_bias)
        if dense_bias is not None:
            inputs[2] = self.constant(f"{name}.bias", dense_bias)
        if residual_bias is not None:
            inputs[g.RESIDUAL_BIAS] = self.constant(f"{name}.residual_bias", residual_bias)
        if gate_weight is not None:
            taps = gate_weight[0].reshape(gate_weight.shape[1], -1)
            inputs[g.GATE_WEIGHTS] = self.constant(f"{name}.gate", taps[None, None])
        gate = official_gate(self.record, weight, extents[0], gate_bias)
        return self.add(g.Node(name, attributes, inputs, name, gate=gate), extents)


def official_gate(record: dict[str, Any], weight: Array, rows: int, gate_bias: Array | None) -> g.SkipGate:
    """The official module's gate for an output of ``rows`` rows."""
    kind = KINDS[record["gate"]]
    common = {"block": record["structure"], "reset": record.get("reset_every", 0)}
    if kind == g.SkipKind.GUMBEL:
        bias = 0.0 if gate_bias is None else float(gate_bias.reshape(-1)[0])
        return g.SkipGate(kind, bias=bias, **common)
    scale = 1.0 / (weight.shape[2] * weight.shape[3] * rows)
    if kind == g.SkipKind.NORM_OUTPUT:
        scale *= float(np.abs(weight.astype(np.float64)).mean())
    return g.SkipGate(kind, eps=record["eps"], scale=scale, floor=True, half=True, **common)


def layer_network(record: dict[str, Any], arrays: dict[str, Array]) -> g.Graph:
    """One gated convolution, from its entry in layers.json and its arrays."""
    net = Network(arrays["x"], record)
    geometry = {key: int(record[key]) for key in ("padding", "stride", "groups")}
    optional = [arrays.get(key) for key in ("bias", "gate_weight", "gate_bias")]
    out = net.conv("conv", "x", arrays["weight"], optional[0], geometry, *optional[1:])
    net.graph.outputs.append(g.Output("z", out))
    return net.graph


def block_network(record: dict[str, Any], arrays: dict[str, Array]) -> g.Graph:
    """A network of residual blocks, batch norms folded, from its entry in nets.json and its arrays."""
    net = Network(arrays["x"], record)
    relu = g.ActivationSpec(g.Activation.RELU)

    def unit(conv: str, norm: str, x: str, stride: int) -> str:
        weight = arrays[f"state/{conv}.weight"]
        mean, var, gamma, beta = (
            arrays[f"state/{norm}.{key}"].astype(np.float64)
            for key in ("running_mean", "running_var", "weight", "bias")
        )
        scale = gamma / np.sqrt(var + 1e-5)
        geometry = {"padding": weight.shape[2] // 2, "stride": stride, "groups": 1}
        gate = [arrays.get(f"state/{conv}.gate.gate_network.0.{key}") for key in ("weight", "bias")]
        bias = arrays.get(f"state/{conv}.bias")
        return net.conv(conv, x, weight, bias, geometry, *gate, scale=scale, shift=beta - mean * scale)

    x = "x"
    for i, (_, _, stride) in enumerate(record["blocks"]):
        first = unit(f"{i}.c1", f"{i}.b1", x, stride)
        extents = net.graph.values[first].extents
        first = net.add(g.Node(f"{i}.relu", g.Unary(), [first], f"{i}.y", activation=relu), extents)
        second = unit(f"{i}.c2", f"{i}.b2", first, 1)
        shortcut = unit(f"{i}.sc", f"{i}.b3", x, stride)
        add = g.BinaryOp(g.Binary.ADD)
        x = net.add(g.Node(f"{i}.add", add, [second, shortcut], f"{i}.out", activation=relu), extents)
    net.graph.outputs.append(g.Output("z", x))
    return net.graph


def entries(folder: Path, kind: str) -> Iterator[tuple[dict[str, Any], dict[str, Array]]]:
    """The records of ``kind`` ("layers" or "nets") with their arrays by name."""
    records = json.loads((folder / f"{kind}.json").read_text())
    with np.load(folder / f"{kind}.npz") as stored:
        names = list(stored)
        for record in records:
            prefix = f"{record['name']}/"
            yield record, {name.removeprefix(prefix): stored[name] for name in names if name.startswith(prefix)}


class Twin:
    """The network in float64 with the official module's gates imposed: what each gate had to decide on."""

    def __init__(self, graph: g.Graph) -> None:
        self.graph = graph
        self.values: dict[str, Array] = {}
        self._last: dict[str, Array] = {}

    def push(self, frame: Array, gates: dict[str, Array] | None) -> dict[str, Array]:
        """Values before flooring of the gates of each gated node; without ``gates`` everything starts anew."""
        decided = {}
        self.values["x"] = frame.astype(np.float64)
        for node in self.graph.nodes:
            inputs = [self.values[str(name)] for name in node.inputs[:2] if self.graph.values[str(name)].data is None]
            if isinstance(node.gate, g.SkipGate):
                x, last = inputs[0], self._last.get(node.name)
                if gates is None or last is None:
                    z = self._convolve(node, x, 2)
                else:
                    decided[node.name] = self._decide(node, np.abs(x - last))
                    change = gates[node.name][..., None] * self._convolve(node, x - last, g.RESIDUAL_BIAS)
                    z = self.values[node.output] + change
                self._last[node.name] = x
                self.values[node.output] = z
            else:
                self.values[node.output] = np.maximum(sum(inputs), 0)
        return decided

    def _constant(self, node: g.Node, position: int) -> Array | None:
        name = node.inputs[position]
        data = None if name is None else self.graph.values[name].data
        return None if data is None else data.astype(np.float64)

    def _convolve(self, node: g.Node, x: Array, bias: int) -> Array:
        assert isinstance(node.attributes, g.Conv2d)
        weights, added = self._constant(node, 1), self._constant(node, bias)
        assert weights is not None
        extents = self.graph.values[node.output].extents
        out = np.zeros(extents) + (0 if added is None else added)
        groups = node.attributes.groups
        for target, source, tap in window_taps(node.attributes, extents, x.shape):
            by_group = x[source].reshape(*x[source].shape[:2], groups, -1)
            kernel = weights[tap].reshape(weights.shape[2], groups, -1)
            out[target] += np.einsum("hwgi,igo->hwgo", by_group, kernel).reshape(out[target].shape)
        return out

    def _decide(self, node: g.Node, residual: Array) -> Array:
        gate, taps = node.gate, self._constant(node, g.GATE_WEIGHTS)
        assert isinstance(gate, g.SkipGate)
        assert isinstance(node.attributes, g.Conv2d)
        extents = self.graph.values[node.output].extents
        value = np.zeros(extents[:2])
        for t, (target, source, _) in enumerate(window_taps(node.attributes, extents, residual.shape)):
            value[target] += residual[source].sum(axis=2) if taps is None else residual[source] @ taps[0, 0, :, t]
        value = value + gate.bias if taps is not None else value * gate.scale
        return over_blocks(value, gate.block)


def over_blocks(x: Array, block: int) -> Array:
    """The largest of each block, at all its pixels; the last blocks may be cut off."""
    out = x.copy()
    for top in range(0, x.shape[0], block):
        for left in range(0, x.shape[1], block):
            out[top : top + block, left : left + block] = x[top : top + block, left : left + block].max()
    return out


def near_threshold(gate: g.SkipGate, value: Array) -> Array:
    """Where rounding may decide; for norm gates also at the end of the bin that equals eps."""
    thresholds = [0.0] if gate.kind == g.SkipKind.GUMBEL else [gate.eps, gate.eps + 1e-5]
    near: Array = np.min([np.abs(value - threshold) for threshold in thresholds], axis=0) <= NEAR
    return near


def judge(graph: g.Graph, stream: Stream, arrays: dict[str, Array], layers: list[str], reset: int) -> Judgement:
    """Pushes the clip and compares each frame's output, gate maps and counters with the official module's.

    A gate that differs must be near its threshold; what depends on such a position is left out until the next reset.
    """
    found = Judgement()
    nodes = {node.name: node for node in graph.nodes}
    single = "conv" in nodes
    twin = Twin(graph)
    skipped: dict[str, Array] = {}
    seen = 0
    for t, frame in enumerate(arrays["x"]):
        image = np.ascontiguousarray(frame.transpose(1, 2, 0))
        result = stream.push(image)["z"][0]
        fresh = t == 0 or (reset > 0 and t % reset == 0)
        expected: dict[str, Array] | None = None
        if not fresh:
            expected = {name: arrays["gate" if single else f"gate/{name}"][seen, 0] for name in layers}
            seen += 1
        values = twin.push(image, expected)
        if fresh:
            skipped = {name: np.zeros(value.extents[:2], np.bool_) for name, value in graph.values.items()}
        for node in graph.nodes:
            _judge_node(graph, node, stream, expected, values, skipped, found, f"frame {t}")
        counted = np.atleast_1d(arrays["mac"][t])
        for i, name in enumerate(layers):
            macs, out = stream.stats(name).macs_official, nodes[name].output
            if macs != int(counted[i]) and not skipped[out].any():
                found.problems.append(f"frame {t}, {name}: {macs} MACs, not {counted[i]}")
            _check_executed(stream, name, fresh, found, f"frame {t}")
        keep = ~skipped[graph.outputs[0].value]
        difference, reference = (result - arrays["z"][t])[:, keep], arrays["z"][t][:, keep].astype(np.float64)
        found.worst = max(found.worst, float(np.linalg.norm(difference) / max(np.linalg.norm(reference), 1e-30)))
    return found


def _check_executed(stream: Stream, name: str, fresh: bool, found: Judgement, where: str) -> None:
    """Executed multiply-accumulates are the fired positions times the layer's cost."""
    stats, gates = stream.stats(name), stream.gate_map(name)
    fired = int((gates > 0).sum())
    cost = stats.macs_dense // gates.size
    if stats.macs != fired * cost or (fresh and fired != gates.size):
        found.problems.append(f"{where}, {name}: {stats.macs} MACs executed for {fired} positions of {cost}")


def _judge_node(
    graph: g.Graph,
    node: g.Node,
    stream: Stream,
    expected: dict[str, Array] | None,
    values: dict[str, Array],
    skipped: dict[str, Array],
    found: Judgement,
    where: str,
) -> None:
    """Compares one node's gates and extends ``skipped`` by what depends on flipped positions."""
    running = [str(name) for name in node.inputs if name is not None and graph.values[name].data is None]
    if not isinstance(node.gate, g.SkipGate):
        skipped[node.output] = np.logical_or.reduce([skipped[name] for name in running])
        return
    shapes = [np.empty(graph.values[running[0]].extents, np.float32), None]
    inherited = footprint(node.attributes, [skipped[running[0]], None], shapes, graph.values[node.output].extents)
    inherited = over_blocks(inherited | skipped[node.output], node.gate.block)
    if expected is not None:
        gates = stream.gate_map(node.name)
        differs = (gates != expected[node.name]) & ~inherited
        far = differs & ~near_threshold(node.gate, values[node.name])
        found.flipped += int(differs.sum())
        found.fired += int((gates > 0).sum())
        if far.any():
            found.problems.append(f"{where}, {node.name}: {int(far.sum())} gates differ away from the threshold")
        inherited = inherited | differs
    skipped[node.output] = inherited
