"""Networks with frozen budgets: made here as ONNX with seeded weights and converted like a user's own."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

import converters

PREPARE = {"mean": [127.5] * 3, "std": [127.5] * 3}


class Maker:
    """Appends nodes to an ONNX graph; every method returns the name of what it makes."""

    def __init__(self) -> None:
        self.rng = np.random.default_rng(11)
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[onnx.TensorProto] = []

    def constant(self, shape: tuple[int, ...], scale: float) -> str:
        name = f"w{len(self.weights)}"
        data = self.rng.normal(0, scale, shape).astype(np.float32)
        self.weights.append(numpy_helper.from_array(data, name))
        return name

    def node(self, kind: str, *inputs: str, **attributes: object) -> str:
        name = f"{kind.lower()}{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, inputs, [name], name, **attributes))
        return name

    def conv(self, x: str, inputs: int, outputs: int, kernel: int = 1, stride: int = 1, groups: int = 1) -> str:
        fan_in = inputs // groups * kernel * kernel
        w = self.constant((outputs, inputs // groups, kernel, kernel), (2 / fan_in) ** 0.5)
        attributes = {"kernel_shape": [kernel] * 2, "strides": [stride] * 2, "pads": [kernel // 2] * 4, "group": groups}
        return self.node("Conv", x, w, self.constant((outputs,), 0.1), **attributes)

    def relu(self, x: str) -> str:
        return self.node("Relu", x)

    def silu(self, x: str) -> str:
        return self.node("Mul", x, self.node("Sigmoid", x))

    def model(self, size: int, output: str, shape: tuple[int, ...]) -> onnx.ModelProto:
        image = helper.make_tensor_value_info("image", TensorProto.FLOAT, (1, 3, size, size))
        result = helper.make_tensor_value_info(output, TensorProto.FLOAT, shape)
        graph = helper.make_graph(self.nodes, "network", [image], [result], self.weights)
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)


def mobile() -> onnx.ModelProto:
    """Inverted residuals as in MobileNetV2, with 3x3 and 5x5 depthwise kernels, ReLU and SiLU, and a classifier."""
    m = Maker()
    x, channels = m.relu(m.conv("image", 3, 16, 3, 2)), 16
    for outputs, stride, kernel, act in ((16, 1, 3, m.relu), (24, 2, 3, m.relu), (24, 1, 3, m.relu), (40, 2, 5, m.silu),
                                         (40, 1, 5, m.silu), (80, 2, 3, m.silu), (80, 1, 3, m.relu)):  # fmt: skip
        wide = channels * 4
        y = act(m.conv(x, channels, wide))
        y = act(m.conv(y, wide, wide, kernel, stride, groups=wide))
        y = m.conv(y, wide, outputs)
        x = m.node("Add", x, y) if channels == outputs and stride == 1 else y
        channels = outputs
    x = m.node("GlobalAveragePool", m.relu(m.conv(x, channels, 160)))
    return m.model(128, m.node("Softmax", m.conv(x, 160, 20), axis=1), (1, 20, 1, 1))


def residual() -> onnx.ModelProto:
    """3x3 convolutions with residuals as in ResNet, a max pool, and a map of scores upsampled to twice its size."""
    m = Maker()
    x = m.node("MaxPool", m.relu(m.conv("image", 3, 32, 3, 2)), kernel_shape=[2, 2], strides=[2, 2])
    channels = 32
    for outputs, stride in ((32, 1), (64, 2), (64, 1), (128, 2)):
        y = m.conv(m.relu(m.conv(x, channels, outputs, 3, stride)), outputs, outputs, 3)
        short = x if channels == outputs and stride == 1 else m.conv(x, channels, outputs, 1, stride)
        x, channels = m.relu(m.node("Add", y, short)), outputs
    x = m.conv(x, channels, 12)
    scales = numpy_helper.from_array(np.array([1, 1, 2, 2], np.float32), "scales")
    m.weights.append(scales)
    x = m.node("Resize", x, "", "scales", mode="nearest", coordinate_transformation_mode="asymmetric",
               nearest_mode="floor")  # fmt: skip
    return m.model(96, m.node("Sigmoid", x), (1, 12, 12, 12))


NETWORKS = {"mobile": mobile, "residual": residual}


def write(folder: Path) -> dict[str, Path]:
    """The converted networks, by name."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = {name: folder / f"{name}.fgm" for name in NETWORKS}
    for name, path in paths.items():
        converters.convert(NETWORKS[name](), path, preprocess=PREPARE)
    return paths
