"""Skip-Convolutions in ONNX: the node framegate::SkipConv, and plain models with a gates description beside them."""

from __future__ import annotations

import dataclasses

import numpy as np
import onnx
from onnx import helper, numpy_helper

from runtime.reference.errors import ArgumentError
from runtime.reference.graph import (
    GATE_WEIGHTS,
    RESIDUAL_BIAS,
    Array,
    Conv2d,
    SkipGate,
    SkipKind,
    SkipReference,
    SkipUpdate,
)

from .builder import Builder
from .layout import Tensor
from .onnx_conv import convolution, weights_of
from .onnx_node import OnnxNode, Result, Unsupported, register
from .skip import DOMAIN, GEOMETRY, OP, VERSION, Described, Description, SkipSpec

REMEDY = "correct the node or its gates description (docs/skipconv.md)"


@register(OP, domain=DOMAIN)
def _skip_conv(node: OnnxNode, builder: Builder) -> Result:
    try:
        spec = SkipSpec.from_attributes(node.attributes)
    except ArgumentError as error:
        raise Unsupported(str(error), REMEDY) from error
    builder.begin(node.text("module", "") or node.name or node.outputs[0])
    x = node.operand(0)
    if not isinstance(x, Tensor) or len(x.shape) != 4:
        raise Unsupported("its input is no running image of shape (1, C, H, W)", REMEDY)
    result = convolution(node, builder)
    conv = builder.graph.nodes[-1]
    assert isinstance(conv.attributes, Conv2d)
    conv.gate = _share(spec, builder) if spec.gate == "shared" else bind(spec, weights_of(node), result.extents[0])
    conv.inputs = [*conv.inputs, None, None, None, None][:6]
    if spec.gate == "gumbel":
        weights, bias = _gate_weights(node, (x.shape[1], conv.attributes.kernel_h, conv.attributes.kernel_w))
        conv.inputs[GATE_WEIGHTS] = builder.constant(weights, "gate_weights")
        conv.gate = dataclasses.replace(conv.gate, bias=bias)
    if spec.residual_bias and conv.gate.update == SkipUpdate.RESIDUAL and conv.gate.reference == SkipReference.LAST:
        conv.inputs[RESIDUAL_BIAS] = conv.inputs[2]
    return result


def bind(spec: SkipSpec, weights: Array, rows: int) -> SkipGate:
    """The gate of a convolution with weights (C_out, C_in/groups, kernel_h, kernel_w) and so many output rows.

    It is bound to the weights the network was trained with: batch norms are folded later, and do not reach the gate.
    """
    residual, last = spec.update == "residual", spec.reference == "last"
    gate = SkipGate(
        SkipKind[spec.gate.upper()],
        block=spec.structure,
        update=SkipUpdate.RESIDUAL if residual else SkipUpdate.RECOMPUTE,
        reference=SkipReference.LAST if last else SkipReference.FIRED,
        reset=spec.reset_interval,
    )
    if spec.gate == "gumbel":
        return gate
    scale = 1.0 / (weights.shape[2] * weights.shape[3] * rows) if spec.quirks else 1.0
    if spec.gate == "norm_output":
        norm = spec.weight_norm or float(np.abs(weights.astype(np.float64)).sum())
        scale *= norm / weights.size if spec.quirks else norm
    return dataclasses.replace(
        gate,
        eps=float(spec.eps),
        scale=max(scale, float(np.finfo(np.float32).tiny)),  # of weights that are all 0
        floor=spec.quirks,
        half=spec.quirks and residual and last,
    )


def _share(spec: SkipSpec, builder: Builder) -> SkipGate:
    """The gate of the convolution that was made last, which shares that of one before it.

    Raises:
        Unsupported: there is no such one, or it has another grid, resets or halves.
    """
    *before, conv = builder.graph.nodes
    leader = next((node for node in before if spec.leader in (node.name, node.output)), None)
    if leader is None or not isinstance(leader.gate, SkipGate) or leader.gate.leader is not None:
        raise Unsupported(f"leader is {spec.leader!r}, which is no SkipConv before it with a gate of its own", REMEDY)
    own, other = (builder.graph.values[node.output].extents[:2] for node in (conv, leader))
    if own != other:
        raise Unsupported(f"its output has {own} pixels and that of its leader {spec.leader!r} {other}", REMEDY)
    if spec.reset_interval not in (0, leader.gate.reset):
        raise Unsupported(f"reset_interval is {spec.reset_interval}, that of its leader {leader.gate.reset}", REMEDY)
    residual, last = spec.update == "residual", spec.reference == "last"
    if leader.gate.half and not (residual and last):
        raise Unsupported(f"its leader {spec.leader!r} halves residuals, which it does not have", REMEDY)
    return SkipGate(
        SkipKind.SHARED,
        update=SkipUpdate.RESIDUAL if residual else SkipUpdate.RECOMPUTE,
        reference=SkipReference.LAST if last else SkipReference.FIRED,
        half=leader.gate.half,
        reset=leader.gate.reset,
        leader=leader.output,
    )


