from __future__ import annotations

import math

import numpy as np
import pytest

from runtime.reference.activations import _DOUBLE, _SINGLE, apply_activation, erf
from runtime.reference.graph import Activation, ActivationSpec


def softplus(x: float) -> float:
    return math.log1p(math.exp(-abs(x))) + max(x, 0.0)


def sigmoid(x: float) -> float:
    return 1.0 / (1.0 + math.exp(-x))


CLOSED_FORMS = {
    Activation.IDENTITY: lambda x, p, q: x,
    Activation.RELU: lambda x, p, q: max(x, 0.0),
    Activation.CLIP: lambda x, p, q: min(max(x, p), q),
    Activation.LEAKY_RELU: lambda x, p, q: p * x if x < 0 else x,
    Activation.SIGMOID: lambda x, p, q: sigmoid(x),
    Activation.SILU: lambda x, p, q: x * sigmoid(p * x),
    Activation.HARD_SIGMOID: lambda x, p, q: min(max(p * x + q, 0.0), 1.0),
    Activation.HARD_SWISH: lambda x, p, q: x * min(max(p * x + q, 0.0), 1.0),
    Activation.TANH: lambda x, p, q: math.tanh(x),
    Activation.GELU: lambda x, p, q: x * math.erfc(-x / math.sqrt(2)) / 2,
    Activation.GELU_TANH: lambda x, p, q: x * sigmoid(2 * math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)),
    Activation.ERF: lambda x, p, q: math.erf(x),
    Activation.ELU: lambda x, p, q: p * math.expm1(x) if x < 0 else x,
    Activation.SELU: lambda x, p, q: q * p * math.expm1(x) if x < 0 else q * x,
    Activation.MISH: lambda x, p, q: x * math.tanh(softplus(x)),
    Activation.SOFTPLUS: lambda x, p, q: softplus(x),
    Activation.SOFTSIGN: lambda x, p, q: x / (1 + abs(x)),
    Activation.EXP: lambda x, p, q: math.exp(x),
    Activation.LOG: lambda x, p, q: math.nan if x < 0 else math.log(x) if x else -math.inf,
    Activation.SQRT: lambda x, p, q: math.nan if x < 0 else math.sqrt(x),
    Activation.RECIPROCAL: lambda x, p, q: 1 / x if x else math.inf,
    Activation.FLOOR: lambda x, p, q: math.floor(x),
    Activation.CEIL: lambda x, p, q: math.ceil(x),
    Activation.ROUND: lambda x, p, q: round(x),
    Activation.ABS: lambda x, p, q: abs(x),
    Activation.NEG: lambda x, p, q: -x,
    Activation.SIGN: lambda x, p, q: (x > 0) - (x < 0),
    Activation.TRUNC: lambda x, p, q: math.trunc(x),
    Activation.NOT: lambda x, p, q: float(x == 0),
    Activation.POW: lambda x, p, q: x**p if x >= 0 or p == int(p) else math.nan,
    Activation.SQUARE: lambda x, p, q: x * x,
    Activation.AFFINE: lambda x, p, q: p * x + q,
    Activation.CELU: lambda x, p, q: max(0.0, x) + min(0.0, p * math.expm1(x / p)),
    Activation.THRESHOLD: lambda x, p, q: x if x > p else 0.0,
    Activation.BOOL: lambda x, p, q: float(x != 0),
}

X = np.concatenate([np.linspace(-9, 9, 1001), [0.5, -0.5, 1.5, -1.5, 2.5, 0.0]]).astype(np.float32)


def test_every_activation_is_implemented_once() -> None:
    assert not set(_SINGLE) & set(_DOUBLE)
    assert set(_SINGLE) | set(_DOUBLE) == set(Activation) == set(CLOSED_FORMS)


@pytest.mark.parametrize("kind", list(Activation), ids=lambda kind: kind.name.lower())
@pytest.mark.parametrize("parameters", [(0.25, 1.5), (2.0, 3.0), (-0.5, 0.5)])
def test_closed_form(kind: Activation, parameters: tuple[float, float]) -> None:
    if kind == Activation.CELU and parameters[0] < 0:
        pytest.skip("celu needs a positive parameter")
    got = apply_activation(ActivationSpec(kind, parameters), X)
    with np.errstate(all="ignore"):
        want = np.array([CLOSED_FORMS[kind](float(x), *parameters) for x in X if x != 0 or parameters[0] > 0])
    got_here = got[X != 0] if parameters[0] < 0 else got
    assert got.dtype == np.float32
    np.testing.assert_allclose(got_here, want, rtol=1e-6, atol=2e-7)


def test_nan_passes_through() -> None:
    nan = np.array([np.nan], np.float32)
    for kind in (
        Activation.RELU,
        Activation.CLIP,
        Activation.SIGMOID,
        Activation.GELU,
        Activation.ERF,
        Activation.SIGN,
    ):
        assert np.isnan(apply_activation(ActivationSpec(kind, (0.0, 1.0)), nan)).all(), kind


@pytest.mark.parametrize("kind", [Activation.RELU, Activation.CLIP, Activation.SIGN, Activation.ROUND])
def test_negative_zero_stays(kind: Activation) -> None:
    out = apply_activation(ActivationSpec(kind, (-1.0, 1.0)), np.array([-0.0], np.float32))
    assert np.signbit(out[0])
    assert out[0] == 0


def test_erf_is_accurate_to_double_rounding() -> None:
    x = np.concatenate([np.linspace(-7, 7, 20001), np.logspace(-12, 0, 500), [np.inf, -np.inf]])
    want = np.array([math.erf(v) for v in x])
    np.testing.assert_allclose(erf(x), want, rtol=1e-11, atol=0)


def test_input_is_left_alone() -> None:
    before = X.copy()
    for kind in Activation:
        apply_activation(ActivationSpec(kind, (0.5, 2.0)), X)
    assert X.tobytes() == before.tobytes()
