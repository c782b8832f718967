from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runtime.reference.graph import Align, Preprocess, Resize
from runtime.reference.prepare import fit, letterbox_box, linear_table, normalize, resize_linear


def image(height: int, width: int, channels: int = 3, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, channels), np.uint8)


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 70), st.integers(1, 70), st.integers(1, 70), st.integers(1, 70))
def test_within_one_grey_level_of_opencv(height: int, width: int, rows: int, cols: int) -> None:
    cv2 = pytest.importorskip("cv2")
    frame = image(height, width)
    want = cv2.resize(frame, (cols, rows), interpolation=cv2.INTER_LINEAR)
    got = resize_linear(frame, rows, cols)
    assert np.abs(got.astype(int) - want.reshape(got.shape).astype(int)).max() <= 1


def test_same_size_is_the_same_frame() -> None:
    frame = image(13, 9)
    assert (resize_linear(frame, 13, 9) == frame).all()


def test_linear_table_by_hand() -> None:
    left, right, weight = linear_table(4, 2)  # centres at -0.25, 0.25, 0.75, 1.25
    assert left.tolist() == [0, 0, 0, 1]
    assert right.tolist() == [1, 1, 1, 1]
    assert weight.tolist() == [0, 512, 1536, 0]


def test_letterbox_places_and_fills() -> None:
    assert letterbox_box(8, 8, (4, 8), Align.TOP_LEFT) == (0, 0, 4, 8)
    assert letterbox_box(8, 8, (4, 8), Align.CENTER) == (2, 0, 4, 8)
    assert letterbox_box(7, 7, (1, 1000), Align.CENTER) == (3, 0, 1, 7)
    frame = image(4, 8)
    out = fit(frame, 8, 8, Preprocess(Resize.LETTERBOX, Align.CENTER, fill=114))
    assert (out[2:6] == frame).all()
    assert (out[:2] == 114).all()
    assert (out[6:] == 114).all()


def test_normalize_orders_before_mean_and_scale() -> None:
    frame = np.array([[[10, 20, 30]]], np.uint8)
    out = normalize(frame, Preprocess(channel_order=(2, 1, 0), mean=(1.0, 2.0, 3.0), scale=(2.0, 0.5, 1.0)))
    assert out.flags.c_contiguous  # else every push of it would be a slow copy
    assert out.dtype == np.float32
    assert out.tolist() == [[[58.0, 9.0, 7.0]]]


def test_one_channel() -> None:
    frame = image(6, 5, channels=1)
    preprocess = Preprocess(Resize.STRETCH, channel_order=(0,), mean=(0.0,), scale=(1.0,))
    assert normalize(fit(frame, 3, 4, preprocess), preprocess).shape == (3, 4, 1)
