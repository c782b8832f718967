from __future__ import annotations

import itertools

import numpy as np
import pytest
from onnx import helper

from .models import check, model, one, ops

IMAGE = (1, 3, 7, 9)
SIZES = [(14, 18), (3, 5), (10, 4), (7, 20), (1, 1), (21, 27)]
MODES = ["half_pixel", "pytorch_half_pixel", "align_corners", "asymmetric"]


def resize(sizes=None, scales=None, opset=19, shape=IMAGE, **attributes):
    if sizes is not None:
        return one("Resize", shape, None, None, np.array([*shape[:2], *sizes]), opset=opset, **attributes)
    return one("Resize", shape, None, np.array([1, 1, *scales], np.float32), opset=opset, **attributes)


@pytest.mark.parametrize("coordinates", [*MODES, "half_pixel_symmetric"])
@pytest.mark.parametrize("rounding", ["round_prefer_floor", "round_prefer_ceil", "floor", "ceil"])
def test_nearest(coordinates, rounding):
    attributes = {"mode": "nearest", "nearest_mode": rounding, "coordinate_transformation_mode": coordinates}
    for sizes in SIZES:
        if coordinates == "half_pixel_symmetric" and sizes in ((3, 5), (10, 4), (7, 20)):
            continue  # ties within rounding of the coordinate
        assert set(ops(check(resize(sizes, **attributes)))) <= {"gather"}
    for scales in ((2.0, 2.0), (1.7, 0.6), (3.0, 0.5), (0.34, 1.25)) if coordinates != "half_pixel_symmetric" else ():
        check(resize(scales=scales, **attributes))


@pytest.mark.parametrize("coordinates", [*MODES, "half_pixel_symmetric"])
def test_linear(coordinates):
    for sizes in SIZES:
        graph = check(resize(sizes, mode="linear", coordinate_transformation_mode=coordinates))
        assert ops(graph) == ["resize"]
    for scales in ((2.0, 2.0), (1.7, 0.6), (0.34, 1.25)):
        check(resize(scales=scales, mode="linear", coordinate_transformation_mode=coordinates))


@pytest.mark.parametrize("coordinates", MODES)
@pytest.mark.parametrize(("a", "exclude"), [(-0.75, 0), (-0.5, 1)])
def test_cubic(coordinates, a, exclude):
    attributes = {"coordinate_transformation_mode": coordinates, "cubic_coeff_a": a, "exclude_outside": exclude}
    for sizes in SIZES:
        check(resize(sizes, mode="cubic", **attributes))
    check(resize(scales=(1.7, 0.6), mode="cubic", **attributes))


@pytest.mark.parametrize(("mode", "exclude"), itertools.product(["linear", "cubic"], [0, 1]))
def test_antialias(mode, exclude):
    for sizes in ((3, 5), (3, 20), (2, 2), (7, 4)):
        made = resize(
            sizes, mode=mode, antialias=1, exclude_outside=exclude, coordinate_transformation_mode="half_pixel"
        )
        check(made, tolerance=1e-5)


@pytest.mark.parametrize("mode", ["nearest", "linear", "cubic"])
def test_crop_and_resize(mode):
    roi = np.array([0, 0, 0.2, -0.1, 1, 1, 0.8, 1.2], np.float32)
    made = one("Resize", IMAGE, roi, None, np.array([1, 3, 8, 10]), opset=13, mode=mode,
               coordinate_transformation_mode="tf_crop_and_resize", extrapolation_value=7.0)  # fmt: skip
    check(made)


def test_older_operator_sets():
    for scales in ((1, 1, 2, 2), (1, 1, 2, 3)):
        for mode in ("nearest", "linear"):
            check(one("Upsample", IMAGE, np.array(scales, np.float32), opset=9, mode=mode))
            check(one("Resize", IMAGE, np.array(scales, np.float32), opset=10, mode=mode))
    check(one("Resize", IMAGE, np.array([1, 1, 0.5, 0.7], np.float32), opset=10, mode="nearest"))
    roi = np.zeros(0, np.float32)
    check(one("Resize", IMAGE, roi, np.array([1, 1, 2, 2], np.float32), opset=11, mode="nearest",
              coordinate_transformation_mode="tf_half_pixel_for_nn"))  # fmt: skip


def test_axes_and_policies():
    attributes = {"mode": "linear", "axes": [2, 3], "opset": 18}
    for policy in ("not_larger", "not_smaller", "stretch"):
        made = one("Resize", IMAGE, None, None, np.array([10, 10]), keep_aspect_ratio_policy=policy, **attributes)
        check(made)
    check(one("Resize", IMAGE, None, np.array([2, 3], np.float32), **attributes))


def test_one_dimensional():
    check(one("Resize", (1, 3, 9), None, np.array([1, 1, 2], np.float32), mode="nearest", opset=13))
    check(one("Resize", (1, 3, 9), None, np.array([1, 1, 2], np.float32), mode="linear", opset=13))


def test_channels_last():
    nodes = [
        helper.make_node("Transpose", ["x"], ["t"], perm=[0, 2, 3, 1]),
        helper.make_node("Resize", ["t", "", "s"], ["r"], mode="linear"),
        helper.make_node("Transpose", ["r"], ["y"], perm=[0, 3, 1, 2]),
    ]
    graph = check(model(nodes, {"x": IMAGE}, {"s": np.array([1, 2, 2, 1], np.float32)}))
    assert ops(graph) == ["resize"]
