"""Trains a Skip-Convolution network from nothing, and its dense twin, on made clips; converts both and compares.

    python examples/train_skipconv.py            a few minutes on two CPU cores; needs framegate[torch]

The network labels the cells of a frame: background, disc, square or triangle (shapes.py). The gated one has a learned
gate at every convolution but the head, and is trained with the sparsity loss of the paper (docs/training.md). Both see
the same frames for the same number of steps. What is reported is measured on held-out clips by the engine, from the
converted files: intersection over union, and multiply-accumulates, each clip's first frame included.

The gated network, as ONNX with its gates, is written to shapes_skipconv.onnx in the output folder; the one beside this
file was made by this script with its default options.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import shapes
import torch
from torch import Tensor, nn

import converters
import runtime
from converters.skipconv import as_clips, gate_loss, skip_layers, skipify

CHANNELS = ((16, 2), (32, 2), (32, 1), (32, 1), (32, 1))  # of each 3 x 3 convolution, and its stride
PREPROCESS = {"resize": "none", "mean": 128.0, "scale": 1 / 64}
HELD_OUT_SEED, HELD_OUT_CLIPS, HELD_OUT_LENGTH = 1_000_000, 32, 32


@dataclass(frozen=True)
class Recipe:
    """How a network is trained.

    Attributes:
        steps: batches, each of ``clips`` clips of ``length`` frames.
        rate, gate_rate: learning rates of Adam at their peak (one cycle), of the network and of its gates.
        plain: share of the steps before the gates come in.
        ramp: share of the steps over which beta rises to its value.
        beta: weight of the sparsity loss, which is the share of the work.
        update: "residual", the paper's, or "recompute".
        reference: "last", the paper's, or "fired", a closed loop.
        seed: of the weights, the batches and the gates' samples.
    """

    steps: int = 600
    clips: int = 5
    length: int = 6
    rate: float = 3e-3
    gate_rate: float = 1e-2
    plain: float = 0.35
    ramp: float = 0.2
    beta: float = 0.15
    update: str = "recompute"
    reference: str = "last"
    seed: int = 0


def build(seed: int) -> nn.Sequential:
    """Convolutions with batch norm and ReLU, and a 1 x 1 head: (N, 3, 96, 96) to (N, 4, 24, 24)."""
    torch.manual_seed(seed)
    layers: list[nn.Module] = []
    last = 3
    for channels, stride in CHANNELS:
        layers += [nn.Conv2d(last, channels, 3, stride, 1, bias=False), nn.BatchNorm2d(channels), nn.ReLU()]
        last = channels
    return nn.Sequential(*layers, nn.Conv2d(last, len(shapes.CLASSES), 1))


def add_gates(network: nn.Module, recipe: Recipe) -> None:
    """Learned gates on all 3 x 3 convolutions. They start open, and weigh all channels alike: any motion opens them."""
    skipify(network, gate="gumbel", update=recipe.update, reference=recipe.reference)
    for layer in skip_layers(network).values():
        weight = layer.gate.gate_network[0].weight
        nn.init.uniform_(weight, 0, 6 / weight.numel())


def prepared(frames: shapes.Frames) -> Tensor:
    """(clips, T, 96, 96, 3) grey levels to (clips * T, 3, 96, 96), as the file's preprocess does it."""
    maps = torch.from_numpy(frames).flatten(0, 1).permute(0, 3, 1, 2)
    return (maps.float() - PREPROCESS["mean"]) * PREPROCESS["scale"]


