"""The networks of the golden tests: a small one for small machines, and random ones that use every operator.

    python -m firmware_tests.networks         writes golden/tiny.fgm and what this machine's engine makes of it

The small network has the blocks of a MobileNet detector and random weights: arithmetic is tested, not detection.
"""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np

from converters.writer import to_bytes
from runtime.reference import graph as g
from runtime.reference.ops import infer_extents
from tests.random_graphs import GraphMaker

from .tools import build, golden, run

TINY = Path(__file__).parent / "golden" / "tiny.fgm"
EXPECTED = TINY.with_suffix(".json")  # one line of app/golden.c, as committed
LINEAR = g.ActivationSpec()
HARD_SWISH = g.ActivationSpec(g.Activation.HARD_SWISH, (1 / 6, 0.5))


class Maker:
    """Adds nodes to a graph; every method returns the name of the value it makes."""

    def __init__(self, rows: int, cols: int, channels: int) -> None:
        self.rng = np.random.default_rng(20)
        self.graph = g.Graph()
        shape = (1, channels, rows, cols)
        self.graph.values["image"] = g.Value("image", g.ValueKind.INPUT, rows, cols, channels, None, shape, (2, 3))
        scale = ((127.5,) * 4, (1 / 127.5,) * 4)
        prepare = g.Preprocess(g.Resize.NONE, g.Align.TOP_LEFT, 0, tuple(range(channels)), *scale)
        self.graph.inputs.append(g.Input("image", "image", threshold=4.0, preprocess=prepare))

    def constant(self, data: np.ndarray) -> str:
        name = f"c{len(self.graph.values)}"
        extents = (1, 1, data.size) if data.ndim in (1, 4) else data.shape
        self.graph.values[name] = g.Value(name, g.ValueKind.CONSTANT, *extents, data=data)
        return name

    def weights(self, *shape: int) -> str:
        fan_in = math.prod(shape[:-1]) if len(shape) > 1 else 16
        return self.constant(self.rng.normal(0, math.sqrt(2 / fan_in), shape).astype(np.float32))

    def node(self, attributes: g.Attributes, *inputs: str | None, act=LINEAR, alpha: float = 0.0, extents=None) -> str:
        values = [self.graph.values[name] if name else None for name in inputs]
        shapes = [v and (v.extents if v.data is None or v.data.ndim != 4 else v.data.shape) for v in values]
        extents = extents or infer_extents(attributes, shapes)
        name = f"{attributes.NAME}{len(self.graph.nodes)}"
        shape = (1, extents[2], extents[0], extents[1])
        self.graph.values[name] = g.Value(name, g.ValueKind.NODE, *extents, None, shape, (2, 3))
        gate = g.HoldGate(alpha) if alpha else None
        self.graph.nodes.append(g.Node(name, attributes, list(inputs), name, act, gate))
        return name

    def conv(self, x: str, out: int, kernel=1, stride=1, depthwise=False, act=HARD_SWISH, add=None, alpha=0.02) -> str:
        channels = self.graph.values[x].channels
        pad, groups = kernel // 2, channels if depthwise else 1
        sides = dict.fromkeys(("pad_top", "pad_left", "pad_bottom", "pad_right"), pad)
        residual = int(g.Residual.BEFORE_ACTIVATION) if add else 0
        attributes = g.Conv2d(kernel, kernel, stride, stride, groups=groups, residual=residual, **sides)
        inputs = [x, self.weights(kernel, kernel, channels // groups, out), self.weights(out), add]
        return self.node(attributes, *inputs, act=act, alpha=alpha)

    def output(self, x: str, dtype: str = "float32") -> None:
        self.graph.outputs.append(g.Output(x, x, dtype))


def tiny() -> g.Graph:
    """32 x 32 grey pixels; two detection maps, a class and its scores. Fits a machine with 128 KB of RAM."""
    m = Maker(32, 32, 1)
    x = m.conv("image", 8, kernel=3, stride=2)
    x = m.conv(m.conv(x, 8, kernel=3, stride=2, depthwise=True), 20)
    y = m.conv(x, 20, kernel=3, depthwise=True)
    x = m.conv(y, 20, act=LINEAR, add=x)
    small = m.node(g.Pool(g.PoolKind.MAX, 2, 2, 2, 2), x, extents=(4, 4, 20))
    small = m.conv(small, 28, act=g.ActivationSpec(g.Activation.RELU))
    small = m.conv(small, 28, kernel=3, act=g.ActivationSpec(g.Activation.SILU, (1.0,)))
    twice = m.constant(np.repeat(np.arange(4), 2).astype(np.int32))
    up = m.node(g.Gather(), m.conv(small, 8), twice, twice, None, extents=(8, 8, 8))
    large = m.node(g.Concat(2), up, m.conv(x, 8))
    m.output(m.conv(large, 5, act=g.ActivationSpec(g.Activation.SIGMOID), alpha=0))
    m.output(m.conv(small, 5, act=g.ActivationSpec(g.Activation.SIGMOID), alpha=0))
    pooled = m.node(g.ReducePixels(g.Reduce.MEAN), small)
    scores = m.node(g.Softmax(1, 10, 1), m.conv(pooled, 10, act=LINEAR, alpha=0))
    m.output(scores)
    m.output(m.node(g.ReduceChannels(g.Reduce.ARG_MAX, 1, 10, 1), scores), "int64")
    return m.graph


def random_network(seed: int) -> g.Graph:
    """A graph of about 12 random nodes; every third prepares its frames, resizing them by letterbox."""
    graph = GraphMaker(seed, exact=False, nodes=12).graph
    source = graph.inputs[0]
    channels = graph.values[source.value].channels
    if seed % 3 == 0 and channels <= 4:
        order = tuple(reversed(range(channels)))
        normal = ((127.5,) * channels, (1 / 127.5,) * channels)
        source.preprocess = g.Preprocess(g.Resize.LETTERBOX, g.Align.CENTER, 114, order, *normal)
        source.grey_level = 0.0
    return graph


def write_random(folder: Path, count: int) -> list[Path]:
    """Files of the first ``count`` random networks."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"random{seed}.fgm" for seed in range(count)]
    for seed, path in enumerate(paths):
        path.write_bytes(to_bytes(random_network(seed)))
    return paths


if __name__ == "__main__":
    TINY.parent.mkdir(exist_ok=True)
    TINY.write_bytes(to_bytes(tiny()))
    EXPECTED.write_text(json.dumps(golden(run(build("host") / "golden", TINY))[0], indent=1) + "\n")
