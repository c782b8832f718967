"""Dense evaluation and MACs."""

from __future__ import annotations

import numpy as np

from converters.evaluate import evaluate, macs
from runtime.reference.graph import Activation, Binary


def test_values_by_name(network) -> None:
    n = network()
    y = n.unary("x", Activation.NEG)
    z = n.binary(Binary.ADD, y, [1.0, 2.0, 3.0])
    frame = np.arange(90, dtype=np.float32).reshape(6, 5, 3)
    values = evaluate(n.finish(z), {"x": frame}, frozenset({y}))
    assert set(values) == {y, z}
    assert np.array_equal(values[y], -frame)
    assert np.array_equal(values[z], np.array([1, 2, 3], np.float32) - frame)


def test_macs(network) -> None:
    n = network()
    y = n.conv("x", 4, kernel=3, pad=1)
    graph = n.finish(n.conv(y, 4, kernel=3, groups=4), n.conv_transpose(y, 2, kernel=2))
    assert macs(graph) == 30 * 9 * 3 * 4 + 12 * 9 * 4 + 12 * 10 * 1 * 4 * 2
