"""Checks of a graph: names, order, and every operator's shape rule. Used before and after every pass."""

# ruff: noqa: ARG001 (all rules have one signature)

from __future__ import annotations

import functools
import math

import numpy as np

from runtime.reference.errors import FormatError
from runtime.reference.graph import (
    GATE_WEIGHTS,
    RESIDUAL_BIAS,
    Activation,
    Attributes,
    BinaryOp,
    Concat,
    Conv2d,
    ConvTranspose2d,
    Gather,
    Graph,
    HoldGate,
    Matmul,
    Node,
    Pool,
    ReduceChannels,
    Residual,
    ResizeOp,
    SkipGate,
    SkipKind,
    SkipReference,
    SkipUpdate,
    Softmax,
    Transpose,
    Unary,
    Value,
    ValueKind,
    View,
    Where,
    WinogradConv2d,
    winograd_fits,
)
from runtime.reference.ops import infer_extents, window_count
from runtime.reference.reader import PARAMETERS

MAX_SIDE, MAX_ELEMENTS, MAX_PHASES = 65536, 1 << 28, 64
ARITY = {
    Conv2d: (2, 4),
    Matmul: (2, 2),
    BinaryOp: (2, 2),
    Where: (3, 3),
    Gather: (1, 4),
    Concat: (1, 1024),
    ResizeOp: (5, 5),
}
HOSTS = (Conv2d, Matmul, Unary, BinaryOp)  # operators that may have an activation


def verify(graph: Graph, stage: str = "graph") -> Graph:
    """Returns the graph unchanged.

    Raises:
        FormatError: naming the stage, the node or value, and the rule that is broken.
    """
    for name, value in graph.values.items():
        _require(value.name == name, stage, f"value {value.name!r} is listed as {name!r}")
        _value(value, stage)
    known = {name for name, value in graph.values.items() if value.kind == ValueKind.CONSTANT}
    for item in graph.inputs:
        _require(item.value in graph.values, stage, f"input {item.name!r} has no value {item.value!r}")
        _require(graph.values[item.value].kind == ValueKind.INPUT, stage, f"input {item.name!r} is no input value")
        known.add(item.value)
    for node in graph.nodes:
        where = f"{stage}: {node.op} {node.name!r}"
        leader = node.gate.leader if isinstance(node.gate, SkipGate) else None
        for read in (*node.inputs, leader):
            _require(read is None or read in known, where, f"reads {read!r}, which is not known at that point")
        _require(node.output in graph.values and node.output not in known, where, f"{node.output!r} is known already")
        _require(graph.values[node.output].kind == ValueKind.NODE, where, f"output {node.output!r} is no node's value")
        known.add(node.output)
        _node(graph, node, where)
    unmade = [name for name in graph.values if name not in known]
    _require(not unmade, stage, f"values {unmade} have no producer")
    _require(bool(graph.inputs) and bool(graph.outputs), stage, "has no input or no output")
    for output in graph.outputs:
        _require(output.value in known, stage, f"output {output.name!r} has no value {output.value!r}")
        value = graph.values[output.value]
        fits = math.prod(value.shape) == value.elements and len(value.pixel_axes) <= 2
        _require(fits, stage, f"output {output.name!r}: {value.extents} is not source shape {value.shape}")
    return graph


def check_numbers(graph: Graph) -> Graph:
    """Returns the graph unchanged.

    Raises:
        FormatError: a constant holds NaN, or a convolution's weights infinity: no frame would give a number.
    """
    for node in graph.nodes:
        for value in (graph.values[name] for name in node.inputs if name is not None):
            if value.data is None or value.data.dtype != np.float32:
                continue
            bad = ~np.isfinite(value.data) if isinstance(node.attributes, Conv2d) else np.isnan(value.data)
            _require(
                not bad.any(),
                f"{node.op} {node.name!r}",
                f"{np.count_nonzero(bad)} of the {bad.size} numbers of {value.name!r} are NaN or infinite: such a "
                "network gives no results. Look at the training's loss, and export the weights of a good epoch",
            )
    return graph


def _require(rule: bool, where: str, message: str) -> None:
    if not rule:
        raise FormatError(f"{where}: {message}")


