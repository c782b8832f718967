from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runtime.reference.graph import (
    OPS,
    Activation,
    ActivationSpec,
    Binary,
    BinaryOp,
    Concat,
    Conv2d,
    ConvTranspose2d,
    Gather,
    Matmul,
    Pool,
    PoolKind,
    Reduce,
    ReduceChannels,
    ReducePixels,
    Residual,
    ResizeOp,
    Softmax,
    Transpose,
    Unary,
    View,
    Where,
    WinogradConv2d,
)
from runtime.reference.ops import _compute, compute, fold_lanes, infer_extents

Floats = np.ndarray


def random(*shape: int, seed: int = 0) -> Floats:
    return np.random.default_rng(seed).standard_normal(shape, dtype=np.float32)


def onnx_run(op: str, inputs: list[Floats], opset: int = 17, **attributes: Any) -> Floats:
    """One ONNX operator on ONNX Runtime."""
    onnx = pytest.importorskip("onnx")
    ort = pytest.importorskip("onnxruntime")
    make, names = onnx.helper, [f"i{k}" for k in range(len(inputs))]
    types = [make.np_dtype_to_tensor_dtype(x.dtype) for x in inputs]
    graph = make.make_graph(
        [make.make_node(op, names, ["y"], **attributes)],
        "graph",
        [make.make_tensor_value_info(n, t, x.shape) for n, t, x in zip(names, types, inputs, strict=True)],
        [make.make_empty_tensor_value_info("y")],
    )
    model = make.make_model(graph, opset_imports=[make.make_opsetid("", opset)], ir_version=8)
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, dict(zip(names, inputs, strict=True)))[0]


def to_nchw(x: Floats) -> Floats:
    return np.ascontiguousarray(x.transpose(2, 0, 1)[None])


def to_nhwc(y: Floats) -> Floats:
    return y[0].transpose(1, 2, 0)


def test_every_operator_is_implemented() -> None:
    assert {cls for cls in _compute.registry if cls is not object} == {*OPS.values(), WinogradConv2d}


windows = st.tuples(
    st.tuples(st.integers(1, 4), st.integers(1, 4)),  # kernel
    st.tuples(st.integers(1, 3), st.integers(1, 3)),  # stride
    st.tuples(st.integers(1, 2), st.integers(1, 2)),  # dilation
    st.tuples(*[st.integers(0, 3)] * 4),  # top, left, bottom, right
)
groupings = st.sampled_from([(1, 5, 3), (1, 1, 4), (2, 4, 6), (3, 3, 6), (4, 4, 4)])  # groups, C_in, C_out


