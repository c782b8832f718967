"""A stream of frames through a graph in NumPy: the executable specification of the engine's gating.

It decides pixel by pixel, as the engine does, what is recomputed, written and passed on. It saves little time: a node
with any candidate is computed whole and the candidates are picked from the result.
"""

from __future__ import annotations

import dataclasses
import functools
import math
import operator
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from .drift import Drift, drifting
from .errors import ArgumentError, StateError
from .footprint import Mask, footprint, pixel_macs
from .graph import (
    Binary,
    BinaryOp,
    Concat,
    Conv2d,
    Gate,
    GateNorm,
    Gather,
    Graph,
    HoldGate,
    Input,
    Node,
    Resize,
    SkipGate,
    Unary,
    Value,
    ValueKind,
    View,
)
from .ops import Floats, compute, fold_lanes, larger
from .prepare import fit, normalize
from .skip import SkipNode

Frame = npt.NDArray[np.generic]
MAX_SIDE = 65536
_NUMBER_GATED, _NUMBER_DENSE = 28, 8  # multiply-accumulates that a computed number costs besides its own
_SMALL_COST = 1 << 20  # of a push without gating: not worth a thought
_SURELY_DEAR = 2  # one push in which gates cost much more than they saved, or two in a row
_BUSY_PUSHES = 64  # at most, until gates are tried again
_MEASURED_ROWS = 32  # for a standard deviation, about
_CROWDED_PIXELS = 72  # of the maps that may be crowded, at least


@dataclass
class _NodeState:
    """What a stream keeps per node besides the held output, and what the last push did."""

    residue: Mask  # recomputed, but held back by the gate
    macs_map: npt.NDArray[np.int64]  # per pixel; (0, 0) for views, which compute nothing
    channels: int = 0
    skip: SkipNode | None = None
    drift: Drift | None = None
    moved: Floats | None = None  # (rows, cols): where drift asks for it, how far pixels that changed moved
    std: np.float32 = field(default_factory=lambda: np.float32(0))  # measured; 0: not yet
    unmeasured: bool = True  # changed since std was measured
    macs: int = 0
    macs_total: int = 0
    computed: int = 0
    changed: int = 0
    square: int = 1  # side of what is computed at a time
    square_macs: int = 0  # executed for a square, where its side is larger than 1
    squares: int = 0

    @property
    def work(self) -> int:
        return self.squares * self.square_macs if self.square > 1 else self.macs

    @property
    def work_dense(self) -> int:
        if self.square == 1:
            return int(self.macs_map.sum())
        return int(_squares(np.ones(self.macs_map.shape, np.bool_), self.square) * self.square_macs)

    @property
    def cost(self) -> int:
        """Of the last push, in multiply-accumulates: those executed, and what finding, comparing and keeping takes."""
        return self.work + _NUMBER_GATED * self.computed * self.channels if self.macs else 0

    @property
    def cost_dense(self) -> int:
        """The same of a push without gating."""
        return self.work_dense + _NUMBER_DENSE * self.macs_map.size * self.channels if self.macs_map.any() else 0