def _value(value: Value, stage: str) -> None:
    where = f"{stage}: value {value.name!r}"
    _require((value.data is not None) == (value.kind == ValueKind.CONSTANT), where, "only constants have data")
    if value.data is not None and value.data.ndim == 4:
        _require(value.data.dtype == np.float32, where, f"weights are {value.data.dtype}, not float32")
        return
    _require(min(value.extents) >= 1 and max(value.extents[:2]) <= MAX_SIDE, where, f"has extents {value.extents}")
    _require(value.elements <= MAX_ELEMENTS, where, f"has {value.elements} numbers, more than {MAX_ELEMENTS}")
    if value.data is not None:
        _require(value.data.dtype in (np.float32, np.int32), where, f"is {value.data.dtype}, not float32 or int32")
        _require(value.data.shape == value.extents, where, f"has data {value.data.shape} for extents {value.extents}")


def _node(graph: Graph, node: Node, where: str) -> None:
    attributes = node.attributes
    low, high = next((arity for kind, arity in ARITY.items() if isinstance(attributes, kind)), (1, 1))
    high = 6 if isinstance(node.gate, SkipGate) else high
    _require(low <= len(node.inputs) <= high, where, f"has {len(node.inputs)} inputs")
    _require(all(name is not None for name in node.inputs[:low]), where, "lacks an input")
    spec = node.activation
    _require(not spec.kind or isinstance(attributes, HOSTS), where, f"cannot have activation {spec.kind.name.lower()}")
    expected = PARAMETERS.get(Activation(spec.kind), 0)
    _require(len(spec.parameters) == expected, where, f"{spec.kind.name.lower()} needs {expected} parameters")
    _require(
        not any(math.isnan(number) for number in spec.parameters), where, "an activation parameter is not a number"
    )
    _require(node.gate is None or node.gate.block in (1, 2, 4, 8), where, f"has gate {node.gate}")
    if isinstance(node.gate, HoldGate):
        _require(node.gate.alpha >= 0, where, f"has gate {node.gate}")
    inputs = [None if name is None else graph.values[name] for name in node.inputs]
    out = graph.values[node.output]
    shapes = [None if value is None else _shape(value) for value in inputs]
    try:
        _check(attributes, inputs, out, where)
        extents = infer_extents(attributes, shapes)
    except (ValueError, IndexError, TypeError) as error:
        raise FormatError(f"{where}: input extents {shapes} do not go together: {error}") from error
    _require(extents is None or extents == out.extents, where, f"gives {extents}, not {out.extents}")
    if isinstance(node.gate, SkipGate):
        _skip_gate(node, node.gate, inputs, out, where)
        _shared_gate(graph, node.gate, out, where)


def _skip_gate(node: Node, gate: SkipGate, inputs: Operands, out: Value, where: str) -> None:
    """The rules of docs/file_format.md, section 5a."""
    a, x = node.attributes, inputs[0]
    where = f"{where}: {gate.kind.name.lower()} gate"
    assert x is not None
    plain = isinstance(a, Conv2d) and not isinstance(a, (ConvTranspose2d, WinogradConv2d))
    _require(plain, where, "is not on a plain convolution")
    assert isinstance(a, Conv2d)
    _require(a.residual == Residual.NONE, where, "has a fused residual input")
    _require(x.data is None, where, "reads a constant")
    weights, bias = _given(inputs, GATE_WEIGHTS), _given(inputs, RESIDUAL_BIAS)
    gumbel, residual = gate.kind == SkipKind.GUMBEL, gate.update == SkipUpdate.RESIDUAL
    official = residual and gate.reference == SkipReference.LAST
    shape = (1, 1, x.channels, a.kernel_h * a.kernel_w)
    _require((weights is not None) == gumbel, where, "has gate weights" if weights else "lacks gate weights")
    _require(weights is None or _shape(weights) == shape, where, f"weights are not a constant of {shape}")
    numbers, shared = (gate.eps, gate.scale, gate.bias), gate.kind == SkipKind.SHARED
    own = gumbel or shared or gate.scale > 0
    _require(all(map(math.isfinite, numbers)) and own, where, f"has numbers {numbers}")
    fits = not any(numbers) if shared else numbers[:2] == (0, 0) if gumbel else gate.bias == 0
    _require(fits, where, f"has numbers {numbers} of another kind")
    _require(0 <= gate.reset < 1 << 32, where, f"has reset {gate.reset}")
    _require(not (gumbel and (gate.floor or gate.half)), where, "floors or halves")
    _require(official or not gate.half, where, "halves, but does not update by residuals to the last frame")
    _require(bias is None or (official and bias.elements == out.channels), where, "has a residual bias out of place")
    _require(
        not residual or node.activation.kind == Activation.IDENTITY, where, "adds residuals, but has an activation"
    )


