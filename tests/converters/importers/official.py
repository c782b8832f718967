"""A stand-in for the official Skip-Convolution module, with its attributes and its behaviour in evaluation mode.

Written from its description (docs/skipconv.md): what a pickled or live network of that code looks like to a converter,
and what it computes, quirks included.
"""

from __future__ import annotations

import enum
import sys
import types
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import nn
from torch.nn import functional


class GateType(enum.Enum):
    NORM = "norm-gate"
    GUMBEL = "gumbel-gate"


class NormGateType(enum.Enum):
    INPUT = "input"
    OUTPUT = "output"


class NormGate(nn.Module):
    def __init__(self, kernel_size, stride, padding, type_, eps):
        super().__init__()
        self.kernel_size, self.stride, self.padding = kernel_size, stride, padding
        self.type, self.eps, self.norm, self.qbin = type_, eps, 1.0, 1e5

    def forward(self, residual, weight):
        mean = functional.avg_pool2d(residual, self.kernel_size, self.stride, self.padding)
        norm = mean.sum(1, keepdim=True) / mean.size(2)
        if self.type == NormGateType.OUTPUT:
            norm = norm * (weight.abs().sum() / weight.numel())
        steps = torch.floor(norm * self.qbin) / self.qbin
        return (torch.sign(steps - self.eps) + 1) / 2


class GumbelGate(nn.Module):
    def __init__(self, channels, kernel_size, stride, padding, structure):
        super().__init__()
        layers = [nn.Conv2d(channels, 1, kernel_size, stride, padding)]
        if structure > 1:
            layers += [nn.MaxPool2d(structure, structure), nn.UpsamplingNearest2d(scale_factor=structure)]
        self.gate_network = nn.Sequential(*layers)
        nn.init.constant_(self.gate_network[0].bias, 0.6)
        self.structure = structure

    def forward(self, residual, weight):
        return (torch.sigmoid(self.gate_network(residual) / (2 / 3)) >= 0.5).to(residual.dtype)


class SkipConv2d(nn.Conv2d):
    def __init__(self, *args, gate_type=GateType.NORM, norm=NormGateType.INPUT, eps=0.1, structure=1, **options):
        super().__init__(*args, **options)
        self.gate_type = gate_type
        if gate_type == GateType.NORM:
            self.gate = NormGate(self.kernel_size, self.stride, self.padding, norm, eps)
        else:
            self.gate = GumbelGate(self.in_channels, self.kernel_size, self.stride, self.padding, structure)
        self.reset()

    def reset(self):
        self.x0, self.z0, self.mac, self.mask = None, None, 0, None

    def train(self, mode=True):
        self.reset()
        return super().train(mode)

    def forward(self, x):
        taps = self.weight[0].numel() * self.out_channels  # mac counts the last frame's
        if self.x0 is None:
            z = super().forward(x)
            self.mask = torch.ones_like(z[:, :1])
            self.mac = z[0, 0].numel() * taps
        else:
            residual = x - self.x0
            self.mask = self.gate(residual.abs(), self.weight)
            z = self.z0 + super().forward(residual) * self.mask
            own = 0 if self.gate_type == GateType.NORM else z[0, 0].numel() * self.gate.gate_network[0].weight.numel()
            self.mac = int(self.mask.sum() * taps) + own
        self.x0, self.z0 = x, z
        return z


CLASSES = (GateType, NormGateType, NormGate, GumbelGate, SkipConv2d)


@contextmanager
def installed() -> Iterator[None]:
    """The package ``lib`` with the module ``lib.skip_conv``, where pickles of the official code look."""
    package, module = types.ModuleType("lib"), types.ModuleType("lib.skip_conv")
    before = {cls: cls.__module__ for cls in CLASSES}
    for cls in CLASSES:
        setattr(module, cls.__name__, cls)
        cls.__module__ = module.__name__
    sys.modules.update({"lib": package, "lib.skip_conv": module})
    try:
        yield
    finally:
        for cls in CLASSES:
            cls.__module__ = before[cls]
        del sys.modules["lib"], sys.modules["lib.skip_conv"]


def resetting(network, frames, every=0):
    """Outputs per frame of a network with such modules, its state reset every so many frames."""
    layers = [module for module in network.modules() if isinstance(module, SkipConv2d)]
    network.eval()
    with torch.no_grad():
        for number, frame in enumerate(frames):
            if every and number % every == 0:
                for layer in layers:
                    layer.reset()
            yield network(torch.from_numpy(frame)[None])[0].numpy()


class Block(nn.Module):
    """relu(b1(c1(x))), c2, b2, and a shortcut sc, b3; ``make(in, out, kernel, stride)`` gives the convolutions."""

    def __init__(self, make, channels, out, stride):
        super().__init__()
        self.c1, self.c2, self.sc = make(channels, out, 3, stride), make(out, out, 3, 1), make(channels, out, 1, stride)
        self.b1, self.b2, self.b3 = (nn.BatchNorm2d(out) for _ in range(3))

    def forward(self, x):
        y = functional.relu(self.b1(self.c1(x)))
        return functional.relu(self.b2(self.c2(y)) + self.b3(self.sc(x)))


def network(kind, eps, structure, blocks, bias=False):
    """Residual blocks as in the vectors of the official module; ``kind`` is norm-input, norm-output or gumbel."""

    def make(channels, out, kernel, stride):
        gate = {"gate_type": GateType.GUMBEL, "structure": structure}
        if kind != "gumbel":
            gate = {"gate_type": GateType.NORM, "norm": NormGateType(kind.removeprefix("norm-")), "eps": eps}
        return SkipConv2d(channels, out, kernel, stride, kernel // 2, bias=bias, **gate)

    return nn.Sequential(*(Block(make, *block) for block in blocks))


def randomize(network):
    """Statistics of batch norms, biases, and gates that fire here and there."""
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            for tensor in (module.running_mean, module.bias.data):
                tensor.normal_(0, 0.2)
            for tensor in (module.running_var, module.weight.data):
                tensor.uniform_(0.5, 1.5)
        if isinstance(module, SkipConv2d) and module.gate_type == GateType.GUMBEL:
            gate = module.gate.gate_network[0]
            nn.init.xavier_uniform_(gate.weight)
            nn.init.constant_(gate.bias, -0.05)


def moving_square(count, rows, cols):
    """Frames (count, 3, rows, cols) of 0 to 1: noise that stands still, and a square that moves over it."""
    generator = np.random.default_rng(0)
    clip = np.repeat(generator.uniform(0, 1, (1, 3, rows, cols)).astype(np.float32), count, axis=0)
    square = generator.uniform(0, 1, (3, 8, 8)).astype(np.float32)
    for t in range(count):
        clip[t, :, 8:16, 4 + t : 12 + t] = square
    return clip
