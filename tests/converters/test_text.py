"""The text form."""

from __future__ import annotations

import dataclasses

import numpy as np

from converters.text import to_text
from runtime.reference.graph import Activation, HoldGate, Preprocess, Resize

EXPECTED = """\
input x = x 6x5x3 shape (1, 3, 6, 5) pixels (2, 3) threshold 4 grey_level 0 resize letterbox top_left fill 114 \
order (0, 1, 2) mean (127, 127, 127) scale (0.5, 0.5, 0.5)
constant w1 float32 1x1x3x2 crc 29dd1225
constant c2 float32 1x1x2 [0.5, -2]
conv2d0 6x5x2 = conv2d(x, w1, c2) kernel_h=1 kernel_w=1 hold(alpha 0.1, l1, block 1, std 0)
unary1 6x5x2 = unary(conv2d0) -> clip(0, 6)
output unary1 = unary1 float32 shape (1, 2, 6, 5) pixels (2, 3)
"""


def test_text(network) -> None:
    n = network()
    graph = n.finish(n.unary(n.conv("x", 2), Activation.CLIP, 0, 6))
    graph.values["w1"].data = np.ones((1, 1, 3, 2), np.float32)
    graph.values["c2"].data = np.array([[[0.5, -2.0]]], np.float32)
    graph.nodes[0].gate = HoldGate(0.1)
    mean, scale = (127.0,) * 3, (0.5,) * 3
    prepare = Preprocess(Resize.LETTERBOX, fill=114, mean=mean, scale=scale)
    graph.inputs[0] = dataclasses.replace(graph.inputs[0], threshold=4.0, preprocess=prepare)
    assert to_text(graph) == EXPECTED
