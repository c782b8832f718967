"""Footprints against brute force: change one input pixel and see which outputs move."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runtime.reference.footprint import _footprint, footprint, pixel_macs
from runtime.reference.graph import (
    OPS,
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
)
from runtime.reference.ops import compute, infer_extents


def random(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape, dtype=np.float32) + np.float32(3)


def int32(*values: int) -> np.ndarray:
    return np.array(values, np.int32).reshape(1, 1, -1)


def assert_footprint(attributes: Any, inputs: list[Any], running: int, extents: Any = None, exact: bool = True) -> None:
    """For every pixel of input ``running``: the footprint equals (or covers) the outputs that move."""
    extents = extents or infer_extents(attributes, [None if x is None else x.shape for x in inputs])
    before = compute(attributes, inputs, extents)
    shape = inputs[running].shape
    for row in range(shape[0]):
        for col in range(shape[1]):
            changed = inputs[running].copy()
            changed[row, col] += 1000
            after = compute(attributes, [*inputs[:running], changed, *inputs[running + 1 :]], extents)
            moved = (before != after).any(axis=2)
            masks: list[Any] = [None] * len(inputs)
            masks[running] = np.zeros(shape[:2], bool)
            masks[running][row, col] = True
            got = footprint(attributes, masks, inputs, extents)
            assert got.shape == extents[:2]
            assert (moved <= got).all()
            assert not exact or (moved == got).all()


def test_every_operator_has_a_footprint() -> None:
    registered = set(_footprint.registry) - {object}
    assert registered == set(OPS.values())


windows = st.tuples(
    st.tuples(st.integers(1, 3), st.integers(1, 3)),
    st.tuples(st.integers(1, 3), st.integers(1, 3)),
    st.tuples(st.integers(1, 2), st.integers(1, 2)),
    st.tuples(*[st.integers(0, 2)] * 4),
)


@settings(max_examples=20, deadline=None)
@given(windows)
def test_conv2d(window: Any) -> None:
    kernel, stride, dilation, pads = window
    attributes = Conv2d(*kernel, *stride, *dilation, *pads)
    assert_footprint(attributes, [random(5, 6, 2), random(*kernel, 2, 3, seed=1)], 0)


@settings(max_examples=20, deadline=None)
@given(windows)
def test_conv_transpose2d(window: Any) -> None:
    kernel, stride, dilation, pads = window
    attributes = ConvTranspose2d(*kernel, *stride, *dilation, *pads)
    assert_footprint(attributes, [random(4, 3, 2), random(*kernel, 2, 3, seed=1)], 0, (11, 10, 3))


def test_residual_of_a_convolution() -> None:
    inputs = [random(4, 4, 2), random(3, 3, 2, 3), None, random(4, 4, 3)]
    attributes = Conv2d(3, 3, 1, 1, 1, 1, 1, 1, 1, 1, residual=Residual.AFTER_ACTIVATION)
    assert_footprint(attributes, inputs, 3)
    assert_footprint(attributes, inputs, 0)


@settings(max_examples=20, deadline=None)
@given(windows)
def test_pool(window: Any) -> None:
    kernel, stride, dilation, pads = window
    attributes = Pool(PoolKind.AVERAGE, *kernel, *stride, *dilation, *pads)
    extents = compute(Conv2d(*kernel, *stride, *dilation, *pads), [random(5, 6, 1), random(*kernel, 1, 1)]).shape
    assert_footprint(attributes, [random(5, 6, 2)], 0, (*extents[:2], 2))


@pytest.mark.parametrize(
    "attributes",
    [
        ReducePixels(Reduce.SUM, 1, 1),
        ReducePixels(Reduce.SUM, 1, 0),
        ReducePixels(Reduce.SUM, 0, 1),
        ReduceChannels(Reduce.SUM, 1, 2, 1),
        Softmax(1, 2, 1, log=1),
        Unary(),
    ],
    ids=str,
)
def test_one_input(attributes: Any) -> None:
    x = random(3, 4, 2)
    x[..., 1] *= np.arange(12, dtype=np.float32).reshape(3, 4)
    assert_footprint(attributes, [x], 0, exact=not isinstance(attributes, Softmax))


@pytest.mark.parametrize("rows", [1, 3])
def test_matmul(rows: int) -> None:
    inputs = [random(3, 4, 5), random(rows, 5, 2, seed=1)]
    assert_footprint(Matmul(), inputs, 0)
    assert_footprint(Matmul(), inputs, 1)


@pytest.mark.parametrize("shape", [(3, 4, 2), (1, 4, 2), (3, 1, 1), (1, 1, 2)])
def test_broadcasting(shape: tuple[int, int, int]) -> None:
    inputs = [random(3, 4, 2), random(*shape, seed=1)]
    assert_footprint(BinaryOp(Binary.ADD), inputs, 0)
    assert_footprint(BinaryOp(Binary.ADD), inputs, 1)
    assert_footprint(Where(), [random(3, 4, 2), *inputs[::-1]], 1)


def test_gather_and_resize() -> None:
    x = random(3, 4, 2)
    assert_footprint(Gather(fill=1.0), [x, int32(2, -1, 0), int32(1, 1, -1, 3, 0)], 0, (3, 5, 2))
    assert_footprint(Gather(), [x, None, int32(3, 0)], 0, (3, 2, 2))
    channels = int32(*[0, 1] * 4)
    assert_footprint(Gather(2, 2), [x, int32(0, 0, 1, 1), int32(0, 1, 2, 3), channels], 0, (4, 4, 2))
    weights = np.full(4, 0.5, np.float32)
    tables = [int32(0, 1, 1, 2), weights, int32(0, 3, -1, 2), weights]
    assert_footprint(ResizeOp(2, 2), [x, *tables], 0, (2, 2, 2), exact=False)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_concat(axis: int) -> None:
    inputs = [random(2, 3, 4, seed=k) for k in range(3)]
    for running in range(3):
        assert_footprint(Concat(axis), inputs, running)


@pytest.mark.parametrize("extents", [(6, 2, 4), (1, 1, 48), (4, 4, 3), (48, 1, 1), (3, 4, 4)])
def test_view(extents: tuple[int, int, int]) -> None:
    assert_footprint(View(), [random(3, 4, 4)], 0, extents)


def test_transpose_depends_on_everything() -> None:
    assert_footprint(Transpose(3, (3, 4, 2), (2, 0, 1)), [random(3, 4, 2)], 0, (2, 3, 4), exact=False)
    none = footprint(Transpose(3, (3, 4, 2), (2, 0, 1)), [np.zeros((3, 4), bool)], [random(3, 4, 2)], (2, 3, 4))
    assert not none.any()


def test_constants_never_change() -> None:
    inputs = [random(3, 4, 2), random(3, 4, 2, seed=1)]
    assert not footprint(BinaryOp(Binary.ADD), [None, None], inputs, (3, 4, 2)).any()


def test_macs_count_the_whole_kernel_of_each_pixel() -> None:
    assert (pixel_macs(Conv2d(3, 5, groups=2), [None, random(3, 5, 4, 6)], (7, 8, 6)) == 3 * 5 * 4 * 6).all()
    assert (pixel_macs(Matmul(), [None, random(1, 5, 7)], (2, 3, 7)) == 35).all()
    assert not pixel_macs(Unary(), [random(2, 3, 4)], (2, 3, 4)).any()


def test_macs_of_a_transposed_convolution_follow_the_phase() -> None:
    attributes = ConvTranspose2d(3, 2, 2, 2, pad_top=1)
    counts = pixel_macs(attributes, [None, random(3, 2, 4, 5)], (4, 3, 5))
    # rows: (i + 1 - k) even: k = 1 at even rows, k = 0, 2 at odd ones; one column tap everywhere
    assert (counts == np.array([[1], [2], [1], [2]]) * 20).all()