def _shared_gate(graph: Graph, gate: SkipGate, out: Value, where: str) -> None:
    """The rules of a shared gate, and that other gates are none; that the leader comes before is known."""
    _require((gate.leader is not None) == (gate.kind == SkipKind.SHARED), where, f"has leader {gate.leader!r}")
    if gate.leader is None:
        return
    node, value = graph.producers().get(gate.leader), graph.values[gate.leader]
    led = node.gate if node is not None else None
    _require(isinstance(led, SkipGate) and led.leader is None, where, f"{gate.leader!r} has no skip gate of its own")
    assert isinstance(led, SkipGate)
    _require(value.extents[:2] == out.extents[:2], where, f"{gate.leader!r} has {value.extents[:2]} pixels")
    fits = (gate.reset, gate.half, gate.floor, gate.block) == (led.reset, led.half, False, 1)
    _require(fits, where, f"has other resets or halves than {gate.leader!r}, or floors or blocks of its own")


def _shape(value: Value) -> tuple[int, ...]:
    return value.extents if value.data is None else value.data.shape


Operands = list[Value | None]


@functools.singledispatch
def _check(attributes: Attributes, inputs: Operands, out: Value, where: str) -> None:
    """Rules beyond those of infer_extents, per operator."""


def _given(inputs: Operands, position: int) -> Value | None:
    return inputs[position] if position < len(inputs) else None


def _size(value: Value | None) -> int:
    return 0 if value is None else value.elements


