"""What an operator's handler sees of an ONNX node, and the registry of handlers; the onnx package is not needed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from runtime.reference.graph import Array

from .builder import Builder, Operand
from .layout import Tensor

CUT = "cut the graph before this node (onnx.utils.extract_model) and keep post-processing in your own code"


class Unsupported(Exception):  # noqa: N818 - never leaves this package
    """A node that cannot be imported.

    Attributes:
        reason: why.
        remedy: what the user can do about it.
    """

    def __init__(self, reason: str, remedy: str = CUT) -> None:
        super().__init__(reason)
        self.reason, self.remedy = reason, remedy


@dataclass
class OnnxNode:
    """One node with its inputs resolved.

    Attributes:
        inputs: running tensors, constant arrays, or None where an optional input is absent.
        outputs: names; "" where an optional output is not wanted.
        attributes: Python numbers, lists, strings or arrays by name.
        opset: version of the node's operator set in the model.
    """

    op: str
    domain: str
    name: str
    opset: int
    inputs: list[Operand | None]
    outputs: list[str]
    attributes: dict[str, Any] = field(default_factory=dict)

    def attr(self, name: str, default: Any = None) -> Any:
        """An attribute, or its default."""
        return self.attributes.get(name, default)

    def text(self, name: str, default: str) -> str:
        """A string attribute."""
        value = self.attributes.get(name, default)
        return value.decode() if isinstance(value, bytes) else str(value)

    def has(self, index: int) -> bool:
        """Whether an input is there."""
        return index < len(self.inputs) and self.inputs[index] is not None

    def operand(self, index: int) -> Operand:
        """A required input."""
        value = self.inputs[index] if index < len(self.inputs) else None
        if value is None:
            raise Unsupported(f"input {index} is missing", "re-export the model; this node is not valid ONNX")
        return value

    def constant(self, index: int, what: str, default: Array | None = None) -> Array | None:
        """A constant input, or the default where it is absent."""
        if not self.has(index):
            return default
        value = self.inputs[index]
        if isinstance(value, Tensor):
            raise Unsupported(
                f"its {what} (input {index}) is computed while running",
                f"export with a fixed {what}, e.g. through onnxsim or onnx constant folding with static shapes",
            )
        return value

    def integers(self, name: str, index: int) -> list[int] | None:
        """A list of integers that older operator sets give as an attribute and newer ones as a constant input."""
        if name in self.attributes:
            return [int(number) for number in np.atleast_1d(self.attributes[name])]
        value = self.constant(index, name)
        return None if value is None else [int(number) for number in np.atleast_1d(value)]


Result = Operand | Sequence[Operand | None]
Handler = Callable[[OnnxNode, Builder], Result]
HANDLERS: dict[tuple[str, str], Handler] = {}
_REASONS: dict[tuple[str, str], str] = {
    ("its result's size or order depends on the data", CUT): (
        "NonMaxSuppression NonZero TopK Unique Compress RoiAlign MaxRoiPool Det"
    ),
    ("it moves data by positions computed while running", CUT): "GridSample DeformConv",
    ("quantised arithmetic is not supported yet", "convert the float model the quantised one was made from"): (
        "QuantizeLinear DequantizeLinear DynamicQuantizeLinear QLinearConv QLinearMatMul ConvInteger MatMulInteger"
    ),
    ("recurrent and looping operators are not supported", "unroll it when exporting, or " + CUT): (
        "LSTM GRU RNN Loop Scan SequenceMap"
    ),
    ("running products are not supported", CUT): "CumProd",
    ("its bounds are computed while running", "export with static shapes, or " + CUT): "Range",
}
REMEDIES = {op: why for why, names in _REASONS.items() for op in names.split()}  # operator: (reason, remedy)


def register(*names: str, domain: str = "") -> Callable[[Handler], Handler]:
    """Registers a handler for one or more operators of a domain ("" is ONNX's own)."""

    def wrap(handler: Handler) -> Handler:
        for name in names:
            HANDLERS[domain, name] = handler
        return handler

    return wrap


def normalized(axis: int, rank: int) -> int:
    """A possibly negative axis counted from the front."""
    if not -rank <= axis < max(rank, 1):
        raise Unsupported(f"axis {axis} does not exist in a tensor of rank {rank}", "re-export the model")
    return axis + rank if axis < 0 else axis
