"""Blocks of mobile networks as small ONNX files, a few layers alike each, for ``python -m tests.networks.bench
--blocks``: depthwise convolutions, convolutions with SiLU, squeeze and excite. A global mean ends every file, so that
no engine has large outputs to bring into order."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from runtime.bench_report import best, geometric_mean, milliseconds, notes, number, trusted
from runtime.tables import Table

LAYERS = 8
OPSET = 13


class Chain:
    """A network under construction; each method adds an operator and returns its output's name."""

    def __init__(self, channels: int, side: int) -> None:
        self.shape = (1, channels, side, side)
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []
        self.rng = np.random.default_rng(channels * 1000 + side)

    def node(self, op: str, *inputs: str, **attributes: Any) -> str:
        """Any operator with one output."""
        name = f"v{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, list(inputs), [name], **attributes))
        return name

    def constant(self, value: Any) -> str:
        """A float32 tensor."""
        name = f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(value, np.float32), name))
        return name

    def conv(
        self,
        x: str,
        inputs: int,
        outputs: int,
        size: int,
        stride: int = 1,
        *,
        depthwise: bool = False,
        bias: float = 0.0,
    ) -> str:
        """Same padding, weights that keep the variance, biases around ``bias``."""
        shape = (outputs, 1 if depthwise else inputs, size, size)
        weights = self.rng.normal(size=shape) * (2 / np.prod(shape[1:])) ** 0.5
        names = self.constant(weights), self.constant(self.rng.normal(bias, 0.1, outputs))
        return self.node("Conv", x, *names, kernel_shape=[size] * 2, strides=[stride] * 2, pads=[size // 2] * 4,
                         group=inputs if depthwise else 1)  # fmt: skip

    def silu(self, x: str) -> str:
        """x * sigmoid(x)."""
        return self.node("Mul", x, self.node("Sigmoid", x))

    def relu6(self, x: str) -> str:
        """Between 0 and 6."""
        return self.node("Clip", x, self.constant(0), self.constant(6))

    def excite(self, x: str, channels: int, squeezed: int, *, hard: bool) -> str:
        """x times a gate per channel: global mean, 1x1, activation, 1x1, (hard) sigmoid. Hu et al. 2018, equation 4."""
        mean = self.node("GlobalAveragePool", x)
        small = self.conv(mean, channels, squeezed, 1)
        small = self.node("Relu", small) if hard else self.silu(small)
        gate = self.conv(small, squeezed, channels, 1, bias=2)  # mostly open, so that numbers stay as large
        return self.node("Mul", x, self.node("HardSigmoid" if hard else "Sigmoid", gate))

    def save(self, path: Path, outputs: Sequence[str], channels: int) -> None:
        """Writes the network from ``x`` to the outputs' global means, joined in ``y``."""
        means = [self.node("GlobalAveragePool", name) for name in outputs]
        self.nodes.append(helper.make_node("Concat", means, ["y"], axis=1) if len(means) > 1 else
                          helper.make_node("Identity", means, ["y"]))  # fmt: skip
        ends = [
            helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape)
            for name, shape in (("x", self.shape), ("y", (1, channels * len(means), 1, 1)))
        ]
        graph = helper.make_graph(self.nodes, path.stem, ends[:1], ends[1:], self.constants)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=8)
        onnx.checker.check_model(model)
        onnx.save(model, path)


@dataclass(frozen=True)
class Block:
    """A kind of block on maps of ``channels`` and ``side`` squared pixels; ``build`` adds its layers to a chain."""

    group: str
    name: str
    channels: int
    side: int
    build: Callable[[Chain, int], Sequence[str]]

    @property
    def title(self) -> str:
        """For tables."""
        return f"{self.name} {self.channels}x{self.side}x{self.side}"

    def write(self, path: Path) -> None:
        """Makes the ONNX file."""
        chain = Chain(self.channels, self.side)
        chain.save(path, self.build(chain, self.channels), self.channels)

    def frame(self) -> np.ndarray[Any, np.dtype[np.float32]]:
        """An input (rows, cols, channels)."""
        rng = np.random.default_rng(self.side)
        return np.abs(rng.normal(size=(self.side, self.side, self.channels))).astype(np.float32)


def repeated(layer: Callable[[Chain, str, int], str]) -> Callable[[Chain, int], Sequence[str]]:
    """LAYERS of a kind, one after the other."""

    def build(chain: Chain, channels: int) -> Sequence[str]:
        x = "x"
        for _ in range(LAYERS):
            x = layer(chain, x, channels)
        return [x]

    return build


def depthwise(size: int, stride: int) -> Callable[[Chain, int], Sequence[str]]:
    """With ReLU6. Layers of stride 2 cannot follow each other on maps alike: they stand side by side."""

    def layer(chain: Chain, x: str, channels: int) -> str:
        return chain.relu6(chain.conv(x, channels, channels, size, stride, depthwise=True))

    if stride == 1:
        return repeated(layer)
    return lambda chain, channels: [layer(chain, "x", channels) for _ in range(LAYERS)]