def train(recipe: Recipe, *, gated: bool) -> nn.Sequential:
    """A network trained from random weights; in evaluation mode."""
    network = build(recipe.seed)
    if gated:
        add_gates(network, recipe)
    network.to(memory_format=torch.channels_last)
    gates = [weight for name, weight in network.named_parameters() if ".gate_network." in name]
    others = [weight for name, weight in network.named_parameters() if ".gate_network." not in name]
    groups = [{"params": others, "lr": recipe.rate}] + [{"params": gates, "lr": recipe.gate_rate}] * bool(gates)
    optimizer = torch.optim.Adam(groups)
    peaks = [group["lr"] for group in groups]
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, peaks, total_steps=recipe.steps)
    start = time.perf_counter()
    for step in range(recipe.steps):
        batch = shapes.make_clips(recipe.seed + step, recipe.clips, recipe.length)
        images, labels = prepared(batch.frames), torch.from_numpy(batch.labels).flatten(0, 1)
        progress = step / recipe.steps - recipe.plain
        work = torch.zeros(())
        if gated and progress >= 0:
            with as_clips(network, recipe.length):
                error = nn.functional.cross_entropy(network(images), labels)
                work = gate_loss(network)
            loss = error + recipe.beta * min(1.0, progress / recipe.ramp) * work
        else:
            error = loss = nn.functional.cross_entropy(network(images), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        if (step + 1) % 50 == 0:
            text = f"step {step + 1} of {recipe.steps}: cross entropy {error.item():.3f}, work {work.item():.1%}"
            print(f"{text}, {time.perf_counter() - start:.0f} s", file=sys.stderr, flush=True)
    return network.eval()


@dataclass(frozen=True)
class Score:
    """On clips: mean intersection over union of the classes, all frames and the last quarter; dense / executed MACs, gates included."""

    overlap: float
    late_overlap: float
    cut: float


def score(path: Path, clips: shapes.Clips, **options: Any) -> Score:
    """Plays every clip from its start through the engine."""
    stream = runtime.Stream(path, **options)
    found, executed, dense = np.empty_like(clips.labels), 0, 0
    for clip in range(clips.frames.shape[0]):
        stream.reset()
        for t, frame in enumerate(clips.frames[clip]):
            result = stream.push(frame)
            found[clip, t] = next(iter(result.values()))[0].argmax(0)
            executed += result.macs + stream.stats().macs_gate
            dense += result.macs_dense
    quarter = clips.labels.shape[1] // 4
    late = overlap(found[:, -quarter:], clips.labels[:, -quarter:])
    return Score(overlap(found, clips.labels), late, dense / max(executed, 1))


def overlap(found: shapes.Labels, labels: shapes.Labels) -> float:
    """Intersection over union, mean over the classes."""
    shares = []
    for index in range(len(shapes.CLASSES)):
        a, b = found == index, labels == index
        shares.append(np.sum(a & b) / max(1, np.sum(a | b)))
    return float(np.mean(shares))


def main() -> int:
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    defaults = Recipe()
    for name in ("steps", "clips", "length", "rate", "gate_rate", "beta", "update", "reference", "seed"):
        value = getattr(defaults, name)
        parser.add_argument(f"--{name.replace('_', '-')}", type=type(value), default=value, help=f"default: {value}")
    parser.add_argument("--held-out", type=int, default=HELD_OUT_CLIPS, help=f"clips (default: {HELD_OUT_CLIPS})")
    parser.add_argument("--out", type=Path, default=Path("shapes_out"))
    options = vars(parser.parse_args())
    folder, count = options.pop("out"), options.pop("held_out")
    recipe = Recipe(**options)
    folder.mkdir(parents=True, exist_ok=True)
    networks = {name: train(recipe, gated=name == "gated") for name in ("twin", "gated")}
    held_out = shapes.make_clips(HELD_OUT_SEED, count, HELD_OUT_LENGTH)
    shape = (1, 3, shapes.SIDE, shapes.SIDE)
    converters.export_onnx(networks["gated"], folder / "shapes_skipconv.onnx", shape)
    scores = {}
    with tempfile.TemporaryDirectory() as temporary:
        for name, source, more in (
            ("dense twin", networks["twin"], {"gate": "none", "input_threshold": 0}),
            ("gated, as trained", networks["gated"], {}),
            ("gated, closed loop", networks["gated"], {"skip_mode": "closed_loop"}),
        ):
            path = Path(temporary) / "net.fgm"
            converters.convert(source, path, preprocess=PREPROCESS, input_shape=shape, **more)
            scores[name] = score(path, held_out, gating=name != "dense twin")
    print(f"held out: {count} clips of {HELD_OUT_LENGTH} frames")
    for name, each in scores.items():
        loss = 100 * (scores["dense twin"].overlap - each.overlap)
        print(
            f"{name:20} intersection over union {100 * each.overlap:.1f} (last quarter {100 * each.late_overlap:.1f}), "
            f"{loss:+.1f} points lost, MACs / {each.cut:.1f}"
        )
    figures = {name: vars(each) for name, each in scores.items()}
    (folder / "scores.json").write_text(json.dumps({"recipe": vars(recipe), "scores": figures}, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
