"""Fine-tunes the weights of a hold-gated network on unlabelled footage, with the dense network as the teacher."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from runtime.reference.graph import Graph, WinogradConv2d

from ..measure import prepared
from ..passes.use_winograd import use_winograd, without_winograd
from .network import GraphNetwork

FLOOR = 1e-6  # below which work and error count as none


@dataclass(frozen=True)
class Settings:
    """How long and how fast.

    Attributes:
        steps: batches of one clip.
        frames: length of a clip, 2 or more.
        rate: learning rate of Adam, which falls to 0 along a cosine.
        exponent: k of the loss ``log(work) + k log(error)``: how much less work an error is worth.
        seed: of the choice of clips.
    """

    steps: int = 200
    frames: int = 4
    rate: float = 3e-5
    exponent: float = 2.0
    seed: int = 0


def distill(
    graph: Graph,
    footage: Sequence[Any],
    settings: Settings = Settings(),
    progress: Callable[[str], None] = lambda _: None,
) -> Graph:
    """The graph with weights for which its gates let less through and its outputs stay those of the dense network.

    The loss of a clip is ``log(work) + k log(error)``: work is the share of the multiply-accumulates that fired values
    set off (gates straight-through), error the relative L2 distance of the float outputs from those of the graph as
    given, ungated, on the same frames.

    Args:
        graph: a network with hold gates; it is left as it is.
        footage: consecutive frames (H, W, C) as the graph's input takes them, or mappings from input names to such.
        settings: how long and how fast.
        progress: takes a line of text.

    Raises:
        ValueError: the footage is shorter than a clip.
        UnsupportedError: the graph holds an operator without gradients here.
    """
    if len(footage) < settings.frames:
        raise ValueError(f"{len(footage)} frames of footage do not make a clip of {settings.frames}")
    forms = {node.output: type(node.attributes) for node in graph.nodes if isinstance(node.attributes, WinogradConv2d)}
    graph = without_winograd(graph)
    inputs = _stacked(graph, footage)
    student, teacher = GraphNetwork(graph), GraphNetwork(graph)
    student.measure({name: values[:1] for name, values in inputs.items()})
    names = [item.value for item in graph.outputs if item.dtype == "float32"]
    with torch.no_grad():
        targets: list[dict[str, Tensor]] = [
            teacher({name: values[i : i + 1] for name, values in inputs.items()}).outputs for i in range(len(footage))
        ]
    sizes = {name: float(torch.cat([each[name] for each in targets]).square().mean()) + 1e-20 for name in names}
    rng = np.random.default_rng(settings.seed)
    optimizer = torch.optim.Adam(student.parameters(), settings.rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, settings.steps)
    works, errors = [], []
    for step in range(1, settings.steps + 1):
        start = int(rng.integers(len(footage) - settings.frames + 1))
        some = slice(start, start + settings.frames)
        clip = student({name: values[some] for name, values in inputs.items()}, settings.frames, gates=True)
        distances = [
            (clip.outputs[name] - torch.cat([each[name] for each in targets[some]])).square().mean() / sizes[name]
            for name in names
        ]
        error = torch.stack(distances).mean()
        loss = torch.log(clip.work + FLOOR) + 0.5 * settings.exponent * torch.log(error + FLOOR)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        works.append(float(clip.work.detach()))
        errors.append(float(error.detach()) ** 0.5)
        if step % max(1, settings.steps // 5) == 0:
            progress(f"step {step}: work {np.mean(works):.1%}, error {np.mean(errors):.3f}")
            works, errors = [], []
    return use_winograd(student.to_graph(), lambda _, node: forms.get(node.output))


def _stacked(graph: Graph, footage: Sequence[Any]) -> dict[str, Tensor]:
    """Prepared frames (T, rows, cols, channels) by value name."""
    found = {}
    for item in graph.inputs:
        frames = [frame[item.name] if isinstance(frame, Mapping) else frame for frame in footage]
        found[item.value] = torch.from_numpy(np.stack([prepared(graph, item, np.asarray(each)) for each in frames]))
    return found