class ReferenceStream:
    """Pushes frames through ``graph`` and recomputes what changed.

    Args:
        graph: a network as the file holds it.
        gating: False computes every frame dense.
        threshold_scale: multiplies all thresholds, the inputs' too; 0 is exact.
        refresh: every so many pushes thresholds are 0 and what gates held back is made good; 0: never.

    Raises:
        ArgumentError: an option is out of range.
    """

    def __init__(self, graph: Graph, *, gating: bool = True, threshold_scale: float = 1.0, refresh: int = 32) -> None:
        if not (math.isfinite(threshold_scale) and threshold_scale >= 0):
            raise ArgumentError(f"threshold_scale must be finite and not negative, not {threshold_scale}")
        if refresh < 0:
            raise ArgumentError(f"refresh must not be negative, not {refresh}")
        self._graph = graph
        self._gating = gating
        self._scale = np.float32(threshold_scale)
        self._refresh = refresh
        self._arrays: dict[str, Any] = {}  # Floats; constants may be index tables, too
        self._masks: dict[str, Mask] = {}
        self._drifting = drifting(graph)
        producers = graph.producers()
        for value in graph.values.values():
            if value.kind == ValueKind.CONSTANT:
                assert value.data is not None
                self._arrays[value.name] = value.data
                continue
            self._masks[value.name] = np.zeros((value.rows, value.cols), np.bool_)
            if not _is_view(producers.get(value.name)):
                self._arrays[value.name] = np.zeros(value.extents, np.float32)
        self._grey = {
            item.name: np.zeros(graph.values[item.value].extents, np.uint8)
            for item in graph.inputs
            if item.preprocess is not None
        }
        for node in graph.nodes:
            if _is_view(node):  # another look at the same memory
                self._arrays[node.output] = self._input_arrays(node)[0].reshape(graph.values[node.output].extents)
        self._states: list[_NodeState] = []
        self.reset()

    def reset(self) -> None:
        """Forget everything: the next push recomputes all."""
        self._states = [self._new_state(node) for node in self._graph.nodes]
        self._cost_dense = sum(state.cost_dense for state in self._states)
        for mask in self._masks.values():
            mask[...] = False
        self._frames = 0
        self._refreshes = 0
        self._since_refresh = 0
        self._dear = 0  # how sure it is that gates cost more than they save, to _SURELY_DEAR
        self._dear_changed = 0  # input pixels that change at least while they would
        self._busy = 0  # so many pushes, up to the last one, were busy

    def push(self, frames: Sequence[Frame]) -> None:
        """Process one frame per input, each (H, W, C), uint8 or float32.

        Raises:
            ArgumentError: a frame is wrong; the stream is as before.
        """
        fitted = self._check_frames(frames)
        dense = not self._gating or self._frames == 0
        refreshing = not dense and self._refresh > 0 and self._since_refresh == self._refresh
        scale = np.float32(0) if refreshing else self._scale
        for item, frame in zip(self._graph.inputs, fitted, strict=True):
            self._push_input(item, frame, scale, dense)
        whole = dense or self._is_whole(refreshing=refreshing)
        for node, state in zip(self._graph.nodes, self._states, strict=True):
            self._push_node(node, state, scale, whole, refreshing)
        if self._gating and not self._busy and (whole or refreshing):
            self._measure()
        if not whole and not refreshing:
            self._judge_gates()
        self._frames += 1
        self._refreshes += refreshing
        self._since_refresh = 1 if dense or refreshing else self._since_refresh + 1

    def output(self, index: int) -> npt.NDArray[np.generic]:
        """Output ``index`` in the source model's shape and dtype: read-only, float32 ones valid until the next push."""
        self._require_push()
        output = self._graph.outputs[index]
        array = _in_source_shape(self._graph.values[output.value], _cast(self._arrays[output.value], output.dtype))
        array.flags.writeable = False
        return array

    def input_mask(self, index: int) -> Mask:
        """The pixels (rows, cols) of input ``index`` that changed in the last push."""
        return self._mask(self._graph.inputs[index].value)

    def node_mask(self, index: int) -> Mask:
        """The pixels (rows, cols) of node ``index``'s output that changed in the last push."""
        return self._mask(self._graph.nodes[index].output)

    def output_mask(self, index: int) -> Mask:
        """The pixels (rows, cols) of output ``index`` that changed in the last push."""
        return self._mask(self._graph.outputs[index].value)

    def gate_map(self, index: int) -> Floats:
        """(rows, cols): gates of a node with a skip gate in the last push: 0, 0.5 or 1."""
        self._require_push()
        skip = self._states[index].skip
        if skip is None:
            raise ArgumentError(f"node {index} has no skip gate")
        return np.array(skip.gates)

    def macs(self) -> tuple[int, int]:
        """Multiply-accumulates of the last push, and of a dense one."""
        stats = self.stats()
        return stats["macs"], stats["macs_dense"]

    def stats(self, node: int | None = None) -> dict[str, int]:
        """The counters of one node, or of the whole network; the fields of fg_stats in framegate.h."""
        states = self._states if node is None else [self._states[node]]
        return {
            "frames": self._frames,
            "macs_dense": sum(int(state.macs_map.sum()) for state in states),
            "macs": sum(state.macs for state in states),
            "macs_total": sum(state.macs_total for state in states),
            "pixels": sum(state.macs_map.size for state in states),
            "computed": sum(state.computed for state in states),
            "changed": sum(state.changed for state in states),
            "refreshes": self._refreshes,
            "macs_gate": sum(state.skip.macs_gate for state in states if state.skip),
            "macs_official": sum(state.skip.macs_official for state in states if state.skip),
            "work": sum(state.work for state in states),
            "work_dense": sum(state.work_dense for state in states),
            "nanoseconds": 0,
        }

    @property
    def state_bytes(self) -> int:
        """Bytes kept between pushes."""
        held: int = sum(self._arrays[name].nbytes for name in self._masks if self._arrays[name].base is None)
        masks = sum(mask.nbytes for mask in self._masks.values()) + sum(s.residue.nbytes for s in self._states)
        masks += sum(state.skip.state_bytes for state in self._states if state.skip)
        return held + masks + sum(grey.nbytes for grey in self._grey.values())

    def _require_push(self) -> None:
        if not self._frames:
            raise StateError("nothing was pushed yet")

    def _mask(self, name: str) -> Mask:
        self._require_push()
        value = self._graph.values[name]
        first = self._frames == 1  # a constant changes with the first push only
        return np.array(self._masks[name]) if name in self._masks else np.full((value.rows, value.cols), first)

    def _new_state(self, node: Node) -> _NodeState:
        extents = self._graph.values[node.output].extents
        if _is_view(node):
            return _NodeState(np.zeros((0, 0), np.bool_), np.zeros((0, 0), np.int64))
        macs_map = pixel_macs(node.attributes, self._input_arrays(node), extents)
        skip = SkipNode(node, self._input_arrays(node), extents) if isinstance(node.gate, SkipGate) else None
        attributes = node.attributes
        square_macs = attributes.SQUARE_WORK * int(macs_map.flat[0])
        residue = np.zeros(extents[:2], np.bool_)
        state = _NodeState(residue, macs_map, extents[2], skip, square=attributes.SQUARE, square_macs=square_macs)
        if node.output in self._drifting:
            assert isinstance(attributes, Conv2d)
            state.drift = Drift.of(attributes, self._input_arrays(node)[1], *extents[:2])
        if any(node is producer for producer in self._drifting.values()):
            state.moved = np.zeros(extents[:2], np.float32)
        return state

    def _input_arrays(self, node: Node) -> list[Any]:
        return [None if name is None else self._arrays[name] for name in node.inputs]

    def _check_frames(self, frames: Sequence[Frame]) -> list[Frame]:
        """The frames at the networks' sizes. Raises ArgumentError."""
        if len(frames) != len(self._graph.inputs):
            raise ArgumentError(f"{len(self._graph.inputs)} frames needed, {len(frames)} given")
        fitted = []
        for item, frame in zip(self._graph.inputs, frames, strict=True):
            value = self._graph.values[item.value]
            _check_frame(item, value, frame)
            if item.preprocess is not None:
                frame = fit(frame.astype(np.uint8, copy=False), value.rows, value.cols, item.preprocess)
            fitted.append(frame)
        return fitted

    def _push_input(self, item: Input, frame: Frame, scale: np.float32, dense: bool) -> None:
        held, mask = self._arrays[item.value], self._masks[item.value]
        threshold = np.float32(item.threshold) * scale
        if item.preprocess is not None:
            grey = self._grey[item.name]
            distance = np.abs(frame.astype(np.int16) - grey.astype(np.int16))
            mask[...] = dense or (distance > math.floor(min(threshold, 255.0))).any(axis=2)
            grey[mask] = frame[mask]
            held[mask] = normalize(grey, item.preprocess)[mask]
            return
        level = np.float32(1.0 if frame.dtype == np.uint8 else item.grey_level)
        values = frame.astype(np.float32)
        if threshold * level > 0:
            mask[...] = dense or (~(np.abs(values - held) <= threshold * level)).any(axis=2)
        else:
            mask[...] = dense or _bits_differ(values, held)
        held[mask] = values[mask]

    def _is_whole(self, *, refreshing: bool) -> bool:
        """Whether to compute everything, although gates could decide: in busy pushes and in the first one after them.

        Busy are those in which nearly all of the input changes and, after one in which gates cost more than they saved,
        those in which so much changes that they would again, but for one in a while, to see whether they would save.
        """
        changed = self._inputs_changed()
        pixels = sum(self._masks[item.value].size for item in self._graph.inputs)
        was_busy = self._busy
        if self._may_be_dear() and not refreshing and 4 * changed >= 3 * pixels:
            self._dear, self._dear_changed = _SURELY_DEAR, changed * 5 // 8
            self._busy += 1
        elif self._dear >= _SURELY_DEAR and was_busy < _BUSY_PUSHES and changed >= self._dear_changed:
            self._busy += 1
        else:
            if was_busy:
                self._dear = 0
            self._busy = 0
        return self._busy > 0 or was_busy > 0

    def _may_be_dear(self) -> bool:
        """Whether gates are worth asking what they cost."""
        return self._cost_dense >= _SMALL_COST and not any(state.skip for state in self._states)

    def _inputs_changed(self) -> int:
        return sum(int(self._masks[item.value].sum()) for item in self._graph.inputs)

    def _judge_gates(self) -> None:
        """After a push that gates decided: whether it cost more than one without, and how much has to change for that.

        Where less changes the cost falls, but by less than in proportion: four fifths are asked for.
        """
        cost = sum(state.cost for state in self._states)
        if not self._may_be_dear() or cost < self._cost_dense:
            self._dear = 0
            return
        self._dear += _SURELY_DEAR if cost - self._cost_dense >= self._cost_dense // 4 else 1
        self._dear_changed = self._inputs_changed() * 820 // (cost // (self._cost_dense >> 10))

    def _push_node(self, node: Node, state: _NodeState, scale: np.float32, dense: bool, refreshing: bool) -> None:
        inputs = self._input_arrays(node)
        mask, extents = self._masks[node.output], self._graph.values[node.output].extents
        if state.skip is not None and not dense:
            self._push_skip(node, state, state.skip, np.float32(0) if refreshing else scale)
            return
        if dense:
            mask[...] = True
        else:
            masks = [None if name is None else self._masks.get(name) for name in node.inputs]
            mask[...] = footprint(node.attributes, masks, inputs, extents)
        if _is_view(node):
            return
        if refreshing:
            mask |= state.residue
        square = node.attributes.SQUARE
        limit = self._limit(node, state, extents[2], scale)
        if not dense:
            block = node.gate.block if isinstance(node.gate, HoldGate) else 1
            mask[...] = grow_blocks(mask, max(block, square if limit is None else 1))
        whole = dense or (not scale > 0 and _is_crowded(mask))  # refreshing, scale is 0
        mask[...] |= whole
        if state.drift is not None:
            self._pass_drifted(node, state, None if whole else limit)
        candidates = mask.copy()
        state.computed = int(candidates.sum())
        state.squares = _squares(candidates, square)
        state.macs = int(state.macs_map[candidates].sum())
        state.macs_total += state.macs
        state.changed = 0
        if not state.computed:
            return
        held = self._arrays[node.output]
        new = compute(node.attributes, inputs, extents, node.activation)
        if whole or state.drift is not None:
            written = candidates
            state.residue &= ~candidates
        else:
            written = differs = candidates if _follows(node) else candidates & _bits_differ(new, held)
            if isinstance(node.gate, HoldGate) and limit is not None:
                fires = np.zeros_like(differs)
                with np.errstate(invalid="ignore", over="ignore"):  # not (a <= b), so that NaN fires
                    apart = distances(node.gate.norm, new[differs], held[differs])
                    fires[differs] = ~(apart <= limit)
                if state.moved is not None:
                    state.moved[differs] = apart
                written = differs & grow_blocks(fires, node.gate.block)
            mask[...] = written
            if limit is not None and square > 1:  # the rest of a square may differ in its last bits
                state.residue |= grow_blocks(candidates, square)
            state.residue[candidates] = (differs & ~written)[candidates]
        held[written] = new[written]
        state.changed = int(written.sum())
        state.unmeasured |= state.changed > 0
        if state.skip is not None:
            state.skip.restart(inputs[0], state.macs)

    def _limit(self, node: Node, state: _NodeState, channels: int, scale: np.float32) -> float | None:
        """What distances, or the drift, may not exceed for a pixel to be held; None: pixels fire by bits."""
        if state.drift is None:
            return _gate_limit(node.gate, state, channels, scale)
        producer = self._drifting[node.output]
        above = self._states[self._graph.nodes.index(producer)]
        if _gate_limit(producer.gate, above, channels, scale) is None:
            return None
        assert isinstance(node.gate, HoldGate)
        assert isinstance(producer.gate, HoldGate)
        gate = dataclasses.replace(node.gate, std=producer.gate.std)
        return _gate_limit(gate, above, channels, scale)

    def _pass_drifted(self, node: Node, state: _NodeState, limit: float | None) -> None:
        """Leaves in a node's mask what has drifted far enough."""
        assert state.drift is not None
        mask = self._masks[node.output]
        if limit is None:
            state.drift.sums[mask] = 0
            return
        producer = self._drifting[node.output]
        moved = self._states[self._graph.nodes.index(producer)].moved
        assert moved is not None
        fired = state.drift.add(mask, self._masks[producer.output], moved, limit)
        state.residue |= mask & ~fired
        mask[...] = fired

    def _push_skip(self, node: Node, state: _NodeState, skip: SkipNode, scale: np.float32) -> None:
        inputs, held, mask = self._input_arrays(node), self._arrays[node.output], self._masks[node.output]
        assert isinstance(node.gate, SkipGate)
        restarting = node.gate.reset > 0 and self._frames % node.gate.reset == 0
        if restarting:
            updated = np.ones_like(mask)
            new = compute(node.attributes, inputs, held.shape, node.activation)
        else:
            changed = self._masks[str(node.inputs[0])]
            leader = self._gates_of(node.gate.leader)
            updated, new = skip.push(inputs[0], changed, held, scale, int(state.macs_map[0, 0]), leader)
        mask[...] = updated & _bits_differ(new, held)
        held[mask] = new[mask]
        state.computed, state.changed = int(updated.sum()), int(mask.sum())
        state.macs = int(state.macs_map[updated].sum())
        state.macs_total += state.macs
        if restarting:
            skip.restart(inputs[0], state.macs)

    def _gates_of(self, leader: str | None) -> Floats | None:
        """The gates in this push of the node that makes a value."""
        if leader is None:
            return None
        states = zip(self._graph.nodes, self._states, strict=True)
        return next(state.skip.gates for node, state in states if node.output == leader and state.skip)

    def _measure(self) -> None:
        """The standard deviations that thresholds are relative to, where the file gives none."""
        for node, state in zip(self._graph.nodes, self._states, strict=True):
            if isinstance(node.gate, HoldGate) and node.gate.std == 0 and state.unmeasured and state.drift is None:
                state.std = standard_deviation(self._arrays[node.output])
                state.unmeasured = False