def inverted(expansion: int, size: int, squeezed: int, hard: bool) -> Callable[[Chain, int], Sequence[str]]:
    """EfficientNet's block (hard: MobileNetV3's): 1x1, depthwise, squeeze and excite, 1x1, residual."""

    def layer(chain: Chain, x: str, channels: int) -> str:
        wide = channels * expansion

        def act(y: str) -> str:
            return chain.node("Relu", y) if hard else chain.silu(y)

        y = act(chain.conv(x, channels, wide, 1))
        y = chain.excite(act(chain.conv(y, wide, wide, size, depthwise=True)), wide, squeezed, hard=hard)
        return chain.node("Add", x, chain.conv(y, wide, channels, 1))

    return repeated(layer)


def silu(size: int) -> Callable[[Chain, int], Sequence[str]]:
    """A convolution with SiLU."""
    return repeated(lambda chain, x, channels: chain.silu(chain.conv(x, channels, channels, size)))


def excite(squeezed: int, hard: bool) -> Callable[[Chain, int], Sequence[str]]:
    """Squeeze and excite alone."""
    return repeated(lambda chain, x, channels: chain.excite(x, channels, squeezed, hard=hard))


# Shapes of MobileNetV2, V3 and EfficientNet-B0 at 224, EfficientDet-D0 at 512, YOLOX-nano at 416, YOLOv8n at 320.
BLOCKS = [
    *(Block("depthwise 3x3", "dw 3x3", c, n, depthwise(3, 1))
      for c, n in ((32, 112), (64, 52), (64, 64), (144, 56), (192, 28), (384, 14), (960, 7))),
    *(Block("depthwise 3x3", "dw 3x3 stride 2", c, n, depthwise(3, 2)) for c, n in ((96, 112), (144, 56), (576, 14))),
    *(Block("depthwise 5x5", "dw 5x5", c, n, depthwise(5, 1)) for c, n in ((64, 52), (240, 28), (672, 14), (1152, 7))),
    *(Block("depthwise 5x5", "dw 5x5 stride 2", c, n, depthwise(5, 2)) for c, n in ((144, 56), (672, 14))),
    *(Block("SiLU", "1x1 + SiLU", c, n, silu(1)) for c, n in ((32, 104), (64, 52), (128, 26), (256, 13))),
    *(Block("SiLU", "3x3 + SiLU", c, n, silu(3)) for c, n in ((32, 80), (64, 40), (128, 20))),
    Block("squeeze-excite", "SE", 144, 56, excite(6, False)),
    Block("squeeze-excite", "SE", 240, 28, excite(10, False)),
    Block("squeeze-excite", "SE", 672, 14, excite(28, False)),
    Block("squeeze-excite", "SE hard", 120, 28, excite(32, True)),
    Block("squeeze-excite", "MBConv 5x5 x6, SE", 40, 28, inverted(6, 5, 10, False)),
    Block("squeeze-excite", "MBConv 5x5 x6, SE", 112, 14, inverted(6, 5, 28, False)),
    Block("squeeze-excite", "MBConv 5x5 x3, SE hard", 40, 28, inverted(3, 5, 32, True)),
]  # fmt: skip


def table(reports: Sequence[dict[str, Any]]) -> Table:
    """Ours over the best rival's time, and per engine milliseconds and the share of peak.

    Reports are those of ``bench.measure`` with ``group`` and ``peak``, GFLOP/s by number of threads.
    """
    rows = [(report, row) for report in reports for row in report["rows"]]
    names = list(dict.fromkeys(name for _, row in rows for name in row["engines"]))
    head = ["block", "threads", "ours / best", "best", *(f"{n} {what}" for n in names for what in ("ms", "of peak"))]
    made = Table(f"blocks, {LAYERS} layers alike, dense", head, labels=1)
    peaks = {threads: max(report["peak"][threads] for report in reports) for threads in reports[0]["peak"]}
    ratios: dict[tuple[str, int], list[float]] = {}
    for report, row in rows:
        counted, fastest = trusted(row), best(row, trusted(row))
        ratio = row["engines"]["framegate"]["ms"] / fastest[1] if fastest else None
        if ratio:
            ratios.setdefault((report["group"], row["threads"]), []).append(ratio)
        cells = []
        for name in names:
            engine = row["engines"].get(name)
            cells.append(milliseconds(engine, name != "framegate" and name not in counted))
            gflops = 2 * report["mmacs"] / engine["ms"] if engine else 0
            cells.append(f"{gflops / peaks[str(row['threads'])]:.0%}" if engine else "-")
        made.rows.append([report["model"], str(row["threads"]), number(ratio), fastest[0] if fastest else "-", *cells])
    for (group, threads), values in ratios.items():
        made.rows.append([f"{group}: geometric mean", str(threads), number(geometric_mean(values)),
                          *[""] * (len(head) - 3)])  # fmt: skip
    found = ", ".join(f"{value:.0f} GFLOP/s at {threads} thread(s)" for threads, value in peaks.items())
    made.notes += [
        f"Peak: our matrix product, the best of this run: {found}. Direct-form work counts.",
        *notes(reports),
    ]
    return made
