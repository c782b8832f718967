"""Skip gates in NumPy: docs/file_format.md, section 5a. All is computed whole, and the listed pixels are picked."""

from __future__ import annotations

import numpy as np

from .footprint import Mask, footprint
from .graph import GATE_WEIGHTS, RESIDUAL_BIAS, Conv2d, Node, SkipGate, SkipKind, SkipReference, SkipUpdate
from .ops import Extents, Floats, Inputs, compute, fold_lanes, window_taps


class SkipNode:
    """What a stream keeps for one skip-gated convolution, and what its last push counted.

    Args:
        node: with a ``SkipGate``.
        inputs: its input arrays; of the running one only the shape is used.
        extents: (rows, cols, channels) of the output.
    """

    def __init__(self, node: Node, inputs: Inputs, extents: Extents) -> None:
        assert isinstance(node.gate, SkipGate)
        assert isinstance(node.attributes, Conv2d)
        self._node, self._gate, self._attributes, self._extents = node, node.gate, node.attributes, extents
        self.closed = node.gate.reference == SkipReference.FIRED
        self._residual = node.gate.update == SkipUpdate.RESIDUAL
        given = [*inputs, None, None, None, None]
        self._weights, self._bias = given[1], given[2]
        self._gate_weights, self._residual_bias = given[GATE_WEIGHTS], given[RESIDUAL_BIAS]
        rows, cols, channels = inputs[0].shape
        self._shared = node.gate.kind == SkipKind.SHARED
        window = node.attributes.kernel_h * node.attributes.kernel_w
        taps = window if node.gate.kind == SkipKind.GUMBEL else int(not self._shared)
        self._reference: Floats = np.zeros((rows, cols, channels), np.float32)
        self._taps: Floats = np.zeros((rows, cols, taps), np.float32)  # what a pixel adds to the values of gates
        self._dirty: Mask = np.zeros((rows, cols), np.bool_)  # differs from the reference in a bit
        self.gates: Floats = np.ones(extents[:2], np.float32)  # of the last push
        self.macs_gate = 0
        self.macs_official = 0

    @property
    def state_bytes(self) -> int:
        """Bytes kept between pushes."""
        return self._reference.nbytes + self._taps.nbytes + self._dirty.nbytes

    def restart(self, x: Floats, macs: int) -> None:
        """Compares with ``x`` from now on; all was computed, at a cost of ``macs``."""
        self._reference[...] = x
        self._taps[...] = 0
        self._dirty[...] = False
        self.gates[...] = 1
        self.macs_gate = 0
        self.macs_official = macs

    def push(
        self, x: Floats, changed: Mask, held: Floats, scale: np.float32, macs: int, leader: Floats | None = None
    ) -> tuple[Mask, Floats]:
        """One push in which not all is computed.

        Args:
            x: the input (rows, cols, channels).
            changed: its pixels that changed in this push.
            held: the output.
            scale: of a closed loop's threshold; 0 also in a refresh.
            macs: of one output pixel.
            leader: gates of the node that leads, in this push, for a shared gate.

        Returns:
            Which output pixels are updated, and an array that holds their new values.
        """
        with np.errstate(all="ignore"):
            self._measure(x, changed)
            by_bits = self.closed and scale == 0
            self.gates = self._gates(changed, scale if self.closed else np.float32(1), leader)
            moved, updated = changed, self.gates
            if self._shared and self._residual and self._residual_bias is None:  # elsewhere nothing is added
                updated = np.where(self._footprint(changed), updated, np.float32(0))
            if self.closed:
                moved = self._dirty if by_bits else self._dirty & self._reach(self.gates > 0)
                updated = self._footprint(moved).astype(np.float32)
                self.gates = updated if by_bits else self.gates
            change = np.where(moved[..., None], x - self._reference, np.float32(0))
            self._reference[moved] = x[moved]
            self._taps[moved] = 0
            self._dirty = self._dirty & ~moved
            new = self._update(x, change, updated, held)
        counted = self.gates if self._shared and not self.closed else updated
        self.macs_official = int(2 * counted.sum(dtype=np.float64)) * macs // 2
        if self._gate.kind == SkipKind.GUMBEL:
            self.macs_official += updated.size * self._taps.shape[2] * x.shape[2]
        return updated > 0, new

    def _measure(self, x: Floats, changed: Mask) -> None:
        """The residuals' part in the values of gates, and where the closed loop's reference is left behind."""
        distance = np.abs(x - self._reference)[changed]
        self.macs_gate = 0
        if self._shared:
            pass
        elif self._gate_weights is None:
            self._taps[changed] = fold_lanes(np.add, 0.0, distance)[:, None]
        else:
            self._taps[changed] = distance @ self._gate_weights.reshape(x.shape[2], -1)
            self.macs_gate = distance.size * self._taps.shape[2]
        bits = np.ascontiguousarray(x).view(np.uint32) != self._reference.view(np.uint32)
        self._dirty[changed] = bits.any(axis=2)[changed]

    def _gates(self, changed: Mask, scale: np.float32, leader: Floats | None) -> Floats:
        """0, 0.5 or 1 for each output (rows, cols)."""
        gate = self._gate
        if self._shared:
            assert leader is not None
            return np.array(leader)
        value = np.zeros(self._extents[:2], np.float32)
        for tap, (target, source, _) in enumerate(window_taps(self._attributes, self._extents, changed.shape)):
            value[target] += self._taps[..., min(tap, self._taps.shape[2] - 1)][source]
        if gate.kind == SkipKind.GUMBEL:
            gates = (~(value + np.float32(gate.bias) * scale < 0)).astype(np.float32)
        else:
            value = value * np.float32(gate.scale)
            if gate.floor:
                value = np.floor(value * np.float32(1e5)) / np.float32(1e5)
            limit = np.float32(gate.eps) * scale
            gates = (~(value <= limit)).astype(np.float32)
            if gate.half:
                gates[value == limit] = 0.5
        if not gate.fires_on_zero:
            gates[~self._footprint(changed)] = 0
        return _largest_of_blocks(gates, gate.block)

    def _footprint(self, mask: Mask) -> Mask:
        """Outputs with a set pixel in their window."""
        inputs = [self._reference, self._weights]
        return footprint(self._attributes, [mask, None], inputs, self._extents)

    def _reach(self, fired: Mask) -> Mask:
        """Input pixels in the windows of fired outputs."""
        out = np.zeros(self._dirty.shape, np.bool_)
        for target, source, _ in window_taps(self._attributes, self._extents, out.shape):
            out[source] |= fired[target]
        return out

    def _update(self, x: Floats, change: Floats, gates: Floats, held: Floats) -> Floats:
        if self._residual:
            added = compute(self._attributes, [change, self._weights, self._residual_bias], self._extents)
            new: Floats = held + gates[..., None] * added
            return new
        source = self._reference if self.closed else x
        return compute(self._attributes, [source, self._weights, self._bias], self._extents, self._node.activation)


def _largest_of_blocks(gates: Floats, block: int) -> Floats:
    """Every ``block`` x ``block`` square set to its largest number; the grid is anchored at pixel (0, 0)."""
    rows, cols = gates.shape
    padded = np.pad(gates, ((0, -rows % block), (0, -cols % block)))
    squares = np.max(padded.reshape(padded.shape[0] // block, block, padded.shape[1] // block, block), axis=(1, 3))
    grown: Floats = squares.repeat(block, axis=0).repeat(block, axis=1)[:rows, :cols]
    return grown
