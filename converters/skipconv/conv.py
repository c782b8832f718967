"""``SkipConv2d``: a convolution that is updated only where a gate fires."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 (its usual name)

from .gates import Gate, GateType, spread, window_sum

UPDATES = ("residual", "recompute")
REFERENCES = ("last", "fired")


class SkipConv2d(nn.Conv2d):
    """A gated convolution over the frames of a video (equations 2 and 3).

    With ``r_t = x_t - reference`` and ``g_t = gate(|r_t|)``:

    ============ ========= ================================================= =====================================
    update       reference output                                            the reference becomes
    ============ ========= ================================================= =====================================
    residual     last      ``z_t = z_{t-1} + g_t (w * r_t)`` (the paper's)   ``x_t`` everywhere
    recompute    last      ``w * x_t + b`` where g_t fires, else ``z_{t-1}`` ``x_t`` everywhere
    either       fired     ``w * reference + b`` (closed loop)               ``x_t`` in the windows that fire
    ============ ========= ================================================= =====================================

    The bias belongs to the first frame and is not added again with residuals (``residual_bias`` is False).

    What the module takes as frames:

    - inside ``as_clips(network, frames=T)`` a batch (N * T, C, H, W) holds N clips of T frames one behind the other.
      Nothing is kept; in training mode gates draw samples and gradients flow through them and through time;
    - a tensor (N, T, C, H, W) is N clips, anywhere;
    - in evaluation mode a batch (N, C, H, W) is the next frame of N streams, whose state the module keeps (``reset``);
    - in training mode without clips it is a plain convolution.

    This is the arithmetic, for training: PyTorch computes all positions, then masks. ``converters.convert`` makes the
    file whose gated positions are really skipped.

    Args:
        gate: its gate. Several layers may share one gate object: the one with ``leads`` evaluates it, the others, which
            must run after it, reuse its mask (max-pooled to their size).
        update, reference: see the table.

    Attributes:
        firing: share of positions that were updated, mean over the frames after a clip's first, with gradient; None
            before the first gated call.
        macs, gate_macs: multiply-accumulates of one dense frame and of its gate, known after the first call.
    """

    residual_bias = False
    framegate_quirks = False

    def __init__(
        self,
        *args: Any,
        gate: Gate,
        leads: bool = True,
        update: str = "residual",
        reference: str = "last",
        **options: Any,
    ) -> None:
        super().__init__(*args, **options)
        if update not in UPDATES:
            raise ValueError(f"update is {update!r}; possible are {', '.join(UPDATES)}")
        if reference not in REFERENCES:
            raise ValueError(f"reference is {reference!r}; possible are {', '.join(REFERENCES)}")
        self.gate = gate
        self.leads = leads
        self.framegate_update = update
        self.framegate_reference = reference
        self.frames: int | None = None  # length of clips, set by as_clips
        self.firing: Tensor | None = None
        self.fired_sum, self.fired_frames = 0.0, 0
        self.macs = self.gate_macs = 0
        self.x0: Tensor | None = None
        self.z0: Tensor | None = None

    @property
    def gate_type(self) -> GateType:
        """The kind of gate, under the official module's name."""
        return self.gate.gate_type

    def reset(self) -> None:
        """Forgets the stream: the next frame is a first one."""
        self.x0 = self.z0 = None

    def train(self, mode: bool = True) -> SkipConv2d:
        """Changes the mode, and forgets the stream."""
        self.reset()
        super().train(mode)
        return self

    def forward(self, x: Tensor) -> Tensor:
        """See the class for shapes; the output's shape is the input's with C_out, H_out, W_out."""
        if x.dim() == 5:
            return self._clips(x)
        if self.frames is not None:
            if x.shape[0] % self.frames:
                raise ValueError(f"a batch of {x.shape[0]} does not hold whole clips of {self.frames} frames")
            return self._clips(x.unflatten(0, (-1, self.frames))).flatten(0, 1)
        if self.training:
            return super().forward(x)
        return self._frame(x)

    def _clips(self, x: Tensor) -> Tensor:
        """(N, T, C, H, W) to (N, T, C_out, H_out, W_out)."""
        clips, frames = x.shape[:2]
        if self.framegate_reference == "fired":
            return self._closed_loop(x)
        flat = x.flatten(0, 1)
        if frames == 1:
            return self._dense(flat).unflatten(0, (clips, frames))
        mask = self._mask((x[:, 1:] - x[:, :-1]).flatten(0, 1)).unflatten(0, (clips, frames - 1))
        self._note(mask, clips)
        z = self._dense(flat).unflatten(0, (clips, frames))
        if self.framegate_update == "residual":  # w is linear: w * r_t is the difference of two dense outputs
            steps = torch.cat([z[:, :1], (z[:, 1:] - z[:, :-1]) * mask], 1)
            return steps.cumsum(1)
        held = [z[:, 0]]
        for t in range(1, frames):
            held.append(held[-1] + (z[:, t] - held[-1]) * mask[:, t - 1])
        return torch.stack(held, 1)

    def _closed_loop(self, x: Tensor) -> Tensor:
        """Clips through a reference that moves only where outputs fire; outputs are dense ones of the reference."""
        clips, frames = x.shape[:2]
        reference = x[:, 0]
        references, updated = [reference], []
        for t in range(1, frames):
            moved = self._moved(self._mask(x[:, t] - reference, t - 1), x.shape[-2:])
            reference = reference + (x[:, t] - reference) * moved
            references.append(reference)
            updated.append(self._touching(moved))
        if updated:
            self._note(torch.stack(updated, 1), clips)
        z = self._dense(torch.stack(references, 1).flatten(0, 1))
        return z.unflatten(0, (clips, frames))

    def _frame(self, x: Tensor) -> Tensor:
        """The next frame (N, C, H, W) of N streams."""
        if self.x0 is None or self.z0 is None or self.x0.shape != x.shape:
            self.x0, z = x.detach().clone(), self._dense(x)
        else:
            mask = self._mask(x - self.x0)
            if self.framegate_reference == "fired":
                moved = self._moved(mask, x.shape[-2:])
                self.x0 = torch.where(moved > 0, x, self.x0).detach()
                mask, z = self._touching(moved), self._dense(self.x0)
            elif self.framegate_update == "residual":
                z = self.z0 + self._conv_forward(x - self.x0, self.weight, None) * mask
                self.x0 = x.detach().clone()
            else:
                z = torch.where(mask > 0, self._dense(x), self.z0)
                self.x0 = x.detach().clone()
            self._note(mask.unsqueeze(1), x.shape[0])
        self.z0 = z.detach().clone()  # a copy: a function behind the layer may work in place
        return z

    def _dense(self, x: Tensor) -> Tensor:
        """The plain convolution, bias included."""
        z: Tensor = self._conv_forward(x, self.weight, self.bias)
        self.macs = z[0].numel() * self.weight[0].numel()
        if self.leads and self.gate_type is GateType.GUMBEL:
            self.gate_macs = z[0, 0].numel() * self.in_channels * self.weight[0, 0].numel()
        return z

    def _mask(self, residual: Tensor, step: int = 0) -> Tensor:
        """The gate's mask (N, 1, H_out, W_out); layers that follow take the leader's, in closed loops step by step."""
        if self.leads:
            mask = self.gate(residual, self)
            if step == 0:
                self.gate.masks = []
            self.gate.masks.append(mask)
            return mask
        masks = self.gate.masks
        if step >= len(masks) or masks[step].shape[0] != residual.shape[0]:
            raise RuntimeError("a layer shares a gate that has not been evaluated: its leader must run before it")
        shared: Tensor = masks[step]
        size = window_sum(residual[:1, :1], self).shape[-2:]
        return shared if shared.shape[-2:] == size else F.adaptive_max_pool2d(shared, size)

    def _moved(self, mask: Tensor, size: torch.Size) -> Tensor:
        """(N, 1, H, W), 0 or 1: input positions in the windows of fired outputs."""
        return any_of(spread(mask, self, size))

    def _touching(self, moved: Tensor) -> Tensor:
        """(N, 1, H_out, W_out), 0 or 1: outputs whose window holds a position that moved."""
        return any_of(window_sum(moved, self))

    def _note(self, mask: Tensor, clips: int) -> None:
        """Keeps the share of positions that fired."""
        self.firing = mask.mean()
        frames = mask.numel() // mask[0, 0].numel() // clips
        self.fired_sum += float(self.firing.detach()) * frames
        self.fired_frames += frames

    def __getstate__(self) -> dict[str, Any]:
        """What is copied and saved: not the stream."""
        return {**super().__getstate__(), "x0": None, "z0": None, "firing": None}  # type: ignore[misc]


def any_of(count: Tensor) -> Tensor:
    """1 where a count of fired positions is not 0; the gradient is shared evenly among those counted."""
    return count / count.detach().clamp(min=1)
