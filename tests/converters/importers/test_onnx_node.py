from __future__ import annotations

import numpy as np
import pytest

from converters.importers.layout import Tensor
from converters.importers.onnx_node import HANDLERS, REMEDIES, OnnxNode, Unsupported, normalized


def node(**attributes):
    running = Tensor("x", (1, 3))
    return OnnxNode("Op", "", "n", 13, [running, None, np.array([1, 2])], ["y"], attributes)


def test_reads_attributes_and_inputs():
    assert node(mode=b"edge").text("mode", "constant") == "edge"
    assert node().text("mode", "constant") == "constant"
    assert node(axes=[3]).integers("axes", 2) == [3]
    assert node().integers("axes", 2) == [1, 2]
    assert node().integers("axes", 1) is None
    assert not node().has(1)
    assert not node().has(7)


def test_says_what_is_wrong():
    with pytest.raises(Unsupported, match="computed while running"):
        node().constant(0, "shape")
    with pytest.raises(Unsupported, match="missing"):
        node().operand(1)
    with pytest.raises(Unsupported, match="axis 5"):
        normalized(5, 4)
    assert normalized(-1, 4) == 3


def test_no_operator_is_both_supported_and_refused():
    assert not {op for domain, op in HANDLERS if not domain} & set(REMEDIES)
