"""Training of gated networks: clips, the sparsity loss, and what the gates do."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from .conv import SkipConv2d


def skip_layers(network: nn.Module) -> dict[str, SkipConv2d]:
    """The gated convolutions by name, in the order of ``named_modules``."""
    return {name: module for name, module in network.named_modules() if isinstance(module, SkipConv2d)}


@contextlib.contextmanager
def as_clips(network: nn.Module, frames: int) -> Iterator[None]:
    """Within it a batch (N * frames, C, H, W) is N clips of that many frames, one behind the other.

    All other layers see single frames, so any network can be trained on clips. Works in both modes; in evaluation
    mode gates are deterministic, and no stream is touched.
    """
    if frames < 1:
        raise ValueError(f"frames is {frames}; a clip has at least one")
    layers = skip_layers(network).values()
    before = [layer.frames for layer in layers]
    try:
        for layer in layers:
            layer.frames = frames
        yield
    finally:
        for layer, length in zip(layers, before, strict=True):
            layer.frames = length


def reset(network: nn.Module) -> None:
    """Forgets the streams of all gated layers: the next frame is a first one."""
    for layer in skip_layers(network).values():
        layer.reset()


def gate_loss(network: nn.Module, *, relative: bool = True) -> Tensor:
    """The sparsity loss of the last clips: ``1/(T-1) sum_{t=2..T} sum_l m_l E[g(r_t; phi_l)]``.

    E is the mean over positions and clips of the mask as it was applied, m_l the layer's multiply-accumulates for a
    dense frame. Add ``beta`` times it to the task's loss.

    Args:
        network: it has just been run on clips of two frames or more.
        relative: divide by the sum of m_l, which gives the share of the work, 0 to 1, and makes ``beta`` independent of
            the network's size; False: multiply-accumulates, as in the paper.

    Raises:
        ValueError: no layer is gated, or none has seen a clip.
    """
    layers = [layer for layer in skip_layers(network).values() if layer.firing is not None]
    if not layers:
        raise ValueError("no gated layer has seen clips of two frames: run the network inside as_clips(...) first")
    terms = [layer.macs * layer.firing for layer in layers if layer.firing is not None]
    total = torch.stack(terms).sum()
    return total / sum(layer.macs for layer in layers) if relative else total


@dataclass(frozen=True)
class LayerStatistics:
    """What a gated layer did since the last ``statistics(..., clear=True)``.

    Attributes:
        name: of the module.
        macs, gate_macs: multiply-accumulates of one dense frame, and of its gate.
        firing: share of output positions updated, mean over frames but the first of each clip or stream; nan: none yet.
        frames: how many frames that is.
    """

    name: str
    macs: int
    gate_macs: int
    firing: float
    frames: int


def statistics(network: nn.Module, *, clear: bool = False) -> list[LayerStatistics]:
    """The gated layers' firing shares; ``clear`` starts them anew."""
    found = []
    for name, layer in skip_layers(network).items():
        share = layer.fired_sum / layer.fired_frames if layer.fired_frames else float("nan")
        found.append(LayerStatistics(name, layer.macs, layer.gate_macs, share, layer.fired_frames))
        if clear:
            layer.fired_sum, layer.fired_frames = 0.0, 0
    return found