@_check.register
def _(attributes: Conv2d, inputs: Operands, out: Value, where: str) -> None:
    x, weights, bias, residual = inputs[0], inputs[1], _given(inputs, 2), _given(inputs, 3)
    a = attributes
    assert x is not None
    assert weights is not None
    _require(weights.data is not None and weights.data.ndim == 4, where, "weights are no constant of four axes")
    expected = (*a.weight_sides, x.channels // a.groups, out.channels)
    fits = _shape(weights) == expected and x.channels % a.groups == 0 and out.channels % a.groups == 0
    _require(fits, where, f"weights are {_shape(weights)}, not {expected} in {a.groups} groups")
    _require(bias is None or bias.elements == out.channels, where, f"bias has {_size(bias)} numbers")
    _require((residual is not None) == (a.residual != Residual.NONE), where, f"residual is {a.residual}")
    _require(residual is None or residual.extents == out.extents, where, "residual has other extents than the output")
    numbers = (a.stride_h, a.stride_w, a.dilation_h, a.dilation_w, a.pad_top, a.pad_left, a.pad_bottom, a.pad_right)
    _require(min(numbers[:4]) >= 1 and min(numbers[4:]) >= 0, where, f"has strides, dilations or pads {numbers}")
    _require(not isinstance(a, WinogradConv2d) or winograd_fits(a), where, "does not fit winograd")
    if isinstance(a, ConvTranspose2d):
        rows = (x.rows - 1) * a.stride_h + a.dilation_h * (a.kernel_h - 1) + 1 - a.pad_top + 4096
        cols = (x.cols - 1) * a.stride_w + a.dilation_w * (a.kernel_w - 1) + 1 - a.pad_left + 4096
        _require(out.rows <= rows and out.cols <= cols, where, f"output {out.extents} is too large")


@_check.register
def _(attributes: Matmul, inputs: Operands, out: Value, where: str) -> None:
    a, b = inputs
    assert a is not None
    assert b is not None
    _require(a.channels == b.cols and b.rows in (1, a.rows), where, f"{a.extents} times {b.extents} is not possible")


@_check.register
def _(attributes: Pool, inputs: Operands, out: Value, where: str) -> None:
    x, a = inputs[0], attributes
    assert x is not None
    rows = window_count(x.rows, a.kernel_h, a.stride_h, a.dilation_h, a.pad_top + a.pad_bottom)
    cols = window_count(x.cols, a.kernel_w, a.stride_w, a.dilation_w, a.pad_left + a.pad_right)
    fits = out.rows - rows in (0, 1) and out.cols - cols in (0, 1) and out.channels == x.channels
    _require(fits, where, f"gives {(rows, cols, x.channels)} or one more, not {out.extents}")
    starts = (out.rows - 1) * a.stride_h < x.rows + a.pad_top, (out.cols - 1) * a.stride_w < x.cols + a.pad_left
    _require(all(starts), where, "the last window starts behind the input")


@_check.register(ReduceChannels)
@_check.register(Softmax)
def _(attributes: ReduceChannels | Softmax, inputs: Operands, out: Value, where: str) -> None:
    a = attributes
    assert inputs[0] is not None
    product = a.outer * a.count * a.inner
    _require(product == inputs[0].channels, where, f"{a.outer} x {a.count} x {a.inner} is not {inputs[0].channels}")


@_check.register
def _(attributes: Concat, inputs: Operands, out: Value, where: str) -> None:
    others = [axis for axis in range(3) if axis != attributes.axis]
    fits = all(value is not None and all(value.extents[i] == out.extents[i] for i in others) for value in inputs)
    _require(fits, where, "inputs differ on another axis than the one they are joined on")


@_check.register
def _(attributes: Gather, inputs: Operands, out: Value, where: str) -> None:
    x, phases = inputs[0], (attributes.phase_rows, attributes.phase_cols)
    assert x is not None
    _require(min(phases) >= 1 and max(phases) <= MAX_PHASES, where, f"has phases {phases}")
    _require(_given(inputs, 3) is not None or phases == (1, 1), where, "has phases without a channel map")
    sizes = (out.rows, out.cols, phases[0] * phases[1] * out.channels)
    for axis, (name, size) in enumerate(zip(("row", "col", "channel"), sizes, strict=True)):
        value = _given(inputs, axis + 1)
        if value is None:
            _require(x.extents[axis] == out.extents[axis], where, f"no {name} map, but other extents")
        else:
            _table(value, size, x.extents[axis], f"{where}: {name} map")


def _table(value: Value, size: int, limit: int, where: str) -> None:
    _require(value.data is not None and value.data.dtype == np.int32, where, "is no int32 constant")
    table = np.asarray(value.data, np.int32)
    _require(table.size == size, where, f"has {table.size} entries, not {size}")
    _require(int(table.min()) >= -1 and int(table.max()) < limit, where, f"has entries outside -1 to {limit - 1}")


@_check.register
def _(attributes: ResizeOp, inputs: Operands, out: Value, where: str) -> None:
    x, row_index, row_weight, col_index, col_weight = inputs
    assert x is not None
    assert row_index is not None
    assert col_index is not None
    _require(x.channels == out.channels, where, f"changes the channels to {out.channels}")
    _table(row_index, out.rows * attributes.row_taps, x.rows, f"{where}: row index")
    _table(col_index, out.cols * attributes.col_taps, x.cols, f"{where}: col index")
    fits = _size(row_weight) == row_index.elements and _size(col_weight) == col_index.elements
    _require(fits, where, "has weights of another number than its indices")


@_check.register
def _(attributes: View, inputs: Operands, out: Value, where: str) -> None:
    _require(_size(inputs[0]) == out.elements, where, f"{_size(inputs[0])} numbers cannot be seen as {out.extents}")


@_check.register
def _(attributes: Transpose, inputs: Operands, out: Value, where: str) -> None:
    a = attributes
    dims, perm = a.dims[: a.rank], a.perm[: a.rank]
    fits = math.prod(dims) == _size(inputs[0]) == out.elements and sorted(perm) == list(range(a.rank))
    _require(fits, where, f"dims {dims} with perm {perm} do not turn {_size(inputs[0])} numbers")