def grow_blocks(mask: Mask, block: int) -> Mask:
    """Every ``block`` x ``block`` square that holds a set pixel set whole; the grid is anchored at pixel (0, 0)."""
    rows, cols = mask.shape
    padded = np.pad(mask, ((0, -rows % block), (0, -cols % block)))
    squares = np.any(padded.reshape(padded.shape[0] // block, block, padded.shape[1] // block, block), axis=(1, 3))
    grown: Mask = squares.repeat(block, axis=0).repeat(block, axis=1)[:rows, :cols]
    return grown


def standard_deviation(x: Floats) -> np.float32:
    """Of a map (rows, cols, channels), from about 32 rows at equal distances; sums per row in double, rows in order."""
    step = -(-x.shape[0] // _MEASURED_ROWS)
    x = x[step // 2 :: step]
    rows = x.astype(np.float64).reshape(x.shape[0], -1)
    total = functools.reduce(operator.add, fold_lanes(np.add, 0.0, rows).tolist())
    squares = functools.reduce(operator.add, fold_lanes(np.add, 0.0, rows * rows).tolist())
    mean = total / x.size
    std: np.float32 = np.float32(math.sqrt(max(0.0, squares / x.size - mean * mean)))
    return std


def distances(norm: GateNorm, new: Floats, held: Floats) -> Floats:
    """Per pixel of (n, channels): sum of |d| (l1), of d * d (rms), or max |d|."""
    d = np.abs(new - held)
    return fold_lanes(larger if norm == GateNorm.MAX else np.add, 0.0, d * d if norm == GateNorm.RMS else d)


def _gate_limit(gate: Gate | None, state: _NodeState, channels: int, scale: np.float32) -> float | None:
    """What ``distances`` may not exceed for a pixel to be held; None: pixels fire by bits."""
    if not isinstance(gate, HoldGate):
        return None
    limit = np.float32(gate.alpha) * (np.float32(gate.std) if gate.std > 0 else state.std) * scale
    if not limit > 0:
        return None
    if gate.norm == GateNorm.RMS:
        limit = limit * limit
    if gate.norm != GateNorm.MAX:
        limit = limit * np.float32(channels)
    return float(limit)


def _is_view(node: Node | None) -> bool:
    return node is not None and isinstance(node.attributes, View)


def _follows(node: Node) -> bool:
    """Whether a node changes wherever its inputs do, without being compared: it does little to each number."""
    attributes = node.attributes
    if isinstance(attributes, BinaryOp):
        return node.gate is None and attributes.kind <= Binary.DIV
    return node.gate is None and isinstance(attributes, (Concat, Gather, Unary))


def _squares(mask: Mask, side: int) -> int:
    """How many squares of a side hold a set pixel."""
    return int(grow_blocks(mask, side)[::side, ::side].sum())


def _is_crowded(candidates: Mask) -> bool:
    """Whether so many pixels are candidates that the engine, where bits decide, computes all of them."""
    return candidates.size >= _CROWDED_PIXELS and 3 * int(candidates.sum()) >= 2 * candidates.size


def _bits_differ(a: Floats, b: Floats) -> Mask:
    """Pixels (rows, cols) where any number's bits differ."""
    out: Mask = (np.ascontiguousarray(a).view(np.uint32) != b.view(np.uint32)).any(axis=2)
    return out


def _cast(array: Any, dtype: str) -> Any:
    """A new view or array of an output's dtype; integers saturate and NaN gives 0."""
    if dtype == "bool":
        return array != 0
    if dtype == "float32":
        return array[...]
    info = np.iinfo(dtype)
    limit = -float(info.min)
    inside = np.abs(array) < limit
    whole = np.where(inside, array, np.float32(0)).astype(dtype)
    return np.where(array >= limit, info.max, np.where(array <= -limit, info.min, whole)).astype(dtype)


def _in_source_shape(value: Value, array: Any) -> npt.NDArray[np.generic]:
    """The stored array (rows, cols, channels) with the source model's shape and order of axes."""
    order = [*value.pixel_axes, *(axis for axis in range(len(value.shape)) if axis not in value.pixel_axes)]
    out: npt.NDArray[np.generic] = array.reshape([value.shape[axis] for axis in order]).transpose(np.argsort(order))
    return out


def _check_frame(item: Input, value: Value, frame: Frame) -> None:
    """Raises ArgumentError."""
    prepared = item.preprocess is not None
    if frame.dtype != np.uint8 and (prepared or frame.dtype != np.float32):
        wanted = "uint8" if prepared else "uint8 or float32"
        raise ArgumentError(f"input {item.name}: frames must be {wanted}, not {frame.dtype}")
    resized = item.preprocess is not None and item.preprocess.resize != Resize.NONE
    if frame.ndim != 3 or frame.shape[2] != value.channels:
        raise ArgumentError(f"input {item.name}: (H, W, {value.channels}) needed, not {frame.shape}")
    if resized and not all(1 <= side <= MAX_SIDE for side in frame.shape[:2]):
        raise ArgumentError(f"input {item.name}: sides must be 1 to {MAX_SIDE}, not {frame.shape[:2]}")
    if not resized and frame.shape != value.extents:
        raise ArgumentError(f"input {item.name}: {value.extents} needed, not {frame.shape}")
    if frame.dtype == np.float32 and not np.isfinite(frame.astype(np.float32, copy=False)).all():
        raise ArgumentError(f"input {item.name}: the frame holds NaN or infinite numbers")