@settings(max_examples=40, deadline=None)
@given(windows, groupings)
def test_conv2d_against_onnxruntime(window: Any, grouping: tuple[int, int, int]) -> None:
    kernel, stride, dilation, pads = window
    groups, channels_in, channels_out = grouping
    x, bias = random(9, 10, channels_in), random(channels_out, seed=2)
    weights = random(*kernel, channels_in // groups, channels_out, seed=1)
    want = onnx_run(
        "Conv",
        [to_nchw(x), np.ascontiguousarray(weights.transpose(3, 2, 0, 1)), bias],
        kernel_shape=kernel,
        strides=stride,
        dilations=dilation,
        pads=pads,
        group=groups,
    )
    got = compute(Conv2d(*kernel, *stride, *dilation, *pads, groups), [x, weights, bias])
    np.testing.assert_allclose(got, to_nhwc(want), rtol=1e-4, atol=1e-5)


@settings(max_examples=40, deadline=None)
@given(windows, groupings)
def test_conv_transpose2d_against_onnxruntime(window: Any, grouping: tuple[int, int, int]) -> None:
    kernel, stride, dilation, _pads = window
    groups, channels_in, channels_out = grouping
    pads = tuple(min(1, d * (k - 1)) for d, k in zip(dilation, kernel, strict=True)) * 2
    x, bias = random(5, 6, channels_in), random(channels_out, seed=2)
    weights = random(*kernel, channels_in // groups, channels_out, seed=1)
    by_group = weights.reshape(*kernel, channels_in // groups, groups, channels_out // groups)
    stored = by_group.transpose(3, 2, 4, 0, 1).reshape(channels_in, channels_out // groups, *kernel)
    want = to_nhwc(
        onnx_run(
            "ConvTranspose",
            [to_nchw(x), np.ascontiguousarray(stored), bias],
            kernel_shape=kernel,
            strides=stride,
            dilations=dilation,
            pads=pads,
            output_padding=(stride[0] - 1, stride[1] - 1),
            group=groups,
        )
    )
    got = compute(ConvTranspose2d(*kernel, *stride, *dilation, *pads, groups), [x, weights, bias], want.shape)
    np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-5)


def test_residual_before_and_after_the_activation() -> None:
    x = np.array([[[-3.0]], [[2.0]]], np.float32)
    residual = np.array([[[1.0]], [[1.0]]], np.float32)
    weights, relu = np.ones((1, 1, 1, 1), np.float32), ActivationSpec(Activation.RELU)
    before = compute(Conv2d(1, 1, residual=Residual.BEFORE_ACTIVATION), [x, weights, None, residual], activation=relu)
    after = compute(Conv2d(1, 1, residual=Residual.AFTER_ACTIVATION), [x, weights, None, residual], activation=relu)
    assert before.ravel().tolist() == [0.0, 3.0]
    assert after.ravel().tolist() == [1.0, 3.0]


@pytest.mark.parametrize("rows", [1, 3])
def test_matmul(rows: int) -> None:
    a, b = random(3, 4, 5), random(rows, 5, 6, seed=1)
    np.testing.assert_allclose(
        compute(Matmul(), [a, b]),
        np.einsum("rmk,rkn->rmn", a, b[[0] * 3 if rows == 1 else [0, 1, 2]]),
        rtol=1e-5,
        atol=1e-6,
    )


@settings(max_examples=40, deadline=None)
@given(windows, st.sampled_from(PoolKind), st.booleans(), st.booleans())
def test_pool_against_onnxruntime(window: Any, kind: PoolKind, ceil: bool, include_pad: bool) -> None:
    kernel, stride, dilation, pads = window
    if kind == PoolKind.AVERAGE:
        dilation = (1, 1)
    pads = tuple(min(pad, side - 1) for pad, side in zip(pads, kernel * 2, strict=True))
    x = random(9, 10, 3)
    extra = {"dilations": dilation} if kind == PoolKind.MAX else {"count_include_pad": int(include_pad)}
    op = "MaxPool" if kind == PoolKind.MAX else "AveragePool"
    want = to_nhwc(
        onnx_run(op, [to_nchw(x)], kernel_shape=kernel, strides=stride, pads=pads, ceil_mode=int(ceil), **extra)
    )
    got = compute(Pool(kind, *kernel, *stride, *dilation, *pads, int(include_pad)), [x], want.shape)
    np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-6)


def test_pool_window_without_input_gives_zero() -> None:
    x = np.full((2, 2, 1), 5, np.float32)
    for kind in PoolKind:
        out = compute(Pool(kind, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0), [x], (4, 4, 1))
        assert out[0, 0, 0] == 0
        assert out[1, 1, 0] == 5


REDUCTIONS = {
    Reduce.MEAN: np.mean,
    Reduce.SUM: np.sum,
    Reduce.MAX: np.max,
    Reduce.MIN: np.min,
    Reduce.PRODUCT: np.prod,
}


@pytest.mark.parametrize("kind", list(REDUCTIONS))
@pytest.mark.parametrize("over", [(1, 1), (1, 0), (0, 1)])
def test_reduce_pixels(kind: Reduce, over: tuple[int, int]) -> None:
    x = random(5, 4, 3)
    axes = tuple(axis for axis in (0, 1) if over[axis])
    got = compute(ReducePixels(kind, *over), [x])
    np.testing.assert_allclose(got, REDUCTIONS[kind](x, axis=axes, keepdims=True), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("kind", list(REDUCTIONS))
@pytest.mark.parametrize("split", [(1, 12, 1), (2, 3, 2), (4, 1, 3)])
def test_reduce_channels(kind: Reduce, split: tuple[int, int, int]) -> None:
    x = random(3, 4, 12)
    want = REDUCTIONS[kind](x.reshape(3, 4, *split), axis=3).reshape(3, 4, -1)
    np.testing.assert_allclose(compute(ReduceChannels(kind, *split), [x]), want, rtol=1e-5, atol=1e-6)


def test_arg_reductions_and_their_ties() -> None:
    x = np.array([[[1, 7, 0, 7, 0]]], np.float32)
    for kind, last, want in ((5, 0, 1), (5, 1, 3), (6, 0, 2), (6, 1, 4)):
        assert compute(ReduceChannels(kind, 1, 5, 1, last), [x]).item() == want


def test_fold_lanes_joins_eight_lanes() -> None:
    x = random(2, 21)
    lanes = np.zeros((2, 24), np.float32)
    lanes[:, :21] = x
    s = (lanes[:, :8] + lanes[:, 8:16]) + lanes[:, 16:]
    want = ((s[:, 0] + s[:, 4]) + (s[:, 2] + s[:, 6])) + ((s[:, 1] + s[:, 5]) + (s[:, 3] + s[:, 7]))
    assert fold_lanes(np.add, 0.0, x).tobytes() == want.tobytes()


@pytest.mark.parametrize("log", [0, 1])
@pytest.mark.parametrize("split", [(1, 12, 1), (2, 3, 2)])
def test_softmax_against_onnxruntime(log: int, split: tuple[int, int, int]) -> None:
    x = random(3, 4, 12) * 20
    want = onnx_run("LogSoftmax" if log else "Softmax", [x.reshape(12, *split)], axis=2)
    np.testing.assert_allclose(compute(Softmax(*split, log), [x]), want.reshape(3, 4, 12), rtol=2e-5, atol=1e-6)


ONNX_BINARY = {
    Binary.ADD: "Add",
    Binary.SUB: "Sub",
    Binary.MUL: "Mul",
    Binary.DIV: "Div",
    Binary.MIN: "Min",
    Binary.MAX: "Max",
    Binary.EQUAL: "Equal",
    Binary.LESS: "Less",
    Binary.LESS_EQUAL: "LessOrEqual",
    Binary.GREATER: "Greater",
    Binary.GREATER_EQUAL: "GreaterOrEqual",
    Binary.PRELU: "PRelu",
}


@pytest.mark.parametrize("kind", list(ONNX_BINARY))
@pytest.mark.parametrize("shape", [(4, 5, 3), (1, 1, 3), (4, 5, 1), (1, 1, 1), (4, 1, 3)])
def test_binary_against_onnxruntime(kind: Binary, shape: tuple[int, int, int]) -> None:
    a, b = np.round(random(4, 5, 3) * 2), np.round(random(*shape, seed=1) * 2)
    with np.errstate(all="ignore"):
        want = onnx_run(ONNX_BINARY[kind], [a, b]).astype(np.float32)
    np.testing.assert_allclose(compute(BinaryOp(kind), [a, b]), want, rtol=1e-6)


def test_binary_powers_truths_and_remainders() -> None:
    a = np.array([[[-7.5, 7.5, 0.0, 4.0]]], np.float32)
    b = np.array([[[2.0, -2.0, 3.0, 0.5]]], np.float32)
    expected = {
        Binary.POW: [56.25, 7.5**-2, 0.0, 2.0],
        Binary.AND: [1, 1, 0, 1],
        Binary.OR: [1, 1, 1, 1],
        Binary.XOR: [0, 0, 1, 0],
        Binary.MOD: [0.5, -0.5, 0.0, 0.0],
        Binary.FMOD: [-1.5, 1.5, 0.0, 0.0],
    }
    for kind, want in expected.items():
        np.testing.assert_allclose(compute(BinaryOp(kind), [a, b]).ravel(), want, rtol=1e-7)
    assert set(ONNX_BINARY) | set(expected) == set(Binary)


def test_min_and_max_keep_nan() -> None:
    a, b = np.array([[[np.nan, 1]]], np.float32), np.array([[[1, np.nan]]], np.float32)
    for kind in (Binary.MIN, Binary.MAX):
        assert np.isnan(compute(BinaryOp(kind), [a, b])).all()


def test_where_broadcasts() -> None:
    condition = np.array([[[1.0]], [[0.0]]], np.float32)
    out = compute(Where(), [condition, random(1, 1, 3), random(2, 4, 3, seed=1)])
    assert out.shape == (2, 4, 3)
    assert (out[0] == random(1, 1, 3)[0]).all()
    assert (out[1] == random(2, 4, 3, seed=1)[1]).all()


def test_unary_is_its_activation() -> None:
    x = random(2, 3, 4)
    assert (compute(Unary(), [x], activation=ActivationSpec(Activation.ABS)) == np.abs(x)).all()


def int32(*values: int) -> np.ndarray:
    return np.array(values, np.int32).reshape(1, 1, -1)


def test_gather_rows_cols_channels_and_fill() -> None:
    x = random(3, 4, 2)
    out = compute(Gather(fill=9.0), [x, int32(2, -1), int32(3, 0, -1), int32(1, -1, 0)], (2, 3, 3))
    want = np.full((2, 3, 3), 9, np.float32)
    want[0, :2, 0], want[0, :2, 2] = x[2, [3, 0], 1], x[2, [3, 0], 0]
    assert (out == want).all()


@pytest.mark.parametrize("mode", ["DCR", "CRD"])
def test_gather_depth_to_space_against_onnxruntime(mode: str) -> None:
    x, side = random(3, 4, 8), 2
    want = to_nhwc(onnx_run("DepthToSpace", [to_nchw(x)], blocksize=side, mode=mode))
    phases = []
    for i in range(side):
        for j in range(side):
            at = i * side + j
            phases += [c * 4 + at if mode == "CRD" else at * 2 + c for c in range(2)]
    rows, cols = int32(*[i // 2 for i in range(6)]), int32(*[j // 2 for j in range(8)])
    assert (compute(Gather(side, side), [x, rows, cols, int32(*phases)], want.shape) == want).all()


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_concat(axis: int) -> None:
    parts = [random(2, 3, 4, seed=k) for k in range(3)]
    assert (compute(Concat(axis), parts) == np.concatenate(parts, axis)).all()


def test_resize_by_tables_and_fill() -> None:
    x = random(3, 2, 2)
    rows, row_weights = int32(0, 1, 1, 2, -1, 0), np.array([0.25, 0.75, 0.5, 0.5, 1, 1], np.float32)
    out = compute(ResizeOp(2, 1, 7.0), [x, rows, row_weights, int32(1, 0), np.ones(2, np.float32)], (3, 2, 2))
    flipped = x[:, ::-1]
    want = np.stack([flipped[0] * 0.25 + flipped[1] * 0.75, flipped[1] * 0.5 + flipped[2] * 0.5])
    np.testing.assert_allclose(out[:2], want, rtol=1e-6)
    assert (out[2] == 7).all()


def test_view_and_transpose() -> None:
    x = random(2, 3, 8)
    assert (compute(View(), [x], (1, 6, 8)) == x.reshape(1, 6, 8)).all()
    out = compute(Transpose(4, (2, 3, 4, 2), (3, 0, 2, 1)), [x], (2, 2, 12))
    assert (out == x.reshape(2, 3, 4, 2).transpose(3, 0, 2, 1).reshape(2, 2, 12)).all()


def test_extents_follow_from_inputs_or_not() -> None:
    assert infer_extents(Conv2d(3, 3, 2, 2, pad_top=1, pad_left=1), [(9, 8, 4), (3, 3, 4, 6)]) == (4, 4, 6)
    assert infer_extents(View(), [(2, 3, 4)]) is None
    with pytest.raises(ValueError, match="view"):
        compute(View(), [random(2, 3, 4)])


@settings(max_examples=25, deadline=None)
@given(windows, groupings, st.integers(0, 2**31))
def test_untouched_outputs_keep_their_bits(window: Any, grouping: tuple[int, int, int], seed: int) -> None:
    """The property that makes gating exact: an output's bits depend only on what it reads."""
    kernel, stride, dilation, pads = window
    groups, channels_in, channels_out = grouping
    x, weights = random(9, 10, channels_in), random(*kernel, channels_in // groups, channels_out, seed=1)
    attributes = Conv2d(*kernel, *stride, *dilation, *pads, groups)
    before = compute(attributes, [x, weights])
    changed = x.copy()
    row, col = np.random.default_rng(seed).integers(0, (9, 10))
    changed[row, col] += 1
    after = compute(attributes, [changed, weights])
    reads = compute(attributes, [(x != changed).astype(np.float32), np.ones_like(weights)])
    touched = (reads != 0).any(axis=2)
    assert before[~touched].tobytes() == after[~touched].tobytes()
