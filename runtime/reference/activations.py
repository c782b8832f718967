"""Pointwise functions of docs/file_format.md, section 5, in NumPy."""

# ruff: noqa: ARG005 (all functions of the tables take both parameters)

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from .graph import Activation, ActivationSpec

Floats = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]

_ERF_STEPS = 256  # table points per unit
_ERF_LIMIT = 6.0  # erf(6) rounds to 1 in double precision
_ERF_TABLE = np.array([math.erf(i / _ERF_STEPS) for i in range(int(_ERF_LIMIT * _ERF_STEPS) + 1)])


def erf(x: npt.NDArray[np.floating]) -> Doubles:
    """The error function of any array, relative error below 1e-11.

    A Taylor step of fourth order from the nearest point of a table: all derivatives of erf are polynomials times
    the first.
    """
    magnitude = np.minimum(np.abs(np.asarray(x, np.float64)), _ERF_LIMIT)
    index = np.rint(np.nan_to_num(magnitude) * _ERF_STEPS).astype(np.int64)
    point = index / _ERF_STEPS
    step = magnitude - point
    slope = 2.0 / math.sqrt(math.pi) * np.exp(-point * point)
    cubic = point * (3.0 - 2.0 * point * point) / 6.0
    series = 1.0 + step * (-point + step * ((2.0 * point * point - 1.0) / 3.0 + step * cubic))
    result: Doubles = np.copysign(_ERF_TABLE[index] + slope * step * series, x)
    return result


def _sigmoid(x: Doubles) -> Doubles:
    small = np.exp(-np.abs(x))
    result: Doubles = np.where(x >= 0, 1.0, small) / (1.0 + small)
    return result


def _softplus(x: Doubles) -> Doubles:
    result: Doubles = np.logaddexp(0.0, x)
    return result


def _gelu_tanh(x: Doubles) -> Doubles:
    result: Doubles = 0.5 * x * (1.0 + np.tanh(math.sqrt(2.0 / math.pi) * (x + 0.044715 * x * x * x)))
    return result


def _celu(x: Doubles, p: float) -> Doubles:
    result: Doubles = np.maximum(x, 0.0) + np.minimum(p * np.expm1(np.minimum(x, 0.0) / p), 0.0)
    return result


def _clip(x: Floats, low: np.float32, high: np.float32) -> Floats:
    """Where ``x`` lies inside, its own bits: a -0 stays one, which np.maximum does not promise."""
    raised = np.where(x < low, low, x)
    return np.where(raised > high, high, raised)


def _hard_sigmoid(x: Floats, p: np.float32, q: np.float32) -> Floats:
    return _clip(p * x + q, np.float32(0), np.float32(1))


def _sign(x: Floats) -> Floats:
    return np.where(x == 0, x, np.sign(x))


def _truth(x: npt.NDArray[np.bool_]) -> Floats:
    return x.astype(np.float32)


# In single precision, operation by operation as the engine does them: these are exact where their operands are small
# integers.
_SINGLE: dict[Activation, Callable[[Floats, np.float32, np.float32], Floats]] = {
    Activation.IDENTITY: lambda x, p, q: x,
    Activation.RELU: lambda x, p, q: np.where(x < 0, np.float32(0), x),
    Activation.CLIP: lambda x, p, q: _clip(x, p, q),
    Activation.LEAKY_RELU: lambda x, p, q: np.where(x < 0, p * x, x),
    Activation.HARD_SIGMOID: _hard_sigmoid,
    Activation.HARD_SWISH: lambda x, p, q: x * _hard_sigmoid(x, p, q),
    Activation.SOFTSIGN: lambda x, p, q: x / (np.float32(1) + np.abs(x)),
    Activation.SQRT: lambda x, p, q: np.sqrt(x),
    Activation.RECIPROCAL: lambda x, p, q: np.float32(1) / x,
    Activation.FLOOR: lambda x, p, q: np.floor(x),
    Activation.CEIL: lambda x, p, q: np.ceil(x),
    Activation.ROUND: lambda x, p, q: np.rint(x),
    Activation.ABS: lambda x, p, q: np.abs(x),
    Activation.NEG: lambda x, p, q: -x,
    Activation.SIGN: lambda x, p, q: _sign(x),
    Activation.TRUNC: lambda x, p, q: np.trunc(x),
    Activation.NOT: lambda x, p, q: _truth(x == 0),
    Activation.SQUARE: lambda x, p, q: x * x,
    Activation.AFFINE: lambda x, p, q: p * x + q,
    Activation.THRESHOLD: lambda x, p, q: np.where(x > p, x, np.float32(0)),
    Activation.BOOL: lambda x, p, q: _truth(x != 0),
}

# In double precision, rounded once: the engine's polynomials come within a tolerance.
_DOUBLE: dict[Activation, Callable[[Doubles, float, float], Doubles]] = {
    Activation.SIGMOID: lambda x, p, q: _sigmoid(x),
    Activation.SILU: lambda x, p, q: x * _sigmoid(p * x),
    Activation.TANH: lambda x, p, q: np.tanh(x),
    Activation.GELU: lambda x, p, q: 0.5 * x * (1.0 + erf(x / math.sqrt(2.0))),
    Activation.GELU_TANH: lambda x, p, q: _gelu_tanh(x),
    Activation.ERF: lambda x, p, q: erf(x),
    Activation.ELU: lambda x, p, q: np.where(x < 0, p * np.expm1(np.minimum(x, 0.0)), x),
    Activation.SELU: lambda x, p, q: np.where(x < 0, q * p * np.expm1(np.minimum(x, 0.0)), q * x),
    Activation.MISH: lambda x, p, q: x * np.tanh(_softplus(x)),
    Activation.SOFTPLUS: lambda x, p, q: _softplus(x),
    Activation.EXP: lambda x, p, q: np.exp(x),
    Activation.LOG: lambda x, p, q: np.log(x),
    Activation.POW: lambda x, p, q: np.power(x, p),
    Activation.CELU: lambda x, p, q: _celu(x, p),
}


def apply_activation(spec: ActivationSpec, x: Floats) -> Floats:
    """The activation of ``x``, float32 of any shape; ``x`` itself is left as it is."""
    kind = Activation(spec.kind)
    p, q = (*spec.parameters, 0.0, 0.0)[:2]
    with np.errstate(all="ignore"):
        if kind in _SINGLE:
            return _SINGLE[kind](x, np.float32(p), np.float32(q))
        doubles = _DOUBLE[kind](x.astype(np.float64), float(np.float32(p)), float(np.float32(q)))
        return doubles.astype(np.float32)