def _gate_weights(node: OnnxNode, shape: tuple[int, int, int]) -> tuple[Array, float]:
    """A Gumbel gate's weights (1, 1, C_in, kernel_h * kernel_w) and its bias."""
    weights, bias = node.constant(3, "gate weights"), node.constant(4, "gate bias")
    if weights is None:
        raise Unsupported("its gumbel gate has no weights (input 3)", "give them, or with a description under its keys")
    if weights.shape != (1, *shape) or (bias is not None and bias.size != 1):
        sizes = f"weights {weights.shape} and bias {None if bias is None else bias.shape}"
        raise Unsupported(f"its gate has {sizes}, not {(1, *shape)} and (1,)", REMEDY)
    return weights.reshape(1, 1, shape[0], -1), 0.0 if bias is None else float(bias.reshape(-1)[0])


def described(model: onnx.ModelProto, description: Description) -> tuple[onnx.ModelProto, list[str]]:
    """A copy of a model whose convolutions have the gates of a description: Conv nodes become SkipConv, or back.

    A convolution is known by its node's name, its output's name, its weights' name without ".weight" (which PyTorch's
    exporters make of the module's path), and a SkipConv also by its attribute ``module``.

    Returns:
        The model, and notes on what to check.

    Raises:
        ArgumentError: the description does not fit; names the node.
    """
    changed = onnx.ModelProto()
    changed.CopyFrom(model)
    if all(item.domain != DOMAIN for item in changed.opset_import):
        changed.opset_import.append(helper.make_opsetid(DOMAIN, VERSION))
    known, doubtful = [], []
    for node in changed.graph.node:
        skips = (node.domain, node.op_type) == (DOMAIN, OP)
        if not skips and (node.op_type != "Conv" or node.domain not in ("", "ai.onnx")):
            continue
        names = _names(node)
        known.append(names[0])
        found = description.find(names)
        if found is None:
            continue
        try:
            spec = _rewrite(changed, node, found, skips)
        except ArgumentError as error:
            raise ArgumentError(f"{names[0]}: {error}") from error
        if spec is not None and not skips and _trusts_folded(node, spec, found):
            doubtful.append(names[0])
    description.require_used(known)
    if not doubtful:
        return changed, []
    return changed, [
        f"{', '.join(doubtful)}: weights and bias are taken as trained; where the exporter folded a batch norm into "
        "them, the gates description must give weight_norm and residual_bias"
    ]


def _trusts_folded(node: onnx.NodeProto, spec: SkipSpec, found: Described) -> bool:
    """Whether a gate depends on weights or a bias into which an exporter may have folded a batch norm."""
    biased = len(node.input) > 2 and bool(node.input[2])
    again = spec.residual_bias and (spec.update, spec.reference) == ("residual", "last")
    by_bias = again and "residual_bias" not in found.attributes
    by_weights = spec.gate == "norm_output" and not spec.weight_norm
    return biased and (by_bias or by_weights)


def _names(node: onnx.NodeProto) -> list[str]:
    weights = node.input[1] if len(node.input) > 1 else ""
    module = next((item.s.decode() for item in node.attribute if item.name == "module"), "")
    names = [module, weights.removesuffix(".weight"), node.name, node.output[0]]
    return list(dict.fromkeys(name for name in names if name))


def _rewrite(model: onnx.ModelProto, node: onnx.NodeProto, found: Described, skips: bool) -> SkipSpec | None:
    attributes = {item.name: helper.get_attribute_value(item) for item in node.attribute}
    spec = found.spec(SkipSpec.from_attributes(attributes) if skips else None)
    geometry = {name: attributes[name] for name in GEOMETRY if name in attributes}
    inputs = [*node.input, "", "", ""][:5]
    if spec is None:
        made = helper.make_node("Conv", [name for name in inputs[:3] if name], list(node.output), node.name, **geometry)
    else:
        for position, array in ((3, found.gate_weight), (4, found.gate_bias)):
            if array is not None:
                inputs[position] = f"{node.output[0]}.gate.{position}"
                model.graph.initializer.append(numpy_helper.from_array(array, inputs[position]))
        gate = {**spec.to_attributes(), "module": _names(node)[0]}
        made = helper.make_node(OP, inputs, list(node.output), node.name, domain=DOMAIN, **geometry, **gate)
    node.CopyFrom(made)
    return spec
