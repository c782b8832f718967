"""Parts of networks that people bring, each as its exporters write it, against ONNX Runtime.

Every network is converted, and run dense and gated with threshold 0 over two frames. ``transposes`` counts the nodes
behind which changes are no longer local: none where the source model only moves axes around.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

import converters
import runtime

onnxruntime.set_default_logger_severity(4)
IMAGE = (1, 3, 24, 32)


class Net:
    """Writes an ONNX graph node by node; calls give the name of the result."""

    def __init__(self, *shapes: Sequence[int], opset: int = 17) -> None:
        self.random = np.random.default_rng(1)
        self.opset, self.nodes, self.constants = opset, [], []
        self.inputs = {f"x{i}" if i else "x": list(shape) for i, shape in enumerate(shapes or (IMAGE,))}
        self.widths = {"x": (shapes or (IMAGE,))[0][1]}

    def const(self, value: Any) -> str:
        array = np.asarray(value)
        array = array.astype(np.float32) if array.dtype.kind == "f" else array.astype(np.int64)
        name = f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(array, name))
        return name

    def weights(self, *shape: int) -> str:
        scale = (2 / np.prod(shape[1:], dtype=float)) ** 0.5 if len(shape) > 1 else 0.3
        return self.const(self.random.normal(size=shape) * scale)

    def __call__(self, op: str, *inputs: Any, outputs: int = 1, **attributes: Any) -> Any:
        names = [item if isinstance(item, str) else self.const(item) for item in inputs]
        results = [f"n{len(self.nodes)}_{i}" for i in range(outputs)]
        self.nodes.append(helper.make_node(op, names, results, name=f"{op}_{len(self.nodes)}", **attributes))
        self.widths[results[0]] = self.widths.get(names[0] if names else "", 0)
        return results[0] if outputs == 1 else results

    def conv(self, x: str, count: int, kernel: Any = 3, groups: int = 1, **attributes: Any) -> str:
        sides = (kernel, kernel) if isinstance(kernel, int) else kernel
        attributes.setdefault("pads", [sides[0] // 2, sides[1] // 2] * 2)
        weights, bias = self.weights(count, self.widths[x] // groups, *sides), self.weights(count)
        y = self("Conv", x, weights, bias, kernel_shape=list(sides), group=groups, **attributes)
        self.widths[y] = count
        return str(y)

    def wide(self, name: str, channels: int) -> str:
        self.widths[name] = channels
        return name

    def linear(self, x: str, rows: int, cols: int) -> str:
        return str(self("Add", self("MatMul", x, self.weights(rows, cols)), self.weights(cols)))

    def silu(self, x: str) -> str:
        return str(self("Mul", x, self("Sigmoid", x)))

    def gelu(self, x: str) -> str:
        erf = self("Add", self("Erf", self("Div", x, 2**0.5)), 1.0)
        return str(self("Mul", self("Mul", x, erf), 0.5))

    def model(self, *results: str) -> onnx.ModelProto:
        graph = helper.make_graph(
            self.nodes,
            "architecture",
            [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in self.inputs.items()],
            [helper.make_empty_tensor_value_info(name) for name in results],
            self.constants,
        )
        imports = [helper.make_opsetid("", self.opset)]
        made = helper.make_model(graph, opset_imports=imports, ir_version=helper.find_min_ir_version_for(imports))
        return onnx.shape_inference.infer_shapes(made)


ARCHITECTURES: dict[str, tuple[Callable[[], onnx.ModelProto], int]] = {}


def architecture(transposes: int = 0) -> Callable[[Callable[[], onnx.ModelProto]], Callable[[], onnx.ModelProto]]:
    """Lists a network, with the transposes it may have after conversion."""

    def wrap(function: Callable[[], onnx.ModelProto]) -> Callable[[], onnx.ModelProto]:
        ARCHITECTURES[function.__name__] = function, transposes
        return function

    return wrap


def layer_norm(n: Net, x: str, size: int) -> str:
    """Layer norm over the last axis, as exporters before opset 17 write it."""
    centred = n("Sub", x, n("ReduceMean", x, axes=[-1]))
    variance = n("ReduceMean", n("Pow", centred, 2.0), axes=[-1])
    y = n("Div", centred, n("Sqrt", n("Add", variance, 1e-6)))
    return str(n("Add", n("Mul", y, n.weights(size)), n.weights(size)))


@architecture()
def convnext_block() -> onnx.ModelProto:
    n = Net()
    x = n.conv("x", 8, (4, 4), strides=[4, 4], pads=[0] * 4)
    y = n("Transpose", n.conv(x, 8, 7, groups=8), perm=[0, 2, 3, 1])
    y = n.linear(n.gelu(n.linear(layer_norm(n, y, 8), 8, 32)), 32, 8)
    y = n("Transpose", n("Mul", y, n.weights(8)), perm=[0, 3, 1, 2])
    return n.model(n.conv(n.wide(n("Add", x, y), 8), 4))


@architecture()
def global_response_norm() -> onnx.ModelProto:
    n = Net()
    y = n("Transpose", n.conv("x", 8), perm=[0, 2, 3, 1])
    size = n("ReduceL2", y, axes=[1, 2])
    scaled = n("Mul", y, n("Div", size, n("Add", n("ReduceMean", size, axes=[-1]), 1e-6)))
    y = n("Add", n("Add", n("Mul", scaled, n.weights(1, 1, 1, 8)), n.weights(1, 1, 1, 8)), y)
    return n.model(n.conv(n.wide(n("Transpose", y, perm=[0, 3, 1, 2]), 8), 4, 1))


@architecture()
def mobilenet_v3_block() -> onnx.ModelProto:
    n = Net()
    x = n.conv("x", 8, strides=[2, 2])
    y = n.conv(n("HardSwish", n.conv(x, 16, 1)), 16, 5, groups=16)
    s = n.conv(n("Relu", n.conv(n("GlobalAveragePool", y), 4, 1)), 16, 1)
    s = n("HardSigmoid", s, alpha=1 / 6)
    return n.model(n("Add", n.conv(n("Mul", y, s), 8, 1), x))


@architecture()
def cbam() -> onnx.ModelProto:
    n = Net()
    x = n.conv("x", 8)
    first, second = n.weights(2, 8, 1, 1), n.weights(8, 2, 1, 1)
    branches = [
        n("Conv", n("Relu", n("Conv", n(f"Global{kind}Pool", x), first)), second) for kind in ("Average", "Max")
    ]
    x = n.wide(n("Mul", x, n("Sigmoid", n("Add", *branches))), 8)
    both = n("Concat", n("ReduceMax", x, axes=[1]), n("ReduceMean", x, axes=[1]), axis=1)
    return n.model(n("Mul", x, n("Sigmoid", n.conv(n.wide(both, 2), 1, 7))))


@architecture()
def aspp_segmentation() -> onnx.ModelProto:
    n = Net()
    x = n("Relu", n.conv("x", 8, strides=[4, 4]))
    parts = [n.conv(x, 4, dilations=[d, d], pads=[d] * 4) for d in (1, 3, 6)]
    pooled = n("Relu", n.conv(n("GlobalAveragePool", x), 4, 1))
    parts.append(n("Resize", pooled, "", "", np.array([1, 4, 6, 8]), mode="linear"))
    y = n.conv(n.wide(n("Concat", *parts, axis=1), 16), 5, 1)
    y = n("Resize", y, "", "", np.array([1, 5, 24, 32]), mode="linear", coordinate_transformation_mode="align_corners")
    return n.model(n("ArgMax", y, axis=1, keepdims=0), y)


@architecture()
def pixel_shuffle_and_back() -> onnx.ModelProto:
    n = Net()
    y = n("Reshape", "x", np.array([1, 3, 12, 2, 16, 2]))
    y = n.wide(n("Reshape", n("Transpose", y, perm=[0, 1, 3, 5, 2, 4]), np.array([1, 12, 12, 16])), 12)
    y = n.conv(y, 16)
    y = n("Reshape", y, np.array([1, 16, 6, 2, 8, 2]))
    y = n.wide(n("Reshape", n("Transpose", y, perm=[0, 1, 3, 5, 2, 4]), np.array([1, 64, 6, 8])), 64)
    return n.model(n("DepthToSpace", n.conv(y, 48), blocksize=4, mode="CRD"))


@architecture()
def decoder() -> onnx.ModelProto:
    n = Net()
    x = n.wide(n("Relu", n.conv("x", 8, strides=[2, 2])), 8)
    y = n("ConvTranspose", n.conv(x, 16, strides=[2, 2]), n.weights(16, 8, 4, 4), strides=[2, 2], pads=[1] * 4)
    y = n.conv(n.wide(n("Concat", x, n("Relu", y), axis=1), 16), 6)
    y = n("ConvTranspose", y, n.weights(6, 2, 3, 3), strides=[2, 2], pads=[1] * 4, output_padding=[1, 1], group=2)
    return n.model(y)


@architecture()
def pyramid() -> onnx.ModelProto:
    n = Net((1, 3, 26, 34))
    levels = ["x"]
    for width in (8, 12, 16):
        levels.append(n.wide(n.silu(n.conv(levels[-1], width, strides=[2, 2])), width))
    sizes = [(13, 17), (7, 9), (4, 5)]
    maps = [n.conv(level, 8, 1) for level in levels[1:]]
    for i in (1, 0):
        up = n("Resize", maps[i + 1], "", "", np.array([1, 8, *sizes[i]]), mode="nearest", nearest_mode="floor",
               coordinate_transformation_mode="asymmetric")  # fmt: skip
        maps[i] = n.wide(n("Add", maps[i], up), 8)
    for i in (1, 2):
        maps[i] = n.wide(n("Add", maps[i], n.conv(maps[i - 1], 8, strides=[2, 2])), 8)
    return n.model(*maps)


@architecture()
def style_transfer() -> onnx.ModelProto:
    n = Net()
    y = n("Pad", "x", np.array([0, 0, 4, 4, 0, 0, 4, 4]), mode="reflect")
    y = n.conv(n.wide(y, 3), 8, 9, pads=[0] * 4)
    y = n("Relu", n("InstanceNormalization", y, n.weights(8), n.weights(8)))
    y = n.conv(n.wide(n("Pad", y, np.array([0, 0, 1, 1, 0, 0, 1, 1]), mode="edge"), 8), 4, pads=[0] * 4)
    groups = n("InstanceNormalization", n("Reshape", y, np.array([1, 2, -1])), np.ones(2), np.zeros(2))
    y = n("Add", n("Mul", n("Reshape", groups, np.array([1, 4, 24, 32])), n.weights(4, 1, 1)), n.weights(4, 1, 1))
    return n.model(n("Resize", y, "", np.array([1.0, 1, 2, 2]), mode="cubic"))


@architecture()
def channel_shuffle() -> onnx.ModelProto:
    n = Net()
    a, b = n("Split", n.conv("x", 8, strides=[2, 2]), np.array([4, 4]), outputs=2, axis=1)
    y = n.conv(n("Relu", n.conv(n.wide(b, 4), 4, groups=4)), 4, 1)
    y = n("Reshape", n("Concat", a, y, axis=1), np.array([1, 2, 4, 12, 16]))
    y = n("Reshape", n("Transpose", y, perm=[0, 2, 1, 3, 4]), np.array([1, -1, 12, 16]))
    return n.model(n.conv(n.wide(y, 8), 4))


@architecture()
def inception_and_pools() -> onnx.ModelProto:
    n = Net((1, 3, 25, 31))
    x = n("MaxPool", "x", kernel_shape=[3, 3], strides=[2, 2], pads=[1] * 4, ceil_mode=1)
    x = n.wide(n("Concat", n.conv(x, 4, (1, 7)), n.conv(x, 4, (7, 1)), n("AveragePool", x, kernel_shape=[3, 3],
               pads=[1] * 4), axis=1), 11)  # fmt: skip
    pools = [x]
    for _ in range(2):
        pools.append(n("MaxPool", pools[-1], kernel_shape=[5, 5], strides=[1, 1], pads=[2] * 4))
    y = n.conv(n.wide(n("Concat", *pools, axis=1), 33), 8, 1)
    return n.model(n("AveragePool", y, kernel_shape=[2, 2], strides=[2, 2], ceil_mode=1, count_include_pad=1))


@architecture()
def focus_stem() -> onnx.ModelProto:
    n = Net()
    parts = []
    for row, col in ((0, 0), (1, 0), (0, 1), (1, 1)):
        y = n("Slice", "x", np.array([row]), np.array([2**31]), np.array([2]), np.array([2]))
        parts.append(n("Slice", y, np.array([col]), np.array([2**31]), np.array([3]), np.array([2])))
    return n.model(n.silu(n.conv(n.wide(n("Concat", *parts, axis=1), 12), 8)))


@architecture()
def batch_norms() -> onnx.ModelProto:
    n = Net(opset=9)
    x = n.conv("x", 8)

    def norm(y: str) -> str:
        given = n.weights(8), n.weights(8), n.weights(8), n.const(n.random.uniform(0.5, 2, 8))
        return n.wide(n("BatchNormalization", y, *given), 8)

    for _ in range(2):
        x = n.wide(n("Relu", n("Add", n("Add", norm(n.conv(x, 8)), norm(n.conv(x, 8, 1))), norm(x))), 8)
    return n.model(n("PRelu", x, n.weights(8, 1, 1)))


@architecture()
def pixel_norm() -> onnx.ModelProto:
    n = Net()
    x = n.conv("x", 8)
    size = n("Clip", n("ReduceL2", x, axes=[1]), np.float32(1e-12))
    return n.model(n("Div", x, n("Expand", size, np.array([1, 8, 24, 32]))))


def attention(n: Net, x: str, tokens: int, width: int, heads: int, batch: int = 1) -> str:
    """Multi-head attention over (batch, tokens, width)."""
    shape = np.array([batch, tokens, 3, heads, width // heads])
    qkv = n("Transpose", n("Reshape", n.linear(x, width, 3 * width), shape), perm=[2, 0, 3, 1, 4])
    q, k, v = (n("Gather", qkv, np.array(i), axis=0) for i in range(3))
    scores = n("Mul", n("MatMul", q, n("Transpose", k, perm=[0, 1, 3, 2])), (width // heads) ** -0.5)
    y = n("Transpose", n("MatMul", n("Softmax", scores, axis=-1), v), perm=[0, 2, 1, 3])
    return n.linear(n("Reshape", y, np.array([batch, tokens, width])), width, width)


@architecture(transposes=4)  # every token meets every other
def vision_transformer() -> onnx.ModelProto:
    n = Net()
    x = n("Reshape", n.conv("x", 16, (8, 8), strides=[8, 8], pads=[0] * 4), np.array([1, 16, -1]))
    x = n("Concat", n.weights(1, 1, 16), n("Transpose", x, perm=[0, 2, 1]), axis=1)
    x = n("Add", x, n.weights(1, 13, 16))
    y = n("LayerNormalization", x, n.weights(16), n.weights(16))
    x = n("Add", x, attention(n, y, 13, 16, 4))
    return n.model(n.linear(n("Gather", x, np.array(0), axis=1), 16, 5))


@architecture(transposes=2)  # windows of all heads are turned at once
def window_attention() -> onnx.ModelProto:
    n = Net()
    x = n("Transpose", n.conv("x", 8, (2, 2), strides=[2, 2], pads=[0] * 4), perm=[0, 2, 3, 1])
    y = n("Reshape", x, np.array([1, 3, 4, 4, 4, 8]))
    y = attention(n, n("Reshape", n("Transpose", y, perm=[0, 1, 3, 2, 4, 5]), np.array([12, 16, 8])), 16, 8, 2, 12)
    y = n("Transpose", n("Reshape", y, np.array([1, 3, 4, 4, 4, 8])), perm=[0, 1, 3, 2, 4, 5])
    y = n("Add", x, n("Reshape", y, np.array([1, 12, 16, 8])))
    return n.model(n.conv(n.wide(n("Transpose", y, perm=[0, 3, 1, 2]), 8), 4))


@architecture(transposes=1)
def einsum_attention() -> onnx.ModelProto:
    n = Net()
    x = n("Reshape", n.conv("x", 8, strides=[4, 4]), np.array([1, 8, 48]))
    scores = n("Softmax", n("Einsum", x, x, equation="bcn,bcm->bnm"), axis=-1)
    return n.model(n("Reshape", n("Einsum", scores, x, equation="bnm,bcm->bcn"), np.array([1, 8, 6, 8])))


def grid(rows: int, cols: int) -> np.ndarray:
    return np.stack(np.meshgrid(np.arange(cols), np.arange(rows)), -1).astype(np.float32)[None, None]


@architecture()
def anchor_decoding() -> onnx.ModelProto:
    n = Net()
    x, boxes = "x", []
    for rows, cols in ((6, 8), (3, 4)):
        x = n.wide(n.silu(n.conv(x, 8, strides=[4, 4] if rows == 6 else [2, 2])), 8)
        y = n("Reshape", n.conv(x, 27, 1), np.array([1, 3, 9, rows, cols]))
        y = n("Sigmoid", n("Transpose", y, perm=[0, 1, 3, 4, 2]))
        centre, size, rest = n("Split", y, np.array([2, 2, 5]), outputs=3, axis=4)
        centre = n("Mul", n("Add", n("Sub", n("Mul", centre, 2.0), 0.5), grid(rows, cols)), 8.0)
        size = n("Mul", n("Pow", n("Mul", size, 2.0), 2.0), n.weights(1, 3, 1, 1, 2))
        boxes.append(n("Reshape", n("Concat", centre, size, rest, axis=4), np.array([1, -1, 9])))
    return n.model(n("Concat", *boxes, axis=1))


@architecture()
def decoding_in_place() -> onnx.ModelProto:
    n = Net()
    y = n("Reshape", n.conv("x", 18, 1, strides=[4, 4]), np.array([1, 2, 9, 6, 8]))
    y = n("Sigmoid", n("Transpose", y, perm=[0, 1, 3, 4, 2]))
    for start in (0, 2):
        index = np.stack(np.meshgrid([0], range(2), range(6), range(8), range(start, start + 2), indexing="ij"), -1)
        part = n("GatherND", y, index)
        part = n("Add", part, grid(6, 8)) if start == 0 else n("Exp", part)
        y = n("ScatterND", y, index, part)
    return n.model(n("Reshape", y, np.array([1, -1, 9])))


@architecture()
def box_distributions() -> onnx.ModelProto:
    n = Net()
    parts = [n("Reshape", n.conv("x", 21, strides=[s, s]), np.array([1, 21, -1])) for s in (4, 8)]
    box, scores = n("Split", n("Concat", *parts, axis=2), np.array([16, 5]), outputs=2, axis=1)
    box = n("Softmax", n("Transpose", n("Reshape", box, np.array([1, 4, 4, 60])), perm=[0, 2, 1, 3]), axis=1)
    box = n("Conv", box, np.arange(4.0).reshape(1, 4, 1, 1))
    return n.model(n("Reshape", box, np.array([1, 4, 60])), n("Sigmoid", scores))


@architecture(transposes=1)  # a softmax over all pixels of each channel
def soft_argmax() -> onnx.ModelProto:
    n = Net()
    heat = n.conv("x", 5, strides=[4, 4])
    p = n("Reshape", n("Softmax", n("Reshape", heat, np.array([1, 5, -1])), axis=-1), np.array([1, 5, 6, 8]))
    at = [n("ReduceSum", n("Mul", n("ReduceSum", p, np.array([axis]), keepdims=0), np.linspace(0, 1, size)),
            np.array([-1]), keepdims=0) for axis, size in ((2, 8), (3, 6))]  # fmt: skip
    return n.model(n("Concat", *(n("Unsqueeze", item, np.array([2])) for item in at), axis=2))


@architecture()
def one_dimensional() -> onnx.ModelProto:
    n = Net((1, 4, 60))
    y = n("Relu", n("Conv", "x", n.weights(8, 4, 5), strides=[2], pads=[2, 2]))
    y = n(
        "MaxPool", n("Conv", y, n.weights(8, 4, 3), group=2, dilations=[2], pads=[2, 2]), kernel_shape=[2], strides=[2]
    )
    y = n("ConvTranspose", y, n.weights(8, 3, 4), strides=[2], pads=[1, 1])
    return n.model(n("Resize", y, "", np.array([1.0, 1, 2]), mode="linear"))


@architecture()
def two_inputs() -> onnx.ModelProto:
    n = Net(IMAGE, (1, 2, 12, 16))
    y = n.conv("x", 4, strides=[2, 2])
    y = n.wide(n("Concat", y, "x1", axis=1), 6)
    return n.model(n.conv(y, 4), n("Mul", y, n("ReduceMean", "x1", axes=[1])))


@architecture()
def channels_last() -> onnx.ModelProto:
    """As Keras exports: NHWC in and out, transposes around each convolution, pads of one side."""
    n = Net((1, 24, 32, 3))
    x = n.wide(n("Transpose", n("Sub", n("Mul", "x", 1 / 127.5), 1.0), perm=[0, 3, 1, 2]), 3)
    x = n.conv(x, 8, pads=[0, 0, 1, 1], strides=[2, 2])
    y = n("Clip", n("Transpose", x, perm=[0, 2, 3, 1]), np.float32(0), np.float32(6))
    y = n("Pad", y, np.array([0, 0, 0, 0, 0, 1, 1, 0]))
    y = n.conv(n.wide(n("Transpose", y, perm=[0, 3, 1, 2]), 8), 8, groups=8, pads=[0] * 4)
    y = n("Transpose", n("Conv", y, n.weights(4, 8, 1, 1), auto_pad="SAME_UPPER"), perm=[0, 2, 3, 1])
    return n.model(n("ArgMax", y, axis=3, keepdims=0), n("Softmax", y, axis=-1))


def sessions(made: onnx.ModelProto, frames: Sequence[dict[str, np.ndarray]]) -> list[list[np.ndarray]]:
    session = onnxruntime.InferenceSession(made.SerializeToString(), providers=["CPUExecutionProvider"])
    return [session.run(None, frame) for frame in frames]


def as_frame(array: np.ndarray, info: Any) -> np.ndarray:
    """A source tensor as the stream takes it."""
    if array.ndim != 4:
        return array
    rest = [axis for axis in range(4) if axis not in info.pixel_axes]
    return np.ascontiguousarray(array.transpose(*info.pixel_axes, *rest)).reshape(
        info.height, info.width, info.channels
    )


@pytest.mark.parametrize("name", sorted(ARCHITECTURES))
def test_equals_onnx_runtime(name: str, tmp_path: Path) -> None:
    build, transposes = ARCHITECTURES[name]
    made = build()
    rng = np.random.default_rng(0)
    first = {
        item.name: rng.normal(size=[d.dim_value for d in item.type.tensor_type.shape.dim]).astype(np.float32)
        for item in made.graph.input
    }
    second = {key: array.copy() for key, array in first.items()}
    second["x"][..., 3:6, 5:9] += 1
    report = converters.convert(made, tmp_path / "net.fgm")
    assert report.nodes.get("transpose", 0) == transposes
    model = runtime.Model.load(tmp_path / "net.fgm")
    dense, exact = runtime.Stream(model, gating=False), runtime.Stream(model, threshold_scale=0)
    for frame, wanted in zip((first, second), sessions(made, (first, second)), strict=True):
        pushed = {info.name: as_frame(frame[info.name], info) for info in model.inputs}
        ours, gated = dense.push(pushed), exact.push(pushed)
        for output, want in zip(ours, wanted, strict=True):
            assert ours[output].tobytes() == gated[output].tobytes()
            assert ours[output].shape == want.shape
            error = np.linalg.norm((ours[output].astype(float) - want).ravel())
            assert error <= 1e-5 * np.linalg.norm(want.astype(float).ravel()), output
