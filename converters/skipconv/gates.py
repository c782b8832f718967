"""The gates of Skip-Convolutions: from the magnitude of a residual to one mask for all output channels.

Equation numbers are the paper's (see the package). Each gate is a module ``gate(residual, conv) -> mask``.
"""

from __future__ import annotations

import enum
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 (its usual name)

TEMPERATURE = 2 / 3  # of the Gumbel-sigmoid
OPEN_BIAS = 0.6  # a gate that has not been trained fires everywhere


class GateType(enum.Enum):
    """Kinds of gates; the values are those of the official module."""

    NORM = "norm-gate"
    GUMBEL = "gumbel-gate"


class NormType(enum.Enum):
    """What a norm gate looks at: the residual, or a bound of the convolved residual."""

    INPUT = "input"
    OUTPUT = "output"


def padding(conv: nn.Conv2d) -> tuple[int, int, int, int]:
    """(left, right, top, bottom) of a convolution's padding, in numbers."""
    pads: list[int] = []
    for axis in (1, 0):
        if conv.padding == "same":
            total = conv.dilation[axis] * (conv.kernel_size[axis] - 1)
            pads += [total // 2, total - total // 2]
        else:
            pads += [0, 0] if conv.padding == "valid" else [int(conv.padding[axis])] * 2
    return pads[0], pads[1], pads[2], pads[3]


def window_sum(values: Tensor, conv: nn.Conv2d) -> Tensor:
    """Sum over a convolution's receptive field, zero-padded: (N, 1, H, W) to (N, 1, H_out, W_out)."""
    ones = values.new_ones(1, 1, *conv.kernel_size)
    return F.conv2d(F.pad(values, padding(conv)), ones, None, conv.stride, 0, conv.dilation)


def spread(values: Tensor, conv: nn.Conv2d, size: torch.Size) -> Tensor:
    """Sum over all windows that hold a position, (N, 1, H_out, W_out) to (N, 1, *size): ``window_sum`` transposed."""
    ones = values.new_ones(1, 1, *conv.kernel_size)
    whole = F.conv_transpose2d(values, ones, None, conv.stride, 0, dilation=conv.dilation)
    left, _, top, _ = padding(conv)
    whole = F.pad(whole, (0, max(0, left + size[1] - whole.shape[3]), 0, max(0, top + size[0] - whole.shape[2])))
    return whole[:, :, top : top + size[0], left : left + size[1]]


class Gate(nn.Module):
    """Base of the gates: ``gate(residual, conv)`` gives a mask (N, 1, H_out, W_out).

    Attributes:
        masks: of the last frame, or of the steps of the last clips; layers that share the gate read them.
    """

    gate_type: GateType
    structure = 1

    def __init__(self) -> None:
        super().__init__()
        self.masks: list[Tensor] = []

    def __getstate__(self) -> dict[str, Any]:
        """What is copied and saved: no masks."""
        return {**super().__getstate__(), "masks": []}  # type: ignore[misc]


class NormGate(Gate):
    """Fires where the L1 norm of the residual in the receptive field exceeds ``eps``.

    Equation 5 (``type`` input): ``round(sigmoid(|r|_1 - eps))``, the sum of |r| over the kernel's window and all input
    channels. Equation 7 (output): ``round(sigmoid(|w|_1 * |r|_1 - eps))``, |w|_1 over all of the weights; by Young's
    inequality this bounds the convolved residual. A norm equal to ``eps`` does not fire.

    The gate has nothing to train: its mask has no gradient, and the weights learn to live with it.

    Args:
        type: "input" or "output".
        eps: the threshold; 0 fires wherever the window holds a change, a negative one everywhere.
    """

    gate_type = GateType.NORM

    def __init__(self, type: str | NormType = "input", eps: float = 0.1) -> None:  # noqa: A002 (the official name)
        super().__init__()
        self.type = NormType(type)
        self.eps = float(eps)

    def forward(self, residual: Tensor, conv: nn.Conv2d) -> Tensor:
        """Mask (N, 1, H_out, W_out), 0 or 1, for a residual (N, C_in, H, W) of either sign."""
        with torch.no_grad():
            norm = window_sum(residual.abs().sum(1, keepdim=True), conv)
            if self.type is NormType.OUTPUT:
                norm = norm * conv.weight.abs().sum()
            return (norm > self.eps).to(residual.dtype)

    def extra_repr(self) -> str:
        """For ``print``."""
        return f"type={self.type.value}, eps={self.eps}"


class GumbelGate(Gate):
    """Learned: a convolution of |r| with the layer's own geometry and one output channel gives a logit per position.

    Equation 8: in training g ~ Bernoulli(sigmoid(f(|r|))) through the Gumbel reparametrisation, straight-through: the
    mask is 0 or 1, its gradient that of ``sigmoid((logit + noise) / (2/3))``. In evaluation it fires where the logit is
    not negative. ``structure`` > 1 decides for whole blocks: a block fires if any of its positions would. The last
    blocks of a map whose sides are no multiple are cut (the official module refuses such maps).

    Args:
        conv: the layer that is gated.
        structure: side of the blocks, 1, 2, 4 or 8.
    """

    gate_type = GateType.GUMBEL

    def __init__(self, conv: nn.Conv2d, structure: int = 1) -> None:
        super().__init__()
        if structure not in (1, 2, 4, 8):
            raise ValueError(f"structure is {structure}; possible are 1, 2, 4, 8")
        self.structure = structure
        network = nn.Conv2d(conv.in_channels, 1, conv.kernel_size, conv.stride, conv.padding, conv.dilation)
        nn.init.xavier_uniform_(network.weight)
        nn.init.constant_(network.bias, OPEN_BIAS)  # type: ignore[arg-type]
        layers: list[nn.Module] = [network]
        if structure > 1:
            layers += [
                nn.MaxPool2d(structure, structure, ceil_mode=True),
                nn.UpsamplingNearest2d(scale_factor=structure),
            ]
        self.gate_network = nn.Sequential(*layers)

    def logits(self, residual: Tensor) -> Tensor:
        """(N, 1, H_out, W_out) for a residual (N, C_in, H, W) of either sign."""
        size = self.gate_network[0](residual.abs())
        blocks: Tensor = size
        for layer in self.gate_network[1:]:
            blocks = layer(blocks)
        return blocks[:, :, : size.shape[2], : size.shape[3]]

    def forward(self, residual: Tensor, conv: nn.Conv2d) -> Tensor:  # noqa: ARG002 (the norm gate reads its weights)
        """Mask (N, 1, H_out, W_out) of 0 and 1 for a residual (N, C_in, H, W) of either sign."""
        logits = self.logits(residual)
        if not self.training:
            return (logits >= 0).to(residual.dtype)
        return straight_through(logits)

    def extra_repr(self) -> str:
        """For ``print``."""
        return f"structure={self.structure}"


def straight_through(logits: Tensor) -> Tensor:
    """A sample of Bernoulli(sigmoid(logits)), 0 or 1, with the gradient of the relaxed sample (Gumbel-sigmoid)."""
    uniform = torch.rand_like(logits).clamp(1e-6, 1 - 1e-6)
    noise = torch.log(uniform) - torch.log1p(-uniform)  # the difference of two Gumbel variables is logistic
    soft = torch.sigmoid((logits + noise) / TEMPERATURE)
    hard = (soft >= 0.5).to(soft.dtype)
    return hard + soft - soft.detach()
