"""Measures of agreement, and curves."""

from __future__ import annotations

import numpy as np
import pytest

from converters.writer import to_bytes
from runtime.agreement import (
    Point,
    at_agreement,
    classes_agree,
    curve,
    dense_outputs,
    parse_agreement,
    play,
    values_agree,
)
from runtime.errors import ArgumentError
from runtime.model import Model

from .test_tune import frames, network

pytestmark = pytest.mark.filterwarnings("ignore:the compiled engine is missing")


def test_values_agree_within_half_of_a_channels_deviation(image_model):
    rng = np.random.default_rng(1)
    shapes = {info.name: info.shape for info in image_model.outputs}
    dense = [{name: rng.normal(size=shape).astype(np.float32) for name, shape in shapes.items()} for _ in range(4)]
    for outputs in dense:
        outputs["map"][0, 1] *= 100  # a channel of its own scale
    agree = values_agree(image_model, dense)
    assert agree(dense[0], dense[0]) == 1
    moved = {name: array.copy() for name, array in dense[0].items()}
    moved["map"][0, 1] += 30  # within half of 100
    assert agree(moved, dense[0]) == 1
    moved["map"][0, 2, :3] += 5
    assert agree(moved, dense[0]) == pytest.approx(1 - (3 / 12) / 4 / 3)  # of one of 4 channels of one of 3 outputs


def test_classes_agree():
    dense = {"scores": np.array([[[[1.0, 1], [0, 0]], [[0, 0], [1, 1]]]])}
    assert classes_agree({"scores": dense["scores"][:, ::-1]}, dense) == 0
    other = dense["scores"].copy()
    other[0, :, 0, 0] = 0, 2
    assert classes_agree({"scores": other}, dense) == 0.75
    with pytest.raises(ArgumentError, match="no class axis"):
        classes_agree({"x": np.zeros(3)}, {"x": np.zeros(3)})


def test_own_measures(image_model, tmp_path):
    (tmp_path / "my_measure.py").write_text("def half(gated, dense):\n    return 0.5\n")
    assert parse_agreement(f"{tmp_path}/my_measure.py:half", image_model, [])({}, {}) == 0.5
    assert parse_agreement("classes", image_model, []) is classes_agree
    for text, message in (
        ("boxes", "expected values, classes or a function"),
        ("no_such_module:f", "no_such_module"),
        (f"{tmp_path}/my_measure.py:none", "none"),
    ):
        with pytest.raises(ArgumentError, match=message):
            parse_agreement(text, image_model, [])


def test_play_and_curve():
    model, clip = Model.from_bytes(to_bytes(network())), frames(6)
    dense = dense_outputs(model, clip)
    agree = values_agree(model, dense, 0.1)
    exact, distances = play(model, clip, dense, agree, threshold_scale=0)
    assert (exact.agreement, exact.error, exact.scale) == (1, 0, 0)
    assert distances == [0] * 5
    assert exact.macs > 0.9  # noise
    points = curve(model, clip, dense, agree, scales=(4, 0.25, 1), refresh=0)
    assert [point.scale for point in points] == [0.25, 1, 4]
    assert points[0].macs > points[1].macs > points[2].macs > 0
    assert points[0].error < points[1].error < points[2].error
    assert points[0].agreement > points[1].agreement > points[2].agreement


def test_where_a_curve_falls_to_a_target():
    points = [Point(1, 0.8, 1.0, 0.0), Point(2, 0.6, 0.98, 0.1), Point(4, 0.2, 0.90, 0.3)]
    assert at_agreement(points, 0.99) == Point(pytest.approx(2**0.5), pytest.approx(0.7), 0.99, pytest.approx(0.05))
    assert at_agreement(points, 0.94).macs == pytest.approx(0.4)
    assert at_agreement(points, 0.5) == points[-1]
    assert at_agreement(points[1:], 0.99) is None
    assert at_agreement([], 0.5) is None
