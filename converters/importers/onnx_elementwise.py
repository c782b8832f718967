"""Pointwise operators, casts and choices."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import reduce
from typing import Any

import numpy as np

from runtime.reference.graph import Activation, ActivationSpec, Binary, Where

from .builder import Builder, Operand
from .layout import Tensor
from .onnx_node import OnnxNode, Result, Unsupported, register

# Operator: activation, then its parameters as (attribute, default).
SIMPLE: dict[str, tuple[Any, ...]] = {
    "Relu": (Activation.RELU,),
    "Sigmoid": (Activation.SIGMOID,),
    "Tanh": (Activation.TANH,),
    "Erf": (Activation.ERF,),
    "Mish": (Activation.MISH,),
    "Softplus": (Activation.SOFTPLUS,),
    "Softsign": (Activation.SOFTSIGN,),
    "Exp": (Activation.EXP,),
    "Log": (Activation.LOG,),
    "Sqrt": (Activation.SQRT,),
    "Reciprocal": (Activation.RECIPROCAL,),
    "Floor": (Activation.FLOOR,),
    "Ceil": (Activation.CEIL,),
    "Round": (Activation.ROUND,),
    "Abs": (Activation.ABS,),
    "Neg": (Activation.NEG,),
    "Sign": (Activation.SIGN,),
    "Not": (Activation.NOT,),
    "LeakyRelu": (Activation.LEAKY_RELU, ("alpha", 0.01)),
    "Elu": (Activation.ELU, ("alpha", 1.0)),
    "Celu": (Activation.CELU, ("alpha", 1.0)),
    "Selu": (Activation.SELU, ("alpha", 1.6732632423543772), ("gamma", 1.0507009873554805)),
    "HardSigmoid": (Activation.HARD_SIGMOID, ("alpha", 0.2), ("beta", 0.5)),
    "HardSwish": (Activation.HARD_SWISH, ("alpha", 1 / 6), ("beta", 0.5)),
    "ThresholdedRelu": (Activation.THRESHOLD, ("alpha", 1.0)),
    "Swish": (Activation.SILU, ("alpha", 1.0)),
}

BINARY = {
    "Add": Binary.ADD,
    "Sub": Binary.SUB,
    "Mul": Binary.MUL,
    "Div": Binary.DIV,
    "Pow": Binary.POW,
}
COMPARISONS = {
    "Equal": Binary.EQUAL,
    "Less": Binary.LESS,
    "LessOrEqual": Binary.LESS_EQUAL,
    "Greater": Binary.GREATER,
    "GreaterOrEqual": Binary.GREATER_EQUAL,
    "And": Binary.AND,
    "Or": Binary.OR,
    "Xor": Binary.XOR,
}
VARIADIC = {"Min": Binary.MIN, "Max": Binary.MAX, "Sum": Binary.ADD, "Mean": Binary.ADD}


NOT_NUMBERS = ("float8_", "float6_", "float4_", "int4", "uint4", "int2", "uint2", "str", "complex")


def is_integer(dtype: str) -> bool:
    """Whether a source dtype holds integers."""
    return dtype.startswith(("int", "uint"))


def dtype_of(operand: Operand) -> str:
    """A source dtype name."""
    return operand.dtype if isinstance(operand, Tensor) else operand.dtype.name


def scalar(operand: Operand) -> float | None:
    """The number of a constant that holds one number only."""
    return None if isinstance(operand, Tensor) or operand.size != 1 else float(operand.reshape(-1)[0])


@register(*SIMPLE)
def _simple(node: OnnxNode, builder: Builder) -> Result:
    kind, *parameters = SIMPLE[node.op]
    x = builder.tensor(node.operand(0))
    if is_integer(x.dtype) and node.op in ("Floor", "Ceil", "Round"):
        return x
    return builder.unary(x, kind, *(float(node.attr(name, default)) for name, default in parameters))


@register("Gelu")
@register("Gelu", "FastGelu", domain="com.microsoft")
def _gelu(node: OnnxNode, builder: Builder) -> Result:
    x = node.operand(0)
    if node.has(1):
        x = builder.binary(Binary.ADD, x, node.operand(1))
    tanh = node.op == "FastGelu" or node.text("approximate", "none") == "tanh"
    return builder.unary(builder.tensor(x), Activation.GELU_TANH if tanh else Activation.GELU)


@register("QuickGelu", domain="com.microsoft")
def _quick_gelu(node: OnnxNode, builder: Builder) -> Result:
    return builder.unary(builder.tensor(node.operand(0)), Activation.SILU, float(node.attr("alpha", 1.702)))


@register("Clip")
def _clip(node: OnnxNode, builder: Builder) -> Result:
    x = builder.tensor(node.operand(0))
    bounds: list[Operand] = []
    for index, (name, default) in enumerate((("min", -math.inf), ("max", math.inf)), 1):
        limit = node.operand(index) if node.has(index) else np.array(node.attr(name, default), np.float32)
        bounds.append(limit)
    low, high = scalar(bounds[0]), scalar(bounds[1])
    if low is None or high is None:
        return builder.binary(Binary.MIN, builder.binary(Binary.MAX, x, bounds[0]), bounds[1])
    if low == 0 and high == math.inf:
        return builder.unary(x, Activation.RELU)
    return builder.unary(x, Activation.CLIP, low, high)


@register(*BINARY)
def _binary(node: OnnxNode, builder: Builder) -> Result:
    a, b = node.operand(0), node.operand(1)
    exponent = scalar(b)
    if node.op == "Pow" and exponent is not None and isinstance(a, Tensor) and len(b.shape) <= len(a.shape):
        return builder.unary(a, Activation.SQUARE) if exponent == 2 else builder.unary(a, Activation.POW, exponent)
    integer = node.op == "Div" and is_integer(dtype_of(a))
    rounding = ActivationSpec(Activation.TRUNC) if integer else ActivationSpec()
    return builder.binary(BINARY[node.op], a, b, dtype_of(a), rounding)


@register("PRelu")
def _prelu(node: OnnxNode, builder: Builder) -> Result:
    x, slope = node.operand(0), node.operand(1)
    if (
        not isinstance(slope, Tensor)
        and len(x.shape) > 2
        and slope.shape == (x.shape[1],)
        and x.shape[-1] != slope.size
    ):
        # One per channel, as before opset 7; exporters kept writing it.
        slope = slope.reshape(-1, *(1,) * (len(x.shape) - 2))
    return builder.binary(Binary.PRELU, x, slope, dtype_of(x))


@register(*COMPARISONS)
def _comparison(node: OnnxNode, builder: Builder) -> Result:
    return builder.binary(COMPARISONS[node.op], node.operand(0), node.operand(1), "bool")


@register(*VARIADIC)
def _variadic(node: OnnxNode, builder: Builder) -> Result:
    operands = sorted(
        (node.operand(index) for index in range(len(node.inputs))), key=lambda item: not isinstance(item, Tensor)
    )
    kind = VARIADIC[node.op]
    if len(operands) == 1:
        result = builder.tensor(operands[0])
    else:
        result = builder.tensor(reduce(lambda a, b: builder.binary(kind, a, b), operands))
    if node.op == "Mean" and len(operands) > 1:
        result = builder.unary(result, Activation.AFFINE, 1 / len(operands), 0.0)
    return result


@register("Mod")
def _mod(node: OnnxNode, builder: Builder) -> Result:
    kind = Binary.FMOD if node.attr("fmod", 0) else Binary.MOD
    return builder.binary(kind, node.operand(0), node.operand(1))


@register("Where")
def _where(node: OnnxNode, builder: Builder) -> Result:
    operands = [node.operand(index) for index in range(3)]
    return builder.elementwise(Where(), operands, dtype_of(operands[1]))


@register("Shrink")
def _shrink(node: OnnxNode, builder: Builder) -> Result:
    x = builder.tensor(node.operand(0))
    bias, limit = (np.array(node.attr(*item), np.float32) for item in (("bias", 0.0), ("lambd", 0.5)))
    above, below = builder.binary(Binary.GREATER, x, limit), builder.binary(Binary.LESS, x, -limit)
    low = builder.elementwise(Where(), [below, builder.binary(Binary.ADD, x, bias), np.zeros((), np.float32)])
    return builder.elementwise(Where(), [above, builder.binary(Binary.SUB, x, bias), low], x.dtype)


@register("IsNaN")
def _is_nan(node: OnnxNode, builder: Builder) -> Result:
    x = builder.tensor(node.operand(0))
    return builder.unary(builder.binary(Binary.EQUAL, x, x, "bool"), Activation.NOT)


@register("IsInf")
def _is_inf(node: OnnxNode, builder: Builder) -> Result:
    x = builder.tensor(node.operand(0))
    negative, positive = bool(node.attr("detect_negative", 1)), bool(node.attr("detect_positive", 1))
    if negative and positive:
        x = builder.unary(x, Activation.ABS)
    if not (negative or positive):
        return builder.unary(x, Activation.AFFINE, 0.0, 0.0, dtype="bool")
    return builder.binary(Binary.EQUAL, x, np.array(np.inf if positive else -np.inf, np.float32), "bool")


@register("Identity")
def _identity(node: OnnxNode, _: Builder) -> Result:
    return node.operand(0)


@register("Dropout")
def _dropout(node: OnnxNode, _: Builder) -> Result:
    training = node.constant(2, "training_mode")
    if training is not None and bool(training):
        raise Unsupported("it is in training mode", "export the model in evaluation mode (module.eval())")
    x = node.operand(0)
    return [x, np.ones(x.shape, bool)]


def cast_to(builder: Builder, x: Tensor, dtype: str) -> Tensor:
    """A cast: integers truncate, truth is 0 or 1; the engine computes everything in float32."""
    if dtype.startswith(NOT_NUMBERS):
        raise Unsupported(f"a cast to {dtype} is not supported", "export the float model")
    if dtype == "bool":
        return x if x.dtype == "bool" else builder.unary(x, Activation.BOOL, dtype="bool")
    if is_integer(dtype) and not is_integer(x.dtype) and x.dtype != "bool":
        return builder.unary(x, Activation.TRUNC, dtype=dtype)
    return replace(x, dtype=dtype)


@register("CastLike")
def _cast_like(node: OnnxNode, builder: Builder) -> Result:
    return cast_to(builder, builder.tensor(node.operand(0)), dtype_of(node.operand(1)))


@register("Cast")
def _cast(node: OnnxNode, builder: Builder) -> Result:
    # The importer gives "to" as a NumPy dtype name.
    return cast_to(builder, builder.tensor(node.operand(0)), str(node.attr("to")))
