"""Trains a Skip-Convolution network from nothing, and its dense twin, on made clips; converts both and compares.

    python examples/train_skipconv.py            a few minutes on two CPU cores; needs framegate[torch]

The network labels the cells of a frame: background, disc, square or triangle (shapes.py). The gated one has a learned
gate at every convolution but the head. Both start as one network, trained plainly from random weights; then the one
learns gates with the sparsity loss of the paper (docs/training.md), while its twin sees the same frames for the same
number of steps without. What is reported is measured on held-out clips by the engine, from the
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

import shapes
import torch
from torch import Tensor, nn

import converters
from converters.skipconv import as_clips, gate_loss, skip_layers, skipify

CHANNELS = ((16, 2), (32, 2), (32, 1), (32, 1), (32, 1))  # of each 3 x 3 convolution, and its stride
HELD_OUT_SEED, HELD_OUT_CLIPS, HELD_OUT_LENGTH = 1_000_000, 32, 32


@dataclass(frozen=True)
class Recipe:
    """How the networks are trained.

    Attributes:
        steps: of the first phase, which both share: plain training from random weights.
        gated_steps: of the second phase, with gates, and without them for the twin.
        settle_steps: of the third phase, in which the gates no longer change and the weights get used to them.
        clips, length: a batch is this many clips of this many frames.
        rate, second_rate, third_rate: learning rates of Adam at their peak, by phase (one cycle each).
        gate_rate: that of the gates.
        beta: weight of the sparsity loss, which is the share of the work; it rises over the first fifth of the phase.
        update: "residual", the paper's, or "recompute".
        reference: "last", the paper's, or "fired", a closed loop.
        seed: of the weights, the batches and the gates' samples.
    """

    steps: int = 600
    gated_steps: int = 400
    settle_steps: int = 200
    clips: int = 5
    length: int = 6
    rate: float = 3e-3
    second_rate: float = 1.5e-3
    third_rate: float = 1e-3
    gate_rate: float = 2e-2
    beta: float = 0.13
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
    return (maps.float() - shapes.PREPROCESS["mean"]) * shapes.PREPROCESS["scale"]


def train(recipe: Recipe) -> dict[str, nn.Sequential]:
    """The gated network and its dense twin, in evaluation mode."""
    twin = build(recipe.seed).to(memory_format=torch.channels_last)
    run_phase("plain", twin, recipe, range(recipe.steps), recipe.rate)
    gated = build(recipe.seed).to(memory_format=torch.channels_last)
    gated.load_state_dict(twin.state_dict())
    add_gates(gated, recipe)
    second = range(recipe.steps, recipe.steps + recipe.gated_steps)
    third = range(second.stop, second.stop + recipe.settle_steps)
    for name, network in (("twin", twin), ("gated", gated)):
        run_phase(name, network, recipe, second, recipe.second_rate)
        settle(network)
        run_phase(f"{name}, settling", network, recipe, third, recipe.third_rate)
    return {"twin": twin.eval(), "gated": gated.eval()}


def settle(network: nn.Module) -> None:
    """Leaves the gates as they are from now on: no samples, no training."""
    for layer in skip_layers(network).values():
        layer.gate.requires_grad_(False)


def run_phase(name: str, network: nn.Module, recipe: Recipe, batches: range, rate: float) -> None:
    """Trains on the batches of those numbers, which are their seeds, too; with gates if the network has some."""
    torch.manual_seed(recipe.seed)
    network.train()
    for layer in skip_layers(network).values():
        layer.gate.train(next(layer.gate.parameters()).requires_grad)
    trained = {key: weight for key, weight in network.named_parameters() if weight.requires_grad}
    gates = [weight for key, weight in trained.items() if ".gate_network." in key]
    others = [weight for key, weight in trained.items() if ".gate_network." not in key]
    gated = bool(gates)
    groups = [{"params": others, "lr": rate}] + [{"params": gates, "lr": recipe.gate_rate}] * gated
    optimizer = torch.optim.Adam(groups)
    peaks = [group["lr"] for group in groups]
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, peaks, total_steps=len(batches))
    start = time.perf_counter()
    for step, number in enumerate(batches, 1):
        batch = shapes.make_clips(recipe.seed + number, recipe.clips, recipe.length)
        images, labels = prepared(batch.frames), torch.from_numpy(batch.labels).flatten(0, 1)
        with as_clips(network, recipe.length):
            error = nn.functional.cross_entropy(network(images), labels)
        work = gate_loss(network) if skip_layers(network) else torch.ones(())
        loss = error + recipe.beta * min(1.0, 5 * step / len(batches)) * work if gated else error
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        if step % 50 == 0:
            text = f"{name} {step} of {len(batches)}: cross entropy {error.item():.3f}, work {work.item():.1%}"
            print(f"{text}, {time.perf_counter() - start:.0f} s", file=sys.stderr, flush=True)


def main() -> int:
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    defaults = Recipe()
    for name, value in vars(defaults).items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=type(value), default=value, help=f"default: {value}")
    parser.add_argument("--held-out", type=int, default=HELD_OUT_CLIPS, help=f"clips (default: {HELD_OUT_CLIPS})")
    parser.add_argument("--out", type=Path, default=Path("shapes_out"))
    options = vars(parser.parse_args())
    folder, count = options.pop("out"), options.pop("held_out")
    recipe = Recipe(**options)
    folder.mkdir(parents=True, exist_ok=True)
    networks = train(recipe)
    held_out = shapes.make_clips(HELD_OUT_SEED, count, HELD_OUT_LENGTH)
    shape = (1, 3, shapes.SIDE, shapes.SIDE)
    converters.export_onnx(networks["gated"], folder / "shapes_skipconv.onnx", shape)
    scores = {}
    with tempfile.TemporaryDirectory() as temporary:
        for name, source, conversion, stream in (
            ("dense twin", networks["twin"], {"gate": "none", "input_threshold": 0}, {"gating": False}),
            ("gated, as trained", networks["gated"], {}, {}),
            ("gated, closed loop", networks["gated"], {"skip_mode": "closed_loop"}, shapes.CLOSED_LOOP),
        ):
            path = Path(temporary) / "net.fgm"
            converters.convert(source, path, preprocess=shapes.PREPROCESS, input_shape=shape, **conversion)
            scores[name] = shapes.score(path, held_out, **stream)
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
