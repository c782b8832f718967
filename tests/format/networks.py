"""Small valid networks for the loader's tests."""

from __future__ import annotations

import numpy as np

from .builder import Builder

CONV, DECONV, MATMUL, POOL, REDUCE_PIXELS, REDUCE_CHANNELS, SOFTMAX, UNARY, BINARY, WHERE = range(1, 11)
GATHER, CONCAT, RESIZE, VIEW, TRANSPOSE = range(11, 16)
RELU, CLIP, SIGMOID = 1, 2, 4
IMAGE = {"prepare": 1, "resize": 2, "align": 1, "fill": 114, "channel_order": (2, 1, 0), "threshold": 4.0} | {
    "mean": (127.5, 127.5, 127.5),
    "scale": (0.0078125, 0.0078125, 0.0078125),
}


def window(kernel: int, stride: int = 1, pad: int = 0, dilation: int = 1) -> tuple[int, ...]:
    """The words kernel_h to pad_right of a square window."""
    return (kernel, kernel, stride, stride, dilation, dilation, pad, pad, pad, pad)


def conv_only() -> Builder:
    """One gated convolution with a bias."""
    net = Builder()
    image = net.input((4, 4, 3), (1, 3, 4, 4), (2, 3), **IMAGE)
    weights, bias = net.constant(np.ones(9 * 3 * 16)), net.constant(np.zeros(2))
    gate = {"gate": 1, "gate_norm": 2, "gate_block": 4, "gate_alpha": 0.5, "gate_std": 0.25}
    out = net.node(
        "conv", CONV, [image, weights, bias, None], (4, 4, 2), (*window(3, pad=1), 1, 0), activation=RELU, **gate
    )
    net.output(out, (1, 2, 4, 4), (2, 3))
    return net


def every_op() -> tuple[Builder, dict[str, int]]:
    """Each operator at least once, and the values by the name of their node, input or constant."""
    net = Builder()
    v: dict[str, int] = {}
    v["image"] = net.input((8, 8, 3), (1, 3, 8, 8), (2, 3), **IMAGE)
    v["state"] = net.input((1, 1, 8), (1, 8))

    def constant(name: str, array: object) -> int:
        v[name] = net.constant(np.asarray(array))
        return v[name]

    def node(
        name: str, op: int, inputs: list[int | None], extents: tuple[int, ...], *words: int, **fields: object
    ) -> None:
        v[name] = net.node(name, op, inputs, extents, words, **fields)

    conv_weights, conv_bias = constant("conv.weights", np.ones(9 * 3 * 16)), constant("conv.bias", np.zeros(16))
    gate = {"gate": 1, "gate_alpha": 0.125}
    inputs = [v["image"], conv_weights, conv_bias, None]
    node("conv", CONV, inputs, (8, 8, 16), *window(3, pad=1), 1, 0, activation=RELU, **gate)
    weights = constant("depthwise.weights", np.ones(9 * 16))
    node("depthwise", CONV, [v["conv"], weights, conv_bias, None], (4, 4, 16), *window(3, 2, 1), 16, 0)
    weights = constant("grouped.weights", np.ones(2 * 8 * 16))
    node("grouped", CONV, [v["depthwise"], weights, None, None], (4, 4, 8), *window(1), 2, 0)
    weights = constant("residual.weights", np.ones(8 * 16))
    node("residual", CONV, [v["grouped"], weights, None, v["grouped"]], (4, 4, 8), *window(1), 1, 1)
    weights = constant("deconv.weights", np.ones(9 * 8 * 16))
    node("deconv", DECONV, [v["residual"], weights, None, None], (8, 8, 4), *window(3, 2, 1), 1, 0)
    node("pool", POOL, [v["conv"]], (4, 4, 16), 0, *window(2, 2), 0)
    node("ceil_pool", POOL, [v["conv"]], (4, 4, 16), 1, *window(3, 2), 1)
    node("mean", REDUCE_PIXELS, [v["pool"]], (1, 1, 16), 0, 1, 1)
    node("argmax", REDUCE_CHANNELS, [v["pool"]], (4, 4, 1), 5, 1, 16, 1, 1)
    node("softmax", SOFTMAX, [v["pool"]], (4, 4, 16), 2, 8, 1, 0)
    node("sigmoid", UNARY, [v["mean"]], (1, 1, 16), activation=SIGMOID)
    clip = {"activation": CLIP, "activation_parameters": (0.0, 6.0)}
    node("mul", BINARY, [v["pool"], v["sigmoid"]], (4, 4, 16), 2, **clip)
    node("where", WHERE, [v["argmax"], v["mul"], conv_bias], (4, 4, 16))
    node("flip", GATHER, [v["pool"], constant("flip.row_map", [3, 2, 1, 0]), None, None], (4, 4, 16), 1, 1)
    maps = constant("shuffle.map", [0, 0, 1, 1, 2, 2, 3, -1]), constant("shuffle.channel_map", np.arange(16))
    node("shuffle", GATHER, [v["pool"], maps[0], maps[0], maps[1]], (8, 8, 4), 2, 2)
    node("concat", CONCAT, [v["pool"], v["where"], v["flip"]], (4, 4, 48), 2)
    index, weight = constant("resize.index", np.arange(16) // 4), constant("resize.weight", np.full(16, 0.5))
    node("resize", RESIZE, [v["pool"], index, weight, index, weight], (8, 8, 16), 2, 2)
    node("view", VIEW, [v["pool"]], (1, 1, 256))
    node("transpose", TRANSPOSE, [v["pool"]], (1, 16, 16), 2, 16, 16, *[0] * 6, 1, 0)
    node("matmul", MATMUL, [v["transpose"], v["transpose"]], (1, 16, 16))
    weights = constant("skip.weights", np.ones(9 * 16 * 16))
    gate = {"gate": 2, "gate_flags": 13, "gate_eps": 0.5, "gate_scale": 0.25, "gate_reset": 4}
    node("norm", CONV, [v["pool"], weights, None, None, None, conv_bias], (4, 4, 16), *window(3, pad=1), 1, 0, **gate)
    gate = {"gate": 4, "gate_block": 2, "gate_flags": 2, "gate_bias": -0.5}
    inputs = [v["norm"], weights, None, None, constant("gumbel.weights", np.ones(16 * 16)), None]
    node("gumbel", CONV, inputs, (4, 4, 16), *window(3, pad=1), 1, 0, activation=RELU, **gate)
    gate = {"gate": 5, "gate_flags": 9, "gate_reset": 4, "gate_leader": 20}
    weights = constant("shared.weights", np.ones(16 * 16))
    node("shared", CONV, [v["norm"], weights, None, None, None, conv_bias], (4, 4, 16), *window(1), 1, 0, **gate)
    weights = constant("winograd.weights", np.ones(36 * 16 * 16))
    inputs = [v["conv"], weights, conv_bias, v["conv"]]
    node("winograd", CONV, inputs, (8, 8, 16), *window(3, pad=1), 1, 1, flags=1, gate=1, gate_alpha=0.125)
    net.output(v["deconv"], (1, 4, 8, 8), (2, 3))
    net.output(v["argmax"], (1, 4, 4), (1, 2), dtype=5)
    net.output(v["matmul"], (16, 16), (1,))
    net.output(v["where"], (16, 4, 4), (1, 2), dtype=6)
    return net, v
